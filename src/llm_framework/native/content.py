"""A digest of what files hold, remembered for as long as they look unchanged."""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock, Timeout

CHUNK_BYTES = 16 << 20
MAX_REMEMBERED = 1000


def content_digest(files: tuple[Path, ...], extra: bytes = b"") -> str:
    """A name, of 40 hexadecimal digits, for the files' bytes and `extra`.

    A gigabyte takes a fraction of a second on several cores. The digest of a file is remembered in the user's cache
    folder with its path, size, modification time and inode, so that the same file is not read twice for it.
    Raises `OSError` where a file cannot be read.
    """
    digest = hashlib.blake2b(extra, digest_size=20)
    for path in files:
        digest.update(_file_digest(path.resolve()))
    return digest.hexdigest()


def _file_digest(path: Path) -> bytes:
    status = path.stat()
    looks = [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]
    known = _remembered().get(str(path))
    if isinstance(known, list) and known[:-1] == looks and isinstance(known[-1], str):
        with contextlib.suppress(ValueError):  # not what was written there: read the file again
            return bytes.fromhex(known[-1])
    digest = _read_digest(path, status.st_size)
    _remember(str(path), [*looks, digest.hex()])
    return digest


def _read_digest(path: Path, size: int) -> bytes:
    """BLAKE2b over the digests of the file's chunks, which several threads make."""
    digest = hashlib.blake2b(digest_size=20)
    if size == 0:
        return digest.digest()
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as view,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):

        def chunk(begin: int) -> bytes:
            with view[begin : begin + CHUNK_BYTES] as data:
                return hashlib.blake2b(data, digest_size=20).digest()

        for part in pool.map(chunk, range(0, size, CHUNK_BYTES)):
            digest.update(part)
    return digest.digest()


# ------------------------------------------------------------------------------------------------------- remembered
def _memory() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("llm-framework", appauthor=False) / "digests.json"


def _remembered() -> dict[str, object]:
    try:
        known = json.loads(_memory().read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(path: str, entry: list[object]) -> None:
    """Best effort: where nothing can be written, the next load reads the file again."""
    memory = _memory()
    with contextlib.suppress(OSError, Timeout):
        memory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(memory.with_suffix(".lock"), timeout=10):
            known = {name: value for name, value in _remembered().items() if name != path}
            while len(known) >= MAX_REMEMBERED:
                known.pop(next(iter(known)))
            unfinished = memory.with_suffix(f".{os.getpid()}.part")
            unfinished.write_text(json.dumps({**known, path: entry}))
            os.replace(unfinished, memory)
