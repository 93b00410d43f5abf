"""The transport that most requests take: its connections, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

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
