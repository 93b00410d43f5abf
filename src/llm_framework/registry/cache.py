"""What the registry remembers from process to process: one JSON file, changed under a lock and put in place at once."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .. import __version__
from ..logs import get_logger
from .description import DESCRIPTION_VERSION
from .model_info import ModelInfo

logger = get_logger(__name__)

CACHE_VERSION = 1
LOCK_TIMEOUT = 10.0  # seconds
# Who described the files: another version may describe, or refuse, the same file otherwise.
READER = f"{__version__}/{DESCRIPTION_VERSION}"


class Entry(NamedTuple):
    """A model on disk as it was when it was read."""

    fingerprint: str
    info: ModelInfo


@dataclass
class Contents:
    """`files` by path, of all models folders; `registered` by name."""

    files: dict[str, Entry] = field(default_factory=dict)
    registered: dict[str, ModelInfo] = field(default_factory=dict)


class RegistryCache:
    """The file. Every change is read, applied and written under a lock file, so processes neither lose each other's
    entries nor read half a file. A cache that cannot be used is done without."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.contents = Contents()
        self._stamp: tuple[int, ...] | None = None
        self._is_damaged = False
        self.is_incomplete = False

    def read(self) -> Contents:
        """What the file holds now. What makes no sense in it is left out, with a warning, and `is_incomplete` set."""
        self.is_incomplete = False
        try:
            self._stamp = self._look()
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            self.contents = Contents()
        except OSError as error:
            logger.warning("the model list in %s cannot be read (%s) and is done without", self.path, error)
            self.contents = Contents()
        except UnicodeDecodeError as error:
            self._give_up(error)
        else:
            self._parse(text)
        return self.contents

    def has_changed(self) -> bool:
        """Whether somebody else wrote the file since it was read or written here. (Taking it away changes nothing.)"""
        now = self._look()
        return now is not None and now != self._stamp

    def update(self, change: Callable[[Contents], Any]) -> None:
        """Apply a change to what the file holds now, and write it."""
        from filelock import FileLock, Timeout

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", timeout=LOCK_TIMEOUT):
                change(self.read())
                self._write()
        except (OSError, NotImplementedError, Timeout) as error:  # some network folders know no locks
            change(self.contents)
            logger.debug("the model list cannot be kept in %s: %s", self.path, error)

    def _look(self) -> tuple[int, ...] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    # ------------------------------------------------------------------------------------------------------- reading
    def _parse(self, text: str) -> None:
        try:
            data = json.loads(text)
            if data["version"] != CACHE_VERSION:
                raise ValueError(f"version {data['version']!r}")
            files, registered = dict(data["files"]), dict(data["registered"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self._give_up(error)
            return
        self.contents, self._is_damaged = Contents(), False
        read = self._readable(files, _entry_of)
        self.contents.files = read if data.get("reader") == READER else {}
        self.contents.registered = self._readable(registered, ModelInfo.from_dict)

    def _readable(self, values: Mapping[str, Any], read: Callable[[Any], Any]) -> dict[str, Any]:
        """The values that make sense."""
        found, faults = {}, []
        for name, value in values.items():
            try:
                found[name] = read(value)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                faults.append(f"{name}: {error}")
        if faults:
            self.is_incomplete = True
            logger.warning(
                "the model list in %s is damaged: %d of its entries make no sense and are left out (%s)",
                self.path, len(faults), faults[0],
            )  # fmt: skip
        return found

    def _give_up(self, error: Exception) -> None:
        self.contents, self.is_incomplete = Contents(), True
        if not self._is_damaged:
            self._is_damaged = True
            logger.warning(
                "the model list in %s is damaged (%s) and is built anew; models registered by hand must be registered "
                "again (the damaged file is kept beside it, as %s.damaged)", self.path, error, self.path.name,
            )  # fmt: skip

    # ------------------------------------------------------------------------------------------------------- writing
    def _write(self) -> None:
        if self._is_damaged:  # still: it was read again under the lock
            os.replace(self.path, f"{self.path}.damaged")
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(json.dumps(self._as_json(), separators=(",", ":")))
            os.replace(temporary, self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._stamp, self._is_damaged, self.is_incomplete = self._look(), False, False

    def _as_json(self) -> dict[str, Any]:
        contents = self.contents
        files = {path: [entry.fingerprint, entry.info.to_dict()] for path, entry in contents.files.items()}
        registered = {name: info.to_dict() for name, info in contents.registered.items()}
        return {"version": CACHE_VERSION, "reader": READER, "files": files, "registered": registered}


def _entry_of(value: Any) -> Entry:
    fingerprint, info = (value["fingerprint"], value["info"]) if isinstance(value, Mapping) else value
    if not isinstance(fingerprint, str):
        raise TypeError(f"a fingerprint is {fingerprint!r}")
    return Entry(fingerprint, ModelInfo.from_dict(info))
