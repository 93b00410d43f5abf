"""From what a file says of its architecture to what the engine computes with: one `ModelConfig` for every format."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .formats.view import fault, narrowest_type
from .json_fields import MAX_SIZE, JsonFields

if TYPE_CHECKING:
    from .formats.model_file import ModelFile
    from .formats.sbs import SbsConfig

Family = Literal["gemma1", "gemma2", "gemma3", "gemma3n", "gemma4"]

SUPPORTED = "the text models of Gemma 1, 2, 3, 3n and 4 (model_type gemma, gemma2, gemma3, gemma3n, gemma4, or _text)"
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


def read_config(file: ModelFile) -> ModelConfig:
    """The configuration of an opened file. Raises `ModelLoadError` for what is unsupported or makes no sense."""
    if file.sbs_config is not None:
        config = config_from_sbs(file.sbs_config, file.path)
    elif file.gguf is not None and file.hf_config is None:
        from .gguf_config import config_from_gguf

        config = config_from_gguf(file.gguf, file.tensors)
    else:
        config = config_from_hf(file.hf_config or {}, file.path, file.generation_config)
        if file.format == "sbs":  # the sizes are the config's, the layout is the file's
            scale, layout = _round_to_bf16(config.embedding_scale), _sbs_qkv_layout(config, file)
            config = replace(config, qkv_layout=layout, tied_embeddings=True, embedding_scale=scale)
    _check(config, file.path)
    return replace(config, weight_type=narrowest_type(file.tensors.values()), chat_template=file.chat_template)


def _check(config: ModelConfig, path: Path) -> None:
    for name in ("model_dim", "num_heads", "vocab_size", "max_seq_len"):
        _check_size(name, getattr(config, name), path)
    for shape in config.layer_shapes or (config.shape(0),):
        _check_shape(shape, config.num_heads, path)
    numbers = (*config.rope_bases, *config.rope_scales, config.query_scale, config.norm_eps)
    if not all(math.isfinite(value) and value > 0 for value in numbers):
        raise fault(path, "the config's rope bases and scales, query scale and norm epsilon must be positive")
    if not all(math.isfinite(cap) and cap >= 0 for cap in (config.attention_softcap, config.final_softcap)):
        raise fault(path, "the config's soft caps must be finite and not negative")
    if any(not 0 <= window <= MAX_SIZE for window in config.windows):
        raise fault(path, "the config's attention windows must lie between 0 and the context length")


def _check_size(name: str, value: int, path: Path) -> None:
    if not 0 < value <= MAX_SIZE:
        raise fault(path, f"the config's {name} is {value}, which cannot be")


def _check_shape(shape: LayerShape, num_heads: int, path: Path) -> None:
    for name in ("ffn_dim", "num_kv_heads", "head_dim"):
        _check_size(name, getattr(shape, name), path)
    if num_heads % shape.num_kv_heads:
        raise fault(path, f"{num_heads} query heads do not share {shape.num_kv_heads} key/value heads evenly")
    if shape.head_dim % 2:
        raise fault(path, f"the config's head_dim is {shape.head_dim}; rotary positions need an even one")


# ------------------------------------------------------------------------------------------------ Hugging Face config
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
        from .gemma4_config import as_gemma4

        return as_gemma4(config, text, sliding)
    if defaults.family == "gemma3n":
        from .gemma4_config import as_gemma3n

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


# -------------------------------------------------------------------------------------------------------- sbs config
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


def _sbs_qkv_layout(config: ModelConfig, file: ModelFile) -> str:
    """How the rows of q, k and v lie: in Gemma 1's 7B, which has a key/value head a query head, head by head."""
    is_7b = config.family == "gemma1" and config.num_heads == config.num_kv_heads and "qkv_ein_0" in file.tensors
    return "per_head" if is_7b else "kv_interleaved"


def _sbs_layer(raw: SbsConfig, path: Path) -> Any:
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


def _round_to_bf16(value: float) -> float:
    """The nearest bfloat16, ties to even (what gemma.cpp's embedding scale is)."""
    bits: int = struct.unpack("<I", struct.pack("<f", value))[0]
    bits += 0x7FFF + ((bits >> 16) & 1)
    rounded: float = struct.unpack("<f", struct.pack("<I", bits & 0xFFFF0000))[0]
    return rounded
