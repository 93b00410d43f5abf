"""What the backends that run a model on this machine share: `LocalBackend`, and `LocalModel`, which it loads.

Going down: dialect, chat template, tokenizer, scheduler. Coming up: text and calls. A backend adds how a model is
loaded and how its tokens are drawn.
"""

from __future__ import annotations

import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..decoding.answer import Answer
from ..decoding.chat_template import GemmaTemplate, JinjaTemplate, PlainTemplate, SpecialGuard, Template
from ..decoding.dialects.prompted import PromptedDialect, offered_tools
from ..errors import ContextOverflowError, InvalidRequestError, LLMFrameworkError, UnsupportedFeatureError
from ..native.model import DEFAULT_MAX_TOKENS
from ..types import Chunk, GenerationConfig, InferenceRequest, Timings, Usage
from .base import ModelBackend

if TYPE_CHECKING:
    from ..decoding.constraints import Constraint, ConstraintCompiler
    from ..decoding.dialects import Dialect
    from ..native.generation import Generation
    from ..native.scheduler import Scheduler
    from ..native.tokenizer import Tokenizer
    from ..registry import ModelInfo

# Templates and tokenizers take a millisecond for so many characters and more; longer chats are left to a thread.
_INLINE_CHARS = 4096
_SAMPLING = (
    "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty",
    "logit_bias",
)  # fmt: skip


class LocalBackend(ModelBackend):
    """A model on this machine. A subclass says how it is loaded.

    Requests may come from several event loops at the same time. Closing a stream stops its work before the next token.
    """

    def __init__(self, model_info: ModelInfo, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(model_info, settings)
        self._lock = threading.Lock()
        self._loaded: LocalModel | None = None
        self._free: weakref.finalize[..., LocalBackend] | None = None

    @abstractmethod
    def open_model(self) -> LocalModel:
        """Load the model; called in a thread. Raises `ModelLoadError`."""

    async def load_model(self) -> None:
        """Read the weights, in a thread. Several calls at once read them once. Raises `ModelLoadError`."""
        await self._require_loaded()

    async def unload_model(self) -> None:
        """Free the weights and end the thread; requests that still run fail with `ProviderUnavailableError`."""
        from anyio import to_thread

        await to_thread.run_sync(self._close)

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[Chunk, None]:
        """Answer `request`, see `ModelBackend.stream`. Raises `UnsupportedFeatureError` for what the model cannot take,
        `ContextOverflowError` where the prompt leaves no room for an answer."""
        started = time.monotonic()
        loaded = await self._require_loaded()
        load_seconds = time.monotonic() - started
        prompt = await self._prepare(loaded, request)
        constraint = await self._constrain(loaded, request, len(prompt))
        answer = loaded.answer(request)
        generation = loaded.submit(prompt, request, constraint)
        try:
            async for event in generation:
                for chunk in answer.feed(event):
                    yield chunk
                if answer.stopped:
                    break
            for chunk in answer.finish():
                yield chunk
        finally:
            generation.cancel()
        timings = _timings(generation, started, load_seconds)
        usage = Usage(len(prompt), answer.num_tokens, cached_tokens=generation.cached_tokens)
        yield answer.last_chunk(generation.finish_reason == "length", usage, timings)

    async def count_tokens(self, request: InferenceRequest) -> int:
        """The tokens of the request's prompt, with all that the chat template and the tools add."""
        return len(await self._prepare(await self._require_loaded(), request))

    async def token_ids(self, text: str) -> list[int]:
        """The tokens of a plain text, without the chat template."""
        return (await self._require_loaded()).tokenizer.encode(text, parse_special=False)

    async def _require_loaded(self) -> LocalModel:
        loaded = self._loaded
        if loaded is None:
            from anyio import to_thread

            loaded = await to_thread.run_sync(self._load, abandon_on_cancel=True)
        return loaded

    def _load(self) -> LocalModel:
        with self._lock:
            if self._loaded is None:
                self._loaded = self.open_model()
                if self._loaded.constraints is not None:
                    self._loaded.constraints.prepare()
                # Also where nobody unloads it: when the backend is forgotten, and when the interpreter ends.
                self._free = weakref.finalize(self, self._loaded.close)
            return self._loaded

    def _close(self) -> None:
        with self._lock:
            free, self._loaded, self._free = self._free, None, None
        if free is not None:
            free()

    async def _prepare(self, loaded: LocalModel, request: InferenceRequest) -> list[int]:
        if sum(len(message.text) for message in request.messages) <= _INLINE_CHARS:
            return loaded.prompt(request)
        from anyio import to_thread

        return await to_thread.run_sync(loaded.prompt, request, abandon_on_cancel=True)

    async def _constrain(self, loaded: LocalModel, request: InferenceRequest, num_prompt: int) -> Constraint | None:
        if request.response_format is None and (loaded.constraints is None or not offered_tools(request)):
            return None
        from anyio import to_thread

        return await to_thread.run_sync(loaded.constraint, request, num_prompt, abandon_on_cancel=True)


# --------------------------------------------------------------------------------------------------------- going down
@dataclass(frozen=True, kw_only=True)
class LocalModel(ABC):
    """A model that is ready, and what turns requests into its tokens and back. `stop_ids` end an answer;
    `recommended` is the sampling that the model's makers name, by the fields of `GenerationConfig`."""

    name: str
    tokenizer: Tokenizer
    scheduler: Scheduler
    template: Template
    dialect: Dialect
    guard: SpecialGuard
    context_length: int
    vocab_size: int
    stop_ids: frozenset[int]
    recommended: Mapping[str, float]
    constraints: ConstraintCompiler | None = None
    """What holds answers to a form; None where the model's dialect writes calls in another way than grammars know."""

    @abstractmethod
    def new_sampler(self, config: GenerationConfig, settings: Mapping[str, Any]) -> Any:
        """What draws the tokens of one answer with these `settings`. Raises ValueError or TypeError where they make
        no sense."""

    @abstractmethod
    def close(self) -> None:
        """Stop the scheduler and free the model. Safe to call twice."""

    def prompt(self, request: InferenceRequest) -> list[int]:
        """The prompt's token ids."""
        try:
            _check_supported(request)
            turns = self.dialect.turns(request, self.guard.quote)
            tools = self.dialect.tools(request, self.guard.quote)
            ids = self.guard.encode(self.template.render(turns, tools), self.tokenizer)
        except LLMFrameworkError as error:
            error.model = error.model or self.name
            raise
        return ids

    def constraint(self, request: InferenceRequest, num_prompt: int) -> Constraint | None:
        """What holds the answer to the form that the request asks for. Takes milliseconds where the form is new."""
        if self.constraints is None:
            self._check_unconstrained(request)
            return None
        try:
            max_tokens = self._max_tokens(request.config, num_prompt)
            return self.constraints.for_request(request, offered_tools(request), max_tokens)
        except LLMFrameworkError as error:
            error.model = error.model or self.name
            raise

    def _check_unconstrained(self, request: InferenceRequest) -> None:
        if request.response_format is not None and request.response_format.lark is not None:
            message = f"{self.name} is held to no Lark grammar, as its calls are written in another way; ask for JSON"
            raise UnsupportedFeatureError(message, feature="response_format lark", model=self.name)

    def submit(self, prompt: list[int], request: InferenceRequest, constraint: Constraint | None = None) -> Generation:
        """Queue the prompt. An answer is cut to the room that the prompt leaves in the context."""
        max_tokens = self._max_tokens(request.config, len(prompt))
        settings = self._settings(request)
        return self.scheduler.submit(
            prompt,
            self._sampler(request, prompt, settings),
            max_tokens=max_tokens,
            stop_ids=self.stop_ids,
            constraint=constraint,
            reuse=request.config.seed is None or settings["temperature"] == 0,  # a seed asks for the same once more
            min_tokens=_min_tokens(request.config, max_tokens),
            deadline=request.deadline,
        )

    def _max_tokens(self, config: GenerationConfig, num_prompt: int) -> int:
        room = self.context_length - num_prompt
        if room < 1:
            message = (
                f"the prompt has {num_prompt} tokens, and {self.name} reads {self.context_length} at most, "
                "the answer included; shorten it"
            )
            limit = self.context_length
            raise ContextOverflowError(message, model=self.name, tokens=num_prompt, limit=limit)
        return min(config.max_tokens or DEFAULT_MAX_TOKENS, room)

    def answer(self, request: InferenceRequest) -> Answer:
        """What turns the tokens of the answer to `request` into chunks."""
        return Answer(request, self.dialect.parser(request), self.visible_bytes, self.tokenizer.token_bytes)

    def visible_bytes(self, token: int) -> bytes:
        """What a token adds to the answer: nothing, if it is a special one that the dialect does not read."""
        text = self.tokenizer.token_bytes(token)
        if self.tokenizer.is_special(token) and text.decode() not in self.dialect.markers:
            return b""
        return text

    def _settings(self, request: InferenceRequest) -> dict[str, Any]:
        """How tokens are chosen: as the caller or the configuration says, else as the model's makers recommend, else
        as the framework assumes."""
        config = request.config
        given = {name: getattr(config, name) for name in _SAMPLING if getattr(config, name) is not None}
        assumed = {name: value for name, value in given.items() if name in request.assumed}
        settings: dict[str, Any] = {"temperature": 1.0, **assumed, **self.recommended}
        return settings | {name: value for name, value in given.items() if name not in assumed}

    def _sampler(self, request: InferenceRequest, prompt: list[int], settings: Mapping[str, Any]) -> Any:
        config = request.config
        _check_token_ids(config, self.vocab_size)
        min_tokens = _min_tokens(config, self.context_length)
        ends: dict[str, Any] = {"min_tokens": min_tokens, "end_tokens": sorted(self.stop_ids)} if min_tokens else {}
        try:
            sampler = self.new_sampler(config, {**settings, **ends})
        except (ValueError, TypeError) as error:
            message = f"{self.name} cannot sample with these settings: {error}"
            raise InvalidRequestError(message, model=self.name) from error
        if config.repetition_penalty is not None:
            sampler.observe(prompt)
        return sampler


def choose_constraints(
    dialect: Dialect, tokenizer: Tokenizer, vocab_size: int, stop_ids: frozenset[int]
) -> ConstraintCompiler | None:
    """What holds a model's answers to a form, for the dialect whose calls the grammars describe."""
    from ..decoding.constraints import ConstraintCompiler

    return ConstraintCompiler(tokenizer, vocab_size, stop_ids) if isinstance(dialect, PromptedDialect) else None


def choose_template(source: str | None, tokenizer: Tokenizer, eos_ids: frozenset[int], info: ModelInfo) -> Template:
    """The template of a model: its own (`source`), else Gemma's form where its tokenizer knows it, else plain text."""
    names = {id: name for name, id in tokenizer.specials.items()}
    bos = names.get(tokenizer.bos_id, "") if tokenizer.bos_id is not None else ""
    eos = next((names[id] for id in sorted(eos_ids) if id in names), "")
    if info.model_type == "completion":
        return PlainTemplate(bos)
    if source is not None:
        return JinjaTemplate(source, bos_token=bos, eos_token=eos, model=info.name)
    return GemmaTemplate(bos) if "<start_of_turn>" in tokenizer.specials else PlainTemplate(bos)


def _check_supported(request: InferenceRequest) -> None:
    if request.config.thinking not in (None, "off", 0):
        message = "this model has no thinking to control; leave thinking out or set it to 'off'"
        raise UnsupportedFeatureError(message, feature="thinking")


def _check_token_ids(config: GenerationConfig, vocab_size: int) -> None:
    wrong = next((id for id in config.logit_bias or () if not 0 <= id < vocab_size), None)
    if wrong is not None:
        raise InvalidRequestError(f"logit_bias names the token {wrong}; the vocabulary has {vocab_size} tokens")


def _min_tokens(config: GenerationConfig, max_tokens: int) -> int:
    """How many tokens are drawn before one may end the answer."""
    return max_tokens if config.ignore_eos else min(config.min_tokens or 0, max_tokens)


def _timings(generation: Generation, started: float, load_seconds: float) -> Timings:
    now = time.monotonic()
    times = generation.times
    first_token = times.first_token or now
    return Timings(
        queue=times.admitted - times.submitted,
        load=load_seconds,
        prefill=first_token - times.admitted,
        first_token=first_token - started,
        decode=(times.finished or now) - first_token,
        total=now - started,
    )
