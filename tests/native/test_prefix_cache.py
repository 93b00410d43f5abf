"""Prefixes: what is kept, what is found again, and that answers stay the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llm_framework.native._native")

from llm_framework.native._native import Row, Sampler
from llm_framework.native.generation import Generation
from llm_framework.native.model import NativeModel, open_model
from llm_framework.native.policy import PrefillBudget
from llm_framework.native.prefix_cache import MIN_SHARED, PrefixCache, common_length, text_key
from llm_framework.native.scheduler import Scheduler

SIZE = 100 << 20


# ----------------------------------------------------------------------------------------------------------- the cache
@dataclass
class Text:
    """A sequence that holds so many tokens, each a byte, and can go back to `shortest`."""

    length: int
    shortest: int = 1
    log: list[str] = field(default_factory=list)

    def fork(self, length: int, capacity: int) -> Text:
        return Text(length)

    def hold(self) -> int:
        self.log.append("hold")
        return self.length

    def release(self) -> int:
        self.log.append("release")
        return self.length


def tokens_of(length: int, seed: int = 0) -> list[int]:
    """A text, the same for the same seed."""
    chooser = random.Random(seed)
    return [chooser.randrange(1000) for _ in range(length)]


def keep(cache: PrefixCache, tokens: Sequence[int], shortest: int = 1) -> Text:
    """Keep a text."""
    text = Text(len(tokens), shortest)
    cache.keep(tokens, text)
    return text


@given(st.lists(st.integers(0, 3), max_size=300), st.lists(st.integers(0, 3), max_size=300), st.integers(0, 300))
def test_common_length_is_that_of_a_plain_comparison(a: list[int], b: list[int], shared: int) -> None:
    """The quick comparison of texts finds what comparing token by token does."""
    b = a[:shared] + b
    plain = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    assert common_length(text_key(a), text_key(b)) == plain


def test_the_longest_beginning_is_found() -> None:
    """Of several kept texts the one counts that has most in common, up to the prompt's last token but one."""
    cache = PrefixCache(1000)
    start, more, other = tokens_of(50), tokens_of(30, 1), tokens_of(30, 2)
    keep(cache, start + other)
    longer = keep(cache, start + more)
    found = cache.find(text_key(start + more + [5, 6]))
    assert found.entry is not None
    assert found.entry.sequence is longer
    assert found.length == 80
    assert cache.find(text_key(start + more)).length == 79
    assert cache.find(text_key(tokens_of(90, 9))).entry is None
    assert cache.find(b"").entry is None


def test_least_recently_used_goes_first() -> None:
    """What is kept stays within the bound; what was used last stays longest."""
    cache = PrefixCache(250)
    first, second, third = (tokens_of(100, seed) for seed in range(3))
    sequences = [keep(cache, tokens) for tokens in (first, second)]
    used = cache.find(text_key([*first, 1])).entry
    assert used is not None
    cache.touch(used)
    keep(cache, third)
    assert (cache.num_bytes, len(cache)) == (200, 2)
    assert cache.find(text_key([*second, 1])).entry is None
    assert cache.find(text_key([*first, 1])).length == 100
    assert sequences[1].log == ["hold", "release"]


def test_a_longer_text_takes_the_place_of_its_beginning() -> None:
    """A kept chat turn makes the turns before it superfluous, and keeping its beginning again adds nothing."""
    cache = PrefixCache(1000)
    text = tokens_of(90)
    short = keep(cache, text[:40])
    keep(cache, text)
    assert (len(cache), cache.num_bytes) == (1, 90)
    assert short.log == ["hold", "release"]
    assert keep(cache, text[:60]).log == []
    assert len(cache) == 1


def test_a_beginning_that_the_longer_text_cannot_go_back_to_stays() -> None:
    """With sliding windows a long text has forgotten how it began; both are kept then, and each serves what it can."""
    cache = PrefixCache(1000)
    text = tokens_of(90)
    keep(cache, text[:40])
    keep(cache, text, shortest=60)
    assert len(cache) == 2
    assert cache.find(text_key([*text[:70], 1, 2])).length == 70
    found = cache.find(text_key([*text[:50], 2000, 2001]))
    assert (found.length, found.branch) == (40, 50)


def test_short_texts_and_a_bound_of_nothing_keep_nothing() -> None:
    """Where keeping does not pay or is turned off, sequences are let go of."""
    cache = PrefixCache(1000)
    assert keep(cache, tokens_of(MIN_SHARED - 1)).log == []
    assert keep(PrefixCache(0), tokens_of(100)).log == []
    cache = PrefixCache(50)
    assert keep(cache, tokens_of(100)).log == ["hold", "release"]
    assert cache.num_bytes == 0


def test_clear_lets_go_of_everything() -> None:
    """Afterwards no sequence is held."""
    cache = PrefixCache(1000)
    kept = [keep(cache, tokens_of(100, seed)) for seed in range(3)]
    cache.clear()
    assert (len(cache), cache.num_bytes) == (0, 0)
    assert all(text.log == ["hold", "release"] for text in kept)


# -------------------------------------------------------------------------------------------------------- the requests
@pytest.fixture(scope="module")
def model(bundled_path: Path) -> Iterator[NativeModel]:
    """The bundled model, whose windows are 512 tokens."""
    with open_model(bundled_path, num_threads=2) as opened:
        yield opened


class Counting:
    """The engine, which counts the tokens that it reads."""

    def __init__(self, engine: Any) -> None:
        self.new_sequence = engine.new_sequence
        self.num_tokens = 0
        self._engine = engine

    def step(self, rows: Sequence[Any], repeatable: bool = False) -> Any:
        """One step, noted."""
        before = [row.sequence.length for row in rows]
        sampled = self._engine.step([row.row for row in rows])
        self.num_tokens += sum(row.sequence.length - length for row, length in zip(rows, before, strict=True))
        return sampled


class NotedRow:
    """A row that remembers its sequence."""

    def __init__(self, sequence: Any, tokens: list[int], *arguments: Any) -> None:
        self.sequence = sequence
        self.row = Row(sequence, tokens, *arguments)


@pytest.fixture
def engine(model: NativeModel) -> Counting:
    """The model's engine."""
    return Counting(model.engine)


@pytest.fixture
def scheduler(engine: Counting) -> Iterator[Scheduler]:
    """A scheduler that keeps texts, and reads prompts in pieces."""
    opened = Scheduler(engine, NotedRow, budget=PrefillBudget(128), prefix_cache_bytes=SIZE, name="tiny")
    yield opened
    opened.close()


def submit(scheduler: Scheduler, prompt: Sequence[int], max_tokens: int = 4) -> Generation:
    """Continue a prompt, the likeliest token each time."""
    return scheduler.submit(prompt, Sampler(0, temperature=0.0), max_tokens=max_tokens)


async def answer(generation: Generation) -> list[int]:
    """All tokens of a request."""
    return [event.token async for event in generation]


def alone(model: NativeModel, prompt: Sequence[int], max_tokens: int = 4) -> list[int]:
    """What the model says without any sharing."""
    scheduler = Scheduler(model.engine, Row, name="alone")
    try:

        async def ask() -> list[int]:
            return await answer(submit(scheduler, prompt, max_tokens))

        return asyncio.run(ask())
    finally:
        scheduler.close()


def text(model: NativeModel, about: str, length: int) -> list[int]:
    """Real text of that many tokens."""
    tokens = model.require_tokenizer().encode(f"{about} was seen in the garden, and then on the way to the river. ")
    return (tokens * (length // len(tokens) + 1))[:length]


@pytest.mark.parametrize("length", [40, 64, 500, 1100])
async def test_the_next_turn_reads_only_what_is_new(
    scheduler: Scheduler, engine: Counting, model: NativeModel, length: int
) -> None:
    """A prompt that repeats the last one and its answer goes on behind them, and the answer is what it would be."""
    prompt = [2, *text(model, "A cat", length - 1)]
    first = submit(scheduler, prompt)
    said = await answer(first)
    assert first.cached_tokens == 0
    turn = [*prompt, *said, *text(model, "The dog", 20)]
    engine.num_tokens = 0
    second = submit(scheduler, turn)
    assert await answer(second) == await asyncio.to_thread(alone, model, turn)
    assert second.cached_tokens == length + len(said) - 1  # the last token drawn was never read
    assert engine.num_tokens == len(turn) - second.cached_tokens + 3


@pytest.mark.parametrize("length", [60, 400, 1300])
async def test_another_question_about_a_document_reads_the_question(
    scheduler: Scheduler, model: NativeModel, length: int
) -> None:
    """What two prompts begin with in common is read once, also behind a sliding window and after a long answer."""
    document = [2, *text(model, "A heron", length - 1)]
    questions = [text(model, f"{name} too", 30) for name in ("The fox", "My aunt", "An owl")]
    for number, question in enumerate(questions):
        prompt = document + question
        generation = submit(scheduler, prompt, max_tokens=12)
        assert await answer(generation) == await asyncio.to_thread(alone, model, prompt, 12)
        assert (generation.cached_tokens >= length) == (number > 0)


async def test_where_prompts_part_far_back_the_third_one_goes_on_from_there(
    scheduler: Scheduler, model: NativeModel
) -> None:
    """A beginning that the window has left is kept when a second prompt shows that it is shared."""
    start = [2, *text(model, "A heron", 299)]
    prompts = [start + text(model, f"{name} too", 1200) for name in ("The fox", "My aunt", "An owl")]
    cached = []
    for prompt in prompts:
        generation = submit(scheduler, prompt)
        assert await answer(generation) == await asyncio.to_thread(alone, model, prompt)
        cached.append(generation.cached_tokens)
    assert cached[:2] == [0, 0]
    assert cached[2] >= 300


async def test_prompts_that_arrive_together_are_read_together(
    scheduler: Scheduler, engine: Counting, model: NativeModel
) -> None:
    """Requests with the same beginning wait for the one that reads it, and none reads it again."""
    document = [2, *text(model, "A heron", 899)]
    prompts = [document + text(model, f"{name} too", 25) for name in ("The fox", "My aunt", "An owl", "Her cat")]
    running = [submit(scheduler, prompt) for prompt in [*prompts, prompts[0]]]
    answers = await asyncio.gather(*map(answer, running))
    assert engine.num_tokens <= len(document) + 5 * (25 + 3)
    assert answers[0] == answers[4]
    assert answers[:4] == [await asyncio.to_thread(alone, model, prompt) for prompt in prompts]
    assert [generation.cached_tokens >= 900 for generation in running] == [False, True, True, True, True]


async def test_those_who_wait_for_a_reader_go_on_without_it(scheduler: Scheduler, model: NativeModel) -> None:
    """Where the request that reads a shared beginning is cancelled, the others are answered all the same."""
    document = [2, *text(model, "A heron", 1500)]
    reader = submit(scheduler, [*document, 100])
    others = [submit(scheduler, [*document, 200 + i]) for i in range(3)]
    reader.cancel()
    assert [len(await answer(other)) for other in others] == [4, 4, 4]


async def test_a_cancelled_request_leaves_what_it_read(scheduler: Scheduler, model: NativeModel) -> None:
    """Asking again after a cancel does not begin at the beginning."""
    prompt = [2, *text(model, "A heron", 600)]
    first = submit(scheduler, prompt, max_tokens=500)
    await anext(first)
    first.cancel()
    again = submit(scheduler, prompt)
    await answer(again)
    assert again.cached_tokens == len(prompt) - 1


async def test_random_conversations_say_the_same_with_little_room(model: NativeModel) -> None:
    """Many chats that share beginnings, more than the cache holds, get the answers that each gets alone."""
    scheduler = Scheduler(model.engine, Row, budget=PrefillBudget(64), prefix_cache_bytes=3 << 20, name="tiny")
    plain = Scheduler(model.engine, Row, name="plain")
    chooser = random.Random(3)
    starts = [[2, *text(model, name, chooser.randrange(20, 700))] for name in ("A heron", "The fox", "An owl")]
    try:
        for _ in range(6):
            prompts = [
                chooser.choice(starts)[: chooser.randrange(10, 700)]
                + tokens_of(chooser.randrange(1, 60), chooser.random())
                for _ in range(4)
            ]
            shared = await asyncio.gather(*(answer(submit(scheduler, prompt, 6)) for prompt in prompts))
            assert shared == [await answer(submit(plain, prompt, 6)) for prompt in prompts]
    finally:
        scheduler.close()
        plain.close()


async def test_memory_of_kept_texts_is_counted_and_given_back(scheduler: Scheduler, model: NativeModel) -> None:
    """The bytes of the cache are those of its sequences, shared parts once; closing lets go of all."""
    cache = scheduler._prefixes.cache
    document = [2, *text(model, "A heron", 899)]
    await answer(submit(scheduler, document))
    one = cache.num_bytes
    for token in range(100, 105):
        await answer(submit(scheduler, [*document, token, 7, 8]))
    assert one < cache.num_bytes < 2 * one
    assert len(cache) >= 5
    scheduler.close()
    assert (len(cache), cache.num_bytes) == (0, 0)
