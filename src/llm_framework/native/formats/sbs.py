"""`.sbs`, gemma.cpp's weight file: named blobs and a directory of them; `config`, `tokenizer` and `toc` (the table of
tensors) are blobs too. Everything is little-endian. docs/formats/sbs.md describes the format and what is checked.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .model_file import ModelFile
from .sbs_bare import is_bare, read_bare, tokenizer_beside
from .view import TensorView, fault, map_file

MAGIC = b"SBS\n"
HEADER = struct.Struct("<4sIQ")  # magic, number of blobs, size of the file
ALIGNMENT = 256
MAX_BLOBS = 16384
MAX_STRING_WORDS = 64
MAX_ITEMS = 65536
NO_TOKENIZER = b"unavailable"

# The bytes of a tensor of so many values, by type; "nuq" and "i8" have side tables.
NUM_BYTES: dict[str, Callable[[int], int]] = {
    "f32": lambda count: 4 * count,
    "bf16": lambda count: 2 * count,
    "sfp": lambda count: count,
    "nuq": lambda count: 16 * -(-count // 256) + -(-count // 2),
    "i8": lambda count: 4 * -(-count // 128) + count,
}
TYPE_CODES = {"f32": 1, "bf16": 2, "sfp": 3, "nuq": 4, "i8": 8}
_TYPES = {code: kind for kind, code in TYPE_CODES.items()}
ELEMENT_BYTES = {1: 4, 2: 2, 3: 1, 4: 1, 8: 1}


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


def open_sbs(path: Path, config: Mapping[str, Any] | None = None) -> ModelFile:
    """The model in an .sbs file. `config`, where given, is a config.json's content that replaces the file's own."""
    mapped, view = map_file(path)
    blobs = read_blobs(view, path)
    own_config: SbsConfig | None = None
    if is_bare(blobs):
        config, tensors = read_bare(blobs, path, config)
    else:
        _require_metadata(blobs, path)
        tensors = _read_toc(blobs, path)
        own_config = read_sbs_config(blobs["config"], path) if config is None else None
    tokenizer = bytes(blobs["tokenizer"]) if "tokenizer" in blobs else b""
    return ModelFile(
        path=path,
        format="sbs",
        tensors=tensors,
        num_bytes=len(view),
        hf_config=config,
        sbs_config=own_config,
        tokenizer=tokenizer_beside(path) if tokenizer in (b"", NO_TOKENIZER) else tokenizer,
        files=(path,),
        maps=[] if mapped is None else [mapped],
    )


def _require_metadata(blobs: Mapping[str, memoryview], path: Path) -> None:
    missing = [name for name in ("config", "toc") if name not in blobs]
    if missing:
        raise fault(path, f"the .sbs file has no blob {' and no blob '.join(missing)}")


# ---------------------------------------------------------------------------------------------------------- container
def read_blobs(view: memoryview, path: Path) -> dict[str, memoryview]:
    """The blobs of either container version by key, in the directory's order, each checked to lie in the file."""
    if len(view) < ALIGNMENT:
        raise fault(path, f"an .sbs file has at least {ALIGNMENT} bytes; this one has {len(view)}: it is cut short")
    num_blobs, directory, first = _find_directory(view, path)
    keys = view[directory : directory + 16 * num_blobs]
    ranges = struct.iter_unpack("<QQ", view[directory + 16 * num_blobs : directory + 32 * num_blobs])
    last = len(view) if directory == HEADER.size else directory  # V2's data end where its directory begins
    blobs: dict[str, memoryview] = {}
    reached = first
    for index, (offset, size) in enumerate(ranges):
        key = _key(bytes(keys[16 * index : 16 * index + 16]), path)
        if key in blobs:
            raise fault(path, f"the .sbs directory has the key {key!r} twice")
        if size == 0 or offset % ALIGNMENT or offset < reached:
            raise fault(path, f"the .sbs blob {key!r} is empty, misaligned or overlaps what is before it")
        if size > last or offset > last - size:
            raise fault(path, f"the .sbs blob {key!r} ends behind the file's data: the file is cut short or broken")
        blobs[key] = view[offset : offset + size]
        reached = offset + size
    return blobs


def _find_directory(view: memoryview, path: Path) -> tuple[int, int, int]:
    """(number of blobs, offset of the directory, offset of the first blob)."""
    num_blobs = _read_header(view, 0, path)
    if num_blobs:  # V1: header and directory first
        return num_blobs, HEADER.size, _round_up(HEADER.size + 32 * num_blobs)
    num_blobs = _read_header(view, len(view) - HEADER.size, path)  # V2: directory and header last
    directory = len(view) - HEADER.size - 32 * num_blobs
    if num_blobs == 0 or directory < ALIGNMENT:
        raise fault(path, f"the .sbs file has {num_blobs} blobs, whose directory does not fit in it")
    return num_blobs, directory, ALIGNMENT


def _read_header(view: memoryview, offset: int, path: Path) -> int:
    magic, num_blobs, file_bytes = HEADER.unpack_from(view, offset)
    if magic != MAGIC:
        raise fault(path, "the .sbs file does not end with its header: it is cut short or broken")
    if num_blobs > MAX_BLOBS or HEADER.size + 32 * num_blobs > len(view):
        raise fault(path, f"the .sbs header claims {num_blobs} blobs, more than fit")
    is_dummy = offset == 0 and num_blobs == 0
    if not is_dummy and file_bytes != len(view):
        raise fault(path, f"the .sbs header says {file_bytes} bytes, the file has {len(view)}: cut short or broken")
    return int(num_blobs)


def _round_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _key(raw: bytes, path: Path) -> str:
    key = raw.rstrip(b"\0")
    if not key or not all(0x21 <= byte <= 0x7E for byte in key):
        raise fault(path, f"the .sbs directory has the key {raw!r}, which is no name")
    return key.decode("ascii")


# ------------------------------------------------------------------------------------------------------ field records
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


def _words(blob: bytes | memoryview, path: Path, what: str) -> memoryview[int]:
    """The blob's u32 words where they lie: a blob may be large, and a list of numbers takes nine times as much."""
    if len(blob) % 4 or len(blob) > 16 << 20:
        raise fault(path, f"the .sbs blob {what!r} has {len(blob)} bytes, which is no believable number of words")
    return memoryview(blob).cast("I")


def read_sbs_config(blob: bytes | memoryview, path: Path) -> SbsConfig:
    """The model's configuration from its record."""
    record = Record(_words(blob, path, "config"), 0, path, "config")
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


# ------------------------------------------------------------------------------------------------------------ tensors
def _read_toc(blobs: Mapping[str, memoryview], path: Path) -> dict[str, TensorView]:
    words = _words(blobs["toc"], path, "toc")
    tensors: dict[str, TensorView] = {}
    start = 0
    while start < len(words):
        record = Record(words, start, path, "tensor")
        view = _read_tensor(record, blobs, path)
        if view.name in tensors:
            raise fault(path, f"the .sbs table lists the tensor {view.name!r} twice")
        tensors[view.name] = view
        start = record.end
    return tensors


def _read_tensor(record: Record, blobs: Mapping[str, memoryview], path: Path) -> TensorView:
    name, code, element_bytes, num_elements = record.string(), record.u32(), record.u32(), record.u32()
    rows, cols, scale = record.u32(), record.u32(), record.f32(1.0)
    if name not in blobs or name in ("config", "tokenizer", "toc"):
        raise fault(path, f"the .sbs table lists the tensor {name[:80]!r}, and there is no such blob")
    if code not in _TYPES:
        raise fault(path, f"the tensor {name} has the type {code}, which is unknown or not supported")
    kind, size = _TYPES[code], len(blobs[name])
    if (
        element_bytes != ELEMENT_BYTES[code]
        or NUM_BYTES[kind](rows * cols) != size
        or num_elements * element_bytes != size
    ):
        raise fault(path, f"the tensor {name} is {kind} {rows} x {cols}, which is not the {size} bytes of its blob")
    return TensorView(name, kind, (rows, cols), blobs[name], scale)
