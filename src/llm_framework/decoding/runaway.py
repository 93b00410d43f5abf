"""A guard against numbers and strings that never end: a small model can write the same digit or word until its tokens
run out. It looks at the text, so it works with every schema; what a schema demands comes first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from .shortest import JsonScan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.uint32]

_DIGITS = b"0123456789"


class RunawayGuard:
    """For one vocabulary: `words` are what its tokens stand for."""

    def __init__(self, words: Iterable[bytes]) -> None:
        words = list(words)
        digits = [len(word) - len(word.lstrip(_DIGITS)) if word[:1].isdigit() else 0 for word in words]
        self._num_digits = np.array(digits, dtype=np.uint16)
        self._longest = int(self._num_digits.max(initial=0))
        self._quotes = pack(np.array([word[:1] == b'"' for word in words], dtype=bool))
        single = {word: id for id, word in enumerate(words) if len(word) == 1}
        self._single_digits = [single[bytes([byte])] for byte in _DIGITS if bytes([byte]) in single]

    def narrowed(self, mask: Mask, scan: JsonScan, next_token: int | None) -> Mask:
        """`mask` without the tokens with which a number or string would run away. `scan` has read the text, and
        `next_token` leads to the answer's end."""
        if scan.in_string:
            return _or_else(mask & self._quotes, mask) if scan.repeats() else mask
        left = scan.digits_left
        if left >= self._longest or not self._is_free(mask):
            return mask
        fewer = mask & ~pack(self._num_digits > max(left, 0))
        if fewer.any() or left > -JsonScan.MAX_DIGITS or next_token is None:
            return _or_else(fewer, mask)
        forced = np.zeros_like(mask)  # what the schema demands does not come about by itself
        forced[next_token // 32] = np.uint32(1 << (next_token % 32))
        return _or_else(forced & mask, mask)

    def _is_free(self, mask: Mask) -> bool:
        """Whether any digit may come: in an enum or const not so, and there each one is asked for."""
        return len(self._single_digits) == 10 and all(mask[id // 32] >> (id % 32) & 1 for id in self._single_digits)


def pack(allowed: NDArray[np.bool_]) -> Mask:
    """A mask from a truth value for each token."""
    padded = np.zeros((len(allowed) + 31) // 32 * 32, dtype=bool)
    padded[: len(allowed)] = allowed
    return np.packbits(padded, bitorder="little").view(np.uint32)


def _or_else(mask: Mask, other: Mask) -> Mask:
    return mask if mask.any() else other
