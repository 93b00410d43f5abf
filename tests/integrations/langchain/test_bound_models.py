"""What was bound to a chat model stays when tools, a form or a configuration are asked for after it."""

from __future__ import annotations

import pickle
import typing
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.prebuilt import create_react_agent
from pydantic import BaseModel

from langchain_llm_framework import FallbackChatModel, FrameworkChatModel
from langchain_llm_framework.binding import BoundChatModel
from llm_framework.types import ToolCall

Make = Callable[..., Any]
ANN = '{"name": "Ann", "age": 5}'


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


class Tags(BaseCallbackHandler):
    """Collects the tags of the models that start."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_chat_model_start(self, *args: Any, tags: list[str] | None = None, **kwargs: Any) -> None:
        self.seen.extend(tags or [])


@pytest.fixture(params=["one model", "several"])
def model(request: pytest.FixtureRequest, scripted: Make) -> tuple[Any, Any]:
    """A model that answers with Ann, by itself or as a member, and the backend behind it."""
    framework, backend = scripted(ANN)
    one = FrameworkChatModel(framework=framework)
    return (one if request.param == "one model" else FallbackChatModel([one])), backend


def test_tools_stay_beside_a_form(model: tuple[Any, Any]) -> None:
    """Tools and options that were bound before a form was asked for reach the backend with it; more may be added."""
    chat, backend = model
    bound = chat.bind_tools([add], tool_choice="any").bind(stop=["zz"])
    assert bound.with_structured_output(Person).invoke("hi") == Person(name="Ann", age=5)
    bound.with_structured_output(Person, tools=[multiply]).invoke("hi")
    first, second = backend.requests
    assert [spec.name for spec in first.tools] == ["add"]
    assert [spec.name for spec in second.tools] == ["add", "multiply"]
    assert first.response_format.name == "Person"
    assert (first.config.stop, first.tool_choice) == (("zz",), None)


def test_options_stay_beside_tools(model: tuple[Any, Any]) -> None:
    """Options that were bound before the tools stay; new tools replace those that were bound."""
    chat, backend = model
    chat.bind(stop=["zz"], temperature=0.5).bind_tools([add], tool_choice="add").bind_tools([multiply]).invoke("hi")
    request = backend.requests[0]
    assert ([spec.name for spec in request.tools], request.tool_choice) == (["multiply"], None)
    assert (request.config.stop, request.config.temperature) == (("zz",), 0.5)


def test_the_configuration_stays(model: tuple[Any, Any]) -> None:
    """Tags and callbacks given before tools or a form are those of its runs."""
    chat, _ = model
    tags = Tags()
    configured = chat.with_config(tags=["mine"], callbacks=[tags])
    configured.bind_tools([add]).invoke("hi")
    configured.with_structured_output(Person).invoke("hi")
    assert tags.seen.count("mine") == 2


@pytest.mark.filterwarnings("ignore:create_react_agent has been moved")
def test_an_agent_on_a_bound_model(scripted: Make) -> None:
    """An agent that binds its tools to a model with bound options keeps these."""
    framework, backend = scripted(ToolCall.create("add", {"a": 1, "b": 2}, "c1"), "done")
    bound = FrameworkChatModel(framework=framework).bind(stop=["zz"])
    state = create_react_agent(bound, [add]).invoke({"messages": [("user", "hi")]})
    assert state["messages"][-1].text == "done"
    assert [(request.config.stop, len(request.tools)) for request in backend.requests] == [(("zz",), 1)] * 2


def test_bindings_are_langchains(model: tuple[Any, Any]) -> None:
    """A bound model can be pickled, is written as LangChain's binding, and its annotations can be read."""
    bound = model[0].bind_tools([add])
    assert pickle.loads(pickle.dumps(bound)).kwargs == bound.kwargs
    assert dumpd(bound)["id"] == ["langchain", "schema", "runnable", "RunnableBinding"]
    for name in ("bind_tools", "with_structured_output"):
        kind = typing.get_origin(typing.get_type_hints(getattr(BoundChatModel, name))["return"])
        assert issubclass(kind, Runnable)
