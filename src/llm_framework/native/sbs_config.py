"""From a .sbs file's config record to `ModelConfig`."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from pathlib import Path

from .architecture.config import MAX_LAYERS, Family, ModelConfig
from .formats.model_file import ModelFile
from .formats.sbs_record import SbsConfig, SbsLayer
from .reading.view import fault

# The file's model codes. The sizes are in the file itself; a code decides the rope bases alone.
_SBS_FAMILIES: dict[int, Family] = {
    1: "gemma1", 2: "gemma1", 3: "gemma2", 4: "gemma2", 7: "gemma2", 14: "gemma3", 15: "gemma3", 16: "gemma3",
    17: "gemma3", 18: "gemma3",
}  # fmt: skip
_SBS_NAMES = {
    1: "Gemma-2B", 2: "Gemma-7B", 3: "Gemma2-9B", 4: "Gemma2-27B", 7: "Gemma2-2B", 10: "PaliGemma2-3B-224",
    11: "PaliGemma2-3B-448", 12: "PaliGemma2-10B-224", 13: "PaliGemma2-10B-448", 14: "Gemma3-4B", 15: "Gemma3-1B",
    16: "Gemma3-12B", 17: "Gemma3-27B", 18: "Gemma3-270M",
}  # fmt: skip
_SBS_LINEAR_ROPE = {14, 16, 17}  # 4B, 12B, 27B: positions of global layers are divided by 8, as Hugging Face defines


def config_from_sbs(raw: SbsConfig, path: Path) -> ModelConfig:
    """From a .sbs file's config record; what the record leaves out (rope bases) is as Hugging Face defines it."""
    name = _SBS_NAMES.get(raw.model, f"unknown model {raw.model}")
    if raw.model not in _SBS_FAMILIES:
        raise fault(path, f"the architecture is {name} ({raw.display_name[:40]!r}); supported are Gemma 1, 2 and 3")
    family = _SBS_FAMILIES[raw.model]
    layer = _sbs_layer(raw, path)
    windows = tuple(0 if window == raw.max_seq_len else window for window in raw.attention_window_sizes)
    base, scale = (1e6 if family == "gemma3" else 1e4), (8.0 if raw.model in _SBS_LINEAR_ROPE else 1.0)
    divisor = layer.head_dim if raw.query_scale == 0 else raw.model_dim // max(layer.num_heads, 1)
    if raw.model_dim <= 0 or divisor <= 0:
        raise fault(path, "the config's model_dim or head size is 0")
    return ModelConfig(
        family=family,
        architecture=name,
        num_layers=raw.num_layers,
        model_dim=raw.model_dim,
        ffn_dim=layer.ffn_dim,
        num_heads=layer.num_heads,
        num_kv_heads=layer.num_kv_heads,
        head_dim=layer.head_dim,
        vocab_size=raw.vocab_size,
        max_seq_len=raw.max_seq_len,
        windows=windows,
        rope_bases=tuple(1e4 if window else base for window in windows),
        rope_scales=tuple(1.0 if window else scale for window in windows),
        query_scale=divisor**-0.5,
        embedding_scale=_round_to_bf16(math.sqrt(raw.model_dim)),
        attention_softcap=raw.attention_softcap,
        final_softcap=raw.final_softcap,
        norm_eps=1e-6,
        qk_norm=layer.qk_norm,
        post_norms=layer.post_norm,
        tied_embeddings=True,
        qkv_layout="kv_interleaved",
        bos_id=2,
        eos_ids=frozenset(eos for eos in raw.eos_ids if 0 <= eos < raw.vocab_size),
    )


def _sbs_layer(raw: SbsConfig, path: Path) -> SbsLayer:
    """The one layer record that all layers share."""
    if not 0 < raw.num_layers <= MAX_LAYERS or len(raw.layers) != raw.num_layers:
        raise fault(path, f"the config has {raw.num_layers} layers and {len(raw.layers)} layer records")
    if len(raw.attention_window_sizes) != raw.num_layers:
        raise fault(path, f"the config has {raw.num_layers} layers and {len(raw.attention_window_sizes)} windows")
    layer = raw.layers[0]
    if any(other != layer for other in raw.layers):
        raise fault(path, "the config's layers differ in size or kind, which is not supported")
    unsupported = {
        "absolute position embeddings": raw.absolute_pe,
        "biases in the feed-forward layers": layer.ffn_biases,
        "a layer type other than text": layer.type != 0,
        "an activation other than gelu": layer.activation != 0,
        "rotary positions on half of the head": layer.post_qk != 0,
        f"the query scale kind {raw.query_scale}": raw.query_scale not in (0, 1),
        "layers of another width than the model": layer.model_dim != raw.model_dim,
    }
    for what, found in unsupported.items():
        if found:
            raise fault(path, f"the config asks for {what}, which is not supported")
    return layer


def as_sbs_holds_it(config: ModelConfig, file: ModelFile) -> ModelConfig:
    """A config.json's configuration for a .sbs file: the sizes are the config's, the layout is the file's."""
    is_7b = config.family == "gemma1" and config.num_heads == config.num_kv_heads and "qkv_ein_0" in file.tensors
    return replace(
        config,
        # Gemma 1's 7B has a key/value head a query head: the rows of q, k and v lie head by head
        qkv_layout="per_head" if is_7b else "kv_interleaved",
        tied_embeddings=True,
        embedding_scale=_round_to_bf16(config.embedding_scale),
    )


def _round_to_bf16(value: float) -> float:
    """The nearest bfloat16, ties to even (what gemma.cpp's embedding scale is)."""
    bits: int = struct.unpack("<I", struct.pack("<f", value))[0]
    bits += 0x7FFF + ((bits >> 16) & 1)
    rounded: float = struct.unpack("<f", struct.pack("<I", bits & 0xFFFF0000))[0]
    return rounded
