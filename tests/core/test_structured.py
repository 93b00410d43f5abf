from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from llm_framework import StructuredOutputError
from llm_framework.engine.structured import faults, parse
from llm_framework.inputs import as_response_format
from llm_framework.types import Message, ToolCall, text_response

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "kind": {"enum": ["a", "b"]},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "maxItems": 2},
        "age": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"Tag": {"type": "string"}},
}


class City(BaseModel):
    name: str
    people: int


def parsed(text: str, form: Any, **fields: Any) -> Any:
    wanted = as_response_format(form)
    assert wanted is not None
    return parse(text_response(text, model="m", **fields), wanted)


def test_a_pydantic_class_gives_its_instance() -> None:
    """The answer's JSON becomes an instance, also out of a code block."""
    assert parsed('{"name": "Paris", "people": 2}', City) == City(name="Paris", people=2)
    assert parsed('```json\n{"name": "Paris", "people": 2}\n```', City).people == 2
    assert parsed("[1, 2]", list[int]) == [1, 2]


def test_a_schema_gives_plain_data() -> None:
    """A JSON schema gives dicts and lists; a regex the text."""
    assert parsed('{"name": "x", "tags": ["t"]}', SCHEMA) == {"name": "x", "tags": ["t"]}
    assert parsed("2026-01-02", r"\d{4}-\d\d-\d\d") == "2026-01-02"


@pytest.mark.parametrize(
    ("text", "form", "says"),
    [
        ("Paris", City, "not valid JSON"), ('{"name": "x"}', City, "people"), ("yes!", "yes|no", "regular expression"),
        ("[]", SCHEMA, "type object"), ("[" * 100_000, SCHEMA, "not valid JSON"),
    ],
)  # fmt: skip
def test_an_answer_of_another_form_is_an_error_with_the_answer(text: str, form: Any, says: str) -> None:
    """The error says what does not fit and holds the response."""
    with pytest.raises(StructuredOutputError, match=says) as caught:
        parsed(text, form)
    assert caught.value.response.text == text


def test_an_answer_cut_off_is_told_so() -> None:
    """Where max_tokens ended the JSON, the error says it."""
    with pytest.raises(StructuredOutputError, match="max_tokens"):
        parsed('{"name', City, finish_reason="length")


def test_a_tool_call_is_no_answer_to_parse() -> None:
    """Where the model called a tool instead of answering, parsed is None and no error."""
    assert parsed("", City, message=Message.assistant(ToolCall.create("t", {}))) is None


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({}, "$.name"), ({"name": 3}, "$.name"), ({"name": "x", "kind": "c"}, "$.kind"), ({"name": "x", "z": 1}, "$.z"),
        ({"name": "x", "tags": ["a", 1]}, "$.tags[1]"), ({"name": "x", "tags": ["a"] * 3}, "$.tags"),
        ({"name": "x", "age": "old"}, "$.age"), ({"name": "x", "age": True}, "$.age"),
    ],
)  # fmt: skip
def test_faults_name_their_place(value: Any, place: str) -> None:
    """What does not fit the schema is found and its place named."""
    assert place in next(faults(value, SCHEMA))


@pytest.mark.parametrize("value", [{"name": "x", "age": 3.0}, {"name": "x", "kind": "a", "age": None}])
def test_values_that_fit_have_no_faults(value: Any) -> None:
    """A whole float is an integer, null fits where it may."""
    assert list(faults(value, SCHEMA)) == []
