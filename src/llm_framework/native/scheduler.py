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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ProviderUnavailableError, RequestTimeoutError
from ..logs import get_logger
from .drafts import MAX_DRAFTS, MAX_ROWS, DraftCost
from .generation import Delivery, Generation, Sampled, Slot, advance, advance_all, drawn
from .interval import quick_turns
from .policy import PrefillBudget, plan_step, with_drafts
from .sharing import PrefixSharing
from .turns import ConstraintThreads

if TYPE_CHECKING:
    from ..decoding.constraints import Constraint

MAX_BATCH = 64

_log = get_logger(__name__)


class Engine(Protocol):
    """What the scheduler needs of an engine: `_native.Model` is one. Its rows, sequences (which know their `length`)
    and samplers are its own."""

    def new_sequence(self, capacity: int) -> Any:
        """An empty KV cache."""

    def step(self, rows: Sequence[Any], repeatable: bool = False) -> Sequence[Sampled | None]:
        """One pass over the weights; `repeatable` where its bits shall not depend on what stands in it. A sequence
        whose row failed, and that is not as it was, has another length. Where only some rows' tokens could not be
        sampled, the error has `rows`, as `_native.RowsFailed` has."""


@dataclass(slots=True)
class _State:
    """What both sides see, under the scheduler's condition."""

    waiting: deque[Generation] = field(default_factory=deque)
    num_active: int = 0
    num_steps: int = 0
    closed: bool = False


class Scheduler:
    """The queue and the thread of one loaded model.

    `make_row(sequence, tokens, sampler)` makes an engine row (`_native.Row`). `budget` says how much of the prompts a
    step holds, `prefix_cache_bytes` how much memory is spent on texts that were read (0: none are kept; the engine's
    sequences need `fork` and `hold` else), `drafts` whether next tokens are guessed where that pays (rows then take
    `drafts=`). The thread starts with the first request and sleeps while there is none.
    `close` ends what still runs with a typed error.
    """

    def __init__(
        self,
        engine: Engine,
        make_row: Callable[..., Any],
        *,
        max_batch: int = MAX_BATCH,
        budget: PrefillBudget | None = None,
        prefix_cache_bytes: int = 0,
        drafts: bool = False,
        name: str = "model",
    ) -> None:
        self._engine = engine
        self._make_row = make_row
        self._max_batch = max_batch
        self._budget = budget or PrefillBudget()
        self._prefixes = PrefixSharing(prefix_cache_bytes)
        self._drafts = drafts
        self._draft_cost = DraftCost()
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
        reuse: bool = True,
        min_tokens: int = 0,
        deadline: float | None = None,
    ) -> Generation:
        """Queue a prompt; call it on the event loop that will read the tokens. The caller has checked that prompt and
        `max_tokens` fit the context. `constraint` is used from the scheduler's threads.
        `reuse` False is for what shall be the same again, a seed's draws: the whole prompt is read, also where its
        beginning is kept, and in passes whose bits do not depend on the company.
        Where `deadline` (on `time.monotonic`'s clock) cannot be met, `min_tokens` being drawn in any case, the request
        ends with `RequestTimeoutError` before anything is computed. Raises `ProviderUnavailableError` after `close`."""
        if self._is_forked():
            message = f"{self._name} was loaded before this process was forked; load it again in the new process"
            raise ProviderUnavailableError(message, model=self._name, retryable=False)
        generation = Generation(prompt, sampler, max_tokens, frozenset(stop_ids), constraint)
        generation.wake = self._wake
        generation.reuses = reuse
        generation.min_tokens, generation.deadline = min_tokens, deadline
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
        quick_turns.enter()
        try:
            while self._admit():
                self._hand_out(self._constraints.settle(self._active))
                slots = self._plan()
                if slots:
                    self._hand_out(self._timed_step(slots))
        finally:
            quick_turns.leave()
            self._constraints.close()
            self._fail_all()

    def _refuse_hopeless(self) -> None:
        """End requests that have not begun and cannot meet their deadline at the best speed that was seen."""
        hopeless = [
            Delivery(generation, ended=True, error=self._too_late(generation))
            for generation in self._active
            if generation.deadline is not None and not generation.times.admitted and self._is_too_late(generation)
        ]
        self._hand_out(hopeless)

    def _is_too_late(self, generation: Generation) -> bool:
        assert generation.deadline is not None
        if not (generation.looked_up or generation.leader is None):
            return False  # it will go on from what another request is reading
        num_drawn = generation.min_tokens // ((1 + MAX_DRAFTS) if self._drafts else 1)
        least = self._budget.least_seconds(len(generation.pending), num_drawn)
        return least > 0 and time.monotonic() + least > generation.deadline

    def _plan(self) -> list[Slot]:
        ready = [g for g in self._active if g.turn is None and self._prefixes.is_ready(g, self._active)]
        self._refuse_hopeless()
        ready = [generation for generation in ready if generation in self._active]
        num_decoding = sum(generation.decoding for generation in self._active)
        slots = plan_step(ready, self._budget.tokens(num_decoding))
        if not self._drafts or num_decoding > MAX_ROWS:
            return slots
        return [with_drafts(slot, self._draft_cost.cost) for slot in slots]

    def _timed_step(self, slots: Sequence[Slot]) -> list[Delivery]:
        num_prefill = sum(slot.num_tokens for slot in slots if not slot.generation.decoding)
        num_decoding = sum(slot.generation.decoding for slot in slots)
        num_drafts = sum(len(slot.drafts) for slot in slots)
        started = time.monotonic()
        deliveries = self._step(slots)
        seconds = time.monotonic() - started
        if num_drafts == 0:
            self._budget.observe(num_prefill, num_decoding, seconds)
        if num_prefill == 0:
            self._draft_cost.observe(num_decoding, num_drafts, seconds)
        return deliveries

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
                quick_turns.leave()
                self._changed.wait()
                quick_turns.enter()
            return not state.closed

    def _drop_cancelled(self) -> None:
        for generation in self._active:
            if generation.cancelled:
                self._prefixes.retire(generation)
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
            repeatable = any(not slot.generation.reuses for slot in slots)
            sampled = self._engine.step([self._row(slot) for slot in slots], repeatable)
        except Exception as error:
            if not hasattr(error, "rows"):
                return self._after_failure(slots, error)
            return self._after_rows_failed(slots, error)
        return self._advance(slots, sampled)

    def _advance(self, slots: Sequence[Slot], sampled: Sequence[Sampled | None]) -> list[Delivery]:
        for slot, first in zip(slots, sampled, strict=True):
            slot.generation.length += slot.num_tokens + (len(drawn(first)) - 1 if slot.drafts else 0)
        self._prefixes.after_step(slot.generation for slot in slots)
        told: list[Delivery | None] = []
        for slot, token in zip(slots, sampled, strict=True):
            if token is not None and slot.generation.constraint is not None:
                self._constraints.follow(slot, token)
            elif slot.drafts:
                told += advance_all(slot, drawn(token))
            else:
                told.append(advance(slot, token))
        return [delivery for delivery in told if delivery is not None]

    def _row(self, slot: Slot) -> Any:
        generation = slot.generation
        generation.times.admitted = generation.times.admitted or time.monotonic()
        if generation.sequence is None:
            generation.sequence = self._engine.new_sequence(generation.capacity)
        tokens = generation.pending[: slot.num_tokens]
        if not slot.samples:
            return self._make_row(generation.sequence, tokens, None)
        if slot.drafts:
            return self._make_row(generation.sequence, tokens, generation.sampler, drafts=slot.drafts)
        if generation.mask is None:
            return self._make_row(generation.sequence, tokens, generation.sampler)
        return self._make_row(generation.sequence, tokens, generation.sampler, generation.mask)

    def _after_failure(self, slots: Sequence[Slot], error: Exception) -> list[Delivery]:
        if isinstance(error, MemoryError):
            self._prefixes.cache.clear()
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

    def _after_rows_failed(self, slots: Sequence[Slot], error: Any) -> list[Delivery]:
        """Some rows' tokens could not be sampled (`_native.RowsFailed`): these requests end, the others go on."""
        went_well = [(slot, row) for slot, row in zip(slots, error.rows, strict=True) if not isinstance(row, str)]
        failed = [(slot, row) for slot, row in zip(slots, error.rows, strict=True) if isinstance(row, str)]
        deliveries = self._advance([slot for slot, _ in went_well], [row for _, row in went_well])
        for slot, reason in failed:
            _log.warning("%s: a request failed in the engine: %s", self._name, reason)
            deliveries.append(Delivery(slot.generation, ended=True, error=self._failed(RuntimeError(reason))))
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
                self._prefixes.retire(delivery.generation)
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
        self._prefixes.cache.clear()
        self._deliver(Delivery(generation, ended=True, error=self._unloaded()) for generation in left)

    def _wake(self) -> None:
        if not self._is_forked():
            with self._changed:
                self._changed.notify_all()

    def _too_late(self, generation: Generation) -> RequestTimeoutError:
        left = max(0.0, (generation.deadline or 0.0) - time.monotonic())
        message = (
            f"{self._name} cannot read {len(generation.pending)} tokens and answer within the {left:.2g} s "
            "that are left; give a longer timeout, or a shorter prompt"
        )
        error = RequestTimeoutError(message, limit="total", seconds=left, model=self._name)
        error.retryable = False
        return error

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


# A thread that is inside of the engine while the interpreter shuts down would bring the process down with it.
_open_schedulers: weakref.WeakSet[Scheduler] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for scheduler in list(_open_schedulers):
        scheduler.close()
