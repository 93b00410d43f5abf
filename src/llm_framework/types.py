"""The values that travel down and up the line: messages, requests, chunks, responses.

They hold data and say what they mean; they do no I/O, know no provider and import the standard library only.
Going down, an `InferenceRequest` is never changed in place (`dataclasses.replace`); coming up, `Chunk`s are added
together, and their sum is the `InferenceResponse`.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Union

from .errors import InvalidRequestError

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "cancelled"]
ThinkingLevel = Literal["off", "low", "medium", "high"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


# --------------------------------------------------------------------------------------------------------- messages
@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text."""

    text: str
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image: exactly one of `data` (bytes, with `media_type`), `url` (http, https or data URL) and `path` is set."""

    data: bytes | None = None
    url: str | None = None
    path: str | Path | None = None
    media_type: str | None = None
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        _exactly_one_source(self)


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A document such as a PDF: exactly one of `data`, `url` and `path` is set; `name` is what the model is shown."""

    data: bytes | None = None
    url: str | None = None
    path: str | Path | None = None
    media_type: str | None = None
    name: str | None = None
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        _exactly_one_source(self)


@dataclass(frozen=True, slots=True)
class ThinkingPart:
    """Reasoning that a model showed before its answer; `signature` proves it to the provider that made it."""

    text: str
    signature: str | None = None
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool called.

    `arguments` is None where `raw_arguments` did not parse to a JSON object; `error` then says why.
    """

    id: str
    name: str
    arguments: Mapping[str, Any] | None = None
    raw_arguments: str = ""
    error: str | None = None
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def from_raw(cls, id: str, name: str, raw_arguments: str, **kwargs: Any) -> ToolCall:
        """A call from the text of its arguments, which need not be valid JSON. An empty text means no arguments."""
        try:
            arguments = json.loads(raw_arguments) if raw_arguments.strip() else {}
        except ValueError as error:
            return cls(id, name, None, raw_arguments, f"the arguments are not valid JSON: {error}", **kwargs)
        if not isinstance(arguments, dict):
            return cls(id, name, None, raw_arguments, "the arguments are not a JSON object", **kwargs)
        return cls(id, name, arguments, raw_arguments, **kwargs)

    @classmethod
    def create(cls, name: str, arguments: Mapping[str, Any], id: str | None = None) -> ToolCall:
        """A call with valid arguments, for building histories and answers."""
        return cls(id or new_call_id(), name, dict(arguments), json.dumps(arguments, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back for the call `call_id`; `name` is the tool's, where it is known."""

    call_id: str
    content: str | tuple[Part, ...]
    name: str | None = None
    is_error: bool = False
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def text(self) -> str:
        """The content's text; images and documents are left out."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


Part = Union[TextPart, ImagePart, DocumentPart, ThinkingPart, ToolCall, ToolResult]
_PARTS = (TextPart, ImagePart, DocumentPart, ThinkingPart, ToolCall, ToolResult)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. `parts` may be given as a str, a Part or a list of them."""

    role: Role
    parts: tuple[Part, ...] = ()
    name: str | None = None
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidRequestError(f"a message has the role {self.role!r}; roles are {', '.join(ROLES)}")
        object.__setattr__(self, "parts", _as_parts(self.parts))

    @classmethod
    def system(cls, *parts: str | Part) -> Message:
        """A system message."""
        return cls("system", _as_parts(parts))

    @classmethod
    def user(cls, *parts: str | Part) -> Message:
        """A user message."""
        return cls("user", _as_parts(parts))

    @classmethod
    def assistant(cls, *parts: str | Part) -> Message:
        """An assistant message: text, thinking and tool calls."""
        return cls("assistant", _as_parts(parts))

    @classmethod
    def tool(cls, *results: ToolResult) -> Message:
        """A tool message: the results of calls made in an assistant message before it."""
        return cls("tool", _as_parts(results))

    @property
    def text(self) -> str:
        """The text parts, joined without a separator."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @property
    def tool_results(self) -> tuple[ToolResult, ...]:
        """The tool results, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolResult))


# ---------------------------------------------------------------------------------------------------------- request
@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool the model may call. `parameters` is the JSON schema of its arguments (an object); `strict` asks a provider
    that distinguishes to hold to it, which local models always do."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InvalidRequestError(f"a tool's name is a text, not {self.name!r:.60}")
        if not isinstance(self.parameters, Mapping):
            raise InvalidRequestError(
                f"parameters of the tool {self.name!r} are a JSON schema (a dict), not {self.parameters!r:.60}"
            )


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The form the answer's text must have: `schema` (a JSON schema), `regex` or `lark` (a grammar in llguidance's
    dialect of Lark, for models on this machine); exactly one is set.

    `python_type` is what `InferenceResponse.parsed` becomes an instance of (a pydantic class), where one was given.
    """

    schema: Mapping[str, Any] | None = None
    regex: str | None = None
    name: str = "answer"
    strict: bool = True
    python_type: Any = field(default=None, compare=False)
    lark: str | None = None

    def __post_init__(self) -> None:
        if [self.schema, self.regex, self.lark].count(None) != 2:
            message = "a response_format is exactly one of a JSON schema, a regular expression and a Lark grammar"
            raise InvalidRequestError(message)
        for name in ("regex", "lark"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise InvalidRequestError(f"{name} of a response_format is a str, not {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """How to generate. None means: the configured default, else the model's or provider's own.

    `max_tokens` counts output tokens; `temperature` 0 is greedy; `stop` strings end the text and are not part of it;
    `logprobs` is the number of alternatives reported at each token (0: the chosen token's alone); `logit_bias` maps
    token ids to what is added to their logits; `thinking` is an effort or a budget in tokens. No end token is drawn
    before the answer has `min_tokens`, and none at all with `ignore_eos` (for measurements); a form that was asked for
    ends where it ends. `repetition_penalty` divides the logits of tokens in prompt and answer, `presence_penalty` and
    `frequency_penalty` are taken off those of the answer's tokens, once or for each time.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: Mapping[int, float] | None = None
    logprobs: int | None = None
    thinking: ThinkingLevel | int | None = None
    min_tokens: int | None = None
    ignore_eos: bool | None = None

    def __post_init__(self) -> None:
        stop: Any = self.stop or ()
        if not isinstance(stop, (str, list, tuple, set, frozenset)):
            raise InvalidRequestError(f"stop must be a text or a list of texts, not {stop!r:.60}")
        object.__setattr__(self, "stop", (stop,) if isinstance(stop, str) else tuple(stop))
        for text in self.stop:
            if not isinstance(text, str) or not text:
                raise InvalidRequestError(f"stop must hold non-empty strings, not {text!r}")
        for name, low, high in _LIMITS:
            if getattr(self, name) is not None:
                _check_number(name, getattr(self, name), low, high)
        for name in ("max_tokens", "top_k", "seed", "logprobs", "min_tokens"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise InvalidRequestError(f"{name} must be an integer, not {value!r}")
        self._check_ends()
        self._check_biases()

    def _check_biases(self) -> None:
        biases: Any = self.logit_bias
        if biases is not None and not isinstance(biases, Mapping):
            raise InvalidRequestError(f"logit_bias must map token ids to numbers, not be {biases!r:.60}")
        for token, bias in (biases or {}).items():
            if isinstance(token, bool) or not isinstance(token, int):
                raise InvalidRequestError(f"logit_bias must have token ids (whole numbers) for keys, not {token!r:.60}")
            is_number = isinstance(bias, (int, float)) and not isinstance(bias, bool)
            if not is_number or not bias < math.inf:  # minus infinity forbids the token
                raise InvalidRequestError(f"logit_bias of the token {token} must be a number, not {bias!r:.60}")

    def _check_ends(self) -> None:
        if self.ignore_eos not in (None, True, False):
            raise InvalidRequestError(f"ignore_eos must be true or false, not {self.ignore_eos!r}")
        if self.min_tokens and self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise InvalidRequestError(f"min_tokens is {self.min_tokens}, and max_tokens only {self.max_tokens}")
        # What asks for nothing is not set: a model that does not know it has nothing to refuse.
        object.__setattr__(self, "ignore_eos", self.ignore_eos or None)
        object.__setattr__(self, "min_tokens", self.min_tokens or None)


# field, lowest, highest: what the local sampler and the providers' documents agree on as the widest range
_LIMITS: tuple[tuple[str, float, float], ...] = (
    ("max_tokens", 1, math.inf), ("temperature", 0, 100), ("top_p", 0, 1), ("top_k", 0, math.inf), ("min_p", 0, 1),
    ("presence_penalty", -100, 100), ("frequency_penalty", -100, 100), ("repetition_penalty", 1e-3, 100),
    ("logprobs", 0, 1000), ("seed", -(2**63), 2**64 - 1), ("min_tokens", 0, 2**31 - 1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """One question to one model. Either `prompt` (text: one user message) or `messages` is given; `messages` is always
    set afterwards, and is what backends read.

    `tool_choice` is "auto", "none", "any" or a tool's name; `timeout` is in seconds, for everything: attempts, waits,
    fallbacks and the reading of the stream. `deadline` (on `time.monotonic`'s clock), `explicit` (the names of the
    config fields that the caller set, as against configured defaults) and `assumed` (of those that neither the caller
    nor the configuration set: a model that comes with settings of its own keeps to them) are stamped by the engine.
    `streaming` False says that nobody reads the pieces: a backend may ask its provider for the answer as a whole.
    """

    prompt: str | None = None
    messages: tuple[Message, ...] = field(default=(), kw_only=True)
    model_name: str | None = field(default=None, kw_only=True)
    config: GenerationConfig = field(default_factory=GenerationConfig, kw_only=True)
    tools: tuple[ToolSpec, ...] = field(default=(), kw_only=True)
    tool_choice: str | None = field(default=None, kw_only=True)
    response_format: ResponseFormat | None = field(default=None, kw_only=True)
    timeout: float | None = field(default=None, kw_only=True)
    request_id: str = field(default_factory=lambda: f"req-{uuid.uuid4().hex}", kw_only=True)
    metadata: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    deadline: float | None = field(default=None, kw_only=True, compare=False)
    explicit: frozenset[str] = field(default=frozenset(), kw_only=True, compare=False)
    assumed: frozenset[str] = field(default=frozenset(), kw_only=True, compare=False)
    streaming: bool = field(default=True, kw_only=True, compare=False)

    def __post_init__(self) -> None:
        messages = tuple(self.messages or ())
        if self.prompt is not None:
            if not isinstance(self.prompt, str):
                raise InvalidRequestError(f"prompt must be a str, not {type(self.prompt).__name__}")
            from_prompt = (Message.user(self.prompt),)
            if messages and messages != from_prompt:
                raise InvalidRequestError("give either prompt or messages, not both")
            messages = from_prompt
        object.__setattr__(self, "messages", messages)
        object.__setattr__(self, "tools", tuple(self.tools or ()))
        _check_number("timeout", self.timeout, 0, math.inf)
        self._check_content()
        self._check_tool_choice()

    def _check_content(self) -> None:
        if not self.messages:
            raise InvalidRequestError("the request holds no message: give a prompt or at least one message")
        if not any(_has_content(message) for message in self.messages):
            raise InvalidRequestError("the prompt is empty")

    def _check_tool_choice(self) -> None:
        names = [tool.name for tool in self.tools]
        for name in names:
            if names.count(name) > 1:
                raise InvalidRequestError(f"two tools are named {name!r}")
        choice = self.tool_choice
        if choice in (None, "auto", "none"):
            return
        if not names:
            raise InvalidRequestError(f"tool_choice is {choice!r}, but the request holds no tools")
        if choice != "any" and choice not in names:
            raise InvalidRequestError(f"tool_choice names the tool {choice!r}; the tools are {', '.join(names)}")

    def with_messages(self, messages: Sequence[Message]) -> InferenceRequest:
        """A copy with other messages (`replace` alone would leave the old prompt beside them)."""
        return replace(self, prompt=None, messages=tuple(messages))

    @property
    def last_user_text(self) -> str:
        """The text of the last user message ("" if there is none): what plugin hooks call the prompt."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.text
        return ""


# --------------------------------------------------------------------------------------------------------- response
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


def new_call_id() -> str:
    """An id for a tool call whose maker gave it none."""
    return f"call_{uuid.uuid4().hex[:24]}"


def text_response(text: str, **fields: Any) -> InferenceResponse:
    """A plain answer, for tests and fakes."""
    return replace(InferenceResponse(message=Message.assistant(text)), **fields)


# ---------------------------------------------------------------------------------------------------------- helpers
def _as_parts(parts: str | Part | Sequence[str | Part]) -> tuple[Part, ...]:
    if isinstance(parts, str) or not isinstance(parts, Sequence):
        parts = (parts,)
    return tuple(TextPart(part) if isinstance(part, str) else _checked_part(part) for part in parts)


def _checked_part(part: Any) -> Part:
    if not isinstance(part, _PARTS):
        raise InvalidRequestError(f"a message holds texts and parts such as ImagePart, not {part!r:.60}")
    return part


def _exactly_one_source(part: ImagePart | DocumentPart) -> None:
    given = [name for name in ("data", "url", "path") if getattr(part, name) is not None]
    if len(given) != 1:
        raise InvalidRequestError(
            f"{type(part).__name__} takes exactly one of data, url and path, not {given or 'none'}"
        )


def _has_content(message: Message) -> bool:
    return message.role != "system" and any(not isinstance(p, TextPart) or p.text for p in message.parts)


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidRequestError(f"{name} must be a number, not {value!r}")
    if not math.isfinite(value) or not low <= value <= high:
        bound = f"at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
        raise InvalidRequestError(f"{name} is {value!r}; it must be finite and {bound}")


def _join_call(deltas: Sequence[ToolCallDelta]) -> ToolCall:
    # A provider may repeat the id or the name in every piece: the first one counts, nothing is concatenated.
    id = next((d.id for d in deltas if d.id), None) or new_call_id()
    name = next((d.name for d in deltas if d.name), "")
    data: dict[str, Any] = {}
    for delta in deltas:
        data.update(delta.provider_data)
    return ToolCall.from_raw(id, name, "".join(d.arguments for d in deltas), provider_data=data)
