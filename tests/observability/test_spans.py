"""Spans by OpenTelemetry's GenAI conventions, of real models and of providers that a server here plays."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
from faults.playing import Target
from faults.protocols import MODEL, PROTOCOLS, Call
from faults.server import RESET, FaultServer
from faults.stage import KEY, Stage
from faults.targets import each_target
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from llm_framework import LLMFramework, ModelInfo, ProviderUnavailableError, RequestCancelledError
from llm_framework.embedding import EmbeddingRequest, Embeddings
from llm_framework.errors import LLMFrameworkError, ModelNotFoundError, StreamInterruptedError
from llm_framework.testing import FakeBackend, Gate
from llm_framework.types import Chunk, InferenceRequest, Usage

from .conftest import Measured, Spans

SECRET_PROMPT = "the-prompt-that-nobody-may-see"
NAMES = {"openai": "openai", "openai_compatible": "openai_compatible", "anthropic": "anthropic",
             "google": "gcp.gemini"}  # fmt: skip


def fake(*answers: Any, **config: Any) -> tuple[LLMFramework, FakeBackend]:
    framework = LLMFramework({"default_model": "m", "auto_discover_models": False, **config})
    backend = FakeBackend(ModelInfo("m", backend_type="fake"), answers=answers)
    backend.install(framework)
    return framework, backend


# ------------------------------------------------------------------------------------------------- what a span says
async def test_a_stream_of_the_bundled_model(spans: Spans) -> None:
    """A request to a model in this process is an internal span with the settings, the tokens and the times."""
    async with LLMFramework({"default_model": "tiny-chat"}) as framework:
        chunks = [chunk async for chunk in framework.stream("Hello!", max_tokens=8, seed=3, stop=["@"])]
    response = chunks[-1].response
    assert response is not None
    span = spans.of("chat tiny-chat")
    said = dict(span.attributes or {})
    assert (span.kind, span.status.status_code) == (SpanKind.INTERNAL, StatusCode.UNSET)
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "llm_framework.native",
        "gen_ai.request.model": "tiny-chat",
        "gen_ai.response.model": "tiny-chat",
        "gen_ai.request.max_tokens": 8,
        "gen_ai.request.seed": 3,
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.stop_sequences": ("@",),
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": (response.finish_reason,),
        "gen_ai.usage.input_tokens": response.usage.input_tokens,
        "gen_ai.usage.output_tokens": response.usage.output_tokens,
        "llm_framework.request.id": response.request_id,
    }
    assert {name: said.get(name) for name in expected} == expected
    assert said["gen_ai.response.time_to_first_chunk"] == pytest.approx(response.timings.first_token, abs=0.05)
    assert "server.address" not in said
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "llm_framework"


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@each_target
async def test_a_request_to_a_provider(target: Target, streamed: bool, spans: Spans) -> None:
    """A request to a provider is a client span that names the provider, its server and the model there."""
    with FaultServer([Stage(target.protocol).answer("Hello", " world")]) as server:
        async with LLMFramework(target.config(server.origin, {})) as framework:
            if streamed:
                [_ async for _ in framework.stream("hi", model_name=target.model)]
            else:
                await framework.generate("hi", model_name=target.model)
    span = spans.of(f"chat {MODEL}")
    said = dict(span.attributes or {})
    assert span.kind is SpanKind.CLIENT
    assert said["gen_ai.provider.name"] == NAMES[target.backend]
    assert (said["gen_ai.request.model"], said["gen_ai.response.model"]) == (MODEL, MODEL)
    assert f"http://{said['server.address']}:{said['server.port']}" == server.origin
    assert said["gen_ai.response.finish_reasons"] == ("stop",)
    assert said["gen_ai.usage.output_tokens"] == 2
    assert ("gen_ai.request.stream" in said, "gen_ai.response.time_to_first_chunk" in said) == (streamed, streamed)
    assert KEY not in spans.text()


async def test_tokens_of_caches_and_reasoning(spans: Spans) -> None:
    """Tokens that were read from a cache, or thought with, are told beside the sums; what nobody counted is not."""
    counted = Chunk(text="x", usage=Usage(10, 5, 4, 3), finish_reason="length")
    framework, _ = fake([counted], [Chunk(text="x", usage=Usage(1, 1, estimated=True), finish_reason="stop")])
    async with framework:
        await framework.generate("hi")
        await framework.generate("hi")
    first, second = (dict(span.attributes or {}) for span in spans.all())
    assert first["gen_ai.usage.cache_read.input_tokens"] == 4
    assert first["gen_ai.usage.reasoning.output_tokens"] == 3
    assert first["gen_ai.response.finish_reasons"] == ("length",)
    assert not [name for name in second if name.startswith("gen_ai.usage")]


class Embedding(FakeBackend):
    """A backend that makes vectors."""

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        return Embeddings([[0.5, 0.25] for _ in request.texts], Usage(7))


async def test_embeddings(spans: Spans, measured: Callable[[], Measured]) -> None:
    """A request for vectors is an operation of its own, without output."""
    framework = LLMFramework({"default_model": "m", "auto_discover_models": False, "telemetry_content": True})
    Embedding(ModelInfo("m", model_type="embedding", backend_type="fake")).install(framework)
    async with framework:
        await framework.embed([SECRET_PROMPT], model_name="m", dimensions=2)
    said = dict(spans.of("embeddings m").attributes or {})
    assert said["gen_ai.operation.name"] == "embeddings"
    assert (said["gen_ai.embeddings.dimension.count"], said["gen_ai.usage.input_tokens"]) == (2, 7)
    assert "gen_ai.response.finish_reasons" not in said
    assert SECRET_PROMPT not in spans.text()
    assert [about["gen_ai.token.type"] for about, _ in measured()["gen_ai.client.token.usage"]] == ["input"]


async def test_an_endpoint_has_its_providers_name(spans: Spans) -> None:
    """A further endpoint counts as the provider whose dialect it speaks."""
    protocol = PROTOCOLS["openai"]
    with FaultServer([Stage(protocol).answer("Hello")]) as server:
        section = {"provider": "groq", "api_key": KEY, "base_url": protocol.base_url(server.origin)}
        async with LLMFramework({"api_credentials": {"backup": section}, "auto_discover_models": False}) as framework:
            await framework.generate("hi", model_name=f"backup:{MODEL}")
    assert dict(spans.of(f"chat {MODEL}").attributes or {})["gen_ai.provider.name"] == "groq"


# ----------------------------------------------------------------------------------------------------------- content
TOOL = {"name": "get_weather", "description": "The weather", "parameters": {"type": "object", "properties": {}}}


@each_target
async def test_no_content_by_default(target: Target, spans: Spans) -> None:
    """Neither prompt nor answer, tool arguments or a provider's words stand in a span; a tool's name does."""
    stage = Stage(target.protocol)
    call = Call("call_abcde", "get_weather", '{"city": "secret-city"}')
    steps = [
        stage.answer(calls=[call]),
        stage.refusal("invalid", message="you said secret-city"),
        stage.cut("secret-city", then=[RESET]),
    ]
    with FaultServer(steps) as server:
        async with LLMFramework(target.config(server.origin, {})) as framework:
            await framework.generate(SECRET_PROMPT, model_name=target.model, tools=[TOOL])
            with pytest.raises(LLMFrameworkError):
                await framework.generate(SECRET_PROMPT, model_name=target.model)
            with pytest.raises(StreamInterruptedError):
                [_ async for _ in framework.stream(SECRET_PROMPT, model_name=target.model)]
    assert len(spans.all()) == 3
    assert SECRET_PROMPT not in spans.text()
    assert "secret-city" not in spans.text()
    said = dict(spans.all()[0].attributes or {})
    assert said["gen_ai.response.finish_reasons"] == ("tool_call",)
    assert said["llm_framework.response.tool_calls"] == ("get_weather",)


@pytest.mark.parametrize("way", ["variable", "setting"])
async def test_content_on_demand(way: str, spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conventions' own variable, or a setting, puts messages, tools and the answer into the span, without keys."""
    from llm_framework.redaction import remember

    remember("sk-do-not-record-me")
    if way == "variable":
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    framework, _ = fake("the answer", **({"telemetry_content": True} if way == "setting" else {}))
    async with framework:
        await framework.generate(f"{SECRET_PROMPT} sk-do-not-record-me", tools=[TOOL])
    said = dict(spans.of("chat m").attributes or {})
    asked = json.loads(str(said["gen_ai.input.messages"]))
    assert asked == [{"role": "user", "parts": [{"type": "text", "content": f"{SECRET_PROMPT} ***"}]}]
    answered = [{"role": "assistant", "parts": [{"type": "text", "content": "the answer"}], "finish_reason": "stop"}]
    assert json.loads(str(said["gen_ai.output.messages"])) == answered
    assert json.loads(str(said["gen_ai.tool.definitions"]))[0]["name"] == "get_weather"


def test_where_the_wish_for_content_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration names the variable; the one of ours wins over it."""
    from llm_framework import LLMConfig

    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_and_event")
    config = LLMConfig()
    assert config.telemetry_content
    assert "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT" in config.origin("telemetry_content")
    monkeypatch.setenv("LLM_FRAMEWORK_TELEMETRY_CONTENT", "false")
    assert not LLMConfig().telemetry_content


# -------------------------------------------------------------------------------------- failures, attempts, fallbacks
@each_target
async def test_attempts_are_events_of_one_span(target: Target, spans: Spans) -> None:
    """A call that is tried again is one span, with an event for each attempt that failed."""
    stage = Stage(target.protocol)
    with FaultServer([stage.refusal("server"), stage.refusal("overloaded"), stage.answer("Hello")]) as server:
        async with LLMFramework(target.config(server.origin, {})) as framework:
            await framework.generate("hi", model_name=target.model)
    span = spans.of(f"chat {MODEL}")
    assert span.status.status_code is StatusCode.UNSET
    events = [(event.name, dict(event.attributes or {})) for event in span.events]
    assert [name for name, _ in events] == ["llm_framework.attempt.failed"] * 2
    assert [facts["llm_framework.attempt.number"] for _, facts in events] == [1, 2]
    assert {facts["error.type"] for _, facts in events} == {"ProviderUnavailableError"}


@each_target
async def test_a_failed_request(target: Target, spans: Spans) -> None:
    """A request that fails says the error's type, in the span's status too."""
    with FaultServer([Stage(target.protocol).refusal("auth")]) as server:
        async with LLMFramework(target.config(server.origin, {})) as framework:
            with pytest.raises(LLMFrameworkError):
                await framework.generate("hi", model_name=target.model)
    span = spans.of(f"chat {MODEL}")
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "AuthenticationError"
    assert "gen_ai.response.finish_reasons" not in (span.attributes or {})


async def test_an_unknown_model_has_a_span_too(spans: Spans) -> None:
    """A request to a model that there is not fails in a span of its own."""
    framework, _ = fake("x")
    async with framework:
        with pytest.raises(ModelNotFoundError):
            await framework.generate("hi", model_name="nobody-knows-it")
    said = dict(spans.of("chat nobody-knows-it").attributes or {})
    assert said["error.type"] == "ModelNotFoundError"


@each_target
async def test_a_chain_is_a_span_around_its_models(target: Target, spans: Spans) -> None:
    """With fallbacks, the models that were asked are children of one span that says who answered."""
    stage = Stage(target.protocol)
    with FaultServer([stage.refusal("overloaded")]) as first, FaultServer([stage.answer("Hello")]) as second:
        values = target.config(first.origin, {"max_retries": 0})
        section = {"provider": target.backend, "api_key": KEY, "base_url": target.protocol.base_url(second.origin)}
        values["api_credentials"]["backup"] = section
        async with LLMFramework({**values, "fallback_models": [f"backup:{MODEL}"]}) as framework:
            with spans.tracer.start_as_current_span("caller") as caller:
                await framework.generate("hi", model_name=target.model)
    chain = spans.of("fallback")
    failed, answered = (span for span in spans.all() if span.name.startswith("chat"))
    assert chain.parent is not None
    assert chain.parent.span_id == caller.get_span_context().span_id
    assert {span.parent.span_id for span in (failed, answered) if span.parent} == {chain.context.span_id}
    assert (chain.attributes or {})["llm_framework.fallback.answered"] == f"backup:{MODEL}"
    assert (chain.attributes or {})["llm_framework.fallback.models"] == (target.model, f"backup:{MODEL}")
    assert failed.status.status_code is StatusCode.ERROR
    assert answered.status.status_code is StatusCode.UNSET
    assert "gen_ai.usage.input_tokens" not in (chain.attributes or {})


# ------------------------------------------------------------------------------------------------------- how it ends
async def test_a_stream_that_is_closed_early(spans: Spans) -> None:
    """The span ends when its reader closes the stream, and says that it was left."""
    framework, _ = fake("one two three")
    async with framework:
        async with aclosing(framework.stream("hi")) as chunks:
            async for _ in chunks:
                assert spans.all() == ()
                break
        span = spans.of("chat m")
    assert (span.attributes or {})["gen_ai.response.finish_reasons"] == ("cancelled",)
    assert span.status.status_code is StatusCode.UNSET


async def test_a_cancelled_request(spans: Spans) -> None:
    """The span ends when the request is cancelled, by its id or with its task."""
    gate = Gate()
    begun = Gate()
    framework, _ = fake(["one", gate, "two"], [begun, "three"])
    async with framework:
        running = asyncio.ensure_future(framework.generate("hi", request_id="r1"))
        await gate.reached()
        await framework.inference_engine.cancel("r1")
        with pytest.raises(RequestCancelledError):
            await running
        assert (spans.of("chat m").attributes or {})["error.type"] == "RequestCancelledError"
        running = asyncio.ensure_future(framework.generate("hi"))
        await begun.reached()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert len(spans.all()) == 2


async def test_a_stream_that_breaks_off(spans: Spans) -> None:
    """The span of a stream that broke off fails, after the first chunk's time."""
    framework, _ = fake(["one", ProviderUnavailableError("gone")])
    async with framework:
        with pytest.raises(StreamInterruptedError):
            [_ async for _ in framework.stream("hi")]
    said = dict(spans.of("chat m").attributes or {})
    assert said["error.type"] == "StreamInterruptedError"
    assert "gen_ai.response.time_to_first_chunk" in said


# ----------------------------------------------------------------------------------------------------------- contexts
class Tracing(FakeBackend):
    """A backend that makes spans of its own, as an instrumented HTTP client does."""

    tracer: trace.Tracer

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        with self.tracer.start_as_current_span("http"):
            pass
        yield "one"
        with self.tracer.start_as_current_span("http"):
            pass
        yield "two"


def parent_of(span: Any) -> int | None:
    return span.parent.span_id if span.parent else None


async def test_spans_beneath_ours_are_its_children_and_the_readers_are_not(spans: Spans) -> None:
    """While a step runs, our span is the current one; between two chunks the reader's own is."""
    framework = LLMFramework({"default_model": "m", "auto_discover_models": False})
    backend = Tracing(ModelInfo("m", backend_type="fake"))
    backend.tracer = spans.tracer
    backend.install(framework)
    async with framework:
        with spans.tracer.start_as_current_span("caller") as caller:
            async for _ in framework.stream("hi"):
                assert trace.get_current_span() is caller
            assert trace.get_current_span() is caller
    ours = spans.of("chat m")
    assert parent_of(ours) == caller.get_span_context().span_id
    inner = [span for span in spans.all() if span.name == "http"]
    assert [parent_of(span) for span in inner] == [ours.context.span_id] * 2


@pytest.mark.parametrize("way", ["generate", "stream", "batch"])
def test_the_callers_span_over_threads(way: str, spans: Spans) -> None:
    """Through the blocking view, which works on a thread of its own, our span is still a child of the caller's."""
    framework, _ = fake("one two")

    def call(number: int) -> None:
        with spans.tracer.start_as_current_span(f"caller {number}"):
            if way == "generate":
                framework.sync.generate("hi", request_id=f"r{number}")
            elif way == "stream":
                list(framework.sync.stream("hi", request_id=f"r{number}"))
            else:
                framework.sync.generate_batch(["hi", "ho"], request_id=f"r{number}")

    with framework:
        threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    callers = {span.context.span_id: span.name for span in spans.all() if span.name.startswith("caller")}
    ours = [span for span in spans.all() if span.name == "chat m"]
    assert len(ours) == (8 if way == "batch" else 4)
    for span in ours:
        number = str((span.attributes or {})["llm_framework.request.id"])[1:]
        assert callers[parent_of(span) or 0] == f"caller {number}"


def test_the_callers_span_over_event_loops(spans: Spans) -> None:
    """Each of several event loops has its own caller, and our spans are theirs."""
    framework, _ = fake("one two")

    async def call(number: int) -> None:
        with spans.tracer.start_as_current_span(f"caller {number}"):
            await framework.generate("hi", request_id=f"r{number}")

    threads = [threading.Thread(target=asyncio.run, args=(call(number),)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    callers = {span.context.span_id: span.name for span in spans.all() if span.name.startswith("caller")}
    found = {
        callers[parent_of(span) or 0]: str((span.attributes or {})["llm_framework.request.id"])
        for span in spans.all()
        if span.name == "chat m"
    }
    assert found == {f"caller {number}": f"r{number}" for number in range(3)}


async def test_a_sampled_out_request_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program samples a request out, it goes its way all the same."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    provider = TracerProvider(sampler=ALWAYS_OFF)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    framework, _ = fake("one two")
    async with framework:
        assert await framework.generate_text("hi") == "one two"
