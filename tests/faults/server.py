"""A server on 127.0.0.1 that plays a script: HTTP by hand over raw sockets, so that any byte may go wrong."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Union


# ------------------------------------------------------------------------------------------------- what a script holds
@dataclass(frozen=True)
class Hang:
    """Send nothing more until the client goes away."""


@dataclass(frozen=True)
class Pause:
    """Send nothing for some seconds."""

    seconds: float


@dataclass(frozen=True)
class Close:
    """Close the connection as a server that ends its work does (FIN)."""


@dataclass(frozen=True)
class Reset:
    """Break the connection (RST)."""


HANG, CLOSE, RESET = Hang(), Close(), Reset()
Piece = Union[bytes, str, Hang, Pause, Close, Reset]
BEFORE_RESET = 0.05  # seconds: what was sent before should be read before the connection is gone


@dataclass
class Reply:
    """What is sent: `pieces` one after the other, each with a write of its own.

    `length` promises a Content-Length; else the body is chunked, or with `until_close` ends with the connection.
    `bare`: the pieces are all there is, without a head before them.
    """

    pieces: Iterable[Piece] = ()
    status: int = 200
    content_type: str | None = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    until_close: bool = False
    bare: bool = False

    def head(self) -> bytes:
        """Status line and headers."""
        lines = [f"HTTP/1.1 {self.status} Scripted"]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        if self.length is not None:
            lines.append(f"Content-Length: {self.length}")
        else:
            lines.append("Connection: close" if self.until_close else "Transfer-Encoding: chunked")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass
class Request:
    """What came. `arrived` is on `time.monotonic`'s clock, `sent` counts the body's bytes that went out;
    `disconnected` is set when the client went away before the reply was whole."""

    method: str
    target: str
    headers: dict[str, str]
    content: bytes
    connection: int
    arrived: float
    sent: int = 0
    disconnected: threading.Event = field(default_factory=threading.Event)

    @property
    def body(self) -> Any:
        """The JSON of the content."""
        return json.loads(self.content)


Step = Union[Reply, Callable[[Request], Reply]]


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A body of JSON, with its length."""
    content = json.dumps(value, ensure_ascii=False).encode()
    return Reply([content], status, headers=headers or {}, length=len(content))


# --------------------------------------------------------------------------------------------------------------- server
class FaultServer:
    """Runs in a thread of its own while the `with` block lasts. Each request gets the next step of the script; the
    last step is played again and again."""

    def __init__(self, script: Sequence[Step]) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.connections = 0
        self._arrived = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fault-server", daemon=True)

    def __enter__(self) -> FaultServer:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, number: int, seconds: float = 10.0) -> Request:
        """The request of that number, counted from 1, as soon as it has come."""
        with self._arrived:
            came = self._arrived.wait_for(lambda: len(self.requests) >= number, seconds)
        assert came, f"request {number} did not come"
        return self.requests[number - 1]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while (request := await _read_request(reader, number)) is not None:
                with self._arrived:
                    self.requests.append(request)
                    self._arrived.notify_all()
                try:
                    if not await _Answering(request, reader, writer).play(self._next_reply(request)):
                        break
                except ConnectionError:
                    request.disconnected.set()
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _next_reply(self, request: Request) -> Reply:
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return step if isinstance(step, Reply) else step(request)


class _Answering:
    """Sends one reply."""

    def __init__(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._request = request
        self._reader = reader
        self._writer = writer

    async def play(self, reply: Reply) -> bool:
        """Send it all. False where the connection cannot be used again."""
        if not reply.bare:
            self._writer.write(reply.head())
        chunked = not (reply.bare or reply.until_close) and reply.length is None
        for piece in reply.pieces:
            if isinstance(piece, Pause):
                await asyncio.sleep(piece.seconds)
            elif isinstance(piece, Hang):
                await self._until_client_leaves()
                return False
            elif isinstance(piece, Reset):
                await self._reset()
                return False
            elif isinstance(piece, Close):
                return False
            else:
                await self._write(piece.encode() if isinstance(piece, str) else piece, chunked)
        if chunked:
            self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
        return not (reply.bare or reply.until_close)

    async def _write(self, data: bytes, chunked: bool) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError
        if data:
            self._writer.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            self._request.sent += len(data)
        await self._writer.drain()
        await asyncio.sleep(0)  # a client that left is noticed when the loop turns

    async def _until_client_leaves(self) -> None:
        await self._writer.drain()
        try:
            await self._reader.read()
        except ConnectionError:
            pass
        self._request.disconnected.set()

    async def _reset(self) -> None:
        await self._writer.drain()
        await asyncio.sleep(BEFORE_RESET)
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


async def _read_request(reader: asyncio.StreamReader, connection: int) -> Request | None:
    line = await reader.readline()
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        content = b"".join([chunk async for chunk in _chunks(reader)])
    else:
        content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, content, connection, time.monotonic())


async def _chunks(reader: asyncio.StreamReader) -> Any:
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        await reader.readline()
    await reader.readline()


# ------------------------------------------------------------------------------------------------------ no connection
class FullBacklog:
    """A port where nobody accepts and the queue of those who wait is full: who connects gets no answer at all."""

    FILLERS = 8

    def __enter__(self) -> FullBacklog:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        self._fillers = [self._filler() for _ in range(self.FILLERS)]
        return self

    def __exit__(self, *error: object) -> None:
        for one in [*self._fillers, self._listener]:
            one.close()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    def is_full(self) -> bool:
        """Whether this system leaves a further connection without an answer, as most do."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=0.2).close()
        except TimeoutError:
            return True
        except OSError:
            return False
        return False

    def _filler(self) -> socket.socket:
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", self.port))
        return one


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def bytewise(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same, a byte at a time."""
    for piece in pieces:
        if isinstance(piece, (bytes, str)):
            data = piece.encode() if isinstance(piece, str) else piece
            yield from (data[at : at + 1] for at in range(len(data)))
        else:
            yield piece
