"""`.gguf`, llama.cpp's model file: typed metadata, a table of tensors, the data. Everything is little-endian.

docs/formats/gguf.md describes the format and what is checked. Metadata stay in the map until they are asked for: a
vocabulary of 262,144 strings is walked over (each length must fit), not built.
"""

from __future__ import annotations

import math
import mmap
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .model_file import ModelFile
from .view import MAX_VALUES, TensorView, fault, map_file

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MAX_ALIGNMENT = 1 << 16
MAX_ENTRIES = 4096  # of metadata; real files have some 40
MAX_STRINGS = 1 << 22  # in all arrays together; a vocabulary with its merges has below a million
MAX_TENSORS = 16384
MAX_NAME_BYTES = 256
MAX_TEXT_BYTES = 4 << 20  # of one string that is decoded
MAX_RANK = 4
MAX_PARTS = 1024

# The file's code of a tensor type -> (our name, values a block, bytes a block). Lower-case names are the engine's;
# what it does not compute with keeps the file's own name.
GGML_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("f32", 1, 4), 1: ("f16", 1, 2), 2: ("q4_0", 32, 18), 3: ("q4_1", 32, 20), 6: ("q5_0", 32, 22),
    7: ("q5_1", 32, 24), 8: ("q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("q4_k", 256, 144), 13: ("q5_k", 256, 176), 14: ("q6_k", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("bf16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
}  # fmt: skip

_STRING, _ARRAY = 8, 9
_BOOL = 7
# The code of a metadata value's type -> its struct format.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_SIZES = {code: struct.calcsize("<" + form) for code, form in _SCALARS.items()}
_FLOATS = (6, 12)

_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_PART = re.compile(r"-(\d{5})-of-(\d{5})$")


@dataclass(frozen=True, slots=True)
class GgufArray:
    """An array of the metadata where it lies: `count` items in `data`, strings with their lengths before them."""

    key: str
    code: int
    count: int
    data: memoryview
    path: Path

    def strings(self) -> Iterator[bytes]:
        """The items, one after the other. Raises `ModelLoadError` where they are no strings."""
        if self.code != _STRING:
            raise fault(self.path, f"the metadata's {self.key} is not an array of strings")
        view, at, length_at = self.data, 0, _U64.unpack_from
        for _ in range(self.count):
            begin = at + 8
            at = begin + length_at(view, at)[0]
            yield bytes(view[begin:at])

    def numbers(self) -> tuple[int | float, ...]:
        """The items. Raises `ModelLoadError` where they are no numbers."""
        if self.code == _STRING:
            raise fault(self.path, f"the metadata's {self.key} is not an array of numbers")
        return struct.unpack(f"<{self.count}{_SCALARS[self.code]}", self.data)


@dataclass(frozen=True, slots=True)
class _Entry:
    code: int
    begin: int
    end: int
    item_code: int = -1
    count: int = 0


class GgufMetadata:
    """The metadata of a file by key, each decoded when it is asked for; a wrong type is a `ModelLoadError`."""

    def __init__(self, entries: Mapping[str, _Entry], view: memoryview, path: Path) -> None:
        self._entries, self._view, self.path = entries, view, path

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def text(self, key: str) -> str | None:
        """A string, or None where the key is not there."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.code != _STRING:
            raise self._wrong(key, "a string")
        if entry.end - entry.begin > MAX_TEXT_BYTES:
            raise self._wrong(key, f"a string of at most {MAX_TEXT_BYTES} bytes")
        try:
            return str(self._view[entry.begin : entry.end], "utf-8")
        except UnicodeDecodeError:
            raise self._wrong(key, "UTF-8 text") from None

    def integer(self, key: str) -> int | None:
        """A whole number, or None where the key is not there."""
        value = self._scalar(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise self._wrong(key, "a whole number")
        return value

    def number(self, key: str) -> float | None:
        """A finite number, or None where the key is not there."""
        value = self._scalar(key)
        if value is None:
            return None
        if isinstance(value, bool) or not math.isfinite(value):
            raise self._wrong(key, "a finite number")
        return float(value)

    def flag(self, key: str) -> bool | None:
        """True or false, or None where the key is not there."""
        value = self._scalar(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def is_array(self, key: str) -> bool:
        """Whether the key holds an array."""
        return key in self._entries and self._entries[key].code == _ARRAY

    def array(self, key: str) -> GgufArray | None:
        """An array, or None where the key is not there."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.code != _ARRAY:
            raise self._wrong(key, "an array")
        return GgufArray(key, entry.item_code, entry.count, self._view[entry.begin : entry.end], self.path)

    def _scalar(self, key: str) -> int | float | bool | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.code not in _SCALARS:
            raise self._wrong(key, "a single number")
        value: int | float = struct.unpack_from("<" + _SCALARS[entry.code], self._view, entry.begin)[0]
        return bool(value) if entry.code == _BOOL else value

    def _wrong(self, key: str, wanted: str) -> Exception:
        return fault(self.path, f"the metadata's {key} is not {wanted}")


@dataclass(frozen=True, slots=True)
class GgufPart:
    """One file, read and checked: its metadata, its tensors, the map they lie in, its size in bytes."""

    path: Path
    metadata: GgufMetadata
    tensors: dict[str, TensorView]
    mapped: mmap.mmap | None
    num_bytes: int


def open_gguf(path: Path, config: Mapping[str, Any] | None = None) -> ModelFile:
    """The model in a .gguf file, or in all parts of a split one, of which `path` is the first. `config`, where given,
    is a config.json's content that replaces the file's own."""
    from .gguf_tokenizer import tokenizer_source

    parts = [read_gguf(path)]
    parts += [read_gguf(other) for other in _other_parts(parts[0])]
    metadata = parts[0].metadata
    return ModelFile(
        path=path,
        format="gguf",
        tensors=_joined(parts),
        num_bytes=sum(part.num_bytes for part in parts),
        hf_config=config,
        gguf=metadata,
        generation_config=_sampling(metadata),
        tokenizer=tokenizer_source(metadata),
        chat_template=metadata.text("tokenizer.chat_template"),
        files=tuple(part.path for part in parts),
        maps=[part.mapped for part in parts if part.mapped is not None],
    )


_SAMPLING = {"temperature": "temp", "top_k": "top_k", "top_p": "top_p"}


def _sampling(metadata: GgufMetadata) -> dict[str, float]:
    """What the file recommends, under the names of generation_config.json."""
    found = {name: metadata.number(f"general.sampling.{key}") for name, key in _SAMPLING.items()}
    return {name: value for name, value in found.items() if value is not None}


# -------------------------------------------------------------------------------------------------------- split files
def _other_parts(first: GgufPart) -> list[Path]:
    """The paths of the parts after the first, all of which must be there."""
    count = first.metadata.integer("split.count") or 1
    if count == 1:
        return []
    match = _PART.search(first.path.stem)
    if not 0 < count <= MAX_PARTS or match is None or int(match[2]) != count:
        what = (
            f"is part of a model in {count} files, whose names end with -00001-of-{count:05}.gguf; this one's does not"
        )
        raise fault(first.path, f"the file {what}")
    stem = first.path.stem[: match.start()]
    paths = [
        first.path.with_name(f"{stem}-{number:05}-of-{count:05}{first.path.suffix}") for number in range(1, count + 1)
    ]
    if int(match[1]) != 1 or first.metadata.integer("split.no"):
        raise fault(first.path, f"this is a later part of a model in {count} files; open the first, {paths[0].name}")
    return paths[1:]


def _joined(parts: list[GgufPart]) -> dict[str, TensorView]:
    tensors = dict(parts[0].tensors)
    for number, part in enumerate(parts[1:], 1):
        if part.metadata.integer("split.no") != number or part.metadata.integer("split.count") != len(parts):
            raise fault(part.path, f"the file does not say that it is part {number + 1} of {len(parts)}")
        twice = next((name for name in part.tensors if name in tensors), None)
        if twice is not None:
            raise fault(part.path, f"the tensor {twice!r} also stands in another part of this model")
        tensors.update(part.tensors)
    promised = parts[0].metadata.integer("split.tensors.count")
    if len(parts) > 1 and promised not in (None, len(tensors)):
        raise fault(parts[0].path, f"the parts hold {len(tensors)} tensors, and {promised} are promised")
    return tensors


# ----------------------------------------------------------------------------------------------------------- one file
def read_gguf(path: Path) -> GgufPart:
    """The metadata and tensors of one file. Every invariant is checked here; raises `ModelLoadError`."""
    mapped, view = map_file(path)
    cursor = _Cursor(view, path)
    num_tensors, num_entries = _read_counts(cursor)
    metadata = GgufMetadata(_read_entries(cursor, num_entries), view, path)
    alignment = _alignment(metadata)
    infos = [_read_info(cursor) for _ in range(num_tensors)]
    begin = -(-cursor.at // alignment) * alignment
    data = view[min(begin, len(view)) :]
    return GgufPart(path, metadata, _place(infos, data, alignment, path), mapped, len(view))


class _Cursor:
    """Reads a header from front to back and never past the file's end."""

    def __init__(self, view: memoryview, path: Path) -> None:
        self.view, self.path, self.at = view, path, 0

    @property
    def left(self) -> int:
        return len(self.view) - self.at

    def u32(self) -> int:
        value: int = _U32.unpack_from(self.view, self._advance(4))[0]
        return value

    def u64(self) -> int:
        value: int = _U64.unpack_from(self.view, self._advance(8))[0]
        return value

    def skip(self, size: int) -> None:
        self._advance(size)

    def name(self, what: str) -> str:
        size = self.u64()
        if not 0 < size <= MAX_NAME_BYTES:
            raise fault(self.path, f"the GGUF header has {what} of {size} bytes; 1 to {MAX_NAME_BYTES} are possible")
        begin = self._advance(size)
        try:
            name = str(self.view[begin : self.at], "utf-8")
        except UnicodeDecodeError:
            raise fault(self.path, f"the GGUF header has {what} that is not UTF-8 text") from None
        if not name.isprintable():
            raise fault(self.path, f"the GGUF header has {what} that is not printable")
        return name

    def skip_strings(self, count: int, key: str) -> None:
        """Walk over an array of strings; nothing is built for them."""
        view, at, length_at, end = self.view, self.at, _U64.unpack_from, len(self.view)
        try:
            for _ in range(count):
                at += 8 + length_at(view, at)[0]
        except (struct.error, OverflowError, IndexError):
            at = end + 1
        if at > end:
            raise fault(self.path, f"a string of the metadata's {key} ends behind the file: it is cut short or broken")
        self.at = at

    def _advance(self, size: int) -> int:
        if size > self.left:
            raise fault(self.path, "the file ends within its GGUF header: it is cut short or broken")
        begin = self.at
        self.at += size
        return begin


def _read_counts(cursor: _Cursor) -> tuple[int, int]:
    """(number of tensors, number of metadata entries)."""
    if bytes(cursor.view[:4]) != MAGIC:
        raise fault(cursor.path, "this is no GGUF file: it does not begin with GGUF")
    cursor.skip(4)
    version = cursor.u32()
    if version not in VERSIONS:
        swapped = int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS
        what = "is big-endian" if swapped else f"has GGUF version {version}"
        raise fault(cursor.path, f"the file {what}; supported are versions 2 and 3, little-endian")
    num_tensors, num_entries = cursor.u64(), cursor.u64()
    # an entry takes 13 bytes at least, a tensor's record 33
    if num_entries > MAX_ENTRIES or num_entries * 13 > cursor.left:
        raise fault(cursor.path, f"the GGUF header claims {num_entries} metadata entries, more than possible here")
    if num_tensors > MAX_TENSORS or num_tensors * 33 > cursor.left:
        raise fault(cursor.path, f"the GGUF header claims {num_tensors} tensors, more than possible here")
    return num_tensors, num_entries


def _read_entries(cursor: _Cursor, count: int) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    strings = 0
    for _ in range(count):
        key = cursor.name("a key")
        if key in entries:
            raise fault(cursor.path, f"the metadata have the key {key!r} twice")
        entry = _read_entry(cursor, key, MAX_STRINGS - strings)
        strings += entry.count if entry.item_code == _STRING else 0
        entries[key] = entry
    return entries


def _read_entry(cursor: _Cursor, key: str, strings_left: int) -> _Entry:
    code = cursor.u32()
    if code == _ARRAY:
        return _read_array(cursor, key, strings_left)
    if code == _STRING:
        size = cursor.u64()
    elif code in _SIZES:
        size = _SIZES[code]
    else:
        raise fault(cursor.path, f"the metadata's {key} has the unknown type {code}")
    begin = cursor.at
    cursor.skip(size)
    return _Entry(code, begin, cursor.at)


def _read_array(cursor: _Cursor, key: str, strings_left: int) -> _Entry:
    item_code, count = cursor.u32(), cursor.u64()
    begin = cursor.at
    if item_code == _STRING:
        if count > strings_left or count * 8 > cursor.left:
            raise fault(cursor.path, f"the metadata's {key} claims {count} strings, more than possible here")
        cursor.skip_strings(count, key)
    elif item_code in _SIZES:
        cursor.skip(count * _SIZES[item_code])
    else:
        raise fault(cursor.path, f"the metadata's {key} is an array of the unsupported type {item_code}")
    return _Entry(_ARRAY, begin, cursor.at, item_code, count)


def _alignment(metadata: GgufMetadata) -> int:
    alignment = metadata.integer("general.alignment")
    if alignment is None:
        return DEFAULT_ALIGNMENT
    if not 8 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise fault(metadata.path, f"the metadata's general.alignment is {alignment}, which cannot be")
    return alignment


# ------------------------------------------------------------------------------------------------------------ tensors
@dataclass(frozen=True, slots=True)
class _Info:
    name: str
    type: str
    shape: tuple[int, ...]
    size: int
    offset: int


def _read_info(cursor: _Cursor) -> _Info:
    """One tensor's record, its shape in row-major order (the file has the row's length first)."""
    name, path = cursor.name("a tensor name"), cursor.path
    rank = cursor.u32()
    if rank > MAX_RANK:
        raise fault(path, f"the tensor {name} has {rank} dimensions; at most {MAX_RANK} are possible")
    shape = tuple(cursor.u64() for _ in range(rank))[::-1]
    count = math.prod(shape)
    if not 0 < count <= MAX_VALUES or max(shape, default=1) > MAX_VALUES:
        raise fault(path, f"the tensor {name} has an empty or unbelievably large shape")
    code, offset = cursor.u32(), cursor.u64()
    if code not in GGML_TYPES:
        raise fault(path, f"the tensor {name} has the type {code}, which is unknown")
    kind, block, block_bytes = GGML_TYPES[code]
    if (shape[-1] if shape else 1) % block:
        raise fault(path, f"the tensor {name} is {kind} with rows of {shape[-1:]} values, no multiple of {block}")
    return _Info(name, kind, shape, count // block * block_bytes, offset)


def _place(infos: list[_Info], data: memoryview, alignment: int, path: Path) -> dict[str, TensorView]:
    """The tensors where they lie: aligned, inside the file, none over another; in the table's order."""
    reached = 0
    for info in sorted(infos, key=lambda info: info.offset):
        if info.offset % alignment or info.offset < reached:
            raise fault(path, f"the tensor {info.name} is misaligned or overlaps the one before it")
        if info.offset > len(data) or info.size > len(data) - info.offset:
            raise fault(path, f"the tensor {info.name} ends behind the file's data: the file is cut short or broken")
        reached = info.offset + info.size
    tensors = {
        info.name: TensorView(info.name, info.type, info.shape, data[info.offset : info.offset + info.size])
        for info in infos
    }
    if len(tensors) != len(infos):
        names = [info.name for info in infos]
        raise fault(path, f"the tensor {next(name for name in names if names.count(name) > 1)} stands there twice")
    return tensors
