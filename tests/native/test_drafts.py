"""Drafts: where guesses come from, when they are made, and that they change no token."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llm_framework.native._native")

from llm_framework.native._native import Row, Sampler
from llm_framework.native.drafts import MAX_DRAFTS, DraftCost, Lookup, best_number
from llm_framework.native.generation import Generation
from llm_framework.native.model import NativeModel, open_model
from llm_framework.native.scheduler import Scheduler


# --------------------------------------------------------------------------------------------------------- the guesses
def test_a_guess_is_what_followed_the_last_time() -> None:
    """Where the text ends as it went before, what followed there is guessed; the last place counts."""
    lookup = Lookup([1, 2, 3, 4, 5, 6, 7, 9, 1, 2, 3, 4, 50, 60, 8, 1, 2, 3, 4])
    assert lookup.guess(2, 0.0) == [50, 60]
    lookup.extend([50])
    assert lookup.guess(3, 0.0) == [60, 8, 1]


def test_a_text_without_repetition_has_no_guesses() -> None:
    """New text is not guessed at, and neither is one too short to know."""
    assert Lookup(range(100)).guess(5, 0.0) == []
    assert Lookup([1]).guess(5, 0.0) == []


@given(st.lists(st.integers(0, 2**31 - 1) | st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 12))
def test_guesses_stand_in_the_text(tokens: list[int], most: int) -> None:
    """Guesses are a piece of the text, behind tokens like its last two."""
    guesses = Lookup(tokens).guess(most, 0.0)
    assert len(guesses) <= most
    if guesses:
        wanted = [*tokens[-2:], *guesses]
        assert any(tokens[at : at + len(wanted)] == wanted for at in range(len(tokens)))


def test_guessing_stops_where_guesses_are_wrong_and_is_tried_again() -> None:
    """When too few come true, a request decodes without for a while, longer each time."""
    lookup, pauses, silent = Lookup([1, 2, 3, 4] * 5), [], 0
    for _ in range(600):
        guesses = lookup.guess(4, 0.2)
        if guesses:
            pauses += [silent] if silent else []
            silent = 0
        else:
            silent += 1
        lookup.extend([1], len(guesses))
        lookup._text[:] = Lookup([1, 2, 3, 4] * 5)._text  # it looks repetitive still
    assert len(pauses) >= 3
    assert pauses == sorted(pauses)
    assert pauses[0] >= 20


def test_the_number_of_guesses_follows_their_luck_and_cost() -> None:
    """Lucky and cheap guesses are many, unlucky or dear ones none."""
    assert best_number(0.98, 0.02) == MAX_DRAFTS
    assert 1 <= best_number(0.6, 0.1) <= 5
    assert best_number(0.1, 0.2) == 0
    assert best_number(0.9, 1.0) == 0


def test_the_cost_of_guesses_is_measured() -> None:
    """The estimate settles on what steps with guesses take beyond those without."""
    cost = DraftCost()
    for _ in range(200):
        cost.observe(1, 0, 0.010)
        cost.observe(1, 4, 0.018)
    assert cost.cost == pytest.approx(0.2, rel=0.05)


# ---------------------------------------------------------------------------------------------------------- the tokens
@pytest.fixture(scope="module")
def model(bundled_path: Path) -> Iterator[NativeModel]:
    """The bundled model."""
    with open_model(bundled_path, num_threads=2) as opened:
        yield opened


class Noting:
    """Rows that note how many guesses they came with."""

    def __init__(self) -> None:
        self.drafts: list[int] = []

    def __call__(self, *arguments: Any, drafts: Sequence[int] | None = None) -> Row:
        self.drafts.append(len(drafts or ()))
        return Row(*arguments) if drafts is None else Row(*arguments, drafts=drafts)


def scheduler_of(model: NativeModel, drafts: bool, rows: Any = Row) -> Scheduler:
    """A scheduler with or without drafts."""
    return Scheduler(model.engine, rows, drafts=drafts, prefix_cache_bytes=10 << 20, name="tiny")


async def tokens(generation: Generation) -> list[int]:
    """All tokens of a request."""
    return [event.token async for event in generation]


def copying_prompt(model: NativeModel, number: int) -> list[int]:
    """A chat that asks for what stands in it, or for something else."""
    asked = [
        'Repeat this: {"name": "Ada", "city": "Turin", "age": 34}, {"name": "Ben", "city": "Rome", "age": 29}',
        "Say this again: red green blue red green blue red green blue",
        "What is a river?",
        "Count: 1 2 3 4 5 6 7 8 9 10 11 12 13 14",
    ][number % 4]
    return model.require_tokenizer().encode(f"<bos><start_of_turn>user\n{asked}<end_of_turn>\n<start_of_turn>model\n")


@pytest.mark.parametrize("together", [1, 4])
async def test_greedy_answers_are_the_same_with_and_without(model: NativeModel, together: int) -> None:
    """Guessing changes no token of the likeliest answer, alone or beside others, and guesses come true."""
    with_drafts, without = scheduler_of(model, True), scheduler_of(model, False)
    try:
        prompts = [copying_prompt(model, number) for number in range(together)]
        answers = []
        for scheduler in (with_drafts, without):
            greedy = [
                scheduler.submit(prompt, Sampler(0, temperature=0.0), max_tokens=60)  # on after the end, for its length
                for prompt in prompts
            ]
            answers.append(await asyncio.gather(*map(tokens, greedy)))
        assert answers[0] == answers[1]
        if together == 1:
            assert with_drafts.num_steps < without.num_steps
    finally:
        with_drafts.close()
        without.close()


async def test_an_answer_ends_where_it_would_without(model: NativeModel) -> None:
    """Limits and end tokens in the middle of the guesses end the answer there; what is kept is what was said."""
    encode = model.require_tokenizer().encode
    text = [2, *encode("one two three four five six seven eight nine ten. ") * 6]
    scheduler = scheduler_of(model, True)
    plain = scheduler_of(model, False)
    try:
        for max_tokens in range(1, 12):
            asked = {"max_tokens": max_tokens, "stop_ids": {text[7]} if max_tokens % 2 else set()}
            drafted = scheduler.submit(text, Sampler(0, temperature=0.0), **asked)
            alone = plain.submit(text, Sampler(0, temperature=0.0), **asked)
            assert await tokens(drafted) == await tokens(alone)
            assert drafted.finish_reason == alone.finish_reason
            for entry in scheduler._prefixes.cache._entries.values():
                assert len(entry.text) == entry.sequence.length * (len(entry.text) // entry.sequence.length)
    finally:
        scheduler.close()
        plain.close()


async def test_many_rows_decode_without_guesses(model: NativeModel) -> None:
    """Where many requests run, the processor is busy without; seeded samples are drawn without as well."""
    rows = Noting()
    scheduler = scheduler_of(model, True, rows)
    try:
        prompt = copying_prompt(model, 1)
        running = [scheduler.submit(prompt, Sampler(0, temperature=0.0), max_tokens=30) for _ in range(9)]
        await asyncio.gather(*map(tokens, running))
        first = rows.drafts[: len(rows.drafts) // 2]
        assert sum(first) == 0
        rows.drafts.clear()
        await tokens(scheduler.submit(prompt, Sampler(0, temperature=0.0), max_tokens=30, reuse=False))
        assert sum(rows.drafts) == 0
    finally:
        scheduler.close()


def test_sampled_answers_have_the_distribution_of_those_without(model: NativeModel) -> None:
    """The engine draws behind guesses what it draws one by one: each token with the number that is its own."""
    chooser = random.Random(1)
    prompt = [2, *(chooser.randrange(6, 3000) for _ in range(40))]
    for seed in range(5):
        one_by_one = Sampler(seed, temperature=0.8)
        sequence, pending, expected = model.engine.new_sequence(80), prompt, []
        for _ in range(6):
            sampled = model.engine.step([Row(sequence, pending, one_by_one)])[0]
            assert sampled is not None
            expected.append(sampled.token)
            pending = [sampled.token]
        sequence = model.engine.new_sequence(80)
        guesses = [*expected[:3], (expected[3] + 1) % 3000, 5]
        drawn = model.engine.step([Row(sequence, prompt, Sampler(seed, temperature=0.8), drafts=guesses)])[0]
        assert drawn is not None
        assert [drawn.token, *(more.token for more in drawn.following)] == expected[:4]
        assert sequence.length == len(prompt) + 3


def test_bad_drafts_are_refused(model: NativeModel) -> None:
    """Guesses need a sampler, and are limited in number."""
    sequence = model.engine.new_sequence(100)
    with pytest.raises(ValueError, match="needs a sampler"):
        Row(sequence, [2], drafts=[3])
    with pytest.raises(ValueError, match="at most"):
        Row(sequence, [2], Sampler(0), drafts=[3] * 60)
    with pytest.raises(ValueError, match="token id"):
        Row(sequence, [2], Sampler(0), drafts=[-1])
