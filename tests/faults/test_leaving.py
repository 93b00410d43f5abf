"""Callers that leave: the connection is closed at once, and nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_framework import LLMFramework
from llm_framework.errors import LLMFrameworkError, RequestCancelledError

from .playing import LEAVE_TIME, Target, stage_of
from .server import HANG, RESET, FaultServer, Reply, Step
from .stage import STREAM, WHOLE, Stage
from .targets import each_target

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")
NO_HEAD, SILENT = Reply([HANG], bare=True), Reply([HANG])


def framework_of(target: Target, server: FaultServer, **more: Any) -> LLMFramework:
    """A framework that knows the server."""
    return LLMFramework({**target.config(server.origin, more), "default_model": target.model})


async def _use(framework: LLMFramework, mode: str, texts: list[str]) -> None:
    if mode == WHOLE:
        await framework.generate("hi")
    else:
        async for chunk in framework.stream("hi"):
            texts.append(chunk.text)


def hanging(stage: Stage) -> dict[str, Step]:
    """A script for each place to hang at."""
    return {
        "before the headers": NO_HEAD, "after the headers": SILENT, "in the answer": stage.cut("Hel", then=[HANG]),
    }  # fmt: skip


@pytest.mark.parametrize("mode", [STREAM, WHOLE])
@pytest.mark.parametrize("place", ["before the headers", "after the headers", "in the answer"])
@each_target
async def test_cancelled_task(target: Target, place: str, mode: str) -> None:
    """Cancelling the task that waits closes the connection."""
    with FaultServer([hanging(stage_of(target, ""))[place]]) as server:
        async with framework_of(target, server) as framework:
            task = asyncio.create_task(_use(framework, mode, []))
            request = await asyncio.to_thread(server.wait_for, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(request.disconnected.wait, LEAVE_TIME)
            assert framework.inference_engine.get_active_requests() == []
        assert len(server.requests) == 1


@each_target
async def test_closed_stream(target: Target) -> None:
    """A reader that stops reading closes the connection, and nothing is asked again."""
    with FaultServer([stage_of(target, "").cut("Hel", then=[HANG])]) as server:
        async with framework_of(target, server) as framework:
            stream = framework.stream("hi")
            assert (await anext(stream)).text == "Hel"
            await stream.aclose()
            assert await asyncio.to_thread(server.requests[0].disconnected.wait, LEAVE_TIME)
        assert len(server.requests) == 1


@each_target
def test_dropped_blocking_stream(target: Target) -> None:
    """So does a reader of the blocking stream."""
    with FaultServer([stage_of(target, "").cut("Hel", then=[HANG])]) as server:
        with framework_of(target, server) as framework:
            with framework.sync.stream("hi") as stream:
                assert next(iter(stream)).text == "Hel"
            assert server.requests[0].disconnected.wait(LEAVE_TIME)
        assert len(server.requests) == 1


@each_target
async def test_cancelled_request(target: Target) -> None:
    """The engine's cancel ends a request with what had come, and closes the connection."""
    with FaultServer([stage_of(target, "").cut("Hel", then=[HANG])]) as server:
        async with framework_of(target, server) as framework:
            stream = framework.stream("hi")
            assert (await anext(stream)).text == "Hel"
            waiting = asyncio.ensure_future(anext(stream))
            engine = framework.inference_engine
            assert await engine.cancel(engine.get_active_requests()[0]["request_id"])
            with pytest.raises(RequestCancelledError) as caught:
                await waiting
            assert caught.value.response.text == "Hel"
            assert await asyncio.to_thread(server.requests[0].disconnected.wait, LEAVE_TIME)


@each_target
async def test_closed_framework(target: Target) -> None:
    """Closing the framework ends what runs."""
    with FaultServer([stage_of(target, "").cut("Hel", then=[HANG])]) as server:
        framework = framework_of(target, server)
        task = asyncio.create_task(_use(framework, STREAM, []))
        request = await asyncio.to_thread(server.wait_for, 1)
        await framework.close()
        with pytest.raises(LLMFrameworkError):
            await task
        assert await asyncio.to_thread(request.disconnected.wait, LEAVE_TIME)


# ------------------------------------------------------------------------------------------------- what stays behind
def _open_files() -> set[str]:
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return set()
    found = set()
    for one in folder.iterdir():
        try:
            found.add(f"{one.name} {os.readlink(one)}")
        except OSError:
            continue
    return {name for name in found if "socket:" in name}


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """After the test there are no more threads and sockets than before it."""
    threads, files = set(threading.enumerate()), _open_files()
    yield
    gc.collect()
    assert {one for one in threading.enumerate() if one.is_alive()} <= threads
    assert _open_files() <= files


@each_target
def test_nothing_stays_behind(target: Target, nothing_left: None) -> None:
    """After a call of each kind of end no task, thread or socket is left."""
    stage = stage_of(target, "")
    reset = Reply([RESET], bare=True)
    steps = [stage.answer("a"), stage.refusal("auth"), reset, stage.cut("Hel", then=[RESET]), NO_HEAD, SILENT]

    async def calls(server: FaultServer) -> int:
        async with framework_of(target, server, max_retries=0, default_timeout=0.5) as framework:
            for mode in (STREAM, WHOLE):
                for step in steps:
                    server.script = [step]
                    try:
                        await _use(framework, mode, [])
                    except LLMFrameworkError:
                        continue
        return len(asyncio.all_tasks())

    with FaultServer(steps) as server:
        assert asyncio.run(calls(server)) == 1
