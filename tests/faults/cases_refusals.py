"""Rows: errors with a status of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate

from llm_framework.errors import (
    AuthenticationError,
    ConfigurationError,
    ContentFilterError,
    ContextOverflowError,
    InvalidRequestError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
)

from .protocols import quota_failure, retry_info
from .server import Reply, Request, Step, json_reply
from .stage import KEY, STREAM, TRIES, Case, Stage, fails, succeeds, text_reply

HELLO = ("Hello", " world")
PATIENT = {"default_timeout": 5.0}
PAGE = "<!DOCTYPE html><html><head><title>502</title></head><body><h1>Bad gateway</h1><p>{}</p></body></html>"
MEGABYTE = b"x" * 2**20
CUT = {"most_bytes": 25 * 2**20}  # buffers of the system included


def _dated(stage: Stage, seconds: float) -> Step:
    """A 429 whose Retry-After is a date so many seconds away, made when it is sent."""

    def step(request: Request) -> Reply:
        date = formatdate(time.time() + seconds, usegmt=True)
        return stage.refusal("rate_limit", status=429, retry_after=date)(request)

    return step


def _huge(megabytes: int) -> Iterator[bytes]:
    yield b'{"error": {"message": "'
    for _ in range(megabytes):
        yield MEGABYTE
    yield b'"}}'


WAITS = (
    Case("429 then success", lambda s: [s.refusal("rate_limit"), s.answer(*HELLO)], succeeds(2), sync=True),
    Case(
        "429 with seconds",
        lambda s: [s.refusal("rate_limit", retry_after="1"), s.answer(*HELLO)],
        succeeds(2, waits=(1.0,)),
        forms=(STREAM,),
    ),
    Case(
        "429 with parts of a second",
        lambda s: [s.refusal("rate_limit", retry_after="0.2"), s.answer(*HELLO)],
        succeeds(2, waits=(0.2,)),
    ),
    Case(
        "429 with milliseconds",
        lambda s: [s.refusal("rate_limit", retry_after_ms="150"), s.answer(*HELLO)],
        succeeds(2, waits=(0.15,)),
    ),
    Case(
        "429 with milliseconds and seconds",
        lambda s: [s.refusal("rate_limit", retry_after_ms="150", retry_after="60"), s.answer(*HELLO)],
        succeeds(2, waits=(0.15,)),
        config=PATIENT,
    ),
    Case(
        "429 with a date",
        lambda s: [_dated(s, 2.0), s.answer(*HELLO)],
        succeeds(2, waits=(0.9,)),
        forms=(STREAM,),
    ),
    Case("429 with a date gone by", lambda s: [_dated(s, -3600), s.answer(*HELLO)], succeeds(2), config=PATIENT),
    Case(
        "429 with Google's RetryInfo",
        lambda s: [s.refusal("minute_quota"), s.answer(*HELLO)],
        succeeds(2, waits=(0.15,)),
        protocols=("google",),
    ),
    Case(
        "429 with RetryInfo, handed on by a gateway",
        lambda s: [json_reply({"error": {"message": "slow down", "details": [retry_info("0.15s")]}}, 429),
                   s.answer(*HELLO)],
        succeeds(2, waits=(0.15,)),
        protocols=("openai",),
    ),
    Case(
        "429 with a wait that the deadline cannot hold",
        lambda s: [s.refusal("rate_limit", retry_after="60")],
        fails(RateLimitError, status=429, retry_after=60.0, seconds=3.0),
        config=PATIENT,
        sync=True,
    ),
    Case(
        "429 with a date that the deadline cannot hold",
        lambda s: [_dated(s, 600)],
        fails(RateLimitError, status=429, retry_after=600.0, seconds=3.0),
        config=PATIENT,
    ),
    Case(
        "429 with a wait in words",
        lambda s: [s.refusal("rate_limit", retry_after="soon")],
        fails(RateLimitError, TRIES, status=429),
    ),
    Case(
        "429 with a wait that is no number",
        lambda s: [s.refusal("rate_limit", retry_after="nan")],
        fails(RateLimitError, TRIES, status=429),
    ),
    Case("429 each time", lambda s: [s.refusal("rate_limit")], fails(RateLimitError, TRIES, status=429), sync=True),
    Case("429 without a body", lambda s: [text_reply("", 429)], fails(RateLimitError, TRIES, status=429)),
    Case(
        "503 with a wait that the deadline cannot hold",
        lambda s: [s.refusal("overloaded", retry_after="60")],
        fails(ProviderUnavailableError, status="overloaded", retry_after=60.0, seconds=3.0),
        config=PATIENT,
    ),
    Case(
        "503 with a short wait",
        lambda s: [s.refusal("overloaded", retry_after="0.2"), s.answer(*HELLO)],
        succeeds(2, waits=(0.2,)),
    ),
)  # fmt: skip

QUOTA = (
    Case("spent quota", lambda s: [s.refusal("quota")], fails(QuotaExceededError, status="quota"), sync=True),
    Case(
        "spent credit, as 402",
        lambda s: [s.refusal("invalid", status=402, message="Insufficient credits")],
        fails(QuotaExceededError, status=402),
    ),
    Case(
        "spent quota behind a wait",
        lambda s: [s.refusal("quota", retry_after="0")],
        fails(QuotaExceededError, status="quota"),
    ),
    Case(
        "billing limit of OpenAI",
        lambda s: [json_reply({"error": {"message": "Billing hard limit has been reached",
                   "type": "invalid_request_error", "code": "billing_hard_limit_reached"}}, 400)],
        fails(QuotaExceededError, status=400),
        protocols=("openai",),
    ),
    Case(
        "spent credit at OpenAI, as a code",
        lambda s: [json_reply({"error": {"message": "You have no credits left.", "type": "insufficient_quota",
                   "code": "credit_balance_exhausted"}}, 429)],
        fails(QuotaExceededError, status=429),
        protocols=("openai",),
    ),
    Case(
        "spend limit of Anthropic",
        lambda s: [s.refusal("invalid", message="You have reached your specified API usage limits. You will regain"
                   " access on 2030-01-01 at 00:00 UTC.")],
        fails(QuotaExceededError, status=400),
        protocols=("anthropic",),
    ),
    Case(
        "quotas of a minute and of a day at Google",
        lambda s: [json_reply({"error": {"code": 429, "message": "You exceeded your current quota, please check your"
                   " plan and billing details.", "status": "RESOURCE_EXHAUSTED", "details": [
                       quota_failure("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"),
                       quota_failure("GenerateRequestsPerDayPerProjectPerModel-FreeTier")]}}, 429)],
        fails(QuotaExceededError, status=429),
        protocols=("google",),
    ),
)  # fmt: skip

SERVER_ERRORS = (
    Case(
        "a burst of 5xx, then success",
        lambda s: [s.refusal("server"), s.refusal("overloaded"), s.answer(*HELLO)],
        succeeds(3),
        sync=True,
    ),
    Case(
        "a longer burst",
        lambda s: [*[s.refusal("server", status=502)] * 3, s.answer(*HELLO)],
        fails(ProviderUnavailableError, TRIES, status=502),
    ),
    Case("500", lambda s: [s.refusal("server")], fails(ProviderUnavailableError, TRIES, status="server"), sync=True),
    Case(
        "overloaded",
        lambda s: [s.refusal("overloaded")],
        fails(ProviderUnavailableError, TRIES, status="overloaded"),
    ),
    *(
        Case(
            f"{status} then success",
            lambda s, status=status: [s.refusal("server", status=status), s.answer(*HELLO)],
            succeeds(2),
        )
        for status in (408, 409, 502, 503, 504, 529)
    ),
    Case(
        "an HTML page as 502",
        lambda s: [text_reply(PAGE.format("nginx"), 502)],
        fails(ProviderUnavailableError, TRIES, status=502),
    ),
    Case("500 without a body", lambda s: [text_reply("", 500)], fails(ProviderUnavailableError, TRIES, status=500)),
    Case(
        "500 with JSON of another shape",
        lambda s: [json_reply([], 500), json_reply(None, 500), json_reply({"error": "oops"}, 500)],
        fails(ProviderUnavailableError, TRIES, status=500),
    ),
)  # fmt: skip

FINAL = (
    Case("a wrong key", lambda s: [s.refusal("auth")], fails(AuthenticationError, status="auth"), sync=True),
    Case("401", lambda s: [s.refusal("auth", status=401)], fails(AuthenticationError, status=401)),
    Case("401 without a body", lambda s: [text_reply("", 401)], fails(AuthenticationError, status=401)),
    Case("403", lambda s: [s.refusal("permission")], fails(PermissionDeniedError, status="permission")),
    Case("404 for the model", lambda s: [s.refusal("not_found")], fails(ModelNotFoundError, status="not_found")),
    Case("404 as a page", lambda s: [text_reply(PAGE.format("none"), 404)], fails(ConfigurationError, status=404)),
    Case(
        "context length", lambda s: [s.refusal("context")], fails(ContextOverflowError, status="context"), sync=True
    ),
    Case("content filter as an error", lambda s: [s.refusal("filter")], fails(ContentFilterError)),
    Case(
        "content filter as a finish reason",
        lambda s: [s.answer("Hel", reason="content_filter")],
        succeeds(text="Hel", finish="content_filter"),
    ),
    Case(
        "content filter before any text",
        lambda s: [s.answer(reason="content_filter")],
        succeeds(text="", finish="content_filter"),
    ),
    Case("a bad request", lambda s: [s.refusal("invalid")], fails(InvalidRequestError, status="invalid")),
    Case("422", lambda s: [s.refusal("invalid", status=422)], fails(InvalidRequestError, status=422)),
    Case("413", lambda s: [s.refusal("invalid", status=413)], fails(InvalidRequestError, status=413)),
    Case("400 in plain text", lambda s: [text_reply("no", 400, "text/plain")], fails(InvalidRequestError, status=400)),
    *(
        Case(
            f"a redirect to another host, {status}",
            lambda s, status=status: [
                text_reply("", status, location=f"{s.elsewhere}/v1/chat/completions?key={KEY}"), s.answer("no")
            ],
            fails(ConfigurationError, status=status),
        )
        for status in (301, 302, 307, 308)
    ),
)  # fmt: skip

HUGE = (
    Case(
        "50 MB with a 400",
        lambda s: [lambda request: Reply(_huge(50), 400)],
        fails(InvalidRequestError, status=400, **CUT),
    ),
    Case(
        "50 MB with a 500",
        lambda s: [lambda request: Reply(_huge(50), 500)],
        fails(ProviderUnavailableError, TRIES, status=500, **CUT),
    ),
    Case(
        "50 MB with a 429",
        lambda s: [lambda request: Reply(_huge(50), 429)],
        fails(RateLimitError, TRIES, status=429, **CUT),
    ),
)

CASES = (*WAITS, *QUOTA, *SERVER_ERRORS, *FINAL, *HUGE)
