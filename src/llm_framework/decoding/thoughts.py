"""Thoughts that a model writes before its answer, between marks of its own: they are not part of the text."""

from __future__ import annotations

from .tool_calls import OutputParser, Piece, Thought


class ThoughtParser:
    """Takes the thoughts off the beginning of an answer and leaves the rest to `inner`. White space around them goes
    with them; an answer that does not begin with `start` is the inner parser's as it is."""

    def __init__(self, inner: OutputParser, start: str, end: str) -> None:
        self._inner = inner
        self._start, self._end = start, end
        self._state = "beginning"
        self._held = ""

    @property
    def num_calls(self) -> int:
        """The tool calls begun so far."""
        return self._inner.num_calls

    def feed(self, text: str) -> list[Piece]:
        """What is certain after this piece."""
        if self._state == "answer":
            return self._inner.feed(text)
        text, self._held = self._held + text, ""
        if self._state == "beginning":
            return self._begin(text)
        return self._think(text) if self._state == "thought" else self._pause(text)

    def finish(self) -> list[Piece]:
        """What was held back: of a thought without its end, the rest."""
        held, self._held = self._held, ""
        if self._state == "thought":
            return [*([Thought(held)] if held else []), *self._inner.finish()]
        rest = held if self._state == "beginning" else ""
        return [*(self._inner.feed(rest) if rest else []), *self._inner.finish()]

    def _begin(self, text: str) -> list[Piece]:
        head = text.lstrip()
        if head.startswith(self._start):
            self._state = "thought"
            return self._think(head[len(self._start) :])
        if self._start.startswith(head):
            self._held = text
            return []
        self._state = "answer"
        return self._inner.feed(text)

    def _think(self, text: str) -> list[Piece]:
        thought, end, rest = text.partition(self._end)
        if end:
            self._state = "pause"
            return [*([Thought(thought)] if thought else []), *self._pause(rest)]
        certain = len(text) - held_length(text, self._end)
        self._held = text[certain:]
        return [Thought(text[:certain])] if certain else []

    def _pause(self, text: str) -> list[Piece]:
        text = text.lstrip()
        if not text:
            return []
        self._state = "answer"
        return self._inner.feed(text)


def held_length(text: str, marker: str) -> int:
    """How many of the last characters may be the start of `marker`."""
    lengths = range(min(len(text), len(marker) - 1), 0, -1)
    return next((length for length in lengths if marker.startswith(text[-length:])), 0)
