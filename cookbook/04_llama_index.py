"""A LlamaIndex LLM: completions, chats and streams, and the model that every index and engine uses by default."""

import asyncio

from llama_index.core import Settings
from llama_index.core.llms import ChatMessage

from llama_index.llms.llm_framework import FrameworkLLM

llm = FrameworkLLM(temperature=0, max_tokens=64)
Settings.llm = llm  # query engines, chat engines and agents now use it

print(llm.complete("What is the capital of France?"))

messages = [ChatMessage(role="system", content="Answer briefly."), ChatMessage(role="user", content="Say hello.")]
response = llm.chat(messages)
print(response.message.content, response.raw["usage"])

for response in llm.stream_chat(messages):
    print(response.delta, end="", flush=True)
print()


async def main() -> None:
    print(await llm.acomplete("What is the capital of Italy?"))
    # LlamaIndex's asynchronous streams are awaited first, then read.
    async for piece in await llm.astream_complete("What is the capital of Spain?"):
        print(piece.delta, end="", flush=True)
    print()


asyncio.run(main())
