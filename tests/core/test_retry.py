from __future__ import annotations

import time

import pytest

from llm_framework.engine.retry import LONGEST_WAIT, with_retries
from llm_framework.errors import AuthenticationError, LLMFrameworkError, ProviderUnavailableError, RateLimitError


class Scripted:
    """Raises the errors in turn, then answers; remembers the waits in between."""

    def __init__(self, *errors: LLMFrameworkError) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.waits: list[float] = []

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def run(self, max_retries: int = 2, deadline: float | None = None) -> str:
        return await with_retries(self, max_retries=max_retries, deadline=deadline, sleep=self.sleep)


async def test_retryable_errors_are_tried_again() -> None:
    """An error that may pass is tried again, after growing waits with jitter."""
    script = Scripted(*[ProviderUnavailableError("busy")] * 8)
    assert await script.run(max_retries=8) == "answer"
    assert script.calls == 9
    assert 0.25 <= script.waits[0] <= 0.5
    assert max(script.waits) <= LONGEST_WAIT


async def test_attempts_are_retries_plus_one() -> None:
    """After max_retries retries, the last error is raised."""
    script = Scripted(*[ProviderUnavailableError(str(number)) for number in range(5)])
    with pytest.raises(ProviderUnavailableError, match="2"):
        await script.run(max_retries=2)
    assert script.calls == 3


async def test_other_errors_are_raised_at_once() -> None:
    """A wrong key does not get better by waiting."""
    script = Scripted(AuthenticationError("no"))
    with pytest.raises(AuthenticationError):
        await script.run()
    assert (script.calls, script.waits) == (1, [])


async def test_retry_after_is_honoured() -> None:
    """The wait is the one that the provider asked for."""
    script = Scripted(RateLimitError("slow down", retry_after=7.5))
    assert await script.run() == "answer"
    assert script.waits == [7.5]


async def test_a_wait_that_the_deadline_cannot_hold_is_not_begun() -> None:
    """Where the wait would pass the deadline, the error is raised at once."""
    script = Scripted(RateLimitError("slow down", retry_after=60))
    with pytest.raises(RateLimitError):
        await script.run(deadline=time.monotonic() + 30)
    assert (script.calls, script.waits) == (1, [])
