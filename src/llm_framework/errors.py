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

They hold plain data only, so they survive pickling and copying, and never a secret: their texts are redacted when they
are set. What a model had written (`response`) is left as it is.
"""

from __future__ import annotations

from typing import Any

from .redaction import redact_value


class LLMFrameworkError(Exception):
    """The root. `retryable`: the same request may succeed later. `provider`, `model`, `status` (an HTTP status), `code`
    and `provider_request_id` (the provider's own, which its support asks for) are None where there was none. An error
    that the engine raised has `attempts`, and `response` where something had come before it."""

    retryable: bool = False
    code: str | None = None
    provider_request_id: str | None = None
    retry_after: float | None = None
    response: Any = None
    attempts: tuple[Any, ...] = ()

    def __init__(
        self,
        message: str = "",
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        **details: Any,
    ) -> None:
        super().__init__(redact_value(message))
        self.provider = provider
        self.model = model
        self.status = status
        for name, value in details.items():
            setattr(self, name, value)

    @property
    def message(self) -> str:
        """What `str()` gives."""
        return str(self.args[0]) if self.args else ""

    @message.setter
    def message(self, text: str) -> None:
        self.args = (text,)

    def __setattr__(self, name: str, value: Any) -> None:
        # Here rather than where errors are made: a text that is put in later is hidden too.
        super().__setattr__(name, redact_value(value))

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the class with `args` alone and lose every keyword.
        return _rebuild, (type(self), self.message, portable(self.__dict__))


def portable(state: dict[str, Any]) -> dict[str, Any]:
    """The attributes as they can be pickled: an answer may hold objects of its caller's that cannot, and an error that
    does not arrive is worse than one without them."""
    return {name: value if _is_portable(value) else None for name, value in state.items()}


def _is_portable(value: Any) -> bool:
    if value is None or isinstance(value, (str, int, float)):
        return True
    import pickle  # not with the package: few errors ever travel

    try:
        pickle.dumps(value)
    except Exception:  # whatever an object of the caller's raises
        return False
    return True


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


class QuotaExceededError(RateLimitError):
    """The quota or the credit is spent: the same request fails until someone pays."""

    retryable = False


class ProviderUnavailableError(LLMFrameworkError):
    """The provider is down or overloaded."""

    retryable = True


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


class ContentFilterError(LLMFrameworkError):
    """The provider refused the prompt or the answer for its content."""


class StructuredOutputError(LLMFrameworkError):
    """The answer does not have the form that was asked for. `response` is the answer as it came."""


class PluginError(LLMFrameworkError):
    """A plugin failed; `plugin` is its name."""

    plugin: str | None = None


class RequestCancelledError(LLMFrameworkError):
    """The request was cancelled by `engine.cancel`. `response` holds what had come."""


class QueueFullError(LLMFrameworkError):
    """More requests are waiting than the configuration allows."""

    retryable = True
