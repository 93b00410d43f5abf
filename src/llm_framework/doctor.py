"""What this machine and this installation can do, and what is broken. Finds out and says it as plain data."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__, secrets
from .config import LLMConfig, default_cache_path, find_yaml, num_cores
from .errors import LLMFrameworkError

if TYPE_CHECKING:
    from .framework import LLMFramework
    from .registry import ModelInfo

BANDWIDTH_BYTES = 1 << 29  # well beyond any cache
_SHARE_OF_MEMORY = 8  # what the measuring takes at most
_FOR_DEVELOPERS = frozenset({"all", "test", "test-servers", "train"})  # extras that add no ability

Report = dict[str, Any]


def examine(config_path: Path | None = None, *, measure: bool = True) -> Report:
    """Everything that is asked, by topic: installation, machine, configuration, keys, extras, models, plugins, caches;
    and `faults`, a sentence for each thing that is broken. No key is part of it.

    `measure` runs the memory and the arithmetic at full speed for a second or two.
    """
    faults: list[str] = []
    report: Report = {"llm_framework": __version__, "python": platform.python_version(), "system": platform.platform()}
    report["machine"] = _machine(measure, faults)
    config = _configuration(config_path, report, faults)
    report["keys"] = list(_keys(config, faults))
    report["extras"] = extras(_requirements())
    if config is not None:
        _framework_parts(config, report, faults)
    report["caches"] = caches()
    report["faults"] = faults
    return report


def extras(requirements: Iterable[str]) -> dict[str, list[str]]:
    """By extra, which of its packages are missing or of a version that does not fit; nothing where all are there."""
    from packaging.requirements import Requirement

    parsed = [Requirement(text) for text in requirements]
    names = sorted({name for item in parsed for name in _extras_of(item)} - _FOR_DEVELOPERS)
    return {name: sorted(_missing(parsed, name)) for name in names}


def caches() -> dict[str, dict[str, Any]]:
    """What is kept on disk, by kind: the path, the number of files and their bytes."""
    folder = default_cache_path().parent
    found = {}
    for kind in ("packed", "tokenizers"):
        sizes = list(_sizes(folder / kind))
        found[kind] = {"path": str(folder / kind), "files": len(sizes), "bytes": sum(sizes)}
    return found


# --------------------------------------------------------------------------------------------------------- the machine
def _machine(measure: bool, faults: list[str]) -> Report:
    from .native.memory import usable_memory

    machine: Report = {"processor": _processor(), "cores": num_cores(), "memory_gb": usable_memory() / 1e9}
    try:
        from .native import _native
    except ImportError as error:
        faults.append(f"the compiled engine cannot be loaded ({error}); reinstall the package")
        return machine
    machine["isas"] = _native.cpu_isas()
    try:
        machine["isa"] = _native.default_isa()
    except ValueError as error:
        faults.append(str(error))
        return machine
    if measure:
        num_bytes = min(BANDWIDTH_BYTES, usable_memory() // _SHARE_OF_MEMORY)
        machine["memory_bandwidth_gb_per_s"] = _native.read_bandwidth(num_bytes) / 1e9
        peaks = {kind: _native.dot_peak(kind) / 1e9 for kind in ("int8", "bf16")}
        machine["dot_peak_giga_multiply_adds_per_s"] = {kind: peak for kind, peak in peaks.items() if peak}
    return machine


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


# -------------------------------------------------------------------------------------------- configuration and keys
def _configuration(path: Path | None, report: Report, faults: list[str]) -> LLMConfig | None:
    try:
        config = LLMConfig.load(path)
    except LLMFrameworkError as error:
        report["configuration"] = {"file": _named_file(path)}
        faults.append(str(error))
        return None
    report["configuration"] = {
        "file": None if config.file is None else str(config.file.absolute()),
        "changed": [name for name in LLMConfig.model_fields if config.origin(name) != "default"],
    }
    return config


def _named_file(path: Path | None) -> str | None:
    try:
        found = find_yaml(path)
    except LLMFrameworkError:
        return None if path is None else str(path)
    return None if found is None else str(found)


def _keys(config: LLMConfig | None, faults: list[str]) -> Iterator[Report]:
    """Each provider and endpoint, and where its key comes from."""
    sections: Mapping[str, Any] = {} if config is None else config.api_credentials
    for name in [*secrets.USUAL_VARIABLES, *(name for name in sections if name not in secrets.USUAL_VARIABLES)]:
        origin = None
        try:
            origin = secrets.origin_of_key(name, dict(sections[name]) if name in sections else None)
        except LLMFrameworkError as error:
            faults.append(str(error))
        yield {"provider": name, "found": origin is not None, "origin": origin}


# --------------------------------------------------------------------------------------------------------- extras
def _requirements() -> list[str]:
    """What the installed package says it needs; nothing where it runs from its source."""
    try:
        return metadata.requires("llm-framework") or []
    except metadata.PackageNotFoundError:
        return []


def _extras_of(requirement: Any) -> Iterator[str]:
    """The extras that a requirement belongs to: those its marker names."""
    words = str(requirement.marker or "").replace("(", " ").replace(")", " ").split()
    for at, word in enumerate(words):
        if word == "extra":
            yield words[at + 2].strip("'\"")


def _missing(requirements: Iterable[Any], extra: str) -> Iterator[str]:
    for item in requirements:
        if item.marker is None or not item.marker.evaluate({"extra": extra}) or item.marker.evaluate({"extra": ""}):
            continue
        if item.name == "llm-framework":  # an extra that is made of others
            for other in item.extras:
                yield from _missing(requirements, other)
        elif (version := _version(item.name)) is None:
            yield item.name
        elif not item.specifier.contains(version, prereleases=True):
            yield f"{item.name}{item.specifier} (installed: {version})"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


# ------------------------------------------------------------------------------------------------- models and plugins
def _framework_parts(config: LLMConfig, report: Report, faults: list[str]) -> None:
    from .framework import LLMFramework

    if not config.models_dir.is_dir() and config.origin("models_dir") != "default":
        faults.append(f"models_dir: the folder {config.models_dir} does not exist ({config.origin('models_dir')})")
    with LLMFramework(config) as framework:
        report["models"] = _models(framework, faults)
        report["plugins"] = _plugins(framework, faults)
        _guarded(lambda: framework.sync.generate("Hello", model_name="tiny-chat", max_tokens=2), faults)


def _models(framework: LLMFramework, faults: list[str]) -> Report:
    infos = framework.list_models()
    for info in infos:
        if info.error is not None:
            faults.append(f"the model {info.name!r} cannot be used: {info.error}{_where(info)}")
    default = _guarded(framework.default_model_name, faults)
    if default is not None:
        _guarded(lambda: framework.get_model_info(default), faults)
    return {
        "folder": str(framework.config.models_dir),
        "default": default,
        "found": [info.name for info in infos if info.error is None],
        "broken": [
            {"name": info.name, "path": str(info.path) if info.path else None, "error": info.error}
            for info in infos
            if info.error is not None
        ],
    }


def _where(info: ModelInfo) -> str:
    """The path, where the fault does not name it already."""
    return "" if info.path is None or str(info.path) in str(info.error) else f" ({info.path})"


def _plugins(framework: LLMFramework, faults: list[str]) -> list[Report]:
    statuses = framework.plugin_manager.list_plugins()
    faults += [f"the plugin {item.name!r} ({item.source}): {item.error}" for item in statuses if item.error]
    return [{"name": item.name, "source": item.source, "error": item.error} for item in statuses]


def _guarded(ask: Callable[[], Any], faults: list[str]) -> Any:
    """The answer, or None and a fault."""
    try:
        return ask()
    except LLMFrameworkError as error:
        if str(error) not in faults:
            faults.append(str(error))
        return None


def _sizes(folder: Path) -> Iterator[int]:
    """Of the files in a cache folder; another process may be taking some away."""
    try:
        paths = [path for path in folder.iterdir() if path.suffix != ".lock"]
    except OSError:
        return
    for path in paths:
        try:
            yield path.stat().st_size
        except OSError:
            continue
