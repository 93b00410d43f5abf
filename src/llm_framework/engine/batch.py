"""Many awaitables, a few at a time, answers in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

from ..errors import InvalidRequestError

T = TypeVar("T")


async def gather_in_order(
    functions: Sequence[Callable[[], Awaitable[T]]],
    *,
    max_concurrency: int,
    return_exceptions: bool = False,
    on_done: Callable[[], None] | None = None,
) -> list[T]:
    """Await the functions' results, at most `max_concurrency` at a time; the results are in the functions' order.

    The first error cancels the rest and is raised, unless `return_exceptions` puts errors in their results' places.
    `on_done` is called after each one. Only as many tasks as may run exist at a time, however many functions there are.
    """
    if max_concurrency < 1:
        raise InvalidRequestError(f"max_concurrency must be at least 1, not {max_concurrency}")
    results: list[T | BaseException | None] = [None] * len(functions)
    pending = iter(enumerate(functions))

    async def work() -> None:
        for index, function in pending:
            try:
                results[index] = await function()
            except Exception as error:
                if not return_exceptions:
                    raise
                results[index] = error
            if on_done is not None:
                on_done()

    workers = [asyncio.ensure_future(work()) for _ in range(min(max_concurrency, len(functions)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return cast("list[T]", results)
