"""The engine's own packed weight forms: made, read back, and run in a whole model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

_native = pytest.importorskip("llm_framework.native._native")

Floats = NDArray[np.float32]

BLOCK_BYTES = {"q8p": 1088, "q4p": 576}
VOCAB, DIM, FFN, HEADS, KV_HEADS, HEAD_DIM, LAYERS = 300, 96, 160, 4, 2, 32, 3
TOKENS = list(np.random.default_rng(2).integers(0, VOCAB, 45))

# Root mean square error of the logits over their standard deviation, against float32 on the same (decoded) weights.
# With up to 16 rows activations are integers of 16 bits; with more, outside of attention, of 8 bits by groups of 32.
DECODE_BUDGET = 2e-4
PREFILL_BUDGET = 2e-2


def as_f32(values: Floats) -> tuple[Any, str, int, int, float]:
    rows, cols = values.shape
    return (np.ascontiguousarray(values, np.float32), "f32", rows, cols, 1.0)


def q8_0(values: Floats) -> tuple[Any, str, int, int, float]:
    """GGUF's blocks of 32: a half as scale, then the integers."""
    groups = values.reshape(-1, 32)
    scales = (np.abs(groups).max(axis=1, keepdims=True) / 127).astype(np.float16)
    integers = np.rint(groups / scales.astype(np.float32)).clip(-127, 127).astype(np.int8)
    blocks = np.concatenate([scales.view(np.uint8), integers.view(np.uint8)], axis=1)
    return (np.ascontiguousarray(blocks), "q8_0", *values.shape, 1.0)


def packed(tensor: tuple[Any, str, int, int, float], kind: str) -> tuple[Any, str, int, int, float]:
    return (_native.pack_tensor(tensor, kind), kind, *tensor[2:])


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return {
        "num_layers": LAYERS, "model_dim": DIM, "ffn_dim": FFN, "num_heads": HEADS, "num_kv_heads": KV_HEADS,
        "head_dim": HEAD_DIM, "vocab_size": VOCAB, "max_seq_len": 256, "windows": [16, 0, 16],
        "rope_bases": [1e4, 1e6, 1e4], "rope_scales": [1.0, 8.0, 1.0], "query_scale": HEAD_DIM**-0.5,
        "embedding_scale": DIM**0.5, "attention_softcap": 0.0, "final_softcap": 0.0, "norm_eps": 1e-6,
        "qk_norm": True, "post_norms": True, "qkv_layout": "separate",
    }  # fmt: skip


@pytest.fixture(scope="module")
def weights() -> dict[str, Floats]:
    random = np.random.default_rng(1)

    def matrix(rows: int, cols: int) -> Floats:
        return (random.standard_normal((rows, cols)) * cols**-0.5).astype(np.float32)

    def norm(size: int) -> Floats:
        return (random.standard_normal((1, size)) * 0.3).astype(np.float32)

    tensors = {"embedding": matrix(VOCAB, DIM), "final_norm": norm(DIM)}
    for layer in range(LAYERS):
        p = f"layers.{layer}."
        tensors |= {f"{p}{n}_norm": norm(DIM) for n in ("pre_attention", "post_attention", "pre_ffn", "post_ffn")}
        tensors |= {f"{p}{n}_norm": norm(HEAD_DIM) for n in ("query", "key")}
        tensors |= {
            f"{p}q": matrix(HEADS * HEAD_DIM, DIM), f"{p}k": matrix(KV_HEADS * HEAD_DIM, DIM),
            f"{p}v": matrix(KV_HEADS * HEAD_DIM, DIM), f"{p}attention_out": matrix(DIM, HEADS * HEAD_DIM),
            f"{p}gate": matrix(FFN, DIM), f"{p}up": matrix(FFN, DIM), f"{p}down": matrix(DIM, FFN),
        }  # fmt: skip
    return tensors


def relative_error(got: Floats, wanted: Floats) -> float:
    return float(np.sqrt(np.mean((got - wanted) ** 2)) / wanted.std())


def one_by_one(model: Any) -> Floats:
    sequence = model.new_sequence(len(TOKENS))
    return np.concatenate([model.logits(sequence, [token]) for token in TOKENS])


@pytest.mark.parametrize("kind", ["q8p", "q4p"])
@pytest.mark.parametrize("isa", _native.cpu_isas())
def test_a_packed_model_computes_what_float32_does_on_the_same_weights(
    config: dict[str, Any], weights: dict[str, Floats], kind: str, isa: str
) -> None:
    """A packed model's logits are those of its decoded weights, within a budget for prefill and one for decode."""
    tensors = {name: as_f32(w) if len(w) == 1 else packed(as_f32(w), kind) for name, w in weights.items()}
    decoded = {name: as_f32(_native.decode_tensor(tensor)) for name, tensor in tensors.items()}
    exact = _native.Model(config, decoded, num_threads=2, isa=isa)
    model = _native.Model(config, tensors, num_threads=2, isa=isa)
    wanted = exact.logits(exact.new_sequence(64), TOKENS)
    assert relative_error(one_by_one(model), wanted) < DECODE_BUDGET
    assert relative_error(model.logits(model.new_sequence(64), TOKENS), wanted) < PREFILL_BUDGET


@pytest.mark.parametrize("kind", ["q8p", "q4p"])
def test_a_sequence_is_the_same_alone_and_among_others(
    config: dict[str, Any], weights: dict[str, Floats], kind: str
) -> None:
    """What is drawn for a sequence does not change with the sequences that are decoded beside it, to the bit."""
    tensors = {name: as_f32(w) if len(w) == 1 else packed(as_f32(w), kind) for name, w in weights.items()}
    model = _native.Model(config, tensors, num_threads=2)

    def row(token: int) -> Any:
        return _native.Row(model.new_sequence(8), [token], _native.Sampler(1, 0.0, num_logprobs=5))

    alone = [model.step([row(token)])[0] for token in range(16)]
    together = model.step([row(token) for token in range(16)])
    assert [drawn.top for drawn in alone] == [drawn.top for drawn in together]


def test_q8_0_becomes_q8p_without_loss(weights: dict[str, Floats]) -> None:
    """GGUF's q8_0 blocks stand for the same values, to the bit, once they are packed."""
    blocks = q8_0(weights["layers.0.down"])
    np.testing.assert_array_equal(_native.decode_tensor(packed(blocks, "q8p")), _native.decode_tensor(blocks))


@pytest.mark.parametrize(("kind", "budget"), [("q8p", 0.006), ("q4p", 0.09)])
def test_packing_rounds_by_little(weights: dict[str, Floats], kind: str, budget: float) -> None:
    """Rounding normally distributed weights costs no more than the format must (root mean square over theirs)."""
    values = weights["embedding"]
    assert relative_error(_native.decode_tensor(packed(as_f32(values), kind)), values) < budget


def test_packing_writes_into_a_given_buffer(weights: dict[str, Floats]) -> None:
    """`pack_tensor` fills the buffer that it is given, and gives it back."""
    tensor = as_f32(weights["embedding"])
    for kind, block_bytes in BLOCK_BYTES.items():
        out = bytearray(19 * 2 * block_bytes)
        assert _native.pack_tensor(tensor, kind, out, num_threads=1) is out
        assert bytes(out) == bytes(_native.pack_tensor(tensor, kind))


def test_packing_refuses_what_it_cannot_do(weights: dict[str, Floats]) -> None:
    """An unknown type, a packed tensor and a buffer that is too small, too large or read-only are value errors."""
    tensor = as_f32(weights["embedding"])
    size = 19 * 2 * BLOCK_BYTES["q8p"]

    def refuses(match: str, *arguments: Any) -> None:
        with pytest.raises(ValueError, match=match):
            _native.pack_tensor(*arguments)

    refuses('must be "q8p" or "q4p"', tensor, "q8_0")
    refuses("must be one of", tensor, "no such type")
    refuses("packed already", packed(tensor, "q8p"), "q8p")
    refuses("takes", tensor, "q8p", bytearray(size - 1))
    refuses("takes", tensor, "q8p", bytearray(size + 1))
    refuses("writable buffer", tensor, "q8p", bytes(size))
    refuses("writable buffer", tensor, "q8p", 5)
    with pytest.raises(ValueError, match="takes"):
        _native.decode_tensor((bytes(size - 1), "q8p", VOCAB, DIM, 1.0))
