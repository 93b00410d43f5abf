"""`FrameworkEmbedding`: every embedding model of llm-framework, as a LlamaIndex embedding."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.bridge.pydantic import Field, SecretStr, field_serializer
from pydantic import ConfigDict

from llm_framework import adapters
from llm_framework.redaction import redact_value
from llm_framework.secrets import remember_settings

DEFAULT_NAME = "default"
LARGEST_BATCH = 2048  # as many as LlamaIndex lets be asked for; the framework cuts to what a model takes


class FrameworkEmbedding(BaseEmbedding):
    """Embeddings that llm-framework makes: with a model in Transformers on this machine, or with one at a provider.

    `model` is a registry name, `provider:model`, or a well-known cloud name; None takes the configured default where
    that makes embeddings, else the first embedding model of the models folder. Texts and queries are told apart for
    the models that make a difference. Making one loads nothing.

    Example:
        from llama_index.core import Settings
        from llama_index.embeddings.llm_framework import FrameworkEmbedding

        Settings.embed_model = FrameworkEmbedding("openai:text-embedding-3-small")
    """

    model: str | None = Field(default=None, description="The model's name.")
    dimensions: int | None = Field(default=None, ge=1, description="How long the vectors are, where they can be cut.")
    timeout: float | None = Field(default=None, description="Seconds for each call, with its retries.")
    max_retries: int | None = Field(default=None, description="How often a failed request is repeated.")
    embed_batch_size: int = Field(default=LARGEST_BATCH, gt=0, le=2048, description="The texts of one call.")
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)
    base_url: str | None = Field(default=None, description="Where the provider is that `model` names.")
    framework: Any = Field(default=None, exclude=True, repr=False)

    # An option that is misspelt should not be silently without effect.
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    def __init__(self, model: str | None = None, **kwargs: Any) -> None:
        """See the fields for the keywords; LlamaIndex's own (`callback_manager`, `embeddings_cache`, …) are taken too.
        `model_name` is another name of `model`."""
        kwargs.pop("class_name", None)  # `from_dict` gives back what `to_dict` wrote
        given = kwargs.pop("model_name", None)
        name = model or (None if given == DEFAULT_NAME else given)
        names: dict[str, Any] = {"model": name, "model_name": name or DEFAULT_NAME}
        super().__init__(**names, **kwargs)
        remember_settings({"api_key": self.api_key, "base_url": self.base_url})

    @classmethod
    def from_framework(cls, framework: Any, model: str | None = None, **kwargs: Any) -> FrameworkEmbedding:
        """Embeddings made by this `LLMFramework`, with its configuration, plugins and statistics."""
        return cls(model, framework=framework, **kwargs)

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex writes into events and files."""
        return "FrameworkEmbedding"

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, redact_value(value)  # a URL may hold a password

    @field_serializer("base_url")
    def _url_without_password(self, url: str | None) -> str | None:
        return redact_value(url)

    # ------------------------------------------------------------------------------------------------- vectors
    def _get_query_embedding(self, query: str) -> Embedding:
        return self._made([query], "query")[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return (await self._amade([query], "query"))[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._made([text], "document")[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._amade([text], "document"))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._made(texts, "document")

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await self._amade(texts, "document")

    def _made(self, texts: list[str], task: str) -> list[Embedding]:
        framework, options = self._call(task)
        vectors: list[Embedding] = framework.sync.embed(texts, **options)
        return vectors

    async def _amade(self, texts: list[str], task: str) -> list[Embedding]:
        framework, options = self._call(task)
        vectors: list[Embedding] = await framework.embed(texts, **options)
        return vectors

    def _call(self, task: str) -> tuple[Any, dict[str, Any]]:
        key = self.api_key.get_secret_value() if self.api_key else None
        framework, name = adapters.resolve(self.model, api_key=key, base_url=self.base_url, framework=self.framework)
        options = {name: getattr(self, name) for name in ("dimensions", "timeout", "max_retries")}
        return framework, {"model_name": name, "task": task, **options}

    # ------------------------------------------------------------------------------------------------- copy, pickle
    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> FrameworkEmbedding:
        memo = {} if memo is None else memo
        if self.framework is not None:
            memo[id(self.framework)] = self.framework  # copies share it: it holds models and connections
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[str, Any]:
        # In another process the shared framework answers, with the key that it finds there.
        portable = self.model_copy(update={"framework": None, "api_key": None})
        return super(FrameworkEmbedding, portable).__getstate__()
