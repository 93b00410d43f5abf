"""Hugging Face folders: config.json, a tokenizer, and weights in one or several .safetensors files.

A .safetensors file is a u64 (little-endian) header length, a JSON header {name: {dtype, shape, data_offsets}}, then
the tensors' bytes, back to back. docs/formats/safetensors.md says what is checked.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..reading.strict_json import parse_object, read_object
from ..reading.view import MAX_RANK, MAX_TENSORS, MAX_VALUES, TensorView, fault, map_file, read_bytes
from .model_file import ModelFile

MAX_HEADER_BYTES = 4 << 20  # a Gemma has some thousand tensors of about 130 bytes each here
MAX_SHARDS = 1024

# dtype -> (our name, bits a value). The engine computes with the first three.
DTYPES = {
    "F32": ("f32", 32), "F16": ("f16", 16), "BF16": ("bf16", 16),
    "F64": ("F64", 64), "I64": ("I64", 64), "U64": ("U64", 64), "I32": ("I32", 32), "U32": ("U32", 32),
    "I16": ("I16", 16), "U16": ("U16", 16), "I8": ("I8", 8), "U8": ("U8", 8), "BOOL": ("BOOL", 8),
    "F8_E4M3": ("F8_E4M3", 8), "F8_E5M2": ("F8_E5M2", 8), "F8_E8M0": ("F8_E8M0", 8), "C64": ("C64", 64),
}  # fmt: skip


def open_folder(folder: Path, config: Mapping[str, Any] | None = None, weights: Path | None = None) -> ModelFile:
    """The model in a Hugging Face folder; `config` stands in for config.json, `weights` for the search for weights."""
    if config is None:
        config = _read_config(folder)
    tensors, num_bytes, maps = _open_weights(folder, weights)
    generation = folder / "generation_config.json"
    return ModelFile(
        path=weights or folder,
        format="safetensors",
        tensors=tensors,
        num_bytes=num_bytes,
        hf_config=config,
        generation_config=read_object(generation, "generation config") if generation.exists() else {},
        tokenizer=_find_tokenizer(folder),
        chat_template=_find_chat_template(folder),
        files=tuple(sorted(folder.glob("*.safetensors"))) if weights is None else (weights,),
        maps=maps,
    )


def read_file(path: Path) -> tuple[dict[str, TensorView], mmap.mmap | None]:
    """The tensors of one .safetensors file, by name, and the map they lie in. Every invariant is checked here."""
    mapped, view = map_file(path)
    if len(view) < 8:
        raise fault(path, f"a safetensors file begins with 8 bytes of header length; this one has {len(view)} in all")
    length = int.from_bytes(view[:8], "little")
    if length > MAX_HEADER_BYTES or length > len(view) - 8:
        limit = min(MAX_HEADER_BYTES, len(view) - 8)
        raise fault(path, f"the safetensors header claims {length} bytes, and at most {limit} are possible here")
    header = parse_object(bytes(view[8 : 8 + length]), path, "safetensors header")
    header.pop("__metadata__", None)
    if len(header) > MAX_TENSORS:
        raise fault(path, f"the safetensors header lists {len(header)} tensors, more than {MAX_TENSORS}")
    data = view[8 + length :]
    spans = {name: _read_entry(name, entry, path) for name, entry in header.items()}
    _check_layout(spans, len(data), path)
    return {name: TensorView(name, dtype, shape, data[a:b]) for name, (dtype, shape, a, b) in spans.items()}, mapped


_Span = tuple[str, tuple[int, ...], int, int]


def _read_entry(name: str, entry: Any, path: Path) -> _Span:
    """One tensor's (type, shape, begin, end), checked against each other."""
    where = f"the tensor {name[:80]!r}"
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise fault(path, f"{where} lacks dtype, shape or data_offsets in the safetensors header")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise fault(path, f"{where} has the unknown dtype {str(dtype)[:40]!r}")
    if not _are_sizes(shape) or len(shape) > MAX_RANK:
        raise fault(path, f"{where} has a shape that is not a list of at most {MAX_RANK} sizes")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise fault(path, f"{where} has data_offsets that are not a begin and an end")
    kind, bits = DTYPES[dtype]
    count = math.prod(shape)
    if max(shape, default=0) > MAX_VALUES or count > MAX_VALUES:
        raise fault(path, f"{where} has an unbelievably large shape")
    begin, end = offsets
    if (end - begin) * 8 != count * bits:
        raise fault(path, f"{where} is {dtype} {shape}, which is {count * bits // 8} bytes, but has {end - begin}")
    return kind, tuple(shape), begin, end


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)


def _check_layout(spans: Mapping[str, _Span], size: int, path: Path) -> None:
    """The tensors must cover the data exactly: in the file, back to back, no overlap, nothing hidden between them."""
    reached = 0
    for name, (_, _, begin, end) in sorted(spans.items(), key=lambda item: (item[1][2], item[1][3])):
        if end > size:
            raise fault(path, f"the tensor {name[:80]!r} ends at byte {end} of {size}: the file is cut short or broken")
        if begin != reached:
            what = "overlaps the one before it" if begin < reached else "leaves a gap before it"
            raise fault(path, f"the tensor {name[:80]!r} begins at byte {begin} of the data and {what}")
        reached = end
    if reached != size:
        raise fault(path, f"the file holds {size - reached} bytes behind its last tensor")


# ---------------------------------------------------------------------------------------------------------- folders
def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.exists():
        raise fault(folder, "this folder has no config.json, so it is no Hugging Face model (pass config= for it)")
    return read_object(path, "model config")


def _open_weights(folder: Path, weights: Path | None) -> tuple[dict[str, TensorView], int, list[mmap.mmap]]:
    files, weight_map = ([weights], None) if weights else _find_weights(folder)
    tensors: dict[str, TensorView] = {}
    maps: list[mmap.mmap] = []
    num_bytes = 0
    for file in files:
        found, mapped = read_file(file)
        maps += [mapped] if mapped is not None else []
        num_bytes += file.stat().st_size
        twice = next((name for name in found if name in tensors), None)
        if twice is not None:
            raise fault(file, f"the tensor {twice[:80]!r} also stands in another file of this model")
        tensors.update(found)
        _check_promised(file, found, weight_map)
    return tensors, num_bytes, maps


def _find_weights(folder: Path) -> tuple[list[Path], dict[str, str] | None]:
    """The folder's weight files, and which tensor the index promises in which (None without an index)."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.exists():
        return [single], None
    if index.exists():
        weight_map = _read_index(index)
        return [folder / name for name in sorted(set(weight_map.values()))], weight_map
    found = sorted(folder.glob("*.safetensors"))
    if len(found) == 1:
        return found, None
    if found:
        raise fault(folder, f"{len(found)} .safetensors files, but no model.safetensors.index.json to join them")
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
        raise fault(folder, "the weights are pickled (.bin, .pt), which can run code: convert them to .safetensors")
    raise fault(folder, "this folder has no .safetensors weights")


def _read_index(path: Path) -> dict[str, str]:
    weight_map = read_object(path, "weight index", MAX_HEADER_BYTES).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise fault(path, "the index has no weight_map")
    for name in weight_map.values():
        if not _is_plain_name(name):
            raise fault(path, f"the index names {str(name)[:80]!r}, which is no plain .safetensors name in its folder")
    if len(set(weight_map.values())) > MAX_SHARDS:
        raise fault(path, f"the index names more than {MAX_SHARDS} files")
    return weight_map


def _is_plain_name(name: Any) -> bool:
    """Whether a file name from inside an index stays in its folder. (The file itself may be a symlink: in Hugging
    Face's cache all are. That one is the disk owner's; a path in the index is a stranger's.)"""
    if not isinstance(name, str) or not name.endswith(".safetensors"):
        return False
    return not name.startswith(".") and not any(character in name for character in "/\\:\0")


def _check_promised(file: Path, found: Mapping[str, TensorView], weight_map: Mapping[str, str] | None) -> None:
    for name, holder in (weight_map or {}).items():
        if holder == file.name and name not in found:
            raise fault(file, f"the index promises the tensor {name[:80]!r} in this file, and it is not there")


def _find_tokenizer(folder: Path) -> Path | None:
    names = ("tokenizer.json", "tokenizer.model")
    return next((folder / name for name in names if (folder / name).exists()), None)


def _find_chat_template(folder: Path) -> str | None:
    """The Jinja source: chat_template.jinja, else chat_template.json, else the tokenizer_config.json's."""
    jinja = folder / "chat_template.jinja"
    if jinja.exists():
        try:
            return read_bytes(jinja, 1 << 20, "chat template").decode("utf-8")
        except UnicodeDecodeError:
            raise fault(jinja, "the chat template is not UTF-8 text") from None
    for name in ("chat_template.json", "tokenizer_config.json"):
        path = folder / name
        template = read_object(path, "tokenizer config").get("chat_template") if path.exists() else None
        if isinstance(template, list):  # several, by name
            named = {item.get("name"): item.get("template") for item in template if isinstance(item, dict)}
            template = named.get("default")
        if isinstance(template, str):
            return template
    return None
