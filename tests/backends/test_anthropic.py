"""The Anthropic backend against a real server: over the framework's own connections and through the SDK, with the SDK
itself as the measure of what is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import messages_server
from servers.chat_server import CUT, ChatServer, Reply, json_reply
from servers.messages_server import end, start, stream, text_block, thinking_block, tool_block, whole

from llm_framework import GenerationConfig, InferenceRequest, LLMFramework, Message, ModelInfo, errors
from llm_framework.testing import check_backend
from llm_framework.types import (
    ImagePart,
    InferenceResponse,
    ResponseBuilder,
    ResponseFormat,
    ToolResult,
    ToolSpec,
    Usage,
)

anthropic = pytest.importorskip("anthropic")
pytest.importorskip("httpx2")
from llm_framework.backends.anthropic import AnthropicBackend  # noqa: E402 - only where its SDK is

KEY = "sk-ant-secret-0123456789"
WEATHER = ToolSpec("get_weather", "Weather", {"type": "object", "properties": {"city": {"type": "string"}}})
HELLO = stream(text_block(0, "Hel", "lo ", "wörld\u2028"), reason="end_turn")
Serve = Callable[..., ChatServer]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The SDK finds no key or address of the machine's own."""
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS",
                 "ANTHROPIC_PROFILE"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ANTHROPIC_CONFIG_DIR", raising=False)


def info(model: str) -> ModelInfo:
    return ModelInfo(model, backend_type="anthropic", metadata={"provider": "anthropic", "model_id": model})


def backend_of(server: ChatServer, model: str = "claude-opus-5-5", **more: Any) -> AnthropicBackend:
    return AnthropicBackend(info(model), {"base_url": server.url.removesuffix("/v1"), "api_key": KEY, **more})


async def answer_of(backend: AnthropicBackend, request: InferenceRequest | str = "hi") -> InferenceResponse:
    """The whole answer of a backend that is done with then."""
    request = InferenceRequest(request) if isinstance(request, str) else request
    builder = ResponseBuilder()
    try:
        async for chunk in backend.stream(request):
            builder.add(chunk)
    finally:
        await backend.unload_model()
    return builder.response()


async def answer(server: ChatServer, request: InferenceRequest | str = "hi", **more: Any) -> InferenceResponse:
    return await answer_of(backend_of(server, **more), request)


# ------------------------------------------------------------------------------------------------------- the contract
async def test_contract(serve: Serve) -> None:
    """It keeps the contract of every backend, and uses its connections again."""
    server = serve(handler=messages_server.answer)
    settings = {"base_url": server.url, "api_key": KEY}
    nobody = {**settings, "base_url": "http://127.0.0.1:9"}
    await check_backend(
        AnthropicBackend,
        info("claude-haiku-4-5"),
        settings,
        tools=True,
        response_format=True,
        failing_settings=nobody,
    )
    assert server.connections < len(server.requests)


async def test_a_plain_answer(serve: Serve) -> None:
    """A stream of text becomes that text, its usage and its finish reason; the headers are the SDK's."""
    server = serve(HELLO)
    response = await answer(server)
    assert (response.text, response.finish_reason, response.usage) == ("Hello wörld\u2028", "stop", Usage(5, 2))
    request = server.requests[0]
    assert request.path == "/v1/messages"
    client = anthropic.Anthropic(api_key=KEY, base_url=server.url)
    expected = {**client.default_headers, **client.auth_headers}
    for name in ("Authorization", "X-Api-Key", "anthropic-version"):
        assert request.headers.get(name.lower()) == expected.get(name)


async def test_through_the_framework(serve: Serve, tmp_path: Path) -> None:
    """A bare name leads here, and an answer that nobody streams is asked for whole where it is short."""
    server = serve(whole({"type": "text", "text": "Hi."}))
    credentials = {"anthropic": {"base_url": server.url, "api_key": KEY}}
    async with LLMFramework({"models_dir": str(tmp_path), "api_credentials": credentials}) as framework:
        response = await framework.generate("hi", model_name="claude-haiku-4-5", max_tokens=100)
    assert response.text == "Hi."
    assert (server.body["model"], server.body["max_tokens"]) == ("claude-haiku-4-5", 100)
    assert "stream" not in server.body


async def test_the_same_body_as_the_sdk(serve: Serve) -> None:
    """For the same question the SDK would send the same body."""
    server = serve(HELLO)
    request = InferenceRequest(
        messages=(Message.system("Be brief."), Message.user("Look:", ImagePart(url="https://example.org/a.png"))),
        config=GenerationConfig(max_tokens=3000, thinking="low", stop=("END",)),
        tools=(WEATHER,), tool_choice="auto", metadata={"parallel_tool_calls": False},
    )  # fmt: skip
    await answer(server, request)
    client = anthropic.AsyncAnthropic(api_key=KEY, base_url=server.url.removesuffix("/v1"), max_retries=0)
    async with client, await client.messages.create(
        model="claude-opus-5-5", max_tokens=3000, stream=True, system="Be brief.", stop_sequences=["END"],
        messages=[{"role": "user", "content": [
            {"type": "text", "text": "Look:"},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        ]}],
        thinking={"type": "adaptive", "display": "summarized"}, output_config={"effort": "low"},
        tools=[{"name": "get_weather", "description": "Weather", "input_schema": dict(WEATHER.parameters)}],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    ) as events:  # fmt: skip
        assert [event.type async for event in events][-1] == "message_stop"
    assert server.requests[0].body == server.requests[1].body


async def test_a_chat_with_tools_and_thinking(serve: Serve) -> None:
    """What the model thought and signed goes back with its calls and their results."""
    calls = tool_block(1, "toolu_1", "get_weather", '{"ci', 'ty": "Oslo"}')
    server = serve(stream(thinking_block(0, "hm"), calls, reason="tool_use"), HELLO)
    first = await answer(server, InferenceRequest("Weather?", tools=(WEATHER,)))
    assert first.tool_calls[0].arguments == {"city": "Oslo"}
    chat = (Message.user("Weather?"), first.message, Message.tool(ToolResult("toolu_1", "rain")))
    await answer(server, InferenceRequest(messages=chat, tools=(WEATHER,)))
    said = server.body["messages"][1]["content"]
    assert said == [
        {"type": "thinking", "thinking": "hm", "signature": "SIGNED"},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
    ]


async def test_a_schema(serve: Serve) -> None:
    """An answer to a schema is the text of a tool's arguments where the model knows no schemas."""
    server = serve(stream(tool_block(0, "t", "answer", '{"a": 1}'), reason="tool_use"))
    form = ResponseFormat(schema={"type": "object", "properties": {"a": {"type": "integer"}}})
    response = await answer(server, InferenceRequest("?", response_format=form), model="claude-opus-4-1")
    assert (response.text, response.finish_reason) == ('{"a": 1}', "stop")


# ------------------------------------------------------------------------------------------------- settings and headers
async def test_settings(serve: Serve) -> None:
    """Tokens, betas, headers and more of the body are sent as they are set."""
    server = serve(HELLO)
    settings = {"auth_token": "tok-0123456789", "betas": ["a", "b"], "headers": {"X-Mine": "1"}}
    await answer(server, api_key=None, extra_body={"service_tier": "auto"}, **settings)
    headers = server.requests[0].headers
    assert headers["authorization"] == "Bearer tok-0123456789"
    assert (headers["anthropic-beta"], headers["x-mine"]) == ("a,b", "1")
    assert "x-api-key" not in headers
    assert server.body["service_tier"] == "auto"


async def test_the_version_that_takes_sampling(serve: Serve) -> None:
    """Sampling parameters are sent with the last version that takes them, unless a version is set."""
    server = serve(HELLO)
    request = InferenceRequest("hi", config=GenerationConfig(temperature=0.5))
    await answer(server, request, model="claude-haiku-4-5")
    assert server.body["temperature"] == 0.5
    assert server.requests[-1].headers["anthropic-version"] == "2023-06-01"
    await answer(server, request, model="claude-haiku-4-5", headers={"anthropic-version": "2030-01-01"})
    assert server.requests[-1].headers["anthropic-version"] == "2030-01-01"


async def test_no_key() -> None:
    """Without a key Anthropic's own server is not asked."""
    backend = AnthropicBackend(info("claude-opus-5-5"), {})
    with pytest.raises(errors.AuthenticationError, match="ANTHROPIC_API_KEY"):
        await answer_of(backend)


def test_settings_that_do_not_do() -> None:
    """A platform that is none, and a place without a region, are errors of configuration."""
    for settings in ({"platform": "moon"}, {"platform": "vertex"}):
        with pytest.raises(errors.ConfigurationError):
            AnthropicBackend(info("claude-opus-5-5"), settings)


# ------------------------------------------------------------------------------------------------------------- refusals
async def test_dropped_defaults(serve: Serve) -> None:
    """A configured default that the model refuses is left out and listed; one that the caller gave raises."""
    server = serve(HELLO)
    request = InferenceRequest("hi", config=GenerationConfig(temperature=0.5, seed=1))
    response = await answer(server, request)
    assert set(response.dropped_parameters) == {"temperature", "seed"}
    with pytest.raises(errors.UnsupportedFeatureError) as caught:
        await answer(server, InferenceRequest("hi", config=request.config, explicit=frozenset({"seed"})))
    assert caught.value.feature == "seed"


async def test_a_refusal_teaches(serve: Serve) -> None:
    """What the server refuses is left out or said otherwise, once for all requests to come."""
    no_budget = '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".'
    server = serve(messages_server.error(400, "invalid_request_error", no_budget), HELLO)
    backend = backend_of(server, "claude-haiku-4-5")
    request = InferenceRequest("hi", config=GenerationConfig(max_tokens=9000, thinking="low"))
    for _ in range(2):
        async for _chunk in backend.stream(request):
            pass
    await backend.unload_model()
    assert [r.body["thinking"]["type"] for r in server.requests] == ["enabled", "adaptive", "adaptive"]


async def test_a_server_that_refuses_for_ever(serve: Serve) -> None:
    """A server that takes back what it said is not asked for ever."""

    def refuse(request: Any) -> Reply:
        kind = request.body.get("thinking", {}).get("type")
        says = "thinking.type.enabled" if kind == "enabled" else "adaptive thinking"
        return messages_server.error(400, "invalid_request_error", f"{says} is not supported for this model")

    server = serve(handler=refuse)
    request = InferenceRequest("hi", config=GenerationConfig(max_tokens=9000, thinking="low"))
    with pytest.raises(errors.InvalidRequestError):
        await answer(server, request, model="claude-haiku-4-5")
    assert len(server.requests) < 10


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (400, "invalid_request_error", "Your credit balance is too low", errors.QuotaExceededError),
        (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", errors.ContextOverflowError),
        (401, "authentication_error", f"bad key {KEY}", errors.AuthenticationError),
        (403, "permission_error", "no", errors.PermissionDeniedError),
        (404, "not_found_error", "model: claude-x", errors.ModelNotFoundError),
        (413, "request_too_large", "too large", errors.InvalidRequestError),
        (429, "rate_limit_error", "slow down", errors.RateLimitError),
        (529, "overloaded_error", "Overloaded", errors.ProviderUnavailableError),
    ],
)
async def test_errors(serve: Serve, status: int, kind: str, message: str, expected: type[Exception]) -> None:
    """Each status is its error, and the key is not in it."""
    server = serve(messages_server.error(status, kind, message))
    with pytest.raises(expected) as caught:
        await answer(server)
    assert type(caught.value) is expected
    assert KEY not in str(caught.value)


async def test_broken_streams(serve: Serve) -> None:
    """A stream that ends without its end mark, breaks or reports an error is no answer."""
    overloaded = messages_server.event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    text = [start(), *text_block(0, "Hel")]
    for reply, expected in (
        (Reply(text), errors.StreamInterruptedError),
        (Reply([*text, CUT]), errors.StreamInterruptedError),
        (Reply([start()]), errors.ConnectionFailedError),
        (Reply([start(), overloaded]), errors.ProviderUnavailableError),
        (Reply([*text, "data: {\n\n"]), errors.BadResponseError),
    ):
        with pytest.raises(expected):
            await answer(serve(reply))


# ----------------------------------------------------------------------------------------------------- other questions
async def test_counting_tokens(serve: Serve) -> None:
    """The server counts what the prompt holds; one that cannot is not asked to guess."""
    server = serve(json_reply({"input_tokens": 42}))
    backend = backend_of(server)
    assert await backend.count_tokens(InferenceRequest("hi", tools=(WEATHER,))) == 42
    await backend.unload_model()
    assert server.requests[0].path == "/v1/messages/count_tokens"
    assert set(server.body) == {"model", "messages", "tools"}
    other = backend_of(serve(Reply(["Not Found"], 404, "text/plain")))
    assert await other.count_tokens(InferenceRequest("hi")) is None
    await other.unload_model()


async def test_listing_models(serve: Serve) -> None:
    """All pages of the list, with what it says of each model."""
    first = {"id": "claude-a", "display_name": "A", "max_input_tokens": 1000, "max_tokens": 10,
             "capabilities": {"image_input": {"supported": True}, "pdf_input": {"supported": False}}}  # fmt: skip
    pages = [{"data": [first], "has_more": True, "last_id": "claude-a"}, {"data": [{"id": "claude-b"}]}]
    server = serve(*(json_reply(page) for page in pages))
    backend = backend_of(server)
    models = await backend.available_models()
    await backend.unload_model()
    assert [(model.name, model.context_length) for model in models] == [("claude-a", 1000), ("claude-b", None)]
    assert "images" in models[0].capabilities
    assert "documents" not in models[0].capabilities
    assert [request.path for request in server.requests] == [
        "/v1/models?limit=1000", "/v1/models?limit=1000&after_id=claude-a",
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------ through the SDK
async def test_a_client_of_ones_own(serve: Serve) -> None:
    """A ready client of the SDK answers the same, and stays open."""
    calls = tool_block(1, "toolu_1", "get_weather", '{"city": "Oslo"}')
    server = serve(stream(thinking_block(0, "hm"), calls, reason="tool_use"))
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=server.url.removesuffix("/v1"), max_retries=0) as client:
        backend = AnthropicBackend(info("claude-haiku-4-5"), {"client": client})
        for _ in range(2):
            response = await answer_of(backend, InferenceRequest("?", config=GenerationConfig(temperature=0.5)))
    assert (response.thinking, response.finish_reason) == ("hm", "tool_calls")
    assert response.tool_calls[0].arguments == {"city": "Oslo"}
    assert server.body["temperature"] == 0.5
    assert server.requests[-1].headers["anthropic-version"] == "2023-06-01"


async def test_errors_through_the_sdk(serve: Serve) -> None:
    """Its errors are those of their status, of an event, and of a connection; refusals teach as elsewhere."""
    overloaded = messages_server.event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    cases = (
        (messages_server.error(429, "rate_limit_error", "no", **{"retry_after": "3"}), errors.RateLimitError),
        (Reply([start(), overloaded]), errors.ProviderUnavailableError),
        (Reply([start(), *text_block(0, "Hel")]), errors.StreamInterruptedError),
        (Reply([start(), *text_block(0, "Hel"), CUT]), errors.StreamInterruptedError),
    )
    for reply, expected in cases:
        server = serve(reply)
        url = server.url.removesuffix("/v1")
        async with anthropic.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0) as client:
            with pytest.raises(expected) as caught:
                await answer_of(AnthropicBackend(info("claude-opus-5-5"), {"client": client}))
            assert len(server.requests) == 1
            if expected is errors.RateLimitError:
                assert caught.value.retry_after == 3


async def test_vertex(serve: Serve) -> None:
    """On Vertex the SDK writes the address, and older models are asked in the version that they take."""
    server = serve(HELLO)
    settings = {"base_url": server.url, "region": "europe-west1", "project_id": "p", "access_token": "tok-123456789"}
    response = await answer_of(AnthropicBackend(info("claude-sonnet-4@20250514"), settings))
    assert response.text == "Hello wörld\u2028"
    request = server.requests[0]
    assert request.path.endswith(":streamRawPredict")
    assert request.headers["authorization"] == "Bearer tok-123456789"
    assert request.body["anthropic_version"] == "vertex-2023-10-16"


async def test_bedrock(serve: Serve) -> None:
    """On Bedrock the SDK signs the request and reads Amazon's frames."""
    pytest.importorskip("botocore")
    settings = {"aws_region": "us-east-1", "aws_access_key": "AKIA0123456789", "aws_secret_key": "secret-0123456789"}
    lines = [start(), *text_block(0, "Hel", "lo"), *end()]
    frames = [bedrock_frame(line.partition("data: ")[2].strip()) for line in lines]
    server = serve(Reply(frames, content_type="application/vnd.amazon.eventstream"))
    model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
    response = await answer_of(AnthropicBackend(info(model), {**settings, "base_url": server.url.removesuffix("/v1")}))
    assert (response.text, response.finish_reason) == ("Hello", "stop")
    request = server.requests[0]
    assert request.path.endswith("/invoke-with-response-stream")
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256")
    assert request.body["anthropic_version"] == "bedrock-2023-05-31"
    assert "secret-0123456789" not in json.dumps(request.headers)


def bedrock_frame(data: str) -> bytes:
    """An event in the framing of Amazon's event streams."""
    import base64
    import binascii
    import struct

    payload = json.dumps({"bytes": base64.b64encode(data.encode()).decode()}).encode()
    headers = b""
    for name, value in ((b":event-type", b"chunk"), (b":content-type", b"application/json"),
                        (b":message-type", b"event")):  # fmt: skip
        headers += struct.pack("!B", len(name)) + name + struct.pack("!BH", 7, len(value)) + value
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    prelude += struct.pack("!I", binascii.crc32(prelude))
    return (message := prelude + headers + payload) + struct.pack("!I", binascii.crc32(message))
