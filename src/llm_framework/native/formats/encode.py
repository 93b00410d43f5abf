"""From float32 to the number formats that .sbs files hold, for `models convert`. The inverse is the engine's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SFP_MAX = 1.875
_WIDE = 0x3BF8  # the bf16 bits of 1.1111b * 2^-8: from there on three bits of mantissa are kept, below two
_SMALLEST = 0x3400  # of 2^-23


def to_bf16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The nearest bfloat16 of each value, ties to even, as its bits. Values must be finite."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded: NDArray[np.uint16] = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    return rounded


def sfp_scale(largest: float) -> float:
    """The scale of a tensor whose largest magnitude this is: SFP itself ends at 1.875."""
    return float(np.float32(largest) / np.float32(SFP_MAX)) if largest > SFP_MAX else 1.0


def to_sfp(values: NDArray[np.float32], scale: float = 1.0) -> NDArray[np.uint8]:
    """Each value divided by `scale` as a byte of switching floating point, rounded as gemma.cpp rounds: cut off to
    bfloat16, then to two or three bits of mantissa, ties to even. What is too small becomes 0."""
    scaled = np.clip(values / np.float32(scale) if scale != 1 else values, -SFP_MAX, SFP_MAX)
    bits = (np.ascontiguousarray(scaled, np.float32).view(np.uint32) >> 16).astype(np.int32)
    sign, magnitude = (bits >> 8) & 0x80, bits & 0x7FFF
    keep = np.where(magnitude < _WIDE, 5, 4)  # bits that go of bf16's seven
    half = (1 << (keep - 1)) - 1 + ((magnitude >> keep) & 1)
    rounded = (magnitude + half) >> keep
    # the exponent counts from the format's own zero: (0x34 << 3) with two bits of mantissa, (0x38 << 4) with three
    codes = np.where(keep == 5, rounded - (0x34 << 3), rounded - (0x38 << 4))
    codes = np.where((keep == 5) & (codes == 0), 1, codes)  # 2^-23 has no code of its own
    codes = np.where((keep == 5) & (codes < 0), 0, codes)
    encoded: NDArray[np.uint8] = np.where(codes == 0, 0, codes | sign).astype(np.uint8)
    return encoded
