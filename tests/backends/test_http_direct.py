"""The transport that most requests take: its connections, and what becomes of them."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from llm_framework.backends.http import direct
from llm_framework.backends.http.client import tls_context
from llm_framework.backends.http.direct import MOST_UNREAD, DirectTransport

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Bench:
    """A server that answers each request with the next reply, and a transport to it."""

    transport: DirectTransport
    url: httpx.URL
    replies: list[Reply]
    num_connections: list[int] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # a connection of the server's has ended

    async def post(self, reply: Reply) -> httpx.Response:
        self.replies.append(reply)
        return await self.transport.handle_async_request(httpx.Request("POST", self.url, content=b"{}"))

    async def whole(self, reply: Reply) -> bytes:
        response = await self.post(reply)
        return await response.aread()


@asynccontextmanager
async def bench(max_idle: int = 10) -> AsyncIterator[Bench]:
    """Both ends."""
    connected: list[int] = []
    replies: list[Reply] = []
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(1)
        try:
            while not writer.is_closing():
                await reader.readuntil(b"\r\n\r\n{}")
                await replies.pop(0)(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        finally:
            gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = httpx.URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    transport = DirectTransport(url, tls_context(), connect_timeout=10.0, max_idle=max_idle, keepalive=30.0)
    try:
        yield Bench(transport, url, replies, connected, gone)
    finally:
        await transport.aclose()
        server.close()


def answer(content: bytes, *, after: bytes = b"") -> Reply:
    """A whole answer, with bytes that belong to none behind it."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content + after)
        await writer.drain()

    return reply


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """No answer at all."""
    writer.close()


async def half(writer: asyncio.StreamWriter) -> None:
    """The first part of an answer whose rest never comes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


async def to_the_end(writer: asyncio.StreamWriter) -> None:
    """An answer after an informational one, as long as the connection lasts."""
    writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nall")
    writer.close()


async def test_connections_are_used_again() -> None:
    """Requests one after the other share a connection."""
    async with bench() as both:
        assert [await both.whole(answer(text)) for text in (b"a", b"", b"c")] == [b"a", b"", b"c"]
        assert len(both.num_connections) == 1


async def test_requests_at_once_have_a_connection_each() -> None:
    """Two answers may be open at once; only as many connections as allowed are kept after them."""
    async with bench(max_idle=1) as both:
        first, second = await both.post(answer(b"a")), await both.post(answer(b"b"))
        assert (await second.aread(), await first.aread()) == (b"b", b"a")
        assert len(both.num_connections) == 2
        await both.gone.wait()


async def test_a_connection_that_the_server_closed_is_left() -> None:
    """An idle connection that has ended is not used again."""
    async with bench() as both:
        assert await both.whole(to_the_end) == b"all"
        await both.gone.wait()
        assert await both.whole(answer(b"b")) == b"b"
        assert len(both.num_connections) == 2


async def test_bytes_behind_an_answer_begin_no_other() -> None:
    """A connection on which more came than was asked for is closed: the next request would read that as its answer."""
    async with bench() as both:
        assert await both.whole(answer(b"a", after=b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) == b"a"
        assert await both.whole(answer(b"b")) == b"b"
        assert len(both.num_connections) == 2


async def test_an_answer_left_half_read_closes_its_connection() -> None:
    """Who leaves an answer has its connection closed."""
    async with bench() as both:
        response = await both.post(half)
        await response.aclose()
        await both.gone.wait()
        assert await both.whole(answer(b"b")) == b"b"


async def test_a_cancelled_request_closes_its_connection() -> None:
    """A request that is cancelled while it waits for its answer leaves no connection behind."""
    asked = asyncio.Event()

    async def silence(writer: asyncio.StreamWriter) -> None:
        asked.set()

    async with bench() as both:
        task = asyncio.ensure_future(both.post(silence))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await both.gone.wait()
        assert not both.transport._used


async def test_a_slow_reader_gets_everything() -> None:
    """An answer much longer than what may lie unread arrives whole, and the sender waits meanwhile."""
    content = bytes(range(256)) * (MOST_UNREAD // 32)
    async with bench() as both:
        response = await both.post(answer(content))
        pieces = []
        async for piece in response.aiter_raw():
            pieces.append(piece)
            await asyncio.sleep(0)
        assert b"".join(pieces) == content


async def test_no_answer() -> None:
    """A server that hangs up, one that stops in the middle, and one that is not there raise httpx's errors."""
    async with bench() as both:
        with pytest.raises(httpx.RemoteProtocolError):
            await both.post(hang_up)

        async def broken(writer: asyncio.StreamWriter) -> None:
            await half(writer)
            writer.close()

        response = await both.post(broken)
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()
        url = both.url
    nobody = DirectTransport(url, tls_context(), connect_timeout=10.0, max_idle=1, keepalive=1.0)
    with pytest.raises(httpx.ConnectError):
        await nobody.handle_async_request(httpx.Request("POST", url, content=b"{}"))


# --------------------------------------------------------------------------------------------------------- odd servers
def raw(data: bytes, *, end: bool = False) -> Reply:
    """These bytes, and the end of the connection where that is meant."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if end:
            writer.close()

    return reply


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "end", "expected", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it", True, b"all of it", False),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nall", False, b"all", False),
        (b"HTTP/1.0 200 OK\r\n\r\nold", True, b"old", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", False, b"old", False),
        (CHUNKED + b"3;name=value\r\nabc\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n", False, b"abc", True),
        (CHUNKED + b"0\r\n\r\n", False, b"", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + CHUNKED + b"1\r\na\r\n0\r\n\r\n", False, b"a", True),
        (b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", False, b"a", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, b"", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nlf", False, b"lf", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Long: " + b"x" * 60_000 + b"\r\n\r\nhi", False, b"hi", True),
    ],
)  # fmt: skip
async def test_answers_that_are_odd_but_right(data: bytes, end: bool, expected: bytes, kept: bool) -> None:
    """Every way in which HTTP/1 may end a body is understood, and the connection used again where it may be."""
    async with bench() as both:
        assert await both.whole(raw(data, end=end)) == expected
        assert await both.whole(answer(b"next")) == b"next"
        assert len(both.num_connections) == (1 if kept else 2)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", httpx.RemoteProtocolError),
        (CHUNKED + b"5\r\nabc", httpx.RemoteProtocolError),
        (CHUNKED + b"xyz\r\nabc\r\n", httpx.RemoteProtocolError),
        (CHUNKED + b"3\r\nabc\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nbad\x00header: x\r\n\r\nhi", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, httpx.RemoteProtocolError),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 100 Continue\r\n\r\n", httpx.RemoteProtocolError),
        (b"SSH-2.0-OpenSSH_9.6\r\n", httpx.RemoteProtocolError),
        (b"<html>", httpx.RemoteProtocolError),
        (b"", httpx.RemoteProtocolError),
    ],
)  # fmt: skip
async def test_answers_that_are_wrong(data: bytes, kind: type[Exception]) -> None:
    """What is no HTTP, or breaks off, is an error, and its connection is not used again."""
    async with bench() as both:
        with pytest.raises(kind):
            await both.whole(raw(data, end=True))
        assert not both.transport._used | set(both.transport._idle)
        assert await both.whole(answer(b"next")) == b"next"


async def test_a_compressed_answer_is_unpacked_bit_by_bit() -> None:
    """A server that compresses though it was asked not to is understood, and cannot fill the memory by that."""
    content = b"\0" * 30_000_000
    packed = gzip.compress(content, 9)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with bench() as both:
        response = await both.post(raw(head + packed))
        sizes = [len(piece) async for piece in response.aiter_bytes()]
        assert sum(sizes) == len(content)
        assert max(sizes) < 8_000_000


async def test_a_request_is_sent_once() -> None:
    """A server that reads a request on a connection used before and hangs up is not sent it again."""
    seen: list[int] = []

    async def read_and_go(writer: asyncio.StreamWriter) -> None:
        seen.append(1)
        writer.close()

    async with bench() as both:
        assert await both.whole(answer(b"a")) == b"a"
        with pytest.raises(httpx.RemoteProtocolError):
            await both.post(read_and_go)
        assert (seen, both.replies, len(both.num_connections)) == ([1], [], 1)


@pytest.mark.parametrize(("says", "num_connections"), [(b"timeout=5, max=100", 1), (b"timeout=0", 2), (b"x", 1)])
async def test_a_server_says_how_long_it_keeps_connections(
    says: bytes, num_connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection is not used when its server may just be closing it."""
    reply = raw(b"HTTP/1.1 200 OK\r\nKeep-Alive: " + says + b"\r\nContent-Length: 1\r\n\r\na")
    async with bench() as both:
        assert await both.whole(reply) == b"a"
        now = time.monotonic()
        monkeypatch.setattr(direct.time, "monotonic", lambda: now + 3.0)
        assert await both.whole(reply) == b"a"
        assert len(both.num_connections) == num_connections


@pytest.mark.parametrize("headers", [{"x": "a\r\nEvil: yes"}, {"x": "a\0"}, {"x\r\nEvil": "yes"}, {"x y": "z"}])
async def test_headers_cannot_be_smuggled_in(headers: dict[str, str]) -> None:
    """A value with a line end in it is refused before anything is sent."""
    async with bench() as both:
        request = httpx.Request("POST", both.url, headers=headers, content=b"{}")
        with pytest.raises(httpx.LocalProtocolError):
            await both.transport.handle_async_request(request)
        assert not both.transport._used
        assert await both.whole(answer(b"b")) == b"b"


async def test_a_server_that_sends_no_more_may_still_be_written_to() -> None:
    """A connection that the server has half closed after its answer is given up."""

    async def half_closed(writer: asyncio.StreamWriter) -> None:
        await answer(b"a")(writer)
        writer.write_eof()

    async with bench() as both:
        assert await both.whole(half_closed) == b"a"
        assert await both.whole(answer(b"b")) == b"b"
        assert len(both.num_connections) == 2
