"""What answers cost, by the prices of `genai-prices`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from faults.protocols import PROTOCOLS
from faults.server import FaultServer, json_reply
from faults.stage import KEY, Stage, stream

from llm_framework import LLMFramework, ModelInfo
from llm_framework.testing import FakeBackend
from llm_framework.types import Chunk, Usage

# US dollars a million tokens: input, input from a cache, input written to a cache, output. From the providers' pages.
GPT_4O = (2.5, 1.25, 0.0, 10.0)
SONNET = (3.0, 0.3, 3.75, 15.0)


def dollars(prices: tuple[float, ...], fresh: int, cached: int, written: int, output: int) -> float:
    return sum(price * tokens for price, tokens in zip(prices, (fresh, cached, written, output), strict=True)) / 1e6


def priced(name: str, *answers: Any) -> FakeBackend:
    """A backend here that counts as a provider's model elsewhere."""
    provider, _, model = name.partition(":")
    info = ModelInfo(
        name.replace(":", "-"), backend_type="fake", is_local=False, metadata={"provider": provider, "model_id": model}
    )
    return FakeBackend(info, answers=answers)


def counted(*tokens: int, **more: Any) -> list[Chunk]:
    return [Chunk(text="x"), Chunk(usage=Usage(*tokens, **more), finish_reason="stop")]


async def cost_of(backend: FakeBackend) -> float | None:
    framework = LLMFramework({"auto_discover_models": False})
    backend.install(framework)
    async with framework:
        return (await framework.generate("hi", model_name=backend.model_info.name)).cost


async def test_cached_tokens_are_priced_as_such() -> None:
    """Tokens read from a cache cost what they cost there, thinking what an answer costs."""
    cost = await cost_of(priced("openai:gpt-4o", counted(1000, 100, 400, 60)))
    assert cost == pytest.approx(dollars(GPT_4O, 600, 400, 0, 100))


async def test_tokens_written_to_a_cache_are_priced_as_such() -> None:
    """What Anthropic counts as written to its cache is dearer than other input."""
    answer = [Chunk(text="x"), Chunk(usage=Usage(1000, 100, 400), finish_reason="stop",
                                     provider_data={"cache_creation_tokens": 200})]  # fmt: skip
    cost = await cost_of(priced("anthropic:claude-sonnet-4-5", answer))
    assert cost == pytest.approx(dollars(SONNET, 400, 400, 200, 100))


@pytest.mark.parametrize(
    "backend",
    [
        priced("openai:no-such-model", counted(10, 10)),
        priced("nobody:gpt-4o", counted(10, 10)),
        priced("openai:gpt-4o", counted(10, 10, estimated=True)),
        priced("openai:gpt-4o", counted(10, 10, 400)),  # more from the cache than there is
        FakeBackend(ModelInfo("gpt-4o", backend_type="fake"), answers=[counted(10, 10)]),
    ],
    ids=["model", "provider", "estimate", "nonsense", "local"],
)
async def test_unknown_is_none(backend: FakeBackend) -> None:
    """Where price or tokens are not known, nor is the cost."""
    assert await cost_of(backend) is None


def openai_answer(model: str, stream_wanted: bool) -> Any:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
             "prompt_tokens_details": {"cached_tokens": 400}}  # fmt: skip
    base = {"id": "c1", "created": 1, "model": model}
    if not stream_wanted:
        message = {"role": "assistant", "content": "Hello"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return json_reply({**base, "object": "chat.completion", "choices": [choice], "usage": usage})
    delta = {"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    events = [{**base, "object": "chat.completion.chunk", "choices": [choice]} for choice in (delta, end)]
    events.append({**base, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    return stream([*(f"data: {json.dumps(event)}\n\n" for event in events), "data: [DONE]\n\n"])


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
async def test_a_fallback_is_priced_as_itself(streamed: bool) -> None:
    """The model that answered is priced, not the one that was asked first; statistics sum it and count the unknown."""
    pytest.importorskip("httpx")
    down = Stage(PROTOCOLS["openai"]).refusal("overloaded")
    with FaultServer([down]) as first, FaultServer([lambda _: openai_answer("gpt-4o", streamed)]) as second:
        values = {
            "api_credentials": {
                "groq": {"api_key": KEY, "base_url": f"{first.origin}/v1"},
                "openrouter": {"api_key": KEY, "base_url": f"{second.origin}/v1"},
            },
            "fallback_models": ["openrouter:openai/gpt-4o"],
            "auto_discover_models": False,
            "max_retries": 0,
        }
        async with LLMFramework(values) as framework:
            FakeBackend(ModelInfo("m", backend_type="fake")).install(framework)
            if streamed:
                chunks = [c async for c in framework.stream("hi", model_name="groq:llama-3.3-70b-versatile")]
                response = chunks[-1].response
            else:
                response = await framework.generate("hi", model_name="groq:llama-3.3-70b-versatile")
            await framework.generate("hi", model_name="m")
            stats = framework.get_performance_stats()
    assert response is not None
    assert response.cost == pytest.approx(dollars(GPT_4O, 600, 400, 0, 100))
    assert stats["total_cost"] == pytest.approx(response.cost)
    assert stats["unknown_cost_requests"] == 1
    assert stats["models"]["openrouter:openai/gpt-4o"]["cost"] == pytest.approx(response.cost)
    assert stats["models"]["groq:llama-3.3-70b-versatile"]["unknown_cost_requests"] == 0  # it refused
    assert stats["models"]["m"]["unknown_cost_requests"] == 1


def test_without_the_package_no_cost_is_known() -> None:
    """Where `genai-prices` is not installed, a request is answered and its cost is None."""
    code = """
import sys
import llm_framework.engine.prices as prices
prices.find_spec = lambda name: None
from llm_framework import LLMFramework, ModelInfo
from llm_framework.testing import FakeBackend
framework = LLMFramework({"auto_discover_models": False})
where = {"provider": "openai", "model_id": "gpt-4o"}
FakeBackend(ModelInfo("x", backend_type="fake", is_local=False, metadata=where)).install(framework)
with framework:
    cost = framework.sync.generate("hi", model_name="x").cost
    print(cost, framework.get_performance_stats()["unknown_cost_requests"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["None", "1"], done.stderr
