"""Falling back to another model, by LangChain's `RunnableWithFallbacks`. The one module that imports langchain_core,
and it is imported only when fallbacks are configured.

A chain falls back until the first visible chunk; an error after it reaches the caller, since text that was shown cannot
be taken back. The chain carries our own requests and chunks, so every host that sits on us inherits it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from ..errors import (
    BadResponseError,
    ConnectionFailedError,
    ContentFilterError,
    ContextOverflowError,
    LLMFrameworkError,
    MissingDependencyError,
    ModelLoadError,
    ModelNotFoundError,
    ProviderUnavailableError,
    QueueFullError,
    RateLimitError,
    RequestTimeoutError,
)
from ..logs import get_logger, of_request
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
"""What another model may do better at. Never a request that is wrong in itself, or a key that is. In a chain of ours, a
prompt that is too long and a content filter are further causes, each on a condition."""


class _AskNext(Exception):
    """The model failed with `error`, and the next one of the chain may be asked."""

    def __init__(self, error: LLMFrameworkError) -> None:
        super().__init__(str(error))
        self.error = error


class FallbackRules:
    """Which errors of one call lead to the next model, and which models are left out. Shared by the call's chain."""

    def __init__(self, engine: InferenceEngine, request: InferenceRequest) -> None:
        self._engine = engine
        self._deadline = request.deadline
        self._on_content_filter = engine.config.fallback_on_content_filter
        self._overflow: ContextOverflowError | None = None
        self._too_short = 0  # tokens: a context no longer than this does not hold the prompt

    def may_ask_next(self, error: LLMFrameworkError, model_name: str | None) -> bool:
        """Whether another model may do better at what this one failed at."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return False  # for the caller the time is up, whoever is asked
        if isinstance(error, ContextOverflowError):
            self._note_overflow(error, model_name)
            return True
        if isinstance(error, ContentFilterError):
            return self._on_content_filter
        if isinstance(error, RequestTimeoutError):
            return error.limit not in ("total", "queue")
        return isinstance(error, FALLBACK_ERRORS)

    def refusal(self, model_name: str | None) -> ContextOverflowError | None:
        """The error for which the model need not be asked: the prompt was too long for one with no shorter context.
        A model whose context is not known may be longer."""
        if self._overflow is None:
            return None
        context = self._context_of(model_name)
        return self._overflow if context is not None and context <= self._too_short else None

    def _note_overflow(self, error: ContextOverflowError, model_name: str | None) -> None:
        self._overflow = error
        known = (error.limit, self._context_of(model_name))
        limit = next((tokens for tokens in known if tokens is not None), 0)
        needed = 0 if error.tokens is None else error.tokens - 1  # a context of just so many tokens would do
        self._too_short = max(self._too_short, limit, needed)

    def _context_of(self, model_name: str | None) -> int | None:
        try:
            return self._engine.resolve(model_name).context_length
        except LLMFrameworkError:  # the engine will say so
            return None


class ModelRunnable(Runnable[InferenceRequest, Chunk]):
    """One model of a chain, for one call."""

    def __init__(
        self, engine: InferenceEngine, model_name: str | None, options: CallOptions, rules: FallbackRules
    ) -> None:
        self._engine = engine
        self._model_name = model_name
        self._options = options
        self._rules = rules
        self._stream: AsyncGenerator[Chunk, None] | None = None

    def astream(
        self, input: InferenceRequest, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Chunk]:
        """The engine's stream. Raises `_AskNext` before the first chunk where the chain may go on."""
        self._stream = self._run(input)
        return self._stream

    async def aclose(self) -> None:
        """Close the stream: RunnableWithFallbacks leaves that to the garbage collector."""
        if self._stream is not None:
            await self._stream.aclose()

    async def _run(self, input: InferenceRequest) -> AsyncGenerator[Chunk, None]:
        if (refusal := self._rules.refusal(self._model_name)) is not None:
            with of_request(input.request_id):
                logger.info("the model %s is not asked: its context is no longer", self._model_name)
            raise _AskNext(refusal)
        request = replace(input, model_name=self._model_name)
        begun = False
        try:
            async with aclosing(self._engine.generate_stream(request, options=self._options)) as chunks:
                async for chunk in chunks:
                    begun = True
                    yield chunk
        except LLMFrameworkError as error:
            if begun or not self._rules.may_ask_next(error, self._model_name):
                raise
            with of_request(input.request_id):
                logger.warning("the model %s failed: %s", self._model_name, error)
            raise _AskNext(error) from error

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
    request = _with_deadline(request, engine)
    names = list(dict.fromkeys([request.model_name, *fallbacks]))
    recording = engine.telemetry.begin_chain(request, names)
    options = replace(
        options,
        started=options.started or time.monotonic(),
        parent=options.parent if recording is None else recording.context,
    )
    rules = FallbackRules(engine, request)
    models = [ModelRunnable(engine, name, options, rules) for name in names]
    chain = models[0].with_fallbacks(models[1:], exceptions_to_handle=(_AskNext,))
    # No callbacks: a host's tracing sees its own model call, not the machinery inside it.
    config: RunnableConfig = {"callbacks": []}
    failed: LLMFrameworkError | None = None
    try:
        async with aclosing(chain.astream(request, config)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk
    except _AskNext as signal:
        failed = signal.error
        _tell(failed, options)
        raise failed from failed.__cause__
    except LLMFrameworkError as error:
        failed = error
        _tell(error, options)
        raise
    finally:
        for model in models:
            await model.aclose()
        if recording is not None:
            recording.end(options.attempts, failed)


def _with_deadline(request: InferenceRequest, engine: InferenceEngine) -> InferenceRequest:
    """The request with one deadline for the whole chain, counted from now where it has none yet."""
    timeout = request.timeout if request.timeout is not None else engine.config.default_timeout
    if request.deadline is not None or timeout is None:
        return request
    return replace(request, deadline=time.monotonic() + timeout)


def _tell(error: LLMFrameworkError, options: CallOptions) -> None:
    """Have the error tell of the attempts at all models of the chain."""
    error.attempts = tuple(options.attempts)
