"""From an error of Google's APIs to the one of ours that says what it means: what `http_errors` makes of the status,
refined by Google's own words (`status`, `details`). Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import (
    AuthenticationError,
    ContextOverflowError,
    LLMFrameworkError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
)
from . import http_errors

# For an error that gives only its name, as in the middle of a stream.
_STATUS = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429, "CANCELLED": 503,
    "INTERNAL": 500, "UNKNOWN": 500, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}  # fmt: skip
_KEY = re.compile(
    r"API key (not valid|expired|not found)|API_KEY_(INVALID|EXPIRED)|unregistered callers", re.IGNORECASE
)
_PLACE = re.compile(r"location is not supported", re.IGNORECASE)
_COUNTS = re.compile(r"token count \(?(\d+)\)? exceeds the maximum number of tokens allowed \(?(\d+)", re.IGNORECASE)
_NO_WAITING = re.compile(r"limit: 0\b|PerDay|per day|prepayment credits|spending cap", re.IGNORECASE)


def status_of(value: Any) -> int | None:
    """The status in a decoded error, by its number or its name."""
    inner = _inner(value)
    code = inner.get("code")
    if isinstance(code, int) and 400 <= code < 600:
        return code
    return _STATUS.get(str(inner.get("status") or ""))


def error_of(
    status: int, value: Any, *, who: str, model: str, headers: Mapping[str, str] | None = None
) -> LLMFrameworkError:
    """The error for a status and a decoded body."""
    error = http_errors.error_of(status, http_errors.from_json(value), who=who, model=model, headers=headers)
    return refined(error, value)


def refined(error: LLMFrameworkError, value: Any) -> LLMFrameworkError:
    """The same error, or one of a better class with what it knows."""
    inner = _inner(value)
    message = str(inner.get("message") or "")
    words = " ".join([message, *_words(inner)])
    if error.status in (400, 403) and _KEY.search(words):
        return _as(
            AuthenticationError, error, f"{error.provider} does not accept the key (set api_key in api_credentials)"
        )
    if error.status == 400 and _PLACE.search(message):
        return _as(PermissionDeniedError, error, f"{error.provider} does not serve this place")
    if error.status == 429:
        # Google says "exceeded your current quota" of a limit per minute too.
        if _NO_WAITING.search(words):
            return _as(QuotaExceededError, error, f"the quota at {error.provider} is spent")
        return _as(RateLimitError, error, f"{error.provider} takes no more requests for now")
    if isinstance(error, ContextOverflowError) and (match := _COUNTS.search(message)):
        error.tokens, error.limit = int(match.group(1)), int(match.group(2))
    return error


def _as(kind: type[LLMFrameworkError], error: LLMFrameworkError, meaning: str) -> LLMFrameworkError:
    if type(error) is kind:
        return error
    said = error.message.partition(": ")[2]
    return kind(f"{meaning}: {said}" if said else meaning, **vars(error))


def _inner(value: Any) -> Mapping[str, Any]:
    if isinstance(value, list) and value:  # as the errors of a stream asked for as an array
        value = value[0]
    inner = value.get("error", value) if isinstance(value, Mapping) else {}
    return inner if isinstance(inner, Mapping) else {}


def _words(inner: Mapping[str, Any]) -> Iterator[str]:
    """What the details say: reasons, and the names of quotas that were passed."""
    details = inner.get("details")
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, Mapping):
            continue
        yield str(detail.get("reason") or "")
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, Mapping):
                yield str(violation.get("quotaId") or "")
