"""Records in a .sbs file: u32 words, field by field; the `config` blob is one of nested ones."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..reading.view import fault

MAX_STRING_WORDS = 64
MAX_ITEMS = 65536


@dataclass(frozen=True, slots=True)
class SbsLayer:
    """The sizes and kinds of one layer, as its record gives them."""

    model_dim: int
    ffn_dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    ffn_biases: bool
    post_norm: bool
    type: int
    activation: int
    post_qk: int
    qk_norm: bool


@dataclass(frozen=True, slots=True)
class SbsConfig:
    """The `config` blob. `model` and `wrapping` are the file's codes; `query_scale` 0 is 1/sqrt(head size), 1 is
    1/sqrt(model_dim / heads); a layer is global where its window equals `max_seq_len`."""

    display_name: str
    model: int
    wrapping: int
    num_layers: int
    model_dim: int
    vocab_size: int
    max_seq_len: int
    attention_softcap: float
    final_softcap: float
    absolute_pe: bool
    query_scale: int
    layers: tuple[SbsLayer, ...]
    attention_window_sizes: tuple[int, ...]
    eos_ids: tuple[int, ...]


T = TypeVar("T")


class Record:
    """A cursor over the u32 words of one record: fields in fixed order, without names. A record that ends early leaves
    the remaining fields at their defaults; what it has more than we know is skipped."""

    def __init__(self, words: Sequence[int], start: int, path: Path, what: str) -> None:
        self._words, self._path, self._what = words, path, what
        if start >= len(words):
            raise self._fault("has no room for its length")
        self.end = start + 1 + words[start]  # where the next record begins
        self._at = start + 1
        if self.end > len(words):
            raise self._fault(f"claims {words[start]} words, and {len(words) - start - 1} are left")

    def u32(self, default: int = 0) -> int:
        return default if self._at >= self.end else self._take()

    def i32(self, default: int = 0) -> int:
        value = self.u32(default & 0xFFFFFFFF)
        return value - (1 << 32) if value >> 31 else value

    def bool(self, default: bool = False) -> bool:
        value = self.u32(int(default))
        if value > 1:
            raise self._fault(f"has {value} where true or false belongs")
        return value == 1

    def f32(self, default: float = 0.0) -> float:
        if self._at >= self.end:
            return default
        value: float = struct.unpack("<f", struct.pack("<I", self._take()))[0]
        if not math.isfinite(value):
            raise self._fault(f"has the number {value}")
        return value

    def string(self) -> str:
        count = self.u32()
        if count > MAX_STRING_WORDS:
            raise self._fault(f"has a string of {count} words")
        raw = b"".join(struct.pack("<I", self._take()) for _ in range(count)).rstrip(b"\0")
        if not raw.isascii() or b"\0" in raw:
            raise self._fault("has a string that is not ASCII")
        return raw.decode("ascii")

    def items(self, read: Callable[[Record], T]) -> tuple[T, ...]:
        """A vector; `read` reads one item from this record."""
        count = self.u32()
        if count > MAX_ITEMS or count > self.end - self._at:  # every item is a word at least
            raise self._fault(f"has a list of {count} items, more than fit")
        return tuple(read(self) for _ in range(count))

    def nested(self, what: str) -> Record:
        inner = Record(self._words[: self.end], self._at, self._path, what)
        self._at = inner.end
        return inner

    def _take(self) -> int:
        if self._at >= self.end:
            raise self._fault("ends within a field")
        self._at += 1
        return self._words[self._at - 1]

    def _fault(self, what: str) -> Exception:
        return fault(self._path, f"the .sbs {self._what} record {what}")


def words_of(blob: bytes | memoryview, path: Path, what: str) -> memoryview[int]:
    """The blob's u32 words where they lie: a blob may be large, and a list of numbers takes nine times as much."""
    if len(blob) % 4 or len(blob) > 16 << 20:
        raise fault(path, f"the .sbs blob {what!r} has {len(blob)} bytes, which is no believable number of words")
    return memoryview(blob).cast("I")


def read_sbs_config(blob: bytes | memoryview, path: Path) -> SbsConfig:
    """The model's configuration from its record."""
    record = Record(words_of(blob, path, "config"), 0, path, "config")
    record.u32()  # family version: not informative
    display_name, model, wrapping = record.string(), record.u32(), record.u32()
    record.u32()  # weight type: the table of tensors says it for each
    num_layers, model_dim, vocab_size, max_seq_len = (record.u32() for _ in range(4))
    record.u32()
    attention_softcap, final_softcap, absolute_pe = record.f32(), record.f32(), record.bool()
    record.u32()
    query_scale = record.u32()
    layers = record.items(_read_layer)
    windows = record.items(Record.u32)
    record.u32()
    record.nested("vit config")  # the vision tower: its tensors are left alone
    record.u32()
    return SbsConfig(
        display_name=display_name,
        model=model,
        wrapping=wrapping,
        num_layers=num_layers,
        model_dim=model_dim,
        vocab_size=vocab_size,
        max_seq_len=max_seq_len,
        attention_softcap=attention_softcap,
        final_softcap=final_softcap,
        absolute_pe=absolute_pe,
        query_scale=query_scale,
        layers=layers,
        attention_window_sizes=windows,
        eos_ids=(record.i32(1), record.i32(107)),
    )


def _read_layer(config: Record) -> SbsLayer:
    record = config.nested("layer")
    model_dim = record.u32()
    record.u32()
    ffn_dim, num_heads, num_kv_heads, head_dim = (record.u32() for _ in range(4))
    record.u32()
    ffn_biases = record.bool()
    record.u32()
    record.u32()  # optimized gating: about the checkpoint it was converted from
    return SbsLayer(
        model_dim, ffn_dim, num_heads, num_kv_heads, head_dim, ffn_biases,
        post_norm=record.u32() == 1,
        type=record.u32(),
        activation=record.u32(),
        post_qk=record.u32(),
        qk_norm=record.bool(),
    )  # fmt: skip
