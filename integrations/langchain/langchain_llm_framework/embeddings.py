"""`FrameworkEmbeddings`: every embedding model of llm-framework, as LangChain's `Embeddings`."""

from __future__ import annotations

from typing import Any

from langchain_core.embeddings import Embeddings
from pydantic import Field

from .errors import translated_errors
from .named_model import NamedModel


class FrameworkEmbeddings(NamedModel, Embeddings):
    """Embeddings that llm-framework makes: with a model in Transformers on this machine, or with one at a provider.

    `model` is a registry name, `provider:model`, or a well-known cloud name; None takes the configured default where
    that makes embeddings, else the first embedding model of the models folder. Documents and queries are told apart
    for the models that make a difference. Making one loads nothing.

    Example:
        from langchain_llm_framework import FrameworkEmbeddings

        embeddings = FrameworkEmbeddings("openai:text-embedding-3-small")
        print(len(embeddings.embed_query("What is the capital of France?")))
    """

    dimensions: int | None = Field(default=None, ge=1)
    """How long the vectors are to be, for models that can shorten them."""
    timeout: float | None = None
    """Seconds for each call: attempts, waits, and all the requests that its texts take."""
    max_retries: int | None = None
    """How often the framework repeats a failed request."""

    # Not inherited from the first of the bases, for the last one wins.
    model_config = NamedModel.model_config

    def __init__(self, model: str | None = None, **kwargs: Any) -> None:
        """See the fields for the keywords. `model_name` is taken as another name of `model`."""
        name = kwargs.pop("model_name", None) if model is None else model
        super().__init__(**{"model": name, **kwargs})

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
        framework, name = self._resolve()
        options = {name: getattr(self, name) for name in ("dimensions", "timeout", "max_retries")}
        return framework, {"model_name": name, "task": task, **options}
