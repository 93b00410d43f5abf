"""From a GGUF file's metadata to `ModelConfig`, as llama.cpp reads them; a table row a family."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .architecture.config import MAX_LAYERS, Family, ModelConfig
from .formats.gguf_metadata import GgufMetadata
from .reading.json_fields import MAX_SIZE
from .reading.view import TensorView, fault

_EMBEDDING, _HEAD = "token_embd.weight", "output.weight"


@dataclass(frozen=True, slots=True)
class _GgufFamily:
    """What llama.cpp knows of an architecture beside its metadata, and takes where they say nothing."""

    family: Family
    pattern: int = 1  # every pattern-th layer is global
    window: int = 0
    softcaps: tuple[float, float] = (0.0, 0.0)  # of attention and of the final logits
    base: float = 10_000.0
    local_base: float | None = None  # of sliding layers, which then are not scaled; None: as the global ones
    per_head_scale: int = 0  # the number of layers (27B's) at which queries are scaled by 1/sqrt(width / heads)
    qk_norm: bool = False
    post_norms: bool = True


_FAMILIES = {
    "gemma": _GgufFamily("gemma1", post_norms=False),
    "gemma2": _GgufFamily("gemma2", pattern=2, window=4096, softcaps=(50.0, 30.0), per_head_scale=46),
    "gemma3": _GgufFamily("gemma3", pattern=6, base=1e6, local_base=10_000.0, per_head_scale=62, qk_norm=True),
}
SUPPORTED = "gemma, gemma2 and gemma3"


def config_from_gguf(metadata: GgufMetadata, tensors: Mapping[str, TensorView]) -> ModelConfig:
    """The configuration; the vocabulary's size is the embedding's. Raises `ModelLoadError`."""
    fields = _Fields(metadata)
    family = _FAMILIES[fields.architecture]
    layers = fields.size("block_count")
    if not 0 < layers <= MAX_LAYERS:
        raise fault(metadata.path, f"the metadata give {layers} layers; 1 to {MAX_LAYERS} are possible")
    model_dim, num_heads = fields.size("embedding_length"), fields.size("attention.head_count")
    if not model_dim or not num_heads:
        raise fault(metadata.path, "the metadata's embedding_length and attention.head_count must be positive")
    head_dim = _head_dim(fields, model_dim // num_heads)
    sliding = _sliding_layers(fields, family, layers)
    window = fields.size("attention.sliding_window", family.window)
    rope = _rope(fields, family)
    return ModelConfig(
        family=family.family,
        architecture=fields.architecture,
        num_layers=layers,
        model_dim=model_dim,
        ffn_dim=fields.size("feed_forward_length"),
        num_heads=num_heads,
        num_kv_heads=fields.size("attention.head_count_kv", num_heads),
        head_dim=head_dim,
        vocab_size=_vocab_size(tensors, metadata.path),
        max_seq_len=fields.size("context_length"),
        windows=tuple(window if slides else 0 for slides in sliding),
        rope_bases=tuple(rope[slides][0] for slides in sliding),
        rope_scales=tuple(rope[slides][1] for slides in sliding),
        query_scale=_query_scale(fields, family, layers, model_dim / num_heads, head_dim),
        embedding_scale=math.sqrt(model_dim),
        attention_softcap=fields.number("attn_logit_softcapping", family.softcaps[0]),
        final_softcap=fields.number("final_logit_softcapping", family.softcaps[1]),
        norm_eps=fields.number("attention.layer_norm_rms_epsilon", 1e-6),
        qk_norm=family.qk_norm,
        post_norms=family.post_norms,
        tied_embeddings=_HEAD not in tensors,
        qkv_layout="separate",
        bos_id=_token_id(metadata, "bos", 2),
        eos_ids=frozenset(_end_ids(metadata)),
    )


def _vocab_size(tensors: Mapping[str, TensorView], path: Path) -> int:
    embedding = tensors.get(_EMBEDDING)
    if embedding is None:
        raise fault(path, f"the tensor {_EMBEDDING} is missing")
    if "rope_freqs.weight" in tensors:
        raise fault(path, "the file has rope frequencies of its own (rope_freqs), which is not supported")
    return embedding.rows


def _head_dim(fields: _Fields, default: int) -> int:
    keys = fields.size("attention.key_length", default)
    values = fields.size("attention.value_length", keys)
    if keys != values or keys <= 0:
        raise fault(fields.path, f"keys of {keys} and values of {values} numbers a head are not supported")
    return keys


def _sliding_layers(fields: _Fields, family: _GgufFamily, layers: int) -> list[bool]:
    """Per layer, whether its attention is a sliding window's: by a period, or listed one by one."""
    key = "attention.sliding_window_pattern"
    if not fields.size("attention.sliding_window", family.window):
        return [False] * layers
    if not fields.is_list(key):
        pattern = fields.size(key, family.pattern)
        return [pattern == 0 or (layer + 1) % pattern != 0 for layer in range(layers)]
    listed = fields.list(key)
    if len(listed) != layers:
        raise fault(fields.path, f"the metadata's sliding_window_pattern has {len(listed)} items for {layers} layers")
    return [bool(item) for item in listed]


def _rope(fields: _Fields, family: _GgufFamily) -> dict[bool, tuple[float, float]]:
    """(base, scale) of sliding (True) and global (False) layers."""
    kind = fields.text("rope.scaling.type") or "none"
    if kind not in ("none", "linear"):
        raise fault(fields.path, f"the metadata's rope.scaling.type is {kind[:40]!r}; supported are none and linear")
    factor = fields.number("rope.scaling.factor", fields.number("rope.scale_linear", 1.0)) or 1.0
    scale = factor if fields.text("rope.scaling.type") != "none" else 1.0
    whole = (fields.number("rope.freq_base", family.base), scale)
    if family.local_base is None:
        return {False: whole, True: whole}
    return {False: whole, True: (fields.number("rope.freq_base_swa", family.local_base), 1.0)}


def _query_scale(fields: _Fields, family: _GgufFamily, layers: int, width: float, head_dim: int) -> float:
    divisor = width if layers == family.per_head_scale else float(head_dim)
    return fields.number("attention.scale", 0.0) or divisor**-0.5


def _token_id(metadata: GgufMetadata, name: str, default: int | None) -> int | None:
    id = metadata.integer(f"tokenizer.ggml.{name}_token_id")
    return id if id is not None and 0 <= id < MAX_SIZE else default


def _end_ids(metadata: GgufMetadata) -> set[int]:
    found = (_token_id(metadata, name, None) for name in ("eos", "eot", "eom"))
    return {id for id in found if id is not None} or {1}


class _Fields:
    """The architecture's own metadata, below its name."""

    def __init__(self, metadata: GgufMetadata) -> None:
        self._metadata, self.path = metadata, metadata.path
        self.architecture = metadata.text("general.architecture") or "none named"
        if self.architecture not in _FAMILIES:
            what = f"the architecture is {self.architecture[:80]!r}; supported in GGUF files are {SUPPORTED}"
            raise fault(self.path, what)

    def size(self, name: str, default: int | None = None) -> int:
        """A whole number; for every layer the same one, where the file lists it by layer."""
        key = self._key(name)
        listed = self._metadata.is_array(key)
        value = self._same_for_all(name) if listed else self._metadata.integer(key)
        value = default if value is None else value
        if value is None:
            raise fault(self.path, f"the metadata lack {key}")
        if not 0 <= value <= MAX_SIZE:
            raise fault(self.path, f"the metadata's {key} is {value}; 0 to {MAX_SIZE} are possible")
        return value

    def number(self, name: str, default: float) -> float:
        value = self._metadata.number(self._key(name))
        return default if value is None else value

    def text(self, name: str) -> str | None:
        return self._metadata.text(self._key(name))

    def is_list(self, name: str) -> bool:
        return self._metadata.is_array(self._key(name))

    def list(self, name: str) -> list[int]:
        """A list with an item a layer."""
        array = self._metadata.array(self._key(name))
        if array is None or array.count > MAX_LAYERS:
            raise fault(self.path, f"the metadata's {self._key(name)} is no list by layer")
        items = [item for item in array.numbers() if isinstance(item, int)]
        if len(items) != array.count:
            raise fault(self.path, f"the metadata's {self._key(name)} is not a list of whole numbers")
        return items

    def _same_for_all(self, name: str) -> int:
        items = set(self.list(name))
        if len(items) != 1:
            raise fault(self.path, f"the metadata's {self._key(name)} differs between layers, which is not supported")
        return items.pop()

    def _key(self, name: str) -> str:
        return f"{self.architecture}.{name}"
