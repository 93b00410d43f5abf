"""`ModelRegistry`: the models that are there, by name. Looking things up does no network and loads no weights."""

from __future__ import annotations

import difflib
import importlib.util
import json
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import ModelNotFoundError
from ..logs import get_logger
from . import description, discovery, google_models, naming, openai_models
from .cache import Contents, Entry, RegistryCache
from .model_info import ModelInfo, ModelType, selected

__all__ = ["BUNDLED_MODEL", "ModelInfo", "ModelRegistry", "ModelType"]

logger = get_logger(__name__)

BUNDLED_MODEL = "tiny-chat"
PROVIDERS = ("openai", "anthropic", "google", "native", "transformers", "openai_compatible")

# Bare names that everybody knows, and whose they are.
_WELL_KNOWN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^(ft:)?(gpt-|chatgpt-|codex-|o\d+(-|$)|text-embedding-)"), "openai"),
    (re.compile(r"^claude-"), "anthropic"),
    (re.compile(r"^gemini-"), "google"),
)


class ModelRegistry:
    """Models found below `models_dir`, registered by hand, bundled, and those of cloud providers by their naming rule.

    What was found and registered is kept in `cache_path` (a JSON file) across processes. Without arguments: the
    configured defaults of both. Safe to use from several threads and processes.
    """

    def __init__(
        self, models_dir: str | os.PathLike[str] | None = None, cache_path: str | os.PathLike[str] | None = None
    ) -> None:
        from ..config import default_cache_path, default_models_dir

        folder = Path(models_dir).expanduser() if models_dir is not None else default_models_dir()
        self.models_dir = Path(os.path.abspath(folder))  # what is found is remembered by its path
        self._cache = RegistryCache(Path(cache_path).expanduser() if cache_path is not None else default_cache_path())
        self._lock = threading.RLock()
        self._registered: dict[str, ModelInfo] = {}
        self._unsaved: dict[str, ModelInfo] = {}  # those of `_registered` that this process alone knows
        self._files: dict[str, Entry] = {}  # what `_discovered` was made from
        self._discovered: dict[str, ModelInfo] = {}
        self._aliases: dict[str, str] = {}
        self._providers: dict[str, tuple[str, str]] = {name: (name, name) for name in PROVIDERS}
        self._descriptions: dict[discovery.FoundModel, ModelInfo] = {}  # of models that are not in `models_dir`
        self._unread: dict[str, str] = {}
        self._loaded = False

    # ----------------------------------------------------------------------------------------------------- discovery
    def discover_models(self, *, refresh: bool = False) -> list[ModelInfo]:
        """Look through `models_dir` anew and return the models found there, sorted by name. Files that have not changed
        since the last look, in whatever process, are not opened (with `refresh`, all are). One that is broken, or that
        nothing here can run, is listed with metadata["error"]."""
        with self._lock:
            contents = self._cache.read() if not self._loaded or self._cache.has_changed() else self._cache.contents
            self._loaded = True
            known, files = self._mine(contents), {}
            unread: dict[str, str] = {}
            for found in discovery.scan(self.models_dir, unread):
                entry = known.get(str(found.path))
                if refresh or entry is None or entry.fingerprint != found.fingerprint:
                    entry = Entry(found.fingerprint, description.describe(found))
                files[str(found.path)] = entry
            if files != known or self._cache.is_incomplete or not self._cache.path.exists():
                self._cache.update(lambda contents: self._replace_files(contents, known, files))
            self._note_unread(unread)
            self._take(self._cache.contents.registered, files)
            return list(self._discovered.values())

    @property
    def unread_folders(self) -> dict[str, str]:
        """The folders below `models_dir` that the last look could not read, and why."""
        return dict(self._unread)

    def _note_unread(self, unread: dict[str, str]) -> None:
        for folder, reason in unread.items():
            if folder not in self._unread:
                logger.info("models in %s are not found: the folder cannot be read (%s)", folder, reason)
        self._unread = unread

    def _take(self, registered: Mapping[str, ModelInfo], files: Mapping[str, Entry]) -> None:
        self._registered, self._files = {**registered, **self._unsaved}, dict(files)
        named, self._aliases = naming.assign_names((entry.info for entry in files.values()), reserved=(BUNDLED_MODEL,))
        self._discovered = {info.name: info for info in sorted(named, key=lambda info: info.name)}

    def _replace_files(self, contents: Contents, known: Mapping[str, Entry], found: Mapping[str, Entry]) -> None:
        """Put what was found in the place of what was known when the look began. What another process found since
        stays, and what lies in other models folders, where it still exists."""
        kept = {
            path: entry
            for path, entry in contents.files.items()
            if path not in found and path not in known and os.path.exists(path)
        }
        contents.files = {**kept, **found}

    def _mine(self, contents: Contents) -> dict[str, Entry]:
        begin = os.path.join(self.models_dir, "")
        return {path: entry for path, entry in contents.files.items() if path.startswith(begin) or path == begin[:-1]}

    def _load(self) -> None:
        """Read the cache at first, and again where another process has written it."""
        if self._loaded and not self._cache.has_changed():
            return
        contents, was_loaded, self._loaded = self._cache.read(), self._loaded, True
        # What is known stays known where the file holds less: it was damaged, or another version wrote it.
        files = {**self._files, **self._mine(contents)}
        registered = contents.registered
        if was_loaded and self._cache.is_incomplete:
            registered = {**self._registered, **registered}
        self._take(registered, {path: entry for path, entry in files.items() if os.path.exists(path)})

    # ------------------------------------------------------------------------------------------------------ downloads
    def pull_model(
        self,
        repo: str,
        *,
        to: str | os.PathLike[str] | None = None,
        revision: str | None = None,
        file: str | None = None,
        endpoint: str | None = None,
        force: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> ModelInfo:
        """Download a model from a hub, and return it under the name that it is now known by.

        `to` is the folder that its files come into (default: `models_dir/owner/name`); a model elsewhere than below
        `models_dir` is registered. The other arguments, and the errors, are those of `registry.hub.pull`. Blocks.
        """
        from .hub import checked_repo, pull

        folder = Path(to).expanduser() if to is not None else self.models_dir / checked_repo(repo)
        pulled = pull(
            repo, to=folder, revision=revision, file=file, endpoint=endpoint, force=force,
            on_progress=on_progress, on_note=on_note,
        )  # fmt: skip
        return self._introduce(pulled.path)

    def _introduce(self, path: Path) -> ModelInfo:
        """The model at a path, known by a name from now on."""
        with self._lock:
            known = next((info for info in self.discover_models() if _is_at(info, path)), None)
            known = known or next((info for info in self._registered.values() if _is_at(info, path)), None)
            if known is not None:
                return known
            info = description.describe(discovery.at(path))
            candidates = (naming.short_name(info.name), info.name, f"{path.parent.name.lower()}/{info.name}")
            info = replace(info, name=next((name for name in candidates if not self._find_local(name)), str(path)))
            self.register_model(info)
            return info

    # -------------------------------------------------------------------------------------------------- registration
    def register_model(self, info: ModelInfo, *, persist: bool = True) -> None:
        """Add a model, or replace the registered one of that name; it goes before a discovered one. With `persist`,
        later processes know it too (where its metadata is JSON)."""
        with self._lock:
            self._load()
            saved = _as_saved(info) if persist else None
            if saved is None:
                self._unsaved[info.name] = info
            else:
                self._unsaved.pop(info.name, None)
                self._cache.update(lambda contents: contents.registered.update({info.name: saved}))
            self._registered = {**self._cache.contents.registered, **self._unsaved}

    def unregister_model(self, name: str) -> None:
        """Forget a registered model. Raises `ModelNotFoundError` where none of that name is registered."""
        with self._lock:
            self._load()
            if name not in self._registered:
                raise self._not_found(name)
            if self._unsaved.pop(name, None) is None:
                self._cache.update(lambda contents: contents.registered.pop(name, None))
            self._registered = {**self._cache.contents.registered, **self._unsaved}

    def declare_provider(self, name: str, backend_type: str, provider: str | None = None) -> None:
        """Make `name:model` a model of `backend_type`, with the credentials of `provider` (default: `name`)."""
        with self._lock:
            if name not in PROVIDERS:  # nobody else may answer for these
                self._providers[name] = (backend_type, provider or name)

    # ------------------------------------------------------------------------------------------------------- look-up
    def get_model(self, name: str) -> ModelInfo:
        """The model of that name: registered, bundled, discovered (also by a longer form), `provider:model`, or a
        well-known cloud name. Raises `ModelNotFoundError` with the nearest names."""
        if not isinstance(name, str) or not name.strip():
            raise ModelNotFoundError(f"a model's name must be a non-empty str, not {name!r}")
        with self._lock:
            info = self._find_local(name) or self._find_by_provider(name) or find_well_known(name)
            if info is None:
                raise self._not_found(name)
            return info

    def list_models(
        self,
        local_only: bool | None = None,
        model_type: ModelType | str | None = None,
        backend_type: str | None = None,
    ) -> list[ModelInfo]:
        """The models that are known by name, sorted; each argument that is given narrows the list."""
        with self._lock:
            self._load()
            registered = {name: _with_fault(info) for name, info in self._registered.items()}
            models = {BUNDLED_MODEL: self._bundled(), **self._discovered, **registered}
        return selected(models.values(), local_only, model_type, backend_type)

    def best_chat_model(self, memory_limit_gb: float | None = None) -> ModelInfo:
        """The largest usable chat model found on disk that fits into the limit, else the bundled one."""
        with self._lock:
            self._load()
            usable = [info for info in self._discovered.values() if _is_usable_chat(info, memory_limit_gb)]
            return max(usable, key=lambda info: info.parameters or 0) if usable else self._bundled()

    def _find_local(self, name: str) -> ModelInfo | None:
        self._load()
        lower = name.lower()
        for candidate in (name, lower, self._aliases.get(lower, lower)):
            if candidate in self._registered:
                return self._registered[candidate]
            if candidate == BUNDLED_MODEL:
                return self._bundled()
            if candidate in self._discovered:
                return self._discovered[candidate]
        return None

    def _find_by_provider(self, name: str) -> ModelInfo | None:
        prefix, colon, model = name.partition(":")
        if not colon or not model or prefix not in self._providers:
            return None
        backend_type, provider = self._providers[prefix]
        if backend_type in ("native", "transformers"):
            return self._local_of_backend(name, backend_type, model)
        facts = _facts(backend_type, model)
        return ModelInfo(name, backend_type=backend_type, metadata={"provider": provider, "model_id": model}, **facts)

    def _local_of_backend(self, name: str, backend_type: str, model: str) -> ModelInfo:
        known = self._find_local(model)
        if known is not None and known.path is not None:
            if known.backend_type == backend_type:
                return known
            # A name of its own: both may be loaded at once. That our engine refuses the file says nothing here.
            metadata = {key: value for key, value in known.metadata.items() if key != "error"}
            return replace(known, name=name, backend_type=backend_type, metadata=metadata)
        path = Path(model).expanduser()
        if not path.exists():
            raise ModelNotFoundError(f"{name!r}: {path} does not exist, and no local model has that name", model=name)
        info = self._described(discovery.at(path))
        if info.error and backend_type == "transformers":  # it reads more kinds of model than we do
            info = ModelInfo(name, path=path)
        return replace(info, name=name, backend_type=backend_type)

    def _described(self, found: discovery.FoundModel) -> ModelInfo:
        if found not in self._descriptions:
            self._descriptions[found] = description.describe(found)
        return self._descriptions[found]

    def _bundled(self) -> ModelInfo:
        path = Path(__file__).parents[1] / "bundled" / BUNDLED_MODEL
        info = self._described(discovery.FoundModel(path, "safetensors", BUNDLED_MODEL, ""))
        return replace(info, metadata={**info.metadata, "bundled": True})

    def _not_found(self, name: str) -> ModelNotFoundError:
        names = {info.name for info in self.list_models()} | set(self._aliases)
        near = tuple(difflib.get_close_matches(name.lower(), sorted(names), n=3, cutoff=0.4))
        prefix, colon, _ = name.partition(":")
        if near:
            hint = f"nearest: {', '.join(near)}"
        elif colon:
            hint = f"{prefix!r} is no provider; there are {', '.join(sorted(self._providers))}"
        else:
            hint = f"there are: {', '.join(sorted(names)[:8])}; models are looked for in {self.models_dir}"
        return ModelNotFoundError(f"no model is named {name!r}; {hint}", model=name, nearest=near)


def find_well_known(name: str) -> ModelInfo | None:
    provider = next((provider for pattern, provider in _WELL_KNOWN if pattern.match(name.lower())), None)
    if provider is None:
        return None
    metadata = {"provider": provider, "model_id": name}
    facts = _facts(provider, name)
    return ModelInfo(name, backend_type=provider, metadata=metadata, **facts)


def _as_saved(info: ModelInfo) -> ModelInfo | None:
    """The model as another process will know it; None where its metadata are not JSON."""
    try:
        return ModelInfo.from_dict(json.loads(json.dumps(info.to_dict())))
    except (TypeError, ValueError):
        logger.debug("the model %r is kept in this process only: its metadata is not JSON", info.name)
        return None


def _facts(backend_type: str, model: str) -> dict[str, Any]:
    """What is known beforehand of a provider's model, as fields of `ModelInfo`."""
    if "embed" in model.lower():  # text-embedding-3-small, gemini-embedding-001, nomic-embed-text
        return {"model_type": ModelType.EMBEDDING}
    known = {"google": google_models.facts, "openai": openai_models.facts}.get(backend_type)
    return {} if known is None else known(model)


def _is_at(info: ModelInfo, path: Path) -> bool:
    return info.path is not None and (info.path == path or os.path.realpath(info.path) == os.path.realpath(path))


def _with_fault(info: ModelInfo) -> ModelInfo:
    """A registered model; with the fault, where its files are gone."""
    if info.path is None or not info.is_local or info.error or os.path.exists(info.path):
        return info
    error = f"{info.path}: this model was registered, and its files are no longer there"
    return replace(info, metadata={**info.metadata, "error": error})


def _is_usable_chat(info: ModelInfo, memory_limit_gb: float | None) -> bool:
    fits = memory_limit_gb is None or (info.memory_requirement_gb or 0.0) <= memory_limit_gb
    is_chat = info.model_type in (ModelType.CHAT, ModelType.MULTIMODAL)
    is_complete = info.error is None and info.metadata.get("has_tokenizer", True)
    if info.backend_type == "transformers":
        is_complete = is_complete and all(map(importlib.util.find_spec, ("torch", "transformers")))
    return fits and is_chat and is_complete and info.is_local is True
