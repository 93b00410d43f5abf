"""What comes up: chunks, and the response that is their sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .messages import Message, Part, TextPart, ThinkingPart, ToolCall, new_call_id

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "cancelled"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model or provider counted them. `cached_tokens` are part of `input_tokens`, `reasoning_tokens`
    of `output_tokens`. `estimated` says that nobody counted and the figures are our guess."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of a request went, in seconds.

    They add up: `queue` + `load` + `retry` + `prefill` = `first_token`, and `first_token` + `decode` = `total`. `queue`
    is the wait for a slot, for rate limits, and for the turn in a local model's batch; `load` is for the model to be
    loaded; `retry` went into attempts that failed, the waits after them, and models of a fallback chain that were asked
    before; `prefill` is from there to the first piece of the answer (a provider's own queue and the network included),
    `decode` from there to the end, the reader's pauses included. Where no piece came, `first_token` is `total`.
    """

    queue: float = 0.0
    load: float = 0.0
    prefill: float = 0.0
    first_token: float = 0.0
    decode: float = 0.0
    total: float = 0.0
    retry: float = 0.0


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token that was generated, the log-probability it had, and those of the likeliest alternatives."""

    token: str
    token_id: int
    logprob: float
    top: tuple[tuple[str, int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one model: `error` is None for the one that answered."""

    model: str
    seconds: float = 0.0
    error: str | None = None
    error_type: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the tool call number `index` of this answer. The first piece of a call carries its id and name."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer. The last one of a stream holds `finish_reason`, `usage` and the whole `response`.

    `signature` ends a block of thinking, or of text: it proves the block to the provider that made it. A chunk with a
    signature and nothing else signs the block that came before, or stands for a block of thinking that is not shown:
    where text came before, it says so with `hidden` in its `provider_data`. Its `provider_data` then belongs to that
    block.
    """

    text: str = ""
    thinking: str = ""
    tool_call: ToolCallDelta | None = None
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    response: InferenceResponse | None = None
    timings: Timings | None = None
    dropped_parameters: tuple[str, ...] = ()
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)
    signature: str | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class InferenceResponse:
    """A whole answer. `parsed` is set where a response_format was asked for; `attempts` says who answered and what
    failed before; `dropped_parameters` names configured defaults that the model could not take. `cost` is in US dollars
    by the list prices of the package `genai-prices`; None where it is not known."""

    message: Message = field(default_factory=lambda: Message("assistant"))
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    parsed: Any = None
    attempts: tuple[Attempt, ...] = ()
    timings: Timings = field(default_factory=Timings)
    dropped_parameters: tuple[str, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    request_id: str = ""
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)
    cost: float | None = None

    @property
    def text(self) -> str:
        """The answer's text ("" where the model only called tools)."""
        return self.message.text

    @property
    def thinking(self) -> str:
        """The reasoning that the model showed."""
        return "".join(part.text for part in self.message.parts if isinstance(part, ThinkingPart))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls of the answer, in order."""
        return self.message.tool_calls

    def __str__(self) -> str:
        return self.text


class _Block:
    """A part of an answer that is being put together: text, or thinking (which may be signed)."""

    __slots__ = ("data", "is_open", "kind", "pieces", "signature")

    def __init__(self, kind: Literal["text", "thinking"]) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.signature: str | None = None
        self.data: dict[str, Any] = {}
        self.is_open = True

    def part(self) -> TextPart | ThinkingPart:
        text = "".join(self.pieces)
        if self.kind == "thinking":
            return ThinkingPart(text, self.signature, self.data)
        return TextPart(text, self.data if self.signature is None else {**self.data, "signature": self.signature})


class ResponseBuilder:
    """Adds up the chunks of one answer; its parts stand in the order in which they began. Text is kept in lists, so a
    long answer costs linear time."""

    __slots__ = ("_calls", "_data", "_dropped", "_last", "_logprobs", "_parts", "finish_reason", "usage")

    def __init__(self) -> None:
        self._parts: list[_Block | list[ToolCallDelta]] = []
        self._calls: dict[int, list[ToolCallDelta]] = {}
        self._logprobs: list[TokenLogprob] = []
        self._last: Timings | None = None
        self._dropped: tuple[str, ...] = ()
        self._data: dict[str, Any] = {}
        self.usage: Usage | None = None
        self.finish_reason: FinishReason | None = None

    def add(self, chunk: Chunk) -> None:
        """Take one more chunk. Usage, finish reason and timings: the last one given counts."""
        if chunk.thinking:
            self._block("thinking").pieces.append(chunk.thinking)
        if chunk.text:
            self._block("text").pieces.append(chunk.text)
        if chunk.signature is not None:
            self._sign(chunk, chunk.signature)
        elif chunk.provider_data:
            self._data.update(chunk.provider_data)
        if chunk.tool_call is not None:
            self._add_call(chunk.tool_call)
        if chunk.logprobs:
            self._logprobs.extend(chunk.logprobs)
        self.usage = chunk.usage or self.usage
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self._last = chunk.timings or self._last
        self._dropped = chunk.dropped_parameters or self._dropped

    def _block(self, kind: Literal["text", "thinking"]) -> _Block:
        last = self._parts[-1] if self._parts else None
        if isinstance(last, _Block) and last.kind == kind and last.is_open:
            return last
        return self._new_block(kind)

    def _new_block(self, kind: Literal["text", "thinking"]) -> _Block:
        block = _Block(kind)
        self._parts.append(block)
        return block

    def _sign(self, chunk: Chunk, signature: str) -> None:
        last = self._parts[-1] if self._parts else None
        signs_last = isinstance(last, _Block) and last.is_open and not chunk.provider_data.get("hidden")
        block = last if isinstance(last, _Block) and signs_last else self._new_block("thinking")
        block.signature, block.is_open = signature, False
        block.data.update(chunk.provider_data)

    def _add_call(self, delta: ToolCallDelta) -> None:
        pieces = self._calls.get(delta.index)
        if pieces is None:
            pieces = self._calls[delta.index] = []
            self._parts.append(pieces)
        pieces.append(delta)

    @property
    def timings(self) -> Timings:
        """The last ones given, else zeros."""
        return self._last or Timings()

    def response(self, **fields: Any) -> InferenceResponse:
        """The answer so far; `fields` override or add to what the chunks said."""
        values: dict[str, Any] = {
            "message": Message("assistant", self._message_parts()),
            "finish_reason": self.finish_reason or "stop",
            "usage": self.usage or Usage(),
            "timings": self._last or Timings(),
            "dropped_parameters": self._dropped,
            "logprobs": tuple(self._logprobs),
            "provider_data": dict(self._data),
        }
        return InferenceResponse(**{**values, **fields})

    def _message_parts(self) -> tuple[Part, ...]:
        calls = iter([_join_call(self._calls[index]) for index in sorted(self._calls)])
        return tuple(block.part() if isinstance(block, _Block) else next(calls) for block in self._parts)


def text_response(text: str, **fields: Any) -> InferenceResponse:
    """A plain answer, for tests and fakes."""
    return replace(InferenceResponse(message=Message.assistant(text)), **fields)


def _join_call(deltas: Sequence[ToolCallDelta]) -> ToolCall:
    # A provider may repeat the id or the name in every piece: the first one counts, nothing is concatenated.
    id = next((d.id for d in deltas if d.id), None) or new_call_id()
    name = next((d.name for d in deltas if d.name), "")
    data: dict[str, Any] = {}
    for delta in deltas:
        data.update(delta.provider_data)
    return ToolCall.from_raw(id, name, "".join(d.arguments for d in deltas), provider_data=data)
