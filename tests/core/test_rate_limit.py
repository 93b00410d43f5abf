from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_framework import (
    Chunk,
    InferenceEngine,
    InferenceRequest,
    LLMConfig,
    ModelInfo,
    ModelRegistry,
    ProviderUnavailableError,
    RateLimitError,
    Usage,
)
from llm_framework.backends.protocols import rate_limit_headers
from llm_framework.engine.rate_limit import Meter, RateLimiter, estimated_tokens
from llm_framework.testing import Answer, FakeBackend
from llm_framework.types import GenerationConfig, ImagePart, Message


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# ----------------------------------------------------------------------------------------------------------- the meter
@given(
    limit=st.integers(1, 8),
    steps=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 8), st.integers(0, 8)), min_size=1, max_size=40),
)
@settings(deadline=None, max_examples=200)
def test_no_window_holds_more_than_the_limit(limit: int, steps: list[tuple[float, int, int]]) -> None:
    """Whoever waits until `ready_at` spends no more than the limit in any period, wherever it begins; and not a moment
    later than need be."""
    meter, now = Meter(limit, 60), 0.0
    spent: list[tuple[float, float]] = []
    for pause, amount, correction in steps:
        amount = min(amount, limit)
        now = max(now + pause, meter.ready_at(now + pause, amount))
        assert meter.ready_at(now, amount) == now
        spending = meter.spend(now, amount)
        meter.correct(spending, min(amount, correction))  # it took no more than was thought
        spent.append((now, min(amount, correction)))
        assert sum(amount for at, amount in spent if at > now - 60) <= limit


def test_the_wait_is_as_long_as_need_be() -> None:
    """The next may go when enough of what was spent is a period old; several at once take several periods."""
    meter = Meter(2, 60.0)
    meter.spend(0.0, 1)
    meter.spend(10.0, 1)
    assert meter.ready_at(20.0, 1) == 60.0
    assert meter.ready_at(20.0, 2) == 70.0
    assert meter.ready_at(20.0, 3) == 120.0
    assert meter.ready_at(65.0, 1) == 65.0


@pytest.mark.parametrize(("limit", "wait"), [(0.5, 120.0), (1.5, 40.0), (1.0, 60.0)])
def test_less_than_one_a_minute(limit: float, wait: float) -> None:
    """A limit that is no whole number is kept as one in a longer or shorter time."""
    meter = Meter(limit, 60.0)
    meter.spend(0.0, 1)
    assert meter.ready_at(0.0, 1) == wait


def test_what_the_provider_says_is_left() -> None:
    """With the limit known, a part is there sooner than the whole; without it, when all is; never later than that."""
    steady, unknown = Meter(None), Meter(None)
    steady.learn(0.0, 0, 30.0, 60)
    unknown.learn(0.0, 1, 30.0, None)
    assert [steady.ready_at(0.0, 1), steady.ready_at(0.0, 10), steady.ready_at(0.0, 999)] == [0.5, 5.0, 30.0]
    assert unknown.ready_at(0.0, 1) == 0.0
    unknown.spend(0.0, 1)
    assert unknown.ready_at(0.0, 1) == 30.0
    assert unknown.ready_at(31.0, 999) == 31.0


def test_a_header_holds_nobody_up_for_longer_than_a_minute() -> None:
    """A provider that tells of a day's allowance is asked again after a minute."""
    meter = Meter(None)
    meter.learn(0.0, 0, 86400.0, None)
    assert meter.ready_at(0.0, 1) == 60.0


# --------------------------------------------------------------------------------------------------------- the limiter
async def test_a_wait_beyond_the_deadline_fails_at_once() -> None:
    """Who would have to wait too long is told at once, with the time that it would take."""
    clock = Clock()
    limiter = RateLimiter("'m'", requests_per_minute=2, clock=clock)
    assert limiter.acquire_nowait(0)
    clock.now += 20
    assert limiter.acquire_nowait(0)
    assert limiter.acquire_nowait(0) is None
    with pytest.raises(RateLimitError, match=r"2 requests in 60 s.*requests_per_minute") as caught:
        await limiter.acquire(0, clock.now + 39)
    assert caught.value.retry_after == 40.0


async def test_tokens_are_estimated_and_then_corrected() -> None:
    """A request waits for the tokens that the one before it turned out not to need."""
    limiter = RateLimiter("'m'", tokens_per_minute=100)
    first = limiter.acquire_nowait(90)
    assert first is not None
    assert limiter.acquire_nowait(20) is None
    waiting = asyncio.ensure_future(limiter.acquire(20))
    await asyncio.sleep(0)
    limiter.settle(first, 30)
    await asyncio.wait_for(waiting, 30)
    assert limiter.acquire_nowait(51) is None
    assert limiter.acquire_nowait(50)


async def test_what_is_larger_than_the_limit_goes_alone() -> None:
    """A request that could never fit is sent when nothing else was: the provider may still take it."""
    limiter = RateLimiter("'m'", tokens_per_minute=100)
    assert limiter.acquire_nowait(5000)
    assert limiter.acquire_nowait(1) is None


async def test_waiters_are_served_in_order_and_may_leave() -> None:
    """First come, first served; one that is cancelled makes room for the next."""
    limiter = RateLimiter("'m'", tokens_per_minute=100)
    held = limiter.acquire_nowait(100)
    assert held is not None
    order: list[int] = []

    async def work(number: int) -> None:
        await limiter.acquire(10)
        order.append(number)

    tasks = [asyncio.ensure_future(work(number)) for number in range(6)]
    await asyncio.sleep(0)
    assert limiter.acquire_nowait(0) is None, "nobody overtakes those who wait"
    tasks[0].cancel()
    limiter.settle(held, 0)
    await asyncio.wait_for(asyncio.gather(*tasks[1:]), 30)
    assert order == [1, 2, 3, 4, 5]


def test_the_limit_is_exact_over_threads_and_loops() -> None:
    """With several loops in several threads, and some that give up, no period holds more than the limit, and all that
    stay get their turn."""
    limiter = RateLimiter("'m'", requests_per_minute=10, period=0.2)
    lock = threading.Lock()
    spent: list[float] = []

    async def work(number: int) -> None:
        task = asyncio.ensure_future(limiter.acquire(0))
        if number % 4 == 3:
            await asyncio.sleep(0)
            task.cancel()
        result = (await asyncio.gather(task, return_exceptions=True))[0]
        if not isinstance(result, BaseException):
            with lock:
                spent.append(result.at)

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(12)))

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(spent) >= 36
    spent.sort()
    assert all(later >= earlier + 0.2 for earlier, later in zip(spent, spent[10:], strict=False))


def test_the_estimate() -> None:
    """A request costs its prompt, its images, its tools and the longest answer that it allows."""
    config = GenerationConfig(max_tokens=100)
    assert estimated_tokens(InferenceRequest("x" * 400, config=config)) == 200
    image = Message.user("x" * 400, ImagePart(data=b"x", media_type="image/png"))
    assert estimated_tokens(InferenceRequest(messages=(image,), config=config)) == 1200


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (
            {"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "499",
             "x-ratelimit-reset-requests": "120ms", "x-ratelimit-remaining-tokens": "9",
             "x-ratelimit-reset-tokens": "1m2s"},
            {"requests_limit": 500, "requests_remaining": 499, "requests_reset": 0.12, "tokens_remaining": 9,
             "tokens_reset": 62.0},
        ),
        (
            {"anthropic-ratelimit-tokens-limit": "8", "anthropic-ratelimit-tokens-remaining": "0",
             "anthropic-ratelimit-tokens-reset": "2000-01-01T00:00:00Z"},
            {"tokens_limit": 8, "tokens_remaining": 0, "tokens_reset": 0.0},
        ),
        ({"x-ratelimit-remaining-requests": "many"}, {}),
    ],
)  # fmt: skip
def test_the_headers(headers: dict[str, str], said: dict[str, float]) -> None:
    """What is left, what full is and when it is full again is read from both makers' headers."""
    assert rate_limit_headers.read(headers) == said


# ----------------------------------------------------------------------------------------------------- in the engine
class Bench:
    """An engine with one fake model, "m", whose provider has limits."""

    def __init__(self, folder: Path, *answers: Answer, max_retries: int = 0, **limits: float) -> None:
        info = ModelInfo("m", backend_type="fake", is_local=False, metadata={"provider": "limited"})
        self.backend = FakeBackend(info, answers=answers)
        config = LLMConfig(api_credentials={"limited": limits}, max_retries=max_retries, max_concurrent_requests=50)
        self.engine = InferenceEngine(ModelRegistry(folder / "models", folder / "cache.json"), config)
        self.backend.install(self.engine)

    async def ask(self, prompt: str = "hi", max_tokens: int = 10, **fields: Any) -> Any:
        config = GenerationConfig(max_tokens=max_tokens)
        return await self.engine.generate_text(InferenceRequest(prompt, model_name="m", config=config, **fields))


async def test_requests_are_held_back_before_they_are_sent(tmp_path: Path) -> None:
    """Beyond the configured requests a minute nothing is sent; who cannot wait so long is told at once."""
    bench = Bench(tmp_path, "ok", requests_per_minute=2)
    results = await asyncio.gather(*(bench.ask(timeout=30) for _ in range(5)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, RateLimitError)]
    assert (len(bench.backend.requests), len(refused)) == (2, 3)
    assert all(30 < error.retry_after <= 120 for error in refused)  # type: ignore[operator]
    assert refused[0].model == "m"


async def test_retries_count_as_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt is a request to the provider."""
    monkeypatch.setattr("llm_framework.engine.retry.FIRST_WAIT", 0.0)
    bench = Bench(tmp_path, ProviderUnavailableError("busy"), max_retries=5, requests_per_minute=3)
    with pytest.raises(RateLimitError) as caught:
        await bench.ask(timeout=30)
    assert len(bench.backend.requests) == 3
    assert [attempt.error_type for attempt in caught.value.attempts][-1] == "RateLimitError"  # type: ignore[attr-defined]


async def test_the_wait_is_queue_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request waits for its turn, and its timings say so."""
    bench = Bench(tmp_path, "ok")
    rates = bench.engine._targets.of(bench.backend.model_info).rates
    rates._requests = rates._meters["requests"] = Meter(1, 0.2)
    assert (await bench.ask()).timings.queue == 0
    assert (await bench.ask()).timings.queue > 0


async def test_real_usage_replaces_the_estimate(tmp_path: Path) -> None:
    """A long max_tokens holds others up only until the answer turned out short; a failed attempt costs nothing."""
    usage = Chunk(usage=Usage(3, 7), finish_reason="stop")
    bench = Bench(tmp_path, ["ok", usage], RateLimitError("no"), ["ok", usage], tokens_per_minute=1000)
    await bench.ask(max_tokens=900)
    with pytest.raises(RateLimitError):
        await bench.ask(max_tokens=900)
    await bench.ask(max_tokens=900)
    with pytest.raises(RateLimitError, match="tokens_per_minute"):
        await bench.ask(max_tokens=1000, timeout=5)
    assert len(bench.backend.requests) == 3


async def test_headers_hold_the_next_request_back(tmp_path: Path) -> None:
    """What a provider says is left is kept to, also where no limit is configured; it does not go to the reader."""
    said = {"requests_remaining": 0, "requests_reset": 50.0}
    end = Chunk(usage=Usage(1, 1), finish_reason="stop", provider_data={"rate_limits": said, "id": "x"})
    bench = Bench(tmp_path, ["ok", end])
    request = InferenceRequest("hi", model_name="m")
    chunks = [chunk async for chunk in bench.engine.generate_stream(request)]
    assert [dict(chunk.provider_data) for chunk in chunks[:-1]] == [{}, {"id": "x"}]
    with pytest.raises(RateLimitError, match="hardly any requests") as caught:
        await bench.ask(timeout=5)
    assert 5 < caught.value.retry_after <= 50  # type: ignore[operator]
    assert len(bench.backend.requests) == 1


async def test_who_would_wait_for_a_slot_behind_those_who_wait_is_told_at_once(tmp_path: Path) -> None:
    """The rate limits are looked at before the queue for a slot, in which those who wait for them stand."""
    bench = Bench(tmp_path, "ok", requests_per_minute=1)
    await bench.ask()
    rates = bench.engine._targets.of(bench.backend.model_info).rates
    waiting = [asyncio.ensure_future(bench.ask()) for _ in range(50)]
    while len(rates._waiters) < 4:  # noqa: ASYNC110 - it tells nobody that it waits
        await asyncio.sleep(0.001)
    with pytest.raises(RateLimitError):
        await bench.ask(timeout=20)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_cancelled_waiter_leaves_the_queue(tmp_path: Path) -> None:
    """A request that is cancelled while it waits for its turn gives up its slot and its place."""
    bench = Bench(tmp_path, "ok", requests_per_minute=1)
    await bench.ask()
    waiting = asyncio.ensure_future(bench.ask(request_id="w"))
    rates = bench.engine._targets.of(bench.backend.model_info).rates
    while not rates._waiters:  # noqa: ASYNC110 - it tells nobody that it waits
        await asyncio.sleep(0.001)
    assert await bench.engine.cancel("w")
    with pytest.raises(Exception, match="cancelled"):
        await waiting
    assert (len(rates._waiters), bench.engine.get_active_requests()) == (0, [])
