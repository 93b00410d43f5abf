"""Matrices in every weight type that the engine computes with, and the values that are left of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from llm_framework.native import _native
from llm_framework.native.formats.encode import to_bf16, to_sfp

Floats = NDArray[np.float32]
EngineTensor = tuple[Any, str, int, int, float]

NUQ_GROUP, I8_GROUP, K_GROUP = 256, 128, 256


def make_tensor(values: Floats, kind: str) -> EngineTensor:
    """The matrix as the engine takes it, in the weight type `kind`. Columns must be a multiple of 256."""
    rows, cols = values.shape
    if kind in ("q8p", "q4p"):
        return _native.pack_tensor(make_tensor(values, "f32"), kind), kind, rows, cols, 1.0
    return np.frombuffer(_ENCODERS[kind](values), np.uint8), kind, rows, cols, 1.0


def values_of(tensor: EngineTensor) -> Floats:
    """What a tensor of the engine stands for."""
    values: Floats = _native.decode_tensor(tensor)
    return values


def _nuq(values: Floats) -> bytes:
    """In each group 16 centres, as SFP, at the quantiles of its values, and the number of the nearest for each."""
    groups = values.reshape(-1, NUQ_GROUP)
    tables = to_sfp(np.quantile(groups, (np.arange(16) + 0.5) / 16, axis=1).T.astype(np.float32))
    centres = _native.decode_tensor((tables, "sfp", *tables.shape, 1.0))
    indices = np.abs(groups[:, :, None] - centres[:, None, :]).argmin(axis=2).astype(np.uint8)
    return np.concatenate([tables, indices[:, ::2] | indices[:, 1::2] << 4], axis=1).tobytes()


def _i8(values: Floats) -> bytes:
    """In each group a step and a zero point that span its values, both bfloat16, and integers."""
    groups = values.reshape(-1, I8_GROUP)
    low, high = groups.min(axis=1, keepdims=True), groups.max(axis=1, keepdims=True)
    step_bits = to_bf16(np.maximum(high - low, 1e-6) / 255)
    step = (step_bits.astype(np.uint32) << 16).view(np.float32)
    zero_bits = to_bf16(np.rint(-128 - low / step))
    zero = (zero_bits.astype(np.uint32) << 16).view(np.float32)
    codes = np.rint(groups / step + zero).clip(-128, 127).astype(np.int8)
    return np.concatenate([step_bits.view(np.uint8), zero_bits.view(np.uint8), codes.view(np.uint8)], axis=1).tobytes()


def _blocks(kind: str) -> Callable[[Floats], bytes]:
    """GGUF's simple blocks, by the `gguf` package."""
    raw_type = gguf.GGMLQuantizationType[kind.upper()]
    return lambda values: gguf.quants.quantize(values, raw_type).tobytes()


def _half(value: float, count: int) -> NDArray[np.uint8]:
    return np.full((count, 1), value, np.float16).view(np.uint8)


def _k_blocks(num_bits: int) -> Callable[[Floats], bytes]:
    """Random codes of q4_k or q5_k, spread around 0 as widely as the values are: scales and minima are equal, and the
    minima's unit is that of the scales times the middle of the codes."""

    def encode(values: Floats) -> bytes:
        count = values.size // K_GROUP
        random = np.random.default_rng(count)
        first = random.integers(16, 256, (count, 4), np.uint8)
        rest = random.integers(8, 16, (count, 4), np.uint8)
        scales = np.concatenate([first, first, rest | rest << 4], axis=1)
        codes = random.integers(0, 256, (count, 32 * num_bits), np.uint8)  # of q5_k the fifth bits come first
        unit = float(values.std()) / (31 * 2**num_bits * 0.29)
        middle = (2**num_bits - 1) / 2
        return np.concatenate([_half(unit, count), _half(unit * middle, count), scales, codes], axis=1).tobytes()

    return encode


def _q6_k(values: Floats) -> bytes:
    """Random codes of q6_k, as widely spread as the values are."""
    count = values.size // K_GROUP
    random = np.random.default_rng(count)
    codes = random.integers(0, 256, (count, 192), np.uint8)
    scales = random.integers(-127, 128, (count, 16), np.int8)
    unit = float(values.std()) / (73 * 64 * 0.29)
    return np.concatenate([codes, scales.view(np.uint8), _half(unit, count)], axis=1).tobytes()


_ENCODERS: dict[str, Callable[[Floats], bytes]] = {
    "f32": lambda values: values.tobytes(),
    "f16": lambda values: values.astype(np.float16).tobytes(),
    "bf16": lambda values: to_bf16(values).tobytes(),
    "sfp": lambda values: to_sfp(values).tobytes(),
    "nuq": _nuq,
    "i8": _i8,
    **{kind: _blocks(kind) for kind in ("q8_0", "q4_0", "q4_1", "q5_0", "q5_1")},
    "q4_k": _k_blocks(4),
    "q5_k": _k_blocks(5),
    "q6_k": _q6_k,
}
WEIGHT_TYPES = (*_ENCODERS, "q8p", "q4p")
