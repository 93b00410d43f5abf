"""What a plugin's author writes: a subclass of `BaseModelPlugin` with its `PluginMetadata`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import PluginError
from ..types import GenerationConfig

if TYPE_CHECKING:
    from ..backends.base import ModelBackend
    from ..registry import ModelInfo

API_VERSION = 1
"""The version of the interface below. A plugin that needs a later one says so in its metadata, and is skipped here."""


@dataclass(frozen=True, slots=True)
class PluginMetadata:
    """What a plugin says of itself.

    `supported_backends` are the backend types it serves; each may stand before the colon of a model's name, as may
    `name`. `dependencies` are requirements as pip takes them ("numpy>=2", "llm-framework>=1.4"): where one is not met,
    the plugin is skipped. `api_version` is the version of the plugin interface that it was written for. Raises
    `PluginError` for a field that makes no sense.
    """

    name: str
    version: str
    description: str = ""
    author: str = ""
    supported_backends: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    api_version: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or ":" in self.name:
            raise PluginError(f"a plugin's name is a text without a colon, not {self.name!r}")
        if not isinstance(self.version, str):
            raise PluginError(f"the version of the plugin {self.name!r} is a text, not {self.version!r}")
        for field in ("supported_backends", "dependencies"):
            object.__setattr__(self, field, self._texts(field))

    def _texts(self, field: str) -> tuple[str, ...]:
        value: Any = getattr(self, field)
        if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(item, str) for item in value):
            return tuple(value)
        hint = f": write ({value!r},)" if isinstance(value, str) else ""
        raise PluginError(f"{field} of the plugin {self.name!r} is a tuple of texts, not {value!r}{hint}")


class BaseModelPlugin(ABC):
    """A plugin: it may serve models with a backend of its own, and look at prompts and answers of models it serves.

    It is made without arguments, when the first model is asked for. Its async methods run on the event loop of the
    request that calls them, and must not block it.
    """

    @property
    @abstractmethod
    def metadata(self) -> PluginMetadata:
        """Name, version and the like."""

    def supports_model(self, info: ModelInfo) -> bool:
        """Whether this plugin serves the model. By default: where its backend type is a supported one.

        Asked for every request, so it has to be quick. A model that is named `name:…` with this plugin's name is served
        without asking.
        """
        return info.backend_type in self.metadata.supported_backends

    async def create_backend(self, info: ModelInfo) -> ModelBackend | None:
        """A backend for the model, or None (the default) where the plugin has hooks only."""
        return None

    async def initialize(self, config: Mapping[str, Any]) -> None:  # noqa: B027 - optional
        """Get ready; `config` is this plugin's part of the setting `plugins`. Called once, before anything else but
        `supports_model`. Where it raises, or takes longer than `plugin_timeout`, the plugin is skipped."""

    async def shutdown(self) -> None:  # noqa: B027 - optional
        """Let go of what `initialize` took. A later use calls `initialize` again."""

    async def pre_generate_hook(self, prompt: str, config: GenerationConfig) -> tuple[str, GenerationConfig]:
        """Look at, or change, the last user text and the generation settings before the model sees them."""
        return prompt, config

    async def post_generate_hook(self, prompt: str, response: str, config: GenerationConfig) -> str:
        """Look at, or change, the answer's text. `prompt` is the user's, as it was before any hook; `config` is what
        the model was given. On a stream, what was shown stays shown: the result is the text of the final `response`."""
        return response


HOOKS = ("pre_generate_hook", "post_generate_hook")


def hooks_of(plugin: BaseModelPlugin) -> tuple[str, ...]:
    """The hooks that the plugin has: those it overrides."""
    return tuple(hook for hook in HOOKS if getattr(type(plugin), hook) is not getattr(BaseModelPlugin, hook))
