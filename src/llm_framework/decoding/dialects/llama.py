"""Llama 3's dialect: an answer that is `{"name": ..., "parameters": {...}}` and nothing else is a call, with or without
`<|python_tag|>` before it; several calls stand one after the other, with a semicolon between them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from ...types import Message, ToolCallDelta, new_call_id
from ..tool_calls import OutputParser, Piece
from . import Quote, Turn
from .templated import TemplatedDialect

PYTHON_TAG = "<|python_tag|>"
_BETWEEN = " \t\r\n;,"
_HEAD = re.compile(r'\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:parameters|arguments)"\s*:\s*', re.DOTALL)
_STRUCTURE = re.compile(r'["{}\\]')


class LlamaDialect(TemplatedDialect):
    """The dialect of Llama 3.1 and later."""

    markers = frozenset({PYTHON_TAG})
    ends = frozenset({"<|eot_id|>", "<|eom_id|>", "<|start_header_id|>"})

    def call_parser(self) -> OutputParser:
        """The whole answer is calls, or it is text."""
        return LlamaCallParser()

    def _chat(self, messages: Sequence[Message], quote: Quote) -> Iterable[Turn]:
        """One call a turn, with its result after it: the template takes no more."""
        turns = list(super()._chat(messages, quote))
        results = {turn["tool_call_id"]: turn for turn in turns if turn["role"] == "tool"}
        told: set[str] = set()
        for turn in turns:
            calls = turn.get("tool_calls", [])
            if len(calls) < 2:
                if turn.get("tool_call_id") not in told:
                    yield turn
                continue
            for number, call in enumerate(calls):
                said = turn["content"] if number == 0 else ""
                yield Turn(role="assistant", content=said, tool_calls=[call])
                if call["id"] in results:
                    told.add(call["id"])
                    yield results[call["id"]]


class LlamaCallParser:
    """Splits an answer into calls, or passes it on as text. A call comes out once it is whole."""

    def __init__(self) -> None:
        self.num_calls = 0
        self._held = ""
        self._is_text = False

    def feed(self, text: str) -> list[Piece]:
        """What is certain after this piece."""
        self._held += text
        pieces: list[Piece] = []
        while self._held and not self._is_text:
            if not self._take_call(pieces):
                return pieces
        return [*pieces, *self._text()]

    def finish(self) -> list[Piece]:
        """What was held back: a call that broke off comes out with the arguments that it has."""
        if self._is_text or not self._held:
            return self._text()
        body, head = self._body(), None
        if body is not None:
            head = _HEAD.match(body)
        if head is None:
            if self.num_calls and not self._held.strip(_BETWEEN):
                self._held = ""
            return self._text()
        self._held = ""
        return [self._call(_name(head[1]), body[head.end() :] if body else "")]

    def _body(self) -> str | None:
        """What is held, less the tag and the blanks before a call; None while the tag is not whole."""
        body = self._held.lstrip(_BETWEEN if self.num_calls else None)
        if body.startswith(PYTHON_TAG):
            return body[len(PYTHON_TAG) :].lstrip()
        return None if PYTHON_TAG.startswith(body) else body

    def _take_call(self, pieces: list[Piece]) -> bool:
        """Take a call off what is held. False where more must come first."""
        body = self._body()
        if not body:
            return False
        end = _object_end(body) if body[0] == "{" else 0
        if end is None:
            return False
        call = self._read(body[:end])
        if call is None:
            self._is_text = True
        else:
            pieces.append(call)
            self._held = body[end:]
        return True

    def _read(self, text: str) -> ToolCallDelta | None:
        try:
            call = json.loads(text)
        except (ValueError, RecursionError):
            return None
        name = call.get("name") if isinstance(call, dict) else None
        arguments = call.get("parameters", call.get("arguments")) if isinstance(call, dict) else None
        if not isinstance(name, str) or not isinstance(arguments, dict):
            return None
        return self._call(name, json.dumps(arguments, ensure_ascii=False))

    def _call(self, name: str, arguments: str) -> ToolCallDelta:
        self.num_calls += 1
        return ToolCallDelta(self.num_calls - 1, new_call_id(), name, arguments)

    def _text(self) -> list[Piece]:
        text, self._held = self._held, ""
        return [text] if text else []


def _object_end(text: str) -> int | None:
    """Where the JSON object that `text` begins with ends; None where it is not whole."""
    depth, in_string, at = 0, False, 0
    while match := _STRUCTURE.search(text, at):
        at = match.end()
        if match[0] == "\\":
            at += 1
        elif match[0] == '"':
            in_string = not in_string
        elif not in_string:
            depth += 1 if match[0] == "{" else -1
            if depth == 0:
                return at
    return None


def _name(literal: str) -> str:
    try:
        return str(json.loads(literal))
    except ValueError:
        return literal[1:-1]
