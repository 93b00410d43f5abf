"""The scheduler: who takes part in a step, and what happens to a request in every way it can end."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llm_framework.native._native")

from llm_framework.errors import ProviderUnavailableError, RequestTimeoutError, StructuredOutputError
from llm_framework.native._native import Row, Sampled, Sampler
from llm_framework.native.generation import Generation, TokenEvent
from llm_framework.native.model import NativeModel, open_model
from llm_framework.native.policy import PrefillBudget
from llm_framework.native.scheduler import Scheduler
from llm_framework.types import GenerationConfig

LONG = 2000  # more tokens than any test waits for, and all that the model has room for


class Gate:
    """The engine, with steps that wait until the gate is open, and that can be made to fail."""

    def __init__(self, engine: Any) -> None:
        self.opened = threading.Event()
        self.opened.set()
        self.inside = threading.Event()  # the thread stands before the closed gate
        self.rows: list[int] = []
        self.failures: list[Exception] = []
        self.new_sequence = engine.new_sequence
        self._engine = engine

    def step(self, rows: Sequence[Row], repeatable: bool = False) -> list[Sampled | None]:
        """One step of the engine."""
        self.rows.append(len(rows))
        if not self.opened.is_set():
            self.inside.set()
            assert self.opened.wait(20)
            self.inside.clear()
        if self.failures:
            raise self.failures.pop(0)
        stepped: list[Sampled | None] = self._engine.step(rows)
        return stepped

    async def closed(self) -> None:
        """Close the gate and wait until the thread stands before it."""
        self.opened.clear()
        assert await asyncio.to_thread(self.inside.wait, 20)


@pytest.fixture(scope="module")
def model(bundled_path: Path) -> Iterator[NativeModel]:
    """The bundled model."""
    with open_model(bundled_path, num_threads=2) as opened:
        yield opened


@pytest.fixture
def gate(model: NativeModel) -> Gate:
    """The model's engine behind a gate."""
    return Gate(model.engine)


@pytest.fixture
def scheduler(gate: Gate) -> Iterator[Scheduler]:
    """A scheduler with room for four requests at once, and small pieces of prompts."""
    opened = Scheduler(gate, Row, max_batch=4, budget=PrefillBudget(8), name="tiny")
    yield opened
    gate.opened.set()
    opened.close()


def submit(
    scheduler: Scheduler, prompt: Sequence[int] = (2, 100, 101), max_tokens: int = 5, **kwargs: Any
) -> Generation:
    """Queue a prompt, to be continued greedily and with a new token each time."""
    return scheduler.submit(
        prompt, Sampler(0, temperature=0.0, presence_penalty=100.0), max_tokens=max_tokens, **kwargs
    )


async def tokens(generation: Generation) -> list[int]:
    """All tokens of a request."""
    return [event.token async for event in generation]


async def idle(scheduler: Scheduler) -> None:
    """Wait until nothing waits or runs."""
    assert await asyncio.to_thread(scheduler.wait_idle, 20)


# ------------------------------------------------------------------------------------------------------------ requests
async def test_tokens_are_those_of_the_model_alone(scheduler: Scheduler, model: NativeModel) -> None:
    """Requests of all lengths that run together get the tokens that each gets alone."""
    encode = model.require_tokenizer().encode
    chats = [f"<bos><start_of_turn>user\n{'Hi. ' * n}<end_of_turn>\n<start_of_turn>model\n" for n in (1, 2, 9, 3, 30)]
    prompts = [encode(chat) for chat in chats]
    greedy, ends = Sampler(0, temperature=0.0), model.config.eos_ids
    running = [scheduler.submit(prompt, greedy, max_tokens=6, stop_ids=ends) for prompt in prompts]
    together = await asyncio.gather(*map(tokens, running))
    assert together == [model.generate(prompt, GenerationConfig(max_tokens=6, temperature=0)) for prompt in prompts]


async def test_a_request_ends_at_its_limit(scheduler: Scheduler) -> None:
    """At most max_tokens are generated, and the reason is "length"."""
    generation = submit(scheduler, max_tokens=3)
    assert len(await tokens(generation)) == 3
    assert generation.finish_reason == "length"


class Only:
    """A constraint that allows the tokens of a list, one after the other; its masks wait until the gate is open."""

    def __init__(self, wanted: Sequence[int], vocab_size: int) -> None:
        self.gate = threading.Event()
        self.asked = threading.Event()
        self._left = list(wanted)
        self._words = (vocab_size + 31) // 32

    def mask(self) -> np.ndarray[Any, np.dtype[np.uint32]] | None:
        """A mask of the next token alone."""
        self.asked.set()
        assert self.gate.wait(20)
        mask = np.zeros(self._words, np.uint32)
        mask[self._left[0] // 32] = 1 << self._left[0] % 32
        return mask

    def commit(self, token: int, num_left: int) -> int:
        """Take the token."""
        assert token == self._left.pop(0)
        return token

    def is_done(self) -> bool:
        """Whether all were drawn."""
        return not self._left

    def may_end(self) -> bool:
        """The same."""
        return not self._left


async def test_a_constraint_decides_on_the_tokens(scheduler: Scheduler, model: NativeModel) -> None:
    """Only what the masks allow is drawn; the request ends with "stop" when its constraint is done."""
    wanted = [300, 20, 1000]
    constraint = Only(wanted, model.config.vocab_size)
    constraint.gate.set()
    generation = submit(scheduler, max_tokens=9, constraint=constraint)
    assert await tokens(generation) == wanted
    assert generation.finish_reason == "stop"


async def test_a_late_mask_holds_up_no_one_else(scheduler: Scheduler, model: NativeModel) -> None:
    """While a request waits for its mask, the others go on; it goes on when the mask is there."""
    constraint = Only([300, 20], model.config.vocab_size)
    held = submit(scheduler, constraint=constraint)
    assert await asyncio.to_thread(constraint.asked.wait, 20)
    assert len(await tokens(submit(scheduler, max_tokens=20))) == 20
    constraint.gate.set()
    assert await tokens(held) == [300, 20]


async def test_a_late_commit_holds_up_no_one_else(scheduler: Scheduler, model: NativeModel) -> None:
    """While a constraint is still at the last token, the others go on; the token is delivered when it is done."""
    gate, entered = threading.Event(), threading.Event()

    class Slow(Only):
        def commit(self, token: int, num_left: int) -> int:
            entered.set()
            assert gate.wait(20)
            return super().commit(token, num_left)

    constraint = Slow([300, 20], model.config.vocab_size)
    constraint.gate.set()
    held = submit(scheduler, constraint=constraint)
    assert await asyncio.to_thread(entered.wait, 20)
    assert len(await tokens(submit(scheduler, max_tokens=20))) == 20
    gate.set()
    assert await tokens(held) == [300, 20]


async def test_a_constraint_that_fails_in_the_middle_delivers_what_it_took(
    scheduler: Scheduler, model: NativeModel
) -> None:
    """Where the next mask cannot be made, the token before it arrives, and then the error; whatever the error is, it
    arrives as one of ours."""
    for fault, expected in ((StructuredOutputError("too much"), "too much"), (KeyError("bug"), "constraint failed")):

        class Failing(Only):
            def mask(self, fault: Exception = fault) -> np.ndarray[Any, np.dtype[np.uint32]] | None:
                if len(self._left) == 1:
                    raise fault
                return super().mask()

        constraint = Failing([300, 20], model.config.vocab_size)
        constraint.gate.set()
        generation = submit(scheduler, constraint=constraint)
        if isinstance(fault, StructuredOutputError):
            assert (await anext(generation)).token == 300
        with pytest.raises(StructuredOutputError, match=expected):
            await tokens(generation)


async def test_a_constraint_that_fails_ends_its_own_request(scheduler: Scheduler, model: NativeModel) -> None:
    """Its error reaches its consumer; a request beside it goes on."""

    class Failing(Only):
        def mask(self) -> np.ndarray[Any, np.dtype[np.uint32]] | None:
            raise StructuredOutputError("too much")

    failing = submit(scheduler, constraint=Failing([1], model.config.vocab_size))
    other = submit(scheduler, max_tokens=6)
    with pytest.raises(StructuredOutputError, match="too much"):
        await tokens(failing)
    assert len(await tokens(other)) == 6


async def test_a_request_ends_at_an_end_token(scheduler: Scheduler) -> None:
    """An end token is not delivered, and the reason is "stop"."""
    first, second, *_ = await tokens(submit(scheduler))
    assert first != second
    generation = submit(scheduler, stop_ids={second})
    assert await tokens(generation) == [first]
    assert generation.finish_reason == "stop"


async def test_running_requests_share_a_step(scheduler: Scheduler, gate: Gate) -> None:
    """Requests that run at the same time stand in one step, up to the batch's limit; the others wait their turn."""
    await asyncio.gather(*(tokens(submit(scheduler, [2, 100], 6)) for _ in range(6)))
    assert max(gate.rows) == 4


async def test_streams_go_on_while_a_long_prompt_is_read(scheduler: Scheduler, gate: Gate) -> None:
    """A long prompt is read in pieces, and running streams have a row in each of the steps that read them."""
    stream = submit(scheduler, max_tokens=LONG)
    await anext(stream)
    await tokens(submit(scheduler, [2] + [100] * 159, max_tokens=1))
    stream.cancel()
    assert gate.rows.count(2) == 160 // 8


async def test_an_event_carries_what_the_sampler_was_asked_for(scheduler: Scheduler) -> None:
    """Log-probabilities come with their token, the likeliest first."""
    generation = scheduler.submit([2, 100], Sampler(0, temperature=0.0, num_logprobs=2), max_tokens=1)
    event = await anext(generation)
    assert isinstance(event, TokenEvent)
    assert event.top[0][0] == event.token
    assert event.logprob == pytest.approx(event.top[0][1])
    assert len(event.top) == 2


async def test_times_are_in_order(scheduler: Scheduler) -> None:
    """A request notes when it was submitted, admitted, gave its first token and ended."""
    generation = submit(scheduler)
    await tokens(generation)
    times = generation.times
    assert 0 < times.submitted <= times.admitted <= times.first_token <= times.finished


# -------------------------------------------------------------------------------------------------------- cancellation
async def test_cancel_takes_a_request_out_before_the_next_step(scheduler: Scheduler, gate: Gate) -> None:
    """After a cancel the step that runs is the request's last."""
    generation = submit(scheduler, max_tokens=LONG)
    await anext(generation)
    await gate.closed()
    generation.cancel()
    steps = len(gate.rows)
    gate.opened.set()
    await idle(scheduler)
    assert len(gate.rows) == steps
    assert scheduler.num_active == 0
    assert generation.sequence is None


async def test_cancelling_the_task_that_reads_stops_the_work(scheduler: Scheduler, gate: Gate) -> None:
    """A task that is cancelled while it waits for a token takes its request with it."""
    task = asyncio.create_task(tokens(submit(scheduler, max_tokens=LONG)))
    await gate.closed()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.opened.set()
    await idle(scheduler)


async def test_a_waiting_request_can_be_cancelled(scheduler: Scheduler, gate: Gate) -> None:
    """A request that was not admitted yet leaves the queue, and the others do not notice."""
    gate.opened.clear()
    running = [submit(scheduler, max_tokens=3) for _ in range(4)]
    queued = submit(scheduler, max_tokens=3)
    queued.cancel()
    gate.opened.set()
    assert [len(await tokens(generation)) for generation in running] == [3] * 4
    await idle(scheduler)
    assert queued.times.admitted == 0


async def test_a_row_without_a_token_fails_alone(scheduler: Scheduler, gate: Gate, model: NativeModel) -> None:
    """A request for which no token can be sampled ends with a typed error; those of the same step lose nothing."""
    alone = await tokens(submit(scheduler, max_tokens=6))
    running = submit(scheduler, (2, 7), max_tokens=LONG)
    await gate.closed()
    nothing = {token: float("-inf") for token in range(model.config.vocab_size)}
    bad = scheduler.submit((2, 8), Sampler(0, temperature=0.0, logit_bias=nothing), max_tokens=3)
    good = submit(scheduler, max_tokens=6)
    gate.opened.set()
    with pytest.raises(ProviderUnavailableError, match="no token"):
        await tokens(bad)
    assert await tokens(good) == alone
    assert not running.cancelled
    running.cancel()


async def test_cancel_after_the_end_does_nothing(scheduler: Scheduler) -> None:
    """A request that has ended can be cancelled, and its tokens can still be read."""
    generation = submit(scheduler, max_tokens=3)
    await idle(scheduler)
    generation.cancel()
    await generation.aclose()
    assert len(await tokens(generation)) == 3


def test_a_closed_event_loop_is_a_cancelled_request(scheduler: Scheduler) -> None:
    """A loop that is closed while its requests run takes them with it; other loops' requests go on."""

    async def start() -> Generation:
        generation = submit(scheduler, max_tokens=LONG)
        await anext(generation)
        return generation

    abandoned = asyncio.run(start())
    assert scheduler.wait_idle(20)
    assert abandoned.cancelled
    assert len(asyncio.run(collect(scheduler, 4))) == 4


async def collect(scheduler: Scheduler, num_tokens: int) -> list[int]:
    """The tokens of a request that is submitted on the running loop."""
    return await tokens(submit(scheduler, max_tokens=num_tokens))


def test_several_event_loops_share_one_scheduler(scheduler: Scheduler) -> None:
    """Each loop's requests get their own tokens, on their own loop."""
    results: dict[int, list[int]] = {}

    def run(i: int) -> None:
        results[i] = asyncio.run(collect(scheduler, 5 + i))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [len(results[i]) for i in range(4)] == [5, 6, 7, 8]
    assert all(results[3][: 5 + i] == results[i] for i in range(4))


# ------------------------------------------------------------------------------------------------------------- failure
async def test_a_failing_step_fails_its_request_and_the_scheduler_lives_on(scheduler: Scheduler, gate: Gate) -> None:
    """An exception of the engine reaches the request as a typed error; the next request is answered."""
    gate.failures = [RuntimeError("out of luck")]
    with pytest.raises(ProviderUnavailableError, match=r"tiny answered: RuntimeError: out of luck"):
        await tokens(submit(scheduler))
    assert len(await tokens(submit(scheduler))) == 5


async def test_a_request_that_the_engine_cannot_take_fails_alone(scheduler: Scheduler, gate: Gate) -> None:
    """A bad request does not take those down that stand in the same step."""
    gate.opened.clear()
    first = submit(scheduler, max_tokens=4)
    await gate.closed()
    bad, good = submit(scheduler, [10**6], 4), submit(scheduler, max_tokens=4)
    gate.opened.set()
    assert len(await tokens(first)) == len(await tokens(good)) == 4
    with pytest.raises(ProviderUnavailableError):
        await tokens(bad)


async def test_a_failure_does_not_repeat_tokens_of_the_others(scheduler: Scheduler, gate: Gate) -> None:
    """Requests that a failed step did not touch go on as if it had not been."""
    alone = await collect(scheduler, 6)
    gate.opened.clear()
    generations = [submit(scheduler, max_tokens=6) for _ in range(3)]
    await gate.closed()
    gate.failures = [MemoryError("for once")]
    gate.opened.set()
    assert [await tokens(generation) for generation in generations] == [alone] * 3


async def test_close_fails_what_runs_and_what_waits(scheduler: Scheduler, gate: Gate) -> None:
    """Requests in flight end with a typed error when the model is unloaded, and none are taken afterwards."""
    gate.opened.clear()
    generations = [submit(scheduler, max_tokens=LONG) for _ in range(6)]
    await gate.closed()
    closing = asyncio.create_task(asyncio.to_thread(scheduler.close))
    gate.opened.set()
    await closing
    for generation in generations:
        with pytest.raises(ProviderUnavailableError, match="unloaded"):
            await tokens(generation)
    with pytest.raises(ProviderUnavailableError, match="unloaded"):
        submit(scheduler)
    assert scheduler.num_active == 0
    scheduler.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
async def test_a_forked_process_is_told(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a forked process, which has no copy of the thread, requests fail at once and closing does not hang."""
    await collect(scheduler, 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(ProviderUnavailableError, match="forked") as caught:
            submit(scheduler)
        assert not caught.value.retryable
        scheduler.close()
    assert len(await collect(scheduler, 2)) == 2


async def test_an_idle_scheduler_takes_no_steps(scheduler: Scheduler, gate: Gate) -> None:
    """Between requests the thread sleeps, and it is the same thread for the next one."""
    await collect(scheduler, 3)
    await idle(scheduler)
    steps = scheduler.num_steps
    assert steps == len(gate.rows)
    thread = next(t for t in threading.enumerate() if t.name == "llm-framework tiny")
    assert thread.daemon
    await collect(scheduler, 3)
    assert thread.is_alive()
    scheduler.close()
    assert not thread.is_alive()


# ------------------------------------------------------------------------------------------------------------ deadlines
async def test_a_deadline_that_cannot_be_met_is_refused_at_once(model: NativeModel, gate: Gate) -> None:
    """Where reading the prompt takes longer than is left, even at the best speed seen, nothing is computed."""
    budget = PrefillBudget(512)
    budget.observe(512, 0, 512.0)
    scheduler = Scheduler(gate, Row, budget=budget, name="tiny")
    try:
        now = time.monotonic()
        hopeless = scheduler.submit([2] * 100, Sampler(0), max_tokens=3, deadline=now + 20)
        with pytest.raises(RequestTimeoutError, match="100 tokens") as caught:
            await tokens(hopeless)
        assert not caught.value.retryable
        assert gate.rows == []
        assert len(await tokens(scheduler.submit([2] * 100, Sampler(0), max_tokens=3, deadline=now + 2000))) == 3
        assert len(await tokens(scheduler.submit([2] * 100, Sampler(0), max_tokens=3))) == 3
    finally:
        scheduler.close()


async def test_a_deadline_counts_the_tokens_that_are_drawn_in_any_case(model: NativeModel, gate: Gate) -> None:
    """An answer that must have many tokens takes the time of as many steps; one that may be short is begun."""
    budget = PrefillBudget(512)
    budget.observe(0, 1, 10.0)
    scheduler = Scheduler(gate, Row, budget=budget, name="tiny")
    try:
        deadline = time.monotonic() + 100
        with pytest.raises(RequestTimeoutError):
            await tokens(scheduler.submit([2, 5], Sampler(0), max_tokens=50, deadline=deadline, min_tokens=50))
        may_be_short = scheduler.submit([2, 5], Sampler(0), max_tokens=50, deadline=deadline)
        assert (await anext(may_be_short)).token >= 0
    finally:
        scheduler.close()
