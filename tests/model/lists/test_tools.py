"""Tool calls of the bundled model through LangChain, on requests and tools that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import create_model
from scoring import Outcome, model_fields, read_list, same_arguments, share_right

from langchain_llm_framework import FrameworkChatModel

WANTED = 0.85


def make_tool(name: str, spec: dict[str, Any]) -> BaseTool:
    schema = create_model(name, **model_fields(spec["parameters"]))
    return StructuredTool.from_function(lambda **_: "", name=name, description=spec["description"], args_schema=schema)


def run_case(model: FrameworkChatModel, tools: dict[str, BaseTool], case: dict[str, Any]) -> Outcome:
    try:
        message = model.bind_tools([tools[name] for name in case["tools"]]).invoke(case["request"])
    except Exception as error:  # a request that fails is one that did not succeed, whatever the reason
        return Outcome(case["category"], False, f"{case['request']!r}: {type(error).__name__}: {error}")
    calls = [(call["name"], call["args"]) for call in message.tool_calls]
    right = len(calls) == 1 and calls[0][0] == case["call"] and same_arguments(case["args"], calls[0][1])
    return Outcome(case["category"], right, f"{case['request']!r}: called {calls}, answered {message.text!r}")


@pytest.mark.timeout(600)
def test_calls_the_right_tool(record_property: Callable[[str, object], None]) -> None:
    """The one call that the model makes is the right tool's, with the right arguments."""
    data = read_list("tools")
    tools = {name: make_tool(name, spec) for name, spec in data["tools"].items()}
    model = FrameworkChatModel(temperature=0)
    outcomes = [run_case(model, tools, case) for case in data["cases"]]
    share = share_right("tools", outcomes, record_property)
    assert share >= WANTED
