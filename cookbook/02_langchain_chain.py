"""A LangChain chain: the same `prompt | model | parser` that works with any provider, answered on this machine."""

import asyncio

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from langchain_llm_framework import FrameworkChatModel

TEXT = "The museum was built in 1890. It is in Lyon."
QUESTIONS = [{"question": "When was the museum built?"}, {"question": "Where is the museum?"}]

prompt = ChatPromptTemplate.from_messages([("user", TEXT + "\n\n{question}")])
chain = prompt | FrameworkChatModel(temperature=0, max_tokens=64) | StrOutputParser()

# invoked
print(chain.invoke(QUESTIONS[0]))

# streamed
for piece in chain.stream(QUESTIONS[1]):
    print(piece, end="", flush=True)
print()

# batched: the engine decodes the answers together
print(chain.batch(QUESTIONS))


# asynchronous, on the caller's own event loop
async def main() -> None:
    print(await chain.ainvoke(QUESTIONS[0]))
    async for piece in chain.astream(QUESTIONS[1]):
        print(piece, end="", flush=True)
    print()
    print(await chain.abatch(QUESTIONS))


asyncio.run(main())
