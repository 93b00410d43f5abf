"""Model files: what a path holds, its header, its tensors. Reading only; Python only; every format behind one door.

A format is a module here that turns a path into a `ModelFile`, having checked every invariant of its header once.
To add one: write the module, name its first bytes in `_open_file`, map its config in `native/config.py` and its tensor
names in `native/architecture/tensor_names.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..reading.view import STAND_IN_BYTES, TensorView, check_is_itself, checked_size, fault
from .model_file import FormatName, ModelFile

__all__ = ["FormatName", "ModelFile", "TensorView", "open_model_file"]


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
