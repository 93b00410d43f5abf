"""What OpenTelemetry's spans and metrics cost a call, by what the program has set.

    pip install 'llm-framework[otel]' opentelemetry-sdk
    python benchmarks/instrumentation.py [--rounds 40] [--calls 50] [--words 64]

The model is a script that answers at once, so that what is measured is the framework alone. The settings take turns in
each round; shown is the processor's time of the median round, and what it is more than without the code.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from rich.console import Console
from rich.table import Table

from llm_framework import LLMFramework, ModelInfo
from llm_framework.testing import FakeBackend

MODULES = ("opentelemetry.trace", "opentelemetry.metrics")
TRACERS, METERS = TracerProvider(), MeterProvider([InMemoryMetricReader()])


def provider(module: Any, getter: str, one: Any) -> Any:
    """The API's module with that provider set."""
    return patch.object(module, getter, lambda: one)


@contextmanager
def setting(name: str, framework: LLMFramework) -> Iterator[None]:
    """What a program has set."""
    with ExitStack() as stack:
        if name == "without the code":
            stack.enter_context(patch.object(framework.inference_engine.telemetry, "begin", lambda *_: None))
        elif name == "not used":
            stack.enter_context(patch.dict(sys.modules))
            for module in MODULES:
                del sys.modules[module]
        if name in ("spans", "spans and metrics", "with content"):
            stack.enter_context(provider(trace, "get_tracer_provider", TRACERS))
        if name in ("metrics", "spans and metrics", "with content"):
            stack.enter_context(provider(metrics, "get_meter_provider", METERS))
        yield


SETTINGS = ("without the code", "not used", "no provider", "spans", "metrics", "spans and metrics", "with content")


def frameworks(words: int) -> dict[str, LLMFramework]:
    """One for each setting, with the scripted model."""
    made = {}
    for name in SETTINGS:
        framework = LLMFramework({"auto_discover_models": False, "telemetry_content": name == "with content"})
        answer = " ".join(f"word{number}" for number in range(words))
        FakeBackend(ModelInfo("m", backend_type="fake"), answers=[answer]).install(framework)
        made[name] = framework
    return made


async def whole(framework: LLMFramework) -> None:
    """A call for the whole answer."""
    await framework.generate("Hello, how are you?", model_name="m", max_tokens=4096)


async def streamed(framework: LLMFramework) -> None:
    """A call that is streamed."""
    async for _ in framework.stream("Hello, how are you?", model_name="m", max_tokens=4096):
        pass


async def measure(call: Callable[[LLMFramework], Any], calls: int, rounds: int, words: int) -> dict[str, float]:
    """Microseconds of processor a call, by setting."""
    made = frameworks(words)
    taken: dict[str, list[float]] = {name: [] for name in SETTINGS}
    order = random.Random(0)
    for _ in range(rounds):
        for name in order.sample(SETTINGS, len(SETTINGS)):
            with setting(name, made[name]):
                await call(made[name])  # the first one of a turn does not count
                began = time.process_time()
                for _ in range(calls):
                    await call(made[name])
                taken[name].append(1e6 * (time.process_time() - began) / calls)
    return {name: statistics.median(some) for name, some in taken.items()}


def main() -> None:
    """Measure, and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=50, help="a round")
    parser.add_argument("--words", type=int, default=64, help="of the answer; a stream has a chunk for each")
    given = parser.parse_args()
    table = Table("µs of processor a call", "whole", "", f"stream of {given.words} chunks", "")
    found = [asyncio.run(measure(call, given.calls, given.rounds, given.words)) for call in (whole, streamed)]
    for name in SETTINGS:
        cells = [(one[name], one[name] - one[SETTINGS[0]]) for one in found]
        table.add_row(name, *(text for value, more in cells for text in (f"{value:.0f}", f"{more:+.0f}")))
    Console().print(table)


if __name__ == "__main__":
    main()
