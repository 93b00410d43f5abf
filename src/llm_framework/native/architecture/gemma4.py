"""What is Gemma 4's and Gemma 3n's own in a config.json: layers of several shapes, keys and values that layers share,
per-layer embeddings, mixtures of experts, AltUp. Transformers' `Gemma4TextConfig` and `Gemma3nTextConfig` are the
definition, their values for what is left out included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

from ..reading.json_fields import JsonFields
from ..reading.view import fault
from .config import LayerShape, ModelConfig

_GLOBAL_HEAD_DIM = 512
_PER_LAYER_DIM = 256
_GEMMA3N_SHARED = 15
_MAX_STREAMS = 16
_MAX_EXPERTS = {"num_experts": 1024, "top_k_experts": 1024, "moe_intermediate_size": 1 << 16}
_PER_LAYER_VOCAB_SIZE = 262_144
_ROTATED_SHARE = 0.25  # of a global layer's head, where the config says nothing of positions at all


def as_gemma4(config: ModelConfig, text: JsonFields, sliding: Sequence[bool]) -> ModelConfig:
    """`config`, which holds what all families have, with what is Gemma 4's own; `sliding` says for each layer whether
    it has a window. Raises `ModelLoadError`."""
    sources = _shared_kv(text, sliding, 0)
    overrides = _overrides(text, config.num_layers)
    wide = 2 if text.get("use_double_wide_mlp") else 1
    shapes = []
    for layer, slides in enumerate(sliding):
        heads = _heads(config, text, slides) if overrides is None else _overridden(config, text, overrides[layer])
        shapes.append(
            LayerShape(
                num_kv_heads=heads[0],
                head_dim=heads[1],
                ffn_dim=config.ffn_dim * (wide if sources[layer] >= 0 else 1),
                rope_dims=_rope_dims(text, slides, heads[1]),
                shared_kv=sources[layer],
                values_are_keys=bool(text.get("attention_k_eq_v")) and not slides,
            )
        )
    unified = "unified" in str(text.root.get("model_type") or text.root.get("architectures")).lower()
    dim = 0 if unified else text.size("hidden_size_per_layer_input", _PER_LAYER_DIM)
    config = _with_experts(config, text) if text.get("enable_moe_block") else config
    return replace(
        config,
        layer_shapes=tuple(shapes),
        value_norm=True,
        whole_norms=True,
        per_layer_dim=dim,
        per_layer_vocab_size=text.size("vocab_size_per_layer_input", _PER_LAYER_VOCAB_SIZE) if dim else 0,
    )


def as_gemma3n(config: ModelConfig, text: JsonFields, sliding: Sequence[bool]) -> ModelConfig:
    """As `as_gemma4`, for Gemma 3n."""
    sources = _shared_kv(text, sliding, _GEMMA3N_SHARED)
    widths = text.sizes("intermediate_size", config.ffn_dim, config.num_layers)
    cutoffs = _gate_cutoffs(text, config.num_layers)
    streams, active = text.size("altup_num_inputs", 4), text.size("altup_active_idx", 0)
    dim = text.size("hidden_size_per_layer_input", _PER_LAYER_DIM)
    if not 0 <= active < streams <= _MAX_STREAMS or not dim:
        what = "altup_num_inputs, altup_active_idx and hidden_size_per_layer_input"
        raise fault(text.path, f"the config's {what} are {streams}, {active} and {dim}, which cannot be")
    return replace(
        config,
        layer_shapes=tuple(
            LayerShape(config.num_kv_heads, config.head_dim, width, config.head_dim, source, gate_cutoff=cutoff)
            for width, source, cutoff in zip(widths, sources, cutoffs, strict=True)
        ),
        value_norm=True,
        whole_norms=True,
        per_layer_dim=dim,
        per_layer_vocab_size=text.size("vocab_size_per_layer_input", _PER_LAYER_VOCAB_SIZE),
        num_streams=streams,
        active_stream=active,
        scales_active_stream=bool(text.get("altup_correct_scale", True)),
        laurel_rank=text.size("laurel_rank", 64),
    )


def _gate_cutoffs(text: JsonFields, num_layers: int) -> list[float]:
    """Per layer, how many standard deviations above the mean a gate must lie: where `activation_sparsity_pattern` says
    that 95 % of them are to be cut, and they were spread normally, 1.64."""
    shares = text.get("activation_sparsity_pattern")
    if shares is None:
        sparse = 10 if num_layers > 10 else 0
        shares = [0.95] * sparse + [0.0] * (num_layers - sparse)
    if not isinstance(shares, list) or len(shares) != num_layers:
        raise fault(text.path, f"the config's activation_sparsity_pattern must be a list of {num_layers} numbers")
    if not all(type(share) in (int, float) and 0 <= share < 1 for share in shares):
        raise fault(text.path, "the config's activation_sparsity_pattern must have shares from 0 to below 1")
    return [NormalDist().inv_cdf(share) if share > 0 else -math.inf for share in shares]


def _with_experts(config: ModelConfig, text: JsonFields) -> ModelConfig:
    sizes = {name: text.size(name, 0) for name in ("num_experts", "top_k_experts", "moe_intermediate_size")}
    for name, size in sizes.items():
        if not 0 < size <= _MAX_EXPERTS[name]:
            raise fault(text.path, f"the config's {name} is {size}; 1 to {_MAX_EXPERTS[name]} are possible")
    if sizes["top_k_experts"] > sizes["num_experts"]:
        raise fault(text.path, "the config's top_k_experts are more than its num_experts")
    experts, chosen, dim = sizes.values()
    return replace(config, num_experts=experts, top_k_experts=chosen, expert_dim=dim)


def _shared_kv(text: JsonFields, sliding: Sequence[bool], default: int) -> list[int]:
    """Per layer, the one whose keys and values it reads, -1 for its own: the last `num_kv_shared_layers` read those of
    the last layer of their kind before them."""
    first = len(sliding) - text.size("num_kv_shared_layers", default)
    if first <= 0:
        raise fault(text.path, f"the config's num_kv_shared_layers must be below its {len(sliding)} layers")
    last_of = {slides: layer for layer, slides in enumerate(sliding[:first])}
    if first < len(sliding) and set(last_of) != set(sliding):
        raise fault(text.path, "no layer has the keys and values of its own that num_kv_shared_layers are to share")
    return [-1 if layer < first else last_of[slides] for layer, slides in enumerate(sliding)]


def _heads(config: ModelConfig, text: JsonFields, slides: bool) -> tuple[int, int]:
    """The key/value heads and the head size of a layer."""
    if slides:
        return config.num_kv_heads, config.head_dim
    heads = text.size("num_global_key_value_heads", config.num_kv_heads)
    equal = bool(text.get("attention_k_eq_v"))
    return heads if equal else config.num_kv_heads, text.size("global_head_dim", _GLOBAL_HEAD_DIM)


def _overrides(text: JsonFields, num_layers: int) -> dict[int, JsonFields] | None:
    """What `per_layer_config`, {"5": {"head_dim": 512}}, says of layers; None where the config has none."""
    if text.get("per_layer_config") is None:
        return None
    listed = text.within("per_layer_config")
    overrides: dict[int, JsonFields] = {}
    for name in listed.members:
        if not name.isdecimal() or int(name) >= num_layers:
            raise fault(text.path, f"the config's per_layer_config names the layer {name[:20]!r} of {num_layers}")
        overrides[int(name)] = listed.within(name)
    return {layer: overrides.get(layer, JsonFields({}, text.path)) for layer in range(num_layers)}


def _overridden(config: ModelConfig, text: JsonFields, override: JsonFields) -> tuple[int, int]:
    for name, value in override.members.items():
        if name not in ("head_dim", "num_key_value_heads") and value != text.get(name):
            raise fault(text.path, f"the config's per_layer_config sets {name[:40]}, which is not supported")
    return override.size("num_key_value_heads", config.num_kv_heads), override.size("head_dim", config.head_dim)


def _rope_dims(text: JsonFields, slides: bool, head_dim: int) -> int:
    """How many values of a head are rotated: with the type "proportional", a share of them."""
    share = 1.0
    if text.get("rope_parameters") is None:
        share = 1.0 if slides else _ROTATED_SHARE
    else:
        rope = text.within("rope_parameters").within("sliding_attention" if slides else "full_attention")
        if rope.get("rope_type") == "proportional":
            share = rope.number("partial_rotary_factor", 1.0)
        elif rope.get("rope_type") == "linear" and rope.number("partial_rotary_factor", 1.0) != 1.0:
            raise fault(text.path, "the config scales a part of the rotary positions, which is not supported")
    if not 0 <= share <= 1:
        raise fault(text.path, f"the config's partial_rotary_factor is {share}; 0 to 1 are possible")
    return 2 * int(share * head_dim // 2)
