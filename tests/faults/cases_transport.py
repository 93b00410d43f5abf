"""Rows: connections that hang, drip, or break."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from llm_framework.errors import (
    BadResponseError,
    ConnectionFailedError,
    RequestTimeoutError,
    StreamInterruptedError,
)

from .protocols import Answer
from .server import CLOSE, HANG, RESET, Pause, Piece, Reply, bytewise
from .stage import STREAM, TRIES, Case, Expected, Stage, fails, stream, succeeds

HELLO = ("Hello", " world")
DEADLINE = 0.6  # seconds
LATEST = DEADLINE * 1.1 + 1.5  # a busy machine is slow; what hangs takes for ever
SHORT = {"default_timeout": DEADLINE}
NO_HEAD, SILENT = Reply([HANG], bare=True), Reply([HANG])


def times_out(limit: str, requests: int = 1, text: str = "") -> Expected:
    """A time limit passed, and the connection was closed."""
    retryable = limit != "total"
    return fails(
        RequestTimeoutError, requests, text=text, limit=limit, retryable=retryable, seconds=LATEST + 1, leaves=True
    )  # fmt: skip


def _pings() -> Iterator[Piece]:
    for _ in itertools.count():
        yield ": still here\n\n"
        yield Pause(0.05)


def _dripping_stream(stage: Stage) -> Iterator[Piece]:
    """A beginning, and then an event that never ends."""
    yield from stage.begun("Hel")
    yield 'data: {"'
    for _ in itertools.count():
        yield "x"
        yield Pause(0.01)


def endless(pieces: Iterator[Piece]) -> Reply:
    """A stream that is made while it is sent."""
    return Reply(pieces, content_type="text/event-stream")


HANGS = (
    Case("a hang before the headers", lambda s: [NO_HEAD], times_out("total"), config=SHORT, sync=True),
    Case(
        "a hang before the headers of each attempt",
        lambda s: [NO_HEAD],
        times_out("attempt", TRIES),
        config={"attempt_timeout": 0.35},
    ),
    Case(
        "a hang before the first token of each attempt",
        lambda s: [NO_HEAD],
        times_out("first_token", TRIES),
        config={"first_token_timeout": 0.35},
    ),
    Case(
        "a hang in one attempt",
        lambda s: [NO_HEAD, s.answer(*HELLO)],
        succeeds(2),
        config={"attempt_timeout": 1.0},
        forms=(STREAM,),
    ),
    Case("a hang after the headers", lambda s: [SILENT], times_out("total"), config=SHORT),
    Case(
        "a hang after the headers of each attempt",
        lambda s: [SILENT],
        times_out("first_token", TRIES),
        config={"first_token_timeout": 0.35},
    ),
    Case(
        "a hang after the opening of the stream",
        lambda s: [s.cut(then=[HANG])],
        times_out("first_token", TRIES),
        config={"first_token_timeout": 0.35},
    ),
    Case(
        "a hang in mid-stream",
        lambda s: [s.cut("Hel", then=[HANG])],
        times_out("idle", text="Hel"),
        whole=times_out("total"),
        config={"default_timeout": 1.0, "idle_timeout": 0.3},
    ),
    Case(
        "a hang in mid-stream until the deadline",
        lambda s: [s.cut("Hel", then=[HANG])],
        times_out("total", text="Hel"),
        whole=times_out("total"),
        config={"default_timeout": 0.8},
        sync=True,
    ),
    Case("a hang in an error's body", lambda s: [Reply(["{", HANG], 503)], times_out("total"), config=SHORT),
    Case("pings and nothing else", lambda s: [lambda r: endless(_pings())], times_out("total"), config=SHORT,
         forms=(STREAM,)),
)  # fmt: skip


DRIPS = (
    Case(
        "a byte at a time",
        lambda s: [s.changed(lambda data: list(bytewise([data])), *HELLO)],
        succeeds(),
        config={"idle_timeout": 5.0},
    ),
    Case(
        "a pause inside of each event",
        lambda s: [stream([part for event in s.protocol.events(Answer(HELLO))
                           for part in (event[:9], Pause(0.05), event[9:])])],
        succeeds(),
        config={"idle_timeout": 5.0},
        forms=(STREAM,),
    ),
    Case(
        "a drip without end",
        lambda s: [lambda r: endless(_dripping_stream(s))],
        times_out("total", text="Hel"),
        config={"default_timeout": 0.8},
        forms=(STREAM,),
    ),
)  # fmt: skip


def _breaks() -> Iterator[Case]:
    for end, name in ((RESET, "reset"), (CLOSE, "closed")):
        before = Reply([end], bare=True)
        broken = fails(ConnectionFailedError, TRIES)
        yield Case(f"{name} before the headers", lambda s, b=before: [b], broken, sync=True)
        yield Case(f"{name} once before the headers", lambda s, b=before: [b, s.answer(*HELLO)], succeeds(2))
        yield Case(f"{name} after the headers", lambda s, e=end: [Reply([e])], broken)
        yield Case(f"{name} after the opening of the stream", lambda s, e=end: [s.cut(then=[e])], broken)
        yield Case(
            f"{name} in mid-stream",
            lambda s, e=end: [s.cut("Hel", then=[e])],
            fails(StreamInterruptedError, text="Hel"),
            whole=broken,
            sync=True,
        )
        yield Case(
            f"{name} once, after the opening",
            lambda s, e=end: [s.cut(then=[e]), s.answer(*HELLO)],
            succeeds(2),
        )
        yield Case(
            f"{name} after the end mark",
            lambda s, e=end: [stream([*s.protocol.events(Answer(HELLO)), e])],
            succeeds(),
            forms=(STREAM,),
        )


BREAKS = (
    *_breaks(),
    Case(
        "closed in the headers",
        lambda s: [Reply(["HTTP/1.1 200 OK\r\nContent-Ty", CLOSE], bare=True)],
        fails(ConnectionFailedError, TRIES),
    ),
    Case(
        "no HTTP at all",
        lambda s: [Reply(["SSH-2.0-OpenSSH_9.6\r\n", CLOSE], bare=True)],
        fails(ConnectionFailedError, TRIES),
    ),
    Case(
        "a body that ends with the connection",
        lambda s: [s.by_form(
            Reply(s.protocol.events(Answer(HELLO)), content_type="text/event-stream", until_close=True),
            Reply([_json(s)], until_close=True),
        )],
        succeeds(),
    ),
    Case(
        "a stream that ends with the connection, too early",
        lambda s: [Reply(s.begun("Hel"), content_type="text/event-stream", until_close=True)],
        fails(StreamInterruptedError, text="Hel"),
        forms=(STREAM,),
    ),
    Case(
        "a body that is said to be compressed",
        lambda s: [s.by_form(
            Reply(s.protocol.events(Answer(HELLO)), content_type="text/event-stream",
                  headers={"Content-Encoding": "gzip"}),
            Reply([_json(s)], headers={"Content-Encoding": "gzip"}),
        )],
        fails(BadResponseError, TRIES),
    ),
)  # fmt: skip


def _json(stage: Stage) -> str:
    return json.dumps(stage.protocol.body(Answer(HELLO)))


CASES = (*HANGS, *DRIPS, *BREAKS)
