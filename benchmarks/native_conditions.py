"""How the native engine holds its speed: long answers, sampling over a large vocabulary, and neighbours on its cores.

    python benchmarks/native_conditions.py MODEL.gguf [--rounds 3] [--json FILE]

Each condition is measured beside its plain counterpart, in turns, in one run; a figure is the median of the ratios.
Without MODEL a file of the Gemma-3-270M shape with random weights is made.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gguf_shapes import write_gguf
from rich.console import Console
from rich.table import Table
from shapes import GEMMA3_270M

from llm_framework import GenerationConfig, InferenceRequest, ModelInfo
from llm_framework.native import open_model
from llm_framework.native._native import Row, Sampler
from llm_framework.native.backend import GemmaNativeBackend

SPIN = "import os; os.sched_setaffinity(0, {0})\nwhile True: pass"
TARGETS = {
    "the last of 4,096 tokens of output over the first": 0.0,
    "top-k and top-p over greedy": 0.9,
    "a grammar's mask over greedy": 0.9,
    "a thread that holds the GIL, one core left free": 0.9,
    "a foreign process spinning on one of the cores": 0.5,
}


# ------------------------------------------------------------------------------------------------------------ sampling
def step_seconds(model: Any, sampler: Sampler, mask: Any = None, tokens: int = 24) -> float:
    """The median time of a decode step with this sampler."""
    sequence = model.engine.new_sequence(tokens + 40)
    token = model.engine.step([Row(sequence, list(range(300, 332)), sampler)])[0].token
    times = []
    for _ in range(tokens):
        started = time.perf_counter()
        token = model.engine.step([Row(sequence, [token], sampler, mask)])[0].token
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def sampling(model: Any) -> Iterator[tuple[str, float]]:
    """Speed with sampling, as a share of greedy's."""
    words = np.full((model.config.vocab_size + 31) // 32, 0x55555555, np.uint32)
    greedy = step_seconds(model, Sampler(1, temperature=0.0))
    yield "top-k and top-p over greedy", greedy / step_seconds(model, Sampler(1, top_k=64, top_p=0.95))
    yield "a grammar's mask over greedy", greedy / step_seconds(model, Sampler(1, top_p=0.95), words)


# ---------------------------------------------------------------------------------------------------- through a backend
async def token_times(path: Path, threads: int, tokens: int) -> list[float]:
    """Seconds between the tokens of one streamed answer of the whole backend: template, scheduler, detokeniser."""
    backend = GemmaNativeBackend(
        ModelInfo("bench", path=path), {"num_threads": threads, "prefix_cache_gb": 0, "drafts": False}
    )
    await backend.load_model()
    endless = {1: -100.0, 106: -100.0}  # the end tokens
    config = GenerationConfig(max_tokens=tokens, temperature=0.0, logit_bias=endless)
    request = InferenceRequest("Hello", config=config)
    times, last = [], time.perf_counter()
    async with contextlib.aclosing(backend.stream(request)) as stream:
        async for _ in stream:
            now = time.perf_counter()
            times.append(now - last)
            last = now
    await backend.unload_model()
    return times


def decode_speed(path: Path, threads: int) -> float:
    """Tokens a second of a streamed answer."""
    return _speed(asyncio.run(token_times(path, threads, 96))[8:])


@contextlib.contextmanager
def gil_burner() -> Iterator[None]:
    """A Python thread that never lets go of the GIL by itself."""
    stop = threading.Event()

    def burn() -> None:
        while not stop.is_set():
            sum(range(1000))

    thread = threading.Thread(target=burn)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def spinning_process() -> Iterator[None]:
    """Another process that keeps the first core busy."""
    process = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def beside(neighbour: Callable[[], contextlib.AbstractContextManager[None]], path: Path, threads: int) -> float:
    """Speed beside a neighbour, as a share of the speed alone."""
    alone = decode_speed(path, threads)
    with neighbour():
        return decode_speed(path, threads) / alone


def long_answer(path: Path, threads: int) -> float:
    """The speed at 4,096 tokens, as a share of that at the beginning."""
    times = asyncio.run(token_times(path, threads, 4096))
    return _speed(times[-256:]) / _speed(times[128:384])


def _speed(times: Sequence[float]) -> float:
    """Tokens a second. Tokens may come in clusters, so that single gaps say nothing."""
    return len(times) / sum(times)


def run(path: Path, rounds: int, threads: int) -> dict[str, float]:
    """The median of each condition's ratios."""
    ratios: dict[str, list[float]] = {name: [] for name in TARGETS}
    names = list(TARGETS)
    for _ in range(rounds):
        with open_model(path, num_threads=threads) as model:
            for name, ratio in sampling(model):
                ratios[name].append(ratio)
        ratios[names[3]].append(beside(gil_burner, path, max(1, threads - 1)))
        ratios[names[4]].append(beside(spinning_process, path, threads))
    ratios[names[0]].append(long_answer(path, threads))
    return {name: statistics.median(values) for name, values in ratios.items()}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.model or write_gguf(GEMMA3_270M, Path(folder) / "270m-q8_0.gguf", "q8_0")
        figures = run(path, arguments.rounds, arguments.threads)
    table = Table("condition", "share of the speed", "wanted")
    for name, figure in figures.items():
        table.add_row(name, f"{figure:.2f}", f"{TARGETS[name]:.2f}" if TARGETS[name] else "flat but for attention")
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
