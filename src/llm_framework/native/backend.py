"""`GemmaNativeBackend`: requests to our own engine. Going down: dialect, chat template, tokenizer. Coming up: text and
calls. The work in between is the scheduler's."""

from __future__ import annotations

import secrets
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..backends.base import ModelBackend
from ..decoding.chat_template import GemmaTemplate, JinjaTemplate, PlainTemplate, SpecialGuard, Template
from ..decoding.constraints import Constraint, ConstraintCompiler
from ..decoding.dialects import Dialect, choose_dialect
from ..decoding.dialects.prompted import offered_tools
from ..decoding.text_stream import TextStream
from ..decoding.tool_calls import OutputParser, Piece
from ..errors import (
    ContextOverflowError,
    InvalidRequestError,
    LLMFrameworkError,
    ModelLoadError,
    UnsupportedFeatureError,
)
from ..types import Chunk, FinishReason, GenerationConfig, InferenceRequest, Timings, TokenLogprob, Usage
from .model import DEFAULT_MAX_TOKENS, NativeModel, open_model
from .scheduler import Generation, Scheduler, TokenEvent

if TYPE_CHECKING:
    from ..registry import ModelInfo
    from . import _native
    from .tokenizer import Tokenizer

# Templates and tokenizers take a millisecond for so many characters and more; longer chats are left to a thread.
_INLINE_CHARS = 4096
_SAMPLING = (
    "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty",
    "logit_bias",
)  # fmt: skip


class GemmaNativeBackend(ModelBackend):
    """A Gemma model on this machine's processor.

    `settings`: `num_threads` (default: every core), `config` and `tokenizer` (paths, for files that carry none),
    `max_batch` (requests that decode at once). Requests may come from several event loops at the same time; they share
    the passes over the weights. Closing a stream stops its work before the next token.
    """

    def __init__(self, model_info: ModelInfo, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(model_info, settings)
        self._lock = threading.Lock()
        self._loaded: LoadedModel | None = None
        self._free: weakref.finalize[..., GemmaNativeBackend] | None = None

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
        answer = Answer(loaded, request)
        generation = loaded.submit(prompt, request.config, constraint)
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
        yield answer.last_chunk(generation, Usage(len(prompt), answer.num_tokens), timings)

    async def count_tokens(self, request: InferenceRequest) -> int:
        """The tokens of the request's prompt, with all that the chat template and the tools add."""
        return len(await self._prepare(await self._require_loaded(), request))

    async def token_ids(self, text: str) -> list[int]:
        """The tokens of a plain text, without the chat template."""
        return (await self._require_loaded()).tokenizer.encode(text, parse_special=False)

    async def _require_loaded(self) -> LoadedModel:
        loaded = self._loaded
        if loaded is None:
            from anyio import to_thread

            loaded = await to_thread.run_sync(self._load, abandon_on_cancel=True)
        return loaded

    def _load(self) -> LoadedModel:
        with self._lock:
            if self._loaded is None:
                self._loaded = load(self.model_info, self.settings)
                # Also where nobody unloads it: when the backend is forgotten, and when the interpreter ends.
                self._free = weakref.finalize(self, self._loaded.close)
            return self._loaded

    def _close(self) -> None:
        with self._lock:
            free, self._loaded, self._free = self._free, None, None
        if free is not None:
            free()

    async def _prepare(self, loaded: LoadedModel, request: InferenceRequest) -> list[int]:
        if sum(len(message.text) for message in request.messages) <= _INLINE_CHARS:
            return loaded.prompt(request)
        from anyio import to_thread

        return await to_thread.run_sync(loaded.prompt, request, abandon_on_cancel=True)

    async def _constrain(self, loaded: LoadedModel, request: InferenceRequest, num_prompt: int) -> Constraint | None:
        if request.response_format is None and not offered_tools(request):
            return None
        from anyio import to_thread

        return await to_thread.run_sync(loaded.constraint, request, num_prompt, abandon_on_cancel=True)


# --------------------------------------------------------------------------------------------------------- going down
@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready, and what turns requests into its tokens and back."""

    name: str
    model: NativeModel
    tokenizer: Tokenizer
    scheduler: Scheduler
    template: Template
    dialect: Dialect
    guard: SpecialGuard
    context_length: int
    constraints: ConstraintCompiler

    def prompt(self, request: InferenceRequest) -> list[int]:
        """The prompt's token ids."""
        try:
            _check_supported(request)
            turns = self.dialect.turns(request, self.guard.quote)
            ids = self.guard.encode(self.template.render(turns), self.tokenizer)
        except LLMFrameworkError as error:
            error.model = error.model or self.name
            raise
        return ids

    def constraint(self, request: InferenceRequest, num_prompt: int) -> Constraint | None:
        """What holds the answer to the form that the request asks for. Takes milliseconds where the form is new."""
        try:
            max_tokens = self._max_tokens(request.config, num_prompt)
            return self.constraints.for_request(request, offered_tools(request), max_tokens)
        except LLMFrameworkError as error:
            error.model = error.model or self.name
            raise

    def submit(self, prompt: list[int], config: GenerationConfig, constraint: Constraint | None = None) -> Generation:
        """Queue the prompt. An answer is cut to the room that the prompt leaves in the context."""
        max_tokens = self._max_tokens(config, len(prompt))
        sampler = self._sampler(config, prompt)
        stop_ids = self._stop_ids()
        return self.scheduler.submit(prompt, sampler, max_tokens=max_tokens, stop_ids=stop_ids, constraint=constraint)

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

    def visible_bytes(self, token: int) -> bytes:
        """What a token adds to the answer: nothing, if it is a special one that the dialect does not read."""
        text = self.tokenizer.token_bytes(token)
        if self.tokenizer.is_special(token) and text.decode() not in self.dialect.markers:
            return b""
        return text

    def close(self) -> None:
        """Stop the scheduler and free the model. Safe to call twice."""
        self.scheduler.close()
        self.model.close()

    def _stop_ids(self) -> frozenset[int]:
        specials = self.tokenizer.specials
        return self.model.config.eos_ids | {specials[name] for name in self.dialect.ends if name in specials}

    def _sampler(self, config: GenerationConfig, prompt: list[int]) -> _native.Sampler:
        from ._native import Sampler

        _check_token_ids(config, self.model.config.vocab_size)
        settings: dict[str, Any] = {"temperature": 1.0, **self.model.default_sampling}
        settings |= {name: getattr(config, name) for name in _SAMPLING if getattr(config, name) is not None}
        seed = secrets.randbits(63) if config.seed is None else config.seed % 2**64
        try:
            sampler = Sampler(seed, num_logprobs=-1 if config.logprobs is None else config.logprobs, **settings)
        except (ValueError, TypeError) as error:
            message = f"{self.name} cannot sample with these settings: {error}"
            raise InvalidRequestError(message, model=self.name) from error
        if config.repetition_penalty is not None:
            sampler.observe(prompt)
        return sampler


def load(model_info: ModelInfo, settings: Mapping[str, Any]) -> LoadedModel:
    """Open the model's files and choose what fits it. Raises `ModelLoadError`."""
    from ._native import Row

    if model_info.path is None:
        message = f"the model {model_info.name!r} has no path; name a file or folder, as in native:/path/to/model"
        raise ModelLoadError(message, model=model_info.name)
    given = {key: settings[key] for key in ("config", "tokenizer", "quantization") if settings.get(key) is not None}
    model = open_model(model_info.path, num_threads=settings.get("num_threads"), **given)
    try:
        tokenizer = model.require_tokenizer()
        template = _choose_template(model, tokenizer, model_info)
        scheduler = Scheduler(model.engine, Row, name=model_info.name, max_batch=settings.get("max_batch") or 64)
    except BaseException:
        model.close()
        raise
    return LoadedModel(
        name=model_info.name,
        model=model,
        tokenizer=tokenizer,
        scheduler=scheduler,
        template=template,
        dialect=choose_dialect(model.chat_template),
        guard=SpecialGuard(tokenizer.specials),
        context_length=min(model.config.max_seq_len, model_info.context_length or model.config.max_seq_len),
        constraints=ConstraintCompiler(tokenizer, model.config.vocab_size, model.config.eos_ids),
    )


def _choose_template(model: NativeModel, tokenizer: Tokenizer, model_info: ModelInfo) -> Template:
    names = {id: name for name, id in tokenizer.specials.items()}
    bos = names.get(tokenizer.bos_id, "") if tokenizer.bos_id is not None else ""
    eos = next((names[id] for id in sorted(model.config.eos_ids) if id in names), "")
    if model_info.model_type == "completion":
        return PlainTemplate(bos)
    if model.chat_template is not None:
        return JinjaTemplate(model.chat_template, bos_token=bos, eos_token=eos, model=model_info.name)
    return GemmaTemplate(bos) if "<start_of_turn>" in tokenizer.specials else PlainTemplate(bos)


def _check_supported(request: InferenceRequest) -> None:
    if request.config.thinking not in (None, "off", 0):
        message = "this model has no thinking to control; leave thinking out or set it to 'off'"
        raise UnsupportedFeatureError(message, feature="thinking")


def _check_token_ids(config: GenerationConfig, vocab_size: int) -> None:
    wrong = next((id for id in config.logit_bias or () if not 0 <= id < vocab_size), None)
    if wrong is not None:
        raise InvalidRequestError(f"logit_bias names the token {wrong}; the vocabulary has {vocab_size} tokens")


# ---------------------------------------------------------------------------------------------------------- coming up
class Answer:
    """Turns the tokens of one answer into chunks."""

    def __init__(self, loaded: LoadedModel, request: InferenceRequest) -> None:
        self.num_tokens = 0
        self._tokenizer = loaded.tokenizer
        self._text = TextStream(loaded.visible_bytes, request.config.stop)
        self._parser: OutputParser = loaded.dialect.parser(request)
        self._with_logprobs = request.config.logprobs is not None

    @property
    def stopped(self) -> bool:
        """A stop string was met: the tokens that follow are not part of the answer."""
        return self._text.stopped

    def feed(self, event: TokenEvent) -> Iterator[Chunk]:
        """The chunks that are certain after this token."""
        self.num_tokens += 1
        if self._with_logprobs:
            yield Chunk(logprobs=(self._logprob(event),))
        yield from map(_as_chunk, self._parser.feed(self._text.feed(event.token)))

    def finish(self) -> Iterator[Chunk]:
        """The chunks that were held back."""
        yield from map(_as_chunk, self._parser.feed(self._text.finish()))
        yield from map(_as_chunk, self._parser.finish())

    def last_chunk(self, generation: Generation, usage: Usage, timings: Timings) -> Chunk:
        """The chunk that ends the stream."""
        reason: FinishReason = "length" if generation.finish_reason == "length" and not self.stopped else "stop"
        if reason == "stop" and self._parser.num_calls:
            reason = "tool_calls"
        return Chunk(finish_reason=reason, usage=usage, timings=timings)

    def _logprob(self, event: TokenEvent) -> TokenLogprob:
        top = tuple((self._token_text(token), token, logprob) for token, logprob in event.top)
        return TokenLogprob(self._token_text(event.token), event.token, event.logprob, top)

    def _token_text(self, token: int) -> str:
        return self._tokenizer.token_bytes(token).decode("utf-8", "replace")


def _as_chunk(piece: Piece) -> Chunk:
    return Chunk(text=piece) if isinstance(piece, str) else Chunk(tool_call=piece)


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
