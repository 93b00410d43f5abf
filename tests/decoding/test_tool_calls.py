"""Calls in a stream of text: the same calls and text, however the stream is cut."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_framework.decoding.dialects.prompted import call_text, model_text
from llm_framework.decoding.tool_calls import PlainText, ToolCallParser
from llm_framework.types import Chunk, Message, ResponseBuilder, ToolCall, ToolCallDelta

# Characters that the parser looks at, and pieces of its markers.
SPICY = st.lists(
    st.sampled_from(["<tool_call>", "</tool_call>", "<", "tool_", '"', "\\", "{", "}", "\n", ",", "é", "a ", "<tool"]),
    max_size=6,
).map("".join)
PLAIN = SPICY.filter(lambda text: "<tool_call>" not in text and not text.endswith("\n"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | SPICY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SPICY, inner, max_size=3),
    max_leaves=6,
)
CALLS = st.lists(st.tuples(SPICY.filter(bool), st.dictionaries(SPICY, VALUES, max_size=3)), max_size=3)


def parse(pieces: list[str]) -> ResponseBuilder:
    """What the parser makes of `pieces`, added up."""
    parser, builder = ToolCallParser(), ResponseBuilder()
    for piece in [out for text in pieces for out in parser.feed(text)] + parser.finish():
        builder.add(Chunk(text=piece) if isinstance(piece, str) else Chunk(tool_call=piece))
    assert parser.num_calls == len(builder.response().tool_calls)
    return builder


def cut(text: str, places: list[int]) -> list[str]:
    """`text` cut at `places`."""
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def read(text: str, *, cut_at: list[int] | None = None) -> tuple[str, list[tuple[str, Any, str]]]:
    """Text and calls (name, arguments, raw arguments)."""
    answer = parse([*text] if cut_at is None else cut(text, cut_at)).response()
    return answer.text, [(call.name, call.arguments, call.raw_arguments) for call in answer.tool_calls]


@settings(max_examples=300, deadline=None)
@given(PLAIN, CALLS, st.lists(st.integers(0, 400), max_size=12))
def test_what_the_dialect_writes_is_read_back(text: str, calls: list[Any], places: list[int]) -> None:
    """Any text and calls, written as a model turn and cut anywhere, are read back the same."""
    turn = model_text([Message.assistant(text, *(ToolCall.create(name, args) for name, args in calls))])
    read_text, read_calls = read(turn, cut_at=places)
    assert read_text == text
    assert [(name, args) for name, args, _ in read_calls] == calls


@settings(max_examples=300, deadline=None)
@given(st.lists(SPICY | st.just('<tool_call>{"name": "f", "arguments": {"a": "')), st.lists(st.integers(0, 200)))
def test_any_cut_of_anything_reads_the_same(parts: list[str], places: list[int]) -> None:
    """Even of nonsense, every cut gives the same text and calls."""
    text = "".join(parts)
    assert read(text, cut_at=places) == read(text) == read(text, cut_at=[])


@settings(deadline=None)
@given(PLAIN)
def test_text_without_a_call_comes_out_as_it_is(text: str) -> None:
    """Text that holds no call is not changed, whatever it looks like."""
    assert read(text) == (text, [])


def test_nothing_of_a_marker_is_shown() -> None:
    """What may become a marker is held back until it is one or cannot be one."""
    parser = ToolCallParser()
    assert parser.feed("Let me look.\n<tool") == ["Let me look."]
    assert parser.feed("s> and <") == ["\n<tools> and "]
    assert parser.feed("tool_call>") == []
    assert parser.num_calls == 0


def test_arguments_are_passed_on_as_they_come() -> None:
    """The first piece of a call has its id and name; the arguments follow as they are written, and nothing else."""
    parser = ToolCallParser()
    pieces = []
    for text in ['<tool_call>{"name": "f", "arg', 'uments": {"a"', ': "b', '"}', "}</tool_", "call>"]:
        pieces.append(parser.feed(text))
    first = pieces[1][0]
    assert isinstance(first, ToolCallDelta)
    assert (first.index, first.name, first.arguments) == (0, "f", '{"a"')
    assert first.id
    assert [[p.arguments for p in out if isinstance(p, ToolCallDelta)] for out in pieces[2:]] == [
        [': "b'],
        ['"}'],
        [],
        [],
    ]


def test_several_calls_have_their_own_index_and_id() -> None:
    """Each call is told apart by its index and has an id of its own."""
    text = "\n".join(call_text(ToolCall.create("f", {"i": i})) for i in range(3))
    deltas = [piece for piece in ToolCallParser().feed(text) if isinstance(piece, ToolCallDelta)]
    assert [delta.index for delta in deltas if delta.id] == [0, 1, 2]
    assert len({delta.id for delta in deltas if delta.id}) == 3


@pytest.mark.parametrize(
    ("body", "name", "arguments"),
    [
        ('{"arguments": {"a": 1}, "name": "f"}', "f", {"a": 1}),
        ('{"name": "f", "parameters": {"a": 1}}', "f", {"a": 1}),
        (' \n{ "name" : "f" , "arguments" : { "a" : 1 } } \n', "f", {"a": 1}),
        ('{"name": "f"}', "f", {}),
        ('{"name": "f", "arguments": "{\\"a\\": 1}"}', "f", {"a": 1}),
        ('{"name": "f", "arguments": {"a": 1}', "f", {"a": 1}),
        ('{"name": "f", "arguments": {"a": 1}, "id": "{x}"}', "f", {"a": 1}),
        ('{"name": "a\\"b\\u00e9", "arguments": {}}', 'a"bé', {}),
    ],
)
@pytest.mark.parametrize("end", ["</tool_call>", ""])
def test_unusual_forms_of_a_call_are_understood(body: str, name: str, arguments: dict[str, Any], end: str) -> None:
    """Other orders, other blanks, a forgotten brace or end mark: what is meant is clear, so it is taken."""
    text, calls = read(f"<tool_call>{body}{end}")
    assert (text, [call[:2] for call in calls]) == ("", [(name, arguments)])


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("get_weather(Paris)", ""),
        ('{"name": "f", "arguments": {"a": }}', "f"),
        ('{"name": "f", "arguments": {"a": 1', "f"),
        ('{"name": "f", "arguments": [1, 2]}', "f"),
        ('{"name": "f", arguments}', "f"),
        ("[1, 2]", ""),
        ('{"name": 3}', ""),
    ],
)
def test_a_broken_call_is_one_call_with_raw_arguments(body: str, name: str) -> None:
    """A call that is no JSON comes out as one call that says so, and the text after it stays text."""
    answer = parse([*f"Look:\n<tool_call>{body}</tool_call>\nDone"]).response()
    assert answer.text == "Look:\nDone"
    (call,) = answer.tool_calls
    assert call.name == name
    if body != '{"name": 3}':
        assert call.arguments is None
        assert call.error
        assert call.raw_arguments in body


def test_an_end_mark_in_a_string_that_never_closes_ends_the_call() -> None:
    """A forgotten quote does not swallow the calls and the text that follow."""
    broken = '<tool_call>{"name": "f", "arguments": {"a": "b}}</tool_call>\n'
    text, calls = read(broken + call_text(ToolCall.create("g", {})))
    assert text == ""
    assert [(name, args) for name, args, _ in calls] == [("f", None), ("g", {})]


def test_a_call_without_its_end_mark_ends_where_the_next_begins() -> None:
    """Two calls of which the first one's end mark was forgotten are two calls."""
    _, calls = read('<tool_call>{"name": "f", "arguments": {}}\n<tool_call>{"name": "g", "arguments": {}}</tool_call>')
    assert [call[0] for call in calls] == ["f", "g"]


@pytest.mark.parametrize("text", ["<tool_call>", "<tool_call></tool_call>", "a <tool_call> </tool_call> b"])
def test_a_call_of_nothing_is_text(text: str) -> None:
    """Markers with nothing between them are text."""
    assert read(text) == (text, [])


def test_a_long_answer_takes_linear_time() -> None:
    """Every character is looked at once, so large arguments are no trouble."""
    call = ToolCall.create("f", {"text": "<" * 200_000})
    _, calls = read(call_text(call), cut_at=list(range(0, 200_000, 50)))
    assert calls[0][1] == call.arguments


def test_without_tools_markers_are_text() -> None:
    """A request without tools gets the text as it is."""
    parser = PlainText()
    text = json.dumps("<tool_call>{}</tool_call>")
    assert [*parser.feed(text), *parser.finish(), *parser.feed("")] == [text]
