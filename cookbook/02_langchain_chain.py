"""A LangChain chain: the same `prompt | model | parser` that works with any provider, answered on this machine."""

import asyncio

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from langchain_llm_framework import FrameworkChatModel

prompt = ChatPromptTemplate.from_messages(
    [("system", "Answer briefly."), ("user", "What is the capital of {country}?")]
)
chain = prompt | FrameworkChatModel(temperature=0, max_tokens=64) | StrOutputParser()

# invoked
print(chain.invoke({"country": "France"}))

# streamed
for piece in chain.stream({"country": "Italy"}):
    print(piece, end="", flush=True)
print()

# batched: the engine decodes the answers together
print(chain.batch([{"country": country} for country in ("Spain", "Norway", "Japan")]))


# asynchronous, on the caller's own event loop
async def main() -> None:
    print(await chain.ainvoke({"country": "Greece"}))
    async for piece in chain.astream({"country": "Portugal"}):
        print(piece, end="", flush=True)
    print()
    print(await chain.abatch([{"country": "Kenya"}, {"country": "Peru"}]))


asyncio.run(main())
