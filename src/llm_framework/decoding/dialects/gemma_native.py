"""The dialects of the Gemma models that have tokens of their own for tools: FunctionGemma and Gemma 4.

Both write `call:NAME{key:value,...}` between marks. Keys stand bare; strings stand between a mark of their own;
numbers, `true`, `false` and `null` are as in JSON, and so are the brackets of lists and objects.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ...types import InferenceRequest, ToolCallDelta, new_call_id
from ..thoughts import ThoughtParser, held_length
from ..tool_calls import OutputParser, Piece
from .templated import TemplatedDialect

_HEAD = re.compile(r"\s*call:\s*([^\s{]+)\s*(\{.*)?", re.DOTALL)
_BARE = re.compile(r"[^,{}\[\]]*")
_BLANKS = re.compile(r"\s*")
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class CallMarks:
    """The tokens around a call, and the one before and after a string."""

    start: str
    end: str
    string: str


FUNCTION_GEMMA = CallMarks("<start_function_call>", "<end_function_call>", "<escape>")
GEMMA_4 = CallMarks("<|tool_call>", "<tool_call|>", '<|"|>')
THOUGHT_START = "<|channel>thought\n"
THOUGHT_END = "<channel|>"


class FunctionGemmaDialect(TemplatedDialect):
    """The dialect of FunctionGemma."""

    markers = frozenset({FUNCTION_GEMMA.start, FUNCTION_GEMMA.end, FUNCTION_GEMMA.string})
    ends = frozenset({"<start_of_turn>", "<end_of_turn>", "<start_function_response>"})

    def call_parser(self) -> OutputParser:
        """Calls between their marks, text around them."""
        return GemmaCallParser(FUNCTION_GEMMA)


class Gemma4Dialect(TemplatedDialect):
    """The dialect of Gemma 4, with thoughts in a channel of their own."""

    markers = frozenset({GEMMA_4.start, GEMMA_4.end, GEMMA_4.string, "<|channel>", THOUGHT_END})
    ends = frozenset({"<|turn>", "<turn|>", "<|tool_response>"})

    def call_parser(self) -> OutputParser:
        """Calls between their marks, text around them."""
        return GemmaCallParser(GEMMA_4)

    def parser(self, request: InferenceRequest) -> OutputParser:
        """Also thoughts."""
        return ThoughtParser(super().parser(request), THOUGHT_START, THOUGHT_END)


class GemmaCallParser:
    """Splits an answer into text and calls. A call comes out once it is whole; one that cannot be read comes out with
    its text as raw arguments. White space between calls is no text."""

    def __init__(self, marks: CallMarks) -> None:
        self.num_calls = 0
        self._marks = marks
        self._boundary = re.compile(f"{re.escape(marks.string)}|{re.escape(marks.end)}")
        self._held = ""
        self._in_call = False
        self._after_call = False

    def feed(self, text: str) -> list[Piece]:
        """What is certain after this piece."""
        self._held += text
        pieces: list[Piece] = []
        while self._take_call(pieces) if self._in_call else self._take_text(pieces):
            pass
        return pieces

    def finish(self) -> list[Piece]:
        """What was held back; a call without its end mark ends here."""
        held, self._held = self._held, ""
        if self._in_call and held.strip():
            return [self._call(held)]
        return [held] if held and not self._in_call and not (self._after_call and held.isspace()) else []

    def _take_text(self, pieces: list[Piece]) -> bool:
        """Pass on what is certainly text. True where a call began."""
        text, start, rest = self._held.partition(self._marks.start)
        certain = len(text) if start else len(text) - held_length(text, self._marks.start)
        shown = text[:certain]
        if self._after_call and shown.isspace():
            if not start:  # perhaps text follows, perhaps a call
                return False
            shown = ""
        if shown:
            self._after_call = False
            pieces.append(shown)
        self._held, self._in_call = (rest, True) if start else (text[certain:], False)
        return bool(start)

    def _take_call(self, pieces: list[Piece]) -> bool:
        """Take a call off what is held. False where its end has not come."""
        in_string = False
        for mark in self._boundary.finditer(self._held):
            if mark[0] == self._marks.string:
                in_string = not in_string
            elif not in_string:
                body, self._held, self._in_call = self._held[: mark.start()], self._held[mark.end() :], False
                if body.strip():
                    pieces.append(self._call(body))
                return True
        return False

    def _call(self, body: str) -> ToolCallDelta:
        self.num_calls += 1
        self._after_call = True
        head = _HEAD.fullmatch(body)
        if head is None:
            return ToolCallDelta(self.num_calls - 1, new_call_id(), "", body.strip())
        name, arguments = head[1], (head[2] or "{}").strip()
        try:
            arguments = json.dumps(_Reader(arguments, self._marks.string).read(), ensure_ascii=False)
        except ValueError:
            pass  # raw, as the model wrote it
        return ToolCallDelta(self.num_calls - 1, new_call_id(), name, arguments)


class _Reader:
    """Reads a value. Raises ValueError where there is none."""

    def __init__(self, text: str, mark: str) -> None:
        self._text, self._mark, self._at = text, mark, 0

    def read(self) -> Any:
        value = self._value(0)
        if self._next():
            raise ValueError("something follows the value")
        return value

    def _value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("too deep")
        char = self._next()
        if self._text.startswith(self._mark, self._at):
            return self._string()
        if char == "{":
            return self._object(depth + 1)
        return self._list(depth + 1) if char == "[" else self._bare()

    def _string(self) -> str:
        start = self._at + len(self._mark)
        end = self._text.index(self._mark, start)
        self._at = end + len(self._mark)
        return self._text[start:end]

    def _object(self, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        self._at += 1
        while self._next() != "}":
            if self._text.startswith(self._mark, self._at):
                key = self._string()
            else:
                end = self._text.index(":", self._at)
                key, self._at = self._text[self._at : end].strip().strip('"'), end
            self._expect(":")
            values[key] = self._value(depth)
            self._comma("}")
        self._at += 1
        return values

    def _list(self, depth: int) -> list[Any]:
        values = []
        self._at += 1
        while self._next() != "]":
            values.append(self._value(depth))
            self._comma("]")
        self._at += 1
        return values

    def _bare(self) -> Any:
        match = _BARE.match(self._text, self._at)
        text = match[0].strip() if match else ""
        if not text:
            raise ValueError("a value is missing")
        self._at += len(match[0]) if match else 0
        try:
            return json.loads(text)
        except ValueError:
            return text  # a word that the model forgot to mark

    def _comma(self, close: str) -> None:
        if self._next() != close:
            self._expect(",")

    def _expect(self, char: str) -> None:
        if self._next() != char:
            raise ValueError(f"{char} is missing")
        self._at += 1

    def _next(self) -> str:
        """The next character that is no blank; "" at the end."""
        blanks = _BLANKS.match(self._text, self._at)
        self._at = blanks.end() if blanks else self._at
        return self._text[self._at : self._at + 1]
