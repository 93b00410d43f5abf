"""From the tokens of one answer to its chunks, for every backend that runs a model on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from ..types import Chunk, FinishReason, InferenceRequest, Timings, TokenLogprob, Usage
from .text_stream import TextStream
from .tool_calls import OutputParser, Piece, Thought


class DrawnToken(Protocol):
    """A token that was generated; `logprob` and `top` (id, log-probability) where they were asked for."""

    @property
    def token(self) -> int: ...
    @property
    def logprob(self) -> float: ...
    @property
    def top(self) -> Sequence[tuple[int, float]]: ...


class Answer:
    """Turns the tokens of one answer into chunks.

    `visible_bytes` gives what a token adds to the text (nothing, for most special tokens), `token_bytes` what it is
    called in a list of log-probabilities; `parser` finds the tool calls.
    """

    def __init__(
        self,
        request: InferenceRequest,
        parser: OutputParser,
        visible_bytes: Callable[[int], bytes],
        token_bytes: Callable[[int], bytes],
    ) -> None:
        self.num_tokens = 0
        self._text = TextStream(visible_bytes, request.config.stop)
        self._parser = parser
        self._token_bytes = token_bytes
        self._with_logprobs = request.config.logprobs is not None

    @property
    def stopped(self) -> bool:
        """A stop string was met: the tokens that follow are not part of the answer."""
        return self._text.stopped

    def feed(self, drawn: DrawnToken) -> Iterator[Chunk]:
        """The chunks that are certain after this token."""
        self.num_tokens += 1
        if self._with_logprobs:
            yield Chunk(logprobs=(self._logprob(drawn),))
        yield from map(_as_chunk, self._parser.feed(self._text.feed(drawn.token)))

    def finish(self) -> Iterator[Chunk]:
        """The chunks that were held back."""
        yield from map(_as_chunk, self._parser.feed(self._text.finish()))
        yield from map(_as_chunk, self._parser.finish())

    def last_chunk(self, cut: bool, usage: Usage, timings: Timings) -> Chunk:
        """The chunk that ends the stream; `cut` says that max_tokens (or the context) ended the answer."""
        reason: FinishReason = "length" if cut and not self.stopped else "stop"
        if reason == "stop" and self._parser.num_calls:
            reason = "tool_calls"
        return Chunk(finish_reason=reason, usage=usage, timings=timings)

    def _logprob(self, drawn: DrawnToken) -> TokenLogprob:
        top = tuple((self._token_text(token), token, logprob) for token, logprob in drawn.top)
        return TokenLogprob(self._token_text(drawn.token), drawn.token, drawn.logprob, top)

    def _token_text(self, token: int) -> str:
        return self._token_bytes(token).decode("utf-8", "replace")


def _as_chunk(piece: Piece) -> Chunk:
    if isinstance(piece, Thought):
        return Chunk(thinking=piece.text)
    return Chunk(text=piece) if isinstance(piece, str) else Chunk(tool_call=piece)
