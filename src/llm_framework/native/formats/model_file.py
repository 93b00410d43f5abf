"""`ModelFile`: what every format's reader gives."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..reading.view import TensorView
from .gguf_metadata import GgufMetadata
from .gguf_tokenizer import GgufTokenizer
from .sbs_record import SbsConfig

FormatName = Literal["safetensors", "sbs", "gguf"]


@dataclass
class ModelFile:
    """A model as its file or folder holds it: checked, mapped, not yet understood.

    The architecture is in `hf_config` (the JSON object of config.json) where that is set, else in `sbs_config` or
    `gguf`, one of which is. `tokenizer` is a file's path (tokenizer.json or a SentencePiece model), the bytes of a
    SentencePiece model, a GGUF file's arrays from which one is built, or None where there is none. `files` are those
    that the tensors lie in.
    """

    path: Path
    format: FormatName
    tensors: Mapping[str, TensorView]
    num_bytes: int
    hf_config: Mapping[str, Any] | None = None
    sbs_config: SbsConfig | None = None
    gguf: GgufMetadata | None = None
    generation_config: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: Path | bytes | GgufTokenizer | None = None
    chat_template: str | None = None
    files: tuple[Path, ...] = ()
    maps: list[mmap.mmap] = field(default_factory=list)

    def close(self) -> None:
        """Let go of the tensors and, where nobody else holds a view of them, of the map itself."""
        self.tensors = {}
        for mapped in self.maps:
            try:
                mapped.close()
            except BufferError:  # the engine or a caller still reads it: it goes when they do
                pass
        self.maps = []
