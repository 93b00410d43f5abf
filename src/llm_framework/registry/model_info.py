"""`ModelInfo` and `ModelType`: what is known of a model before it is loaded. Plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any

from ..errors import InvalidRequestError

# A backend of neither kind, a plugin's, is local where the model has a path.
LOCAL_BACKENDS = frozenset({"native", "transformers", "fake"})


class ModelType(str, Enum):
    """What a model is for."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"
    MULTIMODAL = "multimodal"

    def __str__(self) -> str:
        return self.value


_CAPABILITIES: dict[ModelType, tuple[str, ...]] = {
    ModelType.CHAT: ("chat", "streaming"),
    ModelType.COMPLETION: ("completion", "streaming"),
    ModelType.EMBEDDING: ("embedding",),
    ModelType.MULTIMODAL: ("chat", "images", "streaming"),
}


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model, under the name it is asked for by.

    `context_length` is in tokens; `parameters` is their number; `quantization` the number format of the weights.
    `capabilities` and `is_local` follow from the type and the backend where they are not given. In `metadata`:
    "provider" and "model_id" (a cloud model's name there), "format", "family", "size_bytes" (of the weight files),
    "has_tokenizer", "dimensions" (of an embedding model's vectors), "error" (why a model on disk cannot be used).
    """

    name: str
    model_type: ModelType = ModelType.CHAT
    backend_type: str = "native"
    path: Path | None = None
    context_length: int | None = None
    memory_requirement_gb: float | None = None
    parameters: int | None = None
    quantization: str | None = None
    capabilities: frozenset[str] = frozenset()
    is_local: bool | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"a model needs a name, not {self.name!r}")
        set_field = object.__setattr__
        set_field(self, "model_type", ModelType(self.model_type))
        set_field(self, "capabilities", _as_set(self.capabilities) or frozenset(_CAPABILITIES[self.model_type]))
        path: Any = self.path
        if path is not None and not isinstance(path, Path):
            set_field(self, "path", Path(path))
        if not isinstance(self.metadata, Mapping):
            raise TypeError(f"metadata is a mapping, not {self.metadata!r}")
        if self.is_local is None:
            set_field(self, "is_local", self.path is not None or self.backend_type in LOCAL_BACKENDS)

    @property
    def error(self) -> str | None:
        """Why the model cannot be used, where that is known already."""
        return self.metadata.get("error")

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        values = {name: getattr(self, name) for name in _FIELDS}
        path = None if self.path is None else str(self.path)
        capabilities = sorted(self.capabilities)
        return {**values, "path": path, "model_type": self.model_type.value, "capabilities": capabilities,
                "metadata": dict(self.metadata)}  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelInfo:
        """The inverse of `to_dict`; fields that this version does not know are left out."""
        return cls(**{name: value for name, value in values.items() if name in _FIELDS})


_FIELDS = tuple(item.name for item in fields(ModelInfo))


def _as_set(values: Iterable[str] | str) -> frozenset[str]:
    return frozenset([values] if isinstance(values, str) else values or ())


def selected(
    infos: Iterable[ModelInfo],
    local_only: bool | None = None,
    model_type: ModelType | str | None = None,
    backend_type: str | None = None,
) -> list[ModelInfo]:
    """Those that are as each argument says that is given, sorted by name. Raises `InvalidRequestError` for a type that
    is none."""
    try:
        wanted = ModelType(model_type) if model_type is not None else None
    except ValueError:
        known = ", ".join(member.value for member in ModelType)
        raise InvalidRequestError(f"no model type is named {model_type!r}; there are {known}") from None
    return [
        info
        for info in sorted(infos, key=lambda info: info.name)
        if (not local_only or info.is_local)
        and wanted in (None, info.model_type)
        and backend_type in (None, info.backend_type)
    ]
