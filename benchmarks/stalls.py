"""How long a stream waits for its next token while somebody else's long prompt is read.

    python benchmarks/stalls.py [--shape 270m|1b|small] [--prompt 4000] [--streams 1 4] [--threads N]

The model has random weights. Streams decode; in their midst a long prompt arrives. Printed are the gaps between the
streams' tokens before and while it is read, in milliseconds, and how fast it is read beside them and alone.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
import time
from pathlib import Path

from shapes import GEMMA3_1B, GEMMA3_270M, SMALL, write_sbs

from llm_framework.native import open_model
from llm_framework.native._native import Row, Sampler
from llm_framework.native.generation import Generation
from llm_framework.native.scheduler import Scheduler

SHAPES = {"1b": GEMMA3_1B, "270m": GEMMA3_270M, "small": SMALL}


async def note_times(generation: Generation, times: list[float]) -> None:
    """When each token came."""
    async for _ in generation:
        times.append(time.perf_counter())


async def measure(scheduler: Scheduler, num_streams: int, prompt: list[int]) -> None:
    """One row of the table."""
    greedy = [Sampler(number, temperature=0.0) for number in range(num_streams + 2)]
    alone = scheduler.submit([*prompt, 3], greedy[-1], max_tokens=1, reuse=False)
    await note_times(alone, [])
    times: list[list[float]] = [[] for _ in range(num_streams)]
    streams = [scheduler.submit([2, 100 + i], greedy[i], max_tokens=2000) for i in range(num_streams)]
    readers = [asyncio.create_task(note_times(stream, times[i])) for i, stream in enumerate(streams)]
    await asyncio.sleep(1.0)
    begun = time.perf_counter()
    beside = scheduler.submit([*prompt, 4], greedy[-2], max_tokens=1, reuse=False)
    await note_times(beside, [])
    ended = time.perf_counter()
    for stream in streams:
        stream.cancel()
    await asyncio.sleep(0.1)
    for reader in readers:
        reader.cancel()
    before = gaps(times, begun - 1.0, begun)
    during = gaps(times, begun, ended)
    seconds = alone.times.first_token - alone.times.admitted
    print(
        f"{num_streams:7d} {statistics.median(before):8.1f} {statistics.median(during):14.1f} "
        f"{sorted(during)[int(0.99 * len(during))]:8.1f} {max(during):8.1f} "
        f"{len(prompt) / (ended - begun):12.0f} {len(prompt) / seconds:8.0f}"
    )


def gaps(times: list[list[float]], begin: float, end: float) -> list[float]:
    """The milliseconds between neighbouring tokens of a stream, where the later one came in that time."""
    return [
        1e3 * (later - earlier)
        for stream in times
        for earlier, later in itertools.pairwise(stream)
        if begin <= later <= end
    ]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="270m")
    parser.add_argument("--prompt", type=int, default=4000)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    shape = SHAPES[arguments.shape]
    prompt = [2, *(random.Random(1).randrange(10, shape.vocab) for _ in range(arguments.prompt - 1))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.sbs"
        write_sbs(shape, path)
        with open_model(path, num_threads=arguments.threads or None) as model:
            scheduler = Scheduler(model.engine, Row)
            print("streams   before  while reading      99%      max  tok/s beside    alone")
            for num_streams in arguments.streams:
                asyncio.run(measure(scheduler, num_streams, prompt))
            scheduler.close()


if __name__ == "__main__":
    main()
