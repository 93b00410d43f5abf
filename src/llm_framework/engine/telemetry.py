"""OpenTelemetry spans and metrics of requests.

Nothing of OpenTelemetry is imported unless the program did so, and nothing is done unless it set a provider: until then
a request costs one look into `sys.modules`. Only the API is used; which exporter there is, is the program's business.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import Token
from types import TracebackType
from typing import Any

from .. import logs
from .._version import __version__
from ..errors import LLMFrameworkError
from ..registry.model_info import ModelInfo
from ..types import Attempt, InferenceRequest, InferenceResponse, Timings, Usage
from . import genai_attributes as genai

NAME = "llm_framework"
_MODEL_NAMES = ("gen_ai.request.model", "gen_ai.response.model")
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(4**power for power in range(14))
_FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_PER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)


class Scope:
    """While it is entered, log lines carry the request's id, and the spans of others are children of `context`'s.

    Entered for each step of a request, never over a `yield`: what a reader does between two chunks is its own.
    """

    __slots__ = ("_context", "_request_id", "_tokens")

    def __init__(self, request_id: str, context: Any = None) -> None:
        self._request_id = request_id
        self._context = context
        self._tokens: list[tuple[Any, Any]] = []

    def __enter__(self) -> None:
        attached = None
        if self._context is not None:
            from opentelemetry.context import attach

            attached = attach(self._context)
        self._tokens.append((logs.request_id.set(self._request_id), attached))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token, attached = self._tokens.pop()
        if leave(token) and attached is not None:
            from opentelemetry.context import detach

            detach(attached)


def leave(token: Token[str]) -> bool:
    """Forget the request's id. False in another context: there the garbage collector ends a step that a closed loop
    left behind."""
    try:
        logs.request_id.reset(token)
    except ValueError:
        return False
    return True


class Telemetry:
    """What an engine tells OpenTelemetry. `endpoints` maps further endpoints to the providers whose dialect they
    speak; `with_content` records prompts and answers too."""

    def __init__(self, endpoints: Mapping[str, str], *, with_content: bool) -> None:
        self._endpoints = endpoints
        self._with_content = with_content
        self._tracer: tuple[Any, Any] = (None, None)  # the provider, and what it gave
        self._instruments: tuple[Any, _Instruments | None] = (None, None)

    def begin(
        self, request: InferenceRequest, resolve: Callable[[str | None], ModelInfo], parent: Any = None
    ) -> Recording | None:
        """The record of a request that begins, or None where nobody wants one. Its span is a child of the span that
        `parent` (a context) holds, by default of the caller's. `resolve` finds the model."""
        tracer, instruments = self.tracer(), self._meter_instruments()
        if tracer is None and instruments is None:
            return None
        try:
            info = resolve(request.model_name)
        except LLMFrameworkError:  # the request will say so
            info = None
        base = genai.of_model(info, request, self._endpoints)
        return Recording(tracer, instruments, base, request, info, parent, self._with_content)

    def begin_chain(self, request: InferenceRequest, models: Sequence[str | None]) -> ChainRecording | None:
        """The record of a chain of models, of which the first that can answers."""
        tracer = self.tracer()
        return None if tracer is None else ChainRecording(tracer, request, [name or "default" for name in models])

    def tracer(self) -> Any:
        """A tracer of the provider that the program set, or None."""
        provider = _provider_of("opentelemetry.trace", "get_tracer_provider")
        if provider is None:
            return None
        if self._tracer[0] is not provider:
            self._tracer = (provider, provider.get_tracer(NAME, __version__, genai.SCHEMA_URL))
        return self._tracer[1]

    def _meter_instruments(self) -> _Instruments | None:
        provider = _provider_of("opentelemetry.metrics", "get_meter_provider")
        if provider is None:
            return None
        if self._instruments[0] is not provider:
            self._instruments = (provider, _Instruments(provider.get_meter(NAME, __version__, genai.SCHEMA_URL)))
        return self._instruments[1]


def _provider_of(module: str, getter: str) -> Any:
    """The provider that was set; None where the program does not use OpenTelemetry, or set none: the API's own ones
    record nothing."""
    api = sys.modules.get(module)
    get = getattr(api, getter, None)  # the module may be just being imported in another thread
    if get is None:
        return None
    provider = get()
    return None if type(provider).__module__.startswith(module) else provider


class _Instruments:
    """The conventions' histograms, with the buckets that they advise, and a counter of dollars."""

    def __init__(self, meter: Any) -> None:
        def histogram(name: str, unit: str, buckets: Sequence[float], description: str) -> Any:
            return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=list(buckets))

        client = "gen_ai.client"
        self.tokens = histogram(f"{client}.token.usage", "{token}", _TOKENS, "Number of input and output tokens used.")
        self.duration = histogram(f"{client}.operation.duration", "s", _SECONDS, "GenAI operation duration.")
        self.first_chunk = histogram(
            f"{client}.operation.time_to_first_chunk", "s", _SECONDS, "Time to receive the first chunk."
        )
        self.per_chunk = histogram(
            f"{client}.operation.time_per_output_chunk", "s", _SECONDS, "Time from one chunk to the next."
        )
        # What the conventions ask of a model's server; for a model in this process that is us.
        self.first_token = histogram(
            "gen_ai.server.time_to_first_token", "s", _FIRST_TOKEN, "Time to generate the first token."
        )
        self.per_token = histogram(
            "gen_ai.server.time_per_output_token", "s", _PER_TOKEN, "Time per output token after the first one."
        )
        self.cost = meter.create_counter(
            "llm_framework.client.cost", "{USD}", "Cost of the answers whose price is known, in US dollars."
        )


class Recording:
    """One request to one model: its span, from the first step to the end of the stream, and its metrics."""

    def __init__(
        self,
        tracer: Any,
        instruments: _Instruments | None,
        base: genai.Attributes,
        request: InferenceRequest,
        info: ModelInfo | None,
        parent: Any,
        with_content: bool,
    ) -> None:
        self._base = base
        self._instruments = instruments
        self._is_known = info is not None
        self._is_local = info is not None and bool(info.is_local)
        self._streaming = request.streaming
        self._is_chat = base["gen_ai.operation.name"] == genai.CHAT
        self._with_content = with_content and self._is_chat
        self._span: Any = None
        self._last_chunk_at: float | None = None
        self.context: Any = None  # in which the steps of the request run
        if tracer is not None:
            self._begin_span(tracer, parent)

    def _begin_span(self, tracer: Any, parent: Any) -> None:
        from opentelemetry import trace

        kind = trace.SpanKind.INTERNAL if self._is_local else trace.SpanKind.CLIENT
        name = f"{self._base['gen_ai.operation.name']} {self._base['gen_ai.request.model']}"
        span = tracer.start_span(name, context=parent, kind=kind, attributes=self._base)
        self.context = trace.set_span_in_context(span, parent)
        self._span = span if span.is_recording() else None

    def asked(self, request: InferenceRequest) -> None:
        """The request as it goes to the model, configured defaults included."""
        if self._span is not None:
            self._span.set_attributes(genai.of_request(request))
            if self._with_content:
                self._span.set_attributes(genai.of_input(request))

    def attempt_failed(self, number: int, attempt: Attempt) -> None:
        """An attempt was for nothing: an event of the span."""
        if self._span is not None:
            facts = {"error.type": attempt.error_type or "_OTHER", "llm_framework.attempt.seconds": attempt.seconds}
            self._span.add_event("llm_framework.attempt.failed", {"llm_framework.attempt.number": number, **facts})

    def chunk(self) -> None:
        """A piece of the answer came."""
        if self._instruments is None or not self._streaming:
            return
        now = time.monotonic()
        if self._last_chunk_at is not None:
            self._instruments.per_chunk.record(now - self._last_chunk_at, self._base)
        self._last_chunk_at = now

    def end(
        self,
        backend: Any,
        timings: Timings,
        *,
        first_came: bool,
        usage: Usage | None,
        response: InferenceResponse | None,
        error: BaseException | None,
    ) -> None:
        """The request is over: answered (`response`), failed (`error`), or left by its reader (neither)."""
        provider_data = {} if response is None else response.provider_data
        about = {**self._base, **genai.of_server(backend), "gen_ai.response.model": self._base["gen_ai.request.model"]}
        if error is not None:
            about["error.type"] = type(error).__name__
        if self._instruments is not None:
            # Names that nobody knows come from callers: metrics must not have a series for each.
            unknown = {} if self._is_known else dict.fromkeys(_MODEL_NAMES, "unknown")
            self._measure(self._instruments, {**about, **unknown}, timings, usage, first_came)
            if response is not None and response.cost:
                self._instruments.cost.add(response.cost, about)
        if self._span is not None:
            more = {} if usage is None else genai.of_usage(usage, provider_data)
            if self._streaming and first_came:
                more["gen_ai.response.time_to_first_chunk"] = timings.first_token
            self._end_span({**about, **more, **_timings(timings)}, response, error)

    def _measure(
        self, to: _Instruments, about: genai.Attributes, timings: Timings, usage: Usage | None, first_came: bool
    ) -> None:
        to.duration.record(timings.total, about)
        if self._streaming and first_came:
            to.first_chunk.record(timings.first_token, about)
        if usage is not None and not usage.estimated:
            to.tokens.record(usage.input_tokens, {**about, "gen_ai.token.type": "input"})
            if self._is_chat:
                to.tokens.record(usage.output_tokens, {**about, "gen_ai.token.type": "output"})
        if self._is_local and first_came and "error.type" not in about:
            to.first_token.record(timings.first_token, about)
            if usage is not None and usage.output_tokens > 1:
                to.per_token.record(timings.decode / (usage.output_tokens - 1), about)

    def _end_span(
        self, about: genai.Attributes, response: InferenceResponse | None, error: BaseException | None
    ) -> None:
        span = self._span
        span.set_attributes(about)
        if response is None:
            response = getattr(error, "response", None)  # what had come before it broke off
        if response is not None and error is None:
            span.set_attributes(genai.of_response(response) if self._is_chat else {})
        elif error is None:
            span.set_attribute("gen_ai.response.finish_reasons", ["cancelled"])
        if response is not None and self._with_content:
            reason = response.finish_reason if error is None else "error"
            span.set_attributes(genai.of_output(response.message, reason))
        if error is not None:
            _mark_failed(span, error, self._with_content)
        span.end()


class ChainRecording:
    """A chain of models: a span around those of the models that were asked."""

    def __init__(self, tracer: Any, request: InferenceRequest, models: Sequence[str]) -> None:
        from opentelemetry import trace

        about = {"llm_framework.request.id": request.request_id, "llm_framework.fallback.models": list(models)}
        self._span = tracer.start_span("fallback", attributes=about)
        self.context = trace.set_span_in_context(self._span)

    def end(self, attempts: Sequence[Attempt], error: BaseException | None) -> None:
        """The chain is over: the last attempt answered, unless there is an `error`."""
        answered = next((attempt.model for attempt in reversed(attempts) if attempt.error is None), None)
        if answered is not None:
            self._span.set_attribute("llm_framework.fallback.answered", answered)
        if error is not None:
            self._span.set_attribute("error.type", type(error).__name__)
            _mark_failed(self._span, error, with_text=False)
        self._span.end()


def _mark_failed(span: Any, error: BaseException, with_text: bool) -> None:
    """An error's text may repeat a piece of a prompt or an answer: it is content."""
    from opentelemetry.trace import Status, StatusCode

    text = str(error) if with_text and isinstance(error, LLMFrameworkError) else None
    span.set_status(Status(StatusCode.ERROR, text))


def _timings(timings: Timings) -> genai.Attributes:
    names = ("queue", "load", "retry", "prefill", "decode")
    return {f"llm_framework.timings.{name}": getattr(timings, name) for name in names}
