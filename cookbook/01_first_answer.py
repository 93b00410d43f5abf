"""The first answer: one question to the model that ships with the package. Needs no key, no download, no network.

That model is very small: it talks a little, answers from a text, fills forms and calls tools. For more, put a Gemma
model into the models folder; the program stays the same.
"""

import asyncio

from llm_framework import LLMFramework, quick_generate

QUESTION = "The train to Hamburg leaves from platform 7 at 14:05.\n\nWhen does the train leave?"


async def main() -> None:
    # The shortest way: one call, with a framework behind it that is closed at exit.
    print(await quick_generate("hello", temperature=0))

    async with LLMFramework() as framework:
        # The whole response knows its tokens and why it ended.
        response = await framework.generate(QUESTION, temperature=0, max_tokens=64)
        print(response.text, response.usage, response.finish_reason)

        # A stream shows the answer while it is written.
        async for chunk in framework.stream("What can you do?", temperature=0):
            print(chunk, end="", flush=True)
        print()


asyncio.run(main())

# Programs without an event loop use the blocking forms on `.sync`.
with LLMFramework() as framework:
    print(framework.sync.generate_text(QUESTION, temperature=0))
