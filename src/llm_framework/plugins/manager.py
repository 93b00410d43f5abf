"""`PluginManager`: which plugins there are, which of them can be used, and their life from import to shutdown."""

from __future__ import annotations

import asyncio
import difflib
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from ..errors import PluginError
from ..logs import get_logger
from ..types import GenerationConfig
from . import hooks, loading, sources
from .base import BaseModelPlugin, PluginMetadata, hooks_of
from .calls import fault_of
from .sources import Source
from .status import Fault, PluginStatus

if TYPE_CHECKING:
    from ..registry import ModelInfo

logger = get_logger(__name__)

IN_CODE = "code"  # where a plugin is that was registered in code
TIME_LIMIT = 30.0  # seconds for each of: an import, making a plugin, its initialize, its shutdown


@dataclass(slots=True, eq=False)
class _Loaded:
    """A plugin that can be used. `names` always lead to it: its own, and that of its entry point or file."""

    plugin: BaseModelPlugin
    metadata: PluginMetadata
    where: str
    names: tuple[str, ...]
    is_ready: bool = False  # initialize was called, and went well
    starting: Future[None] | None = None  # these two are set while initialize runs
    task: asyncio.Task[None] | None = None
    has_warned: bool = False

    def status(self) -> PluginStatus:
        data = self.metadata
        serves = tuple(dict.fromkeys((*data.supported_backends, data.name)))
        facts = (data.version, data.description, data.author, serves, hooks_of(self.plugin))
        return PluginStatus(data.name, self.where, "loaded", *facts)


@dataclass(slots=True)
class _State:
    pending: dict[str, Source] = field(default_factory=dict)  # by where they are
    loaded: dict[str, _Loaded] = field(default_factory=dict)  # by the plugin's name, in the order of loading
    failed: dict[tuple[str, str], PluginStatus] = field(default_factory=dict)  # by where they are, and name


class PluginManager:
    """Finds plugins, keeps them, runs their hooks. May be used from several threads and event loops.

    `plugin_dirs` are folders with `*.py` files or packages. The order of plugins, which is that of their hooks and says
    who serves a model that several could: those registered in code, then the folders as they are given, each by file
    name, then installed ones by the name of their entry point. `time_limit` is in seconds, for each import,
    `initialize` and `shutdown`.
    """

    def __init__(self, plugin_dirs: Iterable[str | Path] = (), *, time_limit: float = TIME_LIMIT) -> None:
        self.plugin_dirs = tuple(Path(folder).expanduser() for folder in plugin_dirs)
        self.time_limit = time_limit
        self.generation = 0  # goes up whenever `providers` may say something new
        self._settings: dict[str, Mapping[str, Any]] = {}
        self._lock = threading.RLock()  # guards the state, never held while a plugin's code runs
        self._loading = threading.Lock()  # held by the thread that imports
        self._installed = sources.installed()
        self._state = _State()
        self._find()

    # ------------------------------------------------------------------------------------------------------- life cycle
    def configure(self, settings: Mapping[str, Mapping[str, Any]]) -> None:
        """What `initialize` of each plugin is to be given, by the plugin's name. Imports nothing."""
        self._settings.update(settings)

    async def load_plugins(self, settings: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Load the plugins of the named folders now, and initialise all that are loaded; `settings` is by plugin name.

        May be called again: what is loaded already stays as it is, what failed is tried anew. Installed plugins
        are imported when the first model is asked for.
        """
        self.configure(settings or {})
        with self._lock:
            self._state.failed = {key: status for key, status in self._state.failed.items() if key[0] == IN_CODE}
            self._find()
        await anyio.to_thread.run_sync(self._import_pending, True, abandon_on_cancel=True)
        await self.initialize_plugins()

    async def ready(self) -> None:
        """Import every plugin that is not yet, in a thread, and initialise them: what the first request waits for."""
        if self._state.pending:
            await anyio.to_thread.run_sync(self.load_pending, abandon_on_cancel=True)
            self._check_settings()
        await self.initialize_plugins()

    def load_pending(self) -> None:
        """Import every plugin that is not yet, and wait for it. Initialises none."""
        if self._state.pending:
            self._import_pending(False)

    def register_plugin(self, plugin: BaseModelPlugin) -> None:
        """Add a plugin object. Raises `PluginError` where its name is taken, or it cannot be used here."""
        try:
            self._add(*loading.check(plugin), IN_CODE)
        except Fault as fault:
            raise PluginError(f"the plugin {type(plugin).__name__} cannot be registered: {fault.reason}") from fault

    async def initialize_plugins(self) -> None:
        """Initialise what was loaded since the last call; of several callers one does it, and the others wait."""
        for item in list(self._state.loaded.values()):
            await self._initialize(item)

    async def shutdown(self) -> None:
        """Shut every plugin down, the last one loaded first. They are initialised again at the next use."""
        with self._lock:
            items = [item for item in reversed(self._state.loaded.values()) if item.is_ready]
            for item in items:
                item.is_ready = False
        for item in items:
            fault = await fault_of("shutdown", item.plugin.shutdown, self.time_limit)
            if fault is not None:
                logger.warning("the plugin %r: %s", item.metadata.name, fault.reason)

    # ------------------------------------------------------------------------------------------------------- looking up
    @property
    def is_ready(self) -> bool:
        """Whether `ready` has nothing to do."""
        return not self._state.pending and all(item.is_ready for item in list(self._state.loaded.values()))

    @property
    def has_plugins(self) -> bool:
        """Whether there is any plugin, loaded or to be loaded at its first use."""
        return bool(self._state.loaded or self._state.pending)

    def get_plugin_for_model(self, info: ModelInfo) -> BaseModelPlugin | None:
        """The plugin that serves the model, or None. Of several, the first one. Imports what is not imported yet."""
        self.load_pending()
        return next(iter(self.plugins_for_model(info)), None)

    def plugins_for_model(self, info: ModelInfo) -> list[BaseModelPlugin]:
        """All plugins that serve the model, of those that are loaded, in their order."""
        return [item.plugin for item in list(self._state.loaded.values()) if self._serves(item, info)]

    def list_plugins(self) -> list[PluginStatus]:
        """What is loaded, what cannot be used and why, and what was found and not imported yet. Imports nothing."""
        with self._lock:
            self._find()
            loaded = [item.status() for item in self._state.loaded.values()]
            pending = [source.status() for source in self._state.pending.values()]
            return [*loaded, *self._state.failed.values(), *pending, *sources.installed_backends()]

    def providers(self) -> dict[str, str]:
        """What may stand before a colon in a model's name, and the backend type it means: the names of plugins, also
        of those that are not loaded, and of the backends they support."""
        with self._lock:
            names = {source.name: source.name for source in self._state.pending.values()}
            names.update({name: name for status in self._state.failed.values() for name in status.serves})
            for item in self._state.loaded.values():
                backends = item.metadata.supported_backends
                names.update({name: backends[0] if backends else name for name in item.names})
                names.update({backend: backend for backend in backends})
            return names

    def failure_for(self, info: ModelInfo) -> PluginStatus | None:
        """The plugin that would serve the model, were it not for its fault."""
        wanted = {info.backend_type, info.metadata.get("provider")}
        return next((status for status in list(self._state.failed.values()) if wanted & set(status.serves)), None)

    # ------------------------------------------------------------------------------------------------------------ hooks
    async def run_pre_hooks(
        self, info: ModelInfo, prompt: str, config: GenerationConfig
    ) -> tuple[str, GenerationConfig]:
        """The prompt and settings after every pre hook. Raises `PluginError` naming the plugin whose hook failed."""
        return await hooks.run_pre(self._with_hook("pre_generate_hook", info), prompt, config)

    async def run_post_hooks(self, info: ModelInfo, prompt: str, response: str, config: GenerationConfig) -> str:
        """The answer's text after every post hook; errors as in `run_pre_hooks`."""
        return await hooks.run_post(self._with_hook("post_generate_hook", info), prompt, response, config)

    def _with_hook(self, hook: str, info: ModelInfo) -> list[BaseModelPlugin]:
        having = [item for item in list(self._state.loaded.values()) if hook in hooks_of(item.plugin)]
        return [item.plugin for item in having if self._serves(item, info)]

    def _serves(self, item: _Loaded, info: ModelInfo) -> bool:
        if info.backend_type in item.names:
            return True
        try:
            return bool(item.plugin.supports_model(info))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if not item.has_warned:  # it is asked for every request
                item.has_warned = True
                logger.warning("the plugin %r: supports_model failed: %s", item.metadata.name, loading.say(error))
            return False

    # ---------------------------------------------------------------------------------------------------------- loading
    def _find(self) -> None:
        """Enter what is there now and is not known yet."""
        known = {item.where for item in self._state.loaded.values()} | {where for where, _ in self._state.failed}
        found: list[Source] = []
        for folder in self.plugin_dirs:
            try:
                found += sources.in_folder(folder)
            except Fault as fault:
                if str(folder) not in known:
                    self._fail(Source(folder.name, str(folder)), fault)
        for source in (*found, *self._installed):
            if source.where not in known and source.where not in self._state.pending:
                self._enter(source)

    def _enter(self, source: Source) -> None:
        try:
            source.check_trust()
        except Fault as fault:
            self._fail(source, fault)
            return
        self._state.pending[source.where] = source
        self.generation += 1

    def _import_pending(self, folders_only: bool) -> None:
        with self._loading:  # others wait here until what they need is imported
            for source in list(self._state.pending.values()):
                if source.file is not None or not folders_only:
                    self._load(source)
                    with self._lock:
                        self._state.pending.pop(source.where, None)

    def _load(self, source: Source) -> None:
        try:
            makers = loading.makers(source, self.time_limit)
        except Fault as fault:
            self._fail(source, fault)
            return
        for maker in makers:
            try:
                plugin, metadata = loading.make(maker, self.time_limit)
                self._add(plugin, metadata, source.where, source.name)
            except Fault as fault:
                self._fail(source, fault, getattr(maker, "__name__", "") if len(makers) > 1 else "")

    def _add(self, plugin: BaseModelPlugin, metadata: PluginMetadata, where: str, *aliases: str) -> None:
        with self._lock:
            if (other := self._state.loaded.get(metadata.name)) is not None:
                raise Fault("incompatible", f"the plugin name {metadata.name!r} is taken by {other.where}")
            names = tuple(dict.fromkeys((metadata.name, *aliases)))
            is_ready = type(plugin).initialize is BaseModelPlugin.initialize  # there is nothing to do
            loaded = {**self._state.loaded, metadata.name: _Loaded(plugin, metadata, where, names, is_ready)}
            self._state.loaded = dict(sorted(loaded.items(), key=lambda named: self._rank(named[1])))
            self.generation += 1

    def _rank(self, item: _Loaded) -> tuple[int, int, str]:
        """Where the plugin stands in the order; those that are equal stay as they came."""
        if item.where == IN_CODE:
            return 0, 0, ""
        for number, folder in enumerate(self.plugin_dirs):
            if Path(item.where).is_relative_to(folder):
                return 1, number, item.where
        return 2, 0, item.names[-1]  # the entry point's name

    def _fail(self, source: Source, fault: Fault, part: str = "") -> None:
        logger.warning("the plugin %r (%s) is skipped: %s", source.name, source.where, fault.reason)
        name = f"{source.name}.{part}" if part else source.name
        with self._lock:
            status = replace(source.status(), name=name, state=fault.state, error=fault.reason)
            self._state.failed[source.where, name] = status
            self.generation += 1

    async def _initialize(self, item: _Loaded) -> None:
        while not item.is_ready and self._state.loaded.get(item.metadata.name) is item:
            with self._lock:
                if item.starting is None:
                    item.starting = Future()
                    item.starting.set_running_or_notify_cancel()  # a waiter that is cancelled leaves it to the others
                    item.task = asyncio.ensure_future(self._start(item, item.starting))
                starting = item.starting
            await asyncio.wrap_future(starting)  # then look again: its event loop may have ended meanwhile

    async def _start(self, item: _Loaded, started: Future[None]) -> None:
        """As a task of its own: it goes on where the request that began it is cancelled."""
        try:
            self._settle(item, await fault_of("initialize", lambda: self._initialized(item), self.time_limit))
        finally:
            item.starting = item.task = None
            started.set_result(None)

    async def _initialized(self, item: _Loaded) -> None:
        settings = next((self._settings[name] for name in item.names if name in self._settings), {})
        await item.plugin.initialize(dict(settings))

    def _settle(self, item: _Loaded, fault: Fault | None) -> None:
        if fault is None:
            item.is_ready = True
            return
        logger.warning("the plugin %r (%s) is skipped: %s", item.metadata.name, item.where, fault.reason)
        with self._lock:
            self._state.loaded.pop(item.metadata.name, None)
            status = replace(item.status(), state=fault.state, error=fault.reason)
            self._state.failed[item.where, item.metadata.name] = replace(status, serves=(*status.serves, *item.names))
            self.generation += 1

    def _check_settings(self) -> None:
        """Say which settings are for a plugin that is not there."""
        known = {name for item in list(self._state.loaded.values()) for name in item.names}
        known |= {status.name for status in list(self._state.failed.values())}
        for name in sorted(set(self._settings) - known):
            near = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(known)) or 'none'}"
            logger.warning("the setting `plugins` names %r, and there is no such plugin; %s", name, hint)
