"""From a model to its backend. Built-in and foreign backends come in by the same door: the entry points of the group
`llm_framework.backends`, of which only the one that is asked for is imported. Foreign ones cannot take the names of
built-in ones, and whatever they do wrong is a typed error that names them."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from .. import redaction
from ..errors import ConfigurationError, LLMFrameworkError, MissingDependencyError, PluginError
from ..logs import get_logger
from ..plugins.loading import say, within
from ..plugins.manager import TIME_LIMIT
from ..plugins.status import Fault
from .base import ModelBackend

if TYPE_CHECKING:
    from ..registry import ModelInfo

logger = get_logger(__name__)

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
    where its SDK is not installed; `PluginError` where a foreign one cannot be made.
    """
    name = model_info.backend_type
    backend_class = load_backend_class(name)
    if name in BUILT_IN:
        return backend_class(model_info, settings)
    try:
        return backend_class(model_info, settings)
    except (LLMFrameworkError, KeyboardInterrupt):
        raise
    except BaseException as error:
        message = f"the backend {name!r} could not be made for {model_info.name!r}: {say(error)}"
        raise PluginError(message, plugin=name, model=model_info.name) from redaction.clean(error)


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
    return _load_ours(name, entry_point) if name in BUILT_IN else _load_foreign(name, entry_point)


def _load_ours(name: str, entry_point: EntryPoint) -> type[ModelBackend]:
    try:
        loaded: type[ModelBackend] = entry_point.load()
    except MissingDependencyError:
        raise
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing and missing != "llm_framework":
            raise MissingDependencyError(f"the backend {name!r}", _EXTRAS.get(name, name), provider=name) from error
        message = f"the backend {name!r} ({entry_point.value}) cannot be imported: {error}"
        raise ConfigurationError(message, provider=name) from error
    return loaded


def _load_foreign(name: str, entry_point: EntryPoint) -> type[ModelBackend]:
    """Under a time limit, and prepared for anything."""
    try:
        loaded = within(TIME_LIMIT, "its import", entry_point.load)
        if not (isinstance(loaded, type) and issubclass(loaded, ModelBackend)):
            raise Fault("incompatible", "it is no subclass of ModelBackend")
    except Fault as fault:
        message = f"the backend {name!r} ({entry_point.value}) cannot be used ({fault.state}): {fault.reason}"
        raise ConfigurationError(message, provider=name) from fault
    return loaded


@lru_cache(maxsize=1)
def _entry_points() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in sorted(_all_entry_points(), key=lambda point: (point.name, point.value)):
        if point.value.startswith("llm_framework."):  # metadata of another version may name what is not there
            if point.value != BUILT_IN.get(point.name) or _exists(point.module):
                found[point.name] = point
        elif point.name in BUILT_IN:
            logger.warning("the backend %s is left out: %r is the name of a built-in one", point.value, point.name)
        else:
            found.setdefault(point.name, point)
    return found


def _all_entry_points() -> list[EntryPoint]:
    try:
        return list(entry_points(group=GROUP))
    except Exception as error:  # a broken distribution; the built-in backends are known without
        logger.warning("the entry points of %s cannot be read: %s: %s", GROUP, type(error).__name__, error)
        return []


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False
