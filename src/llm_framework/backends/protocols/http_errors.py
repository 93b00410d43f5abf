"""From an HTTP answer that is no success to the error of ours that says what it means. The status decides first; what
the body says only refines it. Pure functions, for every backend that speaks HTTP itself."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

from ... import redaction
from ...errors import (
    AuthenticationError,
    BadResponseError,
    ConfigurationError,
    ContentFilterError,
    ContextOverflowError,
    InvalidRequestError,
    LLMFrameworkError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    UnsupportedFeatureError,
)

MAX_SHOWN = 500  # characters of a provider's message that an error repeats
MAX_BODY = 64 * 1024  # bytes of an error's body that are looked at
MAX_NAME = 200  # characters of a code, a type, a request's id

# Where providers say by which id they know a request.
_REQUEST_IDS = (
    "x-request-id", "request-id", "x-goog-request-id", "apim-request-id", "x-amzn-requestid", "x-ms-request-id",
    "x-correlation-id", "cf-ray",
)  # fmt: skip

_CONTEXT = re.compile(
    r"context.{0,12}(length|window|size)|maximum context|prompt is too long|too many (input )?tokens|"
    r"input is too long|exceeds? the (available|maximum) (context|number of tokens)|context the overflows|"
    r"exceed context limit|maximum input length|must have less than \d+ tokens|too large to process|"
    r"exceeds maximum allowed token size",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"insufficient[_ ](quota|balance|credit|funds)|billing|exceeded your current quota", re.IGNORECASE)
_SPENT = re.compile(r"credit balance is too low|reached your specified API usage limits")  # said with status 400
_FILTER = re.compile(r"content[_ ](filter|policy)|moderation|safety system", re.IGNORECASE)
_BLOCKED = re.compile(r"output blocked by content filtering policy", re.IGNORECASE)  # said without a code of its own
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|does not support|unrecognized|unknown (parameter|field)|extra (inputs|fields)|"
    r"unexpected (keyword|fields)|not permitted|only the default",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(r"server is pinned to '|invalid model name passed in model=", re.IGNORECASE)
_UNKNOWN_KEY = "no_db_connection"  # what a LiteLLM proxy that has no database says to any key but its own
_INVALID = re.compile(r"\b\d+ validation errors?\b", re.IGNORECASE)
# A tag, or a script with what is in it. Never looks beyond the next "<" without need: pages may be made to be slow.
_TAG = re.compile(r"<(script|style)\b[^<]*(?:<(?!/?\1\b)[^<]*)*</\1\s*>|<[^<>]*>", re.IGNORECASE)
_OUR_LIMIT = re.compile(r"maximum (?:context|input) length (?:is|of) (\d+)|context size \(?(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What a provider says of its error. Fields that it leaves out are empty."""

    message: str = ""
    type: str = ""
    code: str = ""
    parameter: str = ""
    retry_delay: float | None = None
    is_json: bool = False
    request_id: str = ""
    value: Any = field(default=None, repr=False)  # the whole body, decoded

    @property
    def all_text(self) -> str:
        """Everything that may be searched for a hint."""
        return f"{self.code} {self.type} {self.message}"

    def refuses(self, field: str) -> bool:
        """Whether this says that a field of the request is not taken."""
        named = self.parameter == field or re.search(rf"(?<![a-z_]){re.escape(field)}(?![a-z_])", self.message)
        return bool(named and (_UNSUPPORTED.search(self.all_text) or self.parameter == field))


def is_refusal(status: int, body: ErrorBody) -> bool:
    """Whether the request itself is what is wrong. A server may answer 500 to one that it could not validate."""
    return status in (400, 422) or (status == 500 and bool(_INVALID.search(body.message)))


def read_body(content: bytes | str) -> ErrorBody:
    """The error in a body: OpenAI's form, the shorter forms of others, or plain text. Of a body longer than `MAX_BODY`
    the beginning is read, as text; one that is no JSON may have been cut already, in the middle of a key."""
    content = content[:MAX_BODY]
    text = content.decode(errors="replace") if isinstance(content, bytes) else content
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ErrorBody(_plain(redaction.without_part(text)))
    return from_json(value)


def from_json(value: Any) -> ErrorBody:
    """The error in a decoded body, or in the `error` of a stream's frame."""
    original = value
    if isinstance(value, list) and value:  # one gateway wraps it in a list
        value = value[0]
    inner = value.get("error", value) if isinstance(value, Mapping) else value
    if not isinstance(inner, Mapping):
        return ErrorBody(_plain(str(inner)), is_json=True)
    message = inner.get("message") or inner.get("detail") or inner.get("error") or ""
    if not isinstance(message, str):
        message = json.dumps(message, ensure_ascii=False)
    metadata = inner.get("metadata")
    if isinstance(metadata, Mapping) and isinstance(metadata.get("raw"), str):  # what the provider behind it said
        message = f"{message}: {metadata['raw']}"
    code = _name(inner.get("code"))
    if code.isdigit() and isinstance(inner.get("status"), str):  # Google's code is the HTTP status once more
        code = _name(inner["status"])
    request_id = _name(inner.get("request_id") or (value.get("request_id") if isinstance(value, Mapping) else None))
    kind, parameter = _name(inner.get("type")), _name(inner.get("param"))
    return ErrorBody(
        _plain(message), kind, code, parameter, _retry_delay(inner.get("details")), True, request_id, original
    )


# What providers call their errors, with the status that each would have had in front of the answer.
_STATUS_OF_NAME: dict[str, int] = {
    "rate_limit_exceeded": 429, "rate_limit_error": 429, "requests": 429, "tokens": 429, "insufficient_quota": 429,
    "context_length_exceeded": 400, "content_filter": 400, "content_policy_violation": 400,
    "invalid_api_key": 401, "authentication_error": 401, "permission_error": 403, "model_not_found": 404,
    "server_error": 500, "api_error": 500, "overloaded_error": 529, "timeout_error": 504,
    "invalid_request_error": 400,
}  # fmt: skip


def status_in(body: ErrorBody) -> int | None:
    """The status that an error inside an answer stands for: its code, or what its code or type is called. None where
    it says neither."""
    if body.code.isdigit() and 400 <= int(body.code) < 600:
        return int(body.code)
    return _STATUS_OF_NAME.get(body.code) or _STATUS_OF_NAME.get(body.type)


def error_of(
    status: int, body: ErrorBody, *, who: str, model: str, headers: Mapping[str, str] | None = None
) -> LLMFrameworkError:
    """The error for a status; `who` is the provider's name, `model` the model's there."""
    kind = _class_of(status, body)
    said = f": {body.message}" if body.message else ""
    headers = headers or {}
    details: dict[str, Any] = {"provider": who, "model": model, "status": status}
    details["code"] = body.code or body.type or None
    details["provider_request_id"] = request_id(headers) or body.request_id or None
    if issubclass(kind, (RateLimitError, ProviderUnavailableError)):
        wait = retry_after(headers)
        details["retry_after"] = body.retry_delay if wait is None else wait
    if kind is ContextOverflowError and (match := _OUR_LIMIT.search(body.message)):
        details["limit"] = int(match.group(1) or match.group(2))
    if kind is UnsupportedFeatureError:
        details["feature"] = body.parameter or None
    return kind(f"{_meaning(kind, status, who, model)}{said}", **details)


def _class_of(status: int, body: ErrorBody) -> type[LLMFrameworkError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status == 429:
        return QuotaExceededError if _QUOTA.search(body.all_text) else RateLimitError
    if status == 404:
        # A server that knows the path says something of the model; any other has no such path.
        names_model = body.is_json and ("model" in body.all_text.lower())
        return ModelNotFoundError if names_model else ConfigurationError
    if status >= 500 and not is_refusal(status, body):
        # Some local servers answer so to a prompt that does not fit.
        return ContextOverflowError if status == 500 and _CONTEXT.search(body.all_text) else ProviderUnavailableError
    if status >= 400:
        return _class_of_bad_request(body)
    return ConfigurationError if status >= 300 else BadResponseError


def _class_of_bad_request(body: ErrorBody) -> type[LLMFrameworkError]:
    text = body.all_text
    if _CONTEXT.search(text):
        return ContextOverflowError
    if _FILTER.search(f"{body.code} {body.type}") or _BLOCKED.search(body.message):
        return ContentFilterError
    if _QUOTA.search(f"{body.code} {body.type}") or _SPENT.search(body.message):
        return QuotaExceededError
    if body.type == _UNKNOWN_KEY:
        return AuthenticationError
    if body.code in ("model_not_found", "unknown_model") or _NO_MODEL.search(body.message):
        return ModelNotFoundError
    if body.code.startswith("unsupported") or (body.parameter and _UNSUPPORTED.search(text)):
        return UnsupportedFeatureError
    return InvalidRequestError


_BY_STATUS: dict[int, type[LLMFrameworkError]] = {
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    407: ConfigurationError,
    408: ProviderUnavailableError,
    409: ProviderUnavailableError,
    425: ProviderUnavailableError,
}


def _meaning(kind: type[LLMFrameworkError], status: int, who: str, model: str) -> str:
    texts: dict[type[LLMFrameworkError], str] = {
        AuthenticationError: f"{who} does not accept the key (set api_key in api_credentials)",
        PermissionDeniedError: f"{who} does not let this key use {model!r}",
        ModelNotFoundError: f"{who} has no model {model!r}",
        RateLimitError: f"{who} takes no more requests for now",
        QuotaExceededError: f"the quota or credit at {who} is spent",
        ContextOverflowError: f"the prompt does not fit the context of {model!r}",
        ContentFilterError: f"{who} refused the request for its content",
        UnsupportedFeatureError: f"{model!r} at {who} does not take a parameter",
        ProviderUnavailableError: f"{who} is not available (status {status})",
    }
    if kind is ConfigurationError and status == 404:
        return f"{who} has nothing at that address (status 404); base_url usually ends in /v1"
    return texts.get(kind, f"{who} answered with status {status}")


def request_id(headers: Mapping[str, str]) -> str | None:
    """The id under which the provider knows the request that these headers answer."""
    found = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)
    return None if found is None else redaction.cut(found, MAX_NAME)


# ------------------------------------------------------------------------------------------------------------- waits
def retry_after(headers: Mapping[str, str]) -> float | None:
    """The wait that the headers ask for, in seconds: `retry-after-ms`, or `retry-after` in seconds or as a date. A date
    that has passed, and less than nothing, is no wait; what is no number, or an endless one, is not heeded."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    try:
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
        return max(0.0, date.timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None


def _retry_delay(details: Any) -> float | None:
    """Google's RetryInfo, among the details of its errors: "3.5s", or {"seconds": 3, "nanos": 500000000}."""
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, Mapping) else None
        if isinstance(delay, str):
            return _number(delay.strip().removesuffix("s"))
        if isinstance(delay, Mapping):
            seconds, nanos = _number(str(delay.get("seconds", 0))), _number(str(delay.get("nanos", 0)))
            return None if seconds is None or nanos is None else seconds + nanos / 1e9
    return None


def _plain(text: str) -> str:
    """Text that fits into an error: pages of HTML without their tags, not too long, and without keys before it is cut:
    the first part of one would not be recognised."""
    text = redaction.cut(text, MAX_BODY)
    if "<" in text and re.search(r"<(!doctype|html|head|body)", text, re.IGNORECASE):
        text = _TAG.sub(" ", text)
    text = " ".join(text.split())
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _name(value: Any) -> str:
    return "" if value is None else redaction.cut(str(value), MAX_NAME)
