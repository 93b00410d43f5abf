from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from llm_framework import (
    AuthenticationError,
    BadResponseError,
    Chunk,
    ContentFilterError,
    ContextOverflowError,
    InvalidRequestError,
    LLMFramework,
    LLMFrameworkError,
    MissingDependencyError,
    ModelInfo,
    ModelLoadError,
    ModelNotFoundError,
    ProviderUnavailableError,
    QueueFullError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    StreamInterruptedError,
    StructuredOutputError,
    ToolCall,
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


# ------------------------------------------------------------------------------------------------------------ by cause
def chain(tmp_path: Path, *models: tuple[int | None, Answer], **config: object) -> LLMFramework:
    """A chain of the models "m0", "m1", …, each given by its context length and its answer."""
    names = [f"m{number}" for number in range(len(models))]
    settings = {"models_dir": str(tmp_path), "default_model": "m0", "max_retries": 0, "fallback_models": names[1:]}
    framework = LLMFramework({**settings, **config})
    for name, (context, answer) in zip(names, models, strict=True):
        info = ModelInfo(name, backend_type="fake", is_local=False, context_length=context)
        FakeBackend(info, answers=[answer]).install(framework)
    return framework


@pytest.mark.parametrize(
    "error",
    [
        QuotaExceededError("spent"), BadResponseError("x"), ModelLoadError("broken"), QueueFullError("full"),
        RequestTimeoutError("x", limit="connect"), RequestTimeoutError("x", limit="first_token"),
        RequestTimeoutError("x", limit="attempt"), StreamInterruptedError("before anything was shown"),
    ],
    ids=repr,
)  # fmt: skip
async def test_every_cause_that_is_not_the_requests_own_falls_back(tmp_path: Path, error: Exception) -> None:
    """Spent quota, nonsense, a file that does not load, a full queue, a limit that is not the caller's."""
    async with make(tmp_path, error) as framework:
        assert (await framework.generate("hi")).model == "second"


async def test_a_limit_of_our_own_falls_back(tmp_path: Path) -> None:
    """A model that shows nothing for too long is left for the next."""
    async with make(tmp_path, [Gate()], first_token_timeout=0.05) as framework:
        response = await framework.generate("hi")
    assert (response.model, response.attempts[0].error_type) == ("second", "RequestTimeoutError")


async def test_a_spent_deadline_does_not_fall_back(tmp_path: Path) -> None:
    """When the time is up, no other model is asked or told of."""
    async with make(tmp_path, [Gate()], "b") as framework:
        with pytest.raises(RequestTimeoutError) as caught:
            await framework.generate("hi", timeout=0.1)
    assert [attempt.model for attempt in caught.value.attempts] == ["first"]  # type: ignore[attr-defined]


async def test_an_open_breaker_falls_back_at_once(tmp_path: Path) -> None:
    """While the first model is left alone, the next one answers without anyone waiting or asking the first."""
    down = ProviderUnavailableError("down")
    async with chain(tmp_path, (None, down), (None, "b"), breaker_failures=2, max_retries=1) as framework:
        with pytest.raises(ProviderUnavailableError):
            await framework.generate("hi", fallbacks=[])
        response = await framework.generate("hi")
        assert len(backend_of(framework, "m0").requests) == 2
    assert [(attempt.model, attempt.error_type) for attempt in response.attempts] == [
        ("m0", "ProviderUnavailableError"),
        ("m1", None),
    ]


@pytest.mark.parametrize(
    ("contexts", "error", "answered_by"),
    [
        ((8, 8, 16), ContextOverflowError("long"), "m2"),
        ((8, 16, 32), ContextOverflowError("long", tokens=20), "m2"),
        ((8, 16, 32), ContextOverflowError("long", tokens=16), "m1"),
        ((None, 8, 16), ContextOverflowError("long", limit=8), "m2"),
        ((8, None, 16), ContextOverflowError("long"), "m1"),
        ((None, 8, 16), ContextOverflowError("long"), "m1"),
    ],
)
async def test_a_prompt_that_is_too_long_goes_to_a_longer_context(
    tmp_path: Path, contexts: tuple[int | None, ...], error: Exception, answered_by: str
) -> None:
    """Models that are known to hold no more than the one that overflowed are not asked; unknown ones are."""
    answers = [error, "b", "c"]
    async with chain(tmp_path, *zip(contexts, answers, strict=True)) as framework:
        response = await framework.generate("hi")
    assert response.model == answered_by
    assert [attempt.model for attempt in response.attempts] == ["m0", answered_by]


async def test_where_no_context_is_longer_the_overflow_is_raised(tmp_path: Path) -> None:
    """With no model that could hold the prompt, the caller gets the overflow and nobody else was asked."""
    async with chain(tmp_path, (8, ContextOverflowError("too long")), (8, "b")) as framework:
        with pytest.raises(ContextOverflowError, match="too long"):
            await framework.generate("hi")
        assert backend_of(framework, "m1").requests == []


@pytest.mark.parametrize("asked", [False, True])
async def test_a_content_filter_falls_back_if_asked(tmp_path: Path, asked: bool) -> None:
    """What one provider refuses for its content goes to another only where the configuration says so."""
    filtered = ContentFilterError("no")
    async with chain(tmp_path, (None, filtered), (None, "b"), fallback_on_content_filter=asked) as framework:
        if asked:
            assert (await framework.generate("hi")).model == "m1"
        else:
            with pytest.raises(ContentFilterError):
                await framework.generate("hi")


@pytest.mark.parametrize("asked", [False, True])
async def test_an_answer_of_which_the_filter_left_nothing(tmp_path: Path, asked: bool) -> None:
    """An empty answer that ended for its content counts as a refusal where the configuration says so."""
    empty: Answer = [Chunk(finish_reason="content_filter")]
    async with chain(tmp_path, (None, empty), (None, "b"), fallback_on_content_filter=asked) as framework:
        response = await framework.generate("hi")
    assert (response.model, response.text) == (("m1", "b") if asked else ("m0", ""))


async def test_a_wait_that_is_too_long_falls_back(tmp_path: Path) -> None:
    """A Retry-After that the deadline cannot hold leaves the time to the next model."""
    async with make(tmp_path, RateLimitError("later", retry_after=1000), max_retries=3) as framework:
        response = await framework.generate("hi", timeout=30)
        assert len(backend_of(framework, "first").requests) == 1
    assert response.model == "second"


async def test_attempts_tell_of_every_retry_at_every_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each model has retries + 1 attempts of its own; the answer lists them all in order."""
    monkeypatch.setattr("llm_framework.engine.retry.FIRST_WAIT", 0.0)
    async with make(tmp_path, ProviderUnavailableError("x"), max_retries=2) as framework:
        response = await framework.generate("hi")
    assert [attempt.model for attempt in response.attempts] == ["first"] * 3 + ["second"]


# ------------------------------------------------------------------------------------------------------- what survives
async def test_streams_survive_a_fallback(tmp_path: Path) -> None:
    """The pieces come from the one that answers, each once; the last holds its usage and the attempts."""
    async with make(tmp_path, RateLimitError("x"), "one two three") as framework:
        chunks = [chunk async for chunk in framework.stream("hi")]
    assert [str(chunk) for chunk in chunks] == ["one", " two", " three", ""]
    response = chunks[-1].response
    assert response is not None
    assert (response.model, response.text, response.usage.output_tokens) == ("second", "one two three", 3)
    assert len(response.attempts) == 2


async def test_tools_survive_a_fallback(tmp_path: Path) -> None:
    """The next model gets the same tools and choice, and its call comes back."""

    def get_time(city: str) -> str:
        """The time in a city."""
        return city

    call = ToolCall.create("get_time", {"city": "Paris"})
    async with make(tmp_path, RateLimitError("x"), call) as framework:
        response = await framework.generate("hi", tools=[get_time], tool_choice="get_time")
        first, second = (backend_of(framework, name).requests[0] for name in ("first", "second"))
    assert [(made.name, made.arguments) for made in response.tool_calls] == [("get_time", {"city": "Paris"})]
    assert (first.tools, first.tool_choice, first.messages) == (second.tools, second.tool_choice, second.messages)


async def test_structured_output_survives_a_fallback(tmp_path: Path) -> None:
    """The next model is asked for the same form, and its answer is held to it."""
    async with make(tmp_path, RateLimitError("x"), "[1, 2]") as framework:
        assert (await framework.generate("hi", response_format=list[int])).parsed == [1, 2]
    async with make(tmp_path, RateLimitError("x"), "no list") as framework:
        with pytest.raises(StructuredOutputError):
            await framework.generate("hi", response_format=list[int])
