"""Who takes part in a step, and how much of the prompts it holds."""

from __future__ import annotations

import pytest

from llm_framework.native.generation import Generation, Slot
from llm_framework.native.policy import MIN_PREFILL, PrefillBudget, plan_step


def waiting(num_tokens: int) -> Generation:
    """A request whose prompt has `num_tokens` left to be read."""
    return Generation([7] * num_tokens, None, 10, frozenset())


def decoding() -> Generation:
    """A request that decodes."""
    generation = waiting(1)
    generation.decoding = True
    return generation


# ------------------------------------------------------------------------------------------------------------ the plan
async def test_everyone_who_decodes_takes_part_and_prompts_share_the_rest() -> None:
    """A step has one token of each request that decodes, and pieces of prompts up to the limit."""
    a, b, c, d = decoding(), waiting(4), waiting(20), waiting(3)
    assert plan_step([b, a, c, d], 8) == [Slot(a, 1, True), Slot(b, 4, True), Slot(c, 1, False), Slot(d, 3, True)]


async def test_one_prompt_alone_has_all_of_the_room() -> None:
    """Nothing is held back for those who are not there."""
    prompt = waiting(100)
    assert plan_step([prompt], 64) == [Slot(prompt, 64, False)]


async def test_a_short_prompt_does_not_wait_for_a_long_one() -> None:
    """What came first has half of the room, the shortest the rest, so neither waits for the other's end."""
    book, question, other = waiting(10_000), waiting(30), waiting(500)
    assert plan_step([book, other, question], 128) == [
        Slot(book, 64, False), Slot(other, 34, False), Slot(question, 30, True),
    ]  # fmt: skip


async def test_no_prompt_starves() -> None:
    """However many short prompts arrive, the one that came first goes on by half of each step."""
    book = waiting(1000)
    for _ in range(1000 // 32 + 1):
        slots = plan_step([book, *(waiting(10) for _ in range(50))], 64)
        (share,) = [slot.num_tokens for slot in slots if slot.generation is book]
        assert share >= min(32, len(book.pending))
        book.pending = book.pending[share:]
        if not book.pending:
            return
    raise AssertionError(f"{len(book.pending)} tokens are left")


async def test_a_step_never_holds_more_than_its_room() -> None:
    """The pieces of prompts add up to the room, or to all there is."""
    for room in (1, 7, 16, 200, 2000):
        prompts = [waiting(n) for n in (1, 300, 17, 64)]
        slots = plan_step(prompts, room)
        assert sum(slot.num_tokens for slot in slots) == min(room, 382)
        assert all(
            slot.num_tokens and slot.samples == (slot.num_tokens == len(slot.generation.pending)) for slot in slots
        )


# ---------------------------------------------------------------------------------------------------------- the budget
def test_where_nobody_waits_a_step_holds_as_much_as_it_can() -> None:
    """Without a stream to keep going, prompts are read at full speed, however slow the machine."""
    budget = PrefillBudget(512, stall_seconds=0.04)
    budget.observe(512, 0, 60.0)
    assert budget.tokens(0) == 512


def test_a_step_takes_no_longer_than_readers_bear() -> None:
    """With streams to keep going, a step holds as many tokens as fit beside them into the time."""
    budget = PrefillBudget(512, stall_seconds=0.04)
    for _ in range(20):
        budget.observe(0, 3, 0.010)
        budget.observe(512, 0, 512 * 0.0005)
    assert budget.tokens(3) == pytest.approx(0.030 / 0.0005, abs=1)


def test_the_first_piece_beside_a_stream_is_small() -> None:
    """Where nothing was measured yet, little is risked."""
    assert PrefillBudget(512).tokens(1) == MIN_PREFILL


@pytest.mark.parametrize("token_seconds", [1e-5, 1e-4, 5e-4, 1e-3])
def test_pieces_settle_on_the_machines_speed(token_seconds: float) -> None:
    """On a machine that is slower or faster than thought, the steps' times come close to what is wanted, and not above
    what readers notice."""
    budget = PrefillBudget(4096, stall_seconds=0.04)
    budget.observe(0, 1, 0.008)
    budget.observe(64, 0, 0.008 + 64 * token_seconds)
    for _ in range(40):
        num_tokens = budget.tokens(1)
        seconds = 0.008 + num_tokens * token_seconds
        assert seconds < 0.05 or num_tokens == MIN_PREFILL
        budget.observe(num_tokens, 1, seconds)
    assert seconds == pytest.approx(0.04, rel=0.1) or num_tokens in (MIN_PREFILL, 4096)


def test_prompts_go_on_whatever_it_costs() -> None:
    """On a machine that is too slow for any piece beside a stream, prompts still come to an end."""
    budget = PrefillBudget(512, stall_seconds=0.04)
    budget.observe(0, 1, 0.5)
    budget.observe(512, 1, 20.0)
    assert budget.tokens(1) == MIN_PREFILL


def test_the_budget_slows_down_faster_than_it_speeds_up() -> None:
    """A step that took too long counts more than one that was quick."""
    budget = PrefillBudget(10_000, stall_seconds=1.0)
    budget.observe(100, 0, 0.1)
    before = budget.tokens(1)
    budget.observe(100, 0, 0.2)
    slower = budget.tokens(1)
    assert slower < 0.7 * before
    budget.observe(100, 0, 0.1)
    assert slower < budget.tokens(1) < 0.9 * before


def test_a_budget_without_a_time_has_a_size_alone() -> None:
    """Models that read their prompts as a whole are not asked to hurry."""
    budget = PrefillBudget(1 << 30, stall_seconds=None)
    budget.observe(5000, 1, 60.0)
    assert budget.tokens(9) == 1 << 30
