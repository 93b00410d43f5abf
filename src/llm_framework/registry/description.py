"""What a model found on disk is: read from headers and configs, never from weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import LLMFrameworkError
from .discovery import FoundModel
from .model_info import ModelInfo, ModelType

if TYPE_CHECKING:
    from ..native.formats import ModelFile, TensorView
    from ..native.formats.gguf_metadata import GgufMetadata

DESCRIPTION_VERSION = 2  # another number makes what is cached void: raise it where the same file is described otherwise
GIB = 2**30
RUNTIME_OVERHEAD = 1.2  # weights take their own size; caches and scratch space come on top

# What the config.json files of different families call the number of tokens that a model reads.
CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length")
_WIDTH_NAMES = ("hidden_size", "d_model", "n_embd", "dim")
_TEXT_HEADS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
# Positions of these begin behind the padding token's: two of them are never used.
_OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl"})
_TOKENIZER_FILES = ("vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tekken.json")
_FLOATS = frozenset({"f32", "f16", "bf16"})
_WORDS = re.compile(r"[^a-z0-9]+")
_THINKS = re.compile(r"enable_thinking|reasoning_content|<think>|<\|channel>|add_thoughts")


def describe(found: FoundModel) -> ModelInfo:
    """What the headers say, under the long name. A model that is broken, or that nothing here can run, is described as
    far as it can be read, with the fault in metadata["error"]."""
    from ..native.formats import open_model_file

    try:
        with closing(open_model_file(found.path)) as file:
            return _info(found, file, _read(found, file))
    except LLMFrameworkError as error:
        return _undescribed(found, error.message)
    except Exception as error:  # one bad file must not hide the others
        return _undescribed(found, f"{found.path}: this file cannot be read ({type(error).__name__}: {error})")


@dataclass
class _Facts:
    """What differs between the ways in which models say what they are."""

    family: str
    architecture: str
    model_type: ModelType
    backend_type: str
    context_length: int | None
    has_tokenizer: bool
    error: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def _read(found: FoundModel, file: ModelFile) -> _Facts:
    from ..native.architecture.hf import is_native

    config = file.hf_config or {}
    if file.format == "gguf" and file.gguf is not None:
        return _gguf_facts(found, file, file.gguf)
    if file.format == "safetensors" and isinstance(config.get("model_type"), str):
        if _is_embedding(found, config):
            return _embedding_facts(found, file, config)
        if not is_native(config):
            return _transformers_facts(found, file, config)
    return _native_facts(found, file)


def _info(found: FoundModel, file: ModelFile, facts: _Facts) -> ModelInfo:
    from ..native.reading.view import narrowest_type

    config = file.hf_config or {}
    views = file.tensors.values()
    num_bytes = _bytes_in_torch(views) if facts.backend_type == "transformers" else file.num_bytes
    metadata: dict[str, Any] = {"format": file.format, "family": facts.family, "architecture": facts.architecture}
    metadata |= {"size_bytes": file.num_bytes, "has_tokenizer": facts.has_tokenizer, **facts.extra}
    if facts.error is not None:
        metadata["error"] = facts.error
    return ModelInfo(
        found.long_name,
        model_type=facts.model_type,
        backend_type=facts.backend_type,
        path=found.path,
        context_length=facts.context_length,
        memory_requirement_gb=round(num_bytes * RUNTIME_OVERHEAD / GIB, 3),
        parameters=_num_parameters(views, config),
        quantization=_packed_as(config) or narrowest_type(views),
        capabilities=_capabilities(facts.model_type, file.chat_template),
        metadata=metadata,
    )


def _undescribed(found: FoundModel, error: str) -> ModelInfo:
    model_type = _type_by_name(found.long_name)
    metadata = {"format": found.kind, "error": error}
    capabilities = _capabilities(model_type, None)
    return ModelInfo(
        found.long_name, model_type=model_type, path=found.path, capabilities=capabilities, metadata=metadata
    )


# ---------------------------------------------------------------------------------------------------- for our engine
def _native_facts(found: FoundModel, file: ModelFile) -> _Facts:
    """Of a model of our engine's families. Raises `ModelLoadError` for what is of none of them."""
    config = file.hf_config or {}
    facts = _Facts(
        family=str(config.get("model_type") or "unknown"),
        architecture=_architecture(config),
        model_type=ModelType.MULTIMODAL if "vision_config" in config else _type_by_name(found.long_name),
        backend_type="native",
        context_length=_context_length(config),
        has_tokenizer=file.tokenizer is not None,
    )
    return _checked(facts, file)


def _gguf_facts(found: FoundModel, file: ModelFile, metadata: GgufMetadata) -> _Facts:
    architecture = metadata.text("general.architecture") or "unknown"
    model_type = _type_by_name(found.long_name)
    if f"{architecture}.pooling_type" in metadata or "bert" in architecture or "embedding" in architecture:
        model_type = ModelType.EMBEDDING
    facts = _Facts(
        family=architecture,
        architecture=architecture,
        model_type=model_type,
        backend_type="native",
        context_length=metadata.integer(f"{architecture}.context_length"),
        has_tokenizer=file.tokenizer is not None,
    )
    return _checked(facts, file)


def _checked(facts: _Facts, file: ModelFile) -> _Facts:
    """What our engine's own reader says, or why it refuses the model."""
    from ..native.header import header_of

    try:
        header = header_of(file)
    except LLMFrameworkError as error:
        facts.error = error.message
        return facts
    facts.family, facts.architecture = header.family, header.architecture
    facts.context_length = header.context_length
    if facts.model_type is ModelType.EMBEDDING:
        facts.error = f"{file.path}: the native engine makes no embeddings; use the model's Hugging Face folder"
    return facts


# --------------------------------------------------------------------------------------------------- for Transformers
def _transformers_facts(found: FoundModel, file: ModelFile, config: Mapping[str, Any]) -> _Facts:
    """Of a folder of an architecture that is not our engine's, but perhaps Transformers'."""
    architecture = _architecture(config)
    fault = _no_generator(config)
    is_chat = file.chat_template is not None and _type_by_name(found.long_name) is not ModelType.COMPLETION
    chat_type = ModelType.MULTIMODAL if "vision_config" in config else ModelType.CHAT
    return _Facts(
        family=str(config["model_type"]),
        architecture=architecture,
        model_type=chat_type if is_chat else ModelType.COMPLETION,
        backend_type="transformers",
        context_length=_context_length(config),
        has_tokenizer=_has_tokenizer(found.path, file),
        error=None if fault is None else f"{found.path}: {fault}",
    )


def fault_of(config: Mapping[str, Any]) -> str | None:
    """Why a config.json, by itself, is of no model that is run here; None where it may be one."""
    from ..native.architecture.hf import is_native

    if not isinstance(config.get("model_type"), str):
        return "config.json names no model_type"
    if is_native(config) or _is_bare_text(config):
        return None
    return _no_generator(config)


def _no_generator(config: Mapping[str, Any]) -> str | None:
    architecture = _architecture(config)
    if not architecture.endswith(_TEXT_HEADS):
        return f"the architecture is {architecture}, which does not generate text"
    if config.get("is_encoder_decoder") is True:
        return f"{architecture} is made of an encoder and a decoder, which is not supported"
    return None


def _is_bare_text(config: Mapping[str, Any]) -> bool:
    """Whether it is a text model without a head, which makes vectors."""
    architecture = _architecture(config)
    is_text = not {"vision_config", "audio_config", "image_size", "num_mel_bins"} & set(config)
    return is_text and architecture.endswith("Model") and not architecture.endswith(_TEXT_HEADS)


def _is_embedding(found: FoundModel, config: Mapping[str, Any]) -> bool:
    """Whether a folder makes vectors of texts: a Sentence Transformers model, or a text encoder without a head."""
    if (found.path / "modules.json").is_file() or _type_by_name(found.long_name) is ModelType.EMBEDDING:
        return True
    tokenizers = ("tokenizer.json", "tokenizer.model", *_TOKENIZER_FILES)
    return _is_bare_text(config) and any((found.path / name).is_file() for name in tokenizers)


def _embedding_facts(found: FoundModel, file: ModelFile, config: Mapping[str, Any]) -> _Facts:
    dimensions = _embedding_dimensions(found.path, config)
    return _Facts(
        family=str(config["model_type"]),
        architecture=_architecture(config),
        model_type=ModelType.EMBEDDING,
        backend_type="transformers",
        context_length=_embedding_context(found.path, config),
        has_tokenizer=_has_tokenizer(found.path, file),
        extra={} if dimensions is None else {"dimensions": dimensions},
    )


def _embedding_context(folder: Path, config: Mapping[str, Any]) -> int | None:
    limit = _first_size(_read_json(folder / "sentence_bert_config.json"), ("max_seq_length",))
    if limit is not None:
        return limit
    length = _context_length(config)
    return length - 2 if length is not None and config.get("model_type") in _OFFSET_POSITIONS else length


def _embedding_dimensions(folder: Path, config: Mapping[str, Any]) -> int | None:
    """The length of a vector: what the last module that changes it makes, else the model's width."""
    modules = _read_json(folder / "modules.json", list)
    paths = [str(module.get("path", "")) for module in modules if isinstance(module, dict)]
    for path in reversed(paths):
        if _WORDS.sub("", path.lower()) and ".." not in path:
            values = _read_json(folder / path / "config.json")
            size = _first_size(values, ("out_features", "word_embedding_dimension"))
            if size is not None:
                return size
    return _first_size(_text_config(config), _WIDTH_NAMES)


def _has_tokenizer(folder: Path, file: ModelFile) -> bool:
    return file.tokenizer is not None or any((folder / name).is_file() for name in _TOKENIZER_FILES)


# -------------------------------------------------------------------------------------------------------- from config
def _architecture(config: Mapping[str, Any]) -> str:
    architectures = config.get("architectures")
    named = architectures[0] if isinstance(architectures, list) and architectures else config.get("model_type")
    return str(named or "unknown")


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    text = config.get("text_config")
    return {**config, **text} if isinstance(text, dict) else config


def _context_length(config: Mapping[str, Any]) -> int | None:
    return _first_size(_text_config(config), CONTEXT_NAMES)


def _first_size(values: Mapping[str, Any], names: Iterable[str]) -> int | None:
    sizes = (values.get(name) for name in names)
    return next((size for size in sizes if type(size) is int and size > 0), None)


def _packed_as(config: Mapping[str, Any]) -> str | None:
    """The name of a quantisation whose tensors do not tell it by their types: gptq-4bit, awq-4bit, fp8."""
    quantization = config.get("quantization_config")
    if not isinstance(quantization, dict) or not isinstance(quantization.get("quant_method"), str):
        return None
    bits = _bits(quantization)
    return str(quantization["quant_method"]) + (f"-{bits}bit" if bits else "")


def _bits(quantization: Mapping[str, Any]) -> int | None:
    if quantization.get("load_in_4bit") is True:
        return 4
    if quantization.get("load_in_8bit") is True:
        return 8
    return _first_size(quantization, ("bits", "w_bit"))


def _num_parameters(views: Iterable[TensorView], config: Mapping[str, Any]) -> int:
    """The number of weights. Where several are packed into an integer, each of them counts."""
    quantization = config.get("quantization_config")
    bits = _bits(quantization) if isinstance(quantization, dict) else None
    packed = {"I32": 32 // bits, "U8": 8 // bits} if bits in (2, 4, 8) else {}
    return sum(view.num_values * packed.get(view.type, 1) for view in views)


def _bytes_in_torch(views: Iterable[TensorView]) -> int:
    """What the weights take in Transformers on a processor, which computes in single precision."""
    return sum(view.num_values * 4 if view.type in _FLOATS else len(view.data) for view in views)


def _type_by_name(long_name: str) -> ModelType:
    words = set(_WORDS.split(long_name))
    if "embedding" in long_name or words & {"embed", "embeddings"}:
        return ModelType.EMBEDDING
    return ModelType.COMPLETION if words & {"pt", "base"} else ModelType.CHAT


def _capabilities(model_type: ModelType, chat_template: str | None) -> frozenset[str]:
    """What can be done with the model here; pictures are read by no backend of this machine."""
    if model_type is ModelType.EMBEDDING:
        return frozenset({"embedding"})
    if model_type is ModelType.COMPLETION:
        return frozenset({"completion", "streaming"})
    thinks = {"thinking"} if chat_template is not None and _THINKS.search(chat_template) else set()
    return frozenset({"chat", "streaming", "tools"} | thinks)


def _read_json(path: Path, kind: type = dict) -> Any:
    """The object in a small file beside the model; an empty one where there is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return kind()
    return values if isinstance(values, kind) else kind()
