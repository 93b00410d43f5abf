"""The values of embedding: texts go down, vectors come up. Plain data, like `types`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import InvalidRequestError
from .types import Attempt, InferenceRequest, Message, TextPart, Timings, Usage

EmbeddingTask = Literal["query", "document"]
TASKS: tuple[EmbeddingTask, ...] = ("query", "document")


@dataclass(frozen=True, slots=True)
class EmbeddingRequest(InferenceRequest):
    """Texts of which one model is to make vectors.

    For the engine it is a request like any other: the same slots, rate limits, retries and deadline. `task` says what
    the vectors are for (a "query" is looked for among "document"s; None leaves it open), `dimensions` how long they are
    to be (None: as the model makes them). `positions` are the places that the texts have in what the caller gave, for
    errors that must name one; a part of a longer request has others than 0, 1, 2, …
    """

    texts: tuple[str, ...] = field(default=(), kw_only=True)
    task: EmbeddingTask | None = field(default=None, kw_only=True)
    dimensions: int | None = field(default=None, kw_only=True)
    positions: tuple[int, ...] = field(default=(), kw_only=True, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", as_texts(self.texts))
        object.__setattr__(self, "positions", self.positions or tuple(range(len(self.texts))))
        parts = tuple(TextPart(text) for text in self.texts)
        object.__setattr__(self, "messages", (Message("user", parts),))  # what a rate limit reckons with
        InferenceRequest.__post_init__(self)
        if self.task is not None and self.task not in TASKS:
            raise InvalidRequestError(f"task is {self.task!r}; it is 'query', 'document' or None")
        size: Any = self.dimensions
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise InvalidRequestError(f"dimensions must be a positive integer, not {size!r}")

    def _check_content(self) -> None:
        """No text, and texts of no characters, are the model's to take or refuse."""

    def refuse_empty(self, who: str) -> None:
        """Raise `InvalidRequestError` for an empty text, where `who` takes none."""
        for position, text in zip(self.positions, self.texts, strict=True):
            if not text:
                raise InvalidRequestError(f"texts[{position}] is empty, which {who} makes no vector of; leave it out")


@dataclass(frozen=True, slots=True)
class Embeddings:
    """What a backend makes of one `EmbeddingRequest`: a vector for each of its texts, in their order. `usage` is None
    where nobody counted the tokens; `provider_data` holds what else the provider said, such as its `rate_limits`."""

    vectors: Sequence[Sequence[float]]
    usage: Usage | None = None
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class EmbeddingLimits:
    """What one request to a backend may hold: so many texts, and so many bytes of UTF-8 in all (a token is a byte at
    least, so a limit in tokens is kept by as many bytes). A single text may be longer."""

    texts: int = 256
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingResponse:
    """The vectors, in the order of the texts, with the tokens that they took and where the time went: of requests that
    ran side by side, `timings` are the longest ones. `attempts` tells of all requests that were made."""

    vectors: list[list[float]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    attempts: tuple[Attempt, ...] = ()
    timings: Timings = field(default_factory=Timings)
    request_id: str = ""


def as_texts(texts: Any) -> tuple[str, ...]:
    """One text, or several, as a tuple. Raises `InvalidRequestError` for what is no text."""
    if isinstance(texts, str):
        return (texts,)
    if isinstance(texts, (bytes, Mapping)) or not isinstance(texts, Iterable):
        raise InvalidRequestError(f"texts must be a list of strings, not {type(texts).__name__}")
    found = tuple(texts)
    for position, text in enumerate(found):
        if not isinstance(text, str):
            raise InvalidRequestError(f"texts[{position}] must be a str, not {type(text).__name__}")
    return found
