from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from llm_framework import Chunk, GenerationConfig, InferenceRequest, ModelBackend, ModelInfo, Usage
from llm_framework.testing import FakeBackend, check_backend

LONG = ModelInfo("x", backend_type="fake", metadata={"answers": ["one two three four five six seven"]})


async def test_the_fake_keeps_the_contract() -> None:
    """FakeBackend passes the tests that every backend should."""
    await check_backend(FakeBackend, LONG, tools=True, response_format=True)


class Endless(FakeBackend):
    """Gives no finish reason."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        yield "text"


class Uncounted(FakeBackend):
    """Counts no tokens."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        yield Chunk(text="text", finish_reason="stop")


class Unlimited(FakeBackend):
    """Knows no max_tokens and no stop."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        yield "one two three four five six"
        yield Chunk(finish_reason="stop", usage=Usage(1, 6))


@pytest.mark.parametrize(
    ("backend_class", "says"), [(Endless, "finish_reason"), (Uncounted, "usage"), (Unlimited, "max_tokens")]
)
async def test_a_backend_that_breaks_the_contract_is_told_how(backend_class: type[ModelBackend], says: str) -> None:
    """Each fault is an AssertionError that names it."""
    with pytest.raises(AssertionError, match=says):
        await check_backend(backend_class, LONG)


async def test_scripts_are_cut_at_stop_strings_and_max_tokens() -> None:
    """The fake ends as a real model does."""
    backend = FakeBackend(LONG)
    assert await backend.generate_text("hi", GenerationConfig(max_tokens=2)) == "one two"
    assert await backend.generate_text("hi", GenerationConfig(stop=("three",))) == "one two "
