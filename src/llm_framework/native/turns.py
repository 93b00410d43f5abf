"""The work of constraints between two steps, beside the engine and not in its way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import LLMFrameworkError, StructuredOutputError
from .generation import Delivery, Generation, Sampled, Slot, Turn, advance

if TYPE_CHECKING:
    from ..decoding.constraints import Constraint

MASK_PATIENCE = 0.002  # seconds that a step waits for constraints that are not done; after that it goes without those
MASK_THREADS = 2


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
