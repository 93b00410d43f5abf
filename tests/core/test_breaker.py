from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from llm_framework import (
    AuthenticationError,
    BadResponseError,
    ConnectionFailedError,
    InferenceEngine,
    InferenceRequest,
    InvalidRequestError,
    LLMConfig,
    LLMFrameworkError,
    ModelInfo,
    ModelRegistry,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    RequestCancelledError,
    RequestTimeoutError,
)
from llm_framework.engine.breaker import CircuitBreaker
from llm_framework.testing import Answer, FakeBackend, Gate

DOWN = ProviderUnavailableError("down", status=503)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("'m' at 'somewhere'", 3, 30.0, clock=clock)


def fail(breaker: CircuitBreaker, times: int = 3, error: LLMFrameworkError = DOWN) -> None:
    for _ in range(times):
        breaker.failed(error)


# --------------------------------------------------------------------------------------------------------- the breaker
def test_failures_in_a_row_open_it(breaker: CircuitBreaker, clock: Clock) -> None:
    """After so many failures in a row, calls are refused at once, and told why, until when, and how long that is."""
    fail(breaker, 2)
    assert (breaker.admit(), breaker.state) == (0, "closed")
    fail(breaker, 1)
    clock.now += 10
    with pytest.raises(
        ProviderUnavailableError, match=r"'m' at 'somewhere' failed 3 times.*UTC \(20.0 s.*down"
    ) as caught:
        breaker.admit()
    assert caught.value.retry_after == 20.0
    assert breaker.state == "open"


def test_an_answer_ends_the_row(breaker: CircuitBreaker) -> None:
    """Failures with an answer between them are not in a row."""
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.state == "closed"


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (DOWN, True), (ConnectionFailedError("x"), True), (BadResponseError("x"), True),
        (RequestTimeoutError("x", limit="connect"), True), (RequestTimeoutError("x", limit="first_token"), True),
        (RequestTimeoutError("x", limit="attempt"), True), (RequestTimeoutError("x", limit="total"), False),
        (RequestTimeoutError("x", limit="queue"), False), (RateLimitError("x", status=429), False),
        (QuotaExceededError("x", status=429), False), (InvalidRequestError("x", status=400), False),
        (AuthenticationError("x", status=401), False), (RequestCancelledError("x"), False),
    ],
)  # fmt: skip
def test_only_what_says_that_the_target_is_down_counts(
    breaker: CircuitBreaker, error: LLMFrameworkError, counts: bool
) -> None:
    """Neither a refused request, nor a rate limit, nor the caller's own deadline says anything of the target."""
    fail(breaker, 3, error)
    assert breaker.state == ("open" if counts else "closed")


def test_one_probe_goes_through(breaker: CircuitBreaker, clock: Clock) -> None:
    """After the cooldown one call is let through; the others still fail at once; its answer closes."""
    fail(breaker)
    clock.now += 30
    assert breaker.state == "half_open"
    breaker.check()
    probe = breaker.admit()
    assert probe
    for refuse in (breaker.admit, breaker.check):
        with pytest.raises(ProviderUnavailableError, match="being tried"):
            refuse()
    breaker.succeeded()
    assert (breaker.state, breaker.admit()) == ("closed", 0)


def test_a_probe_that_fails_opens_again(breaker: CircuitBreaker, clock: Clock) -> None:
    """One failure of the probe is enough, and the cooldown begins anew."""
    fail(breaker)
    clock.now += 30
    breaker.failed(DOWN, breaker.admit())
    assert breaker.state == "open"
    clock.now += 29
    assert breaker.state == "open"
    clock.now += 1
    assert breaker.admit()


def test_a_probe_that_tells_nothing_leaves_its_place(breaker: CircuitBreaker, clock: Clock) -> None:
    """After a cancelled probe the next call is the probe; one that is long over takes no other's place away."""
    fail(breaker)
    clock.now += 30
    first = breaker.admit()
    breaker.failed(RequestTimeoutError("x", limit="total"), first)
    breaker.release(first)
    second = breaker.admit()
    assert second not in (0, first)
    breaker.release(first)
    with pytest.raises(ProviderUnavailableError):
        breaker.admit()


def test_a_probe_that_is_refused_shows_that_the_target_is_up(breaker: CircuitBreaker, clock: Clock) -> None:
    """A status such as 429 comes from a server that is there: the breaker closes."""
    fail(breaker)
    clock.now += 30
    breaker.failed(RateLimitError("slow down", status=429), breaker.admit())
    assert breaker.state == "closed"


def test_a_probe_that_hangs_does_not_hold_the_place_for_ever(breaker: CircuitBreaker, clock: Clock) -> None:
    """A probe that shows nothing for a minute does not keep the next one from trying."""
    fail(breaker)
    clock.now += 30
    first = breaker.admit()
    clock.now += 59
    with pytest.raises(ProviderUnavailableError, match="being tried"):
        breaker.admit()
    clock.now += 1
    assert breaker.admit() not in (0, first)


def test_stragglers_do_not_prolong_the_cooldown(breaker: CircuitBreaker, clock: Clock) -> None:
    """A call that began before and fails after the opening changes nothing; one that is answered closes."""
    fail(breaker)
    clock.now += 29
    fail(breaker)
    clock.now += 1
    assert breaker.state == "half_open"
    breaker.succeeded()
    assert breaker.state == "closed"


def test_exactly_one_probe_over_threads(clock: Clock) -> None:
    """However many threads ask at the same moment, one becomes the probe."""
    breaker = CircuitBreaker("m", 1, 30.0, clock=clock)
    for _ in range(50):
        breaker.failed(DOWN)
        clock.now += 30
        probes: list[int] = []
        barrier = threading.Barrier(4)
        threads = [threading.Thread(target=_ask, args=(breaker, barrier, probes)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(probes) == 1
        breaker.succeeded()


def _ask(breaker: CircuitBreaker, barrier: threading.Barrier, probes: list[int]) -> None:
    barrier.wait()
    try:
        probes.append(breaker.admit())
    except ProviderUnavailableError:
        pass


# ----------------------------------------------------------------------------------------------------- in the engine
class Bench:
    """An engine with one fake model, "m", that counts as a provider's."""

    def __init__(self, folder: Path, *answers: Answer, local: bool = False, **config: Any) -> None:
        metadata = {"provider": "somewhere", "model_id": "the-model"}
        info = ModelInfo("m", backend_type="fake", is_local=local, metadata=metadata)
        self.backend = FakeBackend(info, answers=answers)
        settings = {"breaker_failures": 3, "max_retries": 0, **config}
        self.engine = InferenceEngine(ModelRegistry(folder / "models", folder / "cache.json"), LLMConfig(**settings))
        self.backend.install(self.engine)
        self.clock = Clock()

    def open(self) -> CircuitBreaker:
        """Open the breaker, and give it the clock that the test moves."""
        breaker = self.engine._targets.of(self.backend.model_info).breaker
        assert breaker is not None
        breaker._clock = self.clock
        fail(breaker)
        return breaker

    async def ask(self, **fields: Any) -> Any:
        return await self.engine.generate_text(InferenceRequest("hi", model_name="m", **fields))

    @property
    def state(self) -> Any:
        return self.engine.get_performance_stats()["models"]["m"]["breaker"]


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_framework.engine.retry.FIRST_WAIT", 0.0)


async def test_an_open_breaker_asks_nobody(tmp_path: Path) -> None:
    """When the target has failed often enough, the next call fails at once, unsent, and says so in its attempts."""
    bench = Bench(tmp_path, DOWN)
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError, match=r"^down$"):
            await bench.ask()
    assert bench.state == "open"
    with pytest.raises(ProviderUnavailableError, match="in a row") as caught:
        await bench.ask()
    assert len(bench.backend.requests) == 3
    assert 0 < caught.value.retry_after <= 30  # type: ignore[operator]
    assert caught.value.model == "m"
    assert len(caught.value.attempts) == 1  # type: ignore[attr-defined]


async def test_two_names_of_one_target_share_its_fate(tmp_path: Path) -> None:
    """The breaker belongs to the model at the endpoint, whatever it is called here."""
    bench = Bench(tmp_path, "ok")
    metadata = bench.backend.model_info.metadata
    alias = FakeBackend(ModelInfo("alias", backend_type="fake", is_local=False, metadata=metadata))
    other = FakeBackend(ModelInfo("other", backend_type="fake", is_local=False, metadata={"provider": "elsewhere"}))
    for backend in (alias, other):
        backend.install(bench.engine)
    bench.open()
    with pytest.raises(ProviderUnavailableError):
        await bench.engine.generate_text(InferenceRequest("hi", model_name="alias"))
    await bench.engine.generate_text(InferenceRequest("hi", model_name="other"))
    assert (alias.requests, len(other.requests)) == ([], 1)


async def test_a_call_that_was_let_through_has_all_its_attempts(tmp_path: Path, no_waits: None) -> None:
    """Attempts are retries + 1 also where the failures of the call itself open the breaker; an answer closes it."""
    bench = Bench(tmp_path, *[DOWN] * 5, "ok", max_retries=5)
    assert (await bench.ask()).text == "ok"
    assert (len(bench.backend.requests), bench.state) == (6, "closed")


async def test_a_probe_is_one_attempt(tmp_path: Path, no_waits: None) -> None:
    """A probe that fails is not tried again: the breaker is open."""
    bench = Bench(tmp_path, DOWN, max_retries=5)
    bench.open()
    bench.clock.now += 30
    with pytest.raises(ProviderUnavailableError, match=r"^down$"):
        await bench.ask()
    assert (len(bench.backend.requests), bench.state) == (1, "open")


async def test_others_fail_at_once_while_the_probe_is_on_its_way(tmp_path: Path) -> None:
    """Half-open, one call reaches the backend; when it shows its first piece all others may follow."""
    gate, end = Gate(), Gate()
    bench = Bench(tmp_path, [gate, "a", end], "b")
    bench.open()
    bench.clock.now += 30
    probe = asyncio.ensure_future(bench.ask())
    await gate.reached()
    for _ in range(5):
        with pytest.raises(ProviderUnavailableError, match="being tried"):
            await bench.ask()
    gate.open()
    await end.reached()
    assert (await bench.ask()).text == "b"
    end.open()
    assert (await probe).text == "a"
    assert bench.state == "closed"


async def test_a_cancelled_probe_leaves_its_place(tmp_path: Path) -> None:
    """The probe's place is free again when its task is cancelled."""
    gate = Gate()
    bench = Bench(tmp_path, [gate], "b")
    bench.open()
    bench.clock.now += 30
    probe = asyncio.ensure_future(bench.ask())
    await gate.reached()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert (await bench.ask()).text == "b"
    assert bench.state == "closed"


async def test_an_open_breaker_is_known_before_the_queue(tmp_path: Path) -> None:
    """Nobody waits for a slot only to hear that the target is left alone."""
    gate = Gate()
    bench = Bench(tmp_path, [gate, "a"], max_concurrent_requests=1, max_queue=0)
    first = asyncio.ensure_future(bench.ask())
    await gate.reached()
    bench.open()
    with pytest.raises(ProviderUnavailableError, match="in a row"):
        await bench.ask()
    gate.open()
    assert (await first).text == "a"


async def test_a_model_in_this_process_has_no_breaker(tmp_path: Path) -> None:
    """A local model that failed is asked again."""
    bench = Bench(tmp_path, *[DOWN] * 9, "ok", local=True)
    for _ in range(9):
        with pytest.raises(ProviderUnavailableError):
            await bench.ask()
    assert ((await bench.ask()).text, bench.state) == ("ok", None)
