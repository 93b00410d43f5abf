"""One request on its way: its limits, what came so far, and what is said of it at the end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import anyio

from .. import logs, redaction
from ..backends.base import ModelBackend
from ..config import LLMConfig
from ..embedding import EmbeddingRequest
from ..errors import (
    BadResponseError,
    ConnectionFailedError,
    ContentFilterError,
    LLMFrameworkError,
    PluginError,
    RequestCancelledError,
    RequestTimeoutError,
    StreamInterruptedError,
    StructuredOutputError,
)
from ..registry.model_info import ModelInfo
from ..types import (
    Attempt,
    Chunk,
    InferenceRequest,
    InferenceResponse,
    ResponseBuilder,
    Timings,
    Usage,
)
from . import structured
from .deadline import Interrupter, Limit
from .filling_in import with_text
from .rate_limit import CHARACTERS_PER_TOKEN, Spending, estimated_prompt_tokens
from .target import Target
from .telemetry import Recording, Scope, leave

OVERTIME = 0.1  # the part of the deadline by which closing a stream may pass it
LEAST_OVERTIME, LONGEST_OVERTIME = 0.05, 5.0  # seconds


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What belongs to a call rather than to the request: `max_retries` (None: as configured), and the recorder of
    attempts, which the models of a fallback chain share. `started` is when the call began, on `time.monotonic`'s clock,
    where that was before this model was asked, `parent` the context of the span that this model's belongs to."""

    max_retries: int | None = None
    attempts: list[Attempt] = field(default_factory=list)
    started: float | None = None
    parent: Any = None


class RunningRequest:
    """The state of one request in the engine. `info`, `backend` and `hook_prompt` are set on the way down."""

    info: ModelInfo
    backend: ModelBackend

    def __init__(self, request: InferenceRequest, config: LLMConfig, options: CallOptions) -> None:
        self.request = request
        self.options = options
        self.interrupter = Interrupter()
        self.started_at = time.time()
        self.deadline = _deadline_of(request, config)
        self.target: Target | None = None  # set once the model is known
        self.hook_prompt = ""
        self.queue_seconds = 0.0
        self.load_seconds = 0.0
        self.retry_seconds = 0.0
        self.scope = Scope(request.request_id)  # of each step
        self.recording: Recording | None = None
        self._config = config
        self._started = self._attempt_started = time.monotonic()
        self._earlier = 0.0  # seconds that went into models of the chain that were asked before
        if options.attempts and options.started is not None:
            self._earlier = self._started - options.started
        self._loaded_before = 0.0  # of load_seconds, what was spent before this attempt
        self._builder = ResponseBuilder()
        self._first_token_at: float | None = None
        self._num_pieces = self._num_failed = 0
        self._ended = False
        self._attempt_limit: Limit | None = None
        self._recorded: BaseException | None = None
        self._spending: Spending | None = None
        self._rate_limits: Mapping[str, Any] | None = None

    @property
    def model_name(self) -> str:
        """The model's name, as far as it is known."""
        return self.info.name if hasattr(self, "info") else self.request.model_name or ""

    def record(self, recording: Recording | None) -> None:
        """Have OpenTelemetry told of the request."""
        self.recording = recording
        if recording is not None:
            self.scope = Scope(self.request.request_id, recording.context)

    # ----------------------------------------------------------------------------------------------------- the stream
    async def sleep(self, seconds: float) -> None:
        """Wait between two attempts."""
        started = time.monotonic()
        await self.interrupter.step(lambda: anyio.sleep(seconds), self.deadline)
        self.retry_seconds += time.monotonic() - started

    def check_rate(self) -> None:
        """Raise at once where the wait for the rate limits, as it is now, would be too long."""
        rates = self.target.rates if self.target else None
        if rates is not None and rates.is_used:
            rates.check(rates.cost(self.request), self.deadline.at if self.deadline else None)

    async def keep_rate(self) -> None:
        """Wait until the target's rate limits let one more request through. The wait counts as queueing."""
        rates = self.target.rates if self.target else None
        if rates is None or not rates.is_used:
            return
        tokens = rates.cost(self.request)
        self._spending = rates.acquire_nowait(tokens)
        if self._spending is None:
            started = self._attempt_started = time.monotonic()
            at = self.deadline.at if self.deadline else None
            limit = self.deadline._replace(name="queue") if self.deadline else None
            self._spending = await self.interrupter.step(lambda: rates.acquire(tokens, at), limit)
            self.queue_seconds += time.monotonic() - started

    def settle(self, otherwise: int | None = None) -> None:
        """Tell the target's rate limits what the request cost, and what the provider said of them. Where nobody
        counted its tokens, they are `otherwise`; None leaves the estimate."""
        if self.target is None:
            return
        if self._spending is not None:
            usage = self._builder.usage
            tokens = otherwise if usage is None else usage.total_tokens
            if tokens is not None:
                self.target.rates.settle(self._spending, tokens)
            self._spending = None
        if self._rate_limits:
            self.target.rates.learn(self._rate_limits)
            self._rate_limits = None

    def overtime(self) -> float:
        """The seconds that the backend may take now for what comes after the answer, such as closing its stream: with a
        deadline, a tenth of it at most."""
        if self.deadline is None:
            return LONGEST_OVERTIME
        overtime = OVERTIME * self.deadline.seconds
        left = self.deadline.at + overtime - time.monotonic()
        return max(LEAST_OVERTIME, min(LONGEST_OVERTIME, overtime, left))

    def start_attempt(self) -> None:
        """Forget an attempt that failed: nothing of it was seen."""
        self._attempt_started = time.monotonic()
        self._loaded_before = self.load_seconds
        self._builder = ResponseBuilder()
        self._ended = False

    async def first_chunks(self, stream: AsyncIterator[Chunk | str]) -> list[Chunk]:
        """Read up to the first chunk that shows something (or the end): what may still be tried again."""
        self._attempt_limit = Limit.after("attempt", self._config.attempt_timeout)
        first_token = Limit.after("first_token", self._config.first_token_timeout)
        chunks: list[Chunk] = []
        while self._first_token_at is None:
            chunk = await self._read(stream, first_token)
            if chunk is None:
                break
            chunks.append(chunk)
            if chunk.text or chunk.thinking or chunk.tool_call:
                self._first_token_at = time.monotonic()
        return chunks

    async def next_chunk(self, stream: AsyncIterator[Chunk | str]) -> Chunk | None:
        """The next chunk for the reader, or None at the end."""
        limit = Limit.after("idle", self._config.idle_timeout)
        if self.recording is None:  # for each chunk: as `scope` does, at a third of its time
            token = logs.request_id.set(self.request.request_id)
            try:
                return await self._read(stream, limit)
            finally:
                leave(token)
        with self.scope:
            chunk = await self._read(stream, limit)
        if chunk is not None:
            self.recording.chunk()
        return chunk

    async def _read(self, stream: AsyncIterator[Chunk | str], limit: Limit | None) -> Chunk | None:
        """The next chunk that holds more than usage and finish reason: those go out with the last one."""
        while not self._ended:
            item = await self.interrupter.step(lambda: _next(stream), self.deadline, self._attempt_limit, limit)
            if item is None:
                self._ended = True
                break
            chunk = self._take(item)
            if chunk is not None:
                return chunk
        return None

    def _take(self, item: Any) -> Chunk | None:
        chunk = Chunk(text=item) if isinstance(item, str) else item
        if not isinstance(chunk, Chunk):
            raise BadResponseError(f"the backend of {self.model_name!r} yielded {type(item).__name__}, no Chunk or str")
        self._builder.add(chunk)
        if chunk.provider_data and "rate_limits" in chunk.provider_data:  # told in the response, not on its own
            self._rate_limits = chunk.provider_data["rate_limits"]
            others = {name: value for name, value in chunk.provider_data.items() if name != "rate_limits"}
            chunk = replace(chunk, provider_data=others)
        if chunk.finish_reason or chunk.usage or chunk.response or chunk.timings or chunk.dropped_parameters:
            chunk = replace(chunk, usage=None, finish_reason=None, response=None, timings=None, dropped_parameters=())
        self._num_pieces += 1
        has_content = (
            chunk.text or chunk.thinking or chunk.tool_call or chunk.logprobs or chunk.provider_data or chunk.signature
        )
        return chunk if has_content else None

    # -------------------------------------------------------------------------------------------------------- the end
    @property
    def is_counted(self) -> bool:
        """Whether the tokens are known."""
        return self._builder.usage is not None

    def lose_attempt(self) -> None:
        """The time of this attempt led to nothing."""
        seconds = time.monotonic() - self._attempt_started
        self.retry_seconds += max(0.0, seconds - (self.load_seconds - self._loaded_before))

    async def count(self) -> None:
        """Estimate the tokens that the backend did not count."""
        self._builder.usage = await self._estimated_usage()

    def response(self) -> InferenceResponse:
        """The whole answer, usage and timings included."""
        return self._response_so_far(finish_reason=self._finish_reason())

    def checked(self, response: InferenceResponse, text: str) -> InferenceResponse:
        """The answer with the text that the post hooks made of it, and `parsed`. Raises `StructuredOutputError`."""
        if text != response.text:
            response = replace(response, message=with_text(response.message, text))
        form = self.request.response_format
        return response if form is None else replace(response, parsed=structured.parse(response, form))

    def last_chunk(self, response: InferenceResponse) -> Chunk:
        """The end of the stream."""
        timings = self._timings_of_call()
        self.options.attempts.append(Attempt(self.model_name, time.monotonic() - self._attempt_started))
        response = replace(response, timings=timings, attempts=tuple(self.options.attempts))
        return Chunk(
            usage=response.usage,
            finish_reason=response.finish_reason,
            response=response,
            timings=timings,
            dropped_parameters=response.dropped_parameters,
        )

    @property
    def has_begun(self) -> bool:
        """Whether a piece of the answer came."""
        return self._first_token_at is not None

    def usage(self) -> Usage:
        """The tokens, as far as they are known."""
        return self._builder.usage or Usage()

    def tell_request(self) -> None:
        """Tell OpenTelemetry of the request as it goes to the model."""
        if self.recording is not None:
            self.recording.asked(self.request)

    def end_recording(self, response: InferenceResponse | None, error: BaseException | None) -> None:
        """Tell OpenTelemetry of the end."""
        if self.recording is not None:
            self.recording.end(
                getattr(self, "backend", None),
                self.timings(),
                first_came=self.has_begun,
                usage=self._builder.usage,
                response=response,
                error=error,
            )

    def timings(self) -> Timings:
        """Where the time went since this model was asked. What a local model queued itself is part of the queue."""
        now = time.monotonic()
        first = (self._first_token_at or now) - self._started
        left = max(0.0, first - self.queue_seconds - self.load_seconds - self.retry_seconds)
        queued = min(left, self._builder.timings.queue)
        queue, prefill = self.queue_seconds + queued, left - queued
        total = now - self._started
        return Timings(queue, self.load_seconds, prefill, first, total - first, total, self.retry_seconds)

    def _timings_of_call(self) -> Timings:
        """The same since the call began: models that were asked before count as retries."""
        own, earlier = self.timings(), self._earlier
        if not earlier:
            return own
        return replace(own, retry=own.retry + earlier, first_token=own.first_token + earlier, total=own.total + earlier)

    def summary(self, outcome: str) -> str:
        """One line for the log."""
        usage, timings = self.usage(), self.timings()
        tokens = f"{usage.input_tokens} + {usage.output_tokens} tokens"
        return f"{self.request.request_id} to {self.model_name}: {outcome}, {tokens}, {timings.total:.3f} s"

    def describe(self) -> dict[str, Any]:
        """This request as `get_active_requests` lists it."""
        return {
            "request_id": self.request.request_id,
            "model_name": self.model_name,
            "started_at": self.started_at,
            "tokens": self._num_pieces,
        }

    def _finish_reason(self) -> Any:
        if self._builder.finish_reason is not None:
            return self._builder.finish_reason
        return "tool_calls" if self._builder.response().tool_calls else "stop"

    def _response_so_far(self, **fields: Any) -> InferenceResponse:
        return self._builder.response(
            model=self.model_name,
            request_id=self.request.request_id,
            attempts=tuple(self.options.attempts),
            timings=self._timings_of_call(),
            **fields,
        )

    async def _estimated_usage(self) -> Usage:
        if isinstance(self.request, EmbeddingRequest):
            return Usage(estimated_prompt_tokens(self.request), estimated=True)
        counted = None
        with anyio.move_on_after(self.overtime()), suppress(LLMFrameworkError):  # the answer is whole without it
            counted = await self.backend.count_tokens(self.request)
        texts = sum(len(message.text) for message in self.request.messages)
        answer = self._builder.response()
        written = len(answer.text) + len(answer.thinking) + sum(len(call.raw_arguments) for call in answer.tool_calls)
        num_input = counted if counted is not None else _tokens(texts)
        return Usage(num_input, _tokens(written), estimated=True)

    # --------------------------------------------------------------------------------------------------------- errors
    def attempt_failed(self, error: Exception) -> LLMFrameworkError:
        """The error as ours, entered in the record of attempts."""
        ours = self._as_ours(error)
        if isinstance(ours, StreamInterruptedError) and self._first_token_at is None:
            # Pieces that showed nothing: for a reader the answer had not begun, and may be asked for again.
            facts, ours = ours.__dict__, ConnectionFailedError(ours.message)
            ours.__dict__.update(facts)
        seconds = time.monotonic() - self._attempt_started
        attempt = Attempt(self.model_name, seconds, str(ours), type(ours).__name__)
        self.options.attempts.append(attempt)
        self._num_failed += 1
        if self.recording is not None:
            self.recording.attempt_failed(self._num_failed, attempt)
        self._recorded = ours
        return ours

    def explain(self, error: Exception) -> LLMFrameworkError:
        """What the reader gets for `error`: typed, with the model's name, the attempts, and what had come before."""
        ours = self._as_ours(error)
        if self._first_token_at is not None:
            ours = self._interrupted(ours)
        elif isinstance(ours, RequestCancelledError):
            ours.response = self._response_so_far(finish_reason="cancelled")
        if ours is not self._recorded:
            ours = self.attempt_failed(ours)
        ours.attempts = tuple(self.options.attempts)
        return ours

    def _interrupted(self, error: LLMFrameworkError) -> LLMFrameworkError:
        """After the first visible chunk: the partial response goes with the error."""
        if isinstance(error, StructuredOutputError) and error.response is not None:
            return error
        cancelled = isinstance(error, RequestCancelledError)
        partial = self._response_so_far(**({"finish_reason": "cancelled"} if cancelled else {}))
        if isinstance(error, _KEPT):
            if getattr(error, "response", None) is None:
                error.response = partial
            return error
        message = f"the stream of {self.model_name!r} broke off: {error}"
        facts = {name: getattr(error, name) for name in ("provider", "model", "status", "code", "provider_request_id")}
        return StreamInterruptedError(message, **facts, response=partial)

    def _as_ours(self, error: Exception) -> LLMFrameworkError:
        ours = error if isinstance(error, LLMFrameworkError) else _wrap(error, self.model_name)
        ours.model = ours.model or self.model_name or None
        if ours.provider is None and hasattr(self, "info"):
            ours.provider = str(self.info.metadata.get("provider", self.info.backend_type))
        return ours


_KEPT = (RequestCancelledError, RequestTimeoutError, ContentFilterError, StructuredOutputError, PluginError,
         StreamInterruptedError)  # fmt: skip


def raise_from(error: LLMFrameworkError, cause: Exception) -> NoReturn:
    """Raise `error`, with `cause` as its cause where that is another. No key is left in what a traceback shows."""
    if error is cause:
        raise redaction.clean(error)
    raise error from redaction.clean(cause)


def _deadline_of(request: InferenceRequest, config: LLMConfig) -> Limit | None:
    timeout = request.timeout if request.timeout is not None else config.default_timeout
    if request.deadline is None:
        return Limit.after("total", timeout)
    return Limit("total", request.deadline, timeout or max(0.0, request.deadline - time.monotonic()))


def _wrap(error: Exception, model: str) -> LLMFrameworkError:
    """An error that is none of ours, by what Python says of it."""
    text = f"the backend of {model!r} failed: {type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        return RequestTimeoutError(text, limit="attempt")
    if isinstance(error, ConnectionError):
        return ConnectionFailedError(text)
    return LLMFrameworkError(text)


async def _next(stream: AsyncIterator[Chunk | str]) -> Chunk | str | None:
    try:
        return await stream.__anext__()
    except StopAsyncIteration:
        return None


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)
