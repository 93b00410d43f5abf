"""The lines of a file or pipe, one at a time."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType

import anyio.to_thread

from ..errors import InvalidRequestError

STANDARD_INPUT = "-"
MAX_LINE_BYTES = 64 << 20  # a prompt with pictures in it stays far below; a file without line ends must not fill memory
_BLOCK = 1 << 18
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank: its number from 1, and its bytes without line end. Of one that is longer than
    `MAX_LINE_BYTES` only the beginning is there."""

    number: int
    data: bytes
    is_too_long: bool = False


class LineReader:
    """The lines of the file `path`, or of standard input for "-". `async with` opens and closes it, `lines()` reads.

    A pipe is read as it comes, without holding up the event loop; a read can be cancelled at any time.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = "standard input" if path == STANDARD_INPUT else path
        self._descriptor = -1

    async def __aenter__(self) -> LineReader:
        try:
            # In a thread: a named pipe opens when its writer comes.
            self._descriptor = await anyio.to_thread.run_sync(self._open, abandon_on_cancel=True)
        except OSError as error:
            raise self._fault(error) from None
        self._mode = os.fstat(self._descriptor).st_mode
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.dup(0) if self.path == STANDARD_INPUT else os.open(self.path, os.O_RDONLY)

    def _fault(self, error: OSError) -> InvalidRequestError:
        return InvalidRequestError(f"the prompts cannot be read from {self.name}: {error.strerror or error}")

    @property
    def is_regular(self) -> bool:
        """Whether this is a file, which may be read twice, and not a pipe or a terminal."""
        return stat.S_ISREG(self._mode)

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode: what says that two names are one file."""
        status = os.fstat(self._descriptor)
        return status.st_dev, status.st_ino

    def rewind(self) -> None:
        """Begin again with the first line (of a regular file)."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)

    async def lines(self) -> AsyncGenerator[Line, None]:
        """The lines from here on that are not blank. Raises `InvalidRequestError` where reading fails."""
        number = 0
        async with aclosing(_split(self._blocks())) as pieces:
            async for data, is_too_long in pieces:
                number += 1
                if number == 1:
                    data = data.removeprefix(_BOM)
                data = data.removesuffix(b"\r")
                if data.strip():
                    yield Line(number, data, is_too_long)

    async def _blocks(self) -> AsyncGenerator[bytes, None]:
        try:
            while block := await self._read():
                yield block
        except OSError as error:
            raise self._fault(error) from None

    async def _read(self) -> bytes:
        if self.is_regular:
            return await anyio.to_thread.run_sync(os.read, self._descriptor, _BLOCK)
        await _readable(self._descriptor)
        return os.read(self._descriptor, _BLOCK)


async def _readable(descriptor: int) -> None:
    """Wait until there is something to read. Not a thread that reads: that could not be stopped."""
    loop = asyncio.get_running_loop()
    is_ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, is_ready.set)
    except PermissionError:  # a device such as /dev/null, which is always ready
        return
    try:
        await is_ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def _split(blocks: AsyncGenerator[bytes, None]) -> AsyncGenerator[tuple[bytes, bool], None]:
    """The lines in the blocks, and of each whether it was cut at `MAX_LINE_BYTES`."""
    pieces: list[bytes] = []
    size = 0
    async with aclosing(blocks):
        async for block in blocks:
            head, *rest = block.split(b"\n")
            if size <= MAX_LINE_BYTES:
                pieces.append(head)
                size += len(head)
            if rest:
                yield b"".join(pieces), size > MAX_LINE_BYTES
                for whole in rest[:-1]:
                    yield whole, False
                pieces, size = [rest[-1]], len(rest[-1])
    if size:
        yield b"".join(pieces), size > MAX_LINE_BYTES
