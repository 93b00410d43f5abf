"""The engine's sequences, sampler, errors and threads, on models whose logits are known in advance."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

_native = pytest.importorskip("llm_framework.native._native")

VOCAB = 1000
DIM = 16
MAX_LEN = 4096
WINDOW = 8
RING = 576  # positions that a ring of this window holds: the window and 512 more, in blocks of 64

Floats = NDArray[np.floating[Any]]


def make_config(**changes: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "num_layers": 2,
        "model_dim": DIM,
        "ffn_dim": 24,
        "num_heads": 2,
        "num_kv_heads": 1,
        "head_dim": 4,
        "vocab_size": VOCAB,
        "max_seq_len": MAX_LEN,
        "windows": [WINDOW, 0],
        "rope_bases": [10_000.0, 1_000_000.0],
        "rope_scales": [1.0, 8.0],
        "query_scale": 0.5,
        "embedding_scale": 1.0,
        "attention_softcap": 0.0,
        "final_softcap": 0.0,
        "norm_eps": 0.0,
        "qk_norm": False,
        "post_norms": False,
        "qkv_layout": "separate",
    }
    return config | changes


def as_tensor(array: Floats) -> tuple[Any, str, int, int, float]:
    rows, cols = array.reshape(-1, array.shape[-1]).shape
    return (np.ascontiguousarray(array, dtype=np.float32), "f32", rows, cols, 1.0)


def make_tensors(rng: np.random.Generator, strength: float) -> dict[str, Any]:
    def matrix(rows: int, cols: int) -> Any:
        return as_tensor(rng.normal(scale=strength, size=(rows, cols)))

    tensors = {"embedding": matrix(VOCAB, DIM), "final_norm": as_tensor(np.zeros((1, DIM)))}
    for i in range(2):
        p = f"layers.{i}."
        tensors[p + "pre_attention_norm"] = tensors[p + "pre_ffn_norm"] = as_tensor(np.zeros((1, DIM)))
        tensors[p + "qkv"] = matrix(4 * 4, DIM)
        tensors[p + "attention_out"] = matrix(DIM, 8)
        tensors[p + "gate_up"] = matrix(48, DIM)
        tensors[p + "down"] = matrix(DIM, 24)
    return tensors


def random_model(**options: Any) -> Any:
    """A model in which every token changes what follows."""
    return _native.Model(make_config(), make_tensors(np.random.default_rng(5), 0.5), **{"num_threads": 2, **options})


def model_with_logits(rows: Floats, **options: Any) -> Any:
    """A model whose logits after token t are rows[t % len(rows)], whatever came before (at most 16 rows).

    All layers are zero, so the final norm sees the embedding, a unit vector, and makes it 4 times as long.
    """
    tensors = make_tensors(np.random.default_rng(0), 0.0)
    units = np.zeros((VOCAB, DIM))
    units[np.arange(VOCAB), np.arange(VOCAB) % len(rows)] = 1.0
    head = np.zeros((VOCAB, DIM))
    head[:, : len(rows)] = rows.T / 4.0
    tensors |= {"embedding": as_tensor(units), "lm_head": as_tensor(head)}
    return _native.Model(make_config(), tensors, **{"num_threads": 2, **options})


LOGITS = np.random.default_rng(11).normal(scale=3.0, size=VOCAB).astype(np.float32)


@pytest.fixture(scope="module")
def fixed() -> Any:
    """A model with the logits LOGITS after every token."""
    return model_with_logits(LOGITS[None])


@pytest.fixture(scope="module")
def model() -> Any:
    return random_model()


def draw(model: Any, num: int, mask: NDArray[np.uint32] | None = None, **settings: Any) -> list[int]:
    """`num` tokens, all from the logits after token 0."""
    sampler = _native.Sampler(**{"seed": 1, **settings})
    sequence = model.new_sequence(MAX_LEN)
    return [model.step([_native.Row(sequence, [0], sampler, mask)])[0].token for _ in range(num)]


def draw_one(model: Any, mask: NDArray[np.uint32] | None = None, **settings: Any) -> Any:
    row = _native.Row(model.new_sequence(4), [0], _native.Sampler(**{"seed": 1, **settings}), mask)
    return model.step([row])[0]


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    result: NDArray[np.float64] = weights / weights.sum()
    return result


def mask_of(tokens: list[int]) -> NDArray[np.uint32]:
    bits = np.zeros((VOCAB + 31) // 32 * 32, np.uint8)
    bits[tokens] = 1
    return np.packbits(bits, bitorder="little").view(np.uint32)


# ------------------------------------------------------------------------------------------------------------- sampler


def test_the_logits_are_those_asked_for(fixed: Any) -> None:
    """The model that the sampler tests stand on has the logits they think it has."""
    logits = fixed.logits(fixed.new_sequence(8), [0, 3, 999])
    np.testing.assert_allclose(logits, np.stack([LOGITS] * 3), rtol=1e-5)


def test_the_same_seed_draws_the_same_tokens(fixed: Any) -> None:
    """Equal seeds and settings repeat; another seed draws otherwise."""
    assert draw(fixed, 50, seed=3) == draw(fixed, 50, seed=3)
    assert draw(fixed, 50, seed=3) != draw(fixed, 50, seed=4)


def test_any_integer_is_a_seed(fixed: Any) -> None:
    """Negative and huge seeds work, and repeat."""
    for seed in (-1, 2**200 + 17):
        assert draw(fixed, 5, seed=seed) == draw(fixed, 5, seed=seed)


def test_draws_do_not_depend_on_the_batch(fixed: Any) -> None:
    """A sampler draws the same tokens beside others as alone."""
    expected = [draw(fixed, 20, seed=seed, top_p=0.9) for seed in range(5)]
    samplers = [_native.Sampler(seed=seed, top_p=0.9) for seed in range(5)]
    sequences = [fixed.new_sequence(32) for _ in samplers]
    rows = [_native.Row(q, [0], s) for q, s in zip(sequences, samplers, strict=True)]
    steps = [[sampled.token for sampled in fixed.step(rows)] for _ in range(20)]
    assert [list(tokens) for tokens in zip(*steps, strict=True)] == expected


def test_rows_without_a_sampler_give_none(fixed: Any) -> None:
    """Results stand in the order of the rows, None where nothing was to be sampled."""
    rows = [_native.Row(fixed.new_sequence(4), [0], _native.Sampler(seed=0) if i == 1 else None) for i in range(3)]
    results = fixed.step(rows)
    assert [result is None for result in results] == [True, False, True]
    assert fixed.step([]) == []


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}])
def test_these_settings_are_greedy(fixed: Any, settings: dict[str, Any]) -> None:
    """Temperature 0, and each cut at its strictest, take the likeliest token."""
    assert set(draw(fixed, 10, **settings)) == {int(LOGITS.argmax())}


def test_ties_go_to_the_lower_id() -> None:
    """Of equally likely tokens, greedy decoding and a cut take the first."""
    flat = model_with_logits(np.zeros((1, VOCAB)))
    assert draw_one(flat, temperature=0.0).token == 0
    assert set(draw(flat, 100, top_k=3)) == {0, 1, 2}


def test_a_tiny_temperature_is_greedy(fixed: Any) -> None:
    """A temperature near zero neither overflows nor divides by zero."""
    assert set(draw(fixed, 10, temperature=1e-40)) == {int(LOGITS.argmax())}


def order() -> NDArray[np.int64]:
    return np.argsort(-LOGITS, kind="stable")


def kept_by_top_p(top_p: float, temperature: float) -> set[int]:
    probabilities = softmax(LOGITS / temperature)[order()]
    count = int(np.searchsorted(np.cumsum(probabilities), top_p)) + 1
    return set(order()[:count].tolist())


def kept_by_min_p(min_p: float, temperature: float) -> set[int]:
    probabilities = softmax(LOGITS / temperature)
    return set(np.flatnonzero(probabilities >= min_p * probabilities.max()).tolist())


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"top_k": 5}, set(order()[:5].tolist())),
        ({"top_k": 2 * VOCAB, "top_p": 0.5}, kept_by_top_p(0.5, 1.0)),
        ({"top_p": 0.5}, kept_by_top_p(0.5, 1.0)),
        ({"top_p": 0.7, "temperature": 0.6}, kept_by_top_p(0.7, 0.6)),
        ({"min_p": 0.2}, kept_by_min_p(0.2, 1.0)),
        ({"min_p": 0.05, "temperature": 0.5}, kept_by_min_p(0.05, 0.5)),
        ({"top_p": 0.5, "min_p": 0.3}, kept_by_top_p(0.5, 1.0) & kept_by_min_p(0.3, 1.0)),
    ],
)
def test_cuts_keep_the_tokens_that_numpy_keeps(fixed: Any, settings: dict[str, Any], kept: set[int]) -> None:
    """Only tokens inside the cut are drawn, and all of them are, given time."""
    drawn = set(draw(fixed, 4000, **settings))
    assert drawn <= kept
    probabilities = softmax(LOGITS / settings.get("temperature", 1.0))
    mass = sum(probabilities[list(kept)])
    assert {token for token in kept if probabilities[token] / mass > 0.005} <= drawn


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7}, {"top_k": 20}, {"top_p": 0.8}, {"min_p": 0.1}])
def test_tokens_are_drawn_as_often_as_they_should(fixed: Any, settings: dict[str, Any]) -> None:
    """Frequencies agree with the renormalised probabilities, within five standard deviations."""
    probabilities = softmax(LOGITS / settings.get("temperature", 1.0))
    kept = np.ones(VOCAB, bool)
    if "top_k" in settings:
        kept[order()[settings["top_k"] :]] = False
    if "top_p" in settings:
        kept[list(set(range(VOCAB)) - kept_by_top_p(settings["top_p"], 1.0))] = False
    if "min_p" in settings:
        kept[list(set(range(VOCAB)) - kept_by_min_p(settings["min_p"], 1.0))] = False
    expected = np.where(kept, probabilities, 0.0)
    expected /= expected.sum()
    num = 4000
    counts = np.bincount(draw(fixed, num, seed=9, **settings), minlength=VOCAB)
    deviation = np.sqrt(num * expected * (1 - expected)) + 1.0
    assert (np.abs(counts - num * expected) <= 5 * deviation).all()


def test_a_mask_is_respected(fixed: Any) -> None:
    """Only allowed tokens are drawn, greedily and at a high temperature, also in the last, partial word."""
    allowed = [3, 32, 998, 999]
    best = max(allowed, key=lambda token: float(LOGITS[token]))
    assert set(draw(fixed, 5, mask_of(allowed), temperature=0.0)) == {best}
    assert set(draw(fixed, 300, mask_of(allowed), temperature=20.0)) == set(allowed)
    assert set(draw(fixed, 300, mask_of(allowed), temperature=20.0, top_k=3, top_p=0.999)) <= set(allowed)


def test_a_mask_is_copied_into_its_row(fixed: Any) -> None:
    """Changing the array after the row was made does not change the row."""
    mask = mask_of([7])
    row = _native.Row(fixed.new_sequence(4), [0], _native.Sampler(seed=1), mask)
    mask[:] = 0
    assert fixed.step([row])[0].token == 7


def test_logprobs_are_the_models_own(fixed: Any) -> None:
    """Log-probabilities are those before temperature, cuts, bias and mask, likeliest first."""
    expected = np.log(softmax(LOGITS))
    sampled = draw_one(fixed, mask_of([5]), num_logprobs=10, temperature=0.3, top_k=2, logit_bias={5: -3.0})
    assert sampled.token == 5
    assert sampled.logprob == pytest.approx(expected[5], abs=1e-5)
    assert [token for token, _ in sampled.top] == order()[:10].tolist()
    np.testing.assert_allclose([logprob for _, logprob in sampled.top], np.sort(expected)[::-1][:10], atol=1e-5)


def test_as_many_logprobs_as_asked_for(fixed: Any) -> None:
    """-1 computes none, 0 the drawn token's, and more than the vocabulary gives the whole vocabulary."""
    assert np.isnan(draw_one(fixed).logprob)
    assert draw_one(fixed).top == []
    assert draw_one(fixed, num_logprobs=0).top == []
    assert np.isfinite(draw_one(fixed, num_logprobs=0).logprob)
    assert len(draw_one(fixed, num_logprobs=5 * VOCAB).top) == VOCAB


def greedy_with_penalties(num: int, seen: list[int], **penalties: float) -> list[int]:
    """What greedy decoding from LOGITS gives, written down anew."""
    repetition = penalties.get("repetition_penalty", 1.0)
    counts: Counter[int] = Counter()
    tokens = []
    for _ in range(num):
        logits = LOGITS.copy()
        for token in {*seen, *counts}:
            logits[token] = logits[token] / repetition if logits[token] > 0 else logits[token] * repetition
        for token, count in counts.items():
            logits[token] -= penalties.get("presence_penalty", 0.0) + penalties.get("frequency_penalty", 0.0) * count
        tokens.append(int(logits.argmax()))
        counts[tokens[-1]] += 1
    return tokens


@pytest.mark.parametrize(
    "penalties",
    [
        {"repetition_penalty": 1.3},
        {"presence_penalty": 0.7},
        {"frequency_penalty": 0.4},
        {"repetition_penalty": 1.1, "presence_penalty": 0.3, "frequency_penalty": 0.2},
    ],
)
def test_penalties_count_what_they_should(fixed: Any, penalties: dict[str, float]) -> None:
    """Repetition counts the prompt and drawn tokens; presence and frequency count drawn tokens."""
    seen = order()[:2].tolist()
    sampler = _native.Sampler(seed=0, temperature=0.0, **penalties)
    sampler.observe(seen)
    sequence = fixed.new_sequence(64)
    drawn = [fixed.step([_native.Row(sequence, [0], sampler)])[0].token for _ in range(30)]
    assert drawn == greedy_with_penalties(30, seen, **penalties)


def test_logit_bias_moves_and_forbids(fixed: Any) -> None:
    """A bias is added to the logit; minus infinity forbids the token."""
    best, second = order()[:2].tolist()
    assert draw_one(fixed, temperature=0.0, logit_bias={17: 100.0}).token == 17
    assert draw_one(fixed, temperature=0.0, logit_bias={best: float("-inf")}).token == second


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_an_error(value: float) -> None:
    """A model that produces NaN or infinity raises RuntimeError and can be used further."""
    tensors = make_tensors(np.random.default_rng(0), 0.0)
    embedding = np.ones((VOCAB, DIM), np.float32)
    embedding[1] = value
    bad = _native.Model(make_config(), tensors | {"embedding": as_tensor(embedding)}, num_threads=1)
    sequence = bad.new_sequence(8)
    with pytest.raises(RuntimeError, match="not finite"):
        bad.step([_native.Row(sequence, [1], _native.Sampler(seed=0))])
    sequence.clear()
    assert bad.step([_native.Row(sequence, [0], None)]) == [None]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_fails_alone(value: float) -> None:
    """Where one row of a step produces NaN or infinity, the others' tokens are in the error, and all can go on."""
    tensors = make_tensors(np.random.default_rng(0), 0.2)
    embedding = np.frombuffer(tensors["embedding"][0], np.float32).reshape(VOCAB, DIM).copy()
    good = embedding.copy()
    embedding[1] = value
    tensors |= {"embedding": as_tensor(embedding), "lm_head": as_tensor(good)}
    model = _native.Model(make_config(), tensors, num_threads=2)
    sequences = [model.new_sequence(8) for _ in range(3)]

    def rows(*tokens: int) -> list[Any]:
        return [_native.Row(s, [t], _native.Sampler(seed=3)) for s, t in zip(sequences, tokens, strict=True)]

    alone = [model.step([_native.Row(model.new_sequence(8), [t], _native.Sampler(seed=3))])[0].token for t in (0, 2)]
    with pytest.raises(_native.RowsFailed, match="not finite") as raised:
        model.step(rows(0, 1, 2))
    first, failed, last = raised.value.rows
    assert [first.token, last.token] == alone
    assert "not finite" in failed
    assert [sequence.length for sequence in sequences] == [1, 1, 1]


def test_no_token_left_is_an_error(fixed: Any) -> None:
    """Where bias forbids all that the mask allows, RuntimeError says so."""
    with pytest.raises(RuntimeError, match="no token"):
        draw_one(fixed, mask_of([4]), logit_bias={4: float("-inf")})


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": "warm"},
        {"top_k": -1},
        {"top_k": 2**40},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": -0.1},
        {"min_p": 1.5},
        {"num_logprobs": -2},
        {"repetition_penalty": 0.0},
        {"presence_penalty": float("inf")},
        {"frequency_penalty": float("nan")},
        {"logit_bias": {-1: 1.0}},
        {"logit_bias": {1: float("nan")}},
        {"logit_bias": {1: float("inf")}},
        {"seed": 1.5},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    """Each raises ValueError that names the setting."""
    [name] = settings
    with pytest.raises(ValueError, match=name):
        _native.Sampler(**{"seed": 0, **settings})


# ----------------------------------------------------------------------------------------------------------- sequences


def tokens_of(length: int, seed: int = 0) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(0, VOCAB, length)]


def test_a_sequence_counts_its_tokens(model: Any) -> None:
    """`length` grows by the tokens of each step; `capacity` stays."""
    sequence = model.new_sequence(10)
    assert (sequence.length, sequence.capacity) == (0, 10)
    model.step([_native.Row(sequence, [1, 2, 3])])
    model.logits(sequence, [4])
    assert (sequence.length, sequence.capacity) == (4, 10)


def test_a_full_sequence_takes_no_more(model: Any) -> None:
    """Tokens beyond the capacity are refused before anything is computed, for the whole step."""
    full, other = model.new_sequence(3), model.new_sequence(3)
    model.step([_native.Row(full, [1, 2, 3])])
    with pytest.raises(ValueError, match="capacity 3 with 3 tokens has no room for 1"):
        model.step([_native.Row(other, [1]), _native.Row(full, [4])])
    with pytest.raises(ValueError, match="no room"):
        model.logits(full, [4])
    assert (full.length, other.length) == (3, 0)


def test_clear_starts_anew(model: Any) -> None:
    """After `clear` the sequence gives what a new one gives."""
    sequence = model.new_sequence(1200)
    model.logits(sequence, tokens_of(1000))
    sequence.clear()
    assert sequence.length == 0
    tokens = tokens_of(50, seed=1)
    fresh = model.logits(model.new_sequence(50), tokens)
    np.testing.assert_array_equal(model.logits(sequence, tokens), fresh)


def test_truncate_within_the_ring_is_exact(model: Any) -> None:
    """As long as the ring still holds the window, a truncated text continues as a fresh one."""
    tokens = tokens_of(1500)
    sequence = model.new_sequence(2000)
    model.logits(sequence, tokens)
    shortest = 1500 - RING + WINDOW - 1
    assert sequence.truncate(shortest)
    assert sequence.length == shortest
    more = tokens_of(700, seed=2)
    fresh = model.logits(model.new_sequence(2000), tokens[:shortest] + more)[shortest:]
    np.testing.assert_allclose(model.logits(sequence, more), fresh, atol=1e-4)


def test_truncate_beyond_the_ring_is_refused(model: Any) -> None:
    """Where the ring has overwritten what the shorter text needs, nothing changes; also after an earlier truncate."""
    sequence = model.new_sequence(2000)
    model.logits(sequence, tokens_of(1500))
    shortest = 1500 - RING + WINDOW - 1
    assert not sequence.truncate(shortest - 1)
    assert sequence.length == 1500
    assert sequence.truncate(shortest)
    assert not sequence.truncate(shortest - 1)
    assert sequence.truncate(0)
    assert sequence.length == 0


@pytest.mark.parametrize("length", [-1, 6, 2**40, "5"])
def test_truncate_to_an_impossible_length_is_refused(model: Any, length: Any) -> None:
    """A length outside 0 to the current one raises ValueError."""
    sequence = model.new_sequence(10)
    model.step([_native.Row(sequence, [1, 2, 3, 4, 5])])
    with pytest.raises(ValueError, match=r"truncate|length"):
        sequence.truncate(length)
    assert sequence.truncate(5)


def test_a_sequence_outlives_the_name_of_its_model() -> None:
    """A sequence keeps its model alive, and a step with another model refuses it."""
    first, second = random_model(), random_model()
    sequence = first.new_sequence(4)
    del first
    gc.collect()
    with pytest.raises(ValueError, match="another model"):
        second.step([_native.Row(sequence, [1])])
    assert sequence.truncate(0)


def test_step_and_logits_agree(model: Any) -> None:
    """The logits of `logits` are those that `step` samples from, over any number of tokens."""
    tokens = tokens_of(1100)
    logits = model.logits(model.new_sequence(1100), tokens)
    row = _native.Row(model.new_sequence(1100), tokens, _native.Sampler(seed=0, temperature=0.0, num_logprobs=VOCAB))
    [sampled] = model.step([row])
    actual = [logprob for _, logprob in sorted(sampled.top)]
    np.testing.assert_allclose(actual, np.log(softmax(logits[-1])), atol=1e-4)


# ------------------------------------------------------------------------------------------------------------ bad input


BAD_CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({"num_layers": 0}, "num_layers"),
    ({"num_layers": 3}, "windows has 2 entries for 3 layers"),
    ({"model_dim": -1}, "model_dim"),
    ({"model_dim": 2**31}, "model_dim"),
    ({"ffn_dim": 2**31 - 1}, "ffn_dim"),
    ({"vocab_size": 2**70}, "vocab_size"),
    ({"vocab_size": 10.5}, "vocab_size must be an int"),
    ({"head_dim": 3}, "head_dim"),
    ({"num_heads": 3, "num_kv_heads": 2}, "num_heads"),
    ({"windows": [-1, 0]}, r"windows\[0\]"),
    ({"windows": [2**31 - 1, 0]}, r"windows\[0\]"),
    ({"windows": 8}, "windows"),
    ({"rope_bases": [0.0, 1.0]}, r"rope_bases\[0\]"),
    ({"rope_scales": [1.0]}, "rope_scales"),
    ({"query_scale": float("nan")}, "query_scale"),
    ({"embedding_scale": float("inf")}, "embedding_scale"),
    ({"attention_softcap": -1.0}, "attention_softcap"),
    ({"final_softcap": "high"}, "final_softcap"),
    ({"norm_eps": -1e-6}, "norm_eps"),
    ({"qkv_layout": "sideways"}, "qkv_layout"),
    ({"qkv_layout": "per_head"}, "per_head"),
    ({"vocab_sise": 5}, "vocab_sise"),
    ({"vocab_size": 999}, r'"embedding" is \[1000, 16\], the config asks for \[999, 16\]'),
    ({"qk_norm": True}, '"layers.0.query_norm" is missing'),
    ({"post_norms": True}, '"layers.0.post_attention_norm" is missing'),
]


@pytest.mark.parametrize(("changes", "message"), BAD_CONFIGS)
def test_a_config_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    """Each raises ValueError that names the value."""
    with pytest.raises(ValueError, match=message):
        _native.Model(make_config(**changes), make_tensors(np.random.default_rng(0), 0.1))


def test_a_missing_config_key_is_named() -> None:
    """ValueError says which key is missing."""
    config = make_config()
    del config["norm_eps"]
    with pytest.raises(ValueError, match="norm_eps"):
        _native.Model(config, make_tensors(np.random.default_rng(0), 0.1))
    with pytest.raises(ValueError, match="mapping"):
        _native.Model(5, {})


def norm_of(size: int) -> tuple[Any, str, int, int, float]:
    return (np.zeros(size, np.float32), "f32", 1, size, 1.0)


BAD_TENSORS: list[tuple[str, Any, str]] = [
    ("final_norm", norm_of(DIM + 1), r"\[1, 17\], the config asks for \[1, 16\]"),
    ("final_norm", (np.zeros(DIM - 1, np.float32), "f32", 1, DIM, 1.0), "60 bytes"),
    ("final_norm", (np.zeros(2 * DIM, np.float32)[::2], "f32", 1, DIM, 1.0), "contiguous"),
    ("final_norm", (b"", "f32", 1, DIM, 1.0), "0 bytes"),
    ("final_norm", ([0.0] * DIM, "f32", 1, DIM, 1.0), "buffer"),
    ("final_norm", (np.zeros(DIM, np.float32), "q4", 1, DIM, 1.0), "must be one of f32, f16, bf16, sfp, nuq"),
    ("final_norm", (np.zeros(DIM, np.float32), "f32", 0, DIM, 1.0), "rows"),
    ("final_norm", (np.zeros(DIM, np.float32), "f32", 2**31 - 1, 2**31 - 1, 1.0), "bytes"),
    ("final_norm", (np.zeros(DIM, np.float32), "f32", -1, DIM, 1.0), "rows"),
    ("final_norm", (np.zeros(DIM, np.float32), "f32", 1, DIM, float("nan")), "scale"),
    ("final_norm", (np.zeros(DIM, np.float32), "f32", 1, DIM), "buffer, type, rows, cols, scale"),
    ("final_norm", np.zeros(DIM, np.float32), "buffer, type, rows, cols, scale"),
    ("layers.1.down", None, "buffer, type, rows, cols, scale"),
    ("layers.2.down", norm_of(DIM), "not part of a model"),
    ("vision.patch", norm_of(DIM), "not part of a model"),
]


@pytest.mark.parametrize(("name", "tensor", "message"), BAD_TENSORS)
def test_a_tensor_that_does_not_fit_is_refused(name: str, tensor: Any, message: str) -> None:
    """Each raises ValueError that names the tensor."""
    tensors = make_tensors(np.random.default_rng(0), 0.1) | {name: tensor}
    with pytest.raises(ValueError, match=message) as error:
        _native.Model(make_config(), tensors)
    assert name in str(error.value)


def test_a_missing_tensor_is_named() -> None:
    """ValueError says which tensor is missing."""
    tensors = make_tensors(np.random.default_rng(0), 0.1)
    for name in list(tensors):
        with pytest.raises(ValueError, match="missing"):
            _native.Model(make_config(), {key: value for key, value in tensors.items() if key != name})


@pytest.mark.parametrize("threads", [-1, 5000, "two"])
def test_thread_counts_that_make_no_sense_are_refused(threads: Any) -> None:
    """Negative, huge and non-integer counts raise ValueError."""
    with pytest.raises(ValueError, match="num_threads"):
        random_model(num_threads=threads)


def test_an_unknown_isa_is_refused() -> None:
    """ValueError lists the tables that this processor runs."""
    with pytest.raises(ValueError, match="scalar"):
        random_model(isa="abacus")


def test_the_isa_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """LLM_FRAMEWORK_ISA chooses the table where the caller does not."""
    monkeypatch.setenv("LLM_FRAMEWORK_ISA", "scalar")
    assert random_model().isa == "scalar"
    monkeypatch.setenv("LLM_FRAMEWORK_ISA", "abacus")
    with pytest.raises(ValueError, match="LLM_FRAMEWORK_ISA"):
        random_model()


@pytest.mark.parametrize("tokens", [[-1], [VOCAB], [2**70], [1.5], ["a"], []])
def test_tokens_that_are_none_are_refused(model: Any, tokens: Any) -> None:
    """Ids outside the vocabulary, things that are no ints, and rows without tokens raise ValueError."""
    sequence = model.new_sequence(4)
    with pytest.raises(ValueError, match="token"):
        _native.Row(sequence, tokens)
    if tokens:
        with pytest.raises(ValueError, match="token"):
            model.logits(sequence, tokens)
    assert sequence.length == 0


def test_tokens_may_be_any_sequence_of_ints(model: Any) -> None:
    """Tuples and numpy arrays of ids do as well as lists; no tokens give no logits."""
    sequence = model.new_sequence(8)
    model.logits(sequence, (1, 2))
    model.logits(sequence, np.array([3, 4], np.int64))
    assert sequence.length == 4
    assert model.logits(sequence, []).shape == (0, VOCAB)


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros(32, np.uint32),
        np.full(31, ~np.uint32(0)),
        np.full(33, ~np.uint32(0)),
        np.full((32, 1), ~np.uint32(0)),
        np.ones(32, np.int64),
        np.array([0] * 31 + [1 << 8], np.uint32),  # a bit beyond the vocabulary
        [1] * 32,
    ],
)
def test_masks_of_another_form_are_refused(model: Any, mask: Any) -> None:
    """Wrong sizes and types, and masks that allow nothing, raise ValueError."""
    with pytest.raises(ValueError, match="mask"):
        _native.Row(model.new_sequence(4), [1], _native.Sampler(seed=0), mask)


@pytest.mark.parametrize("capacity", [0, -5, MAX_LEN + 1, 2**80, 1.5])
def test_capacities_out_of_range_are_refused(model: Any, capacity: Any) -> None:
    """A sequence holds 1 to max_seq_len tokens."""
    with pytest.raises(ValueError, match="capacity"):
        model.new_sequence(capacity)


def test_nothing_stands_in_two_rows(model: Any) -> None:
    """A sequence, or a sampler, twice in one step raises ValueError."""
    first, second, sampler = model.new_sequence(4), model.new_sequence(4), _native.Sampler(seed=0)
    with pytest.raises(ValueError, match="sequence stands in two rows"):
        model.step([_native.Row(first, [1]), _native.Row(first, [2])])
    with pytest.raises(ValueError, match="sampler stands in two rows"):
        model.step([_native.Row(first, [1], sampler), _native.Row(second, [2], sampler)])
    assert (first.length, second.length) == (0, 0)


def test_a_bias_beyond_the_vocabulary_is_refused(model: Any) -> None:
    """The row that meets a bias for a token that the model does not have raises ValueError."""
    with pytest.raises(ValueError, match="token id 1000"):
        _native.Row(model.new_sequence(4), [1], _native.Sampler(seed=0, logit_bias={VOCAB: 1.0}))


def test_only_the_models_own_classes_are_rows(model: Any) -> None:
    """Other objects in a step are refused."""
    with pytest.raises((TypeError, ValueError)):
        model.step([None])
    with pytest.raises((TypeError, ValueError)):
        model.step([(model.new_sequence(4), [1])])
    with pytest.raises((TypeError, ValueError)):
        _native.Row(None, [1])
    with pytest.raises((TypeError, ValueError)):
        model.logits(None, [1])


# ------------------------------------------------------------------------------------------------- buffers and threads


def test_buffers_stay_exported_until_close() -> None:
    """While a model lives its buffers cannot be resized; after `close` they can."""
    tensors = make_tensors(np.random.default_rng(0), 0.1)
    buffer = bytearray(DIM * 4)
    model = _native.Model(make_config(), tensors | {"final_norm": (buffer, "f32", 1, DIM, 1.0)})
    with pytest.raises(BufferError):
        buffer.extend(b"more")
    model.close()
    buffer.extend(b"more")


def test_a_refused_model_lets_go_of_its_buffers() -> None:
    """Where loading fails, no buffer stays exported."""
    buffer = bytearray(DIM * 4)
    with pytest.raises(ValueError, match="missing"):
        _native.Model(make_config(), {"final_norm": (buffer, "f32", 1, DIM, 1.0)})
    buffer.extend(b"more")


def test_a_closed_model_refuses_to_work() -> None:
    """After `close`, which may be called twice, every call raises ValueError; its sequences can still be freed."""
    model = random_model()
    sequence = model.new_sequence(4)
    row = _native.Row(sequence, [1])
    model.close()
    model.close()
    calls: list[Callable[[], Any]] = [
        lambda: model.step([row]),
        lambda: model.logits(sequence, [1]),
        lambda: model.new_sequence(4),
        sequence.clear,
        lambda: sequence.truncate(0),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="closed"):
            call()
    assert sequence.length == 0


def test_steps_from_several_threads_take_turns() -> None:
    """Concurrent callers with sequences of their own get what they would get alone."""
    model = random_model()
    tokens = [tokens_of(40, seed=i) for i in range(4)]
    expected = [model.logits(model.new_sequence(40), t) for t in tokens]
    results: list[Any] = [None] * 4

    def work(i: int) -> None:
        sequence = model.new_sequence(40)
        results[i] = np.concatenate([model.logits(sequence, [token]) for token in tokens[i]])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for actual, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, atol=1e-4)


def test_other_threads_run_during_a_step() -> None:
    """A long step does not hold the GIL: another thread counts meanwhile, and closing waits for the step."""
    model = random_model(num_threads=1, isa="scalar")
    sequence = model.new_sequence(MAX_LEN)
    started, finished = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        model.logits(sequence, tokens_of(4000))
        finished.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    counted = 0
    while not finished.is_set():
        counted += 1
    model.close()
    thread.join()
    assert counted > 1000
    assert sequence.length == 4000


def test_properties_say_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """`isa` and `num_threads` report the table and the threads in use."""
    monkeypatch.delenv("LLM_FRAMEWORK_ISA", raising=False)
    model = random_model(num_threads=3, isa="scalar")
    assert (model.isa, model.num_threads) == ("scalar", 3)
    default = random_model(num_threads=0, isa=None)
    assert default.isa == _native.cpu_isas()[-1]
    assert default.num_threads >= 1


def test_cpu_isas_begin_with_scalar() -> None:
    """The reference table runs everywhere and is the slowest."""
    assert _native.cpu_isas()[0] == "scalar"


@pytest.mark.parametrize("isa", _native.cpu_isas())
def test_every_table_but_the_reference_wants_packed_weights(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`default_packs` speaks of the table that LLM_FRAMEWORK_ISA chooses."""
    monkeypatch.setenv("LLM_FRAMEWORK_ISA", isa)
    assert _native.default_isa() == isa
    assert _native.default_packs() == (isa != "scalar")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_told() -> None:
    """A model from before a fork raises RuntimeError in the child, which has no threads of it, and exits cleanly."""
    code = (
        "import os, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_engine import random_model\n"
        "model = random_model(num_threads=2)\n"
        "sequence = model.new_sequence(4)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try:\n"
        "        model.logits(sequence, [1])\n"
        "    except RuntimeError as error:\n"
        "        del model, sequence\n"
        "        os._exit(0 if 'fork' in str(error) else 2)\n"
        "    os._exit(3)\n"
        "_, status = os.waitpid(child, 0)\n"
        "assert model.logits(sequence, [1]).shape[0] == 1\n"
        "sys.exit(os.waitstatus_to_exitcode(status))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], check=True, timeout=120)


def test_the_interpreter_may_end_during_a_step() -> None:
    """A daemon thread in the middle of a step does not abort the process when the main thread ends."""
    code = (
        "import sys, threading\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_engine import random_model, tokens_of\n"
        "model = random_model()\n"
        "sequence = model.new_sequence(4096)\n"
        "working = threading.Event()\n"
        "def work():\n"
        "    while True:\n"
        "        sequence.clear()\n"
        "        model.logits(sequence, tokens_of(1000))\n"
        "        working.set()\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "working.wait()\n"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], check=True, timeout=120)


# ------------------------------------------------------------------------------------------------------------- decoding


def test_decode_tensor_gives_float32() -> None:
    """Every weight type decodes to its values times the scale; the shape is [rows, cols]."""
    values = np.array([[0.5, -1.5, 2.0], [0.0, 4.0, -0.25]], np.float32)
    half = values.astype(np.float16)
    bf16 = (values.view(np.uint32) >> 16).astype(np.uint16)
    for buffer, name in ((values, "f32"), (half, "f16"), (bf16, "bf16")):
        np.testing.assert_array_equal(_native.decode_tensor((buffer, name, 2, 3, 2.0)), 2 * values)
    sfp = bytes([0, 64 + 8 * 7, 0x80 | (64 + 8 * 7 + 4), 1])
    expected = [[0.0, 1.0, -1.5, 1.25 * 2.0**-23]]
    np.testing.assert_array_equal(_native.decode_tensor((sfp, "sfp", 1, 4, 1.0)), np.array(expected, np.float32))


def test_decode_tensor_checks_its_argument() -> None:
    """A buffer of another size raises ValueError."""
    with pytest.raises(ValueError, match="12 bytes"):
        _native.decode_tensor((bytes(12), "f32", 2, 2, 1.0))
