"""What a model file of the engine's families says of itself, without its weights."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from .config import read_config
from .formats import FormatName, ModelFile, open_model_file
from .weights import engine_views


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
