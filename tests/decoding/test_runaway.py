"""A model that writes the same digit or word for ever still answers."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy as np
import pytest

from llm_framework.decoding.constraints import ConstraintCompiler
from llm_framework.errors import UnsupportedFeatureError
from llm_framework.types import InferenceRequest, ResponseFormat

from .test_lark import Bytes


def greedy(schema: Any, wishes: str, num_tokens: int = 1500) -> str:
    """What a model writes that always prefers the first of `wishes` that is allowed; `wishes` is taken in a cycle from
    behind the byte written last where it stands in there."""
    request = InferenceRequest("x", response_format=ResponseFormat(schema=schema))
    one = ConstraintCompiler(Bytes(), 259, [256]).for_request(request, (), num_tokens)
    assert one is not None
    text = b""
    for left in range(num_tokens - 1, -1, -1):
        mask = one.mask()
        assert mask is not None
        allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")[:256]).tolist()
        if not allowed:
            break
        token = next((byte for byte in wishes.encode() if byte in allowed), allowed[0])
        taken = one.commit(token, left)
        if taken is None:
            break
        text += bytes([taken])
        if one.is_done():
            break
    jsonschema.validate(json.loads(text), schema)
    return text.decode()


@pytest.mark.parametrize(
    ("schema", "wishes", "text"),
    [
        ({"type": "integer"}, "7", "7" * 19),
        ({"type": "integer"}, "-7", "-" + "7" * 19),
        ({"type": "integer", "minimum": 5}, "7", "7" * 19),
        ({"type": "number"}, "7", "7" * 19 + "." + "7" * 17 + "E77"),
        ({"type": "number", "maximum": 100}, ".37", "3." + "3" * 17),
        ({"type": "number"}, "e.37", "3e33"),
        ({"type": "number", "minimum": 0, "maximum": 9}, "3.7", "3." + "3" * 17),
        ({"const": 10**24}, "7", str(10**24)),
        ({"enum": [10**20, 10**22]}, "0", str(10**22)),
        (
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            "7",
            '{"a": ' + "7" * 19 + "}",
        ),
    ],
)
def test_a_number_ends(schema: Any, wishes: str, text: str) -> None:
    """After 19 digits, 17 behind the point and 2 in the exponent; what the schema names itself may be longer."""
    end = json.loads(greedy(schema, wishes))
    assert json.dumps(end) == json.dumps(json.loads(text))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "multipleOf": 2}, {"type": "integer", "multipleOf": 7},
        {"type": "integer", "minimum": 10**12}, {"type": "number", "multipleOf": 0.5},
    ],
)  # fmt: skip
def test_what_a_schema_demands_comes_first(schema: Any) -> None:
    """A number becomes what it has to be, if need be beyond its 19 digits, and ends then."""
    assert len(greedy(schema, "7")) < 60


def test_bounds_that_no_grammar_keeps_are_refused() -> None:
    """llguidance reads the bounds of integers as 64 bits wide, and would take others for the nearest such number."""
    with pytest.raises(UnsupportedFeatureError, match=r"response_format cannot be enforced: .*64 bits"):
        greedy({"type": "array", "items": {"type": "integer", "minimum": 10**24, "maximum": 10**26}}, "7")
    assert greedy({"type": "integer", "minimum": 0, "maximum": 10**26}, "7") == "7" * 19


@pytest.mark.parametrize("wishes", ["a", "é"])
def test_a_string_that_repeats_itself_ends(wishes: str) -> None:
    """The same for 256 bytes is enough, unless the schema wants more of it."""
    assert len(greedy({"type": "string"}, wishes).encode()) <= 260
    assert len(json.loads(greedy({"type": "string", "minLength": 400}, "a"))) == 400
    assert len(json.loads(greedy({"const": "a" * 300}, "a"))) == 300
    assert len(json.loads(greedy({"type": "string", "pattern": "^a{300,310}$"}, "a"))) == 300
