"""Plays a case through the framework, and compares what came of it with what must."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from llm_framework import LLMFramework
from llm_framework.errors import LLMFrameworkError, QuotaExceededError
from llm_framework.types import Chunk, InferenceResponse

from .leaks import leaks_in, leaks_of_error
from .protocols import MODEL, PROTOCOLS, Protocol
from .server import FaultServer, Request
from .stage import KEY, STREAM, TRIES, WHOLE, Case, Expected, Stage

LEAVE_TIME = 5.0  # seconds until a closed connection must be noticed


@dataclass(frozen=True)
class Target:
    """A backend and the protocol that it speaks."""

    backend: str
    protocol: Protocol

    @property
    def model(self) -> str:
        """What the model is called."""
        return f"{self.backend}:{MODEL}"

    def config(self, origin: str, more: Mapping[str, Any]) -> dict[str, Any]:
        """The framework's settings to reach a server."""
        credentials = {"api_key": KEY, "base_url": self.protocol.base_url(origin)}
        values = {"api_credentials": {self.backend: credentials}, "auto_discover_models": False}
        return {**values, "max_retries": TRIES - 1, "default_timeout": 20.0, **more}


TARGETS = (
    Target("openai_compatible", PROTOCOLS["openai"]),
    Target("openai", PROTOCOLS["openai"]),
    Target("anthropic", PROTOCOLS["anthropic"]),
    Target("google", PROTOCOLS["google"]),
)


@dataclass
class Seen:
    """What a caller saw."""

    texts: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    response: InferenceResponse | None = None
    error: LLMFrameworkError | None = None
    seconds: float = 0.0

    def take(self, chunk: Chunk) -> None:
        """Keep what a chunk shows."""
        self.texts.append(chunk.text)
        self.thinking.append(chunk.thinking)
        self.response = chunk.response or self.response

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Times the block, and keeps its error."""
        started = time.monotonic()
        try:
            yield
        except LLMFrameworkError as error:
            self.error = error
        self.seconds = time.monotonic() - started


# ------------------------------------------------------------------------------------------------------------- playing
@cache
def warm_up(target: Target) -> None:
    """One call without fault, once in a process: it imports what the backend needs, which no limit is meant to hold."""
    with FaultServer([Stage(target.protocol).answer("Hello")]) as server:
        assert play(target, server.origin, STREAM, {}, {}).error is None


def play(target: Target, origin: str, mode: str, config: Mapping[str, Any], options: Mapping[str, Any]) -> Seen:
    """One call: "whole" and "stream" in a loop of their own, "sync" and "sync-stream" through the blocking view."""
    values = target.config(origin, config)
    if mode in (WHOLE, STREAM):
        return asyncio.run(_play(target, mode, values, options))
    seen = Seen()
    with LLMFramework(values) as framework, seen.watch():
        if mode == "sync":
            seen.response = framework.sync.generate("hi", model_name=target.model, **options)
        else:
            for chunk in framework.sync.stream("hi", model_name=target.model, **options):
                seen.take(chunk)
    return seen


async def _play(target: Target, mode: str, values: Mapping[str, Any], options: Mapping[str, Any]) -> Seen:
    seen = Seen()
    async with LLMFramework(values) as framework:
        with seen.watch():
            if mode == WHOLE:
                seen.response = await framework.generate("hi", model_name=target.model, **options)
                return seen
            async with aclosing(framework.stream("hi", model_name=target.model, **options)) as chunks:
                async for chunk in chunks:
                    seen.take(chunk)
    return seen


# ----------------------------------------------------------------------------------------------------------- comparing
def check(case: Case, target: Target, mode: str, seen: Seen, server: FaultServer) -> None:
    """Everything that the row says, and what holds for every row."""
    form = _form(target, mode, server)
    expected = case.expected_of(form)
    streamed = mode in (STREAM, "sync-stream")
    assert _kind(seen.error) == _kind(expected.error), repr(seen.error)
    assert len(server.requests) == expected.requests, f"{len(server.requests)} requests"
    _check_requests(target, server)
    _check_waits(expected, server.requests)
    assert seen.seconds < expected.seconds, f"{seen.seconds:.1f} s"
    if streamed:
        assert ("".join(seen.texts), "".join(seen.thinking)) == (expected.text, expected.thinking)
    if expected.error is None:
        _check_response(expected, seen.response)
    else:
        _check_error(expected, target, seen)
    if expected.most_bytes is not None:
        assert server.requests[-1].sent <= expected.most_bytes, f"{server.requests[-1].sent} bytes were read"
    if expected.leaves:
        assert server.requests[-1].disconnected.wait(LEAVE_TIME), "the connection stayed open"


def _kind(error: Any) -> str | None:
    if error is None:
        return None
    return error.__name__ if isinstance(error, type) else type(error).__name__


def _form(target: Target, mode: str, server: FaultServer) -> str:
    """Whether the answer was asked for as a stream."""
    if server.requests and server.requests[-1].content:
        return STREAM if target.protocol.wants_stream(server.requests[-1]) else WHOLE
    return STREAM if mode in (STREAM, "sync-stream") else WHOLE


def _check_requests(target: Target, server: FaultServer) -> None:
    for request in server.requests:
        assert target.protocol.is_chat(request), f"{request.method} {request.target}"
        assert target.protocol.key_of(request) == KEY, "the key belongs in its header"
        others = [value for value in request.headers.values() if value not in (KEY, f"Bearer {KEY}")]
        assert not list(leaks_in("request", f"{request.target} {others} {request.content!r}"))


def _check_waits(expected: Expected, requests: list[Request]) -> None:
    for number, least in enumerate(expected.waits):
        waited = requests[number + 1].arrived - requests[number].arrived
        assert waited >= least, f"the wait was {waited:.3f} s"


def _check_response(expected: Expected, response: InferenceResponse | None) -> None:
    assert response is not None
    assert response.text == expected.text
    assert response.finish_reason == expected.finish
    _check_calls(expected, response)
    assert len(response.attempts) == (expected.attempts or expected.requests)
    assert response.attempts[-1].error is None
    assert all(attempt.error for attempt in response.attempts[:-1])
    assert not list(leaks_in("response", repr(response)))


def _check_calls(expected: Expected, response: InferenceResponse) -> None:
    seen = [(call.id, call.name, call.arguments) for call in response.tool_calls]
    assert [(name, arguments) for _, name, arguments in seen] == [call[1:] for call in expected.calls]
    assert [id for id, _, _ in seen] == [call[0] for call in expected.calls]
    for call in response.tool_calls:
        assert (call.arguments is None) == (call.error is not None)
        assert call.arguments is not None or call.raw_arguments, "what did not parse is kept"


def _check_error(expected: Expected, target: Target, seen: Seen) -> None:
    error = seen.error
    assert error is not None
    assert error.retryable is expected.is_retryable
    status = expected.status
    if status is not None:
        assert error.status == (target.protocol.refusals[status].status if isinstance(status, str) else status)
    retry_after = getattr(error, "retry_after", None)
    if expected.retry_after is None:
        assert isinstance(error, QuotaExceededError) or not retry_after
    else:
        assert retry_after is not None
        assert abs(retry_after - expected.retry_after) < 5.0
    assert getattr(error, "limit", None) == expected.limit or expected.limit is None
    _check_partial(expected, error)
    _check_anatomy(expected, target, error)


def _check_partial(expected: Expected, error: LLMFrameworkError) -> None:
    if expected.text or expected.calls or expected.thinking:
        partial = getattr(error, "response", None)
        assert partial is not None, "what had come goes with the error"
        assert (partial.text, partial.thinking) == (expected.text, expected.thinking)
        _check_calls(expected, partial)


def _check_anatomy(expected: Expected, target: Target, error: LLMFrameworkError) -> None:
    """What holds for all errors: who, how often, in a few words, and the same after pickle."""
    assert error.provider == target.backend
    assert error.model in (MODEL, target.model)
    attempts = getattr(error, "attempts", ())
    assert len(attempts) == (expected.attempts or expected.requests), attempts
    assert all(attempt.error and attempt.error_type for attempt in attempts)
    assert len(str(error)) < 2000
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.status, copy.retryable) == (
        type(error), str(error), error.status, error.retryable,
    )  # fmt: skip
    assert not list(leaks_of_error(error))


def stage_of(target: Target, elsewhere: str) -> Stage:
    """Where a target's scripts are written."""
    return Stage(target.protocol, elsewhere)
