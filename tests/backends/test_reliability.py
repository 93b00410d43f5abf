"""The engine's reliability over real HTTP, as one who calls the framework sees it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from servers.chat_server import (
    CUT,
    HANG,
    ChatServer,
    Reply,
    delta,
    error_reply,
    frame,
    json_reply,
    text_stream,
)

from llm_framework import (
    ConnectionFailedError,
    LLMFramework,
    ProviderUnavailableError,
    RateLimitError,
    RequestTimeoutError,
    StreamInterruptedError,
)

WHOLE = {"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}


def framework_of(folder: Path, *urls: str, **settings: Any) -> LLMFramework:
    """A framework whose providers "p0", "p1", … are at these addresses; the first is the default."""
    credentials = {f"p{number}": {"provider": "openai_compatible", "base_url": url} for number, url in enumerate(urls)}
    names = [f"{name}:m" for name in credentials]
    values = {"models_dir": str(folder), "api_credentials": credentials, "default_model": names[0]}
    return LLMFramework({"fallback_models": names[1:], "max_retries": 0, **values, **settings})


def breaker_of(framework: LLMFramework) -> Any:
    return framework.get_performance_stats()["models"]["p0:m"]["breaker"]


async def test_a_server_that_is_down_is_left_alone(tmp_path: Path) -> None:
    """Answers of 503 open the breaker, and no further request is sent; other statuses do not."""
    with ChatServer(error_reply(429), error_reply(400), error_reply(503)) as server:
        async with framework_of(tmp_path, server.url, breaker_failures=2) as framework:
            for _ in range(4):
                with pytest.raises(Exception, match=r"no|503"):
                    await framework.generate("hi")
            with pytest.raises(ProviderUnavailableError, match="2 times in a row"):
                await framework.generate("hi")
            assert breaker_of(framework) == "open"
        assert len(server.requests) == 4


async def test_a_port_where_nobody_listens_counts_too(tmp_path: Path) -> None:
    """A connection that is refused says that the server is down."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        async with framework_of(tmp_path, url, breaker_failures=1) as framework:
            with pytest.raises(ConnectionFailedError):
                await framework.generate("hi")
            assert breaker_of(framework) == "open"


async def test_what_the_headers_say_is_kept_to(tmp_path: Path) -> None:
    """After an answer that says that no request is left, the next one is not sent before its time."""
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "50s"}
    soon = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}
    limited = Reply(json_reply(WHOLE).pieces, 200, "application/json", headers)
    with ChatServer(Reply(json_reply(WHOLE).pieces, 200, "application/json", soon), limited) as server:
        async with framework_of(tmp_path, server.url) as framework:
            for _ in range(2):
                assert (await framework.generate("hi")).text == "whole"
            with pytest.raises(RateLimitError) as caught:
                await framework.generate("hi", timeout=10)
        assert len(server.requests) == 2
    assert 10 < caught.value.retry_after <= 50  # type: ignore[operator]


async def test_the_next_server_streams_the_answer(tmp_path: Path) -> None:
    """Where the first server fails before anything is shown, the second one's pieces come, each once."""
    broken = Reply([frame({"error": {"message": "overloaded", "code": 503}}), CUT])
    with ChatServer(error_reply(503), broken) as first, ChatServer(text_stream("a", "b")) as second:
        async with framework_of(tmp_path, first.url, second.url) as framework:
            for _ in range(2):
                chunks = [chunk async for chunk in framework.stream("hi")]
                assert [str(chunk) for chunk in chunks] == ["a", "b", ""]
                response = chunks[-1].response
                assert response is not None
                assert [attempt.model for attempt in response.attempts] == ["p0:m", "p1:m"]
        assert (len(first.requests), len(second.requests)) == (2, 2)


async def test_after_the_first_piece_nobody_else_is_asked(tmp_path: Path) -> None:
    """A stream that breaks after it showed something is an error with what had come, and nothing is sent again."""
    with ChatServer(Reply([delta(content="a"), CUT])) as first, ChatServer(text_stream("b")) as second:
        async with framework_of(tmp_path, first.url, second.url, max_retries=3) as framework:
            stream = framework.stream("hi")
            assert str(await anext(stream)) == "a"
            with pytest.raises(StreamInterruptedError) as caught:
                await anext(stream)
        assert (len(first.requests), len(second.requests)) == (1, 0)
    assert caught.value.response.text == "a"


@pytest.mark.parametrize(
    ("reply", "settings", "limit", "attempts"),
    [
        (Reply([HANG]), {"default_timeout": 0.3}, "total", 1),
        (Reply([HANG]), {"first_token_timeout": 0.1}, "first_token", 2),
        (Reply([delta(role="assistant"), HANG]), {"attempt_timeout": 0.1}, "attempt", 2),
        (Reply([delta(content="a"), HANG]), {"idle_timeout": 0.1}, "idle", 1),
    ],
)
async def test_a_server_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Reply, settings: dict[str, float], limit: str, attempts: int
) -> None:
    """The limit that passed is named, an attempt's own is tried again, and the connection is closed at once."""
    monkeypatch.setattr("llm_framework.engine.retry.FIRST_WAIT", 0.0)
    with ChatServer(reply) as server:
        async with framework_of(tmp_path, server.url, **{"max_retries": 1, **settings}) as framework:
            with pytest.raises(RequestTimeoutError) as caught:
                _ = [chunk async for chunk in framework.stream("hi")]
            assert caught.value.limit == limit
            assert len(caught.value.attempts) == attempts  # type: ignore[attr-defined]
            assert len(server.requests) <= attempts
            for request in server.requests:
                assert await asyncio.to_thread(request.disconnected.wait, 30)
