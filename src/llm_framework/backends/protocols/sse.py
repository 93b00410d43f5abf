"""Server-sent events, as the HTML standard describes the stream: bytes in, events out, however the bytes are cut."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import BadResponseError

_BOM = b"\xef\xbb\xbf"
_CR, _LF = 13, 10
LONGEST_EVENT = 32 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. `data` are its data lines joined by line feeds; `id` is the last one the stream gave, `retry` the
    reconnection time in milliseconds, where the stream gave one with this event."""

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None


class SSEDecoder:
    """Takes the bytes of a stream piece by piece.

    It works on bytes: the line ends of the standard (CR, LF, CRLF) never occur inside a character of UTF-8, while
    `str.splitlines` would also cut at U+2028 and others, which JSON leaves unescaped. An event that the end of the
    stream cuts off is dropped, as the standard wants it. Raises `BadResponseError` for an event longer than
    `LONGEST_EVENT`, which would otherwise fill the memory.
    """

    __slots__ = ("_data", "_event", "_held", "_id", "_pending", "_retry", "_skip_line_feed", "_started")

    def __init__(self) -> None:
        self._pending: list[bytes] = []  # the line that has no end yet
        self._skip_line_feed = False  # the last byte was a CR: an LF now belongs to it
        self._started = False
        self._held = 0  # bytes of an event that has no end yet
        self._data: list[bytes] = []
        self._event = b""
        self._id = ""
        self._retry: int | None = None

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that `data` completes."""
        if not self._started:
            data = self._without_bom(data)
        if self._skip_line_feed and data:
            self._skip_line_feed = False
            if data[0] == _LF:
                data = data[1:]
        if not data:
            return []
        lines = data.splitlines()
        complete = data[-1] in (_LF, _CR)
        self._skip_line_feed = data[-1] == _CR
        if self._pending and (complete or len(lines) > 1):
            self._pending.append(lines[0])
            lines[0] = b"".join(self._pending)
            self._pending = []
        if not complete:
            self._pending.append(lines.pop())
        self._held += len(data)
        events = self._take(lines)
        if self._held > LONGEST_EVENT:
            raise BadResponseError(f"an event longer than {LONGEST_EVENT / 1e6:.0f} MB came", retryable=False)
        return events

    def _without_bom(self, data: bytes) -> bytes:
        data = b"".join([*self._pending, data])
        self._pending = []
        if len(data) < len(_BOM) and _BOM.startswith(data):  # it may still become one
            self._pending = [data]
            return b""
        self._started = True
        return data.removeprefix(_BOM)

    def _take(self, lines: list[bytes]) -> list[ServerSentEvent]:
        events: list[ServerSentEvent] = []
        for line in lines:
            if not line:
                if self._data:
                    events.append(self._dispatched())
                self._event = b""
                self._retry = None
                self._held = 0
                continue
            name, _, value = line.partition(b":")
            if not name:  # a comment is not held
                self._held -= len(line) + 1
            self._field(name, value[1:] if value[:1] == b" " else value)
        return events

    def _field(self, name: bytes, value: bytes) -> None:
        """One field; a comment has an empty name, and unknown names are ignored."""
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit() and len(value) < 16:
            self._retry = int(value)

    def _dispatched(self) -> ServerSentEvent:
        data = b"\n".join(self._data).decode(errors="replace")
        event = self._event.decode(errors="replace") or "message"
        self._data = []
        return ServerSentEvent(data, event, self._id, self._retry)
