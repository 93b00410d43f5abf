"""Weight types: decoded values against other programs' readers of the same bytes."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from llm_framework.native import _native

GGUF_TYPES = {
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
    "q4_0": gguf.GGMLQuantizationType.Q4_0,
    "q4_1": gguf.GGMLQuantizationType.Q4_1,
    "q5_0": gguf.GGMLQuantizationType.Q5_0,
    "q5_1": gguf.GGMLQuantizationType.Q5_1,
    "q4_k": gguf.GGMLQuantizationType.Q4_K,
    "q5_k": gguf.GGMLQuantizationType.Q5_K,
    "q6_k": gguf.GGMLQuantizationType.Q6_K,
}
# Where the halves of a block are that must be numbers: scales, minima.
HALVES = {"q4_1": (0, 2), "q5_1": (0, 2), "q4_k": (0, 2), "q5_k": (0, 2), "q6_k": (208,)}


def random_blocks(name: str, rows: int, blocks: int) -> np.ndarray:
    """uint8 [rows, blocks * bytes]: random but for the scales, which are finite."""
    _, size = gguf.GGML_QUANT_SIZES[GGUF_TYPES[name]]
    random = np.random.default_rng(7)
    data = random.integers(0, 256, (rows, blocks, size), dtype=np.uint8)
    for at in HALVES.get(name, (0,)):
        scales = random.normal(0, 0.05, (rows, blocks, 1)).astype(np.float16)
        data[..., at : at + 2] = scales.view(np.uint8)
    return data.reshape(rows, blocks * size)


@pytest.mark.parametrize("name", GGUF_TYPES)
def test_block_types_decode_as_the_gguf_package_does(name: str) -> None:
    """Every value of every block equals what llama.cpp's own Python package makes of the same bytes."""
    data = random_blocks(name, 7, 3)
    wanted = gguf.quants.dequantize(data, GGUF_TYPES[name])
    decoded = _native.decode_tensor((data.tobytes(), name, *wanted.shape, 1.0))
    np.testing.assert_array_equal(decoded, wanted)


@pytest.mark.parametrize("name", GGUF_TYPES)
def test_rows_must_be_whole_blocks(name: str) -> None:
    """A row that ends within a block is refused, whatever the buffer's size."""
    with pytest.raises(ValueError, match="multiple of"):
        _native.decode_tensor((b"\0" * 512, name, 2, 48, 1.0))
