"""From a model to its backend. Built-in and foreign backends come in by the same door: the entry points of the group
`llm_framework.backends`, of which only the one that is asked for is imported."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, MissingDependencyError
from .base import ModelBackend

if TYPE_CHECKING:
    from ..registry import ModelInfo

GROUP = "llm_framework.backends"

# What the package's own entry points say, for where it runs without being installed (from a source folder).
BUILT_IN: dict[str, str] = {
    "native": "llm_framework.native.backend:GemmaNativeBackend",
    "transformers": "llm_framework.backends.transformers:HuggingFaceBackend",
    "google": "llm_framework.backends.google:GoogleBackend",
    "openai": "llm_framework.backends.openai:OpenAIBackend",
    "openai_compatible": "llm_framework.backends.openai_compatible:OpenAICompatibleBackend",
    "anthropic": "llm_framework.backends.anthropic:AnthropicBackend",
    "fake": "llm_framework.testing:FakeBackend",
}
_EXTRAS = {"openai_compatible": "openai-compatible"}  # where the extra is not named like the backend


def create_backend(model_info: ModelInfo, settings: Mapping[str, Any] | None = None) -> ModelBackend:
    """The backend that `model_info.backend_type` names, not loaded yet.

    Raises `ConfigurationError` where there is no such backend (naming those there are) and `MissingDependencyError`
    where its SDK is not installed.
    """
    backend_class = load_backend_class(model_info.backend_type)
    return backend_class(model_info, settings)


def backend_names() -> list[str]:
    """The backends that can be created here, sorted. Imports none of them."""
    built_in = {name for name, target in BUILT_IN.items() if _exists(target.partition(":")[0])}
    return sorted(built_in | set(_entry_points()))


def load_backend_class(name: str) -> type[ModelBackend]:
    """Import the class of one backend; errors as `create_backend`."""
    entry_point = _entry_points().get(name)
    if entry_point is None and name in BUILT_IN and _exists(BUILT_IN[name].partition(":")[0]):
        entry_point = EntryPoint(name, BUILT_IN[name], GROUP)
    if entry_point is None:
        there_are = ", ".join(known for known in backend_names() if known != "fake")
        raise ConfigurationError(f"this installation has no backend named {name!r}; it has {there_are}")
    try:
        loaded = entry_point.load()
    except MissingDependencyError:
        raise
    except ImportError as error:
        raise _explain_import_error(name, entry_point, error) from error
    except AttributeError as error:
        raise ConfigurationError(f"the backend {name!r} ({entry_point.value}) cannot be loaded: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, ModelBackend)):
        raise ConfigurationError(f"the backend {name!r} ({entry_point.value}) is no subclass of ModelBackend")
    return loaded


def _explain_import_error(name: str, entry_point: EntryPoint, error: ImportError) -> ConfigurationError:
    ours = entry_point.value.startswith("llm_framework.")
    missing = (error.name or "").partition(".")[0]
    if ours and missing and missing != "llm_framework":
        return MissingDependencyError(f"the backend {name!r}", _EXTRAS.get(name, name), provider=name)
    return ConfigurationError(f"the backend {name!r} ({entry_point.value}) cannot be imported: {error}", provider=name)


@lru_cache(maxsize=1)
def _entry_points() -> dict[str, EntryPoint]:
    # An entry point of ours whose module is not there comes from metadata of another version: leave it out.
    found = {point.name: point for point in entry_points(group=GROUP)}
    return {name: point for name, point in found.items() if point.value != BUILT_IN.get(name) or _exists(point.module)}


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False
