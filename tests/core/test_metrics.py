from __future__ import annotations

from llm_framework.engine.metrics import MAX_MODELS, WINDOW, Metrics
from llm_framework.types import Timings, Usage


def test_nothing_ran() -> None:
    """Before the first request every figure is zero, not missing."""
    stats = Metrics().snapshot()
    assert stats == {
        "total_requests": 0, "failed_requests": 0, "average_generation_time": 0.0, "total_generation_time": 0.0,
        "total_cost": 0.0, "unknown_cost_requests": 0, "models": {},
    }  # fmt: skip


def test_percentiles_and_rates() -> None:
    """Latencies are summed up by nearest-rank percentiles, tokens by their sums and rate."""
    metrics = Metrics()
    for number in range(1, 101):
        metrics.record("m", "ok", Usage(2, 10), Timings(first_token=0.5, total=float(number)))
    model = metrics.snapshot()["models"]["m"]
    assert (model["p50"], model["p95"], model["p99"]) == (50.0, 95.0, 99.0)
    assert (model["requests"], model["input_tokens"], model["output_tokens"]) == (100, 200, 1000)
    assert model["time_to_first_token"] == 0.5
    assert model["tokens_per_second"] == 1000 / 5050


def test_outcomes_are_told_apart() -> None:
    """Failed and cancelled requests count as requests, but their times are no latencies."""
    metrics = Metrics()
    metrics.record("m", "failed", Usage(), Timings(total=9.0))
    metrics.record("m", "cancelled", Usage(), Timings(total=9.0))
    metrics.record("m", "ok", Usage(), Timings(total=1.0))
    stats = metrics.snapshot()
    assert (stats["total_requests"], stats["failed_requests"]) == (3, 1)
    assert stats["models"]["m"]["p99"] == 1.0
    assert stats["models"]["m"]["cancelled_requests"] == 1


def test_memory_is_bounded() -> None:
    """However many requests and made-up model names come, what is kept stays small."""
    metrics = Metrics()
    for number in range(MAX_MODELS + 50):
        metrics.record(f"model-{number}", "failed", Usage(), Timings())
    for _ in range(WINDOW + 50):
        metrics.record("model-0", "ok", Usage(), Timings())
    assert len(metrics.snapshot()["models"]) == MAX_MODELS + 1
    assert len(metrics._models["model-0"].latencies) == WINDOW


def test_costs_are_summed_and_unknown_ones_counted() -> None:
    """The cost of a model is that of the requests whose cost is known; the others are counted."""
    metrics = Metrics()
    for cost in (0.25, 0.5, None):
        metrics.record("m", "ok", Usage(1, 1), Timings(total=1.0), cost)
    metrics.record("n", "ok", Usage(1, 1), Timings(total=1.0), 1.0)
    stats = metrics.snapshot()
    assert (stats["total_cost"], stats["unknown_cost_requests"]) == (1.75, 1)
    assert (stats["models"]["m"]["cost"], stats["models"]["m"]["unknown_cost_requests"]) == (0.75, 1)
