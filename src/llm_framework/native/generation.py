"""One request in the scheduler: its tokens as the consumer reads them, and where the scheduler stands with it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..errors import LLMFrameworkError, StructuredOutputError
from .prefix_cache import text_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..decoding.constraints import Constraint
    from .drafts import Lookup

    Mask = NDArray[np.uint32] | None


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


def drawn(sampled: Any) -> list[Sampled]:
    """A row's tokens: the one that was drawn, and those that were drawn behind guesses that came true."""
    return [sampled, *getattr(sampled, "following", ())]


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
        self.tokens: list[int] = list(prompt)  # and what was drawn
        self.num_prompt = len(self.tokens)
        self.text = text_key(self.tokens)
        self.pending: list[int] = list(prompt)  # not yet in the sequence; while decoding, the last token drawn
        self.sequence: Any = None
        self.length = 0  # of the sequence
        self.capacity = len(prompt) + max_tokens
        # What it shares with others, see `PrefixSharing`.
        self.cached_tokens = 0  # of the prompt: those that were not read for this request
        self.reuses = True  # whether its prompt goes on from what was read before
        self.looked_up = False
        self.leader: Generation | None = None  # who reads the beginning of this prompt just now,
        self.shared = 0  # and how much of it
        self.branch = 0  # a length at which the sequence is worth keeping for others
        self.num_left = max_tokens
        self.min_tokens = 0  # that are drawn in any case
        self.deadline: float | None = None  # on `time.monotonic`'s clock
        self.stop_ids = stop_ids
        self.constraint = constraint
        self.constrained = False  # whether the constraint has begun
        self.turn: Future[Turn] | None = None  # what the constraint is at; the request takes no part in steps meanwhile
        self.mask: Mask = None  # of the next token
        self.decoding = False
        self.lookup: Lookup | None = None  # guesses at its next tokens
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

    def begin(self, sequence: Any, num_tokens: int) -> None:
        """Go on from a sequence that holds the first `num_tokens` of the prompt; None where there is none after all."""
        if sequence is not None:
            self.sequence = sequence
            self.length = self.cached_tokens = num_tokens
            self.pending = self.tokens[num_tokens:]

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
    """A request's part in a step: the first `num_tokens` of its pending tokens; `samples` where they are the last.
    `drafts` are guesses at what will be drawn, see `drafts.py`."""

    generation: Generation
    num_tokens: int
    samples: bool
    drafts: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What a constraint made of a token: what the consumer is told, and the mask of the next token."""

    delivery: Delivery | None
    mask: Mask


def advance(slot: Slot, sampled: Sampled | None) -> Delivery | None:
    """Move the slot's request on by what the step drew for it. Returns what its consumer is told, if anything."""
    generation = slot.generation
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
    generation.tokens.append(token)
    if generation.lookup is not None and not slot.drafts:
        generation.lookup.extend([token])
    event = TokenEvent(token, sampled.logprob, sampled.top)
    if constraint is not None and (constraint.is_done() or (generation.num_left == 0 and constraint.may_end())):
        return Delivery(generation, event, ended=True, finish_reason="stop")
    if generation.num_left == 0:
        return Delivery(generation, event, ended=True, finish_reason="length")
    return Delivery(generation, event)


def advance_all(slot: Slot, tokens: Sequence[Sampled]) -> list[Delivery]:
    """The same for a slot with guesses, of which as many came true as there are tokens beside the first."""
    generation, told = slot.generation, []
    if generation.lookup is not None:
        generation.lookup.extend([sampled.token for sampled in tokens], len(slot.drafts))
    for sampled in tokens:
        delivery = advance(slot, sampled)
        if delivery is not None:
            told.append(delivery)
            if delivery.ended:
                break
    return told


def _nothing() -> None:
    pass
