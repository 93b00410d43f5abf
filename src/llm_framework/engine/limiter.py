"""At most N requests at once, whichever threads and event loops they run on.

An asyncio semaphore belongs to one loop and a threading one blocks the loop; this one does neither. First come, first
served; a waiter that is cancelled after it was handed a slot passes it on.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from types import TracebackType

from ..errors import QueueFullError


class _Waiter:
    __slots__ = ("future", "granted", "loop")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()
        self.granted = False


class Limiter:
    """`async with limiter:` holds one of `limit` slots; at most `max_queue` callers wait (None: any number)."""

    def __init__(self, limit: int, max_queue: int | None = None) -> None:
        if limit < 1:
            raise ValueError(f"a limiter needs at least one slot, not {limit}")
        self.limit = limit
        self.max_queue = max_queue
        self._lock = threading.Lock()
        self._free = limit
        self._waiters: deque[_Waiter] = deque()

    @property
    def in_use(self) -> int:
        """Slots held now."""
        return self.limit - self._free

    @property
    def waiting(self) -> int:
        """Callers waiting now."""
        return len(self._waiters)

    def acquire_nowait(self) -> bool:
        """Take a slot if one is free, and say whether."""
        with self._lock:
            taken = self._free > 0
            self._free -= taken
            return taken

    async def acquire(self) -> None:
        """Take a slot, waiting for one if need be. Raises `QueueFullError` where too many wait already."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            if self.max_queue is not None and len(self._waiters) >= self.max_queue:
                message = f"{len(self._waiters)} requests are waiting already (max_queue); try again later"
                raise QueueFullError(message)
            waiter = _Waiter()
            self._waiters.append(waiter)
        try:
            await waiter.future
        except BaseException:  # cancelled, or the coroutine was thrown away: the slot must not go with it
            self._give_up(waiter)
            raise

    def release(self) -> None:
        """Give a slot back: to the first waiter whose loop still runs, else to the free ones."""
        with self._lock:
            while self._waiters:
                waiter = self._waiters.popleft()
                waiter.granted = True
                try:
                    waiter.loop.call_soon_threadsafe(_wake, waiter.future)
                except RuntimeError:  # that loop is closed; nobody will come for the slot
                    continue
                return
            self._free += 1

    def _give_up(self, waiter: _Waiter) -> None:
        with self._lock:
            granted = waiter.granted
            if not granted:
                self._waiters.remove(waiter)
        if granted:
            self.release()

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
