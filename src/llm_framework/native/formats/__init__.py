"""Model files: what a path holds, its header, its tensors. Reading only; Python only; every format behind one door.

A format is a module here that turns a path into a `ModelFile`, having checked every invariant of its header once.
To add one: write the module, name its first bytes in `_open_file`, map its config in `native/config.py` and its tensor
names in `native/names.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .model_file import FormatName, ModelFile
from .view import STAND_IN_BYTES, TensorView, check_is_itself, checked_size, fault

__all__ = ["FormatName", "ModelFile", "ModelHeader", "TensorView", "header_of", "inspect_model", "open_model_file"]


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """What a model file or folder says of itself, read from headers alone (milliseconds, no weights).

    `family` is "gemma1", "gemma2", "gemma3", "gemma3n" or "gemma4"; `architecture` the file's own word for it;
    `context_length` is in tokens; `num_parameters` counts the values of all tensors; `weight_type` is the narrowest
    number format of the matrices ("f32", "bf16", "f16", "sfp"); `num_bytes` is the size of the weight files;
    `has_tokenizer` and `has_chat_template` say whether those come with it.
    """

    path: Path
    format: FormatName
    family: str
    architecture: str
    context_length: int
    num_parameters: int
    weight_type: str
    num_bytes: int
    vocab_size: int
    has_tokenizer: bool
    has_chat_template: bool


def inspect_model(path: str | Path) -> ModelHeader:
    """The header of the model at `path` (a file, or a Hugging Face folder).

    Raises `ModelLoadError`, naming the file and the fault, for what is broken, unsupported or no model at all.
    """
    with closing(open_model_file(path)) as file:
        return header_of(file)


def header_of(file: ModelFile) -> ModelHeader:
    """The header of a file that is open, for the families of the engine. Raises `ModelLoadError`."""
    from ..config import read_config
    from ..names import engine_views

    config = read_config(file)
    engine_views(file, config)
    return ModelHeader(
        path=file.path,
        format=file.format,
        family=config.family,
        architecture=config.architecture,
        context_length=config.max_seq_len,
        num_parameters=sum(view.num_values for view in file.tensors.values()),
        weight_type=config.weight_type,
        num_bytes=file.num_bytes,
        vocab_size=config.vocab_size,
        has_tokenizer=file.tokenizer is not None,
        has_chat_template=file.chat_template is not None,
    )


def open_model_file(path: str | Path, config: Mapping[str, Any] | None = None) -> ModelFile:
    """Open and check the model at `path`; `config` is a config.json's content for files that carry none.

    Raises `ModelLoadError`.
    """
    from .safetensors import open_folder

    path = Path(path).expanduser()
    if path.is_dir():
        return open_folder(path, config)
    return _open_file(path, config)


def _open_file(path: Path, config: Mapping[str, Any] | None) -> ModelFile:
    from .gguf import open_gguf
    from .safetensors import open_folder
    from .sbs import open_sbs

    start = _first_bytes(path)
    if start[:4] == b"SBS\n":
        return open_sbs(path, config)
    if start[:4] == b"GGUF":
        return open_gguf(path, config)
    if path.suffix == ".safetensors":
        return open_folder(path.parent, config, weights=path)
    if not start:
        raise fault(path, "this file is empty")
    kinds = {".gguf": "GGUF", ".sbs": "SBS"}
    if path.suffix.lower() in kinds:
        kind = kinds[path.suffix.lower()]
        raise fault(path, f"this is no {kind} file: it begins with {start[:4]!r}, and one begins with {kind!r}")
    what = "is neither an .sbs, a .gguf nor a .safetensors file"
    raise fault(path, f"this file {what}; a Hugging Face model is opened by its folder")


def _first_bytes(path: Path) -> bytes:
    checked_size(path, "model file")
    try:
        with open(path, "rb") as file:
            start = file.read(STAND_IN_BYTES)
    except OSError as error:
        raise fault(path, f"this file cannot be read ({error.strerror})") from None
    check_is_itself(path, start)
    return start
