"""Plugins: other people's backends and hooks, from named folders, entry points, or registered in code.

A broken plugin is reported (`list_plugins`) and skipped; it never takes the others down. Entry points are listed
without being imported; they are imported when a model is first asked for.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .errors import PluginError
from .logs import get_logger
from .types import GenerationConfig

if TYPE_CHECKING:
    from .backends.base import ModelBackend
    from .registry import ModelInfo

logger = get_logger(__name__)

GROUP = "llm_framework.plugins"


@dataclass(frozen=True, slots=True)
class PluginMetadata:
    """What a plugin says of itself. `supported_backends` are backend types; `dependencies` names distributions that
    must be installed."""

    name: str
    version: str
    description: str = ""
    author: str = ""
    supported_backends: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()


class BaseModelPlugin(ABC):
    """A plugin: it may serve models with a backend of its own, and look at prompts and answers of models it serves."""

    @property
    @abstractmethod
    def metadata(self) -> PluginMetadata:
        """Name, version and the like."""

    def supports_model(self, info: ModelInfo) -> bool:
        """Whether this plugin serves the model. By default: where its backend type is a supported one."""
        return info.backend_type in self.metadata.supported_backends

    async def create_backend(self, info: ModelInfo) -> ModelBackend | None:
        """A backend for the model, or None (the default) where the plugin has hooks only."""
        return None

    async def initialize(self, config: Mapping[str, Any]) -> None:  # noqa: B027 - optional
        """Get ready; `config` is this plugin's part of the setting `plugins`. Called once, before anything else."""

    async def shutdown(self) -> None:  # noqa: B027 - optional
        """Let go of what `initialize` took."""

    async def pre_generate_hook(self, prompt: str, config: GenerationConfig) -> tuple[str, GenerationConfig]:
        """Look at, or change, the last user text and the generation settings before the model sees them."""
        return prompt, config

    async def post_generate_hook(self, prompt: str, response: str, config: GenerationConfig) -> str:
        """Look at, or change, the answer's text."""
        return response


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """One line of `list_plugins`. `source` is a file, an entry point's target or "code"; `error` says why a plugin is
    not there."""

    name: str
    source: str
    loaded: bool = False
    version: str = ""
    description: str = ""
    author: str = ""
    error: str | None = None


@dataclass(slots=True, eq=False)
class _Loaded:
    plugin: BaseModelPlugin
    metadata: PluginMetadata
    source: str
    initialized: bool = False


@dataclass(slots=True)
class _State:
    loaded: dict[str, _Loaded] = field(default_factory=dict)
    failed: dict[str, PluginStatus] = field(default_factory=dict)
    pending: dict[str, EntryPoint] = field(default_factory=dict)


class PluginManager:
    """Finds plugins, keeps them, runs their hooks. `plugin_dirs` are folders with `*.py` files or packages."""

    def __init__(self, plugin_dirs: Iterable[str | Path] = ()) -> None:
        self.plugin_dirs = tuple(Path(folder).expanduser() for folder in plugin_dirs)
        self._settings: dict[str, Mapping[str, Any]] = {}
        self._lock = threading.RLock()
        self._state = _State(pending={point.name: point for point in entry_points(group=GROUP)})

    async def load_plugins(self, settings: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Load the plugins of the named folders and initialise all that are loaded; `settings` is by plugin name.

        May be called again: what is loaded already stays as it is.
        """
        self._settings.update(settings or {})
        with self._lock:
            for folder in self.plugin_dirs:
                self._load_folder(folder)
        await self.initialize_plugins()

    def register_plugin(self, plugin: BaseModelPlugin) -> None:
        """Add a plugin object. Raises `PluginError` where its name is taken."""
        with self._lock:
            self._add(plugin, "code")

    @property
    def has_plugins(self) -> bool:
        """Whether there is any plugin, loaded or to be loaded at its first use."""
        return bool(self._state.loaded or self._state.pending)

    def get_plugin_for_model(self, info: ModelInfo) -> BaseModelPlugin | None:
        """The plugin that serves the model, or None. Of several, the first one loaded."""
        return next(iter(self.plugins_for_model(info)), None)

    def plugins_for_model(self, info: ModelInfo) -> list[BaseModelPlugin]:
        """All plugins that serve the model, in the order they were loaded: their hooks run for it."""
        with self._lock:
            self._load_entry_points()
            loaded = list(self._state.loaded.values())
        return [item.plugin for item in loaded if self._supports(item, info)]

    def list_plugins(self) -> list[PluginStatus]:
        """What is loaded, what failed and why, and what is installed but not imported yet."""
        with self._lock:
            loaded = [_status(item) for item in self._state.loaded.values()]
            pending = [PluginStatus(name, point.value) for name, point in self._state.pending.items()]
            return [*loaded, *self._state.failed.values(), *pending]

    def providers(self) -> dict[str, str]:
        """What may stand before a colon in a model's name, and the backend type it means: plugins' names and those of
        the backends they support."""
        with self._lock:
            names = {name: name for name in self._state.pending}
            for item in self._state.loaded.values():
                backends = item.metadata.supported_backends
                names[item.metadata.name] = backends[0] if backends else item.metadata.name
                names.update({backend: backend for backend in backends})
            return names

    async def initialize_plugins(self) -> None:
        """Initialise what was loaded since the last call."""
        for item in self._take_uninitialized():
            try:
                await item.plugin.initialize(dict(self._settings.get(item.metadata.name, {})))
            except Exception as error:
                with self._lock:
                    self._state.loaded.pop(item.metadata.name, None)
                    self._fail(item.metadata.name, item.source, f"initialize failed: {_say(error)}")

    async def shutdown(self) -> None:
        """Shut every plugin down. They are initialised again at the next use."""
        with self._lock:
            items = [item for item in self._state.loaded.values() if item.initialized]
        for item in items:
            item.initialized = False
            try:
                await item.plugin.shutdown()
            except Exception as error:
                logger.warning("plugin %r: shutdown failed: %s", item.metadata.name, _say(error))

    async def run_pre_hooks(
        self, info: ModelInfo, prompt: str, config: GenerationConfig
    ) -> tuple[str, GenerationConfig]:
        """The prompt and settings after every pre hook. Raises `PluginError` naming the plugin whose hook failed."""
        for plugin in self.plugins_for_model(info):
            if _overrides(plugin, "pre_generate_hook"):
                try:
                    prompt, config = await plugin.pre_generate_hook(prompt, config)
                except Exception as error:
                    raise _hook_error(plugin, "pre_generate_hook", error) from error
        return prompt, config

    async def run_post_hooks(self, info: ModelInfo, prompt: str, response: str, config: GenerationConfig) -> str:
        """The answer's text after every post hook; errors as in `run_pre_hooks`."""
        for plugin in self.plugins_for_model(info):
            if _overrides(plugin, "post_generate_hook"):
                try:
                    response = await plugin.post_generate_hook(prompt, response, config)
                except Exception as error:
                    raise _hook_error(plugin, "post_generate_hook", error) from error
        return response

    # ------------------------------------------------------------------------------------------------------ loading
    def _take_uninitialized(self) -> list[_Loaded]:
        with self._lock:
            items = [item for item in self._state.loaded.values() if not item.initialized]
            for item in items:
                item.initialized = True
            return items

    def _supports(self, item: _Loaded, info: ModelInfo) -> bool:
        try:
            return bool(item.plugin.supports_model(info))
        except Exception as error:
            logger.warning("plugin %r: supports_model failed: %s", item.metadata.name, _say(error))
            return False

    def _load_entry_points(self) -> None:
        pending, self._state.pending = self._state.pending, {}
        for name, point in pending.items():
            try:
                self._add(point.load()(), point.value)
            except Exception as error:
                self._fail(name, point.value, _say(error))

    def _load_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            self._fail(folder.name, str(folder), "the plugin folder does not exist")
            return
        for path in sorted(folder.iterdir()):
            file = path / "__init__.py" if path.is_dir() else path
            if file.suffix == ".py" and file.is_file() and not path.name.startswith((".", "_")):
                self._load_file(file, path.stem)

    def _load_file(self, file: Path, stem: str) -> None:
        module_name = f"_llm_framework_plugin_{stem}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
        if module_name in sys.modules and any(item.source == str(file) for item in self._state.loaded.values()):
            return
        try:
            for plugin_class in _plugin_classes(_import_file(file, module_name)):
                self._add(plugin_class(), str(file))
        except (Exception, SystemExit) as error:  # a script that exits is a broken plugin too
            self._fail(stem, str(file), _say(error))

    def _add(self, plugin: BaseModelPlugin, source: str) -> None:
        if not isinstance(plugin, BaseModelPlugin):
            raise PluginError(f"{source} is no BaseModelPlugin but a {type(plugin).__name__}")
        metadata = plugin.metadata
        if metadata.name in self._state.loaded:
            other = self._state.loaded[metadata.name].source
            raise PluginError(f"the plugin name {metadata.name!r} is taken by {other}", plugin=metadata.name)
        missing = [name for name in metadata.dependencies if not _is_installed(name)]
        if missing:
            raise PluginError(f"it needs packages that are not installed: {', '.join(missing)}", plugin=metadata.name)
        self._state.loaded[metadata.name] = _Loaded(plugin, metadata, source)
        self._state.failed.pop(metadata.name, None)

    def _fail(self, name: str, source: str, reason: str) -> None:
        logger.warning("the plugin %r (%s) is skipped: %s", name, source, reason)
        self._state.failed[name] = PluginStatus(name, source, error=reason)


def _import_file(file: Path, module_name: str) -> ModuleType:
    locations = [str(file.parent)] if file.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(module_name, file, submodule_search_locations=locations)
    if spec is None or spec.loader is None:
        raise PluginError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def _plugin_classes(module: ModuleType) -> Iterator[type[BaseModelPlugin]]:
    """The plugins that the module (or, for a package, a module inside it) defines, not those it merely imports."""
    for value in list(vars(module).values()):
        if not isinstance(value, type) or not issubclass(value, BaseModelPlugin) or inspect.isabstract(value):
            continue
        if value.__module__ == module.__name__ or value.__module__.startswith(f"{module.__name__}."):
            yield value


def _status(item: _Loaded) -> PluginStatus:
    data = item.metadata
    return PluginStatus(data.name, item.source, True, data.version, data.description, data.author)


def _overrides(plugin: BaseModelPlugin, hook: str) -> bool:
    return getattr(type(plugin), hook) is not getattr(BaseModelPlugin, hook)


def _hook_error(plugin: BaseModelPlugin, hook: str, error: Exception) -> PluginError:
    name = plugin.metadata.name
    return PluginError(f"the {hook} of the plugin {name!r} failed: {_say(error)}", plugin=name)


def _is_installed(requirement: str) -> bool:
    name = requirement
    for mark in "[<>=!~; (":
        name = name.partition(mark)[0]
    try:
        distribution(name.strip())
    except PackageNotFoundError:
        return False
    return True


def _say(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
