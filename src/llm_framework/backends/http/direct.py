"""Requests to one server straight over asyncio's sockets, HTTP/1.1 as h11 reads and writes it.

httpx's own transport costs several times as much: it stands on locks and streams that turn the event loop at each step.
Here the loop turns once for a request, when the answer comes. Connections are kept and used again.

A request is sent once. Where a server closes an idle connection just as a request goes out on it, nothing tells whether
the request was read, and a model that answers twice is paid for twice: so it fails, as with httpx, and the engine's
retries, which are counted, decide. To make that rare, a connection is looked at before it is used again, and kept no
longer than its server says it keeps it.
"""

from __future__ import annotations

import asyncio
import math
import re
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType

import anyio
import h11
import httpx

NEXT_ADDRESS = 0.25  # seconds until a host's next address is tried beside the first, as RFC 8305 advises
MOST_UNREAD = 256 * 1024  # bytes that may lie here unread before the sender is made to wait
LONGEST_HEAD = 100 * 1024  # bytes
AT_ONCE = 64 * 1024  # bytes given to a reader at a time …
ENCODED_AT_ONCE = 4 * 1024  # … and of a compressed body, which may be a thousand times as long when it is unpacked
MARGIN = 1.0  # seconds that a connection is given up before its server gives it up


class DirectTransport(httpx.AsyncBaseTransport):
    """The connections to one server: as many as there are requests, of which `max_idle` are kept, unused for at most
    `keepalive` seconds. Belongs to the event loop that it is first used on. Raises httpx's errors."""

    def __init__(
        self,
        url: httpx.URL,
        tls: ssl.SSLContext,
        *,
        connect_timeout: float | None,
        max_idle: int,
        keepalive: float,
    ) -> None:
        self._host = url.raw_host.decode("ascii")
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._tls = tls if url.scheme == "https" else None
        self._connect_timeout = connect_timeout
        self._max_idle = max_idle
        self._keepalive = keepalive
        self._idle: deque[Connection] = deque()  # the one used last at the right
        self._used: set[Connection] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and return the response when its head has come."""
        connection = self._take() or await self._connect()
        self._used.add(connection)
        try:
            with _httpx_errors:
                connection.send(request, await request.aread())
                head = await connection.head()
        except BaseException:
            self._release(connection)
            raise
        response = httpx.Response(head.status_code, headers=head.headers.raw_items(), stream=_Body(self, connection))
        if "content-encoding" in response.headers:
            response.stream = _Body(self, connection, ENCODED_AT_ONCE)
        return response

    async def aclose(self) -> None:
        """Close the connections, also those in use."""
        for connection in [*self._idle, *self._used]:
            connection.close()
        self._idle.clear()
        self._used.clear()
        await asyncio.sleep(0)  # in which asyncio closes the sockets

    def _take(self) -> Connection | None:
        """An idle connection that can still be used."""
        now = time.monotonic()
        while self._idle and self._idle[0].idle_until < now:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_until >= now and connection.is_usable:
                return connection
            connection.close()
        return None

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            with anyio.fail_after(self._connect_timeout):
                _, connection = await loop.create_connection(
                    Connection, self._host, self._port, ssl=self._tls, happy_eyeballs_delay=NEXT_ADDRESS
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except OSError as error:  # an SSLError is one
            raise httpx.ConnectError(str(error)) from error
        return connection

    def _release(self, connection: Connection) -> None:
        """Take a connection back whose response is over: whole, or broken off."""
        self._used.discard(connection)
        if connection.start_again(self._keepalive) and len(self._idle) < self._max_idle:
            self._idle.append(connection)
        else:
            connection.close()


class _Body(httpx.AsyncByteStream):
    def __init__(self, transport: DirectTransport, connection: Connection, at_once: int = AT_ONCE) -> None:
        self._transport = transport
        self._at_once = at_once
        self._connection: Connection | None = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._connection is not None and (data := await self._next(self._connection)):
            for start in range(0, len(data), self._at_once):
                yield data[start : start + self._at_once]

    async def _next(self, connection: Connection) -> bytes:
        try:
            with _httpx_errors:
                return await connection.body()
        except httpx.TransportError:  # nobody may ask for more, or close what is broken
            await self.aclose()
            raise

    async def aclose(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._transport._release(connection)


class _HttpxErrors:
    """A context in which what h11 and sockets raise become httpx's errors."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, h11.RemoteProtocolError):
            raise httpx.RemoteProtocolError(str(error)) from error
        if isinstance(error, h11.LocalProtocolError):
            raise httpx.LocalProtocolError(str(error)) from error
        if isinstance(error, OSError):
            raise httpx.ReadError(str(error)) from error


_httpx_errors = _HttpxErrors()


class Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD)
        self._unread = bytearray()
        self._reader: asyncio.Future[None] | None = None  # who waits for bytes
        self._ended = False
        self._error: Exception | None = None
        self._server_keeps: float | None = None  # seconds, as its answers say
        self.idle_until = 0.0

    # ------------------------------------------------------------------------------------------ what asyncio tells us
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a socket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._unread += data
        if len(self._unread) > MOST_UNREAD:
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> None:
        """The other side sends no more; asyncio closes the socket."""
        self._ended = True
        self._wake_reader()

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone."""
        self._ended = True
        self._error = error
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # ------------------------------------------------------------------------------------------------ a request's way
    def send(self, request: httpx.Request, content: bytes) -> None:
        """Send a request, head and body together. Where the socket is gone, the reading will say so."""
        target, method = request.url.raw_path, request.method.encode("ascii")
        events = (
            h11.Request(method=method, target=target, headers=request.headers.raw),
            h11.Data(data=content),
            h11.EndOfMessage(),
        )
        data = b"".join([self._http.send(event) or b"" for event in events])
        if not self._transport.is_closing():
            self._transport.write(data)

    async def head(self) -> h11.Response:
        """The head of the answer."""
        while not isinstance(event := await self._event(), h11.Response):  # an informational response may come first
            pass
        if self._server_keeps is None:
            self._server_keeps = _server_keeps(event)
        return event

    async def body(self) -> bytes:
        """The next bytes of the body; b"" when it is whole."""
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if isinstance(event, h11.Data) and event.data:
                return bytes(event.data)
        return b""

    async def _event(self) -> h11.Event:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Event):
                return event
            if event is h11.PAUSED:  # the message was over before
                return h11.EndOfMessage()
            data = await self._receive()
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise h11.RemoteProtocolError("the server closed the connection without an answer")
            self._http.receive_data(data)

    async def _receive(self) -> bytes:
        """Some bytes; b"" when there will be none any more. Raises OSError where the connection broke."""
        if not self._unread and not self._ended:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        if self._error is not None and not self._unread:
            raise ConnectionError(str(self._error)) from self._error
        data = bytes(self._unread[:AT_ONCE])
        del self._unread[:AT_ONCE]
        if len(self._unread) <= MOST_UNREAD and not self._transport.is_closing():
            self._transport.resume_reading()
        return data

    # ------------------------------------------------------------------------------------------------- between two
    def start_again(self, keepalive: float) -> bool:
        """Whether the connection can take another request, within `keepalive` seconds or what its server allows: the
        last one's answer was read to its end."""
        done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if not done or self._ended or self._http.trailing_data[0]:  # what follows an answer would begin the next one
            return False
        self._http.start_next_cycle()
        self.idle_until = time.monotonic() + min(keepalive, self._server_keeps or keepalive)
        return True

    @property
    def is_usable(self) -> bool:
        """Whether an idle connection is still there. What the server says unasked is that it goes."""
        return not (self._ended or self._unread or _is_readable(self._transport.get_extra_info("socket")))

    def close(self) -> None:
        """Say goodbye, and go without waiting for the other side's."""
        self._transport.close()
        self._transport.abort()


def _server_keeps(head: h11.Response) -> float:
    """How long the server keeps an idle connection, in seconds, less a margin: from `Keep-Alive: timeout=5`."""
    values = [value for name, value in head.headers if name == b"keep-alive"]
    found = re.search(rb"timeout=(\d{1,6})", b",".join(values))
    return max(0.5, int(found.group(1)) - MARGIN) if found else math.inf


def _is_readable(connected: socket.socket) -> bool:
    """Whether bytes or the end have come that the loop has not read yet. A lost socket counts as ended."""
    number = connected.fileno()
    if number < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))
