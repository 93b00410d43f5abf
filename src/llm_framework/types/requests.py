"""What goes down: how to generate, in which form, with which tools, and the request that holds it all."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..errors import InvalidRequestError
from .messages import Message, TextPart

ThinkingLevel = Literal["off", "low", "medium", "high"]


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
