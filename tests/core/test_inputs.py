from __future__ import annotations

import re
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from llm_framework import ImagePart, InvalidRequestError, Message, TextPart, ToolSpec
from llm_framework.inputs import as_messages, as_response_format, as_tools


class Unit(str, Enum):
    C = "c"
    F = "f"


def get_weather(city: str, unit: Unit = Unit.C, days: int | None = None, mode: Literal["a", "b"] = "a") -> str:
    """Get the weather.

    For one city only.

    Args:
        city: The name of the city,
            in English.
        unit (Unit): Celsius or Fahrenheit.

    Returns:
        A text.
    """
    return city


def test_prompts_come_in_three_forms() -> None:
    """A text, messages, and dicts as OpenAI writes them are the same thing."""
    assert as_messages("hi") == (Message.user("hi"),)
    assert as_messages([Message.user("hi")]) == as_messages([{"role": "user", "content": "hi"}])
    image = {"type": "image_url", "image_url": {"url": "http://x/y.png"}}
    (message,) = as_messages([{"role": "user", "content": [{"type": "text", "text": "see"}, image]}])
    assert message.parts == (TextPart("see"), ImagePart(url="http://x/y.png"))


def test_tool_turns_in_dicts_are_understood() -> None:
    """Calls and results of an OpenAI-style history become ours."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    asked, told = as_messages(
        [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "2"},
        ]
    )
    assert asked.tool_calls[0].arguments == {"x": 1}
    assert (told.tool_results[0].call_id, told.tool_results[0].text) == ("c1", "2")


@pytest.mark.parametrize("prompt", [3, None, [3], [{"content": "x"}], [{"role": "boss", "content": "x"}], b"x"])
def test_other_prompts_are_refused(prompt: Any) -> None:
    """What is no prompt is a typed error."""
    with pytest.raises(InvalidRequestError):
        as_messages(prompt)


def test_a_typed_function_is_a_tool() -> None:
    """Name, description, types, defaults and the docstring's arguments make the tool's schema."""
    (tool,) = as_tools([get_weather])
    assert (tool.name, tool.description) == ("get_weather", "Get the weather.\n\nFor one city only.")
    properties = tool.parameters["properties"]
    assert list(properties) == ["city", "unit", "days", "mode"]
    assert properties["city"] == {"type": "string", "description": "The name of the city, in English."}
    assert properties["unit"]["description"] == "Celsius or Fahrenheit."
    assert properties["mode"]["enum"] == ["a", "b"]
    assert tool.parameters["required"] == ["city"]
    assert "title" not in tool.parameters


def test_openai_dicts_are_tools() -> None:
    """Both the wrapped and the bare form of a function dict are taken."""
    function = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
    assert as_tools([{"type": "function", "function": function}]) == as_tools([function])
    assert as_tools([function])[0] == ToolSpec("f", "d", function["parameters"])


def variadic(*args: int) -> None: ...


def untyped(x: NoSuchType) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("tool", [3, {}, {"name": ""}, variadic, untyped])
def test_other_tools_are_refused(tool: Any) -> None:
    """What has no schema is a typed error."""
    with pytest.raises(InvalidRequestError):
        as_tools([tool])


class Answer(BaseModel):
    title: str


def test_response_formats_come_in_several_forms() -> None:
    """A pydantic class, a schema (plain or as OpenAI wraps it) and a regular expression are taken."""
    form = as_response_format(Answer)
    assert form is not None
    assert (form.python_type, form.name) == (Answer, "Answer")
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    wrapped = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert getattr(as_response_format(wrapped), "schema", None) == schema
    assert getattr(as_response_format(schema), "schema", None) == schema
    assert getattr(as_response_format({"type": "json_object"}), "schema", None) == {"type": "object"}
    assert as_response_format("a|b") == as_response_format(re.compile("a|b"))


@pytest.mark.parametrize("form", ["(", 3, lambda: None])
def test_other_response_formats_are_refused(form: Any) -> None:
    """What is no format is a typed error."""
    with pytest.raises(InvalidRequestError):
        as_response_format(form)
