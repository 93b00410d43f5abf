"""Many calls on one server: connections are used again, and nobody gets another's answer."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from llm_framework import LLMFramework

from .playing import Target, stage_of
from .server import CLOSE, RESET, FaultServer, Reply, Request
from .stage import STREAM, WHOLE, Stage
from .targets import each_target
from .test_leaving import framework_of

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")
CALLS = 20  # for each of the callers


async def _ask(framework: LLMFramework, mode: str, prompt: str = "hi") -> str:
    if mode == WHOLE:
        return (await framework.generate(prompt)).text
    return "".join([chunk.text async for chunk in framework.stream(prompt)])


@pytest.mark.parametrize("mode", [STREAM, WHOLE])
@each_target
async def test_connections_are_used_again(target: Target, mode: str) -> None:
    """One call after the other needs one connection, also after an error that has a body."""
    stage = stage_of(target, "")
    with FaultServer([stage.answer("a"), stage.refusal("server"), stage.answer("b")]) as server:
        async with framework_of(target, server) as framework:
            assert [await _ask(framework, mode) for _ in range(3)] == ["a", "b", "b"]
        assert (len(server.requests), server.connections) == (4, 1)


@pytest.mark.parametrize("mode", [STREAM, WHOLE])
@each_target
async def test_connection_that_was_closed_meanwhile(target: Target, mode: str) -> None:
    """A kept connection that the server closed is not used again, and costs no attempt."""
    stage = stage_of(target, "")

    def closing(request: Request) -> Reply:
        reply = stage.answer("a")(request)
        if reply.length is None:  # whole, its end included
            pieces = b"".join(piece.encode() for piece in reply.pieces)
            reply = Reply([pieces, CLOSE], content_type=reply.content_type, length=len(pieces))
        else:
            reply = Reply([*reply.pieces, CLOSE], length=reply.length)
        return reply

    with FaultServer([closing]) as server:
        async with framework_of(target, server) as framework:
            for _ in range(3):
                response = await framework.generate("hi") if mode == WHOLE else await _last(framework)
                assert len(response.attempts) == 1
                await asyncio.sleep(0.05)  # in which the end of the connection arrives
        assert (len(server.requests), server.connections) == (3, 3)


async def _last(framework: LLMFramework) -> object:
    chunks = [chunk async for chunk in framework.stream("hi")]
    return chunks[-1].response


@each_target
async def test_an_answer_that_runs_on(target: Target) -> None:
    """What follows an answer on its connection is not taken for the next one."""
    stage = stage_of(target, "")
    with FaultServer([_with_more(stage), stage.answer("b")]) as server:
        async with framework_of(target, server) as framework:
            assert await _ask(framework, WHOLE) == "a"
            assert await _ask(framework, WHOLE) == "b"


def _with_more(stage: Stage) -> Callable[[Request], Reply]:
    def step(request: Request) -> Reply:
        reply = stage.answer("a")(request)
        content = b"".join(piece if isinstance(piece, bytes) else piece.encode() for piece in reply.pieces)
        more = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        return Reply([content + more], content_type=reply.content_type, length=len(content))

    return step


# ------------------------------------------------------------------------------------------------- all at once
def _mixed(stage: Stage, number: random.Random) -> Callable[[Request], Reply]:
    """Answers with the number that the request holds; one in five times something goes wrong first."""
    faults = [
        stage.refusal("server"),
        stage.refusal("rate_limit", retry_after_ms="10"),
        lambda request: Reply([RESET], bare=True),
        stage.cut(then=[RESET]),
        stage.error_inside("overloaded"),
    ]

    def step(request: Request) -> Reply:
        asked = re.search(rb"call-\d+-\d+", request.content)
        assert asked is not None
        if number.random() < 0.2:
            return number.choice(faults)(request)
        text = asked[0].decode()
        return stage.answer(text[:5], text[5:])(request)

    return step


@each_target
def test_callers_of_every_kind_at_once(target: Target) -> None:
    """Two loops in threads of their own and two blocking threads share a framework: each call gets its own answer,
    once, however many attempts it took."""
    answers: Counter[tuple[str, str]] = Counter()
    with FaultServer([_mixed(stage_of(target, ""), random.Random(7))]) as server:
        with framework_of(target, server, max_retries=9, breaker_failures=1000) as framework:

            def on_a_loop(caller: int) -> None:
                async def ask(number: int) -> None:
                    prompt = f"call-{caller}-{number}"
                    answers[prompt, await _ask(framework, (STREAM, WHOLE)[number % 2], prompt)] += 1

                async def all_of_them() -> None:
                    await asyncio.gather(*(ask(number) for number in range(CALLS)))

                asyncio.run(all_of_them())

            def blocking(caller: int) -> None:
                for number in range(CALLS):
                    prompt = f"call-{caller}-{number}"
                    answers[prompt, framework.sync.generate_text(prompt)] += 1

            kinds = (on_a_loop, on_a_loop, blocking, blocking)
            threads = [threading.Thread(target=kind, args=(caller,)) for caller, kind in enumerate(kinds)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
        prompts = [f"call-{caller}-{number}" for caller in range(4) for number in range(CALLS)]
        assert answers == Counter({(prompt, prompt): 1 for prompt in prompts})
