"""Tokens to text: whole characters, stop strings, and the same result however the text is cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_framework.decoding.text_stream import StopStrings, TextStream

STOPS = st.lists(st.text("abc", min_size=1, max_size=4), max_size=3)


def cut(text: str | bytes, places: list[int]) -> list[str | bytes]:
    """`text` cut at `places`."""
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def decode(pieces: list[bytes], stop: tuple[str, ...] = ()) -> str:
    """The text of byte pieces, each of them a token."""
    stream = TextStream(pieces.__getitem__, stop)
    return "".join(stream.feed(token) for token in range(len(pieces))) + stream.finish()


def reference(text: str, stop: list[str]) -> str:
    """What is left of `text` before the first place where a stop string begins."""
    return text[: min((text.index(s) for s in stop if s in text), default=len(text))]


@settings(deadline=None)
@given(st.text("abc", max_size=30), STOPS, st.lists(st.integers(0, 30)))
def test_any_cut_ends_at_the_first_stop_string(text: str, stop: list[str], places: list[int]) -> None:
    """However the text is cut, it ends at the earliest beginning of a stop string."""
    stops = StopStrings(stop)
    assert "".join(map(stops.feed, cut(text, places))) + stops.finish() == reference(text, stop)  # type: ignore[arg-type]
    assert stops.stopped == any(s in text for s in stop)


@settings(deadline=None)
@given(st.binary(max_size=24) | st.text(max_size=12).map(str.encode), st.lists(st.integers(0, 60)))
def test_any_cut_of_bytes_gives_the_same_text(data: bytes, places: list[int]) -> None:
    """However the tokens cut the bytes, the text is that of the bytes at once, with U+FFFD for what is no UTF-8."""
    assert decode(cut(data, places)) == data.decode("utf-8", "replace")  # type: ignore[arg-type]


def test_half_a_character_is_held_back() -> None:
    """Nothing is shown of a character before its last byte came."""
    euro = "€".encode()
    stream = TextStream([euro[:1], euro[1:2], euro[2:]].__getitem__)
    assert [stream.feed(0), stream.feed(1), stream.feed(2), stream.finish()] == ["", "", "€", ""]


def test_half_a_character_at_the_end_becomes_a_replacement() -> None:
    """A character that never gets whole is U+FFFD at the end."""
    assert decode([b"a", "€".encode()[:2]]) == "a\ufffd"


def test_text_that_cannot_begin_a_stop_string_is_shown_at_once() -> None:
    """Only what may be the beginning of a stop string is held back."""
    stops = StopStrings(["STOP"])
    assert [stops.feed("say S"), stops.feed("TO"), stops.feed("RE ST"), stops.finish()] == ["say ", "", "STORE ", "ST"]


def test_nothing_is_shown_after_a_stop_string() -> None:
    """What follows the stop string, in the same piece or later, is not part of the text."""
    stops = StopStrings(["x"])
    assert [stops.feed("axb"), stops.feed("c"), stops.finish()] == ["a", "", ""]
    assert stops.stopped


@pytest.mark.parametrize("pieces", [["ab", "cd"], ["abcd"], ["a", "b", "c", "d"]])
def test_a_longer_stop_string_that_begins_earlier_counts(pieces: list[str]) -> None:
    """Of two stop strings that overlap, the one that begins first ends the text."""
    stops = StopStrings(["abcd", "bc"])
    assert "".join(map(stops.feed, pieces)) + stops.finish() == ""


def test_a_stop_string_in_half_a_multibyte_character() -> None:
    """A stop string of several bytes is found across tokens that cut its characters."""
    data = "ab→c".encode()
    assert decode([data[i : i + 1] for i in range(len(data))], ("→",)) == "ab"
