"""`.gguf`, llama.cpp's model file: typed metadata, a table of tensors, the data. Everything is little-endian.
docs/formats/gguf.md describes the format and what is checked.
"""

from __future__ import annotations

import math
import mmap
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..reading.view import MAX_VALUES, TensorView, fault, map_file
from .gguf_metadata import MAX_ENTRIES, Cursor, GgufMetadata, read_metadata
from .gguf_tokenizer import tokenizer_source
from .model_file import ModelFile

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MAX_ALIGNMENT = 1 << 16
MAX_TENSORS = 16384
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

_PART = re.compile(r"-(\d{5})-of-(\d{5})$")


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
    cursor = Cursor(view, path)
    num_tensors, num_entries = _read_counts(cursor)
    metadata = read_metadata(cursor, num_entries)
    alignment = _alignment(metadata)
    infos = [_read_info(cursor) for _ in range(num_tensors)]
    begin = -(-cursor.at // alignment) * alignment
    data = view[min(begin, len(view)) :]
    return GgufPart(path, metadata, _place(infos, data, alignment, path), mapped, len(view))


def _read_counts(cursor: Cursor) -> tuple[int, int]:
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


def _read_info(cursor: Cursor) -> _Info:
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
