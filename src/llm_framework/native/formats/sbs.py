"""`.sbs`, gemma.cpp's weight file: named blobs and a directory of them; `config`, `tokenizer` and `toc` (the table of
tensors) are blobs too. Everything is little-endian. docs/formats/sbs.md describes the format and what is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..reading.view import TensorView, fault, map_file
from .model_file import ModelFile
from .sbs_bare import is_bare, read_bare, tokenizer_beside
from .sbs_container import ELEMENT_BYTES, NUM_BYTES, TYPE_CODES, read_blobs
from .sbs_record import Record, SbsConfig, read_sbs_config, words_of

NO_TOKENIZER = b"unavailable"

_TYPES = {code: kind for kind, code in TYPE_CODES.items()}


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


# ------------------------------------------------------------------------------------------------------------ tensors
def _read_toc(blobs: Mapping[str, memoryview], path: Path) -> dict[str, TensorView]:
    words = words_of(blobs["toc"], path, "toc")
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
