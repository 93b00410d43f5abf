"""OpenTelemetry's own SDK, set for one test: its in-memory exporters keep what the framework tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from faults.playing import warm_up
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llm_framework.engine import retry


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that names no wait is tried again soon."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.02)


@pytest.fixture(autouse=True)
def warm(request: pytest.FixtureRequest) -> None:
    """The test's backend is imported before its clock runs."""
    if "target" in request.fixturenames:
        warm_up(request.getfixturevalue("target"))


class Spans:
    """The spans that have ended."""

    def __init__(self, exporter: InMemorySpanExporter, tracer: trace.Tracer) -> None:
        self._exporter = exporter
        self.tracer = tracer  # for the spans of the test's own program

    def all(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def of(self, name: str) -> ReadableSpan:
        """The one span of that name."""
        found = [span for span in self.all() if span.name == name]
        assert len(found) == 1, [span.name for span in self.all()]
        return found[0]

    def text(self) -> str:
        """All that is said of them."""
        return "\n".join(span.to_json() for span in self.all())


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """A tracer provider, as a program sets one (which it can do only once; hence not by the setter)."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield Spans(exporter, provider.get_tracer("test"))
    provider.shutdown()


Measured = dict[str, list[tuple[Mapping[str, Any], Any]]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Measured]]:
    """A meter provider; the value gives what was measured so far: attributes and data points by metric."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)

    def read() -> Measured:
        found: Measured = {}
        data = json.loads(reader.get_metrics_data().to_json())
        for resource in data["resource_metrics"]:
            for scope in resource["scope_metrics"]:
                for metric in scope["metrics"]:
                    points = metric["data"]["data_points"]
                    found[metric["name"]] = [(point["attributes"], point) for point in points]
        return found

    yield read
    provider.shutdown()
