"""Tool calls in a stream of text: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>` among plain text.

The parser takes the text in any pieces and gives back text and call pieces at the earliest moment at which they are
certain: of a marker that is only half there nothing is shown, and what merely looks like one is text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Protocol, Union

from ..types import ToolCallDelta, new_call_id

CALL_START = "<tool_call>"
CALL_END = "</tool_call>"


@dataclass(frozen=True, slots=True)
class Thought:
    """Text that the model wrote for itself, before its answer."""

    text: str


Piece = Union[str, Thought, ToolCallDelta]

# What precedes the arguments in a call whose arguments can be passed on while they are still being written.
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*', re.DOTALL)
_NAME = re.compile(r'"name"\s*:\s*("(?:[^"\\]|\\.)*")', re.DOTALL)
_OUTSIDE_STRING = re.compile(r'["{}<]')
_INSIDE_STRING = re.compile(r'["\\\n<]')


class OutputParser(Protocol):
    """Takes what the model writes, in pieces; gives text and tool-call pieces."""

    @property
    def num_calls(self) -> int:
        """The tool calls begun so far."""

    def feed(self, text: str) -> list[Piece]:
        """What is certain after this piece."""

    def finish(self) -> list[Piece]:
        """What was held back, now that nothing more comes."""


class PlainText:
    """The parser of a request without tools: everything is text."""

    def __init__(self) -> None:
        self.num_calls = 0

    def feed(self, text: str) -> list[Piece]:
        """The text itself."""
        return [text] if text else []

    def finish(self) -> list[Piece]:
        """Nothing: no text is held back."""
        return []


class ToolCallParser:
    """Splits a model turn into its text and its calls.

    The line break before a call belongs to the call. A call that is not valid JSON comes out as one call with its text
    as raw arguments; a `</tool_call>` inside of a JSON string does not end a call; an empty call is text.
    """

    def __init__(self) -> None:
        self.num_calls = 0
        self._held = ""  # outside of calls: text that may be the start of a marker
        self._call: _OpenCall | None = None
        self._after_call = False

    def feed(self, text: str) -> list[Piece]:
        """What is certain after this piece."""
        pieces: list[Piece] = []
        while text:
            text = self._feed_text(text, pieces) if self._call is None else self._feed_call(self._call, text, pieces)
        return pieces

    def finish(self) -> list[Piece]:
        """What was held back; a call without its end mark ends here."""
        pieces: list[Piece] = []
        if self._call is not None:
            rest = self._close(self._call, self._call.last_possible_end(), pieces)
            return pieces + self.feed(rest) + self.finish()
        if not (self._after_call and self._held == "\n"):
            self._emit_text(self._held, pieces)
        self._held = ""
        return pieces

    def _feed_text(self, text: str, pieces: list[Piece]) -> str:
        text, self._held = self._held + text, ""
        start = text.find(CALL_START)
        if start < 0:
            certain = len(text) - _marker_prefix_length(text)
            self._emit_text(text[:certain], pieces)
            self._held = text[certain:]
            return ""
        self._emit_text(text[:start].removesuffix("\n"), pieces)
        self._call = _OpenCall(self.num_calls)
        return text[start + len(CALL_START) :]

    def _emit_text(self, text: str, pieces: list[Piece]) -> None:
        if text:
            self._after_call = False
            pieces.append(text)

    def _feed_call(self, call: _OpenCall, text: str, pieces: list[Piece]) -> str:
        end = call.scan(text)
        if end is not None:
            return self._close(call, end, pieces)
        pieces += call.pieces()
        self.num_calls = call.index + call.announced
        return ""

    def _close(self, call: _OpenCall, end: int, pieces: list[Piece]) -> str:
        """End `call` at `end` of its body; returns the text that follows it."""
        self._call = None
        rest = call.body[end:].removeprefix(CALL_END)
        if call.body[:end].strip():
            pieces += call.last_pieces(end)
            self.num_calls = call.index + 1
            self._after_call = True
        else:
            self._emit_text(CALL_START + call.body[: len(call.body) - len(rest)], pieces)
        return rest


class _OpenCall:
    """A call that is being written. It follows the JSON's strings and braces, looking at each character once."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.body = ""
        self.announced = False
        self._name: str | None = None
        self._scanned = 0
        self._depth = 0
        self._in_string = False
        self._broken = False  # a raw line break in a string: this is no JSON, so strings no longer protect the end mark
        self._mark_in_string = -1  # where a CALL_END stands in the string that is open
        self._sent = 0  # the arguments up to here were passed on
        self._arguments_end = -1

    def scan(self, text: str) -> int | None:
        """Take more of the body. Returns where the call ends, once that is certain."""
        self.body += text
        while True:
            found = (_INSIDE_STRING if self._in_string else _OUTSIDE_STRING).search(self.body, self._scanned)
            if found is None:
                self._scanned = len(self.body)
                return None
            self._scanned = found.start()
            if found[0] == "<":
                if self._may_be_marker():
                    return None
                if self._is_end():
                    return self._scanned
            elif not self._in_string:
                self._structure(found[0])
            elif found[0] == "\\":
                if self._scanned + 1 == len(self.body):
                    return None
                self._scanned += 1
            elif found[0] == "\n":
                self._broken = True
                if self._mark_in_string >= 0:
                    return self._mark_in_string
            else:
                self._in_string, self._mark_in_string = False, -1
            self._scanned += 1

    def last_possible_end(self) -> int:
        """Where the call ends if nothing more comes: in an open string, at the end mark that the string swallowed."""
        return self._mark_in_string if self._mark_in_string >= 0 else len(self.body)

    def pieces(self) -> list[Piece]:
        """The arguments that are certain and were not passed on yet."""
        if self._name is None:
            return []
        certain = self._mark_in_string if self._mark_in_string >= 0 else self._scanned
        return self._pieces_to(certain)

    def last_pieces(self, end: int) -> list[Piece]:
        """What is missing of the call, which ends at `end` of the body."""
        if self._name is not None:
            return self._pieces_to(end)
        name, arguments = _read_call(self.body[:end])
        return [ToolCallDelta(self.index, new_call_id(), name, arguments)]

    def _pieces_to(self, end: int) -> list[Piece]:
        if self._arguments_end >= 0:
            end = min(end, self._arguments_end)
        text, self._sent = self.body[self._sent : end], max(self._sent, end)
        if not self.announced:
            self.announced = True
            return [ToolCallDelta(self.index, new_call_id(), self._name, text)]
        return [ToolCallDelta(self.index, arguments=text)] if text else []

    def _may_be_marker(self) -> bool:
        tail = self.body[self._scanned : self._scanned + len(CALL_END)]
        return any(len(tail) < len(marker) and marker.startswith(tail) for marker in (CALL_START, CALL_END))

    def _is_end(self) -> bool:
        if self.body.startswith(CALL_END, self._scanned):
            if not self._in_string or self._broken:
                return True
            if self._mark_in_string < 0:
                self._mark_in_string = self._scanned
        # The next call begins: the end mark of a call that is complete was forgotten.
        complete = not self._in_string and self._depth <= 0
        return complete and self.body.startswith(CALL_START, self._scanned)

    def _structure(self, char: str) -> None:
        if char == '"':
            self._in_string = True
        elif char == "{":
            self._depth += 1
            if self._depth == 2 and self._name is None:
                self._read_head()
        else:
            self._depth -= 1
            if self._depth == 1 and self._name is not None and self._arguments_end < 0:
                self._arguments_end = self._scanned + 1

    def _read_head(self) -> None:
        head = _HEAD.fullmatch(self.body, 0, self._scanned)
        if head is not None:
            self._name = _string(head[1])
            self._sent = self._scanned


def _marker_prefix_length(text: str) -> int:
    """How many of the last characters may be the start of a call with the line break before it."""
    marker = "\n" + CALL_START
    lengths = range(min(len(text), len(marker) - 1), 0, -1)
    return next((n for n in lengths if marker.startswith(text[-n:]) or CALL_START.startswith(text[-n:])), 0)


def _read_call(body: str) -> tuple[str, str]:
    """Name and arguments' text of a call in an unusual form; the whole text where it is no JSON object."""
    try:
        call = json.loads(body)
        name = call["name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        found = _NAME.search(body)
        return (_string(found[1]) if found else ""), body.strip()
    arguments: Any = call.get("arguments", call.get("parameters", {}))
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return (name if isinstance(name, str) else ""), arguments


def _string(literal: str) -> str:
    """The value of a JSON string, or its text between the quotes where an escape in it is wrong."""
    try:
        return str(json.loads(literal))
    except ValueError:
        return literal[1:-1]
