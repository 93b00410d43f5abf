"""Who takes part in a step of the engine, and with how many tokens. No clocks, no threads: figures in, plans out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .drafts import MAX_DRAFTS, Lookup
from .generation import Generation, Slot

MAX_PREFILL = 512  # tokens of prompts in a step: what the engine takes in one pass over the weights
MIN_PREFILL = 16  # prompts go on by so many tokens whatever it costs
STALL_SECONDS = 0.03  # that a step may take while somebody's answer is being written; readers notice 0.05
_RISE, _FALL = 0.5, 0.2  # how fast an estimate follows what was measured: quickly to the safe side


class PrefillBudget:
    """How many tokens of prompts a step may hold, so that it does not keep those waiting who decode in it.

    Learns from the steps that were taken: a step costs what the decoding rows cost, and an amount for each token of a
    prompt. `stall_seconds` is how long a step may take (None: as long as it will), `max_tokens` how much it holds where
    nobody waits.
    """

    def __init__(self, max_tokens: int = MAX_PREFILL, stall_seconds: float | None = STALL_SECONDS) -> None:
        self.max_tokens = max_tokens
        self.stall_seconds = stall_seconds
        self.decode_seconds: float | None = None  # of a step without prompts
        self.token_seconds: float | None = None  # for each token of a prompt
        self.fastest_token_seconds: float | None = None  # the least that was seen, of a large piece
        self.fastest_step: float | None = None  # the least that a step without prompts took

    def least_seconds(self, num_prefill: int, num_drawn: int) -> float:
        """How long reading and drawing so many tokens takes at the very least: half of what it would at the best speed
        that was seen. 0 where nothing was measured."""
        return 0.5 * (num_prefill * (self.fastest_token_seconds or 0.0) + num_drawn * (self.fastest_step or 0.0))

    def tokens(self, num_decoding: int) -> int:
        """Tokens of prompts for a step in which `num_decoding` requests wait for their next token."""
        if num_decoding == 0 or self.stall_seconds is None:
            return self.max_tokens
        if self.token_seconds is None:
            return min(self.max_tokens, MIN_PREFILL)
        left = self.stall_seconds - (self.decode_seconds or 0.0)
        return max(min(self.max_tokens, MIN_PREFILL), min(self.max_tokens, int(left / self.token_seconds)))

    def observe(self, num_prefill: int, num_decoding: int, seconds: float) -> None:
        """Take in how long a step took that held so many tokens of prompts, and so many requests that decode."""
        if num_prefill == 0:
            self.decode_seconds = _followed(self.decode_seconds, seconds)
            self.fastest_step = min(self.fastest_step or seconds, seconds)
            return
        if num_prefill < MIN_PREFILL:  # what every step costs would be taken for the tokens' cost
            return
        base = (self.decode_seconds or 0.0) if num_decoding else 0.0
        # A step that was faster than those before it says nothing about its tokens, but not that they cost nothing.
        each = max(seconds - base, 0.1 * seconds) / num_prefill
        self.token_seconds = _followed(self.token_seconds, each)
        if num_decoding == 0 and num_prefill >= self.max_tokens // 2:
            self.fastest_token_seconds = min(self.fastest_token_seconds or each, each)


def _followed(estimate: float | None, measured: float) -> float:
    if estimate is None:
        return measured
    return estimate + (_RISE if measured > estimate else _FALL) * (measured - estimate)


def with_drafts(slot: Slot, cost: float) -> Slot:
    """The slot with guesses at its request's next tokens, where they pay; `cost` is what a guess adds to a step."""
    generation = slot.generation
    if not generation.decoding or generation.constraint is not None or not generation.reuses:
        return slot
    if generation.lookup is None:
        generation.lookup = Lookup(generation.tokens)
    guesses = generation.lookup.guess(min(MAX_DRAFTS, generation.num_left - 1), cost)
    return replace(slot, drafts=guesses) if guesses else slot


def plan_step(active: Sequence[Generation], prefill_tokens: int) -> list[Slot]:
    """Who takes part in the next step: everyone who decodes, and `prefill_tokens` of the prompts.

    `active` is in the order of arrival. The prompt that came first has half of the room, so each comes to an end; the
    rest goes to those that need the fewest tokens, so a question does not wait for a book.
    """
    slots = [Slot(generation, 1, True) for generation in active if generation.decoding]
    prompts = [generation for generation in active if not generation.decoding]
    if not prompts:
        return slots
    shares = {id(prompts[0]): min(len(prompts[0].pending), (prefill_tokens + 1) // 2)}
    room = prefill_tokens - shares[id(prompts[0])]
    for generation in sorted(prompts, key=lambda generation: len(generation.pending)):
        more = min(room, len(generation.pending) - shares.get(id(generation), 0))
        shares[id(generation)] = shares.get(id(generation), 0) + more
        room -= more
    for generation in prompts:
        num_tokens = shares[id(generation)]
        if num_tokens:
            slots.append(Slot(generation, num_tokens, num_tokens == len(generation.pending)))
    return slots
