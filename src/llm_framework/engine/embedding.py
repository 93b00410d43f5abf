"""Embedding on the engine's one path: a request for vectors is cut to what its backend takes at once, and each part
goes the way of any other request, with its slot, rate limits, breaker, retries and deadline."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Protocol

from ..backends.base import ModelBackend
from ..config import LLMConfig
from ..embedding import EmbeddingLimits, EmbeddingRequest, EmbeddingResponse, Embeddings
from ..errors import BadResponseError
from ..registry.model_info import ModelInfo
from ..types import Chunk, InferenceRequest, InferenceResponse, Timings, Usage
from .batch import gather_in_order
from .running import CallOptions

VECTORS = "vectors"  # where a response holds them, in its provider_data


class Engine(Protocol):
    """What embedding needs of the engine that it runs on."""

    config: LLMConfig

    def resolve(self, name: str | None) -> ModelInfo: ...
    def concurrency_of(self, names: Iterable[str | None]) -> int: ...
    async def embedding_limits(self, request: EmbeddingRequest) -> EmbeddingLimits: ...
    async def generate_text(
        self, request: InferenceRequest, *, options: CallOptions | None = None
    ) -> InferenceResponse: ...


def stream_of(backend: ModelBackend, request: InferenceRequest) -> AsyncIterator[Chunk | str]:
    """What the engine reads for a request: the backend's stream, or its vectors as the only chunk of one."""
    return _vectors_of(backend, request) if isinstance(request, EmbeddingRequest) else backend.stream(request)


async def _vectors_of(backend: ModelBackend, request: EmbeddingRequest) -> AsyncGenerator[Chunk | str, None]:
    made: Embeddings | Sequence[Sequence[float]] = await backend.embed(request)
    if not isinstance(made, Embeddings):  # of a plugin that counts nothing
        made = Embeddings(made)
    vectors = _checked(made.vectors, request)
    yield Chunk(usage=made.usage, finish_reason="stop", provider_data={**made.provider_data, VECTORS: vectors})


def _checked(vectors: Sequence[Sequence[float]], request: EmbeddingRequest) -> list[list[float]]:
    """The vectors, if there is a sound one for each text. Raises `BadResponseError`."""
    found = [list(vector) for vector in vectors]
    if len(found) != len(request.texts):
        raise BadResponseError(f"{len(found)} vectors came for {len(request.texts)} texts")
    sizes = {len(vector) for vector in found}
    if len(sizes) > 1 or 0 in sizes:
        raise BadResponseError(f"vectors of different lengths, or of none, came: {sorted(sizes)}")
    if request.dimensions is not None and sizes - {request.dimensions}:
        message = f"vectors of {sizes.pop()} dimensions came, where {request.dimensions} were asked for"
        raise BadResponseError(f"{message}; the model may have one size only", retryable=False)
    for position, vector in zip(request.positions, found, strict=True):
        if not math.isfinite(sum(vector)):  # a sum is not finite if one of its numbers is not
            raise BadResponseError(f"the vector of texts[{position}] holds a number that is not finite")
    return found


async def embed(engine: Engine, request: EmbeddingRequest, options: CallOptions | None = None) -> EmbeddingResponse:
    """The vectors of a request's texts; `InferenceEngine.embed` says more."""
    info = engine.resolve(request.model_name)
    if not request.texts:
        return EmbeddingResponse(model=info.name, request_id=request.request_id)
    options = options or CallOptions()
    request = _with_deadline(request, engine.config.default_timeout)
    # A text that stands there twice is paid for once.
    first = {text: position for position, text in reversed(list(enumerate(request.texts)))}
    texts = tuple(dict.fromkeys(request.texts))
    once = replace(request, texts=texts, positions=tuple(first[text] for text in texts))
    limits = await engine.embedding_limits(once) if len(texts) > 1 else EmbeddingLimits()
    parts = list(_parts(once, limits))
    answers = await gather_in_order(
        [partial(engine.generate_text, part, options=options) for part in parts],
        max_concurrency=engine.concurrency_of([request.model_name]),
    )
    return _together(request, texts, answers, options)


def _with_deadline(request: EmbeddingRequest, default: float | None) -> EmbeddingRequest:
    timeout = default if request.timeout is None else request.timeout
    if request.deadline is not None or timeout is None:
        return request
    return replace(request, deadline=time.monotonic() + timeout)


def _parts(request: EmbeddingRequest, limits: EmbeddingLimits) -> Iterator[EmbeddingRequest]:
    begin = size = 0
    for index, text in enumerate(request.texts):
        added = len(text.encode(errors="surrogatepass")) if limits.bytes is not None else 0
        is_full = index - begin >= limits.texts or (limits.bytes is not None and size + added > limits.bytes)
        if is_full and index > begin:
            yield _part(request, begin, index)
            begin, size = index, 0
        size += added
    yield _part(request, begin, len(request.texts))


def _part(request: EmbeddingRequest, begin: int, end: int) -> EmbeddingRequest:
    return replace(request, texts=request.texts[begin:end], positions=request.positions[begin:end])


def _together(
    request: EmbeddingRequest, texts: Sequence[str], answers: Sequence[InferenceResponse], options: CallOptions
) -> EmbeddingResponse:
    """The answers to the parts as the one to the whole."""
    vectors = [vector for answer in answers for vector in answer.provider_data[VECTORS]]
    if len({len(vector) for vector in vectors}) > 1:
        raise BadResponseError("vectors of different lengths came for texts of one request")
    by_text = dict(zip(texts, vectors, strict=True))
    longest = [max(getattr(answer.timings, item.name) for answer in answers) for item in fields(Timings)]
    return EmbeddingResponse(
        vectors=[list(by_text[text]) for text in request.texts],
        usage=sum((answer.usage for answer in answers), Usage()),
        model=answers[0].model,
        attempts=tuple(options.attempts),
        timings=Timings(*longest),
        request_id=request.request_id,
    )
