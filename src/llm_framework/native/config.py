"""From what an opened file says of its architecture to `ModelConfig`."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from .architecture.config import LayerShape, ModelConfig
from .architecture.hf import config_from_hf
from .formats.model_file import ModelFile
from .gguf_config import config_from_gguf
from .reading.json_fields import MAX_SIZE
from .reading.view import fault, narrowest_type
from .sbs_config import as_sbs_holds_it, config_from_sbs


def read_config(file: ModelFile) -> ModelConfig:
    """The configuration of an opened file. Raises `ModelLoadError` for what is unsupported or makes no sense."""
    if file.sbs_config is not None:
        config = config_from_sbs(file.sbs_config, file.path)
    elif file.gguf is not None and file.hf_config is None:
        config = config_from_gguf(file.gguf, file.tensors)
    else:
        config = config_from_hf(file.hf_config or {}, file.path, file.generation_config)
        config = as_sbs_holds_it(config, file) if file.format == "sbs" else config
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
