"""A file's tensors under the engine's names, every one of them there and of the config's shape."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from .architecture.config import ModelConfig
from .architecture.tensor_names import Wanted, gguf_tensors, hf_tensors, sbs_tensors
from .formats.model_file import ModelFile
from .reading.view import ENGINE_TYPES, TensorView, fault

_WANTED: dict[str, Callable[[ModelConfig, Container[str]], Iterable[Wanted]]] = {
    "safetensors": hf_tensors,
    "sbs": sbs_tensors,
    "gguf": gguf_tensors,
}
EngineTensor = tuple[memoryview, str, int, int, float]


def engine_tensors(file: ModelFile, config: ModelConfig) -> dict[str, EngineTensor]:
    """The tensors the engine needs, by its names. Raises `ModelLoadError` where one is missing or misshapen."""
    views = engine_views(file, config)
    if file.format == "gguf" or config.whole_norms:
        views = without_added_one(views, file.path)
    return {name: view.engine_tensor() for name, view in views.items()}


def engine_views(file: ModelFile, config: ModelConfig) -> dict[str, TensorView]:
    """As `engine_tensors`, but as views that still know their names in the file."""
    found: dict[str, TensorView] = {}
    for engine_name, file_name, shape in _WANTED[file.format](config, file.tensors):
        view = file.tensors.get(file_name)
        if view is None:
            raise fault(file.path, f"the tensor {file_name} ({_dims(shape)}) is missing")
        _check_tensor(view, shape, file.path)
        found[engine_name] = view
    return found


def _check_tensor(view: TensorView, shape: tuple[int, int], path: Path) -> None:
    if view.type not in ENGINE_TYPES:
        known = ", ".join(sorted(ENGINE_TYPES))
        raise fault(path, f"the tensor {view.name} has the type {view.type}, which is not supported yet ({known} are)")
    is_stack = len(view.shape) == 3 and view.shape[0] > 1  # of experts' matrices
    if not (len(view.shape) in (1, 2) or is_stack) or (view.rows, view.cols) != shape:
        raise fault(path, f"the tensor {view.name} is {_dims(view.shape)}; the config makes it {_dims(shape)}")


def _dims(shape: Iterable[int]) -> str:
    return " x ".join(str(size) for size in shape) or "a single value"


def without_added_one(views: Mapping[str, TensorView], path: Path) -> dict[str, TensorView]:
    """A GGUF file's tensors by their engine names, with norms as the engine takes them."""
    return {name: _less_one(view, path) if name.endswith("_norm") else view for name, view in views.items()}


def _less_one(view: TensorView, path: Path) -> TensorView:
    """A norm's weight as the engine takes it, which multiplies by one more than that; llama.cpp's converter has added
    the one, and Gemma 4 knows none. Exact for bf16 weights above 1e-5 and for others from 0.5 on, since 1 + (w - 1) is
    w again."""
    import numpy as np

    if view.type == "bf16":
        values = (np.frombuffer(view.data, "<u2").astype("<u4") << 16).view("<f4")
    elif view.type in ("f32", "f16"):
        values = np.frombuffer(view.data, f"<{view.type[0]}{int(view.type[1:]) // 8}").astype("<f4")
    else:
        raise fault(path, f"the tensor {view.name} has the type {view.type}; a norm is f32, f16 or bf16")
    with np.errstate(invalid="ignore"):  # weights that are no numbers stay what they are
        less = values - np.float32(1)
    return replace(view, type="f32", data=memoryview(less.tobytes()))
