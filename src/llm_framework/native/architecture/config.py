"""`ModelConfig`: what the engine computes with, one form for every format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["gemma1", "gemma2", "gemma3", "gemma3n", "gemma4"]

MAX_LAYERS = 1024


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What may differ from layer to layer.

    `rope_dims` values of a head are rotated. `shared_kv` is the earlier layer whose keys and values this one reads, or
    -1 where it has its own. With `values_are_keys` one projection gives keys and values. Gates of the feed-forward
    layer less than `gate_cutoff` standard deviations above their mean are cut.
    """

    num_kv_heads: int
    head_dim: int
    ffn_dim: int
    rope_dims: int
    shared_kv: int = -1
    values_are_keys: bool = False
    gate_cutoff: float = -math.inf


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The architecture, as the engine takes it (see `_native.Model`), and what callers ask of a model.

    Per-layer tuples have `num_layers` items: `windows` in tokens (0 is global), `rope_bases`, and `rope_scales`
    (positions are divided by them). `weight_type` is the narrowest number format of the matrices; `chat_template` the
    Jinja source that came with the model. Where layers differ in shape, `layer_shapes` has an item for each, and
    `num_kv_heads`, `head_dim` and `ffn_dim` are those of sliding layers; `shape(layer)` knows in either case.
    `whole_norms` says that norms multiply by their weights, and not by one more. `per_layer_dim` is the size of
    per-layer embeddings (0: none), `per_layer_vocab_size` how many tokens have them. A mixture has `num_experts` of
    `expert_dim`, of which `top_k_experts` take a token. AltUp has `num_streams`, the layers compute on `active_stream`.
    """

    family: Family
    architecture: str
    num_layers: int
    model_dim: int
    ffn_dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    max_seq_len: int
    windows: tuple[int, ...]
    rope_bases: tuple[float, ...]
    rope_scales: tuple[float, ...]
    query_scale: float
    embedding_scale: float
    attention_softcap: float
    final_softcap: float
    norm_eps: float
    qk_norm: bool
    post_norms: bool
    tied_embeddings: bool
    qkv_layout: str
    bos_id: int | None
    eos_ids: frozenset[int]
    weight_type: str = ""
    chat_template: str | None = None
    layer_shapes: tuple[LayerShape, ...] = ()
    value_norm: bool = False
    whole_norms: bool = False
    per_layer_dim: int = 0
    per_layer_vocab_size: int = 0
    num_experts: int = 0
    top_k_experts: int = 0
    expert_dim: int = 0
    num_streams: int = 0
    active_stream: int = 0
    scales_active_stream: bool = False
    laurel_rank: int = 0

    def shape(self, layer: int) -> LayerShape:
        """The shape of a layer."""
        if self.layer_shapes:
            return self.layer_shapes[layer]
        return LayerShape(self.num_kv_heads, self.head_dim, self.ffn_dim, self.head_dim)

    def engine_config(self) -> dict[str, Any]:
        """The mapping that `_native.Model` takes."""
        config: dict[str, Any] = {name: getattr(self, name) for name in _ENGINE_KEYS}
        for name in ("windows", "rope_bases", "rope_scales"):
            config[name] = list(config[name])
        if self.layer_shapes:
            config |= {name: [getattr(shape, name) for shape in self.layer_shapes] for name in LayerShape.__slots__}
        return config


_ENGINE_KEYS = (
    "num_layers", "model_dim", "ffn_dim", "num_heads", "num_kv_heads", "head_dim", "vocab_size", "max_seq_len",
    "windows", "rope_bases", "rope_scales", "query_scale", "embedding_scale", "attention_softcap", "final_softcap",
    "norm_eps", "qk_norm", "post_norms", "qkv_layout", "value_norm", "per_layer_dim", "per_layer_vocab_size",
    "num_experts", "top_k_experts", "expert_dim", "num_streams", "active_stream", "laurel_rank",
)  # fmt: skip
