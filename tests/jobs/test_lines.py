"""Reading a file or pipe line by line."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from llm_framework.errors import InvalidRequestError
from llm_framework.jobs import lines
from llm_framework.jobs.lines import LineReader


async def read(path: Path | str) -> list[tuple[int, bytes]]:
    async with LineReader(str(path)) as reader:
        return [(line.number, line.data) async for line in reader.lines()]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"a", [(1, b"a")]),
        (b"a\nb\n", [(1, b"a"), (2, b"b")]),
        (b"\n \na\r\n\nb", [(3, b"a"), (5, b"b")]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", [(1, b"a"), (2, b"\xef\xbb\xbfb")]),
        ("a\u2028b\x0bc\n".encode(), [(1, "a\u2028b\x0bc".encode())]),
    ],
)
async def test_lines_end_at_line_feeds(content: bytes, expected: list[tuple[int, bytes]], tmp_path: Path) -> None:
    """Lines end with LF or CR LF and nothing else; blank ones count but are left out, and so is a byte order mark."""
    path = tmp_path / "file"
    path.write_bytes(content)
    assert await read(path) == expected


async def test_lines_longer_than_a_block(tmp_path: Path) -> None:
    """A line may be longer than what is read at a time."""
    long = [bytes([65 + number]) * (lines._BLOCK * 2 + number) for number in range(3)]
    path = tmp_path / "file"
    path.write_bytes(b"\n".join(long))
    assert [data for _, data in await read(path)] == long


async def test_a_line_too_long_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a line longer than the limit only a beginning is kept, and the next line is read as it is."""
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(lines, "_BLOCK", 300)
    path = tmp_path / "file"
    path.write_bytes(b"x" * 5000 + b"\nshort\n" + b"y" * 1000 + b"\n")
    async with LineReader(str(path)) as reader:
        first, second, third = [line async for line in reader.lines()]
    assert (first.is_too_long, second.is_too_long, third.is_too_long) == (True, False, False)
    assert len(first.data) < 2000
    assert second.data == b"short"


async def test_a_pipe_is_read_as_it_comes(tmp_path: Path) -> None:
    """A line of a pipe is there before its writer has written the next; waiting can be cancelled."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    try:
        async with LineReader(str(path)) as reader:
            stream = reader.lines()
            os.write(writer, b"one\ntw")
            assert (await anext(stream)).data == b"one"
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            os.write(writer, b"o\n")
            assert (await waiting).data == b"two"
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    finally:
        os.close(writer)


@pytest.mark.parametrize("name", ["missing", "."])
async def test_what_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    """A file that is not there, or a folder, is an error that names it."""
    with pytest.raises(InvalidRequestError, match="cannot be read from"):
        await read(tmp_path / name)
