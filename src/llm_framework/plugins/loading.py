"""From a source to plugin objects: the import, under a time limit, and what is checked before a plugin is taken."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from .._version import __version__
from ..errors import MissingDependencyError, PluginError
from ..redaction import redact
from .base import API_VERSION, BaseModelPlugin, PluginMetadata
from .sources import Source
from .status import Fault

T = TypeVar("T")

OURS = "llm_framework"


def makers(source: Source, seconds: float) -> list[Callable[[], Any]]:
    """What makes the source's plugins, one each: its classes. Imports it; raises `Fault`."""
    source.check_trust()
    if source.entry_point is not None:
        return [_maker(source.entry_point, within(seconds, "its import", source.entry_point.load))]
    assert source.file is not None
    file = source.file
    return within(seconds, "its import", lambda: _classes_of(file))


def make(maker: Callable[[], Any], seconds: float) -> tuple[BaseModelPlugin, PluginMetadata]:
    """A plugin, checked, and what it says of itself. Raises `Fault`."""
    return within(seconds, "making it", lambda: _checked(maker))


def within(seconds: float, what: str, work: Callable[[], T]) -> T:
    """The result of `work`, which runs in a thread of its own: one that hangs is left behind. Raises `Fault`."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error if isinstance(error, Fault) else as_fault(error))

    threading.Thread(target=run, name=f"plugin: {what}", daemon=True).start()
    try:
        return outcome.result(seconds)
    except FutureTimeoutError:
        raise Fault("slow", f"{what} took more than {seconds:g} s (plugin_timeout)") from None


def as_fault(error: BaseException) -> Fault:
    """What an exception of a plugin's code says of the plugin."""
    if isinstance(error, MissingDependencyError):
        return Fault("missing dependency", str(error))
    if isinstance(error, ImportError) and _is_ours(error.name):
        reason = f"it was written for another version of llm-framework than {__version__}: {redact(str(error))}"
        return Fault("incompatible", reason)
    if isinstance(error, ModuleNotFoundError) and error.name:
        return Fault("missing dependency", f"it needs the module {error.name!r}, which is not installed")
    if isinstance(error, SyntaxError):
        return Fault("broken", f"{type(error).__name__} in line {error.lineno}: {error.msg}")
    return Fault("broken", say(error))


def say(error: BaseException) -> str:
    """The exception in one line: type, message, and the line of code that raised it."""
    message = redact(str(error)).strip()
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{f': {message}' if message else ''}{place}"


def _is_ours(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == OURS


# -------------------------------------------------------------------------------------------------------------- imports
def _maker(point: EntryPoint, target: Any) -> Callable[[], Any]:
    if isinstance(target, ModuleType) or not callable(target):
        kind = "a module" if isinstance(target, ModuleType) else f"a {type(target).__name__}"
        raise Fault("incompatible", f"the entry point {point.value!r} names {kind}: name a class, as in 'module:Class'")
    maker: Callable[[], Any] = target
    return maker


def _classes_of(file: Path) -> list[Callable[[], Any]]:
    module = _import_file(file)
    classes: list[Callable[[], Any]] = list(_plugin_classes(module))
    if not classes:
        hint = "a file that only helps others begins with an underscore"
        raise Fault("incompatible", f"it defines no subclass of BaseModelPlugin with `metadata` ({hint})")
    return classes


def _import_file(file: Path) -> ModuleType:
    is_package = file.name == "__init__.py"
    stem = file.parent.name if is_package else file.stem
    name = f"_llm_framework_plugin_{stem}_{hashlib.sha256(str(file.absolute()).encode()).hexdigest()[:8]}"
    locations = [str(file.parent)] if is_package else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=locations)
    if spec is None or spec.loader is None:
        raise Fault("broken", "it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for loaded in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
            sys.modules.pop(loaded, None)
        raise
    return module


def _plugin_classes(module: ModuleType) -> Iterator[type[BaseModelPlugin]]:
    """The plugins that the module (or, for a package, a module inside it) defines, not those it merely imports."""
    for value in list(vars(module).values()):
        if not isinstance(value, type) or not issubclass(value, BaseModelPlugin) or inspect.isabstract(value):
            continue
        if value.__module__ == module.__name__ or value.__module__.startswith(f"{module.__name__}."):
            yield value


# --------------------------------------------------------------------------------------------------------------- checks
def _checked(maker: Callable[[], Any]) -> tuple[BaseModelPlugin, PluginMetadata]:
    if isinstance(maker, type):
        if not issubclass(maker, BaseModelPlugin):
            raise Fault("incompatible", f"its class {maker.__name__} is no subclass of BaseModelPlugin")
        if missing := sorted(getattr(maker, "__abstractmethods__", ())):
            raise Fault("incompatible", f"its class {maker.__name__} does not define {', '.join(missing)}")
    return check(maker())


def check(plugin: Any) -> tuple[BaseModelPlugin, PluginMetadata]:
    """The plugin and what it says of itself, where this framework can use it; raises `Fault` where not."""
    if not isinstance(plugin, BaseModelPlugin):
        raise Fault("incompatible", f"it is no BaseModelPlugin but a {type(plugin).__name__}")
    try:
        metadata: Any = plugin.metadata
    except PluginError as error:
        raise Fault("incompatible", str(error)) from error
    if not isinstance(metadata, PluginMetadata):
        kind = "a method: make it a property" if callable(metadata) else f"a {type(metadata).__name__}"
        raise Fault("incompatible", f"its `metadata` has to be a PluginMetadata, but is {kind}")
    if metadata.api_version > API_VERSION:
        needs = f"it needs version {metadata.api_version} of the plugin interface, and llm-framework {__version__} has"
        raise Fault("incompatible", f"{needs} version {API_VERSION}: install a newer llm-framework")
    if missing := [problem for text in metadata.dependencies if (problem := _why_unmet(text)) is not None]:
        raise Fault("missing dependency", f"it needs {', '.join(missing)}")
    return plugin, metadata


def _why_unmet(text: str) -> str | None:
    """What is missing of a requirement, None where it is met."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise Fault("incompatible", f"its dependency {text!r} is no requirement that pip would take") from error
    if requirement.marker is not None and not requirement.marker.evaluate():
        return None
    try:
        have = __version__ if requirement.name.replace("_", "-") == "llm-framework" else version(requirement.name)
    except PackageNotFoundError:
        return f"{text}, which is not installed (pip install {text!r})"
    fits = requirement.specifier.contains(have, prereleases=True)
    return None if fits else f"{text}, but {have} is installed (pip install {text!r})"
