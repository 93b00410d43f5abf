"""A real LangChain agent on the bundled model: thirty requests that it was not trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import create_model

from langchain_llm_framework import FrameworkChatModel

REQUESTS = Path(__file__).parents[1] / "agent_requests.yaml"
WANTED = 0.8  # of the requests
TYPES: dict[str, type] = {"string": str, "integer": int, "number": float}


class Outcome(NamedTuple):
    """What an agent made of one request."""

    request: dict[str, Any]
    called: list[tuple[str, dict[str, Any]]]
    answer: str
    error: str = ""

    @property
    def success(self) -> bool:
        """The right tool was called with the right arguments, and the answer says what it returned."""
        [(name, arguments)] = self.request["call"].items()
        called = any(tool == name and same(arguments, given) for tool, given in self.called)
        return called and self.request["answer"].lower() in self.answer.lower()


def same(wanted: dict[str, Any], given: dict[str, Any]) -> bool:
    """Whether two calls' arguments mean the same: case aside, and numbers by their value."""
    return wanted.keys() == given.keys() and all(plain(wanted[name]) == plain(given[name]) for name in wanted)


def plain(value: Any) -> Any:
    return float(value) if isinstance(value, (int, float)) else str(value).strip().lower()


def make_tool(spec: dict[str, Any], requests: list[dict[str, Any]]) -> BaseTool:
    """A tool that knows the results of the requests, by the arguments they should be called with."""
    name = spec["name"]
    schema = create_model(name, **{key: (TYPES[kind], ...) for key, kind in spec["parameters"].items()})  # type: ignore[call-overload]

    def look_up(**arguments: Any) -> str:
        matching = (r for r in requests if name in r["call"] and same(r["call"][name], arguments))
        return next((str(request["result"]) for request in matching), "unknown")

    return StructuredTool.from_function(look_up, name=name, description=spec["description"], args_schema=schema)


def run_request(agent: Any, request: dict[str, Any]) -> Outcome:
    try:
        state = agent.invoke({"messages": [("user", request["ask"])]}, {"recursion_limit": 10})
    except Exception as error:  # a request that fails is one that did not succeed, whatever the reason
        return Outcome(request, [], "", f"{type(error).__name__}: {error}")
    messages: list[BaseMessage] = state["messages"]
    calls = [(c["name"], c["args"]) for m in messages if isinstance(m, AIMessage) for c in m.tool_calls]
    return Outcome(request, calls, messages[-1].text)


def table(outcomes: list[Outcome]) -> str:
    rows = [f"  {o.request['ask']!r}: called {o.called}, answered {o.answer or o.error!r}" for o in outcomes]
    return "\n".join(rows)


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    data = yaml.safe_load(REQUESTS.read_text(encoding="utf-8"))
    model = FrameworkChatModel(temperature=0)
    agents: dict[str, Any] = {}
    for name, specs in data["toolsets"].items():
        requests = [request for request in data["requests"] if request["tools"] == name]
        agents[name] = create_agent(model, tools=[make_tool(spec, requests) for spec in specs])
    return [run_request(agents[request["tools"]], request) for request in data["requests"]]


def test_the_agent_answers_most_requests(outcomes: list[Outcome]) -> None:
    """In at least four of five requests the agent calls the right tool rightly and says what it returned."""
    failures = [outcome for outcome in outcomes if not outcome.success]
    print(f"{len(outcomes) - len(failures)} of {len(outcomes)} requests succeeded\n{table(failures)}")
    assert len(outcomes) == 30
    assert 1 - len(failures) / len(outcomes) >= WANTED, table(failures)


def test_the_agent_never_breaks(outcomes: list[Outcome]) -> None:
    """No request ends in an error, whatever the model writes."""
    assert [outcome.error for outcome in outcomes if outcome.error] == []
