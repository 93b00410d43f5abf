"""The one bridge from synchronous callers to the asynchronous core.

One background event loop a process, started at the first synchronous call and used by those alone: asynchronous
callers run on their own loop. It works in any thread, inside a running event loop and after `fork`.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar, cast

import anyio
from anyio.from_thread import BlockingPortal

from .errors import LLMFrameworkError, RequestCancelledError

T = TypeVar("T")
CLEAN_UP_TIME = 10.0  # seconds that a cancelled call may take to close its streams before we stop waiting for it
# Seconds. A signal that comes just before a thread blocks wakes nobody: so nothing blocks for ever.
WAKE = 0.5


class _Portal:
    """The background loop of one process, in a thread of its own.

    anyio's `start_blocking_portal` does the same by a context manager, but that is a generator, which a forked child
    would close at its exit, waiting for a thread that it does not have.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        ready: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]] = Future()
        self._thread = threading.Thread(target=anyio.run, args=(_serve, ready), daemon=True, name="llm-framework-sync")
        self._thread.start()
        self.portal, self.loop = ready.result()

    @property
    def is_this_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def stop(self) -> None:
        if self.pid == os.getpid():
            self.portal.call(self.portal.stop, True)  # cancelling: a stream left open must not hold up the exit
            self._thread.join(CLEAN_UP_TIME)


async def _serve(ready: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]]) -> None:
    async with BlockingPortal() as portal:
        ready.set_result((portal, asyncio.get_running_loop()))
        await portal.sleep_until_stopped()


_lock = threading.Lock()
_current: _Portal | None = None
_inherited: list[_Portal] = []  # of parent processes; kept, since freeing one would touch a loop that is not ours


def _get_portal() -> _Portal:
    global _current
    with _lock:
        if _current is None:
            _current = _Portal()
            atexit.register(_current.stop)
        return _current


def _after_fork() -> None:
    global _lock, _current
    _lock = threading.Lock()  # another thread of the parent may have held the old one
    if _current is not None:
        _inherited.append(_current)
        _current = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def run(function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
    """Call the coroutine function on the background loop and wait for its result.

    An interrupt (Ctrl-C) cancels the work and waits until it has cleaned up. Raises `LLMFrameworkError` when called
    on the background loop itself, which would wait for itself for ever.
    """
    call = _Call(functools.partial(function, *args, **kwargs))
    try:
        call.start()
        while not call.ended.wait(WAKE):
            pass
    except BaseException:  # an interrupt
        call.cancel()
        raise
    return cast(T, call.result())


def iterate(make_stream: Callable[[], AsyncIterator[T]]) -> SyncStream[T]:
    """The asynchronous iterator that `make_stream` returns, as a plain one."""
    return SyncStream(make_stream)


class _Ended:
    """An event that one thread sets once. An interrupt inside `threading.Event.wait` can leave its lock held, and then
    the background loop hangs in `set`; this is one lock of C, which an interrupt finds taken or not."""

    def __init__(self) -> None:
        self._is_set = False
        self._open = threading.Lock()
        self._open.acquire()

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._open.release()

    def wait(self, timeout: float) -> bool:
        """Whether it is set, within so many seconds."""
        if not self._is_set and self._open.acquire(timeout=timeout):
            self._open.release()
        return self._is_set


class _Call:
    """Work on the background loop. Made first and started then, so that an interrupt at any moment finds something to
    cancel. `ended` is set when the work has really ended, its streams closed."""

    def __init__(self, function: Callable[[], Awaitable[Any]]) -> None:
        self._portal = _get_portal()
        if self._portal.is_this_thread:
            message = (
                "a synchronous call was made on the framework's own event loop (from a hook, plugin or tool that runs "
                "there), where it would wait for itself: await the asynchronous method instead"
            )
            raise LLMFrameworkError(message)
        self._function = function
        self._scope: anyio.CancelScope | None = None
        self._task: asyncio.Task[None] | None = None  # the loop itself keeps tasks by weak references only
        self._result: Any = None
        self._error: Exception | None = None
        self._started = self._cancelled = False
        self.ended = _Ended()

    def start(self) -> None:
        """Begin. `result` may be asked for once `ended` is set."""
        self._started = True
        # Not the portal's own `start_task_soon` or asyncio's `run_coroutine_threadsafe`: one waits for the loop to take
        # the task, the other lets the loop turn once more before the caller hears of the end.
        self._portal.loop.call_soon_threadsafe(self._begin)

    def result(self) -> Any:
        """What the work gave, or raises what it raised."""
        try:
            if self._error is not None:
                raise self._error
            return self._result
        finally:
            self._error = None  # its traceback holds this frame

    def _begin(self) -> None:
        self._task = self._portal.loop.create_task(self._work())

    async def _work(self) -> None:
        try:
            with anyio.CancelScope() as self._scope:
                if not self._cancelled:
                    self._result = await self._function()
        except Exception as error:
            self._error = error
        except asyncio.CancelledError:  # the loop ends, and its task with it
            self._error = RequestCancelledError("the program ended while a call was running")
            raise
        finally:
            self._task = None
            self.ended.set()

    def cancel(self, wait: bool = True) -> None:
        """Stop the work; `wait` until it has cleaned up. Nothing happens where it has ended or never began."""
        self._cancelled = True
        if not self._started or self.ended.is_set() or self._portal.pid != os.getpid():
            return
        try:
            self._portal.loop.call_soon_threadsafe(self._cancel_scope)
        except RuntimeError:  # the background loop has ended, and all work on it
            return
        if wait and not self._portal.is_this_thread:
            self.ended.wait(CLEAN_UP_TIME)

    def _cancel_scope(self) -> None:
        if self._scope is not None:
            self._scope.cancel()


class _End:
    """The stream has ended, with `error` where it failed."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class SyncStream(Generic[T], Iterator[T]):
    """A plain iterator over an asynchronous one. One task reads ahead, so the whole stream is read in one task, as
    asynchronous generators like it. `close()` (or leaving `with`, or dropping the iterator) stops the work."""

    def __init__(self, make_stream: Callable[[], AsyncIterator[T]]) -> None:
        self._items: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
        self._done = False
        # The task must not know this object, else dropping the iterator would not end it.
        self._call = _Call(functools.partial(_drain, make_stream, self._items))
        try:
            self._call.start()
        except BaseException:  # an interrupt
            self._call.cancel()
            raise

    def __iter__(self) -> SyncStream[T]:
        return self

    def __next__(self) -> T:
        try:
            return self._next()
        except Exception:
            raise
        except BaseException:  # an interrupt
            self.close()
            raise

    def _next(self) -> T:
        if self._done:
            raise StopIteration
        item = self._get()
        if not isinstance(item, _End):
            return item
        self._done = True
        if item.error is not None:
            raise item.error
        raise StopIteration

    def _get(self) -> T | _End:
        while True:
            try:
                return self._items.get(timeout=WAKE)
            except queue.Empty:
                pass

    def close(self) -> None:
        """Stop the work and wait until it has cleaned up. Safe to call twice."""
        self._done = True
        self._call.cancel()

    def __enter__(self) -> SyncStream[T]:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        call = getattr(self, "_call", None)
        if call is not None:
            call.cancel(wait=False)


async def _drain(make_stream: Callable[[], AsyncIterator[T]], items: queue.SimpleQueue[T | _End]) -> None:
    stream = make_stream()
    end = _End()
    try:
        async for item in stream:
            items.put(item)
    except Exception as error:
        end = _End(error)
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
        items.put(end)
