"""Many short requests with random cancels: nothing grows, nothing is left behind.

`make soak` runs 20,000 of them; the suite a few hundred (LLM_FRAMEWORK_SOAK is how many).
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llm_framework.native._native")

from llm_framework.native._native import Row, Sampler
from llm_framework.native.model import NativeModel, open_model
from llm_framework.native.scheduler import Scheduler

NUM_REQUESTS = int(os.environ.get("LLM_FRAMEWORK_SOAK", "300"))
LONG = 2000
TOGETHER = 16
CACHE_BYTES = 24 << 20
STATM = Path("/proc/self/statm")


class Counting:
    """The engine, which knows of the sequences that it made and that are still there."""

    def __init__(self, engine: Any) -> None:
        self.step = engine.step
        self.sequences: weakref.WeakSet[Any] = weakref.WeakSet()
        self._engine = engine

    def new_sequence(self, capacity: int) -> Any:
        """One more sequence."""
        sequence = self._engine.new_sequence(capacity)
        self.sequences.add(sequence)
        return sequence


def resident_bytes() -> int:
    """What the process has in memory."""
    gc.collect()
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Crowd:
    """Sends requests of random kinds, and ends them in random ways."""

    def __init__(self, scheduler: Scheduler, vocab_size: int) -> None:
        self._scheduler = scheduler
        self._chooser = random.Random(7)
        self._vocab_size = vocab_size
        self._starts = [self._text(self._chooser.randrange(5, 150)) for _ in range(12)]
        self.num_ended = self.num_cancelled = 0

    async def send(self, number: int) -> None:
        """Send so many requests, some at a time."""
        left = iter(range(number))

        async def work() -> None:
            for _ in left:
                await self._one()

        await asyncio.gather(*(work() for _ in range(TOGETHER)))

    async def _one(self) -> None:
        choose = self._chooser
        prompt = choose.choice(self._starts)[: choose.randrange(1, 150)] + self._text(choose.randrange(1, 20))
        sampler = Sampler(choose.randrange(2**40), temperature=choose.choice((0.0, 0.8)), top_k=40)
        generation = self._scheduler.submit(
            prompt, sampler, max_tokens=choose.randrange(1, 12), reuse=choose.random() < 0.8
        )
        way = choose.randrange(4)
        if way == 0:
            await asyncio.sleep(0)
            generation.cancel()
            self.num_cancelled += 1
            return
        async for _ in generation:
            if way == 1 and choose.random() < 0.3:
                generation.cancel()
                self.num_cancelled += 1
                return
        self.num_ended += 1

    def _text(self, length: int) -> list[int]:
        return [self._chooser.randrange(6, self._vocab_size) for _ in range(length)]


async def waves(crowd: Crowd, scheduler: Scheduler, sizes: Sequence[int]) -> list[int]:
    """Send waves of requests; how much memory was taken after each."""
    taken = []
    for size in sizes:
        await crowd.send(size)
        assert await asyncio.to_thread(scheduler.wait_idle, 60)
        taken.append(resident_bytes())
    return taken


@pytest.mark.skipif(not STATM.exists(), reason="needs Linux's /proc")
def test_requests_leave_nothing_behind(bundled_path: Path) -> None:
    """After many requests, cancelled or not, memory is what it was after the first of them, and no thread, slot or
    sequence is left."""
    with open_model(bundled_path, num_threads=2) as model:
        threads = set(threading.enumerate())
        soak(model)
        gc.collect()
        assert set(threading.enumerate()) <= threads


def soak(model: NativeModel) -> None:
    """All of it on one model."""
    engine = Counting(model.engine)
    scheduler = Scheduler(engine, Row, prefix_cache_bytes=CACHE_BYTES, drafts=True, name="soak")
    crowd = Crowd(scheduler, model.config.vocab_size)
    try:
        part = NUM_REQUESTS // 5
        taken = asyncio.run(waves(crowd, scheduler, [part] * 5))
        assert crowd.num_ended + crowd.num_cancelled == 5 * part
        assert min(crowd.num_ended, crowd.num_cancelled) > part // 2
        assert scheduler.num_active == 0
        cache = scheduler._prefixes.cache
        assert cache.num_bytes <= CACHE_BYTES
        assert len(engine.sequences) <= len(cache)
        mebibytes = [round(size / 2**20, 1) for size in taken]
        print(f"{5 * part} requests, {crowd.num_cancelled} cancelled; MiB after each fifth: {mebibytes}")
        # A short run is over before the cache and the allocator have what they will have.
        bound = 1.05 * taken[1] if NUM_REQUESTS >= LONG else taken[0] + 2 * CACHE_BYTES
        assert max(taken[1:]) <= bound, f"resident memory after each fifth, in MiB: {mebibytes}"
    finally:
        scheduler.close()
    assert len(engine.sequences) == 0
    assert (len(cache), cache.num_bytes) == (0, 0)
