"""The soak's server: numbers its answers, and plays a fault instead of every fifth.

    python benchmarks/soak_server.py

Prints its port, then serves until its standard input closes. A prompt is `request N`; the answer's words are
`answer_words(serial, N)`, so that a caller knows what was sent to it. GET /tally says how often each request came, and
how often each fault was played.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from zero_server import (
    ASKS_FOR_STREAM,
    LENGTH,
    anthropic_events,
    anthropic_whole,
    google_events,
    google_whole,
    openai_events,
    openai_whole,
    streamed_response,
    whole_response,
)

FAULTS = {
    "limited": 0.06,  # 429 with a short wait
    "unavailable": 0.05,  # 500
    "silent": 0.04,  # closes the connection without a word
    "cut": 0.03,  # closes it in the middle of the answer
    "truncated": 0.019,  # ends the body well, but the answer is not at its end
    "hang": 0.001,  # never answers
}
NUMBER = re.compile(rb"request (\d+)")
END_OF_CHUNKS = b"0\r\n\r\n"
WRITERS: dict[str, tuple[Callable[[list[str]], dict[str, Any]], Callable[[list[str]], Any]]] = {
    "openai": (openai_whole, openai_events),
    "anthropic": (anthropic_whole, anthropic_events),
    "google": (google_whole, google_events),
}


def answer_words(serial: int, number: int) -> list[str]:
    """The words of the answer that the server counts as `serial`, to request `number`."""
    return [f"#{serial}", " to", f" {number}:", *(f" w{serial}-{index}" for index in range(number % 29))]


def fault_of(number: int, attempt: int) -> str | None:
    """What is played for this attempt at this request, always the same."""
    place = zlib.crc32(f"{number}/{attempt}".encode()) / 2**32
    for fault, part in FAULTS.items():
        place -= part
        if place < 0:
            return fault
    return None


class Connection(asyncio.Protocol):
    """A client's connection."""

    seen: ClassVar[Counter[int]] = Counter()
    played: ClassVar[Counter[str]] = Counter()
    serial = 0

    def __init__(self) -> None:
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n") + 4) > 3 and not self._transport.is_closing():
            head = self._unread[:end]
            length = LENGTH.search(head)
            whole = end + (int(length[1]) if length else 0)
            if len(self._unread) < whole:
                return
            body, self._unread = self._unread[end:whole], self._unread[whole:]
            self._answer(head.split(b" ", 2)[1], body)

    def _answer(self, target: bytes, body: bytes) -> None:
        if target == b"/tally":
            tally = {"seen": dict(self.seen), "played": dict(self.played)}
            self._transport.write(whole_response(tally))
            return
        found = NUMBER.search(body)
        assert found is not None
        number = int(found[1])
        self.seen[number] += 1
        fault = fault_of(number, self.seen[number])
        if fault:
            self.played[fault] += 1
        streamed = b"streamGenerateContent" in target or ASKS_FOR_STREAM.search(body) is not None
        self._play(fault, self._response(target, number, streamed), streamed)

    def _response(self, target: bytes, number: int, streamed: bool) -> bytes:
        Connection.serial += 1
        words = answer_words(Connection.serial, number)
        protocol = "google" if b"enerateContent" in target else "anthropic" if b"/messages" in target else "openai"
        whole, events = WRITERS[protocol]
        return streamed_response(events(words)) if streamed else whole_response(whole(words))

    def _play(self, fault: str | None, response: bytes, streamed: bool) -> None:
        if fault == "limited":
            self._refuse("429 Too Many Requests", "rate_limit_exceeded")
        elif fault == "unavailable":
            self._refuse("500 Internal Server Error", "server_error")
        elif fault == "silent":
            self._transport.abort()
        elif fault in ("cut", "truncated"):
            self._break_off(response, whole_chunks=fault == "truncated" and streamed)
        elif fault is None:
            self._transport.write(response)

    def _refuse(self, status: str, code: str) -> None:
        content = json.dumps({"error": {"message": "try again", "type": code, "code": code}}).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nRetry-After-Ms: 20\r\n"
        self._transport.write(head.encode() + f"Content-Length: {len(content)}\r\n\r\n".encode() + content)

    def _break_off(self, response: bytes, *, whole_chunks: bool) -> None:
        """Half of the response: as it is, or up to the end of a chunk and with the mark that no other follows."""
        half = (len(response) + response.find(b"\r\n\r\n")) // 2
        if whole_chunks:
            # An event's last line feed, then that of its chunk: "\n\n\r\n", or "\r\n\r\n\r\n" where events end in CRLF.
            ends = [match.end() for match in re.finditer(rb"\n\r?\n\r\n", response) if match.end() <= half]
            if ends:
                self._transport.write(response[: ends[-1]] + END_OF_CHUNKS)
                return
        self._transport.write(response[:half])
        self._transport.close()


async def serve() -> None:
    """Serve until standard input closes."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(serve())
