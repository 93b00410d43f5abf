"""A chat server for tests: real HTTP on 127.0.0.1, answers by script, and every fault that a network has.

Raw asyncio, so that a reply may stop in the middle of a character, hang or be cut.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union


class Hang:
    """In a reply: send nothing more until the client goes away."""


class Cut:
    """In a reply: break the connection."""


HANG, CUT = Hang(), Cut()
Piece = Union[bytes, str, Hang, Cut]


@dataclass
class Reply:
    """What the server sends: `pieces` one by one, in chunked encoding; `length` promises a Content-Length instead."""

    pieces: Iterable[Piece] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None


@dataclass
class Request:
    """What came. `disconnected` is set when the client closed the connection while it was being answered."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    connection: int
    disconnected: threading.Event = field(default_factory=threading.Event)


Handler = Callable[[Request], Reply]


# -------------------------------------------------------------------------------------------------------------- replies
def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    """A body of JSON."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply([json.dumps(value)], status, "application/json", named)


def error_reply(status: int, message: str = "no", code: str | None = None, param: str | None = None) -> Reply:
    """An error as OpenAI writes it."""
    return json_reply({"error": {"message": message, "type": "test", "code": code, "param": param}}, status)


def frame(value: Any) -> str:
    """One event."""
    return f"data: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}\n\n"


def delta(finish: str | None = None, logprobs: Any = None, **message: Any) -> str:
    """An event with a piece of the answer."""
    choice = {"index": 0, "delta": message, "finish_reason": finish, "logprobs": logprobs}
    return frame({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


def usage(prompt: int = 3, completion: int = 2, **more: Any) -> str:
    """The event that counts the tokens."""
    return frame({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion, **more}})


DONE = frame("[DONE]")


def text_stream(*texts: str, finish: str = "stop") -> Reply:
    """A stream of these pieces of text."""
    return Reply([*(delta(content=text) for text in texts), delta(finish), usage(3, len(texts)), DONE])


def call_delta(index: int | None, id: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    """A piece of a tool call."""
    call: dict[str, Any] = {"function": {"name": name, "arguments": arguments}, "id": id, "type": "function"}
    return call if index is None else {**call, "index": index}


# --------------------------------------------------------------------------------------------------------------- server
class ChatServer:
    """Runs in a thread of its own. Replies are taken from `replies` in turn (the last one again and again), or come
    from `handler`. `requests` are those that came, `connections` how many connections were opened."""

    def __init__(self, *replies: Reply, handler: Handler | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.replies = list(replies)
        self.handler = handler
        self._tls = tls
        self.requests: list[Request] = []
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chat-server", daemon=True)

    def __enter__(self) -> ChatServer:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """What `base_url` must be."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/v1"

    @property
    def body(self) -> Any:
        """The last request's body."""
        return self.requests[-1].body

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=self._tls)
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
                self.requests.append(request)
                try:
                    if not await self._answer(request, reader, writer):
                        break
                except ConnectionError:  # gone with something of the answer unread: a reset, not an end
                    request.disconnected.set()
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _reply_to(self, request: Request) -> Reply:
        if self.handler is not None:
            return self.handler(request)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Send the reply; False where the connection cannot be used again."""
        reply = self._reply_to(request)
        framing = "Transfer-Encoding: chunked" if reply.length is None else f"Content-Length: {reply.length}"
        lines = [f"HTTP/1.1 {reply.status} X", f"Content-Type: {reply.content_type}", framing]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for piece in reply.pieces:
            if isinstance(piece, Cut):
                await writer.drain()
                writer.transport.abort()
                return False
            if isinstance(piece, Hang):
                await writer.drain()
                await reader.read()  # ends when the client closes
                request.disconnected.set()
                return False
            data = piece.encode() if isinstance(piece, str) else piece
            writer.write(data if reply.length is not None else b"%x\r\n%s\r\n" % (len(data), data))
            await writer.drain()
        if reply.length is None:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


async def _read_request(reader: asyncio.StreamReader, connection: int) -> Request | None:
    line = await reader.readline()
    if not line:
        return None
    method, path, _ = line.decode().split(" ", 2)
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode().partition(":")
        headers[name.strip().lower()] = value.strip()
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, json.loads(content) if content else None, connection)
