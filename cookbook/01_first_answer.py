"""The first answer: one question to the model that ships with the package. Needs no key, no download, no network."""

import asyncio

from llm_framework import LLMFramework, quick_generate


async def main() -> None:
    # The shortest way: one call, with a framework behind it that is closed at exit.
    print(await quick_generate("What is the capital of France?", temperature=0))

    async with LLMFramework() as framework:
        # The whole response knows its tokens and why it ended.
        response = await framework.generate("Say hello.", temperature=0, max_tokens=64)
        print(response.text, response.usage, response.finish_reason)

        # A stream shows the answer while it is written.
        async for chunk in framework.stream("What is the capital of Italy?", temperature=0):
            print(chunk, end="", flush=True)
        print()


asyncio.run(main())

# Programs without an event loop use the blocking forms on `.sync`.
with LLMFramework() as framework:
    print(framework.sync.generate_text("What is the capital of Spain?", temperature=0))
