"""Requests and tokens a minute, kept before anything is sent, for all threads and event loops.

Two sources say how much may be spent. The configured limit is a sliding window: in no minute, wherever it begins, is
more sent. What the provider's headers say is left (other programs may use the same key) holds until it is full again,
as they say, but never for more than a minute.

Tokens are counted by an estimate before, and by what the provider says afterwards.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import anyio

from ..embedding import EmbeddingRequest
from ..errors import RateLimitError
from ..types import DocumentPart, ImagePart, InferenceRequest, TextPart

PERIOD = 60.0  # seconds
LONGEST_HOLD = 60.0  # seconds for which a header can hold requests up: some speak of a day's allowance
CHARACTERS_PER_TOKEN = 4  # a rough rule for English, used where nobody counted
TOKENS_OF_MEDIA = 1000  # an image or a document: a rough middle of what providers count
TOKENS_OF_ANSWER = 512  # where the request sets no max_tokens


def estimated_tokens(request: InferenceRequest) -> int:
    """What a request may cost: its prompt by a rough rule, and the longest answer that it allows."""
    answer = 0 if isinstance(request, EmbeddingRequest) else request.config.max_tokens or TOKENS_OF_ANSWER
    return estimated_prompt_tokens(request) + answer


def estimated_prompt_tokens(request: InferenceRequest) -> int:
    """The tokens of a request's prompt, tools included, by a rough rule."""
    characters = media = 0
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, TextPart):
                characters += len(part.text)
            elif isinstance(part, (ImagePart, DocumentPart)):
                media += 1
            else:  # thinking, tool calls and their results
                characters += len(str(part))
    characters += sum(len(str(tool)) for tool in request.tools)
    return -(-characters // CHARACTERS_PER_TOKEN) + media * TOKENS_OF_MEDIA


class Spending:
    """An amount that was spent at a moment."""

    __slots__ = ("amount", "at")

    def __init__(self, at: float, amount: float) -> None:
        self.at = at
        self.amount = amount


class Meter:
    """How much of one quantity may be spent, and when. Not locked; `limit` a period, None for what only the provider
    limits."""

    def __init__(self, limit: float | None, period: float = PERIOD) -> None:
        # Whole amounts only: 1.5 a minute is one in 40 seconds.
        self.limit = None if limit is None else max(1.0, float(math.floor(limit)))
        self.period = period if limit is None or self.limit is None else period * self.limit / limit
        self._spent: deque[Spending] = deque()
        self._total = 0.0
        self._left: float | None = None  # what the provider says is left, less what was spent since
        self._refills_at = self._said_at = self._per_second = 0.0

    @property
    def is_used(self) -> bool:
        """Whether anyone limits this quantity."""
        return self.limit is not None or self._left is not None

    def ready_at(self, now: float, amount: float) -> float:
        """When `amount` more may be spent: `now`, or later."""
        at = now if self.limit is None else self._window_opens_at(now, amount, self.limit)
        return max(at, self._provider_ready_at(now, amount))

    def spend(self, now: float, amount: float) -> Spending:
        """Note what is spent now."""
        spending = Spending(now, amount)
        if self.limit is not None:
            self._expire(now)
            self._spent.append(spending)
            self._total += amount
        if self._left is not None:
            self._left -= amount
        return spending

    def correct(self, spending: Spending, amount: float) -> None:
        """Put the real amount in place of the estimate."""
        if self._spent and spending.at >= self._spent[0].at:  # else it is past and forgotten
            self._total += amount - spending.amount
        if self._left is not None and spending.at >= self._said_at:
            self._left += spending.amount - amount
        spending.amount = amount

    def learn(self, now: float, left: float, seconds: float, limit: float | None) -> None:
        """Take what the provider says: so much is left, and all of its limit is there again in so many seconds."""
        self._left, self._said_at = left, now
        self._refills_at = now + min(seconds, LONGEST_HOLD)
        limit = limit or self.limit
        # Providers refill steadily, so a part is there sooner than the whole. Without the limit, the whole must do.
        self._per_second = (limit - left) / seconds if limit and limit > left and seconds > 0 else 0.0

    def _window_opens_at(self, now: float, amount: float, limit: float) -> float:
        self._expire(now)
        whole_periods, rest = divmod(amount, limit)
        if whole_periods and not rest:
            whole_periods, rest = whole_periods - 1, limit
        at, total = now, self._total
        if total + rest > limit:
            for spending in self._spent:
                total -= spending.amount
                at = spending.at + self.period
                if total + rest <= limit:
                    break
        return at + whole_periods * self.period

    def _expire(self, now: float) -> None:
        while self._spent and self._spent[0].at + self.period <= now:
            self._total -= self._spent.popleft().amount
        if not self._spent:
            self._total = 0.0  # no rounding stays

    def _provider_ready_at(self, now: float, amount: float) -> float:
        if self._left is None or amount <= self._left or now >= self._refills_at:
            return now
        if not self._per_second:
            return self._refills_at
        return max(now, min(self._refills_at, self._said_at + (amount - self._left) / self._per_second))


class _Waiter:
    __slots__ = ("future", "loop", "tokens")

    def __init__(self, tokens: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.tokens = tokens
        self.future: asyncio.Future[None] = self.loop.create_future()


class RateLimiter:
    """The limits of one target; `who` names it in errors. First come, first served.

    `acquire` gives the spending of tokens, to be corrected by `settle` when the real number is known.
    """

    def __init__(
        self,
        who: str,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        *,
        period: float = PERIOD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._who = who
        self._requests = Meter(requests_per_minute, period)
        self._tokens = Meter(tokens_per_minute, period)
        self._meters = {"requests": self._requests, "tokens": self._tokens}
        self._clock = clock
        self._lock = threading.Lock()
        self._waiters: deque[_Waiter] = deque()

    @property
    def is_used(self) -> bool:
        """Whether anything can make a request wait. False for most targets, whose requests then skip all of this."""
        return self._requests.is_used or self._tokens.is_used

    def cost(self, request: InferenceRequest) -> float:
        """The tokens to ask for; 0 where nobody counts them."""
        return estimated_tokens(request) if self._tokens.is_used else 0

    def acquire_nowait(self, tokens: float) -> Spending | None:
        """Take leave for one request of so many tokens, or None where it would have to wait."""
        tokens = self._fitting(tokens)
        with self._lock:
            now = self._clock()
            if self._waiters or self._ready_at(now, 1, tokens) > now:
                return None
            return self._spend(now, tokens)

    def check(self, tokens: float, deadline: float | None) -> None:
        """Raise what `acquire` would raise now."""
        with self._lock:
            self._wait(self._fitting(tokens), deadline, behind_all=True)

    async def acquire(self, tokens: float, deadline: float | None = None) -> Spending:
        """Wait for that leave. Raises `RateLimitError` as soon as it is known that it comes after `deadline`, a moment
        on the clock."""
        waiter = _Waiter(self._fitting(tokens))
        with self._lock:
            self._wait(waiter.tokens, deadline, behind_all=True)
            self._waiters.append(waiter)
        try:
            while True:
                with self._lock:
                    first = self._waiters[0] is waiter
                    wait = self._wait(waiter.tokens, deadline) if first else math.inf
                    if wait <= 0:
                        return self._spend(self._clock(), waiter.tokens)
                    if waiter.future.done():
                        waiter.future = waiter.loop.create_future()
                    future = waiter.future
                with anyio.move_on_after(wait):
                    await future
        finally:
            with self._lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                self._wake_first()

    def settle(self, spending: Spending, tokens: float) -> None:
        """The request really took that many tokens."""
        with self._lock:
            self._tokens.correct(spending, tokens)
            self._wake_first()

    def learn(self, limits: Mapping[str, Any]) -> None:
        """Take what a provider's headers say: `requests_remaining` and `requests_reset` (seconds until all are there
        again), `tokens_remaining` and `tokens_reset`, and, where known, `requests_limit` and `tokens_limit`."""
        with self._lock:
            now = self._clock()
            for name, meter in self._meters.items():
                left, seconds = limits.get(f"{name}_remaining"), limits.get(f"{name}_reset")
                if left is not None and seconds is not None:
                    meter.learn(now, left, seconds, limits.get(f"{name}_limit"))
            self._wake_first()

    def _fitting(self, tokens: float) -> float:
        """What is larger than the whole limit may go alone; that it does not fit is for the provider to say."""
        return tokens if self._tokens.limit is None else min(tokens, self._tokens.limit)

    def _ready_at(self, now: float, requests: int, tokens: float) -> float:
        return max(self._requests.ready_at(now, requests), self._tokens.ready_at(now, tokens))

    def _spend(self, now: float, tokens: float) -> Spending:
        self._requests.spend(now, 1)
        return self._tokens.spend(now, tokens)

    def _wait(self, tokens: float, deadline: float | None, *, behind_all: bool = False) -> float:
        """The seconds that one who is the first would still have to wait, or one behind all who wait. Raises where
        that is too long."""
        requests = 1
        if behind_all:
            requests += len(self._waiters)
            tokens += sum(waiter.tokens for waiter in self._waiters)
        now = self._clock()
        at = self._ready_at(now, requests, tokens)
        if deadline is not None and at >= deadline:
            raise self._error(now, at, requests)
        return at - now

    def _error(self, now: float, at: float, requests: int) -> RateLimitError:
        name = "requests" if self._requests.ready_at(now, requests) >= at else "tokens"
        meter = self._meters[name]
        if meter.limit is None:
            used_up = f"says that hardly any {name} are left"
        else:
            used_up = f"takes {meter.limit:g} {name} in {meter.period:g} s ({name}_per_minute), which are used up"
        message = f"{self._who} {used_up}: this request could go in {at - now:.1f} s, after its time limit"
        return RateLimitError(message, retry_after=at - now)

    def _wake_first(self) -> None:
        while self._waiters:
            waiter = self._waiters[0]
            try:
                waiter.loop.call_soon_threadsafe(_wake, waiter.future)
            except RuntimeError:  # that loop is closed; nobody waits there any more
                self._waiters.popleft()
                continue
            return


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
