"""`NamedModel`: who answers. The fields that chat models and embeddings share, and how these are copied and shown."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer, model_validator
from typing_extensions import Self

from llm_framework import adapters
from llm_framework.redaction import redact_value
from llm_framework.secrets import remember_settings


class NamedModel(BaseModel):
    """A model by its name, and how to reach it. Goes before LangChain's class in the bases.

    A constructor that takes the name as its first argument stands in each class: type checkers ignore an inherited one.
    """

    model: str | None = None
    """The model's name."""
    api_key: SecretStr | None = Field(default=None, repr=False)
    """The key for the provider that `model` names. None takes the framework's configuration."""
    base_url: str | None = None
    """Where that provider is; without a prefix in `model`, an OpenAI-compatible endpoint."""
    framework: Any = Field(default=None, exclude=True, repr=False)
    """The `LLMFramework` that answers; None takes the one that the process shares."""

    # An option that is misspelt should not be silently without effect.
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    @classmethod
    def from_framework(cls, framework: Any, model: str | None = None, **kwargs: Any) -> Self:
        """Answered by this `LLMFramework`, with its configuration, plugins and statistics."""
        return cls(model=model, framework=framework, **kwargs)

    @model_validator(mode="after")
    def _hide_secrets(self) -> Self:
        remember_settings({"api_key": self.api_key, "base_url": self.base_url})
        return self

    @field_serializer("base_url")
    def _url_without_password(self, url: str | None) -> str | None:
        return redact_value(url)

    def _resolve(self, model: str | None = None) -> tuple[Any, str | None]:
        """The framework that answers, and the model's name in it."""
        key = self.api_key.get_secret_value() if self.api_key else None
        return adapters.resolve(model or self.model, api_key=key, base_url=self.base_url, framework=self.framework)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        memo = {} if memo is None else memo
        if self.framework is not None:
            memo[id(self.framework)] = self.framework  # copies share it: it holds models and connections
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[Any, Any]:
        # A framework holds threads and connections; in another process the shared one answers, with the key that it
        # finds there: a file or a queue is no place for one.
        state = super().__getstate__()
        return {**state, "__dict__": {**state["__dict__"], "framework": None, "api_key": None}}

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, redact_value(value)  # a URL may hold a password
