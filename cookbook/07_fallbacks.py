"""Fallbacks: another model answers where the first one is missing, overloaded, or out of reach.

Here the first one does not exist, so that the bundled model answers offline. In earnest the first is the one you want,
say "openai:gpt-5-mini" with a key, and the last one a local model that is always there.
"""

from langchain.agents import create_agent
from langchain_core.tools import tool

from langchain_llm_framework import FallbackChatModel, FrameworkChatModel
from llama_index.llms.llm_framework import FrameworkLLM
from llm_framework import LLMFramework

MISSING = "a-model-that-is-not-here"


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


# In the core, and so under every host: a list of names, for all calls (here) or for one (`fallbacks=` of `generate`).
with LLMFramework({"fallback_models": ["tiny-chat"]}) as framework:
    response = framework.sync.generate("hello", model_name=MISSING, temperature=0)
    print(response.text, [f"{attempt.model}: {attempt.error or 'answered'}" for attempt in response.attempts])

# On a chat model of LangChain and an LLM of LlamaIndex.
print(FrameworkChatModel(MISSING, fallbacks=["tiny-chat"], temperature=0).invoke("hello").text)
print(FrameworkLLM(MISSING, fallbacks=["tiny-chat"], temperature=0).complete("hello"))

# Over models of any maker: FallbackChatModel is a chat model itself, so agents and middleware work on it.
model = FallbackChatModel([MISSING, "tiny-chat"], temperature=0)
state = create_agent(model, tools=[add]).invoke({"messages": [("user", "What is 3 plus 4?")]})
print(state["messages"][-1].text)

# A stream falls back until its first visible piece; what was shown is never taken back.
for chunk in model.stream("What can you do?"):
    print(chunk.text, end="", flush=True)
print()
