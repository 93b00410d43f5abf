"""Rows: servers that are odd rather than broken, and answers that are made to hurt."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from llm_framework.errors import (
    BadResponseError,
    ConnectionFailedError,
    InvalidRequestError,
    ProviderUnavailableError,
    RateLimitError,
    RequestTimeoutError,
    StreamInterruptedError,
)

from .protocols import Answer, event
from .server import HANG, RESET, Piece, Reply, Step
from .stage import STREAM, TRIES, Case, Stage, fails, stream, succeeds, text_reply

HELLO = ("Hello", " world")
SSE_ONLY = (STREAM,)
NESTED = "[" * 100_000
HEAD_LIMIT = 4 * 2**20  # bytes of headers that may be read at most, buffers of the system included
_COUNTS = re.compile(rb'("(?:prompt_tokens|completion_tokens|input_tokens|output_tokens|promptTokenCount|'
                     rb'candidatesTokenCount)": )\d+')  # fmt: skip


def _counted(stage: Stage, value: str) -> Step:
    """An answer whose token counts are something else."""
    return stage.changed(lambda data: [_COUNTS.sub(rb"\g<1>" + value.encode(), data)], *HELLO)


def _after_hints(stage: Stage) -> Step:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"

    def reply(one: Reply) -> Reply:
        content = b"".join(piece if isinstance(piece, bytes) else str(piece).encode() for piece in one.pieces)
        one.length = len(content)
        return Reply([hints + one.head() + content], bare=True)

    answer = stage.answer(*HELLO)
    return lambda request: reply(answer(request))


def _endless(start: str) -> Iterator[Piece]:
    yield start
    yield from itertools.repeat(b"x" * 65536)


def _headers_without_end() -> Iterator[Piece]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in itertools.count():
        yield b"X-%d: %b\r\n" % (number, b"x" * 1000)


def _thinking_then(stage: Stage, end: Piece) -> Step:
    return stream([*stage.protocol.thought("Hm, "), end])


ODD = (
    Case("early hints before the answer", lambda s: [_after_hints(s)], succeeds()),
    Case("a content type with more in it",
         lambda s: [Reply(s.protocol.events(Answer(HELLO)), content_type="Text/Event-Stream; charset=UTF-8")],
         succeeds(), forms=SSE_ONLY),
    Case("a stream without a content type",
         lambda s: [Reply(s.protocol.events(Answer(HELLO)), content_type=None)], succeeds(), forms=SSE_ONLY),
    Case("a refusal that is called a stream",
         lambda s: [Reply([s.protocol.error_event(s.protocol.refusals["rate_limit"])], 429, "text/event-stream")],
         fails(RateLimitError, TRIES, status=429)),
    Case("204", lambda s: [Reply(["HTTP/1.1 204 No Content\r\n\r\n"], bare=True)],
         fails(BadResponseError, TRIES)),
    Case("more after the JSON", lambda s: [text_reply("{} {}", content_type="application/json")],
         fails(BadResponseError, TRIES)),
    *(
        Case(f"counts that are {value}", lambda s, value=value: [_counted(s, value)], succeeds())
        for value in ("1e999", "NaN", "null", '"many"', "[1]", "-5", "2.5", "true", "9" * 400)
    ),
    Case("429 until the deadline", lambda s: [s.refusal("rate_limit", retry_after="1.5")],
         fails(RateLimitError, 2, status=429, retry_after=1.5, seconds=6.0),
         config={"default_timeout": 2.5}, forms=SSE_ONLY),
)  # fmt: skip

THINKING = (
    Case("reset while thinking", lambda s: [_thinking_then(s, RESET)],
         fails(StreamInterruptedError, thinking="Hm, "), forms=SSE_ONLY),
    Case("a hang while thinking", lambda s: [_thinking_then(s, HANG)],
         fails(RequestTimeoutError, thinking="Hm, ", limit="idle", leaves=True),
         config={"idle_timeout": 0.2}, forms=SSE_ONLY),
)  # fmt: skip

HOSTILE = (
    Case("nested too deep", lambda s: [text_reply(NESTED, content_type="application/json")],
         fails(BadResponseError, TRIES)),
    Case("nested too deep in an event", lambda s: [stream([*s.begun(), event(NESTED)])],
         fails(BadResponseError, TRIES), forms=SSE_ONLY),
    Case("nested too deep in an error", lambda s: [text_reply(NESTED, 400, "application/json")],
         fails(InvalidRequestError, status=400)),
    Case("a number that is too long", lambda s: [text_reply("1" * 10_000, content_type="application/json")],
         fails(BadResponseError, TRIES)),
    Case("headers without end", lambda s: [lambda r: Reply(_headers_without_end(), bare=True)],
         fails(ConnectionFailedError, TRIES, most_bytes=HEAD_LIMIT + 12 * 2**20)),
    Case("an error's body without end", lambda s: [lambda r: Reply(_endless('{"error": "'), 500)],
         fails(ProviderUnavailableError, TRIES, status=500, most_bytes=25 * 2**20), config={"default_timeout": 5.0}),
)  # fmt: skip

CASES = (*ODD, *THINKING, *HOSTILE)
