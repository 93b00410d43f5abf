"""Every error this package raises on purpose.

    LLMFrameworkError
    ├── ConfigurationError            a setting is missing, unknown or wrong
    │   └── MissingDependencyError    an extra is not installed (also an ImportError)
    ├── ModelNotFoundError            no such model; the nearest names are given
    ├── ModelLoadError                a model file is broken, unsupported or does not fit
    ├── InvalidRequestError           the request makes no sense (also a ValueError)
    │   ├── UnsupportedFeatureError   this model or backend cannot do that
    │   └── ContextOverflowError      prompt and answer do not fit the context
    ├── AuthenticationError           no key, or a wrong one
    ├── PermissionDeniedError         the key may not do that
    ├── RateLimitError                too many requests; `retry_after` seconds where known
    │   └── QuotaExceededError        the quota is spent: waiting does not help
    ├── ProviderUnavailableError      5xx, overloaded
    ├── BadResponseError              the provider answered nonsense
    ├── ConnectionFailedError         no connection, or it broke before the answer began
    ├── RequestTimeoutError           a time limit passed; `limit` says which (also a TimeoutError)
    ├── StreamInterruptedError        a stream broke off; `response` holds what had come
    ├── ContentFilterError            refused for its content
    ├── StructuredOutputError         the answer does not have the form asked for
    ├── PluginError                   a plugin failed; it is named
    ├── RequestCancelledError         `engine.cancel` was called
    └── QueueFullError                more requests are waiting than `max_queue`

They hold plain data only, so they survive pickling and copying, and never a secret.
"""

from __future__ import annotations

from typing import Any


class LLMFrameworkError(Exception):
    """The root. `retryable`: the same request may succeed later. `provider`, `model` and `status` (an HTTP status)
    are None where there was none."""

    retryable: bool = False

    def __init__(
        self,
        message: str = "",
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.model = model
        self.status = status
        for name, value in details.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the class with `args` alone and lose every keyword.
        return _rebuild, (type(self), self.message, {**self.__dict__})


def _rebuild(cls: type[LLMFrameworkError], message: str, state: dict[str, Any]) -> LLMFrameworkError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class ConfigurationError(LLMFrameworkError):
    """A setting is missing, unknown or wrong; the message names it and where it stands."""


class MissingDependencyError(ConfigurationError, ImportError):
    """An optional package is needed that is not installed; the message names the extra."""

    def __init__(self, feature: str = "", extra: str = "", **details: Any) -> None:
        message = f"{feature} needs an optional package: pip install 'llm-framework[{extra}]'"
        super().__init__(message, extra=extra, **details)


class ModelNotFoundError(LLMFrameworkError):
    """No model of that name; `nearest` lists the names that come close."""

    nearest: tuple[str, ...] = ()


class ModelLoadError(LLMFrameworkError):
    """A model file is broken, of an unsupported kind, or does not fit; `path` is the file."""

    path: str | None = None


class InvalidRequestError(LLMFrameworkError, ValueError):
    """The request cannot be meant so."""


class UnsupportedFeatureError(InvalidRequestError):
    """The model or its backend cannot do what was asked; `feature` names it."""

    feature: str | None = None


class ContextOverflowError(InvalidRequestError):
    """The prompt does not fit the context; `tokens` and `limit` say by how much, in tokens."""

    tokens: int | None = None
    limit: int | None = None


class AuthenticationError(LLMFrameworkError):
    """No key, or a wrong one."""


class PermissionDeniedError(LLMFrameworkError):
    """The key is known, but may not do this."""


class RateLimitError(LLMFrameworkError):
    """Too many requests. `retry_after` is the wait that the provider asked for, in seconds, or None."""

    retryable = True
    retry_after: float | None = None


class QuotaExceededError(RateLimitError):
    """The quota or the credit is spent: the same request fails until someone pays."""

    retryable = False


class ProviderUnavailableError(LLMFrameworkError):
    """The provider is down or overloaded."""

    retryable = True
    retry_after: float | None = None


class BadResponseError(LLMFrameworkError):
    """The provider's answer could not be read."""

    retryable = True


class ConnectionFailedError(LLMFrameworkError):
    """No connection to the provider, or it broke before the answer began."""

    retryable = True


class RequestTimeoutError(LLMFrameworkError, TimeoutError):
    """A time limit passed. `limit` is "total", "attempt", "connect", "first_token", "idle" or "queue", `seconds` its
    length."""

    retryable = True
    limit: str = "total"
    seconds: float | None = None


class StreamInterruptedError(LLMFrameworkError):
    """A stream broke off after its first visible piece. `response` holds what had come."""

    response: Any = None


class ContentFilterError(LLMFrameworkError):
    """The provider refused the prompt or the answer for its content."""

    response: Any = None


class StructuredOutputError(LLMFrameworkError):
    """The answer does not have the form that was asked for. `response` is the answer as it came."""

    response: Any = None


class PluginError(LLMFrameworkError):
    """A plugin failed; `plugin` is its name."""

    plugin: str | None = None


class RequestCancelledError(LLMFrameworkError):
    """The request was cancelled by `engine.cancel`. `response` holds what had come."""

    response: Any = None


class QueueFullError(LLMFrameworkError):
    """More requests are waiting than the configuration allows."""

    retryable = True
