from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from llm_framework import (
    AuthenticationError,
    InvalidRequestError,
    LLMFramework,
    LLMFrameworkError,
    MissingDependencyError,
    ModelInfo,
    ModelNotFoundError,
    ProviderUnavailableError,
    RateLimitError,
    RequestTimeoutError,
    StreamInterruptedError,
)
from llm_framework.testing import Answer, FakeBackend, Gate


def make(tmp_path: Path, first: Answer, second: Answer = "from second", **config: object) -> LLMFramework:
    settings = {"models_dir": str(tmp_path), "default_model": "first", "max_retries": 0, "fallback_models": ["second"]}
    framework = LLMFramework({**settings, **config})
    for name, answer in (("first", first), ("second", second)):
        FakeBackend(ModelInfo(name, backend_type="fake"), answers=[answer]).install(framework)
    return framework


def backend_of(framework: LLMFramework, name: str) -> FakeBackend:
    (plugin,) = framework.plugin_manager.plugins_for_model(framework.get_model_info(name))
    backend: FakeBackend = plugin._backend  # type: ignore[attr-defined]
    return backend


@pytest.mark.parametrize("error", [RateLimitError("x"), ProviderUnavailableError("x"), ConnectionResetError("x")])
async def test_another_model_answers_where_it_may_help(tmp_path: Path, error: Exception) -> None:
    """Where the first model is not available, the next one answers, and the response says so."""
    async with make(tmp_path, error) as framework:
        response = await framework.generate("hi")
    assert (response.text, response.model) == ("from second", "second")
    assert [(attempt.model, attempt.error is None) for attempt in response.attempts] == [
        ("first", False),
        ("second", True),
    ]


@pytest.mark.parametrize("error", [AuthenticationError("key"), InvalidRequestError("bad"), ValueError("bug")])
async def test_no_other_model_is_asked_where_it_does_not_help(tmp_path: Path, error: Exception) -> None:
    """A wrong key or request is the caller's to repair."""
    async with make(tmp_path, error) as framework:
        with pytest.raises(LLMFrameworkError) as caught:
            await framework.generate("hi")
    assert len(caught.value.attempts) == 1  # type: ignore[attr-defined]


async def test_an_unknown_model_falls_back_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With fallbacks, a name that is nobody's is a warning and an attempt; without, an error."""
    async with make(tmp_path, "a") as framework:
        with caplog.at_level(logging.WARNING, logger="llm_framework"):
            response = await framework.generate("hi", model_name="nobody")
        assert response.model == "second"
        assert response.attempts[0].error_type == "ModelNotFoundError"
        assert "nobody" in caplog.text
        with pytest.raises(ModelNotFoundError):
            await framework.generate("hi", model_name="nobody", fallbacks=[])


async def test_fallbacks_may_be_given_with_the_call_or_switched_off(tmp_path: Path) -> None:
    """A call's own fallbacks go before the configured ones, which can be switched off."""
    async with make(tmp_path, RateLimitError("x"), enable_fallbacks=False) as framework:
        with pytest.raises(RateLimitError):
            await framework.generate("hi")
        assert (await framework.generate("hi", fallbacks=["fake:x"])).model == "fake:x"


async def test_where_all_fail_the_first_error_is_raised(tmp_path: Path) -> None:
    """The first model's error reaches the caller and tells of every attempt."""
    async with make(tmp_path, RateLimitError("one"), ProviderUnavailableError("two")) as framework:
        with pytest.raises(RateLimitError, match="one") as caught:
            await framework.generate("hi")
    assert [attempt.model for attempt in caught.value.attempts] == ["first", "second"]  # type: ignore[attr-defined]


async def test_after_the_first_chunk_nothing_falls_back(tmp_path: Path) -> None:
    """Text that was shown cannot be taken back: the error reaches the reader."""
    async with make(tmp_path, ["shown", ProviderUnavailableError("down")]) as framework:
        stream = framework.stream("hi")
        assert str(await anext(stream)) == "shown"
        with pytest.raises(StreamInterruptedError):
            await anext(stream)


async def test_one_deadline_holds_over_the_chain(tmp_path: Path) -> None:
    """A fallback has what is left of the request's time, not its own."""
    async with make(tmp_path, [Gate()], [Gate()]) as framework:
        with pytest.raises(RequestTimeoutError) as caught:
            await framework.generate("hi", timeout=0.5)
    assert (caught.value.limit, caught.value.seconds) == ("total", 0.5)
    assert backend_of(framework, "second").requests == []


async def test_closing_the_stream_closes_the_backends(tmp_path: Path) -> None:
    """A reader that leaves a chain's stream leaves nothing open behind it."""
    framework = make(tmp_path, "a b c d")
    backend = backend_of(framework, "first")
    stream = framework.stream("hi")
    await anext(stream)
    await stream.aclose()
    assert (backend.active, backend.closed, framework.inference_engine.get_active_requests()) == (0, 1, [])
    await framework.close()


async def test_langchain_is_asked_for_when_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fallbacks without langchain-core say which extra to install; calls without fallbacks do not need it."""
    monkeypatch.delitem(sys.modules, "llm_framework.engine.fallback", raising=False)
    monkeypatch.setitem(sys.modules, "langchain_core.runnables", None)
    async with make(tmp_path, "a") as framework:
        assert await framework.generate_text("hi", fallbacks=[]) == "a"
        with pytest.raises(MissingDependencyError, match=r"llm-framework\[langchain\]"):
            await framework.generate_text("hi")
