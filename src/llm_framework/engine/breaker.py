"""A circuit breaker: what has failed many times in a row is left alone for a while, whoever asks for it.

    closed ──(`failures` failures in a row)──▶ open ──(`cooldown` seconds)──▶ half-open: one probe goes through
      ▲                                          ▲                                │
      └──────────────(it answers)────────────────┼────────────────────────────────┤
                                                 └──────────(it fails)────────────┘

Only errors that say that the target is down count. One that says that it is up, such as a rate limit or a refused
request, ends a row of failures as an answer does. What says neither (a cancelled call, a deadline that was short)
changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

from ..errors import (
    BadResponseError,
    ConnectionFailedError,
    LLMFrameworkError,
    ProviderUnavailableError,
    RequestTimeoutError,
)

State = Literal["closed", "open", "half_open"]

PROBE_WAIT = 1.0  # seconds; the wait that is advised to those who come while a probe is on its way
PROBE_TIME = 60.0  # seconds; a probe that shows nothing for so long does not keep others from probing
_MAX_REASON = 200  # characters of the last failure that the error repeats
_DOWN = (ProviderUnavailableError, ConnectionFailedError, BadResponseError)
_DOWN_LIMITS = ("connect", "first_token", "attempt")  # the total one is the caller's own, and may just be short


class CircuitBreaker:
    """Guards one target for all threads and event loops. `who` names it in errors.

    A call asks `admit` before it begins, and then tells how each attempt went: `succeeded` or `failed`. A probe that
    ends without either calls `release`.
    """

    def __init__(
        self, who: str, failures: int, cooldown: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._who = who
        self._max_failures = failures
        self._cooldown = cooldown
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: float | None = None
        self._probe = self._probes = 0  # the number of the one on its way (0: none), and of all so far
        self._probe_until = 0.0
        self._reason = ""

    @property
    def state(self) -> State:
        """Whether calls go through: all of them, none, or one at a time as a probe."""
        until = self._open_until
        if until is None:
            return "closed"
        return "open" if self._clock() < until else "half_open"

    def check(self) -> None:
        """Raise what `admit` would raise now, without becoming the probe."""
        if self._open_until is not None:
            with self._lock:
                self._is_due_for_probe()

    def admit(self) -> int:
        """Let a call through: 0, or the probe's number for the one that is it. Raises `ProviderUnavailableError` at
        once while the target is left alone."""
        if self._open_until is None:  # no lock: a call that just slips through beside the last failure does no harm
            return 0
        with self._lock:
            if not self._is_due_for_probe():
                return 0
            self._probes += 1
            self._probe = self._probes
            self._probe_until = self._clock() + max(PROBE_TIME, self._cooldown)
            return self._probe

    def succeeded(self) -> None:
        """The target answered."""
        if self._failures or self._open_until is not None:
            with self._lock:
                self._close()

    def failed(self, error: LLMFrameworkError, probe: int = 0) -> None:
        """An attempt ended with that error; `probe` as `admit` gave it."""
        if not says_down(error):
            if error.status is not None:
                self.succeeded()
            return
        with self._lock:
            if self._open_until is not None and (not probe or probe != self._probe):
                return  # an attempt that began before: the cooldown counts from the failure that opened
            self._failures += 1
            if probe or self._failures >= self._max_failures:
                self._reason = str(error)[:_MAX_REASON]
                self._open_until = self._clock() + self._cooldown
                self._probe = 0

    def release(self, probe: int) -> None:
        """That probe is over; where it told nothing, the next call is one."""
        with self._lock:
            if self._probe == probe:
                self._probe = 0

    def _close(self) -> None:
        self._failures = 0
        self._open_until = None
        self._probe = 0

    def _is_due_for_probe(self) -> bool:
        """Whether the next call would be the probe; False where the target is not left alone. Raises while it is."""
        if self._open_until is None:
            return False
        now = self._clock()
        left = self._open_until - now
        if left > 0:
            raise self._error(left, f"is not asked again before {_clock_time(left)} ({left:.1f} s from now)")
        if self._probe and now < self._probe_until:
            raise self._error(min(PROBE_WAIT, self._cooldown), "is being tried by another call just now")
        return True

    def _error(self, wait: float, what: str) -> ProviderUnavailableError:
        message = (
            f"{self._who} failed {self._failures} times in a row and {what}; the last failure: {self._reason} "
            "(breaker_failures and breaker_cooldown set this)"
        )
        return ProviderUnavailableError(message, retry_after=wait)


def says_down(error: LLMFrameworkError) -> bool:
    """Whether the error says that the target is down: not that it refuses this request, or takes no more for now."""
    if isinstance(error, RequestTimeoutError):
        return error.limit in _DOWN_LIMITS
    return isinstance(error, _DOWN)


def _clock_time(seconds: float) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(time.time() + seconds))
