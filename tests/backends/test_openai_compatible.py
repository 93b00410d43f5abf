"""The OpenAI-compatible backend against a real server: what it sends, what it reads, and every way to fail."""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from servers import small_model
from servers.chat_server import (
    CUT,
    DONE,
    HANG,
    ChatServer,
    Reply,
    call_delta,
    delta,
    error_reply,
    frame,
    json_reply,
    text_stream,
    usage,
)

from llm_framework import Chunk, GenerationConfig, InferenceRequest, LLMFramework, Message, ModelInfo, errors
from llm_framework.backends.openai_compatible import OpenAICompatibleBackend
from llm_framework.backends.protocols.chat_response import ChatReader
from llm_framework.backends.protocols.sse import ServerSentEvent
from llm_framework.testing import check_backend
from llm_framework.types import (
    DocumentPart,
    ImagePart,
    InferenceResponse,
    ResponseBuilder,
    ResponseFormat,
    ThinkingPart,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)

KEY = "sk-secret-0123456789"
MODEL = ModelInfo("local:m", backend_type="openai_compatible", metadata={"provider": "local", "model_id": "m"})
PNG = b"\x89PNG\r\n\x1a\n0000"
WEATHER = ToolSpec("get_weather", "Weather", {"type": "object", "properties": {"city": {"type": "string"}}})
Serve = Callable[..., ChatServer]


def backend_of(server: ChatServer, **more: Any) -> OpenAICompatibleBackend:
    return OpenAICompatibleBackend(MODEL, {"base_url": server.url, "api_key": KEY, **more})


async def answer(server: ChatServer, request: InferenceRequest | str = "hi", **more: Any) -> InferenceResponse:
    """The whole answer of a backend of its own."""
    backend = backend_of(server, **more)
    request = InferenceRequest(request) if isinstance(request, str) else request
    builder = ResponseBuilder()
    try:
        async for chunk in backend.stream(request):
            builder.add(chunk)
    finally:
        await backend.unload_model()
    return builder.response()


def framework_of(server: ChatServer, tmp_path: Path, **more: Any) -> LLMFramework:
    credentials = {"provider": "openai_compatible", "base_url": server.url, "api_key": KEY, **more.pop("local", {})}
    values = {"models_dir": str(tmp_path), "api_credentials": {"local": credentials}, "default_model": "local:m"}
    return LLMFramework({**values, "max_retries": 0, **more})


# ------------------------------------------------------------------------------------------------------- the contract
async def test_contract(serve: Serve) -> None:
    """It keeps the contract of every backend, tools included, and uses its connections again."""
    server = serve(handler=small_model.answer)
    info = ModelInfo("small", backend_type="openai_compatible")
    settings = {"base_url": server.url, "api_key": KEY}
    nobody = {**settings, "base_url": "http://127.0.0.1:9/v1"}
    await check_backend(
        OpenAICompatibleBackend, info, settings, tools=True, response_format=True, failing_settings=nobody
    )
    assert server.connections < len(server.requests)


async def test_a_plain_answer(serve: Serve) -> None:
    """A stream of text becomes that text, its usage and its finish reason."""
    server = serve(text_stream("Hel", "lo ", "wörld\u2028"))
    response = await answer(server)
    assert (response.text, response.finish_reason, response.usage) == ("Hello wörld\u2028", "stop", Usage(3, 3))
    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.body["stream"] is True
    assert server.body["stream_options"] == {"include_usage": True}


async def test_a_whole_answer(serve: Serve, tmp_path: Path) -> None:
    """Where nobody reads the pieces, a short answer is asked for as a whole; a long one is streamed."""
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
    message = {"role": "assistant", "content": "Let me see.", "reasoning_content": "hm", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    counts = {"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}}
    server = serve(json_reply({"choices": [choice], "usage": counts}), text_stream("x"))
    async with framework_of(server, tmp_path) as framework:
        response = await framework.generate("hi", tools=[WEATHER])
        assert "stream" not in server.body
        assert (response.text, response.thinking) == ("Let me see.", "hm")
        assert response.tool_calls == (ToolCall("c1", "get_weather", {"city": "Oslo"}, '{"city": "Oslo"}'),)
        assert response.usage == Usage(5, 7, cached_tokens=4)
        assert (await framework.generate("hi", max_tokens=100_000)).text == "x"
        assert server.body["stream"] is True


async def test_servers_that_mix_up_the_two_forms(serve: Serve) -> None:
    """A whole answer is understood where a stream was asked for, and a stream under any content type."""
    whole = {"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}
    streamed = text_stream("streamed")
    streamed.content_type = "text/plain"
    server = serve(json_reply(whole), streamed)
    assert (await answer(server)).text == "whole"
    assert (await answer(server)).text == "streamed"


# ------------------------------------------------------------------------------------------------------------- sending
async def test_every_parameter_of_the_protocol(serve: Serve) -> None:
    """Each parameter that the protocol has is sent in its field."""
    server = serve(text_stream("x"))
    config = GenerationConfig(
        max_tokens=9, temperature=0.5, top_p=0.9, stop=("a", "b"), seed=3, presence_penalty=0.1, frequency_penalty=0.2,
        logit_bias={5: -1.0}, logprobs=2, thinking="low",
    )  # fmt: skip
    await answer(server, InferenceRequest("hi", config=config))
    expected = {
        "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "stop": ["a", "b"], "seed": 3, "presence_penalty": 0.1,
        "frequency_penalty": 0.2, "logit_bias": {"5": -1.0}, "logprobs": True, "top_logprobs": 2,
        "reasoning_effort": "low",
    }  # fmt: skip
    assert {name: server.body.get(name) for name in expected} == expected


@pytest.mark.parametrize("name", ["top_k", "min_p", "repetition_penalty"])
async def test_parameters_outside_the_protocol(serve: Serve, tmp_path: Path, name: str) -> None:
    """They raise where the caller gave one, are left out and listed where they are a default, and reach a server whose
    kind is known to take them."""
    server = serve(text_stream("x"))
    given: Any = {name: 1}
    async with framework_of(server, tmp_path, default_top_k=5) as framework:
        with pytest.raises(errors.UnsupportedFeatureError, match=name):
            await framework.generate("hi", **given)
        assert server.requests == []
        lenient = await framework.generate("hi", strict_parameters=False, **given)
        assert set(lenient.dropped_parameters) == {"top_k", name}
        assert (await framework.generate("hi")).dropped_parameters == ("top_k",)
        assert "top_k" not in server.body
    async with framework_of(server, tmp_path, local={"provider": "vllm"}) as framework:
        assert (await framework.generate("hi", **given)).dropped_parameters == ()
        assert server.body[name] == 1
    async with framework_of(server, tmp_path, local={"provider": "llamacpp"}) as framework:
        await framework.generate("hi", repetition_penalty=1.1)
        assert server.body["repeat_penalty"] == 1.1


async def test_a_parameter_that_the_server_refuses(serve: Serve, tmp_path: Path) -> None:
    """A default that the server turns out not to take is left out, at once the next time; an explicit one raises."""

    def handler(request: Any) -> Reply:
        if "temperature" in request.body:
            message = "Unsupported value: 'temperature' does not support 0.7 with this model."
            return error_reply(400, message, "unsupported_value", "temperature")
        return text_stream("x")

    server = serve(handler=handler)
    async with framework_of(server, tmp_path) as framework:
        for requests in (2, 3):
            response = await framework.generate("hi")
            assert (response.text, response.dropped_parameters) == ("x", ("temperature",))
            assert len(server.requests) == requests
        with pytest.raises(errors.UnsupportedFeatureError, match="temperature"):
            await framework.generate("hi", temperature=0.2)


async def test_servers_that_refuse_stream_options_or_max_tokens(serve: Serve) -> None:
    """A server that does not know stream_options, or wants max_completion_tokens, gets what it wants, and keeps
    getting it."""

    def handler(request: Any) -> Reply:
        if "stream_options" in request.body:
            detail = [
                {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs not permitted"}
            ]
            return json_reply({"detail": detail}, 422)
        if "max_tokens" in request.body:
            return error_reply(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return text_stream("x")

    server = serve(handler=handler)
    backend = backend_of(server)
    request = InferenceRequest("hi", config=GenerationConfig(max_tokens=4))
    for requests in (3, 4):
        assert "".join([chunk.text async for chunk in backend.stream(request)]) == "x"
        assert len(server.requests) == requests
    assert server.body["max_completion_tokens"] == 4
    await backend.unload_model()


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ("any", "required"),
        ("get_weather", {"type": "function", "function": {"name": "get_weather"}}),
    ],
)
async def test_tool_choice(serve: Serve, choice: str | None, sent: Any) -> None:
    """Tools and each form of tool_choice are sent as the protocol writes them."""
    server = serve(text_stream("x"))
    await answer(server, InferenceRequest("hi", tools=(WEATHER,), tool_choice=choice))
    assert server.body.get("tool_choice") == sent
    function = {"name": "get_weather", "description": "Weather", "parameters": dict(WEATHER.parameters)}
    assert server.body["tools"] == [{"type": "function", "function": function}]


async def test_strict_tools(serve: Serve) -> None:
    """A tool that asks to be held to its schema says so to the server."""
    server = serve(text_stream("x"))
    await answer(server, InferenceRequest("hi", tools=(replace(WEATHER, strict=True),)))
    assert server.body["tools"][0]["function"]["strict"] is True


class City(BaseModel):
    """A form."""

    name: str


async def test_response_formats(serve: Serve, tmp_path: Path) -> None:
    """A schema is sent as json_schema, strict only where strict servers would take it; where a server knows no schemas
    it is told in words; a pattern is refused where nothing would hold the answer to it."""
    server = serve(text_stream('{"name": "Oslo"}'))
    async with framework_of(server, tmp_path) as framework:
        response = await framework.generate("hi", response_format=City, max_tokens=5000)
        assert response.parsed == City(name="Oslo")
        form = server.body["response_format"]
        assert form["type"] == "json_schema"
        assert form["json_schema"]["name"] == "City"
        assert "strict" not in form["json_schema"]
        closed = {**City.model_json_schema(), "additionalProperties": False}
        await framework.generate("hi", response_format=closed)
        assert server.body["response_format"]["json_schema"] == {"name": "City", "schema": closed, "strict": True}
        await framework.generate("hi", response_format={"type": "json_object"})
        assert server.body["response_format"] == {"type": "json_object"}
        with pytest.raises(errors.UnsupportedFeatureError, match="regular expression"):
            await framework.generate("hi", response_format="[a-z]+")
        with pytest.raises(errors.UnsupportedFeatureError, match="Lark grammar"):
            await framework.generate("hi", response_format=ResponseFormat(lark='start: "a"'))
    async with framework_of(server, tmp_path, local={"provider": "deepseek"}) as framework:
        await framework.generate("hi", response_format=City)
        assert server.body["response_format"] == {"type": "json_object"}
        assert "JSON schema" in server.body["messages"][0]["content"]
    vllm = backend_of(server, provider="vllm")
    assert [c async for c in vllm.stream(InferenceRequest("hi", response_format=ResponseFormat(regex="[a-z]+")))]
    assert server.body["structured_outputs"] == {"regex": "[a-z]+"}
    await vllm.unload_model()


async def test_a_whole_chat(serve: Serve, tmp_path: Path) -> None:
    """Text, images of every source, documents, calls and their results are sent as the protocol writes them."""
    (tmp_path / "a.png").write_bytes(PNG)
    call = ToolCall.create("get_weather", {"city": "Zürich"}, id="call_1")
    messages = (
        Message.system("Be brief."),
        Message.user(
            "See:", ImagePart(data=PNG), ImagePart(url="https://a.b/c.jpg"), ImagePart(path=tmp_path / "a.png"),
            DocumentPart(data=b"%PDF-1", name="a.pdf"),
        ),
        Message.assistant(ThinkingPart("hm"), call, ToolCall.from_raw("call_2", "get_weather", "{broken")),
        Message.tool(ToolResult("call_1", "rain"), ToolResult("call_2", "no")),
    )  # fmt: skip
    server = serve(text_stream("x"))
    await answer(server, InferenceRequest(messages=messages))
    system, user, assistant, *results = server.body["messages"]
    data_url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert system == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in user["content"]] == ["text", "image_url", "image_url", "image_url", "file"]
    urls = [part["image_url"]["url"] for part in user["content"][1:4]]
    assert urls == [data_url, "https://a.b/c.jpg", data_url]
    assert user["content"][4]["file"]["file_data"].startswith("data:application/pdf;base64,")
    assert assistant["content"] is None
    assert [c["function"]["arguments"] for c in assistant["tool_calls"]] == ['{"city": "Zürich"}', "{broken"]
    assert "reasoning_content" not in assistant
    assert results == [
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "tool", "tool_call_id": "call_2", "content": "no"},
    ]
    await answer(server, InferenceRequest(messages=messages), provider="mistral")
    ids = [c["id"] for c in server.body["messages"][2]["tool_calls"]]
    assert [len(id) for id in ids] == [9, 9]
    assert ids == [message["tool_call_id"] for message in server.body["messages"][3:]]
    await answer(server, InferenceRequest(messages=messages), provider="deepseek")
    assert server.body["messages"][2]["reasoning_content"] == "hm"
    with pytest.raises(errors.InvalidRequestError, match=r"missing\.png"):
        await answer(server, InferenceRequest(messages=(Message.user(ImagePart(path="missing.png")),)))


@pytest.mark.parametrize(
    ("provider", "thinking", "expected"),
    [
        ("openrouter", 500, {"reasoning": {"max_tokens": 500}}),
        ("openrouter", "off", {"reasoning": {"enabled": False}}),
        ("vllm", "off", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("deepseek", "high", {"thinking": {"type": "enabled"}}),
        ("groq", "off", {"reasoning_effort": "none"}),
        ("ollama", "high", {"reasoning_effort": "high"}),
    ],
)
async def test_thinking(serve: Serve, provider: str, thinking: Any, expected: dict[str, Any]) -> None:
    """The one control of thinking is said in each gateway's own way."""
    server = serve(text_stream("x"))
    await answer(server, InferenceRequest("hi", config=GenerationConfig(thinking=thinking)), provider=provider)
    assert expected.items() <= server.body.items()


# ------------------------------------------------------------------------------------------------------------- reading
async def test_parallel_tool_calls(serve: Serve) -> None:
    """Calls that come in interleaved pieces, ids and names repeated or not, are put together by their number."""
    pieces = [
        delta(content="Let me see."),
        delta(tool_calls=[call_delta(0, "a", "get_weather", "")]),
        delta(tool_calls=[call_delta(1, "b", "get_time", '{"ci')]),
        delta(tool_calls=[call_delta(0, "a", "get_weather", '{"city": '), call_delta(1, None, None, 'ty": "Rome"}')]),
        delta(tool_calls=[call_delta(0, None, None, '"Oslo"}')]),
        delta("tool_calls"),
        DONE,
    ]
    response = await answer(serve(Reply(pieces)))
    calls = [(call.id, call.name, call.arguments) for call in response.tool_calls]
    assert calls == [("a", "get_weather", {"city": "Oslo"}), ("b", "get_time", {"city": "Rome"})]
    assert (response.text, response.finish_reason) == ("Let me see.", "tool_calls")


@pytest.mark.parametrize(
    "pieces",
    [
        [(None, "a", "f", "{}"), (None, "b", "g", "{}")],  # no numbers
        [(None, None, "f", "{}"), (None, None, "g", "{}")],  # nor ids
        [(0, "a", "f", "{}"), (0, "b", "g", "{}")],  # the same number for each
        [(0, "a", "f", "{"), (0, "x", None, "}"), (1, "b", "g", "{"), (1, "y", None, "}")],  # a new id in every piece
        [(0, "a", "f", "{"), (0, "", "", "}"), (1, "b", "g", ""), (1, None, "g", "{}")],
        [(3, "a", "f", "{}"), (5, "b", "g", "{}")],
    ],
)
async def test_tool_calls_of_careless_servers(serve: Serve, pieces: list[tuple[Any, ...]]) -> None:
    """Missing or repeated numbers and ids still give the two calls that were meant."""
    server = serve(Reply([*(delta(tool_calls=[call_delta(*piece)]) for piece in pieces), delta("stop"), DONE]))
    response = await answer(server)
    assert [(call.name, call.arguments) for call in response.tool_calls] == [("f", {}), ("g", {})]
    assert response.finish_reason == "tool_calls"


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text(min_size=1), st.dictionaries(st.text(), st.text())), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_any_cut_of_any_calls(calls: list[tuple[str, dict[str, str]]], random: Any) -> None:
    """Any calls, cut and interleaved in any way, come out as they were."""
    pieces: list[list[Any]] = []
    for index, (name, arguments) in enumerate(calls):
        text = json.dumps(arguments)
        cuts = sorted(random.choices(range(len(text) + 1), k=random.randrange(5)))
        parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        repeat = random.random() < 0.5
        pieces.append(
            [call_delta(index, *((f"id{index}", name) if repeat or not n else (None, None)), part)
             for n, part in enumerate(parts)]
        )  # fmt: skip
    reader, builder = ChatReader("test", "m"), ResponseBuilder()
    first = [queue.pop(0) for queue in pieces]  # they begin in order, as servers send them
    while first or any(pieces):
        piece = first.pop(0) if first else random.choice([queue for queue in pieces if queue]).pop(0)
        for chunk in reader.event(event({"choices": [{"delta": {"tool_calls": [piece]}}]})):
            builder.add(chunk)
    found = builder.response().tool_calls
    assert [(call.name, call.arguments) for call in found] == calls


async def test_thinking_logprobs_and_usage(serve: Serve) -> None:
    """Reasoning in either field, as parts too, log-probabilities and every count of usage are read."""
    top = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -2.5}]
    logprobs = {"content": [{"token": "a", "logprob": -0.1, "top_logprobs": top}]}
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "3"}]}, {"type": "text", "text": "b"}]
    details = {"completion_tokens_details": {"reasoning_tokens": 4}, "prompt_tokens_details": {"cached_tokens": 1}}
    pieces = [
        delta(reasoning_content="1"), delta(reasoning="2"), delta(content=parts), delta(content="a", logprobs=logprobs),
        delta("length"), usage(5, 6, **details), DONE,
    ]  # fmt: skip
    response = await answer(serve(Reply(pieces)))
    assert (response.thinking, response.text, response.finish_reason) == ("123", "ba", "length")
    assert response.usage == Usage(5, 6, cached_tokens=1, reasoning_tokens=4)
    assert [(item.token, item.logprob, len(item.top)) for item in response.logprobs] == [("a", -0.1, 2)]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(min_size=1), min_size=1, max_size=5), st.lists(st.integers(0, 2000), max_size=30))
def test_any_cut_of_the_bytes(serve: Serve, texts: list[str], cuts: list[int]) -> None:
    """However the network cuts the stream, the text is the same."""
    content = "".join(str(piece) for piece in text_stream(*texts).pieces).replace("\n\n", "\r\n\r\n").encode()
    content = b": ping\r\n\r\n" + content
    places = [0, *sorted(cut for cut in cuts if 0 < cut < len(content)), len(content)]
    pieces = [content[a:b] for a, b in pairwise(places) if a < b]
    with ChatServer(Reply(pieces)) as server:
        assert asyncio.run(answer(server)).text == "".join(texts)


# --------------------------------------------------------------------------------------------------------- broken ends
@pytest.mark.parametrize("end", [(), (CUT,), ("data: {half",), (frame({"error": {"message": "overloaded"}}),)])
async def test_a_stream_that_breaks_off(serve: Serve, end: tuple[Any, ...]) -> None:
    """Without its end mark an answer is never a success: before its first piece the connection failed, after it the
    stream was interrupted."""
    early = Reply([delta(role="assistant", content=""), *end])
    late = Reply([delta(content="The answer"), *end])
    expected = errors.ProviderUnavailableError if "error" in str(end) else errors.ConnectionFailedError
    with pytest.raises(expected):
        await answer(serve(early))
    framework = LLMFramework({"api_credentials": {"l": {"provider": "openai_compatible", "base_url": serve(late).url}}})
    async with framework:
        with pytest.raises(errors.StreamInterruptedError) as caught:
            await framework.generate("hi", model_name="l:m")
    assert caught.value.response.text == "The answer"


async def test_a_whole_body_that_is_cut(serve: Serve) -> None:
    """A body shorter than it promised is a broken connection."""
    reply = Reply(['{"choices": [', CUT], content_type="application/json", length=500)
    with pytest.raises(errors.ConnectionFailedError):
        await answer(serve(reply))


@pytest.mark.parametrize(
    "reply",
    [
        Reply([frame("{nonsense"), DONE]),
        Reply([frame([1]), DONE]),
        Reply([DONE]),
        Reply(["<html>Sign in</html>"], content_type="text/html"),
        json_reply({"choices": []}),
        json_reply([]),
        Reply(["{"], content_type="application/json"),
    ],
)
async def test_nonsense(serve: Serve, reply: Reply) -> None:
    """What cannot be read is BadResponseError, never an empty success or an error of another library."""
    with pytest.raises((errors.BadResponseError, errors.ConnectionFailedError)) as caught:
        await answer(serve(reply))
    assert caught.value.retryable


async def test_end_mark_without_finish_reason(serve: Serve) -> None:
    """[DONE] alone ends an answer, and so does a finish reason alone."""
    server = serve(Reply([delta(content="a"), DONE]), Reply([delta(content="b"), delta("length")]))
    assert (await answer(server)).finish_reason == "stop"
    assert (await answer(server)).finish_reason == "length"


async def test_retried_until_the_first_piece_only(serve: Serve, tmp_path: Path) -> None:
    """A stream that breaks before its first piece is tried again; after it never."""
    server = serve(Reply([delta(content=""), CUT]), text_stream("fine"))
    async with framework_of(server, tmp_path, max_retries=1) as framework:
        assert (await framework.generate("hi")).text == "fine"
        assert len(server.requests) == 2
        server.replies = [Reply([delta(content="a"), CUT])]
        with pytest.raises(errors.StreamInterruptedError):
            await framework.generate("hi")
        assert len(server.requests) == 3


# -------------------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "retryable"),
    [
        (400, None, "bad", errors.InvalidRequestError, False),
        (400, "context_length_exceeded", "too long", errors.ContextOverflowError, False),
        (400, None, "This model's maximum context length is 4096 tokens.", errors.ContextOverflowError, False),
        (400, None, "the request exceeds the available context size", errors.ContextOverflowError, False),
        (400, "content_filter", "no", errors.ContentFilterError, False),
        (401, None, "no", errors.AuthenticationError, False),
        (402, None, "pay", errors.QuotaExceededError, False),
        (403, None, "no", errors.PermissionDeniedError, False),
        (404, "model_not_found", "The model does not exist", errors.ModelNotFoundError, False),
        (404, None, "Not Found", errors.ConfigurationError, False),
        (422, None, "bad", errors.InvalidRequestError, False),
        (429, None, "slow down", errors.RateLimitError, True),
        (429, "insufficient_quota", "You exceeded your current quota", errors.QuotaExceededError, False),
        (500, None, "oops", errors.ProviderUnavailableError, True),
        (500, None, "context size exceeded, context window is full", errors.ContextOverflowError, False),
        (503, None, "loading", errors.ProviderUnavailableError, True),
        (529, None, "overloaded", errors.ProviderUnavailableError, True),
    ],
)
async def test_statuses(
    serve: Serve, status: int, code: str | None, message: str, kind: type[errors.LLMFrameworkError], retryable: bool
) -> None:
    """Each status is the error that it means, with the status and the provider's words, and survives pickling."""
    with pytest.raises(errors.LLMFrameworkError) as caught:
        await answer(serve(error_reply(status, message, code)))
    error = caught.value
    assert type(error) is kind
    assert (error.retryable, error.status, error.provider, error.model) == (retryable, status, "local", "m")
    assert message in str(error)
    assert pickle.loads(pickle.dumps(error)).status == status


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"error": "model is loading"}', "model is loading"),
        ('{"object": "error", "message": "flat"}', "flat"),
        ('{"detail": "fast"}', "fast"),
        ("plain", "plain"),
        ("<html><head><style>x{}</style></head><body><h1>502 Bad Gateway</h1></body></html>", "502 Bad Gateway"),
        ("", ""),
        ("\xff\xfe", ""),
        ('{"error": null}', ""),
        ("[]", ""),
    ],
)
async def test_error_bodies(serve: Serve, body: str, message: str) -> None:
    """Every form of error body is read, and none breaks the reading."""
    reply = Reply([body.encode("latin-1")] if body else [], 502, "application/json")
    with pytest.raises(errors.ProviderUnavailableError) as caught:
        await answer(serve(reply))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"retry-after": "7"}, 7, 7),
        ({"retry-after": "0.25"}, 0.25, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5, 1.5),
        ({"retry-after": formatdate(time.time() + 3600, usegmt=True)}, 60, 3601),
        ({"retry-after": formatdate(0, usegmt=True)}, 0, 0),
    ],
)
async def test_retry_after(serve: Serve, headers: dict[str, str], low: float, high: float) -> None:
    """The wait is read from seconds, milliseconds or a date."""
    with pytest.raises(errors.RateLimitError) as caught:
        await answer(serve(Reply(["{}"], 429, "application/json", headers)))
    assert caught.value.retry_after is not None
    assert low <= caught.value.retry_after <= high


@pytest.mark.parametrize("wait", ["soon", "nan", "inf"])
async def test_retry_after_that_makes_no_sense(serve: Serve, wait: str) -> None:
    """A wait that is none is not there."""
    with pytest.raises(errors.RateLimitError) as caught:
        await answer(serve(Reply(["{}"], 429, "application/json", {"retry-after": wait})))
    assert caught.value.retry_after is None


async def test_an_error_with_its_status_inside_a_stream(serve: Serve) -> None:
    """A gateway that tells of an error inside a stream is believed about its status."""
    reply = Reply([frame({"error": {"code": 429, "message": "slow", "metadata": {"raw": "upstream"}}})])
    with pytest.raises(errors.RateLimitError, match="slow: upstream"):
        await answer(serve(reply))


async def test_the_key_is_in_no_error(serve: Serve) -> None:
    """Not even a server that repeats the key in its error brings it into ours."""
    server = serve(
        error_reply(401, f"Incorrect API key provided: {KEY}"),
        Reply([frame({"error": {"message": f"bad {KEY}"}})]),
        Reply([frame(f"{{{KEY}")]),
    )
    for _ in range(3):
        with pytest.raises(errors.LLMFrameworkError) as caught:
            await answer(server)
        assert KEY not in f"{caught.value!r} {caught.value} {caught.value.__dict__}"
    backend = backend_of(server)
    assert KEY not in repr(backend)
    with pytest.raises(errors.AuthenticationError) as refused:
        backend_of(server, api_key="sk-with\nnewline")
    assert "newline" not in str(refused.value)


async def test_redirects_are_not_followed(serve: Serve) -> None:
    """A redirect to another host gets neither the request nor the key."""
    other = serve(text_stream("stolen"))
    server = serve(Reply([], 307, headers={"Location": f"{other.url}/chat/completions"}))
    with pytest.raises(errors.ConfigurationError, match="redirect"):
        await answer(server)
    assert other.requests == []


async def test_nobody_there() -> None:
    """A port where nobody listens is a failed connection that names the address."""
    with ChatServer() as server:
        port = server.port
    backend = OpenAICompatibleBackend(MODEL, {"base_url": f"http://user:pass@127.0.0.1:{port}/v1"})
    with pytest.raises(errors.ConnectionFailedError, match=str(port)) as caught:
        await backend.generate_text("hi")
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize("base_url", [None, "", "127.0.0.1:8000", "ftp://a.b", "http://", "http://a:port", 7])
def test_base_urls_that_are_none(base_url: Any) -> None:
    """What cannot be an address is told before anything is sent."""
    with pytest.raises(errors.ConfigurationError, match="base_url"):
        OpenAICompatibleBackend(MODEL, {"base_url": base_url})


# ------------------------------------------------------------------------------------------------- limits, cancellation
async def test_limits_of_time(serve: Serve, tmp_path: Path) -> None:
    """A server that falls silent is given up by the limit that holds there, and its connection closed."""
    server = serve(Reply([HANG]))
    async with framework_of(server, tmp_path, first_token_timeout=0.05) as framework:
        with pytest.raises(errors.RequestTimeoutError) as first:
            async for _ in framework.stream("hi"):
                pass
        assert first.value.limit == "first_token"
    async with framework_of(server, tmp_path, idle_timeout=0.05) as framework:
        server.replies = [Reply([delta(content="a"), HANG])]
        with pytest.raises(errors.RequestTimeoutError) as idle:
            async for _ in framework.stream("hi"):
                pass
        assert (idle.value.limit, idle.value.response.text) == ("idle", "a")
        server.replies = [Reply([HANG])]
        with pytest.raises(errors.RequestTimeoutError) as total:
            await framework.generate("hi", timeout=0.05, max_retries=0)
    assert total.value.limit in ("total", "first_token")
    for request in server.requests:
        assert await asyncio.to_thread(request.disconnected.wait, 10)


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_stopping_closes_the_connection(serve: Serve, how: str) -> None:
    """Closing the stream, or cancelling the task that reads it, makes the server see the end."""
    server = serve(Reply([delta(content="a"), HANG]))
    backend = backend_of(server)
    stream = backend.stream(InferenceRequest("hi"))
    assert (await anext(stream)).text == "a"
    if how == "close":
        await stream.aclose()
    else:
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await asyncio.to_thread(server.requests[0].disconnected.wait, 10)
    await backend.unload_model()


# -------------------------------------------------------------------------------------------------- loops and threads
def test_a_client_for_each_loop_and_none_left(serve: Serve) -> None:
    """Each event loop has its own client, used again on that loop and closed when the loop ends."""
    server = serve(text_stream("x"))
    backend = backend_of(server)

    async def ask_twice() -> Any:
        for _ in range(2):
            assert await backend.generate_text("hi") == "x"
        return await backend._clients.get()

    clients = [asyncio.run(ask_twice()) for _ in range(3)]
    assert [client.is_closed for client in clients] == [True, True, True]
    assert server.connections == 3
    asyncio.run(backend.unload_model())
    assert len(backend._clients) == 0


def test_unloading_closes_the_clients_of_other_loops(serve: Serve) -> None:
    """Unloading on one loop closes the client of another that runs."""
    server = serve(text_stream("x"))
    backend = backend_of(server)
    ready, done = threading.Event(), threading.Event()
    clients: list[Any] = []

    async def elsewhere() -> None:
        await backend.generate_text("hi")
        clients.append(await backend._clients.get())
        ready.set()
        await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
    thread.start()
    assert ready.wait(10)
    asyncio.run(backend.unload_model())
    assert clients[0].is_closed
    done.set()
    thread.join()


def test_threads(serve: Serve, tmp_path: Path) -> None:
    """Many threads may ask one framework, blocking and on loops of their own."""
    server = serve(handler=small_model.answer)
    framework = framework_of(server, tmp_path, default_model="local:small")
    texts: list[str] = []

    def blocking() -> None:
        texts.append(framework.sync.generate_text("hi"))

    def own_loop() -> None:
        texts.append(asyncio.run(framework.generate_text("hi")))

    threads = [threading.Thread(target=target) for target in (blocking, own_loop) * 4]
    with framework:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(texts) == 8
    assert set(texts) == {small_model.COUNTING}


# ----------------------------------------------------------------------------------------------------------- end to end
def test_adapters(serve: Serve) -> None:
    """The models of LangChain and LlamaIndex reach an endpoint by base_url and api_key alone."""
    from langchain_llm_framework import FrameworkChatModel
    from llama_index.llms.llm_framework import FrameworkLLM

    server = serve(handler=small_model.answer)
    model = FrameworkChatModel(model="small", base_url=server.url, api_key=KEY)
    assert model.invoke("hi").text == small_model.COUNTING
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    chunks = list(model.stream("hi"))
    assert "".join(chunk.text for chunk in chunks) == small_model.COUNTING
    assert chunks[-1].usage_metadata is not None
    llm = FrameworkLLM(model="small", base_url=server.url, api_key=KEY)
    assert llm.complete("hi").text == small_model.COUNTING


async def test_gateways_by_name(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway's name before the colon finds its row, its key variable, and a base_url that replaces its own."""
    server = serve(text_stream("x"))
    monkeypatch.setenv("GROQ_API_KEY", "gsk-from-variable")
    values = {"models_dir": str(tmp_path), "api_credentials": {"groq": {"base_url": server.url}}}
    async with LLMFramework(values) as framework:
        assert framework.get_model_info("groq:llama").backend_type == "openai_compatible"
        assert await framework.generate_text("hi", model_name="groq:llama") == "x"
        assert framework.get_model_info("ollama:qwen3:8b").metadata["model_id"] == "qwen3:8b"
    assert server.requests[0].headers["authorization"] == "Bearer gsk-from-variable"
    assert server.body["model"] == "llama"


async def test_headers_and_body_of_the_configuration(serve: Serve, tmp_path: Path) -> None:
    """`headers` and `extra_body` of an endpoint are sent with every request."""
    server = serve(text_stream("x"))
    local = {"headers": {"X-Title": "test"}, "extra_body": {"keep_alive": "5m"}}
    async with framework_of(server, tmp_path, local=local) as framework:
        await framework.generate("hi")
    assert server.requests[0].headers["x-title"] == "test"
    assert server.body["keep_alive"] == "5m"


async def test_embeddings(serve: Serve, tmp_path: Path) -> None:
    """Vectors come back in the order of the texts."""
    data = [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}]
    server = serve(json_reply({"data": data}), json_reply({"data": data[:1]}), error_reply(401, "no"))
    async with framework_of(server, tmp_path) as framework:
        assert await framework.embed(["a", "b"], model_name="local:m") == [[1.0, 2.0], [3.0, 4.0]]
        assert server.requests[0].path == "/v1/embeddings"
        with pytest.raises(errors.BadResponseError):
            await framework.embed(["a", "b"], model_name="local:m")
        with pytest.raises(errors.AuthenticationError):
            await framework.embed(["a"], model_name="local:m")


# ------------------------------------------------------------------------------- what real servers do (backends/real)
INVALID = "1 validation error: {'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be 'json_object'\"}"
FORM = ResponseFormat(schema={"type": "object", "properties": {"a": {"type": "integer"}}})


async def test_name_and_id_in_every_piece_of_a_call(serve: Serve) -> None:
    """Where a server repeats a call's id and name in every piece, only the first piece of ours has them: whoever adds
    pieces up would get the name many times over."""
    pieces = [call_delta(0, "a", "get_weather", text) for text in ('{"city"', ': "Os', 'lo"}')]
    empty = delta(role="assistant", content=None, tool_calls=None, function_call=None)
    frames = [empty, *(delta(role=None, content=None, tool_calls=[piece]) for piece in pieces), delta("tool_calls")]
    backend = backend_of(serve(Reply([*frames, DONE])))
    calls = [chunk.tool_call async for chunk in backend.stream(InferenceRequest("hi")) if chunk.tool_call]
    assert [(call.id, call.name) for call in calls] == [("a", "get_weather"), (None, None), (None, None)]
    assert "".join(call.arguments for call in calls) == '{"city": "Oslo"}'
    await backend.unload_model()


async def test_a_stream_without_a_word(serve: Serve) -> None:
    """A stream that ends before it began is asked for again as a whole, over a connection of its own: its error or its
    answer is the call's."""
    overflow = error_reply(400, "This model's maximum context length is 512 tokens.", "context_length_exceeded")
    server = serve(Reply([]), overflow)
    with pytest.raises(errors.ContextOverflowError) as caught:
        await answer(server)
    assert caught.value.limit == 512
    assert [request.body.get("stream") for request in server.requests] == [True, None]
    assert "stream_options" not in server.body
    assert server.connections == 2
    whole = {"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}
    assert (await answer(serve(Reply([]), json_reply(whole)))).text == "whole"
    with pytest.raises(errors.BadResponseError):
        await answer(serve(Reply([])))


async def test_end_mark_of_an_answer_that_was_dropped(serve: Serve, tmp_path: Path) -> None:
    """[DONE] without a reason to finish, on a connection that breaks, is an answer that was dropped; with a reason, the
    answer is whole however the connection ends."""
    dropped = Reply([delta(content="The ans"), DONE, CUT])
    with pytest.raises(errors.StreamInterruptedError):
        await answer(serve(dropped))
    with pytest.raises(errors.ConnectionFailedError):
        await answer(serve(Reply([delta(role="assistant"), DONE, CUT])))
    response = await answer(serve(Reply([delta(content="The answer."), delta("length"), usage(3, 4), DONE, CUT])))
    assert (response.text, response.finish_reason, response.usage) == ("The answer.", "length", Usage(3, 4))


@pytest.mark.parametrize(
    "pieces", [["One, tw", "o, thr", "ee, four"], ["One, two, three, four"], list("One, two, three")]
)
async def test_a_stop_string_that_the_server_leaves_in(serve: Serve, pieces: list[str]) -> None:
    """A stop string is not part of the text, nor is what comes after it, though a server may send both."""
    request = InferenceRequest("hi", config=GenerationConfig(stop=(" three", "zzz")))
    frames = [delta(content=piece) for piece in pieces]
    response = await answer(serve(Reply([*frames, delta("length"), usage(3, 9), DONE])), request)
    assert (response.text, response.finish_reason, response.usage) == ("One, two,", "stop", Usage(3, 9))
    message = {"content": "".join(pieces)}
    response = await answer(serve(json_reply({"choices": [{"message": message, "finish_reason": "stop"}]})), request)
    assert response.text == "One, two,"


async def test_text_that_only_begins_like_a_stop_string(serve: Serve) -> None:
    """What is held back because it may become a stop string is given out when it does not."""
    request = InferenceRequest("hi", config=GenerationConfig(stop=(" three",)))
    response = await answer(serve(text_stream("One, two, th", "ick thr")), request)
    assert (response.text, response.finish_reason) == ("One, two, thick thr", "stop")


@pytest.mark.parametrize(("status", "kind"), [(500, "server"), (422, "client")])
async def test_schema_for_a_server_that_takes_it_otherwise(serve: Serve, status: int, kind: str) -> None:
    """A server that knows no json_schema gets the schema beside json_object, and gets it so from then on."""

    def handler(request: Any) -> Reply:
        if request.body["response_format"]["type"] == "json_schema":
            return error_reply(status, INVALID)
        return text_stream('{"a": 1}')

    server = serve(handler=handler)
    backend = backend_of(server, extra_body={"user": "me"})
    for requests in (2, 3):
        chunks = [chunk async for chunk in backend.stream(InferenceRequest("hi", response_format=FORM))]
        assert "".join(chunk.text for chunk in chunks) == '{"a": 1}'
        assert server.body["response_format"] == {"type": "json_object", "schema": FORM.schema}
        assert server.body["user"] == "me"
        assert len(server.requests) == requests
    await backend.unload_model()


async def test_calls_without_text_for_a_server_that_wants_text(serve: Serve) -> None:
    """The content of a message that only calls tools is null, and "" for a server that refuses that."""

    def handler(request: Any) -> Reply:
        if request.body["messages"][1]["content"] is None:
            return error_reply(
                500, "2 validation errors: {'loc': ('body', 'messages', 1, 'content'), 'msg': 'no string'}"
            )
        return text_stream("sunny")

    call = ToolCall.create("get_weather", {"city": "Oslo"})
    history = (Message.user("Weather?"), Message.assistant(call), Message.tool(ToolResult(call.id, "sunny")))
    server = serve(handler=handler)
    assert (await answer(server, InferenceRequest(messages=history))).text == "sunny"
    assert server.body["messages"][1]["content"] == ""
    assert len(server.requests) == 2
    await answer(server, InferenceRequest(messages=history), provider="llama_cpp_python")
    assert len(server.requests) == 3


async def test_a_request_that_the_server_could_not_validate(serve: Serve) -> None:
    """A 500 that speaks of validation is a wrong request: it is InvalidRequestError and not tried again."""
    server = serve(error_reply(500, "1 validation error:\n  {'loc': ('body', 'temperature'), 'msg': 'Input'}"))
    with pytest.raises(errors.InvalidRequestError) as caught:
        await answer(server)
    assert (caught.value.status, caught.value.retryable) == (500, False)


async def test_the_only_model_is_another(serve: Serve) -> None:
    """A server that was started for one model and says so has not got ours."""
    server = serve(json_reply({"detail": "Server is pinned to 'a/b'; requested 'm'."}, 400))
    with pytest.raises(errors.ModelNotFoundError, match="'m'"):
        await answer(server)


async def test_fields_refused_together(serve: Serve) -> None:
    """Fields that a server calls unexpected are left out where they are defaults."""

    def handler(request: Any) -> Reply:
        if "top_k" in request.body:
            return json_reply({"detail": "Unexpected fields in the request: {'top_k'}"}, 422)
        return text_stream("x")

    request = InferenceRequest("hi", config=GenerationConfig(top_k=3))
    response = await answer(serve(handler=handler), request, provider="vllm")
    assert (response.text, response.dropped_parameters) == ("x", ("top_k",))


@pytest.mark.parametrize(
    ("provider", "choice", "tools", "sent"),
    [
        ("llama_cpp_python", "any", 1, {"type": "function", "function": {"name": "get_weather"}}),
        ("llama_cpp_python", "get_weather", 2, {"type": "function", "function": {"name": "get_weather"}}),
        ("llama_cpp_python", "any", 2, None),
        ("transformers_serve", "auto", 2, "auto"),
        ("transformers_serve", "any", 1, None),
        ("transformers_serve", "get_weather", 1, None),
    ],
)
async def test_forced_calls_where_servers_ignore_them(
    serve: Serve, provider: str, choice: str, tools: int, sent: Any
) -> None:
    """A forced call is said in the way that the server heeds, or refused where there is none."""
    given = (WEATHER, ToolSpec("get_time"))[:tools]
    server = serve(text_stream("x"))
    request = InferenceRequest("hi", tools=given, tool_choice=choice)
    if sent is None:
        with pytest.raises(errors.UnsupportedFeatureError) as caught:
            await answer(server, request, provider=provider)
        assert caught.value.feature == "tool_choice"
    else:
        await answer(server, request, provider=provider)
        assert server.body["tool_choice"] == sent


@pytest.mark.parametrize(
    ("body", "lengths"),
    [
        ({"object": "list", "data": [{"id": "a", "max_model_len": 4096}, {"id": "b"}]}, {"a": 4096, "b": None}),
        ({"data": [{"id": "a/b", "context_length": 8192}, {"no": "id"}]}, {"a/b": 8192}),
        ([{"id": "a", "context_length": 1024, "type": "chat"}], {"a": 1024}),
        ({"data": [{"id": "a", "meta": {"n_ctx_train": 2048}}]}, {"a": 2048}),
        ({"data": []}, {}),
    ],
)
async def test_available_models(serve: Serve, body: Any, lengths: dict[str, int | None]) -> None:
    """The models that a server lists are described, with the context that it says, in each form of such lists."""
    server = serve(json_reply(body))
    backend = backend_of(server)
    listed = await backend.available_models()
    assert {info.name: info.context_length for info in listed} == lengths
    assert all(info.metadata == {"provider": "local", "model_id": info.name} for info in listed)
    assert (server.requests[0].method, server.requests[0].path) == ("GET", "/v1/models")
    await backend.unload_model()


@pytest.mark.parametrize("body", [{"object": "list"}, {"data": 1}, 5])
async def test_a_list_of_models_that_is_none(serve: Serve, body: Any) -> None:
    """An answer that lists nothing is BadResponseError."""
    backend = backend_of(serve(json_reply(body)))
    with pytest.raises(errors.BadResponseError):
        await backend.available_models()
    await backend.unload_model()


async def test_an_address_with_a_query(serve: Serve) -> None:
    """What stands behind the address's question mark stays there."""
    server = serve(text_stream("x"))
    assert (await answer(server, base_url=f"{server.url}?version=2")).text == "x"
    assert server.requests[0].path == "/v1/chat/completions?version=2"


def test_without_httpx(tmp_path: Path) -> None:
    """Where httpx is not installed, the error names the extra."""
    import subprocess
    import sys

    code = """
import sys; sys.modules["httpx"] = None
from llm_framework import ModelInfo
from llm_framework.backends import create_backend
try: create_backend(ModelInfo("m", backend_type="openai_compatible"))
except ImportError as error: print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "llm-framework[openai-compatible]" in done.stdout


def event(frame: Any) -> ServerSentEvent:
    """One event of the stream."""
    return ServerSentEvent(json.dumps(frame))


def test_chunks_are_chunks() -> None:
    """A frame without choices, such as the one that counts tokens, gives no chunk."""
    reader = ChatReader("test", "m")
    assert list(reader.event(event({"usage": {"prompt_tokens": 1, "completion_tokens": None}}))) == []
    assert reader.usage == Usage(1, 0)
    assert list(reader.event(event({"choices": [{"delta": {"content": "x"}}]}))) == [Chunk("x")]


async def test_available_models_of_a_provider(serve: Serve, tmp_path: Path) -> None:
    """The framework and the command line ask a provider which models it offers now."""
    server = serve(json_reply({"data": [{"id": "a/b", "context_length": 8192}, {"id": "c"}]}))
    config = {"api_credentials": {"mine": {"provider": "openai_compatible", "base_url": server.url}}}
    async with LLMFramework(config) as framework:
        assert [info.name for info in await framework.available_models("mine")] == ["a/b", "c"]
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(config))
    command = [sys.executable, "-m", "llm_framework.cli", "models", "list", "--provider", "mine", "--config", str(file)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("mine:a/b\nmine:c\n", "")
