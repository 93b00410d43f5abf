"""Rows: what is wrong, or only unusual, in the answer itself."""

from __future__ import annotations

import re
from collections.abc import Callable

from llm_framework.errors import (
    AuthenticationError,
    BadResponseError,
    ConnectionFailedError,
    ContextOverflowError,
    InvalidRequestError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    StreamInterruptedError,
)

from .protocols import Answer, event
from .server import CLOSE, Reply, Step, bytewise, json_reply
from .stage import KEY, STREAM, TRIES, Case, Stage, fails, stream, succeeds, text_reply

HELLO = ("Hello", " world")
# Characters that a reader of lines may take for line ends, and one of each length in UTF-8.
ODD = ("a\u2028b\u2029c\u0085d\x0be", 'é\u20ac\U0001f642 \u0000 \\n "q"')
LONG = ("x" * 1_000_000, "y")

SSE_ONLY = (STREAM,)


def _events(stage: Stage, change: Callable[[str], str], *texts: str) -> Step:
    """A stream whose text is changed on its way."""
    return stream([change("".join(stage.protocol.events(Answer(texts or HELLO))))])


def _with_noise(text: str) -> str:
    noise = ": a comment\n\n:\n\nid: 7\n\nretry: 10\n\nid: 8\nretry: 20\n\nevent: ping\n\n"
    return noise + text.replace("\n\n", f"\n\n{noise}")


def _in_lines(text: str) -> str:
    """Each event's JSON over several data lines."""
    return re.sub(r"^data: (\{.*)$", lambda m: "data: " + m[1].replace(", ", ", \ndata:   "), text, flags=re.MULTILINE)


SSE = (
    Case("lines that end in CRLF", lambda s: [_events(s, lambda t: t.replace("\n", "\r\n"))], succeeds(),
         forms=SSE_ONLY),
    Case("lines that end in CR", lambda s: [_events(s, lambda t: t.replace("\n", "\r"))], succeeds(), forms=SSE_ONLY),
    Case("comments, and frames with only id or retry", lambda s: [_events(s, _with_noise)], succeeds(), forms=SSE_ONLY),
    Case("data over several lines", lambda s: [_events(s, _in_lines)], succeeds(), forms=SSE_ONLY),
    Case("a byte order mark", lambda s: [_events(s, lambda t: "\ufeff" + t)], succeeds(), forms=SSE_ONLY),
    Case("no space after the colon", lambda s: [_events(s, lambda t: t.replace("data: ", "data:"))], succeeds(),
         forms=SSE_ONLY),
    Case("unknown fields", lambda s: [_events(s, lambda t: t.replace("data:", "extra: 1\nmore\ndata:"))], succeeds(),
         forms=SSE_ONLY),
    Case(
        "CRLF, a byte at a time",
        lambda s: [stream(bytewise(["".join(s.protocol.events(Answer(HELLO))).replace("\n", "\r\n")]))],
        succeeds(), forms=SSE_ONLY,
    ),
    Case("an event of a megabyte", lambda s: [s.answer(*LONG)], succeeds(text="".join(LONG))),
    Case("separators of Unicode", lambda s: [s.answer(*ODD)], succeeds(text="".join(ODD)), sync=True),
    Case(
        "characters that are split",
        lambda s: [s.changed(lambda data: list(bytewise([data])), *ODD)],
        succeeds(text="".join(ODD)),
    ),
    Case(
        "bad UTF-8",
        lambda s: [s.changed(lambda data: [data.replace(b"Hel", b"H\xff\xfe")], "Hel", "lo")],
        succeeds(text="H\ufffd\ufffdlo"),
        whole=fails(BadResponseError, TRIES),
    ),
    Case("the whole answer where a stream was asked for",
         lambda s: [json_reply(s.protocol.body(Answer(HELLO)))], succeeds(), forms=SSE_ONLY),
    Case(
        "more after the end mark",
        lambda s: [stream([*s.protocol.events(Answer(HELLO)), s.protocol.text(" again")])],
        succeeds(), protocols=("openai", "anthropic"), forms=SSE_ONLY,
    ),
)  # fmt: skip

BROKEN = (
    Case("an empty body", lambda s: [Reply()], fails(BadResponseError, TRIES)),
    Case("an empty body of length 0", lambda s: [text_reply("", content_type=None)], fails(BadResponseError, TRIES)),
    Case("an empty body, once", lambda s: [Reply(), s.answer(*HELLO)], succeeds(2)),
    Case("a page", lambda s: [text_reply("<html><body>Log in</body></html>")], fails(BadResponseError, TRIES)),
    Case("truncated JSON", lambda s: [text_reply('{"choices": [{"message": {"content": "Hel', 200, "application/json")],
         fails(BadResponseError, TRIES)),
    *(
        Case(f"JSON of another shape, {text}", lambda s, text=text: [text_reply(text, content_type="application/json")],
             fails(BadResponseError, TRIES))
        for text in ("[]", "{}", '"text"', "null", "42", '{"choices": 1, "content": 1, "candidates": 1}',
                     '{"choices": [1], "content": [1], "candidates": [1]}')
    ),
    Case(
        "an event that is truncated",
        lambda s: [stream([*s.begun(), _truncated(s), *s.protocol.closing(Answer(HELLO))])],
        fails(BadResponseError, TRIES), forms=SSE_ONLY,
    ),
    Case(
        "an event that is truncated, after text",
        lambda s: [stream([*s.begun("Hel"), _truncated(s), *s.protocol.closing(Answer(HELLO))])],
        fails(StreamInterruptedError, text="Hel"), forms=SSE_ONLY,
    ),
    *(
        Case(f"an event of another shape, {text}",
             lambda s, text=text: [stream([*s.begun(), event(text), *s.protocol.closing(Answer(HELLO))])],
             fails(BadResponseError, TRIES), forms=SSE_ONLY)
        for text in ("[1]", '"text"', "42")
    ),
    Case(
        "no end mark, before any text",
        lambda s: [stream(s.begun())],
        fails(ConnectionFailedError, TRIES), protocols=("openai", "anthropic"), forms=SSE_ONLY,
    ),
    Case(
        "no end mark",
        lambda s: [stream(s.begun("Hel", "lo"))],
        fails(StreamInterruptedError, text="Hello"), sync=True, forms=SSE_ONLY,
    ),
    Case(
        "no end mark but a reason to finish",
        lambda s: [stream([*s.begun("Hel"), *s.protocol.closing(Answer(HELLO))[:-1]])],
        fails(StreamInterruptedError, text="Hel"), protocols=("anthropic",), forms=SSE_ONLY,
    ),
    Case("an answer without content", lambda s: [s.answer()], succeeds(text="")),
    Case(
        "the end mark alone",
        lambda s: [stream([s.protocol.closing(Answer())[-1]])],
        fails(BadResponseError, TRIES), protocols=("openai", "anthropic"), forms=SSE_ONLY,
    ),
    Case("an answer that is cut by its length", lambda s: [s.answer(*HELLO, reason="length")],
         succeeds(finish="length")),
)  # fmt: skip


def _truncated(stage: Stage) -> str:
    """An event with text, of whose data the last third is missing."""
    text = stage.protocol.text("lo")
    head, _, data = text.rstrip().rpartition("data: ")
    return f"{head}data: {data[: len(data) * 2 // 3]}\n\n"


ERRORS_INSIDE = (
    Case("an error inside, once", lambda s: [s.error_inside("server"), s.answer(*HELLO)], succeeds(2), sync=True),
    Case("an error inside", lambda s: [s.error_inside("server")], fails(ProviderUnavailableError, TRIES)),
    Case("overload inside", lambda s: [s.error_inside("overloaded")], fails(ProviderUnavailableError, TRIES)),
    Case("a rate limit inside", lambda s: [s.error_inside("rate_limit")], fails(RateLimitError, TRIES)),
    Case("spent quota inside", lambda s: [s.error_inside("quota")], fails(QuotaExceededError)),
    Case("context length inside", lambda s: [s.error_inside("context")], fails(ContextOverflowError)),
    Case(
        "an error after text",
        lambda s: [s.error_inside("overloaded", "Hel", "lo")],
        fails(StreamInterruptedError, text="Hello"), sync=True, forms=SSE_ONLY,
    ),
    Case("an error as JSON where a stream was asked for",
         lambda s: [json_reply(s.protocol.refusals["server"].body)], fails(ProviderUnavailableError, TRIES),
         forms=SSE_ONLY),
    Case(
        "an error after the reason to finish",
        lambda s: [stream([*s.begun("Hel"), *s.protocol.closing(Answer(("Hel",)))[:-1],
                           s.protocol.error_event(s.protocol.refusals["server"])])],
        fails(StreamInterruptedError, text="Hel"), protocols=("anthropic",), forms=SSE_ONLY,
    ),
)  # fmt: skip


# ------------------------------------------------------------------------------------------- keys that are sent back
def _at_the_cut(stage: Stage, padding: int) -> Step:
    return stage.refusal("server", message="x" * padding + KEY + "y" * 2000)


ECHOES = (
    Case(
        "the key in an error's message",
        lambda s: [s.refusal("auth", message=f"Incorrect API key provided: {KEY}. Header: Bearer {KEY}")],
        fails(AuthenticationError, status="auth"), sync=True,
    ),
    Case("the key in a page", lambda s: [text_reply(f"<html>{KEY}</html>", 502)],
         fails(ProviderUnavailableError, TRIES, status=502)),
    Case("the key in a page called an answer", lambda s: [text_reply(f"<html>{KEY}</html>")],
         fails(BadResponseError, TRIES)),
    *(
        Case(f"the key {before} characters into a long message", lambda s, before=before: [_at_the_cut(s, before)],
             fails(ProviderUnavailableError, TRIES, status="server"))
        for before in (470, 485)
    ),
    *(
        Case(f"the key {before} characters into what is no JSON",
             lambda s, before=before: [text_reply("x" * before + KEY + "y" * 2000)], fails(BadResponseError, TRIES))
        for before in (170, 185)
    ),
    Case("the key in headers", lambda s: [s.refusal("auth", x_request_id=KEY, request_id=KEY, location=KEY)],
         fails(AuthenticationError, status="auth")),
    Case("the key in the provider's codes",
         lambda s: [json_reply({"error": dict.fromkeys(("message", "type", "code", "status", "param"), KEY)}, 400)],
         fails(InvalidRequestError, status=400)),
    Case("the key in an error inside", lambda s: [_echo_inside(s)], fails(ProviderUnavailableError, TRIES)),
    Case("the key in an error after text", lambda s: [_echo_inside(s, "Hel")],
         fails(StreamInterruptedError, text="Hel"), forms=SSE_ONLY),
    *(
        Case(f"the key {before} characters into an event that is no JSON",
             lambda s, before=before: [stream([*s.begun(), event("x" * before + KEY)])],
             fails(BadResponseError, TRIES), forms=SSE_ONLY)
        for before in (0, 185)
    ),
    Case("the key in JSON of another shape", lambda s: [json_reply({"echo": KEY})], fails(BadResponseError, TRIES)),
    Case("the key where HTTP should be", lambda s: [Reply([f"{KEY}\r\n", CLOSE], bare=True)],
         fails(ConnectionFailedError, TRIES)),
    Case("the key in a header that is none",
         lambda s: [Reply([f"HTTP/1.1 200 OK\r\n{KEY} {KEY}\r\n\r\n", CLOSE], bare=True)],
         fails(ConnectionFailedError, TRIES)),
)  # fmt: skip


def _echo_inside(stage: Stage, *texts: str) -> Step:
    refusal = stage.protocol.refusals["server"].saying(f"cannot serve {KEY}")
    return stage.either([*stage.begun(*texts), stage.protocol.error_event(refusal)], refusal.body)


CASES = (*SSE, *BROKEN, *ERRORS_INSIDE, *ECHOES)
