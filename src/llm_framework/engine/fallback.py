"""Falling back to another model, by LangChain's `RunnableWithFallbacks`. The one module that imports langchain_core,
and it is imported only when fallbacks are configured.

A chain falls back until the first visible chunk; an error after it reaches the caller, since text that was shown cannot
be taken back. The chain carries our own requests and chunks, so every host that sits on us inherits it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from ..errors import (
    BadResponseError,
    ConnectionFailedError,
    LLMFrameworkError,
    MissingDependencyError,
    ModelLoadError,
    ModelNotFoundError,
    ProviderUnavailableError,
    QueueFullError,
    RateLimitError,
    RequestTimeoutError,
)
from ..logs import get_logger
from ..types import Chunk, InferenceRequest
from .engine import CallOptions, InferenceEngine

try:
    from langchain_core.runnables import Runnable, RunnableConfig
except ImportError as error:
    raise MissingDependencyError("falling back to other models", "langchain") from error

logger = get_logger(__name__)

FALLBACK_ERRORS: tuple[type[LLMFrameworkError], ...] = (
    RateLimitError,
    ProviderUnavailableError,
    ConnectionFailedError,
    BadResponseError,
    RequestTimeoutError,
    QueueFullError,
    ModelLoadError,
    ModelNotFoundError,
)
"""What another model may do better at. Never a request that is wrong in itself, or a key that is."""


class ModelRunnable(Runnable[InferenceRequest, Chunk]):
    """One model of a chain, for one call."""

    def __init__(self, engine: InferenceEngine, model_name: str | None, options: CallOptions) -> None:
        self._engine = engine
        self._model_name = model_name
        self._options = options
        self._stream: AsyncGenerator[Chunk, None] | None = None

    def astream(
        self, input: InferenceRequest, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Chunk]:
        """The engine's stream."""
        self._stream = self._run(input)
        return self._stream

    async def aclose(self) -> None:
        """Close the stream: RunnableWithFallbacks leaves that to the garbage collector."""
        if self._stream is not None:
            await self._stream.aclose()

    async def _run(self, input: InferenceRequest) -> AsyncGenerator[Chunk, None]:
        request = replace(input, model_name=self._model_name)
        try:
            async with aclosing(self._engine.generate_stream(request, options=self._options)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except FALLBACK_ERRORS as error:
            logger.warning("the model %s failed: %s", self._model_name, error)
            raise

    def invoke(self, input: InferenceRequest, config: RunnableConfig | None = None, **kwargs: Any) -> Chunk:
        """Not offered: the core is asynchronous."""
        raise NotImplementedError("use astream")


async def stream_with_fallbacks(
    engine: InferenceEngine, request: InferenceRequest, fallbacks: Sequence[str], options: CallOptions
) -> AsyncGenerator[Chunk, None]:
    """The stream of the first of the request's model and `fallbacks` that answers.

    Raises the first model's error where all fail; its `attempts` tells of all. The request's deadline holds over the
    chain.
    """
    models = [ModelRunnable(engine, name, options) for name in dict.fromkeys([request.model_name, *fallbacks])]
    chain = models[0].with_fallbacks(models[1:], exceptions_to_handle=FALLBACK_ERRORS)
    # No callbacks: a host's tracing sees its own model call, not the machinery inside it.
    config: RunnableConfig = {"callbacks": []}
    try:
        async with aclosing(chain.astream(request, config)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk
    except LLMFrameworkError as error:
        error.attempts = tuple(options.attempts)
        raise
    finally:
        for model in models:
            await model.aclose()
