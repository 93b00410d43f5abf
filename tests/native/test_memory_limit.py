"""`memory_limit_gb`: several real models under one budget."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llm_framework import LLMFramework, ModelInfo
from llm_framework.engine.memory import memory_of
from llm_framework.errors import ModelLoadError

NEED = 0.01  # GB, as registered


def make_framework(bundled_path: Path, limit: float, names: str = "abc") -> LLMFramework:
    framework = LLMFramework({"memory_limit_gb": limit, "auto_discover_models": False, "default_max_tokens": 8})
    for name in names:
        info = ModelInfo(name, backend_type="native", path=str(bundled_path), memory_requirement_gb=NEED)
        framework.registry.register_model(info, persist=False)
    return framework


def loaded(framework: LLMFramework) -> list[str]:
    return framework.inference_engine.pool.loaded_models()


async def test_the_idle_model_used_longest_ago_makes_room(bundled_path: Path) -> None:
    """Two fit: asking for a third frees the one that was not used for the longest time."""
    async with make_framework(bundled_path, 2.5 * NEED) as framework:
        for name in "aba":
            await framework.generate_text("Hello", model_name=name)
        assert loaded(framework) == ["a", "b"]
        await framework.generate_text("Hello", model_name="c")
        assert loaded(framework) == ["a", "c"]


async def test_a_busy_model_is_waited_for(bundled_path: Path) -> None:
    """A model is not taken away from a stream that is open; who needs its place waits for the stream's end."""
    async with make_framework(bundled_path, 1.5 * NEED) as framework:
        stream = framework.stream("Hello", model_name="a")
        await anext(stream)
        waiting = asyncio.create_task(framework.generate_text("Hello", model_name="b"))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        assert loaded(framework) == ["a"]
        async for _ in stream:
            pass
        assert await waiting
        assert loaded(framework) == ["b"]


async def test_a_model_that_never_fits_says_so_before_it_loads(bundled_path: Path) -> None:
    """The error names the model, its need and the limit, and nothing was evicted for it."""
    async with make_framework(bundled_path, 1.5 * NEED, "a") as framework:
        await framework.generate_text("Hello", model_name="a")
        info = ModelInfo("big", backend_type="native", path=str(bundled_path), memory_requirement_gb=9 * NEED)
        framework.registry.register_model(info, persist=False)
        with pytest.raises(ModelLoadError, match=r"'big' needs 0\.09 GB, and memory_limit_gb is 0\.015"):
            await framework.generate_text("Hello", model_name="big")
        assert loaded(framework) == ["a"]


async def test_many_at_once_never_exceed_the_limit(bundled_path: Path) -> None:
    """Twelve requests to three models of which one fits at a time are all answered."""
    async with make_framework(bundled_path, 1.5 * NEED) as framework:
        asked = [framework.generate_text("Hello", model_name=name) for name in "abcabcabcabc"]
        answers = await asyncio.wait_for(asyncio.gather(*asked), 120)
        assert len(answers) == 12
        assert len(loaded(framework)) == 1


def test_what_a_model_takes() -> None:
    """Quantising 16-bit weights at load shrinks the need; a model elsewhere takes nothing."""
    info = ModelInfo("m", backend_type="native", path="/m", memory_requirement_gb=4.0, quantization="bf16")
    assert memory_of(info) == 4.0
    assert memory_of(info, "q8") == 2.125
    assert memory_of(info, "q4") == 1.125
    assert memory_of(ModelInfo("gpt", backend_type="openai", memory_requirement_gb=4.0)) == 0.0
