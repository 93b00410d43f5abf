"""`FrameworkChatModel` over real HTTP: what LangChain's options become on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Optional

import pytest
from langchain_core.tools import tool
from pydantic import BaseModel
from servers import small_model
from servers.chat_server import ChatServer, json_reply

from langchain_llm_framework import FrameworkChatModel


class Person(BaseModel):
    """A person."""

    name: str
    age: Optional[int] = None  # noqa: UP045


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def server() -> Iterator[ChatServer]:
    """A server that answers from the words of the request."""
    with ChatServer(handler=small_model.answer) as running:
        yield running


def model_at(server: ChatServer, name: str = "small") -> FrameworkChatModel:
    """A model of that server."""
    return FrameworkChatModel(name, base_url=server.url, api_key="sk-tests", max_retries=0)


@pytest.mark.parametrize("name", ["small", "llama3.2:1b", "org/model:free"])
def test_names_at_an_endpoint(name: str) -> None:
    """A colon that stands for no provider is part of the model's name."""
    with ChatServer(json_reply({"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]})) as server:
        assert model_at(server, name).invoke("hi").text == "ok"
        assert server.body["model"] == name


def test_strict(server: ChatServer) -> None:
    """`strict=True` reaches the server, for tools and for a form, which then has all its properties and no others."""
    model = model_at(server)
    model.bind_tools([add], strict=True).invoke("hi")
    function = server.body["tools"][0]["function"]
    assert (function["strict"], function["parameters"]["additionalProperties"]) == (True, False)
    assert model.with_structured_output(Person, strict=True).invoke("Ann is 5").age == 5  # type: ignore[union-attr]
    form: Any = server.body["response_format"]["json_schema"]
    assert (form["strict"], form["schema"]["required"]) == (True, ["name", "age"])
    model.with_structured_output(Person).invoke("Ann is 5")
    form = server.body["response_format"]["json_schema"]
    assert ("strict" in form, form["schema"]["required"]) == (False, ["name"])


def test_json_mode(server: ChatServer) -> None:
    """JSON mode without a schema asks the server for its JSON mode."""
    model_at(server).with_structured_output(method="json_mode").invoke("Some JSON, please")
    assert server.body["response_format"] == {"type": "json_object"}


def test_many_event_loops(server: ChatServer) -> None:
    """One model answers in one event loop after the other, and between them without one."""
    model = model_at(server)
    texts = [asyncio.run(model.ainvoke("hi")).text, model.invoke("hi").text, asyncio.run(model.ainvoke("hi")).text]
    assert len(set(texts)) == 1
