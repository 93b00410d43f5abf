"""Embeddings as OpenAI's and Google's protocols write them. Pure functions; an answer that makes no sense raises
`ValueError`, `KeyError` or `TypeError`, which the backend explains."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from ...embedding import EmbeddingRequest
from ...types import Usage

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError)
"""What reading an answer that makes no sense raises."""

_GOOGLE_TASKS = {"query": "RETRIEVAL_QUERY", "document": "RETRIEVAL_DOCUMENT"}


# ------------------------------------------------------------------------------------------------------------- OpenAI
def openai_body(
    request: EmbeddingRequest, model: str, tasks: Mapping[str, Mapping[str, Any]], encoding: str | None = None
) -> dict[str, Any]:
    """The body for `/embeddings`. `tasks` are the fields by which the server is told what the vectors are for."""
    body: dict[str, Any] = {"model": model, "input": list(request.texts)}
    if encoding is not None:
        body["encoding_format"] = encoding
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.task is not None:
        body.update(tasks.get(request.task, {}))
    return body


def openai_vectors(answer: Any) -> list[list[float]]:
    """The vectors of an answer, in the order of the texts."""
    items = answer["data"]
    places = [item.get("index", place) for place, item in enumerate(items)]
    if sorted(places) != list(range(len(items))):
        raise ValueError("the indices are no order")
    by_place = dict(zip(places, items, strict=True))
    return [_numbers(by_place[place]["embedding"]) for place in range(len(items))]


def openai_usage(answer: Any) -> Usage | None:
    """The tokens that the texts took; None where nobody says."""
    usage = answer.get("usage")
    return _usage(usage.get("prompt_tokens") if isinstance(usage, Mapping) else None)


def _numbers(vector: Any) -> list[float]:
    """A vector: numbers, or 32-bit floats (little-endian) in base64."""
    if not isinstance(vector, str):
        return [float(number) for number in vector]
    import numpy

    numbers: list[float] = numpy.frombuffer(base64.b64decode(vector, validate=True), "<f4").tolist()
    return numbers


# ------------------------------------------------------------------------------------------------------------- Google
def google_body(request: EmbeddingRequest, resource: str) -> dict[str, Any]:
    """The body for `batchEmbedContents`; `resource` is the model's name there."""
    more: dict[str, Any] = {}
    if request.task is not None:
        more["taskType"] = _GOOGLE_TASKS[request.task]
    if request.dimensions is not None:
        more["outputDimensionality"] = request.dimensions
    texts: Sequence[str] = request.texts
    return {"requests": [{"model": resource, "content": {"parts": [{"text": text}]}, **more} for text in texts]}


def google_vectors(answer: Any) -> list[list[float]]:
    """The vectors of an answer, which keeps the order of the texts."""
    return [_numbers(item["values"]) for item in answer["embeddings"]]


def google_usage(answer: Any) -> Usage | None:
    """The tokens that the texts took, where the answer says."""
    usage = answer.get("usageMetadata")
    return _usage(usage.get("promptTokenCount") if isinstance(usage, Mapping) else None)


def _usage(tokens: Any) -> Usage | None:
    return Usage(tokens) if isinstance(tokens, int) and tokens > 0 else None
