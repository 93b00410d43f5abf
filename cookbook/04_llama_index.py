"""A LlamaIndex LLM: completions, chats and streams, and the model that every index and engine uses by default.

The bundled model answers offline. On a real model, name it: FrameworkLLM("gemma-3-4b-it") with that model in the models
folder, or FrameworkLLM("openai:gpt-5-mini") with a key.
"""

import asyncio

from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
from llama_index.core.llms import ChatMessage

from llama_index.llms.llm_framework import FrameworkLLM

llm = FrameworkLLM(temperature=0, max_tokens=64)
Settings.llm = llm  # query engines, chat engines and agents now use it

print(llm.complete("hello"))

messages = [ChatMessage(role="system", content="Answer briefly."), ChatMessage(role="user", content="What can you do?")]
response = llm.chat(messages)
print(response.message.content, response.raw["usage"])

for response in llm.stream_chat(messages):
    print(response.delta, end="", flush=True)
print()


async def main() -> None:
    print(await llm.acomplete("hello"))
    # LlamaIndex's asynchronous streams are awaited first, then read.
    async for piece in await llm.astream_complete("What can you do?"):
        print(piece.delta, end="", flush=True)
    print()


asyncio.run(main())

# An index over one's own texts. MockEmbedding stands in for an embedding model, so that this runs offline.
text = Document(text="The harbour of Bergen was built in 1070. It has eleven piers.")
index = VectorStoreIndex.from_documents([text], embed_model=MockEmbedding(embed_dim=4))
print(index.as_query_engine().query("When was the harbour of Bergen built?"))
