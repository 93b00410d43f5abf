"""The backends that are loaded: one a model, loaded once however many ask at a time, freed after the last use.

With `memory_limit_gb` set, a model that is to be loaded takes the place of the idle ones that were used longest ago; it
waits where all that are in its way are busy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread

from .. import redaction, secrets
from ..backends import backend_names, create_backend
from ..backends.base import ModelBackend
from ..config import LLMConfig
from ..errors import LLMFrameworkError, ModelLoadError, PluginError
from ..logs import get_logger
from ..plugins import BaseModelPlugin, PluginManager
from ..plugins.calls import OUR_OWN, called
from ..plugins.loading import say
from ..registry.model_info import ModelInfo
from . import memory
from .limiter import Limiter

ROOM_SECONDS = 0.05  # between two looks whether a busy model has become idle

logger = get_logger(__name__)


class Entry:
    """A model's backend, None until it is loaded. `users` counts the requests that hold it; a retired one is freed by
    the last of them. `memory_gb` is what it takes from the time on when its loading begins."""

    def __init__(self, info: ModelInfo) -> None:
        self.info = info
        self.memory_gb = 0.0
        self.last_used = 0.0  # on time.monotonic's clock
        self.backend: ModelBackend | None = None
        self.users = 0
        self.retired = False
        self.loading = Limiter(1)  # a mutex that works over several event loops


class BackendPool:
    """Loads and keeps backends, for all threads and event loops."""

    def __init__(self, config: LLMConfig, plugins: PluginManager) -> None:
        self._config = config
        self._plugins = plugins
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self._retiring: set[Entry] = set()  # no longer to be had, and not freed yet

    @asynccontextmanager
    async def use(self, info: ModelInfo) -> AsyncIterator[ModelBackend]:
        """The model's backend, loaded, and kept so until the block is left."""
        entry = self.enter(info)
        try:
            yield await self.loaded(entry)
        finally:
            await self.leave(entry)

    async def unload(self, name: str) -> bool:
        """Free the model: now, or after the last request that uses it. False where it was not loaded."""
        with self._lock:
            entry = self._entries.pop(name, None)
            if entry is None:
                return False
            self._retire(entry)
            free_now = entry.users == 0
        if free_now:
            await self._free(entry)
        return True

    async def unload_all(self) -> None:
        """Free every model."""
        for name in list(self._entries):
            await self.unload(name)

    def loaded_models(self) -> list[str]:
        """Names of the models that are loaded."""
        with self._lock:
            return sorted(name for name, entry in self._entries.items() if entry.backend is not None)

    def enter(self, info: ModelInfo) -> Entry:
        """What `use` does in steps, for those who give each a limit: hold the model's entry, loaded or not."""
        with self._lock:
            entry = self._entries.get(info.name)
            if entry is None or entry.info != info:  # registered anew: those who use the old one may finish
                if entry is not None:
                    self._retire(entry)
                entry = self._entries[info.name] = Entry(info)
            entry.users += 1
            return entry

    async def leave(self, entry: Entry) -> None:
        """Let go of what `enter` gave."""
        with self._lock:
            entry.users -= 1
            entry.last_used = time.monotonic()
            if entry.users == 0 and entry.backend is None and self._entries.get(entry.info.name) is entry:
                del self._entries[entry.info.name]  # it never loaded
            free = entry.retired and entry.users == 0
        if free:
            with anyio.CancelScope(shield=True):
                await self._free(entry)

    async def loaded(self, entry: Entry) -> ModelBackend:
        """The backend of an entry that the caller holds, loaded now where it is not yet."""
        if entry.backend is not None:
            return entry.backend
        async with entry.loading:
            if entry.backend is None:
                await self._make_room(entry)
                try:
                    backend = await self._create(entry.info)
                    await _load(backend, entry.info)
                except BaseException:
                    entry.memory_gb = 0.0
                    raise
                entry.backend = backend
            return entry.backend

    async def _make_room(self, entry: Entry) -> None:
        """Count the model's memory as taken, once idle models have made room for it. Raises `ModelLoadError` for a
        model that never fits."""
        limit = self._config.memory_limit_gb
        needed = memory.memory_of(entry.info, self._config.quantization)
        memory.check_fits(entry.info, needed, limit)
        while True:
            with self._lock:
                others = [e for e in (*self._entries.values(), *self._retiring) if e is not entry and e.memory_gb > 0]
                evicted = [] if limit is None or needed == 0 else memory.to_evict(others, needed, limit)
                if evicted is not None:
                    entry.memory_gb = needed
                    for idle in evicted:
                        self._entries.pop(idle.info.name, None)
                        self._retire(idle)
            if evicted is not None:
                break
            await anyio.sleep(ROOM_SECONDS)  # all that would have to go are busy
        for idle in evicted:
            logger.info("%r makes room for %r", idle.info.name, entry.info.name)
            with anyio.CancelScope(shield=True):
                await self._free(idle)

    def _retire(self, entry: Entry) -> None:
        entry.retired = True
        self._retiring.add(entry)

    async def _free(self, entry: Entry) -> None:
        if entry.backend is not None:
            backend, entry.backend = entry.backend, None
            await _unload_quietly(backend, entry.info)
        entry.memory_gb = 0.0
        with self._lock:
            self._retiring.discard(entry)

    async def _create(self, info: ModelInfo) -> ModelBackend:
        await self._plugins.ready()
        for plugin in self._plugins.plugins_for_model(info):
            backend = await _backend_of(plugin, info)
            if backend is not None:
                return backend
        failure = self._plugins.failure_for(info)
        if failure is not None and info.backend_type not in backend_names():
            message = f"{info.name!r} needs the plugin {failure.name!r} ({failure.source}), which cannot be used: "
            raise PluginError(f"{message}{failure.error}", plugin=failure.name, model=info.name)
        # In a thread: importing an SDK may take seconds, and a key command may ask its user.
        return await anyio.to_thread.run_sync(_create_built_in, info, self._config, abandon_on_cancel=True)


async def _backend_of(plugin: BaseModelPlugin, info: ModelInfo) -> ModelBackend | None:
    """The plugin's backend for the model, None where it has hooks only. Raises `PluginError`, or the plugin's own typed
    error."""
    name = plugin.metadata.name
    try:
        backend = await called(plugin.create_backend, info)
    except (LLMFrameworkError, *OUR_OWN):
        raise
    except BaseException as error:  # also what is no Exception: a plugin does not end the program
        message = f"the plugin {name!r} could not create a backend for {info.name!r}: {say(error)}"
        raise PluginError(message, plugin=name, model=info.name) from redaction.clean(error)
    if backend is not None and not isinstance(backend, ModelBackend):
        message = f"create_backend of the plugin {name!r} returned a {type(backend).__name__}, which is no ModelBackend"
        raise PluginError(message, plugin=name, model=info.name)
    return backend


def _create_built_in(info: ModelInfo, config: LLMConfig) -> ModelBackend:
    return create_backend(info, backend_settings(info, config))


def backend_settings(info: ModelInfo, config: LLMConfig) -> dict[str, Any]:
    """What the configuration holds for this model's backend: for a local one how to run, for a cloud one how to
    connect. `api_key` is a `SecretStr` or None."""
    provider = str(info.metadata.get("provider", info.backend_type))
    credentials = config.api_credentials.get(provider)
    given = {} if credentials is None else {k: v for k, v in dict(credentials).items() if v is not None}
    settings: dict[str, Any] = {**given, "connect_timeout": config.connect_timeout}
    settings["max_concurrent_requests"] = config.concurrency_of(info.name, info.backend_type)
    if info.is_local:
        settings |= {"num_threads": config.num_threads, "quantization": config.quantization}
        settings |= {"memory_limit_gb": config.memory_limit_gb, "prefix_cache_gb": config.prefix_cache_gb}
    if given or not info.is_local:
        settings["api_key"] = secrets.resolve_api_key(provider, given)
    return settings


async def _load(backend: ModelBackend, info: ModelInfo) -> None:
    try:
        await backend.load_model()
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await _unload_quietly(backend, info)
        if isinstance(error, Exception) and not isinstance(error, LLMFrameworkError):
            message = f"the model {info.name!r} cannot be loaded: {type(error).__name__}: {error}"
            raise ModelLoadError(message, model=info.name) from redaction.clean(error)
        raise


async def _unload_quietly(backend: ModelBackend, info: ModelInfo) -> None:
    try:
        await backend.unload_model()
    except Exception as error:
        logger.warning("unloading %r failed: %s: %s", info.name, type(error).__name__, error)
