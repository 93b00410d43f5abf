"""The table of `docs/prompted-dialect.md`, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from llm_framework.decoding.schema_text import parameters_text, type_text

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string"}, "string"),
        ({"type": "integer"}, "integer"),
        ({"type": "number"}, "number"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "null"}, "null"),
        ({"type": "array", "items": {"type": "string"}}, "string[]"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, "number[][]"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, '("a" | "b")[]'),
        ({"type": "array", "items": {"enum": ["a"]}}, '"a"[]'),
        ({"type": "array"}, "any[]"),
        (PERSON, '{"name": string, "age"?: integer}'),
        ({"properties": {"a": {}}}, '{"a"?: any}'),
        ({"type": "object"}, "object"),
        ({"type": "object", "properties": {}}, "object"),
        ({"type": "string", "enum": ["c", "f"]}, '"c" | "f"'),
        ({"enum": ["é", 1, None, True]}, '"é" | 1 | null | true'),
        ({"const": 3}, "3"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string | null"),
        ({"oneOf": [{"type": "string"}, {"type": "array", "items": {}}]}, "string | any[]"),
        ({"anyOf": [{"type": "string"}, {"type": "string", "format": "date"}]}, "string"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"type": ["array", "null"], "items": {"type": "string"}}, "string[] | null"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "(string | null)[]"),
        ({"allOf": [{"type": "string"}]}, "any"),
        ({"type": "strange"}, "any"),
        ({}, "any"),
        (True, "any"),
        (None, "any"),
        ({**PERSON, "anyOf": [{"required": ["name"]}, {"required": ["age"]}]}, '{"name": string, "age"?: integer}'),
    ],
)
def test_each_kind_of_schema_is_written_as_the_table_says(schema: Any, text: str) -> None:
    """Each kind of schema is written as the table says."""
    assert type_text(schema) == text


def test_a_reference_is_written_as_what_it_points_to() -> None:
    """A $ref is written as what it points to, also below keys with a slash."""
    schema = {
        "type": "object",
        "properties": {"who": {"$ref": "#/$defs/Person"}, "odd": {"$ref": "#/$defs/a~1b%20c"}},
        "$defs": {"Person": PERSON, "a/b c": {"type": "number"}},
    }
    assert type_text(schema) == '{"who"?: {"name": string, "age"?: integer}, "odd"?: number}'


def test_recursion_ends_in_object() -> None:
    """A reference to what is being written is `object`."""
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "root": {"$ref": "#"}}}
    schema = {"$ref": "#/$defs/Node", "$defs": {"Node": node}}
    assert type_text(schema) == '{"next"?: object, "root"?: object}'


@pytest.mark.parametrize("ref", ["#/$defs/Missing", "https://example.com/x.json", "#/$defs/list/7", ""])
def test_a_reference_to_nothing_is_any(ref: str) -> None:
    """A reference that cannot be followed is `any`; nothing is fetched."""
    assert type_text({"$ref": ref, "$defs": {"list": [{}]}}) == "any"


def test_definitions_that_double_each_other_stay_small() -> None:
    """A schema that would be exponentially long when written out is cut off with `any`."""
    pair = {"type": "object", "properties": {}}
    defs: dict[str, Any] = {"D40": pair}
    for i in range(40):
        ref = {"$ref": f"#/$defs/D{i + 1}"}
        defs[f"D{i}"] = {"type": "object", "properties": {"a": ref, "b": ref}}
    assert len(type_text({"$ref": "#/$defs/D0", "$defs": defs})) < 100_000


def test_parameters_are_in_the_order_of_the_schema() -> None:
    """A tool's parameters are written in the schema's order, optional ones with a question mark."""
    schema = {
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}, "days": {"$ref": "#/$defs/D"}},
        "required": ["city", "days"],
        "$defs": {"D": {"type": "integer"}},
    }
    assert parameters_text(schema) == 'city: string, unit?: "c" | "f", days: integer'
