"""`DiskCache`: results that are dear to make, kept in files beside the registry's cache."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from ..logs import get_logger

logger = get_logger(__name__)

_DIGEST_BYTES = 16


class DiskCache:
    """Bytes by key, in one folder of at most `limit` bytes; what was not asked for longest goes first.

    Entries are written aside and renamed into place, and each begins with a digest of the rest: neither two processes
    nor a kill in the middle leave half an entry that counts. A folder that cannot be used is done without.
    """

    def __init__(self, name: str, limit: int) -> None:
        from ..config import default_cache_path

        self.folder = default_cache_path().parent / name
        self.limit = limit

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The content kept under `key` (a name of letters and digits), else what `make` gives, kept from now on."""
        path = self.folder / key
        content = self._read(path)
        if content is None:
            content = make()
            try:
                self._write(path, content)
                self._make_room(path)
            except OSError as error:
                logger.debug("%s cannot be kept: %s", path, error)
        return content

    def _read(self, path: Path) -> bytes | None:
        try:
            data = path.read_bytes()
            os.utime(path)  # asked for now
        except OSError:
            return None
        content = data[_DIGEST_BYTES:]
        return content if data[:_DIGEST_BYTES] == _digest(content) else None

    def _write(self, path: Path, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{path.name}")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_digest(content) + content)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _make_room(self, newest: Path) -> None:
        files = [(status.st_mtime, status.st_size, path) for path, status in _statuses(self.folder) if path != newest]
        size = newest.stat().st_size + sum(file[1] for file in files)
        for _, file_size, path in sorted(files):
            if size <= self.limit:
                break
            path.unlink(missing_ok=True)
            size -= file_size


def _statuses(folder: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    for path in folder.iterdir():
        try:
            found.append((path, path.stat()))
        except OSError:  # another process has just taken it away
            pass
    return found


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST_BYTES).digest()
