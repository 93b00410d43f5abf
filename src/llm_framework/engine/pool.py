"""The backends that are loaded: one a model, loaded once however many ask at a time, freed after the last use."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread

from .. import redaction, secrets
from ..backends import create_backend
from ..backends.base import ModelBackend
from ..config import LLMConfig
from ..errors import LLMFrameworkError, ModelLoadError, PluginError
from ..logs import get_logger
from ..plugins import PluginManager
from ..registry.model_info import ModelInfo
from .limiter import Limiter

logger = get_logger(__name__)


class Entry:
    """A model's backend, None until it is loaded. `users` counts the requests that hold it; a retired one is freed by
    the last of them."""

    def __init__(self, info: ModelInfo) -> None:
        self.info = info
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
            entry.retired = True
            free_now = entry.users == 0
        if free_now:
            await _free(entry)
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
                    entry.retired = True
                entry = self._entries[info.name] = Entry(info)
            entry.users += 1
            return entry

    async def leave(self, entry: Entry) -> None:
        """Let go of what `enter` gave."""
        with self._lock:
            entry.users -= 1
            if entry.users == 0 and entry.backend is None and self._entries.get(entry.info.name) is entry:
                del self._entries[entry.info.name]  # it never loaded
            free = entry.retired and entry.users == 0
        if free:
            with anyio.CancelScope(shield=True):
                await _free(entry)

    async def loaded(self, entry: Entry) -> ModelBackend:
        """The backend of an entry that the caller holds, loaded now where it is not yet."""
        if entry.backend is not None:
            return entry.backend
        async with entry.loading:
            if entry.backend is None:
                backend = await self._create(entry.info)
                await _load(backend, entry.info)
                entry.backend = backend
            return entry.backend

    async def _create(self, info: ModelInfo) -> ModelBackend:
        plugins = await anyio.to_thread.run_sync(self._plugins.plugins_for_model, info, abandon_on_cancel=True)
        await self._plugins.initialize_plugins()
        for plugin in plugins:
            try:
                backend = await plugin.create_backend(info)
            except LLMFrameworkError:
                raise
            except Exception as error:
                name = plugin.metadata.name
                message = f"the plugin {name!r} could not create a backend for {info.name!r}: {error}"
                raise PluginError(message, plugin=name, model=info.name) from redaction.clean(error)
            if backend is not None:
                return backend
        # In a thread: importing an SDK may take seconds, and a key command may ask its user.
        return await anyio.to_thread.run_sync(_create_built_in, info, self._config, abandon_on_cancel=True)


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


async def _free(entry: Entry) -> None:
    if entry.backend is not None:
        backend, entry.backend = entry.backend, None
        await _unload_quietly(backend, entry.info)


async def _unload_quietly(backend: ModelBackend, info: ModelInfo) -> None:
    try:
        await backend.unload_model()
    except Exception as error:
        logger.warning("unloading %r failed: %s: %s", info.name, type(error).__name__, error)
