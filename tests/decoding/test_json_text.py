"""JSON answers: a Markdown fence around the whole is left out, and nothing else."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_framework.decoding.json_text import JsonText

JSON = st.dictionaries(st.text("a`\n "), st.text("`\n ")).map(json.dumps)


def read(text: str, places: list[int]) -> str:
    """The answer, fed in pieces that are cut at `places`."""
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    parser = JsonText()
    pieces = [piece for start, end in itertools.pairwise(edges) for piece in parser.feed(text[start:end])]
    return "".join(map(str, pieces + parser.finish()))


@settings(deadline=None)
@given(
    JSON, st.sampled_from(["```json\n{}\n```", " ```\n{}```\n", "```JSON \n{}\n", "{}"]), st.lists(st.integers(0, 99))
)
def test_a_fence_is_left_out(answer: str, form: str, places: list[int]) -> None:
    """With a fence or without, however the stream is cut, the JSON comes out."""
    assert read(form.replace("{}", answer), places) == answer


@pytest.mark.parametrize("text", ["", " {}\n", "``", "`a`", "```", "no JSON ```at``` all\n```"])
def test_what_is_no_fence_is_kept(text: str) -> None:
    """An answer that does not begin with a fence stays as it is."""
    assert read(text, list(range(30))) == text


def test_json_is_shown_as_it_comes() -> None:
    """Only what may be the closing fence is held back."""
    parser = JsonText()
    assert [parser.feed(text) for text in ("``", "`json\n", '{"a"', ": 1}\n", "```")] == [
        [],
        [],
        ['{"a"'],
        [": 1}"],
        [],
    ]
    assert parser.finish() == []
