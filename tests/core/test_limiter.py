from __future__ import annotations

import asyncio
import threading

import anyio
import pytest

from llm_framework.engine.limiter import Limiter
from llm_framework.errors import QueueFullError


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_waiters_are_served_in_order() -> None:
    """First come, first served."""
    limiter = Limiter(1)
    order: list[int] = []

    async def work(number: int) -> None:
        async with limiter:
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(work(number) for number in range(8)))
    assert order == list(range(8))


async def test_a_waiter_cancelled_with_a_slot_in_hand_passes_it_on() -> None:
    """A slot that was handed to a waiter which is cancelled before it runs goes to the next one."""
    limiter = Limiter(1)
    await limiter.acquire()
    first = asyncio.ensure_future(limiter.acquire())
    second = asyncio.ensure_future(limiter.acquire())
    await settle()
    limiter.release()
    first.cancel()
    await asyncio.wait_for(second, 5)
    limiter.release()
    assert (limiter.in_use, limiter.waiting) == (0, 0)


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    """Cancelling a waiter frees its place and no slot."""
    limiter = Limiter(1, max_queue=1)
    await limiter.acquire()
    waiter = asyncio.ensure_future(limiter.acquire())
    await settle()
    waiter.cancel()
    await settle()
    assert (limiter.in_use, limiter.waiting) == (1, 0)


async def test_a_full_queue_refuses() -> None:
    """More waiters than max_queue are refused at once."""
    limiter = Limiter(1, max_queue=0)
    await limiter.acquire()
    with pytest.raises(QueueFullError):
        await limiter.acquire()


def test_the_limit_is_exact_over_threads_and_loops() -> None:
    """With several loops in several threads and random cancels, never more than the limit run, and none is lost."""
    limiter = Limiter(3)
    lock = threading.Lock()
    counters = {"inside": 0, "peak": 0}

    async def main() -> None:
        await asyncio.gather(*(_hold_or_cancel(limiter, lock, counters, number) for number in range(60)))

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters == {"inside": 0, "peak": 3}
    assert (limiter.in_use, limiter.waiting) == (0, 0)


async def _hold_or_cancel(limiter: Limiter, lock: threading.Lock, counters: dict[str, int], number: int) -> None:
    async def hold() -> None:
        async with limiter:
            with lock:
                counters["inside"] += 1
                counters["peak"] = max(counters["peak"], counters["inside"])
            try:
                await asyncio.sleep(0.0002)
            finally:
                with lock:
                    counters["inside"] -= 1

    task = asyncio.ensure_future(hold())
    if number % 3 == 0:
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_free_slot_without_waiting() -> None:
    """`acquire_nowait` takes a free slot and says so, and leaves a full limiter as it is."""
    limiter = Limiter(1)
    assert limiter.acquire_nowait()
    assert not limiter.acquire_nowait()
    assert limiter.in_use == 1
    limiter.release()
    assert limiter.acquire_nowait()


def test_the_queue_is_bounded_over_threads_and_loops() -> None:
    """Never do more than max_queue wait; each caller has a turn, is refused, or gives up, and no slot is lost."""
    limiter = Limiter(2, max_queue=5)
    lock = threading.Lock()
    ends = {"turn": 0, "refused": 0, "gave up": 0}
    longest: list[int] = []

    async def work(number: int) -> None:
        end = "turn"
        try:
            with anyio.fail_after(0 if number % 5 == 0 else 60):
                async with limiter:
                    longest.append(limiter.waiting)
                    await asyncio.sleep(0.0002)
        except QueueFullError:
            end = "refused"
        except TimeoutError:
            end = "gave up"
        with lock:
            ends[end] += 1

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(50)))

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(ends.values()) == 200
    assert max(longest) <= 5
    assert (limiter.in_use, limiter.waiting) == (0, 0)
