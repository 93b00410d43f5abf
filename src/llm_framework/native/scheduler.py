"""Many requests, one engine: a thread that loops *admit, step, deliver* for one loaded model.

Every step is one pass over the weights for all running requests at once: one token for each that decodes, and beside
them a piece of the prompts that are still being read, so that a long prompt does not halt the others' streams. Tokens
go to each consumer's own event loop. Texts, templates and stop strings are none of this file's business.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..errors import LLMFrameworkError, ProviderUnavailableError, StructuredOutputError
from ..logs import get_logger

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..decoding.constraints import Constraint

    Mask = NDArray[np.uint32] | None

MAX_BATCH = 64
PREFILL_TOKENS = 256
MASK_PATIENCE = 0.002  # seconds that a step waits for constraints that are not done; after that it goes without those
MASK_THREADS = 2

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """A token that was generated. `logprob` and `top` (id, log-probability) are what the sampler was asked for."""

    token: int
    logprob: float = 0.0
    top: Sequence[tuple[int, float]] = ()


@dataclass(slots=True)
class StepTimes:
    """When things happened, on `time.monotonic`'s clock; 0 where they did not yet."""

    submitted: float = 0.0
    admitted: float = 0.0
    first_token: float = 0.0
    finished: float = 0.0


class Sampled(Protocol):
    """A token that the engine drew, as `_native.Sampled` has it."""

    @property
    def token(self) -> int: ...
    @property
    def logprob(self) -> float: ...
    @property
    def top(self) -> Sequence[tuple[int, float]]: ...


class Engine(Protocol):
    """What the scheduler needs of an engine: `_native.Model` is one. Its rows, sequences (which know their `length`)
    and samplers are its own."""

    def new_sequence(self, capacity: int) -> Any:
        """An empty KV cache."""

    def step(self, rows: Sequence[Any]) -> Sequence[Sampled | None]:
        """One pass over the weights. A sequence whose row failed, and that is not as it was, has another length."""


class Generation:
    """One request's tokens, as an async iterator for the event loop on which it was submitted.

    It ends with `finish_reason` "stop" (an end token came, which is not delivered) or "length", or raises the typed
    error that ended it. `cancel`, or closing it, takes the request out of the batch before the next step.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        sampler: Any,
        max_tokens: int,
        stop_ids: frozenset[int],
        constraint: Constraint | None = None,
    ) -> None:
        self.finish_reason: Literal["stop", "length"] | None = None
        self.times = StepTimes(submitted=time.monotonic())
        self.loop = asyncio.get_running_loop()
        # The scheduler's side.
        self.sampler = sampler
        self.pending: list[int] = list(prompt)  # not yet in the sequence; while decoding, the last token drawn
        self.sequence: Any = None
        self.length = 0  # of the sequence
        self.capacity = len(prompt) + max_tokens
        self.num_left = max_tokens
        self.stop_ids = stop_ids
        self.constraint = constraint
        self.constrained = False  # whether the constraint has begun
        self.turn: Future[Turn] | None = None  # what the constraint is at; the request takes no part in steps meanwhile
        self.mask: Mask = None  # of the next token
        self.decoding = False
        self.cancelled = False
        self.wake: Callable[[], None] = _nothing
        # The consumer's side: only its own event loop touches these.
        self._events: deque[TokenEvent] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: LLMFrameworkError | None = None

    def __aiter__(self) -> AsyncIterator[TokenEvent]:
        return self

    async def __anext__(self) -> TokenEvent:
        while not self._events:
            if self._ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._waiter = self.loop.create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:
                self.cancel()
                raise
            finally:
                self._waiter = None
        return self._events.popleft()

    def cancel(self) -> None:
        """Stop the work on this request. Nothing happens where it has ended. Callable from any thread."""
        self.cancelled = True
        self.wake()

    async def aclose(self) -> None:
        """The same, under the name that async iterators have for it."""
        self.cancel()

    def deliver(self, delivery: Delivery) -> None:
        """Take what the scheduler sends; runs on the consumer's event loop."""
        if delivery.event is not None:
            self._events.append(delivery.event)
        if delivery.ended:
            self._ended, self._error = True, delivery.error
            self.finish_reason = delivery.finish_reason
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one step brought one consumer: a token, the end, or both."""

    generation: Generation
    event: TokenEvent | None = None
    ended: bool = False
    finish_reason: Literal["stop", "length"] | None = None
    error: LLMFrameworkError | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A request's part in a step: the first `num_tokens` of its pending tokens; `samples` where they are the last."""

    generation: Generation
    num_tokens: int
    samples: bool


@dataclass(slots=True)
class _State:
    """What both sides see, under the scheduler's condition."""

    waiting: deque[Generation] = field(default_factory=deque)
    num_active: int = 0
    num_steps: int = 0
    closed: bool = False


# -------------------------------------------------------------------------------------------------------------- policy
def plan_step(active: Sequence[Generation], prefill_tokens: int = PREFILL_TOKENS) -> list[Slot]:
    """Who takes part in the next step: everyone who decodes, and prompts in `active`'s order up to `prefill_tokens`."""
    slots = [Slot(generation, 1, True) for generation in active if generation.decoding]
    room = prefill_tokens
    for generation in active:
        if not generation.decoding and room > 0:
            num_tokens = min(room, len(generation.pending))
            room -= num_tokens
            slots.append(Slot(generation, num_tokens, num_tokens == len(generation.pending)))
    return slots


def rotate_prefills(active: Sequence[Generation], slots: Sequence[Slot]) -> list[Generation]:
    """The order of the next step: prompts that had a share go behind those that had none."""
    served = {id(slot.generation) for slot in slots if not slot.generation.decoding}
    return [g for g in active if id(g) not in served] + [g for g in active if id(g) in served]


def advance(slot: Slot, sampled: Sampled | None) -> Delivery | None:
    """Move the slot's request on by what the step drew for it. Returns what its consumer is told, if anything."""
    generation = slot.generation
    generation.length += slot.num_tokens
    if sampled is None:
        generation.pending = generation.pending[slot.num_tokens :]
        return None
    generation.decoding = True
    generation.pending = [sampled.token]
    generation.num_left -= 1
    if sampled.token in generation.stop_ids:
        return Delivery(generation, ended=True, finish_reason="stop")
    token, constraint = sampled.token, generation.constraint
    if constraint is not None:
        try:
            taken = constraint.commit(token, generation.num_left)
        except StructuredOutputError as error:
            return Delivery(generation, ended=True, error=error)
        if taken is None:
            return Delivery(generation, ended=True, finish_reason="stop")
        token = taken
        generation.pending = [token]
    event = TokenEvent(token, sampled.logprob, sampled.top)
    if constraint is not None and (constraint.is_done() or (generation.num_left == 0 and constraint.may_end())):
        return Delivery(generation, event, ended=True, finish_reason="stop")
    if generation.num_left == 0:
        return Delivery(generation, event, ended=True, finish_reason="length")
    return Delivery(generation, event)


# --------------------------------------------------------------------------------------------------------- constraints
class ConstraintThreads:
    """Where constraints work: beside the engine and not in its way. Most tokens take them microseconds, but some far
    longer, and there is more than one request.

    A request whose constraint is not done is left out of a step, so that it alone waits. All of this is for the
    scheduler's thread to call.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool: ThreadPoolExecutor | None = None

    def follow(self, slot: Slot, sampled: Sampled) -> None:
        """Commit what was drawn for the slot's request, and make the mask of its next token."""
        slot.generation.turn = self._submit(_follow, slot, sampled)

    def settle(self, active: Sequence[Generation]) -> list[Delivery]:
        """What came of the work on `active`, after a moment's wait for what is not done. Those whose `turn` is None
        afterwards can take part in a step."""
        for generation in active:
            if generation.constraint is not None and not generation.constrained:
                generation.constrained = True
                generation.turn = self._submit(_first_turn, generation.constraint)
        running = [generation.turn for generation in active if generation.turn is not None]
        if running:
            wait_for(running, MASK_PATIENCE)
        told = [_taken(generation) for generation in active if generation.turn is not None and generation.turn.done()]
        return [delivery for delivery in told if delivery is not None]

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _submit(self, work: Callable[..., Turn], *arguments: Any) -> Future[Turn]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(MASK_THREADS, thread_name_prefix=f"llm-framework masks {self._name}")
        return self._pool.submit(work, *arguments)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a constraint made of a token: what the consumer is told, and the mask of the next token."""

    delivery: Delivery | None
    mask: Mask


def _first_turn(constraint: Constraint) -> Turn:
    return Turn(None, constraint.mask())


def _follow(slot: Slot, sampled: Sampled) -> Turn:
    delivery = advance(slot, sampled)
    constraint = slot.generation.constraint
    if constraint is None or delivery is None or delivery.ended:
        return Turn(delivery, None)
    try:
        return Turn(delivery, constraint.mask())
    except StructuredOutputError as error:
        return Turn(replace(delivery, ended=True, error=error), None)


def _taken(generation: Generation) -> Delivery | None:
    """The result of the turn that is done; what it raised ends the request."""
    turn, generation.turn = generation.turn, None
    assert turn is not None
    error = turn.exception()
    if error is None:
        generation.mask = turn.result().mask
        return turn.result().delivery
    if not isinstance(error, LLMFrameworkError):
        error = StructuredOutputError(f"the constraint failed: {type(error).__name__}: {error}")
    return Delivery(generation, ended=True, error=error)


# ----------------------------------------------------------------------------------------------------------- scheduler
class Scheduler:
    """The queue and the thread of one loaded model.

    `make_row(sequence, tokens, sampler)` makes an engine row (`_native.Row`). The thread starts with the first request
    and sleeps while there is none. `close` ends what still runs with a typed error.
    """

    def __init__(
        self,
        engine: Engine,
        make_row: Callable[..., Any],
        *,
        max_batch: int = MAX_BATCH,
        prefill_tokens: int = PREFILL_TOKENS,
        name: str = "model",
    ) -> None:
        self._engine = engine
        self._make_row = make_row
        self._max_batch = max_batch
        self._prefill_tokens = prefill_tokens
        self._name = name
        self._state = _State()
        self._changed = threading.Condition()
        self._active: list[Generation] = []  # the thread's own
        self._thread: threading.Thread | None = None
        self._constraints = ConstraintThreads(name)
        self._pid = os.getpid()
        _open_schedulers.add(self)

    @property
    def num_active(self) -> int:
        """Requests that wait or run."""
        with self._changed:
            return self._state.num_active + len(self._state.waiting)

    @property
    def num_steps(self) -> int:
        """Passes over the weights so far."""
        with self._changed:
            return self._state.num_steps

    def submit(
        self,
        prompt: Sequence[int],
        sampler: Any,
        *,
        max_tokens: int,
        stop_ids: Iterable[int] = (),
        constraint: Constraint | None = None,
    ) -> Generation:
        """Queue a prompt; call it on the event loop that will read the tokens. The caller has checked that prompt and
        `max_tokens` fit the context. `constraint` is used from the scheduler's threads. Raises
        `ProviderUnavailableError` after `close`."""
        if self._is_forked():
            message = f"{self._name} was loaded before this process was forked; load it again in the new process"
            raise ProviderUnavailableError(message, model=self._name, retryable=False)
        generation = Generation(prompt, sampler, max_tokens, frozenset(stop_ids), constraint)
        generation.wake = self._wake
        with self._changed:
            if self._state.closed:
                raise self._unloaded()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"llm-framework {self._name}", daemon=True)
                self._thread.start()
            self._state.waiting.append(generation)
            self._changed.notify_all()
        return generation

    def wait_idle(self, timeout: float | None = None) -> bool:
        """Wait until no request waits or runs; False where `timeout` seconds did not suffice."""
        state = self._state
        with self._changed:
            return self._changed.wait_for(lambda: not state.waiting and not state.num_active, timeout)

    def close(self) -> None:
        """End the thread, at the next step's end. What still runs fails with `ProviderUnavailableError`. Safe to call
        twice, and from any thread."""
        if self._is_forked():
            return
        with self._changed:
            self._state.closed = True
            self._changed.notify_all()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        _open_schedulers.discard(self)

    def _is_forked(self) -> bool:
        """Whether this is a copy in a forked process: there the thread is not, and its lock may be held for ever."""
        return os.getpid() != self._pid

    # The thread's side.
    def _run(self) -> None:
        try:
            while self._admit():
                self._hand_out(self._constraints.settle(self._active))
                slots = plan_step([g for g in self._active if g.turn is None], self._prefill_tokens)
                if not slots:
                    continue
                self._active = rotate_prefills(self._active, slots)
                self._hand_out(self._step(slots))
        finally:
            self._constraints.close()
            self._fail_all()

    def _admit(self) -> bool:
        """Wait for work; drop what was cancelled and let new requests in. False when closed."""
        state = self._state
        with self._changed:
            while True:
                self._drop_cancelled()
                while state.waiting and len(self._active) < self._max_batch:
                    self._active.append(state.waiting.popleft())
                self._count_active()
                if state.closed or self._active:
                    break
                self._changed.wait()
            return not state.closed

    def _drop_cancelled(self) -> None:
        for generation in self._active:
            if generation.cancelled:
                generation.sequence = None  # its memory, whoever still holds the iterator
        self._active = [generation for generation in self._active if not generation.cancelled]
        if any(generation.cancelled for generation in self._state.waiting):
            self._state.waiting = deque(generation for generation in self._state.waiting if not generation.cancelled)

    def _count_active(self) -> None:
        if self._state.num_active != len(self._active):
            self._state.num_active = len(self._active)
            self._changed.notify_all()

    def _step(self, slots: Sequence[Slot]) -> list[Delivery]:
        """One pass for `slots`. Where it fails, those that it did not touch get one each, so that a request which the
        engine cannot take fails alone."""
        with self._changed:
            self._state.num_steps += 1
        try:
            sampled = self._engine.step([self._row(slot) for slot in slots])
        except Exception as error:
            return self._after_failure(slots, error)
        told: list[Delivery | None] = []
        for slot, token in zip(slots, sampled, strict=True):
            if token is not None and slot.generation.constraint is not None:
                self._constraints.follow(slot, token)
            else:
                told.append(advance(slot, token))
        return [delivery for delivery in told if delivery is not None]

    def _row(self, slot: Slot) -> Any:
        generation = slot.generation
        if generation.sequence is None:
            generation.times.admitted = time.monotonic()
            generation.sequence = self._engine.new_sequence(generation.capacity)
        tokens = generation.pending[: slot.num_tokens]
        if not slot.samples:
            return self._make_row(generation.sequence, tokens, None)
        if generation.mask is None:
            return self._make_row(generation.sequence, tokens, generation.sampler)
        return self._make_row(generation.sequence, tokens, generation.sampler, generation.mask)

    def _after_failure(self, slots: Sequence[Slot], error: Exception) -> list[Delivery]:
        if len(slots) == 1:
            _log.warning("%s: a request failed in the engine: %s", self._name, error)
            return [Delivery(slots[0].generation, ended=True, error=self._failed(error))]
        deliveries: list[Delivery] = []
        for slot in slots:
            if _is_untouched(slot.generation):
                deliveries += self._step([slot])
            else:
                deliveries.append(Delivery(slot.generation, ended=True, error=self._failed(error)))
        return deliveries

    def _hand_out(self, deliveries: Sequence[Delivery]) -> None:
        self._retire(deliveries)
        self._deliver(deliveries)

    def _retire(self, deliveries: Iterable[Delivery]) -> None:
        now = time.monotonic()
        for delivery in deliveries:
            times = delivery.generation.times
            times.first_token = times.first_token or now
            if delivery.ended:
                times.finished = now
                delivery.generation.sequence = None
                self._active.remove(delivery.generation)

    def _deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Hand out what a step brought: one call for each event loop, as each wakes its loop's thread."""
        by_loop: dict[asyncio.AbstractEventLoop, list[Delivery]] = {}
        for delivery in deliveries:
            by_loop.setdefault(delivery.generation.loop, []).append(delivery)
        for loop, of_loop in by_loop.items():
            try:
                loop.call_soon_threadsafe(_deliver_all, of_loop)
            except RuntimeError:  # the loop was closed: nobody reads on
                for delivery in of_loop:
                    delivery.generation.cancelled = True

    def _fail_all(self) -> None:
        with self._changed:
            self._state.closed = True
            left = [*self._active, *self._state.waiting]
            self._active = []
            self._state.waiting.clear()
            self._count_active()
        for generation in left:
            generation.sequence = None
        self._deliver(Delivery(generation, ended=True, error=self._unloaded()) for generation in left)

    def _wake(self) -> None:
        if not self._is_forked():
            with self._changed:
                self._changed.notify_all()

    def _unloaded(self) -> ProviderUnavailableError:
        message = f"{self._name} was unloaded while the request ran or waited; load it and ask again"
        return ProviderUnavailableError(message, model=self._name)

    def _failed(self, error: Exception) -> ProviderUnavailableError:
        message = f"the engine failed while {self._name} answered: {type(error).__name__}: {error}"
        return ProviderUnavailableError(message, model=self._name)


def _is_untouched(generation: Generation) -> bool:
    """Whether the sequence holds what it held before the step that failed."""
    return generation.sequence is None or generation.sequence.length == generation.length


def _deliver_all(deliveries: Iterable[Delivery]) -> None:
    for delivery in deliveries:
        delivery.generation.deliver(delivery)


def _nothing() -> None:
    pass


# A thread that is inside of the engine while the interpreter shuts down would bring the process down with it.
_open_schedulers: weakref.WeakSet[Scheduler] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for scheduler in list(_open_schedulers):
        scheduler.close()
