"""Which models a folder holds, and what they are called. Reads headers, never weights."""

from __future__ import annotations

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import LLMFrameworkError
from .model_info import ModelInfo, ModelType

GIB = 2**30
RUNTIME_OVERHEAD = 1.2  # weights take their own size; caches and scratch space come on top

_SPLIT_GGUF = re.compile(r"-(\d{5})-of-\d{5}$")
_SNAPSHOT = re.compile(r"^models--(?:.+--)?(.+)$")
# Format and quantisation words at the end of a name. Several may follow each other: gemma-2b-it-q4_k_m-gguf.
_SUFFIX = re.compile(
    r"[-_.](sbs|gguf|hf|safetensors|sfp|nuq|bf16|bfloat16|f16|fp16|float16|f32|fp32|float32|fp8|i8|int8|int4|8bit|4bit"
    r"|i?q\d+(?:_[a-z0-9]+){0,2}|single|split)$"
)
# What the config.json files of different families call the number of tokens that a model reads.
CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length")
_TEXT_HEADS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_WORDS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model on disk. `kind` is "safetensors", "sbs" or "gguf"; `long_name` the name before suffixes are dropped;
    `fingerprint` changes when a file of the model does."""

    path: Path
    kind: str
    long_name: str
    fingerprint: str


def scan(folder: Path) -> Iterator[FoundModel]:
    """The models below `folder`. Folders that cannot be read and links that go round in circles are passed over."""
    seen: set[str] = set()
    for directory, subfolders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(directory)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        path = Path(directory)
        if "config.json" in files and any(name.endswith(".safetensors") for name in files):
            yield _found(path, "safetensors", _folder_name(path), _weight_files(path, files))
        for name in sorted(files):
            yield from _found_file(path / name)


def at(path: Path) -> FoundModel:
    """The model at a path that was named, whatever it is called."""
    if path.is_dir():
        return _found(path, "safetensors", _folder_name(path), _weight_files(path, os.listdir(path)))
    return next(_found_file(path), None) or _found(path, path.suffix[1:].lower(), path.stem.lower(), [path])


def describe(found: FoundModel) -> ModelInfo:
    """What the headers say, under the long name. A broken model is described too, with metadata["error"]."""
    from ..native.config import is_native
    from ..native.formats import inspect_model

    config = _hf_config(found.path) if found.kind == "safetensors" else {}
    try:
        if isinstance(config.get("model_type"), str) and not is_native(config):
            return _for_transformers(found, config)
        header = inspect_model(found.path)
    except LLMFrameworkError as error:
        return _undescribed(found, error.message)
    except Exception as error:  # one bad file must not hide the others
        return _undescribed(found, f"{type(error).__name__}: {error}")
    metadata: dict[str, Any] = {"format": header.format, "family": header.family, "architecture": header.architecture}
    metadata["has_tokenizer"] = header.has_tokenizer
    return ModelInfo(
        found.long_name,
        model_type=_model_type(found),
        path=found.path,
        context_length=header.context_length,
        memory_requirement_gb=round(header.num_bytes * RUNTIME_OVERHEAD / GIB, 3),
        parameters=header.num_parameters,
        quantization=header.weight_type,
        metadata=metadata,
    )


def _for_transformers(found: FoundModel, config: Mapping[str, Any]) -> ModelInfo:
    """A folder of an architecture that is not our engine's, but perhaps Transformers'. Raises `ModelLoadError`."""
    from ..native.formats import open_model_file
    from ..native.formats.view import narrowest_type

    architecture = _architecture(config)
    with closing(open_model_file(found.path)) as file:
        metadata: dict[str, Any] = {"format": file.format, "family": config["model_type"], "architecture": architecture}
        metadata["has_tokenizer"] = file.tokenizer is not None
        if not architecture.endswith(_TEXT_HEADS):
            metadata["error"] = f"{found.path}: the architecture is {architecture}, which does not generate text"
        is_chat = file.chat_template is not None and _model_type(found) is not ModelType.COMPLETION
        return ModelInfo(
            found.long_name,
            model_type=ModelType.CHAT if is_chat else ModelType.COMPLETION,
            backend_type="transformers",
            path=found.path,
            context_length=_context_length(config),
            memory_requirement_gb=round(file.num_bytes * RUNTIME_OVERHEAD / GIB, 3),
            parameters=sum(view.num_values for view in file.tensors.values()),
            quantization=narrowest_type(file.tensors.values()),
            metadata=metadata,
        )


def _architecture(config: Mapping[str, Any]) -> str:
    architectures = config.get("architectures")
    return str(architectures[0] if isinstance(architectures, list) and architectures else config["model_type"])


def _context_length(config: Mapping[str, Any]) -> int | None:
    text = config.get("text_config")
    text = {**config, **text} if isinstance(text, dict) else config
    sizes = (text.get(name) for name in CONTEXT_NAMES)
    return next((size for size in sizes if isinstance(size, int) and size > 0), None)


def short_name(long_name: str) -> str:
    """The name less format and quantisation suffixes: `gemma-2b-it-sfp` is `gemma-2b-it`."""
    while match := _SUFFIX.search(long_name):
        if not match.start():
            break
        long_name = long_name[: match.start()]
    return long_name


def assign_names(infos: Iterable[ModelInfo], reserved: Iterable[str] = ()) -> tuple[list[ModelInfo], dict[str, str]]:
    """The infos under their final names, and the other names (aliases) that lead to them.

    Suffixes are dropped where the shorter name stays unique. Two models with the same long name are told apart by
    their format, then by the folder they stand in, then by a number.
    """
    long_infos = _unique_long_names(sorted(infos, key=lambda info: str(info.path)), set(reserved))
    counts = Counter(short_name(info.name) for info in long_infos)
    taken = {info.name for info in long_infos} | set(reserved)
    named: list[ModelInfo] = []
    aliases: dict[str, str] = {}
    for info in long_infos:
        short = short_name(info.name)
        name = short if counts[short] == 1 and (short == info.name or short not in taken) else info.name
        named.append(replace(info, name=name))
        for alias in (info.name, info.path.name.lower() if info.path else info.name):
            if alias != name:
                aliases.setdefault(alias, name)
    return named, aliases


def _unique_long_names(infos: list[ModelInfo], taken: set[str]) -> list[ModelInfo]:
    kinds: dict[str, list[str]] = defaultdict(list)
    for info in infos:
        kinds[info.name].append(_kind(info))
    result = []
    for info in infos:
        name, same = info.name, kinds[info.name]
        if len(same) > 1 or name in taken:
            parent = info.path.parent.name.lower() if info.path else ""
            named = [f"{name}-{_kind(info)}", f"{parent}/{name}"]
            if same.count(_kind(info)) > 1:
                named.reverse()
            candidates = [*named, *(f"{name}-{number}" for number in range(2, len(infos) + 3))]
            name = next(candidate for candidate in candidates if candidate not in taken and candidate not in kinds)
        taken.add(name)
        result.append(replace(info, name=name))
    return result


def _kind(info: ModelInfo) -> str:
    return str(info.metadata.get("format", "")).replace("safetensors", "hf")


# ---------------------------------------------------------------------------------------------------------- one file
def _found_file(path: Path) -> Iterator[FoundModel]:
    suffix = path.suffix.lower()
    if suffix not in (".sbs", ".gguf") or path.name.lower().startswith("mmproj"):
        return  # mmproj: the vision tower of the model beside it
    stem, files = path.stem.lower(), [path]
    if suffix == ".gguf" and (match := _SPLIT_GGUF.search(stem)):
        if int(match.group(1)) != 1:
            return  # the first part speaks for all
        stem = stem[: match.start()]
        files = sorted(path.parent.glob(f"{path.stem[: match.start()]}-*-of-*{path.suffix}"))
    yield _found(path, suffix[1:], stem, files)


def _found(path: Path, kind: str, name: str, files: Iterable[Path]) -> FoundModel:
    return FoundModel(path, kind, name, ";".join(_stamp(file) for file in files))


def _stamp(file: Path) -> str:
    try:
        status = file.stat()
    except OSError:
        return f"{file.name}:?"
    return f"{file.name}:{status.st_size}:{status.st_mtime_ns}"


def _weight_files(folder: Path, files: Iterable[str]) -> list[Path]:
    return [folder / name for name in sorted(files) if name.endswith((".safetensors", ".json", ".jinja", ".model"))]


def _folder_name(path: Path) -> str:
    # Hugging Face's download cache: models--google--gemma-2b-it/snapshots/<commit>
    if path.parent.name == "snapshots" and (match := _SNAPSHOT.match(path.parent.parent.name)):
        return match.group(1).lower()
    return path.resolve().name.lower() if not path.name else path.name.lower()


# ------------------------------------------------------------------------------------------------------- what it says
def _undescribed(found: FoundModel, error: str) -> ModelInfo:
    metadata = {"format": found.kind, "error": error}
    return ModelInfo(found.long_name, model_type=_model_type(found), path=found.path, metadata=metadata)


def _model_type(found: FoundModel) -> ModelType:
    config = _hf_config(found.path) if found.kind == "safetensors" else {}
    words = set(_WORDS.split(found.long_name))
    if "embedding" in found.long_name or (found.path / "modules.json").is_file():
        return ModelType.EMBEDDING
    if "vision_config" in config:
        return ModelType.MULTIMODAL
    if words & {"pt", "base"}:
        return ModelType.COMPLETION
    return ModelType.CHAT


def _hf_config(folder: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}
