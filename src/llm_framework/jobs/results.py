"""The results file: whole lines appended, what is there already known by line number, one writer at a time."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import stat
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import anyio.to_thread

from ..errors import InvalidRequestError, LLMFrameworkError
from ..logs import get_logger
from . import records

logger = get_logger(__name__)

STANDARD_OUTPUT = "-"
_PAGE = 4096


class LineHashes:
    """The hashes of input lines by line number, four bytes each. `count` lines are there, the last is `last`."""

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}  # a mapping, so that no line number, however large, makes it large
        self.count = 0
        self.last = 0

    def add(self, line: int, hash: str) -> None:
        """Take in a line."""
        page = self._pages.get(line // _PAGE)
        if page is None:
            page = self._pages[line // _PAGE] = array("I", bytes(array("I").itemsize * _PAGE))
        self.count += page[line % _PAGE] == 0
        page[line % _PAGE] = _number(hash)
        self.last = max(self.last, line)

    def __contains__(self, line: int) -> bool:
        page = self._pages.get(line // _PAGE)
        return page is not None and page[line % _PAGE] != 0

    def fits(self, line: int, hash: str) -> bool:
        """Whether a line that is contained has that hash."""
        return self._pages[line // _PAGE][line % _PAGE] == _number(hash)


def _number(hash: str) -> int:
    return int(hash, 16) & 0xFFFFFFFF or 1  # 0 says that the line is not there


class ResultsFile:
    """Where results go: a file, or standard output for "-". Made by `open_results`.

    `done` are the lines that have a record already, `num_errors` says how many of those are errors. A pipe or device
    holds none.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self.descriptor = descriptor
        self.is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self.done = LineHashes()
        self.num_errors = 0
        self._writing = asyncio.Lock()

    async def append(self, record: bytes) -> None:
        """Write one record, a whole line. Raises `LLMFrameworkError` where it cannot be written; then no part of it
        stays in the file."""
        if self.is_regular:
            self._write(record)
            return
        async with self._writing:  # a pipe takes long lines in pieces, and its reader may take its time
            await anyio.to_thread.run_sync(self._write, record)

    def _write(self, record: bytes) -> None:
        before = os.fstat(self.descriptor).st_size if self.is_regular else 0
        view = memoryview(record)
        try:
            while view:
                view = view[os.write(self.descriptor, view) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            if self.is_regular:
                os.ftruncate(self.descriptor, before)
            message = (
                f"{self.name} cannot be written: {error.strerror or error}; what it holds is whole, "
                "and the same call goes on from there"
            )
            raise LLMFrameworkError(message) from None

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        status = os.fstat(self.descriptor)
        return status.st_dev, status.st_ino

    def close(self) -> None:
        """Put it on the disk and let go of it."""
        try:
            if self.is_regular:
                os.fsync(self.descriptor)
        finally:
            os.close(self.descriptor)


def open_results(path: str, *, drop_errors: bool) -> ResultsFile:
    """Open or begin a results file, read what it holds, and keep other processes out until it is closed. A line that
    was half written is cut. With `drop_errors`, records of errors are taken out, so that their lines are open again.

    Raises `InvalidRequestError` where another process writes it, or it is some other kind of file.
    """
    if path == STANDARD_OUTPUT:
        return ResultsFile("standard output", os.dup(1))
    real = os.path.realpath(path)  # what a link stands for is replaced, not the link
    results = ResultsFile(path, _open_locked(real, path))
    try:
        if results.is_regular:
            _read(results)
            if drop_errors and results.num_errors:
                results = _without_errors(results, real)
    except BaseException:
        os.close(results.descriptor)
        raise
    return results


def _open_locked(real: str, name: str) -> int:
    while True:
        try:
            descriptor = os.open(real, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise InvalidRequestError(f"{name} cannot be written: {error.strerror or error}") from None
        try:
            _lock(descriptor, name)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode) or _is_still(descriptor, real):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # replaced by `_without_errors` of another process before we had the lock


def _is_still(descriptor: int, real: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(real))
    except FileNotFoundError:
        return False


def _lock(descriptor: int, name: str) -> None:
    """The kernel's lock on the file itself: it goes with the process, however that ends, and leaves nothing behind."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        message = f"another process is writing {name}: wait until it ends, or give another output file"
        raise InvalidRequestError(message) from None
    except OSError as error:
        logger.warning("%s lies where files cannot be locked (%s): let no other process write it", name, error.strerror)


def _read(results: ResultsFile) -> None:
    """Learn which lines are done, and mend the end."""
    with _reader(results.descriptor) as file:
        end = 0
        for line, record in _records(file, results.name):
            if record is None:
                _mend(results, line, end)
                return
            end += len(line)
            results.done.add(record["line"], record["input_hash"])
            results.num_errors += "error" in record


def _reader(descriptor: int) -> IO[bytes]:
    """The file from its beginning, by a descriptor of its own."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    return open(os.dup(descriptor), "rb", buffering=1 << 20)


def _records(file: IO[bytes], name: str) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    """The lines and their records; None for a last line that has no end."""
    for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):
            yield line, None
            continue
        record = records.decode(line)
        if record is None:
            message = f"{name}, line {number}: this is no result of prompts, so nothing was written; give another file"
            raise InvalidRequestError(message)
        yield line, record


def _mend(results: ResultsFile, tail: bytes, end: int) -> None:
    """Finish or cut a last line without end. A crash of the machine may leave zero bytes behind what was written."""
    written = tail.rstrip(b"\0")
    if not (written.startswith(records.BEGINNING) or records.BEGINNING.startswith(written)):
        raise InvalidRequestError(
            f"{results.name} holds no results of prompts, so nothing was written; give another file"
        )
    record = records.decode(written)
    os.ftruncate(results.descriptor, end if record is None else end + len(written))
    if record is None:
        logger.info("%s: cut a line of %d bytes that was half written", results.name, len(tail))
        return
    os.write(results.descriptor, b"\n")
    results.done.add(record["line"], record["input_hash"])
    results.num_errors += "error" in record


def _without_errors(results: ResultsFile, real: str) -> ResultsFile:
    """The same file without the records of errors. It takes the old one's place as a whole or not at all."""
    temporary = Path(real).with_name(f".{Path(real).name}.retry")
    # Only the holder of the results' lock comes here: what stands there was left by one that was killed.
    descriptor = os.open(temporary, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
    kept = ResultsFile(results.name, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # warned of already
        pass
    try:
        with _reader(results.descriptor) as file, open(os.dup(descriptor), "wb", buffering=1 << 20) as copy:
            for line, record in _records(file, results.name):
                if record is not None and "error" not in record:
                    copy.write(line)
                    kept.done.add(record["line"], record["input_hash"])
        shutil.copymode(real, temporary)
        os.fsync(descriptor)
        os.replace(temporary, real)
    except BaseException:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
        raise
    os.close(results.descriptor)
    return kept
