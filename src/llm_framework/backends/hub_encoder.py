"""Reading an embedding model: a Sentence Transformers folder, or a plain text encoder, in Transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, UnsupportedFeatureError
from ..logs import get_logger
from .embedding_layout import POOLING_MODES, Layout, Normalize, Pooling, read_layout
from .hub_loading import (
    UNKNOWN_CONTEXT,
    checked_folder,
    device_of,
    load_options,
    quiet,
    require_transformers,
    typed_errors,
)
from .torch_embedding import TextEncoder

if TYPE_CHECKING:
    from ..registry import ModelInfo

logger = get_logger(__name__)

# Their positions begin behind the padding token's, so that many of them are never used.
_OFFSET_POSITIONS = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "data2vec-text", "longformer", "xmod"}
)


def load_encoder(model_info: ModelInfo, settings: Mapping[str, Any]) -> TextEncoder:
    """Read the folder, with the settings of `HuggingFaceBackend` and two more.

    `pooling` ("mean", "cls", "lasttoken", …) says how vectors are made where no `modules.json` does: for a text encoder
    without one it is "mean", a model that was made to write text is refused without it. `normalize` (default True)
    gives such vectors the length 1. Both may stand in the model's metadata too.

    Raises `ModelLoadError`, `MissingDependencyError`, `ConfigurationError` and `UnsupportedFeatureError`.
    """
    name = model_info.name
    folder = Path(model_info.path).expanduser() if model_info.path is not None else None
    layout = read_layout(folder, name) if folder is not None and folder.is_dir() else None
    network_folder = checked_folder(model_info if layout is None else replace(model_info, path=layout.folder))
    layout = layout or Layout(network_folder, is_told=False)
    transformers = require_transformers()
    options = load_options(settings)
    with typed_errors(network_folder, name), quiet(transformers):
        trust = {"trust_remote_code": bool(settings.get("trust_remote_code")), "local_files_only": True}
        tokenizer = transformers.AutoTokenizer.from_pretrained(network_folder, **trust)
        config = transformers.AutoConfig.from_pretrained(network_folder, **trust)
        if not layout.is_told:
            layout = _assumed(layout, model_info, settings, config)
        auto = transformers.AutoModelForTextEncoding if _has_decoder(config) else transformers.AutoModel
        network = auto.from_pretrained(network_folder, use_safetensors=True, **trust, **options)
        if "device_map" not in options:
            network.to(device_of(settings))
        limit = _max_tokens(layout, network.config, tokenizer, model_info)
        return TextEncoder(name, network.eval(), tokenizer, layout, limit, settings.get("num_threads"))


def _assumed(layout: Layout, info: ModelInfo, settings: Mapping[str, Any], config: Any) -> Layout:
    """How vectors are made where no files say so."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as ENCODERS

    given = {**info.metadata, **settings}
    pooling = given.get("pooling")
    if pooling is not None and pooling not in POOLING_MODES:
        raise ConfigurationError(f"pooling is {pooling!r}; it must be one of {', '.join(POOLING_MODES)}")
    if pooling is None and config.model_type not in ENCODERS and not _has_decoder(config):
        message = (
            f"{layout.folder} has no modules.json that says how {info.name} makes a vector of its tokens; if it was "
            "trained to make embeddings, set pooling in the model's metadata (most such models: 'lasttoken')"
        )
        raise UnsupportedFeatureError(message, feature="embeddings", model=info.name)
    if pooling is None:
        pooling = "mean"
        logger.warning("%s has no modules.json: its vectors are the mean of its tokens' ones", layout.folder)
    normalize = (Normalize(),) if given.get("normalize", True) else ()
    return replace(layout, steps=(Pooling((pooling,)), *normalize))


def _has_decoder(config: Any) -> bool:
    """Whether the network is an encoder and a decoder, as T5: its encoder alone makes the vectors."""
    return bool(getattr(config, "is_encoder_decoder", False))


def _max_tokens(layout: Layout, config: Any, tokenizer: Any, info: ModelInfo) -> int:
    """How many tokens a text may have, the prompt included."""
    text = config.get_text_config()
    positions = getattr(text, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0 and text.model_type in _OFFSET_POSITIONS:
        positions -= (text.pad_token_id or 0) + 1
    told = layout.max_tokens
    if told is None and 0 < tokenizer.model_max_length < 10**9:
        told = int(tokenizer.model_max_length)
    limits = [limit for limit in (told, positions, info.context_length) if isinstance(limit, int) and limit > 0]
    return min(limits, default=UNKNOWN_CONTEXT)
