"""A LlamaIndex agent: the model says which function to call, LlamaIndex calls it, the model tells the result.

The bundled model calls plain functions offline. On a real model, name it: FrameworkLLM("gemma-3-4b-it") with that
model in the models folder, or FrameworkLLM("openai:gpt-5-mini") with a key. The rest of the program stays.
"""

import asyncio

from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ReActAgent, ToolCallResult
from llama_index.core.memory import Memory

from llama_index.llms.llm_framework import FrameworkLLM

llm = FrameworkLLM(temperature=0, max_tokens=128)


def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"sunny, 21 degrees in {city}"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def main() -> None:
    agent = FunctionAgent(tools=[get_weather, add], llm=llm)
    memory = Memory.from_defaults(token_limit=1000)  # pass it to each run, or the agent forgets
    print(await agent.run("What is 3 plus 4?", memory=memory))

    # An agent's events show its calls and the pieces of its answer while it works.
    handler = agent.run("What is the weather in Paris?", memory=memory)
    async for event in handler.stream_events():
        if isinstance(event, ToolCallResult):
            print(f"[{event.tool_name}({event.tool_kwargs}) -> {event.tool_output}]")
        elif isinstance(event, AgentStream):
            print(event.delta, end="", flush=True)
    await handler
    print()

    # The same with an agent that reasons in text, for models that have no tool calls.
    print(await ReActAgent(tools=[get_weather], llm=llm).run("What is the weather in Rome?", max_iterations=5))


asyncio.run(main())
