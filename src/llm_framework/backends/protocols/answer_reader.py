"""`AnswerReader`: what the readers of all protocols have in common. No I/O."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ... import redaction
from ...decoding.text_stream import StopStrings
from ...errors import BadResponseError, LLMFrameworkError, ProviderUnavailableError
from ...types import Chunk, FinishReason, ToolCallDelta, Usage
from . import http_errors
from .sse import ServerSentEvent
from .tool_call_pieces import ToolCallPieces

LARGEST_COUNT = 2**53  # tokens
SHOWN = 200  # characters of an unreadable answer that an error repeats


class AnswerReader(ABC):
    """Reads one answer, whole or event by event. `who` is the provider's name, `model` the model's there.

    `begun` says whether anything of the answer came, `shown` whether anything of it was visible yet, `ended` whether
    its protocol's end mark came. Text ends before the first of `stop`, which some servers leave in it.
    """

    __slots__ = ("_stop", "begun", "calls", "ended", "finish_reason", "model", "shown", "usage", "who")

    def __init__(self, who: str, model: str, stop: Sequence[str] = ()) -> None:
        self.who = who
        self.model = model
        self.calls = ToolCallPieces()
        self._stop = StopStrings(stop) if stop else None
        self.begun = False
        self.shown = False
        self.ended = False
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None

    @abstractmethod
    def event(self, event: ServerSentEvent) -> Iterator[Chunk]:
        """The chunks of one event of the stream. Raises the error that an event stands for."""

    @abstractmethod
    def body(self, value: Any) -> Iterator[Chunk]:
        """The chunks of an answer that came whole, decoded from JSON."""

    def last(self, dropped: tuple[str, ...], provider_data: Mapping[str, Any] | None = None) -> Chunk:
        """The chunk that ends the answer. Raises `BadResponseError` where nothing came at all."""
        reason = self.finish_reason
        rest = "" if self._stop is None else self._stop.finish()
        self.shown = self.shown or bool(rest)
        if reason is None and not self.shown:
            raise self.bad("ended its answer before it began")
        if len(self.calls) and reason in (None, "stop"):  # what a forced call ends with differs
            reason = "tool_calls"
        if self._stop is not None and self._stop.stopped and reason == "length":
            reason = "stop"
        return Chunk(
            rest,
            finish_reason=reason or "stop",
            usage=self.usage,
            dropped_parameters=dropped,
            provider_data=provider_data or {},
        )

    # ------------------------------------------------------------------------------------------------- for subclasses
    def text(self, text: str, **fields: Any) -> Iterator[Chunk]:
        """A visible piece of text, up to a stop string."""
        if self._stop is not None:
            text = self._stop.feed(text)
        if text:
            self.shown = True
            yield Chunk(text, **fields)

    def thinking(self, text: str) -> Iterator[Chunk]:
        """A visible piece of reasoning."""
        if text:
            self.shown = True
            yield Chunk(thinking=text)

    def call(self, delta: ToolCallDelta) -> Chunk:
        """A visible piece of a tool call."""
        self.shown = True
        return Chunk(tool_call=delta)

    def decoded(self, data: str) -> Any:
        """An event's data. Raises `BadResponseError` for what is no JSON."""
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise self.bad(f"sent a frame that is not valid JSON: {redaction.cut(data, SHOWN)!r}") from None

    def error_in(self, value: Mapping[str, Any]) -> LLMFrameworkError:
        """The error that came inside an answer which began as a success."""
        body = http_errors.from_json(value)
        if (status := http_errors.status_in(body)) is not None:
            return http_errors.error_of(status, body, who=self.who, model=self.model)
        message = f"{self.who} broke its answer off: {body.message or body.type or 'no reason given'}"
        return ProviderUnavailableError(message, provider=self.who, model=self.model)

    def bad(self, what: str) -> BadResponseError:
        """The error for an answer that cannot be read."""
        return BadResponseError(f"{self.who} {what}", provider=self.who, model=self.model)


def token_count(value: Any) -> int:
    """A count of tokens as a server gives it; 0 where it is no number that tokens could have."""
    is_count = isinstance(value, (int, float)) and 0 <= value <= LARGEST_COUNT
    return int(value) if is_count else 0


def shown(value: Any) -> str:
    """A piece of an answer as an error repeats it."""
    return redaction.cut(json.dumps(value), SHOWN)
