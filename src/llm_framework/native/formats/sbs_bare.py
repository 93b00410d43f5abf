"""`.sbs` files of the generation before 2025: tensors alone. Each key is a letter for the type and the tensor's name.

The shapes follow from a config: one that is given, a config.json beside the file, or that of the published model whose
layers and sizes these are. docs/formats/sbs.md says more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..architecture.hf import config_from_hf
from ..architecture.tensor_names import sbs_tensors
from ..reading.strict_json import read_object
from ..reading.view import TensorView, fault
from .sbs_container import NUM_BYTES

# The letter of a key -> our name of the type.
_BARE_TYPES = {"F": "f32", "B": "bf16", "$": "sfp", "2": "nuq", "I": "i8"}
_SCALES = "Fscales"
_SCALED = ("att_ein", "qkv_ein", "gating_ein", "linear_w")  # in this order within a layer
_LAYER = re.compile(r"linear_w_(\d+)")
_TOKENIZERS = ("tokenizer.spm", "tokenizer.model", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class _Published:
    """The sizes of a model whose makers published such files."""

    model_type: str
    layers: int
    model_dim: int
    ffn_dim: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    window: int = 0
    context: int = 8192
    query_scalar: int = 256
    rope_factor: float = 1.0

    def config(self) -> dict[str, Any]:
        """As a config.json says it."""
        raw: dict[str, Any] = {
            "model_type": self.model_type, "num_hidden_layers": self.layers, "hidden_size": self.model_dim,
            "intermediate_size": self.ffn_dim, "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads, "head_dim": self.head_dim, "vocab_size": self.vocab,
            "max_position_embeddings": self.context, "query_pre_attn_scalar": self.query_scalar,
        }  # fmt: skip
        if self.window:
            raw["sliding_window"] = self.window
        if self.rope_factor != 1:
            raw["rope_scaling"] = {"rope_type": "linear", "factor": self.rope_factor}
        return raw


_LONG = 131_072
_PUBLISHED = (
    _Published("gemma", 18, 2048, 16384, 8, 1, 256, 256_000),
    _Published("gemma", 28, 3072, 24576, 16, 16, 256, 256_000),
    _Published("gemma2", 26, 2304, 9216, 8, 4, 256, 256_000, 4096),
    _Published("gemma2", 42, 3584, 14336, 16, 8, 256, 256_000, 4096),
    _Published("gemma2", 46, 4608, 36864, 32, 16, 128, 256_000, 4096, query_scalar=144),
    _Published("gemma3_text", 18, 640, 2048, 4, 1, 256, 262_144, 512, 32768),
    _Published("gemma3_text", 26, 1152, 6912, 4, 1, 256, 262_144, 512, 32768),
    _Published("gemma3_text", 34, 2560, 10240, 8, 4, 256, 262_144, 1024, _LONG, rope_factor=8),
    _Published("gemma3_text", 48, 3840, 15360, 16, 8, 256, 262_144, 1024, _LONG, rope_factor=8),
    _Published("gemma3_text", 62, 5376, 21504, 32, 16, 128, 262_144, 1024, _LONG, 168, 8),
)


def is_bare(blobs: Mapping[str, memoryview]) -> bool:
    """Whether the blobs are those of a file without config and table."""
    if "config" in blobs or "toc" in blobs:
        return False
    return any(letter + "c_embedding" in blobs for letter in _BARE_TYPES)


def tokenizer_beside(path: Path) -> Path | None:
    """The tokenizer that lies beside a file which holds none: of its own name, or one of the usual names."""
    names = [f"{path.stem}.spm", *_TOKENIZERS]
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def read_bare(
    blobs: Mapping[str, memoryview], path: Path, config: Mapping[str, Any] | None
) -> tuple[Mapping[str, Any], dict[str, TensorView]]:
    """(the config as a config.json has it, the text model's tensors by name without the letter)."""
    found = _by_name(blobs, path)
    raw = config if config is not None else _config_beside(path) or _recognised(found, path)
    raw = _with_vocabulary(raw, found, config_from_hf(raw, path).model_dim)
    model = config_from_hf(raw, path)
    scales = _scales(blobs, model.num_layers, path)
    tensors: dict[str, TensorView] = {}
    for _, name, shape in sbs_tensors(model, found):
        if name not in found:
            continue  # said with the config's shape where the tensors are taken up
        kind, blob = found[name]
        if NUM_BYTES[kind](math.prod(shape)) != len(blob):
            what = f"the tensor {name} would be {kind} {shape[0]} x {shape[1]}, which is not its {len(blob)} bytes"
            raise fault(path, f"{what}; the config is another model's")
        tensors[name] = TensorView(name, kind, shape, blob, scales.get(name, 1.0))
    return raw, tensors


def _by_name(blobs: Mapping[str, memoryview], path: Path) -> dict[str, tuple[str, memoryview]]:
    found: dict[str, tuple[str, memoryview]] = {}
    for key, blob in blobs.items():
        kind, name = _BARE_TYPES.get(key[:1]), key[1:]
        if kind is None or key == _SCALES:
            continue
        if name in found:
            raise fault(path, f"the .sbs file has the tensor {name!r} in two types")
        found[name] = (kind, blob)
    return found


def _config_beside(path: Path) -> dict[str, Any] | None:
    beside = path.with_name("config.json")
    return read_object(beside, "model config") if beside.is_file() else None


def _recognised(found: Mapping[str, tuple[str, memoryview]], path: Path) -> dict[str, Any]:
    """The config of the published model whose number of layers and sizes these are."""
    layers = sum(1 for name in found if _LAYER.fullmatch(name))
    for known in _PUBLISHED:
        shapes = {
            "linear_w_0": known.model_dim * known.ffn_dim,
            "pre_att_ns_0": known.model_dim,
            "att_ein_0": known.model_dim * known.heads * known.head_dim,
        }
        if layers == known.layers and all(_is_of(found.get(name), count) for name, count in shapes.items()):
            return known.config()
    message = (
        f"this .sbs file is of the generation before 2025, which holds no config, and its {layers} layers are no "
        "published model's: pass config= (a config.json), or put that beside the file"
    )
    raise fault(path, message)


def _is_of(tensor: tuple[str, memoryview] | None, count: int) -> bool:
    return tensor is not None and NUM_BYTES[tensor[0]](count) == len(tensor[1])


def _with_vocabulary(
    raw: Mapping[str, Any], found: Mapping[str, tuple[str, memoryview]], model_dim: int
) -> Mapping[str, Any]:
    """The config with the embedding's own number of rows: some files have a few more than the model's config."""
    kind, blob = found["c_embedding"]
    per_value = {"f32": 4, "bf16": 2, "sfp": 1}.get(kind)
    if per_value is None or len(blob) % (per_value * model_dim):
        return raw
    rows = {"vocab_size": len(blob) // (per_value * model_dim)}
    text = raw.get("text_config")
    return {**raw, "text_config": {**text, **rows}} if isinstance(text, dict) else {**raw, **rows}


def _scales(blobs: Mapping[str, memoryview], layers: int, path: Path) -> dict[str, float]:
    """The scales by tensor; a file without them has none."""
    blob = blobs.get(_SCALES)
    if blob is None:
        return {}
    names = [f"{base}_{layer}" for layer in range(layers) for base in _SCALED]
    if len(blob) % 4 or len(blob) < 4 * len(names):
        raise fault(path, f"the .sbs blob {_SCALES} has {len(blob)} bytes; {len(names)} scales are needed")
    values = blob[: 4 * len(names)].cast("f").tolist()
    if not all(math.isfinite(value) for value in values):
        raise fault(path, f"the .sbs blob {_SCALES} has a scale that is no number")
    return dict(zip(names, values, strict=True))
