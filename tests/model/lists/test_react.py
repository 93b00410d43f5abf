"""LlamaIndex's ReAct agent on the bundled model, on requests and tools that it was not trained on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.agent.workflow import ReActAgent
from scoring import Outcome, contains, read_list, read_type, same_arguments, share_right

from llama_index.llms.llm_framework import FrameworkLLM

WANTED = 0.70
MAX_ITERATIONS = 4
Call = tuple[str, dict[str, Any]]


def make_function(name: str, spec: dict[str, Any], result: str, calls: list[Call]) -> Callable[..., str]:
    """A function as a user would write it, which notes its calls and returns `result`."""

    def function(**arguments: Any) -> str:
        calls.append((name, arguments))
        return result

    parameters = [
        inspect.Parameter(key, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=read_type(kind))
        for key, kind in spec["parameters"].items()
    ]
    function.__name__, function.__doc__ = name, spec["description"]
    function.__signature__ = inspect.Signature(parameters, return_annotation=str)  # type: ignore[attr-defined]
    return function


async def run_case(llm: FrameworkLLM, specs: dict[str, Any], case: dict[str, Any]) -> Outcome:
    calls: list[Call] = []
    results = {name: case["result"] if name == case["call"] else "nothing found" for name in case["tools"]}
    tools = [make_function(name, specs[name], result, calls) for name, result in results.items()]
    try:
        answer = str(await ReActAgent(tools=tools, llm=llm).run(case["request"], max_iterations=MAX_ITERATIONS))
    except Exception as error:  # a request that fails is one that did not finish, whatever the reason
        answer = ""
        problem = f", {type(error).__name__}: {error}"
    else:
        problem = ""
    called = any(name == case["call"] and same_arguments(case["args"], given) for name, given in calls)
    account = f"{case['request']!r}: called {calls}, answered {answer!r}{problem}"
    return Outcome(case["category"], called and contains(answer, case["answer"]), account)


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # LlamaIndex's own, one for every step
async def test_finishes(record_property: Callable[[str, object], None]) -> None:
    """The agent calls the right tool with the right arguments, and its final answer holds the result."""
    data = read_list("react")
    llm = FrameworkLLM(temperature=0)
    outcomes = [await run_case(llm, data["tools"], case) for case in data["cases"]]
    share = share_right("react", outcomes, record_property)
    assert share >= WANTED
