"""Answers that were damaged anywhere: an answer comes of it or a typed error, never anything else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from llm_framework.errors import LLMFrameworkError

from .cases_tools import OSLO, ROME, TOOLS
from .leaks import leaks_of_error
from .playing import Target, stage_of
from .protocols import Answer, Protocol
from .server import FaultServer, Reply, Request
from .stage import STREAM, WHOLE, stream
from .targets import each_target
from .test_leaving import framework_of

ROUNDS = 60
SAID = Answer(("Hel", "lo \u2028 wörld"), (OSLO, ROME), "tool_calls")
SCRAPS = (b"", b"\xff", b"\n\n", b"\r", b"null", b"[]", b"{}", b'"', b"0", b"-1", b"1e999", b"true", b",", b"data: ")


def damaged(content: bytes, dice: random.Random) -> bytes:
    """The content with a stretch of it lost, doubled, or replaced; often a whole value of its JSON."""
    start = dice.randrange(len(content))
    end = min(len(content), start + dice.choice((0, 1, 1, 2, 5, 20, 200)))
    if dice.random() < 0.5:  # from one of JSON's marks to another
        marks = [at for at, byte in enumerate(content) if byte in b':,{}[]"\n']
        start, end = sorted((dice.choice(marks), dice.choice(marks)))
        end = min(end, start + 120)
    replacement = content[start:end] * 2 if dice.random() < 0.2 else dice.choice(SCRAPS)
    return content[:start] + replacement + content[end:]


def damaging(protocol: Protocol, dice: random.Random) -> Callable[[Request], Reply]:
    """Each answer is damaged in another way."""
    events = "".join(protocol.events(SAID)).encode()
    whole = json.dumps(protocol.body(SAID), ensure_ascii=False).encode()

    def step(request: Request) -> Reply:
        return stream([damaged(events, dice)]) if protocol.wants_stream(request) else Reply([damaged(whole, dice)])

    return step


@pytest.mark.parametrize("mode", [STREAM, WHOLE])
@pytest.mark.parametrize("seed", range(3))
@each_target
async def test_damaged_answers(target: Target, seed: int, mode: str) -> None:
    """Whatever was damaged, the caller gets an answer or an error that says what it is."""
    ends: list[str] = []
    leaks: list[str] = []
    with FaultServer([damaging(stage_of(target, "").protocol, random.Random(seed))]) as server:
        async with framework_of(target, server, max_retries=0, breaker_failures=10_000) as framework:
            for _ in range(ROUNDS):
                try:
                    if mode == WHOLE:
                        await framework.generate("hi", **TOOLS)
                    else:
                        _ = [chunk async for chunk in framework.stream("hi", **TOOLS)]
                    ends.append("")
                except LLMFrameworkError as error:
                    ends.append("untyped" if type(error) is LLMFrameworkError else type(error).__name__)
                    leaks += leaks_of_error(error)
    assert leaks == []
    assert "untyped" not in ends
    assert len(server.requests) >= ROUNDS
    assert len(set(ends)) > 1, "some of it is harmless, some is not"
