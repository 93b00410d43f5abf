"""`FrameworkEmbeddings`: every embedding model of llm-framework, as LangChain's `Embeddings`."""

from __future__ import annotations

from typing import Any

from langchain_core.embeddings import Embeddings
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer, model_validator
from typing_extensions import Self

from llm_framework import adapters
from llm_framework.redaction import redact_value
from llm_framework.secrets import remember_settings

from .errors import translated_errors


class FrameworkEmbeddings(BaseModel, Embeddings):
    """Embeddings that llm-framework makes: with a model in Transformers on this machine, or with one at a provider.

    `model` is a registry name, `provider:model`, or a well-known cloud name; None takes the configured default where
    that makes embeddings, else the first embedding model of the models folder. Documents and queries are told apart
    for the models that make a difference. Making one loads nothing.

    Example:
        from langchain_llm_framework import FrameworkEmbeddings

        embeddings = FrameworkEmbeddings("openai:text-embedding-3-small")
        print(len(embeddings.embed_query("What is the capital of France?")))
    """

    model: str | None = None
    """The model's name."""
    dimensions: int | None = Field(default=None, ge=1)
    """How long the vectors are to be, for models that can shorten them."""
    timeout: float | None = None
    """Seconds for each call: attempts, waits, and all the requests that its texts take."""
    max_retries: int | None = None
    """How often the framework repeats a failed request."""
    api_key: SecretStr | None = Field(default=None, repr=False)
    """The key for the provider that `model` names. None takes the framework's configuration."""
    base_url: str | None = None
    """Where that provider is; without a prefix in `model`, an OpenAI-compatible endpoint."""
    framework: Any = Field(default=None, exclude=True, repr=False)
    """The `LLMFramework` that answers; None takes the one that the process shares."""

    # An option that is misspelt should not be silently without effect.
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    def __init__(self, model: str | None = None, **kwargs: Any) -> None:
        """See the fields for the keywords. `model_name` is taken as another name of `model`."""
        name = kwargs.pop("model_name", None) if model is None else model
        super().__init__(**{"model": name, **kwargs})

    @classmethod
    def from_framework(cls, framework: Any, model: str | None = None, **kwargs: Any) -> Self:
        """Embeddings made by this `LLMFramework`, with its configuration, plugins and statistics."""
        return cls(model, framework=framework, **kwargs)

    @model_validator(mode="after")
    def _hide_secrets(self) -> Self:
        remember_settings({"api_key": self.api_key, "base_url": self.base_url})
        return self

    @field_serializer("base_url")
    def _url_without_password(self, url: str | None) -> str | None:
        return redact_value(url)

    # ------------------------------------------------------------------------------------------------- vectors
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text, as of what is looked through."""
        with translated_errors():
            framework, options = self._call("document")
            vectors: list[list[float]] = framework.sync.embed(texts, **options)
            return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector of a text, as of what is looked for."""
        with translated_errors():
            framework, options = self._call("query")
            vectors: list[list[float]] = framework.sync.embed([text], **options)
            return vectors[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """As `embed_documents`, without blocking."""
        with translated_errors():
            framework, options = self._call("document")
            vectors: list[list[float]] = await framework.embed(texts, **options)
            return vectors

    async def aembed_query(self, text: str) -> list[float]:
        """As `embed_query`, without blocking."""
        with translated_errors():
            framework, options = self._call("query")
            vectors: list[list[float]] = await framework.embed([text], **options)
            return vectors[0]

    def _call(self, task: str) -> tuple[Any, dict[str, Any]]:
        key = self.api_key.get_secret_value() if self.api_key else None
        framework, name = adapters.resolve(self.model, api_key=key, base_url=self.base_url, framework=self.framework)
        options = {name: getattr(self, name) for name in ("dimensions", "timeout", "max_retries")}
        return framework, {"model_name": name, "task": task, **options}

    # ------------------------------------------------------------------------------------------------- copy, pickle
    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        memo = {} if memo is None else memo
        if self.framework is not None:
            memo[id(self.framework)] = self.framework  # copies share it: it holds models and connections
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[Any, Any]:
        # In another process the shared framework answers, with the key that it finds there.
        state = super().__getstate__()
        return {**state, "__dict__": {**state["__dict__"], "framework": None, "api_key": None}}

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, redact_value(value)  # a URL may hold a password
