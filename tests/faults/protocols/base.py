"""What each protocol is made of: whole answers, the events of streams, errors."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..server import Request

MODEL = "fake-model"


@dataclass(frozen=True)
class Call:
    """A tool call; `arguments` is the text that the model wrote, JSON or not."""

    id: str
    name: str
    arguments: str

    @property
    def value(self) -> Any:
        """The arguments where a protocol sends them decoded; what is no JSON goes as a string."""
        try:
            return json.loads(self.arguments)
        except ValueError:
            return self.arguments

    def pieces(self, number: int) -> list[str]:
        """The arguments, cut into about so many pieces."""
        size = max(1, -(-len(self.arguments) // number))
        return [self.arguments[at : at + size] for at in range(0, len(self.arguments), size)]


@dataclass(frozen=True)
class Answer:
    """What a model says: `texts` are its pieces in a stream; `reason` is "stop", "length", "tool_calls" or
    "content_filter"."""

    texts: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    reason: str = "stop"

    @property
    def text(self) -> str:
        """The pieces, joined."""
        return "".join(self.texts)


@dataclass(frozen=True)
class Refusal:
    """An error: its status, and the body that goes with it."""

    status: int
    body: Any

    def saying(self, message: str) -> Refusal:
        """The same with another message."""
        return Refusal(self.status, {**self.body, "error": {**self.body["error"], "message": message}})

    @property
    def message(self) -> str:
        """What it says."""
        return str(self.body["error"]["message"])


class Protocol(ABC):
    """How one provider speaks."""

    name: str
    refusals: Mapping[str, Refusal]

    @abstractmethod
    def base_url(self, origin: str) -> str:
        """What the provider's SDK is given as base_url."""

    @abstractmethod
    def key_of(self, request: Request) -> str | None:
        """The key that came, from the one header where it belongs."""

    @abstractmethod
    def is_chat(self, request: Request) -> bool:
        """Whether the request went where a chat request belongs."""

    @abstractmethod
    def wants_stream(self, request: Request) -> bool:
        """Whether a stream was asked for."""

    @abstractmethod
    def body(self, answer: Answer) -> dict[str, Any]:
        """The whole answer."""

    @abstractmethod
    def opening(self, answer: Answer) -> list[str]:
        """What a stream begins with before it shows anything."""

    @abstractmethod
    def text(self, text: str) -> str:
        """The event with a piece of text, in the first block of the answer."""

    @abstractmethod
    def thought(self, text: str) -> list[str]:
        """The events of a stream that began with a piece of reasoning, and is still at it."""

    @abstractmethod
    def calls(self, answer: Answer, *, interleaved: bool = False) -> list[str]:
        """The events of the answer's tool calls, one after the other or mixed."""

    @abstractmethod
    def closing(self, answer: Answer) -> list[str]:
        """The events with finish reason and usage, the end mark last."""

    @abstractmethod
    def error_event(self, refusal: Refusal) -> str:
        """An error inside a stream."""

    def events(self, answer: Answer) -> list[str]:
        """The whole stream."""
        texts = [self.text(text) for text in answer.texts]
        return [*self.opening(answer), *texts, *self.calls(answer), *self.closing(answer)]


def event(value: Any, name: str | None = None) -> str:
    """A server-sent event."""
    data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n"


def bearer(request: Request) -> str | None:
    """The key of an Authorization header."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key if scheme == "Bearer" else None


def alternating(lists: list[list[str]]) -> list[str]:
    """One of each in turn."""
    longest = max((len(one) for one in lists), default=0)
    return [one[at] for at in range(longest) for one in lists if at < len(one)]
