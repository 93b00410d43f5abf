"""A LangChain agent with two tools: the model says which to call, LangChain calls it, the model tells the result.

The bundled model calls plain functions offline. On a real model, name it: FrameworkChatModel("gemma-3-4b-it") with
that model in the models folder, or FrameworkChatModel("openai:gpt-5-mini") with a key. The rest of the program stays.
"""

from langchain.agents import create_agent
from langchain_core.tools import tool

from langchain_llm_framework import FrameworkChatModel


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"sunny, 21 degrees in {city}"


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


agent = create_agent(FrameworkChatModel(temperature=0), tools=[get_weather, add])

for question in ("What is the weather in Paris?", "What is 3 plus 4?"):
    state = agent.invoke({"messages": [("user", question)]})
    for message in state["messages"]:
        calls = "".join(f" {call['name']}({call['args']})" for call in getattr(message, "tool_calls", []))
        print(f"{message.type}: {message.text}{calls}")
    print()
