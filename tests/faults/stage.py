"""What the rows of the table are written with: a script for the server, and what must come of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llm_framework.errors import LLMFrameworkError

from .protocols import Answer, Call, Protocol
from .server import Piece, Reply, Request, Step, json_reply

KEY = "sk-fault-9f8e7d6c5b4a39281706f5e4d3c2b1a0"
TRIES = 3  # requests of a call that fails each time: the framework is told `max_retries=2`
WHOLE, STREAM = "whole", "stream"


class Stage:
    """Makes the steps of a script in one protocol. Each step is played in the form that the client asks for: a stream,
    or the whole answer. `elsewhere` is the origin of another server."""

    def __init__(self, protocol: Protocol, elsewhere: str = "") -> None:
        self.protocol = protocol
        self.elsewhere = elsewhere

    def answer(self, *texts: str, calls: Sequence[Call] = (), reason: str | None = None) -> Step:
        """An answer without fault."""
        said = Answer(texts, tuple(calls), reason or ("tool_calls" if calls else "stop"))
        return self.either(self.protocol.events(said), self.protocol.body(said))

    def refusal(
        self, kind: str, *, status: int | None = None, message: str | None = None, **headers: str
    ) -> Callable[[Request], Reply]:
        """An error in the provider's own words, or with other status and words. Headers: `retry_after="3"`."""
        refusal = self.protocol.refusals[kind]
        if message is not None:
            refusal = refusal.saying(message)
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        def step(request: Request) -> Reply:
            stays_stream = refusal.status == 200 and self.protocol.wants_stream(request)
            if stays_stream:
                return stream([self.protocol.error_event(refusal)])
            return json_reply(refusal.body, status or refusal.status, named)

        return step

    def error_inside(self, kind: str, *texts: str) -> Step:
        """An answer that began as a success and then holds an error: after these texts in a stream, or instead of the
        whole answer."""
        refusal = self.protocol.refusals[kind]
        begun = self.begun(*texts)
        return self.either([*begun, self.protocol.error_event(refusal)], refusal.body)

    def begun(self, *texts: str) -> list[str]:
        """The events of a stream that has only begun."""
        opening = self.protocol.opening(Answer(texts or ("x",)))
        return [*opening, *(self.protocol.text(text) for text in texts)]

    def cut(self, *texts: str, then: Sequence[Piece]) -> Step:
        """An answer that breaks off after these texts, or in the middle of the whole answer, and what happens then."""
        said = Answer((*texts, "the rest"))
        content = json.dumps(self.protocol.body(said)).encode()
        half = Reply([content[: len(content) // 2], *then], length=len(content))
        return self.by_form(stream([*self.begun(*texts), *then]), half)

    def either(self, events: Iterable[Piece], body: Any) -> Step:
        """These events, or this JSON."""
        return self.by_form(stream(events), json_reply(body))

    def by_form(self, streamed: Reply, whole: Reply) -> Step:
        """One reply to those who ask for a stream, another to those who ask for the whole answer."""
        return lambda request: streamed if self.protocol.wants_stream(request) else whole

    def changed(self, change: Callable[[bytes], Sequence[Piece]], *texts: str) -> Step:
        """An answer whose bytes are changed on their way, stream or not."""
        said = Answer(texts)
        events = "".join(self.protocol.events(said)).encode()
        whole = json.dumps(self.protocol.body(said), ensure_ascii=False).encode()
        return self.by_form(stream(change(events)), Reply(change(whole)))


def stream(pieces: Iterable[Piece], **more: Any) -> Reply:
    """A reply that is called an event stream."""
    return Reply(list(pieces), content_type="text/event-stream", **more)


def text_reply(text: str, status: int = 200, content_type: str | None = "text/html", **headers: str) -> Reply:
    """A body that is no JSON."""
    content = text.encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply([content], status, content_type, named, length=len(content))


# -------------------------------------------------------------------------------------------------------- expectations
@dataclass(frozen=True)
class Expected:
    """What must come of a case.

    `requests` is what the server saw. `text` and `thinking` are what a reader saw, and what the error's partial
    response holds. `status` may be the name of a refusal, and is then the provider's own for it. `waits` are the least
    seconds that passed before each further request.
    """

    requests: int = 1
    text: str = ""
    thinking: str = ""
    error: type[LLMFrameworkError] | None = None
    status: int | str | None = None
    retryable: bool | None = None  # None: as the error's class has it
    retry_after: float | None = None
    limit: str | None = None
    finish: str = "stop"
    calls: tuple[tuple[str, str, Any], ...] = ()
    waits: tuple[float, ...] = ()
    seconds: float = 20.0
    attempts: int | None = None  # None: as many as requests
    leaves: bool = False  # the client must have closed the connection of its last request
    most_bytes: int | None = None  # what may have been sent of the last body, until the client cut it

    @property
    def is_retryable(self) -> bool:
        """What the error must say of itself."""
        return bool(self.error and self.error.retryable) if self.retryable is None else self.retryable


@dataclass(frozen=True)
class Case:
    """A row: a script for any protocol, and what must come of it: `expected`, or `whole` where that differs when the
    answer was not streamed.

    `config` are settings of the framework and `options` of the call. `forms`: which forms it is played in; `sync`: also
    through the blocking view.
    """

    name: str
    script: Callable[[Stage], Sequence[Step]]
    expected: Expected
    whole: Expected | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    protocols: tuple[str, ...] = ("openai", "anthropic", "google")
    forms: tuple[str, ...] = (STREAM, WHOLE)
    sync: bool = False

    def expected_of(self, form: str) -> Expected:
        """What must come of it in a form."""
        return self.whole if form == WHOLE and self.whole is not None else self.expected

    def but(self, **changes: Any) -> Case:
        """The same with changes."""
        return replace(self, **changes)


def succeeds(requests: int = 1, text: str = "Hello world", **more: Any) -> Expected:
    """An answer after so many requests."""
    return Expected(requests, text, **more)


def fails(error: type[LLMFrameworkError], requests: int = 1, **more: Any) -> Expected:
    """An error after so many requests."""
    return Expected(requests, error=error, **more)
