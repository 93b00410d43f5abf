"""Time limits and cancellation of one request.

A limit is a point on `time.monotonic`'s clock with the name that the error will give. Every step of a request (a wait,
a load, one chunk) runs under a cancel scope of its own that opens and closes within the step: a scope held over a
`yield` breaks as soon as two tasks pull the same stream.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import anyio

from ..errors import RequestCancelledError, RequestTimeoutError

T = TypeVar("T")

_ADVICE = {
    "total": "give a longer timeout (or default_timeout)",
    "queue": "the model is busy: give a longer timeout, or raise max_concurrent_requests",
    "attempt": "raise attempt_timeout",
    "first_token": "raise first_token_timeout",
    "idle": "the stream stalled; raise idle_timeout if that is expected",
}


class Limit(NamedTuple):
    """The moment `at` when a step is given up; `seconds` is how long the whole limit was."""

    name: str
    at: float
    seconds: float

    @classmethod
    def after(cls, name: str, seconds: float | None) -> Limit | None:
        """A limit that starts now; None for no limit."""
        return None if seconds is None else cls(name, time.monotonic() + seconds, seconds)

    def error(self) -> RequestTimeoutError:
        """What is raised when it has passed. A total or queue limit is the request's own, and final."""
        message = f"the {self.name} time limit of {self.seconds:g} s has passed; {_ADVICE[self.name]}"
        error = RequestTimeoutError(message, limit=self.name, seconds=self.seconds)
        error.retryable = self.name not in ("total", "queue")
        return error


class Interrupter:
    """Runs a request's steps, one after the other, and can be told from any thread to stop the one that runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, anyio.CancelScope] | None = None
        self.cancelled = False

    def cancel(self) -> None:
        """Stop the step that runs, and every later one, with `RequestCancelledError`."""
        with self._lock:
            self.cancelled = True
            if self._running is not None:
                loop, scope = self._running
                try:
                    loop.call_soon_threadsafe(scope.cancel)
                except RuntimeError:  # the loop is closed, so nothing runs there any more
                    pass

    async def step(self, function: Callable[[], Awaitable[T]], *limits: Limit | None) -> T:
        """Await `function()` under the nearest of the limits. Raises `RequestTimeoutError`, `RequestCancelledError`."""
        nearest = None
        for limit in limits:  # for each chunk: `min` with a key would take three times as long
            if limit is not None and (nearest is None or limit.at < nearest.at):
                nearest = limit
        seconds = math.inf if nearest is None else nearest.at - time.monotonic()
        if seconds <= 0 and nearest is not None:
            raise nearest.error()
        with anyio.move_on_after(None if nearest is None else seconds) as scope:
            self._enter(scope)
            try:
                return await function()
            finally:
                with self._lock:
                    self._running = None
        # Here only when the scope was cancelled: by `cancel`, or by its deadline.
        if self.cancelled or nearest is None:
            raise _cancelled()
        raise nearest.error()

    def _enter(self, scope: anyio.CancelScope) -> None:
        with self._lock:
            if self.cancelled:
                raise _cancelled()
            self._running = asyncio.get_running_loop(), scope


def _cancelled() -> RequestCancelledError:
    return RequestCancelledError("the request was cancelled")
