"""Where the time of a request went adds up to all of it, whatever happened on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from faults.playing import Target
from faults.protocols import MODEL
from faults.server import RESET, FaultServer, Pause
from faults.stage import KEY, Stage
from faults.targets import each_target

from llm_framework import LLMFramework, ModelInfo, Timings
from llm_framework.errors import StreamInterruptedError
from llm_framework.testing import FakeBackend

MODES = ("stream", "whole", "sync")


async def ask(framework: LLMFramework, mode: str, **options: Any) -> Any:
    if mode == "stream":
        return [chunk async for chunk in framework.stream("hi", **options)][-1].response
    if mode == "sync":
        return list(framework.sync.stream("hi", **options))[-1].response
    return await framework.generate("hi", **options)


def adds_up(timings: Timings) -> None:
    assert timings.queue + timings.load + timings.retry + timings.prefill == pytest.approx(timings.first_token)
    assert timings.first_token + timings.decode == pytest.approx(timings.total)
    assert min(timings.queue, timings.load, timings.retry, timings.prefill, timings.decode) >= 0
    assert timings.total > 0


@pytest.mark.parametrize("mode", MODES)
async def test_the_bundled_model(mode: str) -> None:
    """The first request waits for the model to load, a later one does not; both add up."""
    async with LLMFramework({"default_model": "tiny-chat"}) as framework:
        first = await ask(framework, mode, max_tokens=16)
        second = await ask(framework, mode, max_tokens=16)
    for response in (first, second):
        adds_up(response.timings)
        assert response.timings.prefill > 0
        assert response.timings.decode > 0
        assert response.timings.retry == 0
    assert first.timings.load > 0
    assert second.timings.load == 0


@pytest.mark.parametrize("mode", MODES)
@each_target
async def test_a_provider(target: Target, mode: str) -> None:
    """An answer from a provider adds up, and took no time for retries."""
    with FaultServer([Stage(target.protocol).answer("Hello", " world")]) as server:
        async with LLMFramework(target.config(server.origin, {})) as framework:
            response = await ask(framework, mode, model_name=target.model)
    adds_up(response.timings)
    assert response.timings.retry == 0


@pytest.mark.parametrize("mode", MODES)
@each_target
async def test_retries(target: Target, mode: str) -> None:
    """Attempts that failed, and the waits after them, are time of their own: at least the wait that was asked for."""
    stage = Stage(target.protocol)
    script = [stage.refusal("rate_limit", retry_after="1"), stage.refusal("server"), stage.answer("Hello")]
    with FaultServer(script) as server:
        async with LLMFramework(target.config(server.origin, {})) as framework:
            response = await ask(framework, mode, model_name=target.model)
    adds_up(response.timings)
    assert response.timings.retry >= 1.0
    assert len(response.attempts) == 3


@pytest.mark.parametrize("mode", MODES)
@each_target
async def test_a_fallback(target: Target, mode: str) -> None:
    """The time of the model that failed is part of the answer's retries and total; in the second model's statistics it
    is not."""
    stage = Stage(target.protocol)
    with FaultServer([stage.refusal("overloaded")]) as first, FaultServer([stage.answer("Hello")]) as second:
        values = target.config(first.origin, {"max_retries": 1})
        section = {"provider": target.backend, "api_key": KEY, "base_url": target.protocol.base_url(second.origin)}
        values["api_credentials"]["backup"] = section
        async with LLMFramework({**values, "fallback_models": [f"backup:{MODEL}"]}) as framework:
            response = await ask(framework, mode, model_name=target.model)
            stats = framework.get_performance_stats()["models"]
    adds_up(response.timings)
    assert response.timings.retry > 0
    assert stats[f"backup:{MODEL}"]["p50"] <= response.timings.total - response.timings.retry + 0.01


async def test_a_queue() -> None:
    """A request that waits for a slot counts the wait as queueing."""
    framework = LLMFramework({"default_model": "m", "max_concurrent_requests": 1, "auto_discover_models": False})
    FakeBackend(ModelInfo("m", backend_type="fake"), answers=[[0.05, "one two"]]).install(framework)
    async with framework:
        answers = await asyncio.gather(*(framework.generate("hi") for _ in range(3)))
    for answer in answers:
        adds_up(answer.timings)
    queued = sorted(answer.timings.queue for answer in answers)
    assert queued[0] == 0
    assert queued[1] >= 0.04
    assert queued[2] >= 0.08


@each_target
async def test_a_stream_that_breaks_off(target: Target) -> None:
    """What had come when a stream broke off has timings that add up too."""
    script = [Stage(target.protocol).cut("Hel", then=[Pause(0.05), RESET])]
    with FaultServer(script) as server:
        async with LLMFramework(target.config(server.origin, {})) as framework:
            with pytest.raises(StreamInterruptedError) as caught:
                await ask(framework, "stream", model_name=target.model)
    assert caught.value.response is not None
    adds_up(caught.value.response.timings)


async def test_statistics_have_what_is_promised() -> None:
    """`get_performance_stats` holds the promised keys, for the framework and for each model."""
    async with LLMFramework({"default_model": "tiny-chat"}) as framework:
        empty = framework.get_performance_stats()
        assert (empty["total_requests"], empty["average_generation_time"], empty["models"]) == (0, 0.0, {})
        response = await framework.generate("Hello!", max_tokens=8)
        stats = framework.get_performance_stats()
    numbers = ("total_requests", "failed_requests", "active_requests", "loaded_models")
    assert [stats[name] for name in numbers] == [1, 0, 0, 1]
    assert stats["total_generation_time"] == stats["average_generation_time"] > 0
    model = stats["models"]["tiny-chat"]
    assert (model["requests"], model["input_tokens"]) == (1, response.usage.input_tokens)
    assert model["output_tokens"] == response.usage.output_tokens
    assert 0 < model["time_to_first_token"] <= model["p50"] == model["p95"] == model["p99"]
    assert model["tokens_per_second"] > 0
