"""What is switched on or off for speed changes no answer of the bundled model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llm_framework.native._native")

from llm_framework.native import _native
from llm_framework.native._native import Row, Sampler
from llm_framework.native.config import read_config
from llm_framework.native.formats import open_model_file
from llm_framework.native.model import NativeModel, open_model
from llm_framework.native.policy import PrefillBudget
from llm_framework.native.scheduler import Scheduler
from llm_framework.native.weights import engine_tensors
from llm_framework.types import GenerationConfig

MAX_TOKENS = 24
# The largest error of a logit against float32, over the logits' standard deviation: BF16 weights, activations that are
# rounded to as many bits where there are many rows (four times the root mean square error that is allowed there).
ERROR = 4 * 8e-3

SYSTEM = "You are a careful assistant. Answer in one sentence, and say so where you do not know. " * 4
NOTE = "Ann Lee, 41, lives in Oslo and works as a nurse. Bob Ray, 38, lives in Rome and works as a cook."
REQUESTS = (
    "Hi!",
    "What is the capital of France?",
    SYSTEM + "What is a fish?",
    SYSTEM + "Name a colour.",
    f"{NOTE}\nRepeat the text above word by word.",
    f"{NOTE}\nGive name and age of each as JSON.",
    "Count from one to ten. " * 20,
)

SETTINGS: dict[str, dict[str, Any]] = {
    "one at a time": {"max_batch": 1},
    "batches": {"max_batch": 16},
    "small pieces of prompts": {"max_batch": 16, "budget": PrefillBudget(8)},
    "kept prefixes": {"max_batch": 16, "prefix_cache_bytes": 64 << 20},
    "drafts": {"max_batch": 16, "drafts": True},
    "everything": {"max_batch": 16, "budget": PrefillBudget(16), "prefix_cache_bytes": 64 << 20, "drafts": True},
}
Texts = list[list[int]]


@pytest.fixture(scope="module")
def model(bundled_path: Path) -> Iterator[NativeModel]:
    """The bundled model."""
    with open_model(bundled_path, num_threads=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def prompts(model: NativeModel) -> Texts:
    """Chats, two of them twice, so that whole prompts are kept when they come again; two begin alike."""
    encode = model.require_tokenizer().encode
    chats = [f"<bos><start_of_turn>user\n{text}<end_of_turn>\n<start_of_turn>model\n" for text in REQUESTS]
    return [encode(chat) for chat in (*chats, *chats[:2])]


@pytest.fixture(scope="module")
def plain(model: NativeModel, prompts: Texts) -> Texts:
    """The greedy answers, each computed alone, with nothing switched on."""
    return [model.generate(prompt, GenerationConfig(max_tokens=MAX_TOKENS, temperature=0)) for prompt in prompts]


async def answers(
    model: NativeModel, prompts: Texts, settings: dict[str, Any], rounds: int = 1, **sampling: Any
) -> Texts:
    """The answers of the last of some rounds, in each of which all prompts are asked at once."""
    scheduler = Scheduler(model.engine, Row, **settings)
    ends = model.config.eos_ids

    async def answer(number: int, prompt: list[int]) -> list[int]:
        sampler = Sampler(number, **(sampling or {"temperature": 0.0}))
        generation = scheduler.submit(prompt, sampler, max_tokens=MAX_TOKENS, stop_ids=ends)
        return [event.token async for event in generation]

    try:
        for _ in range(rounds):
            answered = await asyncio.gather(*(answer(*numbered) for numbered in enumerate(prompts)))
    finally:
        await asyncio.to_thread(scheduler.close)
    return list(answered)


def check(model: NativeModel, prompts: Texts, expected: Texts, actual: Texts) -> None:
    """Answers are the same, up to a token where the model itself hardly prefers one of the two."""
    for prompt, wanted, got in zip(prompts, expected, actual, strict=True):
        if wanted == got:
            continue
        pairs = zip(wanted, got, strict=False)
        same = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(wanted), len(got)))
        logits = model.logits(prompt + wanted[:same])[-1]
        second, first = np.sort(logits)[-2:]
        assert first - second <= 2 * ERROR * logits.std(), f"token {same} of {got} instead of {wanted}"


@pytest.mark.parametrize("name", SETTINGS)
async def test_greedy_answers_stay(model: NativeModel, prompts: Texts, plain: Texts, name: str) -> None:
    """Batches, pieces, kept prefixes and drafts give each request the answer it gets alone, also the second time."""
    for rounds in (1, 2):
        check(model, prompts, plain, await answers(model, prompts, SETTINGS[name], rounds))


@pytest.mark.parametrize("num_threads", [1, 3, 4])
async def test_threads_change_no_answer(
    bundled_path: Path, model: NativeModel, prompts: Texts, plain: Texts, num_threads: int
) -> None:
    """However many threads compute, the answers are the same."""
    with open_model(bundled_path, num_threads=num_threads) as other:
        check(model, prompts, plain, await answers(other, prompts, SETTINGS["batches"]))


@pytest.mark.parametrize("name", ["one at a time", "small pieces of prompts", "drafts"])
async def test_a_seed_draws_the_same_again(model: NativeModel, prompts: Texts, name: str) -> None:
    """With the same seed and settings the same tokens are drawn, one request after the other."""
    settings = {**SETTINGS[name], "max_batch": 1}
    sampling = {"temperature": 1.2, "top_p": 0.98}
    first = await answers(model, prompts, settings, **sampling)
    assert await answers(model, prompts, settings, **sampling) == first
    other_seeds = await answers(model, prompts[::-1], settings, **sampling)
    assert other_seeds[::-1] != first


@pytest.mark.parametrize("isa", [isa for isa in _native.cpu_isas() if isa in ("scalar", "avx512")])
def test_a_repeatable_step_has_the_same_bits_in_any_company(isa: str, bundled_path: Path) -> None:
    """However a text is divided over steps, and however many rows stand beside it."""
    file = open_model_file(bundled_path)
    config = read_config(file)
    engine = _native.Model(config.engine_config(), engine_tensors(file, config), num_threads=3, isa=isa)
    tokens = [int(token) for token in np.random.default_rng(0).integers(3, 2000, 90)]

    def logprobs(sizes: list[int], company: int) -> list[float]:
        sequence, others = engine.new_sequence(100), [engine.new_sequence(100) for _ in range(company)]
        at = 0
        for size in sizes:
            sampler = Sampler(0, temperature=0.0, num_logprobs=config.vocab_size)
            rows = [Row(sequence, tokens[at : at + size], sampler), *(Row(o, [5], None) for o in others)]
            sampled = engine.step(rows, repeatable=True)[0]
            at += size
        return [logprob for _, logprob in sorted(sampled.top)]

    alone = logprobs([90], 0)
    for sizes in ([1] * 90, [16] * 5 + [10], [60, 30], [89, 1]):
        for company in (0, 3, 20):
            assert logprobs(sizes, company) == alone
