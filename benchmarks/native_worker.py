"""What is measured of an engine, the same for ours and for a peer; each runs in a process of its own, and waits without
work while the other is measured.

A command is a line of JSON on the standard input, `{"metric": ..., "path": ..., "threads": ..., ...}`; the answer is a
line with `{"value": ...}`.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

CONTEXT = 8192


class Runner(ABC):
    """An engine with a model loaded: sequences are numbered from 0, tokens are drawn greedily."""

    name: str
    vocab_size: int

    @abstractmethod
    def tokenize(self, text: str) -> list[int]:
        """The ids of a short text."""

    @abstractmethod
    def append(self, rows: Sequence[tuple[int, int, Sequence[int]]]) -> list[int]:
        """In one call: for each (sequence, its length so far, ids to append), the token that follows."""

    @abstractmethod
    def truncate(self, sequence: int, length: int) -> None:
        """Forget all of a sequence from `length` on."""

    @abstractmethod
    def clear(self) -> None:
        """Forget all sequences."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the model."""


Open = Callable[[str, int, int], Runner]


def some_ids(runner: Runner, count: int) -> list[int]:
    """Ids that are no special ones."""
    return [300 + (i * 7919) % (runner.vocab_size - 400) for i in range(count)]


def prefill(runner: Runner, tokens: int) -> float:
    """Tokens a second over a prompt of `tokens`."""
    runner.clear()
    ids = some_ids(runner, tokens)
    started = time.perf_counter()
    runner.append([(0, 0, ids)])
    return tokens / (time.perf_counter() - started)


def decode(runner: Runner, sequences: int, tokens: int) -> float:
    """Tokens a second of `sequences` together, from the median step."""
    runner.clear()
    length = 32
    rows = [(i, 0, some_ids(runner, length + i)[i:]) for i in range(sequences)]
    last = [runner.append([row])[0] for row in rows]
    times = []
    for _ in range(tokens):
        started = time.perf_counter()
        last = runner.append([(i, length, [id]) for i, id in enumerate(last)])
        times.append(time.perf_counter() - started)
        length += 1
    return sequences / statistics.median(times)


def prefix_ttft(runner: Runner, kept: int, new: int) -> float:
    """Seconds to the first token of a turn of `new` tokens behind `kept` ones that are in the cache; median of 5."""
    runner.clear()
    runner.append([(0, 0, some_ids(runner, kept))])
    times = []
    for _ in range(5):
        runner.truncate(0, kept)
        started = time.perf_counter()
        runner.append([(0, kept, some_ids(runner, new))])
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def load(open_runner: Open, path: str, threads: int) -> tuple[float, Runner]:
    """Seconds from nothing to the first token of a short text."""
    started = time.perf_counter()
    runner = open_runner(path, threads, CONTEXT)
    runner.append([(0, 0, runner.tokenize("Why is the sky blue?"))])
    return time.perf_counter() - started, runner


def measure(runner: Runner, command: dict[str, Any]) -> float:
    """One metric of a loaded model."""
    metric = command["metric"]
    if metric == "prefill":
        return prefill(runner, command["tokens"])
    if metric == "prefix_ttft":
        return prefix_ttft(runner, 1000, 20)
    return decode(runner, int(metric.removeprefix("batch") if metric != "decode" else 1), command["tokens"])


def serve(open_runner: Open) -> None:
    """Read commands until the input ends. "load" (re)opens the model; the others need one that is open."""
    runner: Runner | None = None
    for line in sys.stdin:
        command = json.loads(line)
        if command["metric"] == "load":
            if runner is not None:
                runner.close()
            value, runner = load(open_runner, command["path"], command["threads"])
        else:
            assert runner is not None
            value = measure(runner, command)
        print(json.dumps({"value": value}), flush=True)
    if runner is not None:
        runner.close()
