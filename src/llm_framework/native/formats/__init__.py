"""Model files: what a path holds, its header, its tensors. Reading only; Python only; every format behind one door.

A format is a module here that turns a path into a `ModelFile`, having checked every invariant of its header once.
To add one: write the module, name its first bytes in `_open_file`, map its config in `native/config.py` and its tensor
names in `native/names.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FormatName = Literal["safetensors", "sbs"]


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """What a model file or folder says of itself, read from headers alone (milliseconds, no weights).

    `family` is "gemma1", "gemma2" or "gemma3"; `architecture` the file's own word for it; `context_length` is in
    tokens; `num_parameters` counts the values of all tensors; `weight_type` is the narrowest number format of the
    matrices ("f32", "bf16", "f16", "sfp"); `num_bytes` is the size of the weight files; `has_tokenizer` and
    `has_chat_template` say whether those come with it.
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
    raise NotImplementedError
