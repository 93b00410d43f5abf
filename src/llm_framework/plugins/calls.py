"""Calls of a plugin's async methods, out of which nothing comes but a result, a fault, or our own cancellation."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from .loading import as_fault
from .status import Fault

OUR_OWN = (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)  # not the plugin's doing


async def called(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of an async method of a plugin. Raises what it raises; `TypeError` where it is not async."""
    awaitable = function(*arguments)
    if not inspect.isawaitable(awaitable):
        raise TypeError(f"{getattr(function, '__name__', function)} has to be `async def`")
    return await awaitable


async def fault_of(what: str, function: Callable[[], Any], seconds: float) -> Fault | None:
    """What goes wrong in the call: None, what it raised (also what is no `Exception`), or that it took too long.

    It runs as a task of its own, which is left behind where it does not end, not even when it is cancelled.
    """

    async def guarded() -> Fault | None:
        try:
            await called(function)
        except OUR_OWN:
            raise
        except BaseException as error:
            return as_fault(error)
        return None

    task = asyncio.ensure_future(guarded())
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except BaseException:
        task.cancel()
        raise
    if not done:
        task.cancel()
        return Fault("slow", f"{what} took more than {seconds:g} s (plugin_timeout)")
    if task.cancelled():
        return Fault("broken", f"{what} was cancelled from within")
    fault = task.result()
    return None if fault is None else Fault(fault.state, f"{what} failed: {fault.reason}")
