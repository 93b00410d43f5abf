"""Grammars, the shortest ways to end, and constraints over a small vocabulary of single bytes and a few words."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from llm_framework.decoding import constraints
from llm_framework.decoding.constraints import Constraint, ConstraintCompiler
from llm_framework.decoding.grammars import prepared, unanchored
from llm_framework.decoding.shortest import shortest_instance
from llm_framework.errors import InvalidRequestError, StructuredOutputError, UnsupportedFeatureError
from llm_framework.types import InferenceRequest, ResponseFormat, ToolSpec

PADDED = 300  # ids without a piece at the end, as some models have them


class Words:
    """Single bytes, then some words; the last two of them are special."""

    def __init__(self, markers: bool = True) -> None:
        self._words = [bytes([byte]) for byte in range(256)]
        self._words += [b'{"', b'": ', b'", "', b'"}', b"<eos>"] + [b"<tool_call>", b"</tool_call>"] * markers
        self._first_special = 260

    @property
    def specials(self) -> Mapping[str, int]:
        """Names and ids."""
        return {self._words[id].decode(): id for id in range(self._first_special, len(self._words))}

    def encode(self, text: str, *, add_bos: bool = False, parse_special: bool = True) -> list[int]:
        """Byte by byte."""
        return list(text.encode())

    def token_bytes(self, id: int) -> bytes:
        """What the token stands for."""
        return self._words[id] if id < len(self._words) else b""

    def is_special(self, id: int) -> bool:
        """Whether it is one."""
        return self._first_special <= id < len(self._words)


def compiler(markers: bool = True) -> ConstraintCompiler:
    """A compiler for it."""
    return ConstraintCompiler(Words(markers), PADDED, [260])


def constraint(max_tokens: int = 100, *, markers: bool = True, **values: Any) -> Constraint:
    """The constraint of a request."""
    made = compiler(markers).for_request(InferenceRequest("x", **values), values.get("tools", ()), max_tokens)
    assert made is not None
    return made


def schema(**values: Any) -> dict[str, Any]:
    """A request's response_format."""
    return {"response_format": ResponseFormat(schema=values)}


def allowed(one: Constraint) -> set[int]:
    """The ids that the mask allows."""
    mask = one.mask()
    assert mask is not None
    assert mask.dtype == np.uint32
    assert mask.shape == ((PADDED + 31) // 32,)
    return set(np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist())


def feed(one: Constraint, text: str, num_left: int = 1000) -> None:
    """Commit a text byte by byte; every byte has to be allowed, and none be replaced."""
    for byte in text.encode():
        mask = one.mask()
        assert mask is None or byte in allowed(one)
        assert one.commit(byte, num_left) == byte


PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["age"]}
TOOLS = (ToolSpec("look_up", "", PERSON), ToolSpec("stop", "", {"type": "object", "properties": {}}))


# --------------------------------------------------------------------------------------------------------------- masks
def test_a_schema_is_followed_to_its_end() -> None:
    """JSON is written as json.dumps writes it; at its end only the end token may follow."""
    one = constraint(**schema(**PERSON))
    feed(one, json.dumps({"name": "Zoë \\", "age": -3}, ensure_ascii=False))
    assert one.may_end()
    assert allowed(one) <= {260}


def test_unknown_properties_are_left_out_unless_asked_for() -> None:
    """An object that lists its properties is closed."""
    closed, opened = constraint(**schema(**PERSON)), constraint(**schema(**PERSON, additionalProperties=True))
    for one in (closed, opened):
        feed(one, '{"age": 3')
    assert ord(",") not in allowed(closed)
    assert ord(",") in allowed(opened)


def test_a_token_that_is_not_allowed_does_not_get_in() -> None:
    """A loop that does not keep to the mask gets the token with which the answer can be ended."""
    one = constraint(**schema(**PERSON))
    assert one.commit(ord("x"), 50) == 256


def test_a_grammar_that_cannot_be_followed_is_an_error() -> None:
    """Where no token may follow, StructuredOutputError is raised, and no mask that allows nothing is given."""
    one = constraint(**schema(const=1))
    one._matcher.consume_token(ord("x"))  # type: ignore[attr-defined]
    with pytest.raises(StructuredOutputError, match="cannot be followed"):
        one.mask()


@pytest.mark.parametrize("markers", [True, False])
def test_calls_come_one_a_line(markers: bool) -> None:
    """Forced calls are of the tools offered, with the markers as special tokens where the vocabulary has them."""
    one = constraint(tools=TOOLS, tool_choice="any", markers=markers)
    for _ in range(2):
        if markers:
            assert allowed(one) == {261}
            one.commit(261, 500)
        else:
            feed(one, "<tool_call>")
        feed(one, '{"name": "stop", "arguments": {}}')
        if markers:
            assert allowed(one) == {262}
            one.commit(262, 500)
        else:
            feed(one, "</tool_call>")
        assert one.may_end()
        feed(one, "\n")
        assert not one.may_end()


@pytest.mark.parametrize("markers", [True, False])
def test_text_before_a_call_is_free(markers: bool) -> None:
    """Nothing is forbidden until a call begins, and again when it has ended."""
    one = constraint(tools=TOOLS, markers=markers)
    feed(one, "Let me <tool> see: <tool_ca")
    feed(one, "ll>" if not markers else " x")
    if markers:
        one.commit(261, 500)
    feed(one, '{"name": "')
    assert allowed(one) & set(range(256)) == {ord("l"), ord("s")}
    feed(one, 'look_up", "arguments": {"age": 1}}')
    if markers:
        one.commit(262, 500)
    else:
        feed(one, "</tool_call>")
    assert one.mask() is None
    feed(one, "and so on")
    assert not one.is_done()


def test_a_call_that_does_not_fit_is_not_begun() -> None:
    """Where too little is left for the shortest call, its marker is forbidden."""
    one = constraint(500, tools=TOOLS)
    one.commit(ord("a"), 60)
    assert one.mask() is None
    one.commit(ord("a"), 20)
    assert set(range(PADDED)) - allowed(one) == {261}


# -------------------------------------------------------------------------------------------------------------- budget
@pytest.mark.parametrize(
    ("values", "shortest"),
    [
        (schema(**PERSON), '{"age": 0}'),
        (schema(type="array", items={"type": "boolean"}, minItems=2), "[true, true]"),
        (schema(enum=["a long one", 17]), "17"),
        ({"response_format": ResponseFormat(regex="a*(bc){2}|x{9}")}, "bcbc"),
    ],
)
def test_the_shortest_answer_is_what_is_left_at_the_end(values: dict[str, Any], shortest: str) -> None:
    """With exactly the room for it the tokens that lead elsewhere are replaced; with less the request is refused."""
    needed = constraint(**values).num_needed  # type: ignore[attr-defined]
    one, text, words = constraint(needed, **values), b"", Words()
    for left in range(needed - 1, -1, -1):
        token = one.commit(max(allowed(one) - {260}), left)
        assert token is not None
        text += words.token_bytes(token)
    assert one.may_end()
    assert len(text) <= len(shortest)
    with pytest.raises(InvalidRequestError, match=f"room for {needed - 1} tokens.*needs {needed}"):
        constraint(needed - 1, **values)


def test_strings_are_not_cut_before_the_end() -> None:
    """A string may go on until only its end fits."""
    one = constraint(20, **schema(type="string"))
    feed(one, '"', 19)
    for left in range(18, 0, -1):
        assert one.commit(ord("a"), left) == ord("a")
    assert one.commit(ord("a"), 0) == ord('"')
    assert one.may_end()


def test_another_call_is_not_begun_where_it_does_not_fit() -> None:
    """A whole answer ends before a token that would begin what cannot be ended."""
    one = constraint(tools=TOOLS, tool_choice="any", markers=False)
    feed(one, '<tool_call>{"name": "stop", "arguments": {}}</tool_call>')
    assert one.may_end()
    assert one.commit(ord("\n"), 20) is None
    assert one.commit(ord("\n"), 200) == ord("\n")


# ----------------------------------------------------------------------------------------------------- schemas, caches
@pytest.mark.parametrize("wrong", [{"not": {}}, {"type": "frob"}, {"type": "string", "pattern": "a(?=b)"}])
def test_what_cannot_be_enforced_is_refused(wrong: dict[str, Any]) -> None:
    """The error gives the reason."""
    with pytest.raises(UnsupportedFeatureError, match="response_format cannot be enforced: "):
        constraint(**schema(**wrong))


def test_a_grammar_is_compiled_once() -> None:
    """The same form, given anew, is taken from the cache; the constraints do not share where they stand."""
    made = compiler()
    request = InferenceRequest("x", response_format=ResponseFormat(schema=json.loads(json.dumps(PERSON))))
    first, second = (made.for_request(request, (), 100) for _ in range(2))
    assert len(made._cache) == 1
    assert first is not None
    assert second is not None
    feed(first, '{"age')
    feed(second, '{"name')


def test_a_large_vocabulary_is_prepared_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first constraint finds it done; the thread ends by itself, and closing waits for it. A small one starts no
    thread."""
    before = set(threading.enumerate())
    made = compiler()
    made.prepare()
    assert set(threading.enumerate()) == before
    monkeypatch.setattr(constraints, "LARGE_VOCABULARY", PADDED)
    made.prepare()
    made.prepare()
    made.close()
    made.close()
    assert set(threading.enumerate()) == before
    assert made._tokenizer is not None
    feed(made.for_request(InferenceRequest("x", **schema(**PERSON)), (), 100), '{"age": 3}')  # type: ignore[arg-type]


def test_formats_that_nothing_enforces_are_remarks() -> None:
    """Known formats stay; a property that is called format stays too."""
    given = {"properties": {"format": {"format": "password"}, "day": {"format": "date"}}, "format": "x"}
    assert prepared(given) == {
        "properties": {"format": {}, "day": {"format": "date"}}, "additionalProperties": False,
    }  # fmt: skip
    assert "additionalProperties" not in prepared({**given, "allOf": [{"properties": {"b": {}}}]})


@pytest.mark.parametrize(
    ("regex", "bare"), [("^a$", "a"), (r"a\$", r"a\$"), (r"\Aa\Z", "a"), (r"a\\$", r"a\\"), ("a^b", "a^b")]
)
def test_anchors_around_an_expression_are_taken_off(regex: str, bare: str) -> None:
    """They say nothing; inside they stay."""
    assert unanchored(regex) == bare


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"type": "string", "minLength": 3}, '"aaa"'),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, "0"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"const": "x"}}}, '"x"'),
        ({"type": "integer", "minimum": 40}, "40"),
        ({"type": "object", "properties": {"a": {}}, "required": ["a", "b"]}, '{"a": 0, "b": 0}'),
        ({"$ref": "#"}, None),
        (False, None),
    ],
)
def test_the_shortest_instance_of_a_schema(given: Any, text: str | None) -> None:
    """It is found by looking at the schema; None where there is none to be seen."""
    assert shortest_instance(given) == text
    assert text is None or re.match(r'["{0-9]', text)
