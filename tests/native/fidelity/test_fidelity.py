"""How near the engine comes to float32: every architecture and weight type, on every kernel table.

The reference is Transformers in float32 on the weights as they are decoded, so the only error is the engine's own
rounding. Errors are, after each token, the root mean square of the logits' differences over the logits' standard
deviation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llm_framework.native._native")
pytest.importorskip("transformers")
pytest.importorskip("gguf")

import torch
from native.fidelity.models import ARCHITECTURES, CAPACITY, VOCAB, Case, make_case, random_model, reference_logits, text
from native.fidelity.weight_forms import WEIGHT_TYPES, Floats, make_tensor, values_of
from native.gguf_files import dequantize, write_model

from llm_framework.native import _native, open_model

EXACT = 5e-6  # float32 sums, in another order
BF16_PAIR = 4e-5  # activations as two bfloat16: 16 bits
BF16 = 8e-3  # activations as bfloat16: 8 bits
INT16 = 2e-4  # activations as integers of 16 bits by groups of 32
INT8 = 3e-2  # activations as integers of 8 bits by groups of 32, exact around attention

# By weight type: the largest error with few rows in a step (decoding), and with many (prompts, large batches).
BUDGETS: dict[str, tuple[float, float]] = {
    "f32": (EXACT, EXACT),
    "f16": (EXACT, EXACT),
    "bf16": (BF16_PAIR, BF16),
    "sfp": (BF16_PAIR, BF16),
    **dict.fromkeys(("nuq", "i8", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"), (EXACT, EXACT)),
    "q8p": (INT16, INT8),
    "q4p": (INT16, INT8),
}
FEW_ROWS = 8

# Every weight type in one architecture, and those with kernels of their own in all of them.
CASES = [
    (architecture, kind)
    for architecture in ARCHITECTURES
    for kind in (WEIGHT_TYPES if architecture == "gemma3" else ("f32", "bf16", "sfp", "q8p", "q4p"))
]
ALL = pytest.mark.parametrize(("architecture", "kind"), CASES)
ISAS = pytest.mark.parametrize("isa", _native.cpu_isas())


def budget(kind: str, isa: str, num_rows: int) -> float:
    """The largest error that is allowed; the scalar kernels round nothing."""
    return EXACT if isa == "scalar" else BUDGETS[kind][num_rows > FEW_ROWS]


def worst(actual: Floats, expected: Floats) -> float:
    """The largest error of any row."""
    return float((np.sqrt(np.mean((actual - expected) ** 2, axis=-1)) / expected.std(axis=-1)).max())


def log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def in_pieces(model: Any, tokens: list[int], sizes: list[int]) -> Floats:
    """The logits after each token of a text that is read in pieces."""
    sequence = model.new_sequence(CAPACITY)
    ends = np.cumsum(sizes)
    pieces = [tokens[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    return np.concatenate([model.logits(sequence, piece) for piece in pieces])


def logprobs_of(sampled: Any) -> list[float]:
    return [logprob for _, logprob in sorted(sampled.top)]


@ISAS
@ALL
def test_logits(architecture: str, kind: str, isa: str) -> None:
    """Token by token, in one piece and in unequal pieces, a text of three windows has the reference's logits."""
    case = make_case(architecture, kind)
    model = case.engine(isa)
    length = len(case.tokens)
    assert worst(in_pieces(model, case.tokens, [1] * length), case.logits) <= budget(kind, isa, 1)
    for sizes in ([length], [9, 1, 30, 8, length - 48]):
        assert worst(in_pieces(model, case.tokens, sizes), case.logits) <= budget(kind, isa, length)


@ISAS
@ALL
def test_batches(architecture: str, kind: str, isa: str) -> None:
    """Texts of all lengths that are decoded 2 to 16 together have the log-probabilities of the reference."""
    case = make_case(architecture, kind)
    model = case.engine(isa)
    expected = log_softmax(case.logits)
    lengths = [1 + 3 * i for i in range(16)]
    sequences = [model.new_sequence(CAPACITY) for _ in lengths]
    model.step([_native.Row(s, case.tokens[:n]) for s, n in zip(sequences, lengths, strict=True)])

    def check(rows: range) -> None:
        def row(i: int) -> Any:
            return _native.Row(sequences[i], [case.tokens[lengths[i]]], _native.Sampler(0, 0.0, num_logprobs=VOCAB))

        drawn = np.array([logprobs_of(sampled) for sampled in model.step([row(i) for i in rows])])
        assert worst(drawn, expected[[lengths[i] for i in rows]]) <= budget(kind, isa, 16)  # the prompts' share
        for i in rows:
            assert sequences[i].truncate(lengths[i])

    for rows in (range(2), range(2, 5), range(5, 12), range(12, 16), range(16)):
        check(rows)


@ISAS
@ALL
def test_greedy(architecture: str, kind: str, isa: str) -> None:
    """Drawn token by token, a text past the window has the reference's log-probabilities, and its greedy tokens
    wherever the gap between its two best is wider than the error."""
    case = make_case(architecture, kind)
    model = case.engine(isa)
    sampler = _native.Sampler(0, 0.0, num_logprobs=VOCAB)
    sequence, given = model.new_sequence(CAPACITY), text(12, seed=2)
    start, tokens, drawn = len(given), list(given), []
    for _ in range(24):
        [sampled] = model.step([_native.Row(sequence, given, sampler)])
        drawn.append(logprobs_of(sampled))
        given = [sampled.token]
        tokens += given
    expected = log_softmax(case.reference_logits(tokens)[start - 1 : -1])
    error = budget(kind, isa, start)
    assert worst(np.array(drawn), expected) <= error
    second, first = np.sort(expected)[:, -2:].T
    is_clear = first - second > 6 * error * expected.std()
    assert is_clear.sum() >= 8
    assert (expected.argmax(axis=1) == tokens[start:])[is_clear].all()


@ISAS
@pytest.mark.parametrize("kind", ["f32", "bf16", "q6_k", "q8p", "q4p"])
def test_threads(kind: str, isa: str) -> None:
    """With one thread and with four, decoding gives the same bits, and prompts stay within the budget."""
    case = make_case("gemma3", kind)
    length = len(case.tokens)
    one, four = (case.engine(isa, num_threads) for num_threads in (1, 4))
    for model in (one, four):
        assert worst(in_pieces(model, case.tokens, [length]), case.logits) <= budget(kind, isa, length)
    np.testing.assert_array_equal(*(in_pieces(model, case.tokens[:30], [1] * 30) for model in (one, four)))


# --------------------------------------------------------------------------------------------------------- packed files
def replaced(model: Any, left: Any) -> Case:
    """The reference with each matrix's values replaced by those that `left` says are left of it."""
    with torch.no_grad():
        for _, values in model.named_parameters():
            if values.ndim == 2:
                values.copy_(torch.from_numpy(np.array(left(values.numpy()))))
    tokens = text(72)
    return Case(model, {}, {}, tokens, reference_logits(model, tokens))


def check_file(path: Path, case: Case, isa: str, kind: str, **options: Any) -> None:
    with open_model(path, num_threads=2, **options) as model:
        assert model.engine.isa == isa
        length = len(case.tokens)
        assert worst(in_pieces(model.engine, case.tokens, [1] * length), case.logits) <= budget(kind, isa, 1)
        assert worst(model.logits(case.tokens), case.logits) <= budget(kind, isa, length)


@ISAS
@pytest.mark.parametrize(("kind", "form"), [("Q8_0", "q8p"), ("Q4_0", "q4p"), ("Q6_K", "q6_k")])
def test_gguf_files(kind: str, form: str, isa: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GGUF file, packed as it is loaded where that loses nothing, computes what its blocks' values do."""
    monkeypatch.setenv("LLM_FRAMEWORK_ISA", isa)
    model = random_model("gemma1")
    tensors = {name: values.detach().numpy() for name, values in model.named_parameters()}
    config = {**model.config.to_dict(), "model_type": "gemma"}
    write_model(tmp_path / "model.gguf", config, tensors, kind)
    check_file(tmp_path / "model.gguf", replaced(model, lambda values: dequantize(values, kind)), isa, form)


@ISAS
@pytest.mark.parametrize("quantization", ["q8", "q4"])
def test_quantization_on_load(quantization: str, isa: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`quantization=` computes what the values do that are left; the embedding, also the head, keeps 8 bits."""
    monkeypatch.setenv("LLM_FRAMEWORK_ISA", isa)
    model = random_model("gemma2")
    model.save_pretrained(tmp_path)

    def left(values: Floats) -> Floats:
        return values_of(make_tensor(values, "q8p" if len(values) == VOCAB else f"{quantization}p"))

    check_file(tmp_path, replaced(model, left), isa, f"{quantization}p", quantization=quantization)
