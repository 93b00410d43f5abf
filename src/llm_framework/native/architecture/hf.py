"""From a Hugging Face config.json to `ModelConfig`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..reading.json_fields import MAX_SIZE, JsonFields
from ..reading.view import fault
from .config import MAX_LAYERS, Family, ModelConfig
from .gemma4 import as_gemma3n, as_gemma4

SUPPORTED = "the text models of Gemma 1, 2, 3, 3n and 4 (model_type gemma, gemma2, gemma3, gemma3n, gemma4, or _text)"


@dataclass(frozen=True, slots=True)
class _HfFamily:
    """What Transformers' config class of a model type says where config.json says nothing."""

    family: Family
    max_position_embeddings: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    softcaps: tuple[float, float] = (0.0, 0.0)
    window: int = 0
    pattern: int = 1  # every pattern-th layer is global
    global_base: float = 10_000.0
    local_base: float | None = None  # of sliding layers, which then are not scaled; None: as the global ones


_GEMMA3 = _HfFamily(
    "gemma3", 131_072, 2304, 9216, 26, 8, 4, 262_208, window=4096, pattern=6, global_base=1e6, local_base=1e4
)
_GEMMA4 = _HfFamily(
    "gemma4", 131_072, 2304, 9216, 30, 8, 4, 262_144, window=512, pattern=6, global_base=1e6, local_base=1e4
)
_GEMMA3N = _HfFamily(
    "gemma3n", 32_768, 2048, 16_384, 35, 8, 2, 262_400, (0.0, 30.0), 512, pattern=5, global_base=1e6, local_base=1e4
)
_GEMMA4_UNIFIED = replace(_GEMMA4, max_position_embeddings=262_144, window=1024)
_HF_FAMILIES = {
    "gemma": _HfFamily("gemma1", 8192, 3072, 24576, 28, 16, 16, 256_000),
    "gemma2": _HfFamily("gemma2", 8192, 2304, 9216, 26, 8, 4, 256_000, (50.0, 30.0), 4096, 2),
    "gemma3_text": _GEMMA3,
    "gemma3": _GEMMA3,
    "gemma3n_text": _GEMMA3N,
    "gemma3n": _GEMMA3N,
    "gemma4_text": _GEMMA4,
    "gemma4": _GEMMA4,
    "gemma4_unified_text": _GEMMA4_UNIFIED,
    "gemma4_unified": _GEMMA4_UNIFIED,
}
_HF_ARCHITECTURES = {
    "GemmaForCausalLM": "gemma",
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3_text",
    "Gemma3ForConditionalGeneration": "gemma3",
    "Gemma3nForCausalLM": "gemma3n_text",
    "Gemma3nForConditionalGeneration": "gemma3n",
    "Gemma4ForCausalLM": "gemma4_text",
    "Gemma4ForConditionalGeneration": "gemma4",
    "Gemma4UnifiedForCausalLM": "gemma4_unified_text",
    "Gemma4UnifiedForConditionalGeneration": "gemma4_unified",
}


def is_native(raw: Mapping[str, Any]) -> bool:
    """Whether a config.json is of a family that the engine runs (though perhaps of a variant that it refuses)."""
    architectures = raw.get("architectures")
    named = architectures[0] if isinstance(architectures, list) and architectures else None
    return (raw.get("model_type") or _HF_ARCHITECTURES.get(str(named))) in _HF_FAMILIES


def config_from_hf(raw: Mapping[str, Any], path: Path, generation: Mapping[str, Any] | None = None) -> ModelConfig:
    """From config.json (and generation_config.json, for the end tokens)."""
    defaults, architecture = _hf_family(raw, path)
    text = JsonFields(raw, path).within("text_config")
    _refuse_hf_variants(text, defaults)
    layers = text.size("num_hidden_layers", defaults.num_hidden_layers)
    if not 0 < layers <= MAX_LAYERS:
        raise fault(path, f"the config has {layers} layers; 1 to {MAX_LAYERS} are possible")
    sliding = _hf_sliding_layers(text, defaults, layers)
    window = text.size("sliding_window", defaults.window)
    rope = _hf_rope(text, defaults)
    model_dim, head_dim = text.size("hidden_size", defaults.hidden_size), text.size("head_dim", 256)
    query_scalar = _hf_query_scalar(text, defaults, head_dim)
    if query_scalar <= 0 or model_dim <= 0:
        raise fault(path, "the config's query_pre_attn_scalar and hidden_size must be positive")
    config = ModelConfig(
        family=defaults.family,
        architecture=architecture,
        num_layers=layers,
        model_dim=model_dim,
        ffn_dim=text.sizes("intermediate_size", defaults.intermediate_size, layers)[0],
        num_heads=text.size("num_attention_heads", defaults.num_attention_heads),
        num_kv_heads=text.size("num_key_value_heads", defaults.num_key_value_heads),
        head_dim=head_dim,
        vocab_size=text.size("vocab_size", defaults.vocab_size),
        max_seq_len=text.size("max_position_embeddings", defaults.max_position_embeddings),
        windows=tuple(window if slides else 0 for slides in sliding),
        rope_bases=tuple(rope[slides][0] for slides in sliding),
        rope_scales=tuple(rope[slides][1] for slides in sliding),
        query_scale=query_scalar**-0.5,
        embedding_scale=math.sqrt(model_dim),
        attention_softcap=text.number("attn_logit_softcapping", defaults.softcaps[0], null=0.0),
        final_softcap=text.number("final_logit_softcapping", defaults.softcaps[1], null=0.0),
        norm_eps=text.number("rms_norm_eps", 1e-6),
        qk_norm=defaults.family in ("gemma3", "gemma3n", "gemma4"),
        post_norms=defaults.family != "gemma1",
        tied_embeddings=_hf_tied(raw, text),
        qkv_layout="separate",
        bos_id=_hf_ids(raw, text, generation or {}, "bos_token_id", 2)[0],
        eos_ids=frozenset(_hf_ids(raw, text, generation or {}, "eos_token_id", 1)),
    )
    if defaults.family == "gemma4":
        return as_gemma4(config, text, sliding)
    if defaults.family == "gemma3n":
        return as_gemma3n(config, text, sliding)
    return config


def _hf_query_scalar(text: JsonFields, defaults: _HfFamily, head_dim: int) -> float:
    """Queries are divided by its root."""
    if defaults.family in ("gemma3n", "gemma4"):
        return 1.0
    return float(head_dim) if defaults.family == "gemma1" else text.number("query_pre_attn_scalar", 256.0)


def _hf_family(raw: Mapping[str, Any], path: Path) -> tuple[_HfFamily, str]:
    architectures = raw.get("architectures")
    named = architectures[0] if isinstance(architectures, list) and architectures else None
    model_type = raw.get("model_type") or _HF_ARCHITECTURES.get(str(named))
    found = str(named or model_type or "none named")
    if not isinstance(model_type, str) or model_type not in _HF_FAMILIES:
        raise fault(path, f"the architecture is {found[:80]} (model_type {model_type!r}); supported are {SUPPORTED}")
    if named is not None and any(head in found for head in ("Classification", "QuestionAnswering")):
        raise fault(path, f"the architecture is {found[:80]}, which does not generate text; supported are {SUPPORTED}")
    return _HF_FAMILIES[model_type], found


def _refuse_hf_variants(text: JsonFields, defaults: _HfFamily) -> None:
    """What would compute something else than we do must not load quietly."""
    # Between the tokens of an image attention may go both ways; between those of a text it does not.
    causal = {None, False, "vision"} if defaults.family == "gemma4" else {None, False}
    for name, allowed in (("attention_bias", {None, False}), ("use_bidirectional_attention", causal)):
        if text.get(name) not in allowed:
            raise fault(text.path, f"the config sets {name}, which is not supported")
    if text.root.get("quantization_config") or text.get("quantization_config"):
        raise fault(text.path, "the weights are quantised (quantization_config); supported are F32, F16 and BF16")
    # Gemma 1's official files say "gelu" where they mean the tanh form; later ones say what they mean.
    tanh_names = {None, "gelu_pytorch_tanh"} | ({"gelu"} if defaults.family == "gemma1" else set())
    names = ("hidden_act", "hidden_activation") if defaults.family == "gemma1" else ("hidden_activation",)
    for name in names:
        if text.get(name) not in tanh_names:
            raise fault(text.path, f"the config's {name} is {text.get(name)!r}; supported is gelu_pytorch_tanh")


def _hf_sliding_layers(text: JsonFields, defaults: _HfFamily, layers: int) -> list[bool]:
    """Per layer, whether its attention is a sliding window's."""
    types = text.get("layer_types")
    if defaults.family == "gemma1" or text.get("sliding_window", 1) is None:
        return [False] * layers
    if types is None:
        pattern = text.size("sliding_window_pattern", text.size("_sliding_window_pattern", defaults.pattern))
        if pattern <= 0:
            raise fault(text.path, f"the config's sliding_window_pattern is {pattern}")
        types = ["full_attention" if (layer + 1) % pattern == 0 else "sliding_attention" for layer in range(layers)]
    known = {"sliding_attention": True, "full_attention": False}
    if not isinstance(types, list) or len(types) != layers or any(str(kind) not in known for kind in types):
        raise fault(text.path, f"the config's layer_types must be {layers} times sliding_attention or full_attention")
    sliding = [known[kind] for kind in types]
    return [*sliding[:-1], False] if defaults.family == "gemma4" else sliding


def _hf_rope(text: JsonFields, defaults: _HfFamily) -> dict[bool, tuple[float, float]]:
    """(base, scale) of sliding (True) and global (False) layers, from the old fields or Transformers 5's."""
    both = text.get("rope_parameters")
    if both is not None:
        return _hf_rope_parameters(JsonFields({"rope_parameters": both}, text.path).within("rope_parameters"), defaults)
    base = text.number("rope_theta", defaults.global_base)
    scale = _rope_scale(text.within("rope_scaling"), text.path) if text.get("rope_scaling") is not None else 1.0
    if defaults.local_base is not None:  # scaling is the global layers' alone
        return {False: (base, scale), True: (text.number("rope_local_base_freq", defaults.local_base), 1.0)}
    return {False: (base, scale), True: (base, scale)}


def _hf_rope_parameters(both: JsonFields, defaults: _HfFamily) -> dict[bool, tuple[float, float]]:
    bases = {False: defaults.global_base, True: 10_000.0}
    names = {False: "full_attention", True: "sliding_attention"}
    if defaults.local_base is None and not any(both.get(name) for name in names.values()):
        flat = (both.number("rope_theta", defaults.global_base), _rope_scale(both, both.path))
        return {False: flat, True: flat}
    rope = {}
    for slides, name in names.items():
        one = both.within(name)
        kinds = ("linear", "proportional") if defaults.family == "gemma4" else ("linear",)
        rope[slides] = (one.number("rope_theta", bases[slides]), _rope_scale(one, both.path, kinds))
    return rope


def _rope_scale(rope: JsonFields, path: Path, kinds: tuple[str, ...] = ("linear",)) -> float:
    kind = rope.get("rope_type", rope.get("type")) or "default"
    if kind == "default":
        return 1.0
    if kind in kinds:
        return rope.number("factor", 1.0)
    raise fault(path, f"the config's rope type is {str(kind)[:40]!r}; supported are default and {', '.join(kinds)}")


def _hf_tied(raw: Mapping[str, Any], text: JsonFields) -> bool:
    tied = raw.get("tie_word_embeddings", text.get("tie_word_embeddings"))
    return tied is None or bool(tied)


def _hf_ids(
    raw: Mapping[str, Any], text: JsonFields, generation: Mapping[str, Any], name: str, default: int
) -> tuple[int, ...]:
    """The token ids that any of the three configs gives under `name`: an id or a list of them."""
    ids: dict[int, None] = {}
    for holder in (generation.get(name), raw.get(name), text.get(name)):
        for item in holder if isinstance(holder, list) else [holder]:
            if type(item) is int and 0 <= item < MAX_SIZE:
                ids[item] = None
    return tuple(ids) or (default,)
