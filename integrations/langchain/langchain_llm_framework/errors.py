"""Our errors, as LangChain's taxonomy names them.

An error that leaves the adapter is a subclass of both: `except llm_framework.RateLimitError` and
`except langchain_core.exceptions.ModelRateLimitError` catch the same one. Classes that the installed langchain-core
does not have yet are left out.
"""

from __future__ import annotations

import functools
from types import TracebackType
from typing import Any

from langchain_core import exceptions

from llm_framework import errors

_TAXONOMY: dict[type[errors.LLMFrameworkError], str] = {
    errors.AuthenticationError: "ModelAuthenticationError",
    errors.PermissionDeniedError: "ModelPermissionDeniedError",
    errors.ModelNotFoundError: "ModelNotFoundError",
    errors.InvalidRequestError: "ModelInvalidRequestError",
    errors.ContextOverflowError: "ContextOverflowError",
    errors.RateLimitError: "ModelRateLimitError",
    errors.QueueFullError: "ModelRateLimitError",
    errors.ProviderUnavailableError: "ModelAPIError",
    errors.BadResponseError: "ModelAPIError",
    errors.ConnectionFailedError: "ModelConnectionError",
    errors.StreamInterruptedError: "ModelConnectionError",
    errors.RequestTimeoutError: "ModelTimeoutError",
    errors.ContentFilterError: "ModelRefusalError",
    errors.LLMFrameworkError: "ModelError",  # whatever else: retrying middleware asks these whether it helps
}


class translated_errors:
    """A context in which our errors become ones that LangChain knows too."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, errors.LLMFrameworkError):
            translated = translate(error)
            if translated is not error:
                raise translated from error


def translate(error: errors.LLMFrameworkError) -> errors.LLMFrameworkError:
    """`error` as an instance of its own class and of LangChain's for it; itself where LangChain has none."""
    kind: type[errors.LLMFrameworkError] = _both(type(error))  # type: ignore[arg-type]
    return error if kind is type(error) else _restore(type(error), error.message, dict(error.__dict__))


@functools.cache
def _both(kind: type[errors.LLMFrameworkError]) -> type[errors.LLMFrameworkError]:
    if issubclass(kind, getattr(exceptions, "ModelError", ())):
        return kind
    name = next((_TAXONOMY[base] for base in kind.__mro__ if base in _TAXONOMY), "")
    theirs = getattr(exceptions, name, None)
    if theirs is None:
        return kind
    # Whether a repetition may help is ours to say: a spent quota is a rate limit, but waiting does not help.
    members = {"__module__": kind.__module__, "__doc__": kind.__doc__, "is_retryable": kind.retryable}
    return type(kind.__name__, (kind, theirs), {**members, "__reduce__": _reduce, "_ours": kind})


def _reduce(error: Any) -> tuple[Any, ...]:
    # The class is made at run time, so pickle must be told how to make it again.
    return _restore, (error._ours, error.message, errors.portable(error.__dict__))


def _restore(ours: type[errors.LLMFrameworkError], message: str, state: dict[str, Any]) -> errors.LLMFrameworkError:
    kind: type[errors.LLMFrameworkError] = _both(ours)  # type: ignore[arg-type]
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error
