"""Metrics and spans where they are meant to arrive: scraped as Prometheus does, and sent to a collector by OTLP."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import urlopen

import anyio.to_thread
import pytest
from opentelemetry import metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from llm_framework import AuthenticationError, LLMFramework, ModelInfo, ModelNotFoundError
from llm_framework.testing import FakeBackend
from llm_framework.types import Chunk, Usage

from .conftest import Measured

# ------------------------------------------------------------------------------------------------------------ metrics
TOKENS = "gen_ai.client.token.usage"


async def test_metrics_of_a_stream(measured: Callable[[], Measured]) -> None:
    """A stream of a model in this process is measured as a client's and as a server's: tokens, duration, first chunk,
    the chunks after it."""
    async with LLMFramework({"default_model": "tiny-chat"}) as framework:
        chunks = [chunk async for chunk in framework.stream("Count from 1 to 9.", max_tokens=12, ignore_eos=True)]
    response = chunks[-1].response
    assert response is not None
    found = measured()
    by_type = {about["gen_ai.token.type"]: point["sum"] for about, point in found[TOKENS]}
    assert by_type == {"input": response.usage.input_tokens, "output": response.usage.output_tokens}
    ((about, duration),) = found["gen_ai.client.operation.duration"]
    assert duration["count"] == 1
    assert duration["sum"] == pytest.approx(response.timings.total, abs=0.1)
    assert duration["explicit_bounds"][:3] == [0.01, 0.02, 0.04]
    expected = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "llm_framework.native",
                "gen_ai.request.model": "tiny-chat", "gen_ai.response.model": "tiny-chat"}  # fmt: skip
    assert about == expected
    ((_, first),) = found["gen_ai.client.operation.time_to_first_chunk"]
    assert first["sum"] == pytest.approx(response.timings.first_token, abs=0.1)
    ((_, rest),) = found["gen_ai.client.operation.time_per_output_chunk"]
    assert rest["count"] == len(chunks) - 2  # not the first one, nor the last, which holds no piece of the answer
    assert found["gen_ai.server.time_to_first_token"][0][1]["count"] == 1
    assert found["gen_ai.server.time_per_output_token"][0][1]["count"] == 1


async def test_metrics_of_failures_and_guesses(measured: Callable[[], Measured]) -> None:
    """A failure is measured with its type, names of models that there are not as one; tokens that nobody counted are
    not reported."""
    framework = LLMFramework({"default_model": "m", "auto_discover_models": False})
    guess = Chunk(text="x", usage=Usage(1, 1, estimated=True), finish_reason="stop")
    FakeBackend(ModelInfo("m", backend_type="fake"), answers=[AuthenticationError("no"), [guess]]).install(framework)
    async with framework:
        with pytest.raises(AuthenticationError):
            await framework.generate("hi")
        await framework.generate("hi")
        for name in ("no-such-a", "no-such-b"):
            with pytest.raises(ModelNotFoundError):
                await framework.generate("hi", model_name=name)
    found = measured()
    durations = [
        (about.get("error.type"), about["gen_ai.request.model"], point["count"])
        for about, point in found["gen_ai.client.operation.duration"]
    ]
    assert sorted(durations, key=str) == [
        ("AuthenticationError", "m", 1), ("ModelNotFoundError", "unknown", 2), (None, "m", 1),
    ]  # fmt: skip
    assert TOKENS not in found
    assert "gen_ai.client.operation.time_to_first_chunk" not in found


def read(url: str) -> str:
    with urlopen(url) as reply:
        return str(reply.read().decode())


async def test_prometheus_scrapes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry's exporter shows the metrics, costs included, to what scrapes it over HTTP."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import MeterProvider
    from prometheus_client import start_http_server

    provider = MeterProvider([PrometheusMetricReader()])
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)
    where = {"provider": "openai", "model_id": "gpt-4o"}
    answer = [Chunk(text="x"), Chunk(usage=Usage(1000, 100), finish_reason="stop")]
    framework = LLMFramework({"default_model": "m", "auto_discover_models": False})
    FakeBackend(ModelInfo("m", backend_type="fake", is_local=False, metadata=where), answers=[answer]).install(
        framework
    )
    async with framework:
        await framework.generate("hi")
        await framework.generate("hi")
    server, thread = start_http_server(0, "127.0.0.1")
    try:
        lines = (await anyio.to_thread.run_sync(read, f"http://127.0.0.1:{server.server_port}/metrics")).splitlines()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        provider.shutdown()
    asked = 'gen_ai_request_model="gpt-4o"'
    assert any(line.startswith("gen_ai_client_operation_duration_seconds_count{") and asked in line
               and line.endswith(" 2.0") for line in lines), lines  # fmt: skip
    sums = [line for line in lines if line.startswith("gen_ai_client_token_usage_sum{") or "token_usage_" in line]
    assert any('gen_ai_token_type="input"' in line and line.endswith(" 2000.0") for line in sums), sums
    cost = [line for line in lines if line.startswith("llm_framework_client_cost")]
    assert any(line.endswith(" 0.007") for line in cost), cost


# --------------------------------------------------------------------------------------------------------------- OTLP
class Collector:
    """A server that takes OTLP over HTTP, as a collector does."""

    def __init__(self) -> None:
        self.posts: dict[str, list[bytes]] = {}
        posts = self.posts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                posts.setdefault(self.path, []).append(body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    one = Collector()
    yield one
    one.close()


PROGRAM = """
import sys
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from llm_framework import LLMFramework

url = sys.argv[1]
with LLMFramework({"default_model": "tiny-chat", "auto_discover_models": False}) as framework:
    framework.sync.generate_text("Before anybody listens", max_tokens=2)
    tracers, meters = TracerProvider(), MeterProvider([PeriodicExportingMetricReader(
        OTLPMetricExporter(url + "/v1/metrics", compression=Compression.NoCompression))])
    tracers.add_span_processor(BatchSpanProcessor(
        OTLPSpanExporter(url + "/v1/traces", compression=Compression.NoCompression)))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)
    with trace.get_tracer("program").start_as_current_span("my work"):
        framework.sync.generate_text("Hello!", max_tokens=4)
tracers.shutdown()
meters.shutdown()
"""


def test_a_collector_is_sent_it(collector: Collector) -> None:
    """A program that sets OpenTelemetry's providers, even after its first request, sends spans and metrics by OTLP."""
    command = [sys.executable, "-c", PROGRAM, collector.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    spans = {
        span.name: span
        for body in collector.posts["/v1/traces"]
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    assert sorted(spans) == ["chat tiny-chat", "my work"]
    assert spans["chat tiny-chat"].parent_span_id == spans["my work"].span_id
    names = {
        metric.name
        for body in collector.posts["/v1/metrics"]
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert {TOKENS, "gen_ai.client.operation.duration", "gen_ai.server.time_to_first_token"} <= names


# ---------------------------------------------------------------------------------------------------------- left off
ASK = """
import sys
{before}
from llm_framework import LLMFramework, ModelInfo
from llm_framework.testing import FakeBackend
framework = LLMFramework({{"auto_discover_models": False}})
FakeBackend(ModelInfo("x", backend_type="fake")).install(framework)
with framework:
    assert framework.sync.generate_text("hi", model_name="x")
    assert list(framework.sync.stream("hi", model_name="x"))
print([name for name in sys.modules if name.startswith("opentelemetry") and sys.modules[name]])
"""


@pytest.mark.parametrize(
    ("before", "loaded"),
    [
        ("", "[]"),
        ('sys.modules["opentelemetry"] = None', "[]"),  # as if it were not installed
        ("import opentelemetry.trace, opentelemetry.metrics", None),  # the API, and no provider
    ],
    ids=["not used", "not installed", "no provider"],
)
def test_left_off(before: str, loaded: str | None) -> None:
    """Where the program sets no provider, requests are answered, and nothing of OpenTelemetry is imported by us."""
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(before=before)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert loaded is None or done.stdout.strip() == loaded
    assert "opentelemetry.sdk" not in done.stdout
