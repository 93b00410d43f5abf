"""Where plugins come from, found without importing any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from ..logs import get_logger
from .status import Fault, PluginStatus
from .trust import why_refused, why_tree_refused

logger = get_logger(__name__)

GROUP = "llm_framework.plugins"
BACKENDS_GROUP = "llm_framework.backends"


@dataclass(frozen=True)
class Source:
    """One place that holds a plugin: an entry point, or a `file` (for a package its `__init__.py`). `name` is the entry
    point's, or the file's stem. With neither it is a folder that cannot be used."""

    name: str
    where: str
    entry_point: EntryPoint | None = None
    file: Path | None = None

    def check_trust(self) -> None:
        """Raise `Fault` where other users can change what would be imported. What is installed is as safe as the
        Python that runs."""
        if self.file is None:
            return
        try:
            reason = self._why_refused(self.file)
        except OSError as error:
            raise Fault("broken", f"it cannot be read: {error}") from error
        if reason is not None:
            raise Fault("refused", reason)

    @staticmethod
    def _why_refused(file: Path) -> str | None:
        if file.name == "__init__.py":
            return why_tree_refused(file.parent)
        cache = file.parent / "__pycache__"  # Python takes compiled code from there
        return why_refused(file) or (why_tree_refused(cache) if cache.exists() else None)

    def status(self) -> PluginStatus:
        """What is known of it without importing it."""
        facts = _facts(self.entry_point) if self.entry_point is not None else ("", "", "")
        is_folder = self.entry_point is None and self.file is None
        return PluginStatus(self.name, self.where, "found", *facts, serves=() if is_folder else (self.name,))


def installed() -> list[Source]:
    """The plugins that installed distributions declare, by name."""
    return [Source(point.name, point.value, entry_point=point) for point in _entry_points(GROUP)]


def installed_backends() -> list[PluginStatus]:
    """The bare backends that other distributions declare, by name."""
    foreign = [point for point in _entry_points(BACKENDS_GROUP) if not point.value.startswith("llm_framework.")]
    return [
        PluginStatus(point.name, point.value, "found", *_facts(point), serves=(point.name,), kind="backend")
        for point in foreign
    ]


def in_folder(folder: Path) -> Iterator[Source]:
    """The plugins of a folder, by name: `*.py` files and packages, but not what begins with a dot or an underscore.
    Raises `Fault` where the folder is not there, or other users can write to it."""
    try:
        if not folder.is_dir():
            raise Fault("broken", f"the plugin folder {folder} does not exist")
        if (reason := why_refused(folder)) is not None:
            raise Fault("refused", reason)
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise Fault("broken", f"the plugin folder cannot be read: {error}") from error
    for path in paths:
        file = path / "__init__.py" if path.is_dir() else path
        is_python = file.suffix == ".py" and (file.is_file() or file.is_symlink())
        if is_python and not path.name.startswith((".", "_")):
            yield Source(path.stem, str(file), file=file)


def _entry_points(group: str) -> list[EntryPoint]:
    try:
        return sorted(entry_points(group=group), key=lambda point: (point.name, point.value))
    except Exception as error:  # a broken distribution must not take away the others' use of the framework
        logger.warning("the entry points of %s cannot be read: %s: %s", group, type(error).__name__, error)
        return []


def _facts(point: EntryPoint) -> tuple[str, str, str]:
    """Version, description and author of the distribution that the entry point came with, "" where it does not say."""
    try:
        metadata = point.dist.metadata if point.dist is not None else None
        if metadata is None:
            return "", "", ""
        return (
            metadata["Version"] or "",
            metadata["Summary"] or "",
            metadata["Author"] or metadata["Author-email"] or "",
        )
    except Exception as error:
        logger.debug("the metadata of %s cannot be read: %s", point.value, error)
        return "", "", ""
