"""Counters and latency summaries. Memory is bounded: percentiles are over the last `WINDOW` requests of a model."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from ..types import Timings, Usage

WINDOW = 1024
MAX_MODELS = 256  # names come from callers; a service that passes user input on must not grow for ever
Outcome = Literal["ok", "failed", "cancelled"]


@dataclass(slots=True)
class _ModelStats:
    requests: int = 0
    failed: int = 0
    cancelled: int = 0
    usage: Usage = field(default_factory=Usage)
    decode_seconds: float = 0.0
    cost: float = 0.0  # US dollars, of the requests whose cost is known
    unknown_costs: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    first_tokens: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def summary(self) -> dict[str, Any]:
        ordered = sorted(self.latencies)
        return {
            "requests": self.requests,
            "failed_requests": self.failed,
            "cancelled_requests": self.cancelled,
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
            "tokens_per_second": self.usage.output_tokens / self.decode_seconds if self.decode_seconds else 0.0,
            "time_to_first_token": sum(self.first_tokens) / len(self.first_tokens) if self.first_tokens else 0.0,
            **{f"p{percent}": _percentile(ordered, percent) for percent in (50, 95, 99)},
            "cost": self.cost,
            "unknown_cost_requests": self.unknown_costs,
        }


class Metrics:
    """What happened, over all threads. The engine records each request once, when it ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = 0
        self._failed = 0
        self._seconds = 0.0
        self._models: dict[str, _ModelStats] = {}

    def record(self, model: str, outcome: Outcome, usage: Usage, timings: Timings, cost: float | None = None) -> None:
        """Count one request that has ended. Latencies are kept of those that answered only. `cost` is in US dollars,
        None for unknown."""
        with self._lock:
            self._total += 1
            self._failed += outcome == "failed"
            self._seconds += timings.total
            stats = self._stats(model)
            stats.requests += 1
            stats.failed += outcome == "failed"
            stats.cancelled += outcome == "cancelled"
            stats.usage += usage
            stats.decode_seconds += timings.total - timings.queue - timings.load - timings.retry
            stats.cost += cost or 0.0
            stats.unknown_costs += cost is None
            if outcome == "ok":
                stats.latencies.append(timings.total)
                stats.first_tokens.append(timings.first_token)

    def snapshot(self) -> dict[str, Any]:
        """Plain dicts and numbers; seconds throughout."""
        with self._lock:
            return {
                "total_requests": self._total,
                "failed_requests": self._failed,
                "average_generation_time": self._seconds / self._total if self._total else 0.0,
                "total_generation_time": self._seconds,
                "total_cost": sum((stats.cost for stats in self._models.values()), 0.0),
                "unknown_cost_requests": sum(stats.unknown_costs for stats in self._models.values()),
                "models": {name: stats.summary() for name, stats in self._models.items()},
            }

    def _stats(self, model: str) -> _ModelStats:
        if model not in self._models and len(self._models) >= MAX_MODELS:
            model = "(others)"
        return self._models.setdefault(model, _ModelStats())


def _percentile(ordered: list[float], percent: int) -> float:
    """The nearest-rank percentile: a value that occurred."""
    if not ordered:
        return 0.0
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
