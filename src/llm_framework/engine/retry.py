"""Retries: how many, after which errors, after which wait. The engine calls it; SDKs are told not to retry.

Only what happens before the first visible chunk may be tried again, which is why what is retried is "open the stream
and read up to that chunk", a coroutine.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from ..errors import LLMFrameworkError
from ..logs import get_logger

logger = get_logger(__name__)

FIRST_WAIT = 0.5  # seconds; doubled each time
LONGEST_WAIT = 30.0
T = TypeVar("T")


async def with_retries(
    function: Callable[[], Awaitable[T]],
    *,
    max_retries: int,
    deadline: float | None,
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    """Call `function` until it answers, at most `max_retries` + 1 times. `deadline` is on `time.monotonic`'s clock;
    `sleep` does the waiting between attempts.

    Tried again are errors whose `retryable` is true, after a growing wait with jitter, or after the error's
    `retry_after`. A wait that the deadline cannot hold is not begun: the error is raised at once.
    """
    try:
        return await function()
    except LLMFrameworkError as error:  # the machinery below costs more than all else of a call that succeeds at once
        if max_retries == 0 or not error.retryable:
            raise
        failed = [error]

    async def call() -> T:
        if failed:
            raise failed.pop()
        return await function()

    stop_at_limit = stop_after_attempt(max_retries + 1)

    def stop(state: RetryCallState) -> bool:
        return stop_at_limit(state) or (deadline is not None and time.monotonic() + state.upcoming_sleep >= deadline)

    retrying = AsyncRetrying(
        sleep=sleep,
        stop=stop,
        wait=_wait,
        retry=retry_if_exception(_is_retryable),
        before_sleep=_log_retry,
        reraise=True,
    )
    return await retrying(call)


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, LLMFrameworkError) and error.retryable


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        return max(0.0, float(retry_after))
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (state.attempt_number - 1))
    return random.uniform(longest / 2, longest)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger.info("attempt %d failed (%s); trying again in %.2f s", state.attempt_number, error, state.upcoming_sleep)
