"""Falling back over HTTP: by cause, once, and never after text was shown."""

from __future__ import annotations

from typing import Any

import pytest

from llm_framework import LLMFramework
from llm_framework.errors import (
    AuthenticationError,
    InvalidRequestError,
    LLMFrameworkError,
    PermissionDeniedError,
    StreamInterruptedError,
)

from .cases_tools import OSLO, TOOLS
from .leaks import leaks_in
from .playing import Target, stage_of
from .protocols import MODEL, PROTOCOLS
from .server import HANG, RESET, FaultServer, Reply, Step
from .stage import KEY, STREAM, WHOLE, Stage, text_reply
from .targets import each_target

MODES = (STREAM, WHOLE)


def causes(stage: Stage) -> dict[str, Step]:
    """What another model may do better at."""
    return {
        "rate limit": stage.refusal("rate_limit"),
        "spent quota": stage.refusal("quota"),
        "outage": stage.refusal("server"),
        "overload": stage.refusal("overloaded"),
        "overload inside": stage.error_inside("overloaded"),
        "no such model": stage.refusal("not_found"),
        "reset": Reply([RESET], bare=True),
        "reset before any text": stage.cut(then=[RESET]),
        "hang": Reply([HANG], bare=True),
        "nonsense": text_reply("[]", content_type="application/json"),
    }


def faults(stage: Stage) -> dict[str, tuple[Step, type[LLMFrameworkError]]]:
    """What no other model will do better at."""
    return {
        "wrong key": (stage.refusal("auth"), AuthenticationError),
        "not permitted": (stage.refusal("permission"), PermissionDeniedError),
        "bad request": (stage.refusal("invalid"), InvalidRequestError),
    }


def two(target: Target, first: FaultServer, second: FaultServer) -> LLMFramework:
    """A framework with a second endpoint to fall back to."""
    values = target.config(first.origin, {"max_retries": 1, "attempt_timeout": 1.0, "default_model": target.model})
    backup = {"provider": target.backend, "api_key": KEY, "base_url": target.protocol.base_url(second.origin)}
    values["api_credentials"]["backup"] = backup
    return LLMFramework({**values, "fallback_models": [f"backup:{MODEL}"]})


async def read(framework: LLMFramework, texts: list[str]) -> None:
    """Add the pieces of a stream to the texts."""
    async for chunk in framework.stream("hi"):
        texts.append(chunk.text)


async def _ask(framework: LLMFramework, mode: str, **options: Any) -> tuple[str, Any]:
    if mode == WHOLE:
        response = await framework.generate("hi", **options)
        return response.text, response
    chunks = [chunk async for chunk in framework.stream("hi", **options)]
    return "".join(chunk.text for chunk in chunks), chunks[-1].response


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cause", list(causes(Stage(PROTOCOLS["openai"]))))
@each_target
async def test_falls_back(target: Target, cause: str, mode: str) -> None:
    """The second model answers, once, and the response says who failed before it."""
    stage = stage_of(target, "")
    with FaultServer([causes(stage)[cause]]) as first, FaultServer([stage.answer("Hello", " world")]) as second:
        async with two(target, first, second) as framework:
            text, response = await _ask(framework, mode)
    assert (text, response.text, response.model) == ("Hello world", "Hello world", f"backup:{MODEL}")
    assert len(second.requests) == 1
    assert len(first.requests) == (1 if cause in ("spent quota", "no such model") else 2)
    assert [attempt.model for attempt in response.attempts] == [target.model] * len(first.requests) + [response.model]
    assert [attempt.error is None for attempt in response.attempts] == [False] * len(first.requests) + [True]
    assert not list(leaks_in("response", repr(response)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", list(faults(Stage(PROTOCOLS["openai"]))))
@each_target
async def test_does_not_fall_back(target: Target, fault: str, mode: str) -> None:
    """What is wrong with the request or the key is said at once."""
    stage = stage_of(target, "")
    step, error = faults(stage)[fault]
    with FaultServer([step]) as first, FaultServer([stage.answer("no")]) as second:
        async with two(target, first, second) as framework:
            with pytest.raises(error) as caught:
                await _ask(framework, mode)
    assert type(caught.value) is error
    assert (len(first.requests), len(second.requests)) == (1, 0)


@each_target
async def test_does_not_fall_back_after_text(target: Target) -> None:
    """Text that was shown is not begun again by another model."""
    stage = stage_of(target, "")
    texts: list[str] = []
    with FaultServer([stage.cut("Hel", then=[RESET])]) as first, FaultServer([stage.answer("no")]) as second:
        async with two(target, first, second) as framework:
            with pytest.raises(StreamInterruptedError) as caught:
                await read(framework, texts)
    assert ("".join(texts), caught.value.response.text) == ("Hel", "Hel")
    assert (len(first.requests), len(second.requests)) == (1, 0)


@pytest.mark.parametrize("mode", MODES)
@each_target
async def test_tools_fall_back_too(target: Target, mode: str) -> None:
    """The second model is given the tools, and its calls come back."""
    stage = stage_of(target, "")
    with FaultServer([stage.refusal("overloaded")]) as first, FaultServer([stage.answer(calls=[OSLO])]) as second:
        async with two(target, first, second) as framework:
            _, response = await _ask(framework, mode, **TOOLS)
    assert [(call.name, call.arguments) for call in response.tool_calls] == [(OSLO.name, OSLO.value)]
    assert b"get_weather" in second.requests[0].content


@pytest.mark.parametrize("mode", MODES)
@each_target
async def test_all_fail(target: Target, mode: str) -> None:
    """Where all fail, the first model's error is raised, and tells of all."""
    stage = stage_of(target, "")
    with FaultServer([stage.refusal("server")]) as first, FaultServer([stage.refusal("rate_limit")]) as second:
        async with two(target, first, second) as framework:
            with pytest.raises(LLMFrameworkError) as caught:
                await _ask(framework, mode)
    assert caught.value.status == target.protocol.refusals["server"].status
    assert [attempt.model for attempt in caught.value.attempts] == [target.model] * 2 + [f"backup:{MODEL}"] * 2
    assert (len(first.requests), len(second.requests)) == (2, 2)
