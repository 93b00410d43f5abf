"""How much memory the loaded models of this machine may take together (`memory_limit_gb`), and who makes room."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeVar

from ..errors import ModelLoadError
from ..registry.model_info import ModelInfo

GIB = 1 << 30
# Bits a weight of what quantising at load makes, over those of what it is made from.
_QUANTIZED_BITS = {"q8": 8.5, "q4": 4.5}
_PLAIN_BITS = {"f32": 32.0, "bf16": 16.0, "f16": 16.0}


class Loaded(Protocol):
    """What is asked of a loaded model: how many requests hold it, whether it goes anyway, when it was last let go."""

    users: int
    retired: bool
    last_used: float
    memory_gb: float


Model = TypeVar("Model", bound=Loaded)


def memory_of(info: ModelInfo, quantization: str | None = None) -> float:
    """GB (2^30 bytes) that the model takes when loaded; 0 for one that runs elsewhere or of which nothing is known."""
    if not info.is_local:
        return 0.0
    needed = info.memory_requirement_gb
    if needed is None:
        needed = _size_of(info.path) / GIB
    bits, wanted = _PLAIN_BITS.get(str(info.quantization)), _QUANTIZED_BITS.get(str(quantization))
    return needed if bits is None or wanted is None else needed * wanted / bits


def check_fits(info: ModelInfo, needed: float, limit: float | None) -> None:
    """Raise `ModelLoadError` for a model that the limit never lets in."""
    if limit is not None and needed > limit:
        message = (
            f"the model {info.name!r} needs {needed:.2f} GB, and memory_limit_gb is {limit:g}; raise the limit, "
            'choose a smaller model, or load it with quantization="q8" or "q4"'
        )
        raise ModelLoadError(message, model=info.name)


def to_evict(loaded: Iterable[Model], needed: float, limit: float) -> list[Model] | None:
    """The idle models, used longest ago first, that must go so that `needed` GB fit; None where they are too few."""
    models = list(loaded)
    free = limit - sum(model.memory_gb for model in models)
    chosen: list[Model] = []
    idle = [model for model in models if model.users == 0 and not model.retired]
    for model in sorted(idle, key=lambda m: m.last_used):
        if needed <= free:
            break
        chosen.append(model)
        free += model.memory_gb
    return chosen if needed <= free else None


def _size_of(path: str | Path | None) -> int:
    if path is None:
        return 0
    place = Path(path)
    files = place.rglob("*") if place.is_dir() else (place,)
    try:
        return sum(file.stat().st_size for file in files if file.is_file())
    except OSError:
        return 0
