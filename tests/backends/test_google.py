"""The Google backend against a real server: what it sends, what it reads, and every way to fail."""

from __future__ import annotations

import base64
import itertools
import json
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.chat_server import CUT, HANG, ChatServer, Handler, Reply, frame, json_reply

from llm_framework import GenerationConfig, InferenceRequest, LLMFramework, Message, ModelInfo, errors
from llm_framework.testing import check_backend
from llm_framework.types import (
    DocumentPart,
    ImagePart,
    InferenceResponse,
    ResponseBuilder,
    ResponseFormat,
    TextPart,
    ThinkingPart,
    TokenLogprob,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)

pytest.importorskip("google.genai")
from llm_framework.backends.google import GoogleBackend
from llm_framework.backends.protocols import gemini_request, gemini_schema
from llm_framework.backends.protocols.gemini_response import GeminiReader
from llm_framework.backends.protocols.sse import SSEDecoder
from llm_framework.registry import google_models

KEY = "AIza-secret-0123456789"
PNG = b"\x89PNG\r\n\x1a\n0000"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolSpec("get_weather", "Weather", CITY)
CLOCK = ToolSpec("get_time", "The time")
Serve = Callable[..., ChatServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that plays these replies."""
    with ExitStack() as stack:

        def start(*replies: Reply, handler: Handler | None = None) -> ChatServer:
            return stack.enter_context(ChatServer(*replies, handler=handler))

        yield start


# ------------------------------------------------------------------------------------------------------------- replies
def candidate(*parts: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A piece of an answer."""
    written: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish:
        written["finishReason"] = finish
    return {"candidates": [{**written, **more}], "modelVersion": "gemini-x-001"}


def counts(prompt: int = 3, answer: int = 2, **more: int) -> dict[str, Any]:
    """The count of tokens."""
    return {"usageMetadata": {"promptTokenCount": prompt, "candidatesTokenCount": answer, **more}}


def stream(*parts: dict[str, Any], finish: str = "STOP") -> Reply:
    """A stream of these parts, one a frame."""
    frames = [candidate(part) for part in parts[:-1]]
    frames.append({**candidate(*parts[-1:], finish=finish), **counts()})
    return Reply([frame(value) for value in frames])


def text(text: str, **more: Any) -> dict[str, Any]:
    """A part."""
    return {"text": text, **more}


def call(name: str, args: Any, **more: Any) -> dict[str, Any]:
    """A part that calls a function."""
    id = {"id": more.pop("id")} if "id" in more else {}
    return {"functionCall": {"name": name, "args": args, **id}, **more}


def google_error(code: int, status: str, message: str, *details: dict[str, Any], http: int | None = None) -> Reply:
    """An error as Google writes it."""
    return json_reply({"error": {"code": code, "status": status, "message": message, "details": details}}, http or code)


# ------------------------------------------------------------------------------------------------------------- callers
def info(model: str = "gemini-2.5-flash") -> ModelInfo:
    return ModelInfo(f"google:{model}", backend_type="google", metadata={"provider": "google", "model_id": model})


def backend_of(server: ChatServer, model: str = "gemini-2.5-flash", **more: Any) -> GoogleBackend:
    settings = {"base_url": f"http://127.0.0.1:{server.port}", "api_key": KEY, "api_version": "v1beta", **more}
    return GoogleBackend(info(model), settings)


async def collect(backend: GoogleBackend, request: InferenceRequest | str = "hi") -> InferenceResponse:
    builder = ResponseBuilder()
    async for chunk in backend.stream(InferenceRequest(request) if isinstance(request, str) else request):
        builder.add(chunk)
    return builder.response()


async def answer(server: ChatServer, request: InferenceRequest | str = "hi", **more: Any) -> InferenceResponse:
    """The whole answer of a backend of its own."""
    backend = backend_of(server, **more)
    try:
        return await collect(backend, request)
    finally:
        await backend.unload_model()


def framework_of(server: ChatServer, tmp_path: Path, model: str = "gemini-2.5-flash", **more: Any) -> LLMFramework:
    credentials = {"base_url": f"http://127.0.0.1:{server.port}", "api_key": KEY, **more.pop("google", {})}
    values = {"models_dir": str(tmp_path), "api_credentials": {"google": credentials}, "default_model": model}
    return LLMFramework({**values, "max_retries": 0, **more})


# ------------------------------------------------------------------------------------------------------- the contract
def play(request: Any) -> Reply:
    """A model of few words: it calls the first tool once, and talks otherwise."""
    asked = request.body
    last = asked["contents"][-1]["parts"][-1]
    if asked.get("tools") and "functionResponse" not in last:
        name = asked["tools"][0]["functionDeclarations"][0]["name"]
        return stream(call(name, {"city": "Oslo"}))
    config = asked["generationConfig"]
    words = ["{}"] if config.get("responseMimeType") else ["One", " two", " three", " four"]
    end = min([n for n, word in enumerate(words) if word.strip() in config.get("stopSequences", ())] or [len(words)])
    words = words[:end][: config.get("maxOutputTokens", 99)]
    if "streamGenerateContent" in request.path:
        return stream(*map(text, words))
    return json_reply({**candidate(text("".join(words)), finish="STOP"), **counts()})


async def test_contract(serve: Serve) -> None:
    """It keeps the contract of every backend, tools included, and uses its connections again."""
    server = serve(handler=play)
    settings = {"base_url": f"http://127.0.0.1:{server.port}", "api_key": KEY}
    await check_backend(GoogleBackend, info(), settings, tools=True)
    assert server.connections < len(server.requests)


async def test_a_plain_answer(serve: Serve) -> None:
    """A stream of text becomes that text, its usage and its finish reason; the key goes in a header."""
    server = serve(stream(text("Hel"), text("lo "), text("wörld\u2028")))
    response = await answer(server)
    assert (response.text, response.finish_reason, response.usage) == ("Hello wörld\u2028", "stop", Usage(3, 2))
    assert response.provider_data["model_version"] == "gemini-x-001"
    request = server.requests[0]
    assert request.path == "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert request.headers["x-goog-api-key"] == KEY
    assert server.body["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]


async def test_a_whole_answer(serve: Serve, tmp_path: Path) -> None:
    """Where nobody reads the pieces, a short answer is asked for as a whole; a long one is streamed."""
    whole = candidate(
        text("hm", thought=True), text("Let me see."), call("get_weather", {"city": "Oslo"}), finish="STOP"
    )
    server = serve(
        json_reply({**whole, **counts(5, 7, thoughtsTokenCount=4, cachedContentTokenCount=2)}), stream(text("x"))
    )
    async with framework_of(server, tmp_path) as framework:
        response = await framework.generate("hi", tools=[WEATHER])
        assert server.requests[0].path.endswith("gemini-2.5-flash:generateContent")
        assert (response.text, response.thinking, response.finish_reason) == ("Let me see.", "hm", "tool_calls")
        [made] = response.tool_calls
        assert (made.name, made.arguments) == ("get_weather", {"city": "Oslo"})
        assert response.usage == Usage(5, 11, cached_tokens=2, reasoning_tokens=4)
        assert (await framework.generate("hi", max_tokens=100_000)).text == "x"
        assert server.requests[1].path.endswith(":streamGenerateContent?alt=sse")


async def test_a_stream_that_comes_as_an_array(serve: Serve) -> None:
    """A proxy that overlooks `alt=sse` answers with the frames as a JSON array, which is understood."""
    server = serve(json_reply([candidate(text("a")), {**candidate(text("b"), finish="STOP"), **counts()}]))
    assert (await answer(server)).text == "ab"


# --------------------------------------------------------------------------------------------------------------- tools
async def test_parallel_calls_and_their_results(serve: Serve) -> None:
    """Calls keep the ids that the server gave and get one where it gave none; results go back in one turn, in the order
    of the calls, under their names, and only ids of the server's are told it."""
    server = serve(stream(call("get_weather", {"city": "Oslo"}, id="f1"), call("get_time", {}), call("get_time", None)))
    asked = InferenceRequest("hi", tools=(WEATHER, CLOCK))
    response = await answer(server, asked)
    first, second, third = response.tool_calls
    assert response.finish_reason == "tool_calls"
    assert (first.id, first.arguments, second.arguments, third.arguments) == ("f1", {"city": "Oslo"}, {}, {})
    assert len({first.id, second.id, third.id, ""}) == 4
    results = (
        Message.tool(ToolResult(second.id, '{"hour": 9}')),
        Message.tool(ToolResult(first.id, "rain"), ToolResult(third.id, "late", is_error=True)),
    )
    await answer(server, asked.with_messages([*asked.messages, response.message, *results]))
    [_, model, user] = server.body["contents"]
    assert model["parts"][0]["functionCall"] == {"name": "get_weather", "args": {"city": "Oslo"}, "id": "f1"}
    assert model["parts"][1]["functionCall"] == {"name": "get_time", "args": {}}
    assert user == {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "get_weather", "id": "f1", "response": {"output": "rain"}}},
            {"functionResponse": {"name": "get_time", "response": {"hour": 9}}},
            {"functionResponse": {"name": "get_time", "response": {"error": "late"}}},
        ],
    }


@pytest.mark.parametrize(
    ("choice", "strict", "config"),
    [
        (None, False, None),
        ("auto", False, {"mode": "AUTO"}),
        ("auto", True, {"mode": "VALIDATED"}),
        ("none", False, {"mode": "NONE"}),
        ("any", False, {"mode": "ANY"}),
        ("get_time", False, {"mode": "ANY", "allowedFunctionNames": ["get_time"]}),
    ],
)
async def test_tools_and_their_choice(serve: Serve, choice: str | None, strict: bool, config: Any) -> None:
    """Tools are declared by their JSON schemas, and each choice has its mode."""
    server = serve(stream(text("x")))
    await answer(server, InferenceRequest("hi", tools=(replace(WEATHER, strict=strict), CLOCK), tool_choice=choice))
    [tools] = server.body["tools"]
    assert tools["functionDeclarations"] == [
        {"name": "get_weather", "description": "Weather", "parameters": CITY},
        {"name": "get_time", "description": "The time"},
    ]
    assert server.body.get("toolConfig", {}).get("functionCallingConfig") == config


async def test_a_call_that_the_server_could_not_read(serve: Serve) -> None:
    """It becomes an invalid call that keeps what there was of it, so that the model can be told."""
    said = "Malformed function call: print(default_api.get_weather(city=Oslo"
    broken = candidate(finish="MALFORMED_FUNCTION_CALL", finishMessage=said)
    server = serve(Reply([frame(broken)]))
    response = await answer(server, InferenceRequest("hi", tools=(CLOCK, WEATHER)))
    [made] = response.tool_calls
    assert (made.name, made.arguments, made.raw_arguments) == ("get_weather", None, said)
    assert made.error
    with pytest.raises(errors.BadResponseError, match="MALFORMED_FUNCTION_CALL"):
        await answer(server)
    results = Message.tool(ToolResult(made.id, made.error, is_error=True))
    again = [Message.user("hi"), response.message, results]
    server.replies = [stream(text("x"))]
    await answer(server, InferenceRequest(messages=tuple(again), tools=(WEATHER,)))
    assert server.body["contents"][1]["parts"][0]["functionCall"]["args"] == {"invalid_arguments": said}


@pytest.mark.parametrize("args", ["city: Oslo", ["Oslo"], 5])
async def test_arguments_that_are_no_object(serve: Serve, args: Any) -> None:
    """They make an invalid call with its raw text, never an empty one."""
    [made] = (
        await answer(serve(stream(call("get_weather", args))), InferenceRequest("hi", tools=(WEATHER,)))
    ).tool_calls
    assert made.arguments is None
    assert made.raw_arguments == (args if isinstance(args, str) else json.dumps(args))


async def test_a_result_without_its_call(serve: Serve) -> None:
    """A result that names no tool and answers no call is refused before anything is sent."""
    server = serve(stream(text("x")))
    messages = (Message.user("hi"), Message.tool(ToolResult("c9", "rain")))
    with pytest.raises(errors.InvalidRequestError, match="c9"):
        await answer(server, InferenceRequest(messages=messages))
    assert server.requests == []


# -------------------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (google_error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
         errors.AuthenticationError, "api_key"),
        (google_error(400, "INVALID_ARGUMENT", "bad", {"reason": "API_KEY_INVALID"}), errors.AuthenticationError, None),
        (google_error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers"),
         errors.AuthenticationError, None),
        (google_error(403, "PERMISSION_DENIED", "no"), errors.PermissionDeniedError, None),
        (google_error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
         errors.PermissionDeniedError, "location"),
        (google_error(404, "NOT_FOUND", "models/gemini-2.5-flash is not found for API version v1beta"),
         errors.ModelNotFoundError, "gemini-2.5-flash"),
        (google_error(400, "INVALID_ARGUMENT", "contents is not specified"), errors.InvalidRequestError, "contents"),
        (google_error(503, "UNAVAILABLE", "The model is overloaded."), errors.ProviderUnavailableError, "overloaded"),
        (google_error(500, "INTERNAL", "oops"), errors.ProviderUnavailableError, "oops"),
        (google_error(504, "DEADLINE_EXCEEDED", "late"), errors.ProviderUnavailableError, "late"),
        (google_error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted"), errors.RateLimitError, None),
        (google_error(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
         errors.QuotaExceededError, "depleted"),
    ],
)  # fmt: skip
async def test_errors_by_status(serve: Serve, reply: Reply, kind: type[Exception], words: str | None) -> None:
    """Each of Google's errors becomes the typed one that says what it means, with its status and without the key."""
    server = serve(reply)
    with pytest.raises(kind, match=words) as caught:
        await answer(server)
    assert type(caught.value) is kind
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.status, error.provider, error.model) == (reply.status, "google", "gemini-2.5-flash")
    assert len(server.requests) == 1


def quota(*ids: str, delay: str | None = "36.5s") -> Reply:
    """The error for a quota that was passed, as Google words it for all of them."""
    message = "You exceeded your current quota, please check your plan and billing details."
    failure = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id} for id in ids]}
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return google_error(429, "RESOURCE_EXHAUSTED", message, failure, *([info] if delay else []))


async def test_limits_per_minute_and_quotas_that_are_spent(serve: Serve) -> None:
    """A limit per minute can be waited for, as long as RetryInfo says; one per day cannot."""
    server = serve(quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), quota("GenerateRequestsPerDay"))
    with pytest.raises(errors.RateLimitError) as caught:
        await answer(server)
    assert type(caught.value) is errors.RateLimitError
    assert caught.value.retry_after == 36.5
    with pytest.raises(errors.QuotaExceededError):
        await answer(server)


async def test_a_prompt_that_does_not_fit(serve: Serve) -> None:
    """The error says how many tokens there were, and how many there may be."""
    message = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
    server = serve(google_error(400, "INVALID_ARGUMENT", message))
    with pytest.raises(errors.ContextOverflowError) as caught:
        await answer(server)
    assert (caught.value.tokens, caught.value.limit) == (1_200_000, 1_048_576)


async def test_a_blocked_prompt(serve: Serve) -> None:
    """A prompt that is blocked raises; an answer that is cut off for its content says so."""
    server = serve(
        Reply([frame({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **counts(3, 0)})]),
        stream(text("I"), finish="SAFETY"),
    )
    with pytest.raises(errors.ContentFilterError, match="PROHIBITED_CONTENT"):
        await answer(server)
    response = await answer(server)
    assert (response.text, response.finish_reason) == ("I", "content_filter")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), ("RECITATION", "content_filter"), ("SPII", "content_filter"),
     ("OTHER", "stop"), ("SOMETHING_NEW", "stop")],
)  # fmt: skip
async def test_reasons_to_finish(serve: Serve, reason: str, finish: str) -> None:
    """Each reason to finish is one of ours."""
    assert (await answer(serve(stream(text("x"), finish=reason)))).finish_reason == finish


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("OTHER", errors.BadResponseError), ("MALFORMED_RESPONSE", errors.BadResponseError),
     ("MISSING_THOUGHT_SIGNATURE", errors.InvalidRequestError), ("PUP_LIMITED_DISABLED", errors.PermissionDeniedError)],
)  # fmt: skip
async def test_reasons_that_are_errors(serve: Serve, reason: str, kind: type[Exception]) -> None:
    """An answer that ends without being one raises."""
    with pytest.raises(kind):
        await answer(serve(Reply([frame(candidate(finish=reason))])))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}, errors.ProviderUnavailableError),
        ({"status": "UNAVAILABLE", "message": "overloaded"}, errors.ProviderUnavailableError),
        ({"status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "2s"}]}, errors.RateLimitError),
        ({"code": 400, "message": "API key not valid"}, errors.AuthenticationError),
        ({"message": "no idea"}, errors.ProviderUnavailableError),
    ],
)
async def test_an_error_in_the_stream(serve: Serve, error: dict[str, Any], kind: type[Exception]) -> None:
    """An error event is the error that its status stands for."""
    with pytest.raises(kind) as caught:
        await answer(serve(Reply([frame({"error": error})])))
    if "details" in error:
        assert caught.value.retry_after == 2.0  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------------------- streams
@pytest.mark.parametrize("end", [[], [CUT]], ids=["ends", "cut"])
async def test_a_stream_without_its_end(serve: Serve, end: list[Any]) -> None:
    """A stream that gives no reason to finish is interrupted; before the first piece, the connection failed."""
    with pytest.raises(errors.StreamInterruptedError):
        await answer(serve(Reply([frame(candidate(text("half"))), *end])))
    with pytest.raises((errors.ConnectionFailedError, errors.BadResponseError)):
        await answer(serve(Reply([": hello\n\n", *end])))


@pytest.mark.parametrize("end", [CUT, HANG], ids=["cut", "hang"])
async def test_a_stream_after_its_end(serve: Serve, end: Any) -> None:
    """What happens to the connection when the answer is whole does not matter, and what still comes is taken."""
    pieces = [frame(candidate(text("all"), finish="STOP")), frame(counts(7, 8)), end]
    response = await answer(serve(Reply(pieces)))
    assert (response.text, response.usage) == ("all", Usage(7, 8))


async def test_frames_cut_anywhere(serve: Serve) -> None:
    """Frames with CRLF, comments and characters cut in two are read as they were meant."""
    whole = (frame(candidate(text("Größe \u2028 🙂"))) + frame(candidate(text("!"), finish="STOP"))).replace(
        "\n", "\r\n"
    )
    data = (": ping\r\n\r\nid: 7\r\n\r\n" + whole).encode()
    server = serve(Reply([data[n : n + 1] for n in range(len(data))]))
    assert (await answer(server)).text == "Größe \u2028 🙂!"


@pytest.mark.parametrize("value", ["{not json", "[1]", '{"candidates": [5]}', '"text"'])
async def test_nonsense(serve: Serve, value: str) -> None:
    """Frames that are not what the protocol says are a bad response, not a crash."""
    with pytest.raises(errors.BadResponseError):
        await answer(serve(Reply([frame(value)])))


# ---------------------------------------------------------------------------------------------------- what is sent
async def test_every_parameter(serve: Serve) -> None:
    """Each parameter that Gemini has is sent in its field."""
    server = serve(stream(text("x")))
    config = GenerationConfig(
        max_tokens=9, temperature=0.5, top_p=0.9, top_k=40, stop=("a", "b"), seed=2**31 + 3, presence_penalty=0.1,
        frequency_penalty=0.2, logprobs=2, thinking="low",
    )  # fmt: skip
    await answer(server, InferenceRequest("hi", config=config))
    assert server.body["generationConfig"] == {
        "maxOutputTokens": 9, "temperature": 0.5, "topP": 0.9, "topK": 40, "stopSequences": ["a", "b"], "seed": 3,
        "presencePenalty": 0.1, "frequencyPenalty": 0.2, "responseLogprobs": True, "logprobs": 2,
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024},
    }  # fmt: skip


THOUGHTS = {"includeThoughts": True}


@pytest.mark.parametrize(
    ("model", "thinking", "config"),
    [
        ("gemini-2.5-flash", "off", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", 0, {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "medium", {**THOUGHTS, "thinkingBudget": 8192}),
        ("gemini-2.5-pro", 500, {**THOUGHTS, "thinkingBudget": 500}),
        ("gemini-2.5-pro", "off", None),
        ("gemini-3-pro-preview", "high", {**THOUGHTS, "thinkingLevel": "HIGH"}),
        ("gemini-3-pro-preview", "off", None),
        ("gemini-3-flash-preview", "off", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-flash-preview", 500, {**THOUGHTS, "thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", 9000, {**THOUGHTS, "thinkingLevel": "MEDIUM"}),
        ("gemini-3.8-flash", 30_000, {**THOUGHTS, "thinkingLevel": "HIGH"}),
        ("gemini-3.8-flash", "off", None),
        ("gemini-3.5-flash-lite", "off", {"thinkingLevel": "MINIMAL"}),
        ("gemini-flash-latest", "low", {**THOUGHTS, "thinkingLevel": "LOW"}),
        ("gemini-2.0-flash", "off", {}),
        ("gemini-2.0-flash", "low", None),
    ],
)
async def test_one_control_for_thinking(serve: Serve, model: str, thinking: Any, config: Any) -> None:
    """Each family is told in its own way how much to think; what it cannot be told raises, and is dropped if that is
    allowed."""
    server = serve(stream(text("x")))
    request = InferenceRequest("hi", config=GenerationConfig(thinking=thinking), explicit=frozenset({"thinking"}))
    if config is None:
        with pytest.raises(errors.UnsupportedFeatureError, match="thinking"):
            await collect(backend_of(server, model), request)
        request = replace(request, metadata={"strict_parameters": False})
    backend = backend_of(server, model)
    response = await collect(backend, request)
    await backend.unload_model()
    assert server.body["generationConfig"].get("thinkingConfig", {}) == (config or {})
    assert response.dropped_parameters == (("thinking",) if config is None else ())


async def test_a_level_that_a_model_does_not_know(serve: Serve) -> None:
    """A model that wants a budget instead of a level gets one, at once the next time."""

    def handler(request: Any) -> Reply:
        if "thinkingLevel" in request.body["generationConfig"]["thinkingConfig"]:
            return google_error(400, "INVALID_ARGUMENT", "Thinking level is not supported for this model.")
        return stream(text("x"))

    server = serve(handler=handler)
    backend = backend_of(server, "gemini-new-preview")
    request = InferenceRequest("hi", config=GenerationConfig(thinking="high"))
    for requests in (2, 3):
        assert (await collect(backend, request)).text == "x"
        assert len(server.requests) == requests
    await backend.unload_model()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("logprobs", 2, "Logprobs is not supported for this model"),
        ("presence_penalty", 0.5, "Penalty is not enabled for models/gemini-2.5-flash"),
        ("top_k", 5, "Unknown name \"topK\" at 'generation_config': Cannot find field."),
        ("thinking", 1, "Budget 1 is invalid. This model only works in thinking mode."),
        ("seed", 5, "seed is not supported"),
    ],
)
async def test_a_parameter_that_the_model_refuses(serve: Serve, name: str, value: Any, message: str) -> None:
    """A default that the model turns out not to take is left out, at once the next time; an explicit one raises."""
    fields = gemini_request.parameters(GenerationConfig(**{name: value}), gemini_request.dialect_of("gemini-2.5"))[0]

    def handler(request: Any) -> Reply:
        refused = set(fields[name]) & set(request.body["generationConfig"])
        return google_error(400, "INVALID_ARGUMENT", message) if refused else stream(text("x"))

    server = serve(handler=handler)
    backend = backend_of(server)
    request = InferenceRequest("hi", config=GenerationConfig(**{name: value}))
    for requests in (2, 3):
        response = await collect(backend, request)
        assert (response.text, response.dropped_parameters) == ("x", (name,))
        assert len(server.requests) == requests
    with pytest.raises(errors.UnsupportedFeatureError, match=name):
        await collect(backend, replace(request, explicit=frozenset({name})))
    await backend.unload_model()


@pytest.mark.parametrize("name", ["min_p", "repetition_penalty", "logit_bias"])
async def test_parameters_that_gemini_has_not(serve: Serve, tmp_path: Path, name: str) -> None:
    """They raise where the caller gave one, and are left out and listed where that is allowed."""
    server = serve(stream(text("x")))
    given: Any = {name: {1: 1.0} if name == "logit_bias" else 1}
    async with framework_of(server, tmp_path) as framework:
        with pytest.raises(errors.UnsupportedFeatureError, match=name):
            await framework.generate("hi", max_tokens=9999, **given)
        lenient = await framework.generate("hi", max_tokens=9999, strict_parameters=False, **given)
        assert lenient.dropped_parameters == (name,)


async def test_what_every_request_is_given_besides(serve: Serve) -> None:
    """Headers and fields of the settings are in every request, fields beside those that we set."""
    server = serve(stream(text("x")))
    more = {"generationConfig": {"candidateCount": 1}, "cachedContent": "cachedContents/1"}
    request = InferenceRequest("hi", config=GenerationConfig(temperature=0.5))
    await answer(server, request, headers={"X-Team": "a"}, extra_body=more)
    assert server.requests[0].headers["x-team"] == "a"
    assert server.body["generationConfig"] == {"temperature": 0.5, "candidateCount": 1}
    assert server.body["cachedContent"] == "cachedContents/1"


async def test_messages_and_media(serve: Serve, tmp_path: Path) -> None:
    """System messages are the instruction, images and documents inline data or files that Google fetches."""
    server = serve(stream(text("x")))
    path = tmp_path / "notes.pdf"
    path.write_bytes(b"%PDF-1.7")
    inline = {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}
    messages = (
        Message.system("Be brief.", ""),
        Message.user("look", ImagePart(data=PNG), ImagePart(url=f"data:image/png;base64,{inline['data']}")),
        Message.assistant("ok", ""),
        Message.user(
            DocumentPart(path=path), ImagePart(url="https://example.org/a.jpg?x=1"),
            DocumentPart(url="gs://bucket/a", media_type="application/pdf"),
        ),
        Message.system("In French."),
    )  # fmt: skip
    await answer(server, InferenceRequest(messages=messages))
    assert server.body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "In French."}]}
    pdf = {"mimeType": "application/pdf", "data": base64.b64encode(b"%PDF-1.7").decode()}
    assert server.body["contents"] == [
        {"role": "user", "parts": [{"text": "look"}, {"inlineData": inline}, {"inlineData": inline}]},
        {"role": "model", "parts": [{"text": "ok"}]},
        {
            "role": "user",
            "parts": [
                {"inlineData": pdf},
                {"fileData": {"fileUri": "https://example.org/a.jpg?x=1", "mimeType": "image/jpeg"}},
                {"fileData": {"fileUri": "gs://bucket/a", "mimeType": "application/pdf"}},
            ],
        },
    ]


async def test_an_address_that_google_does_not_fetch(serve: Serve) -> None:
    """An http address is neither sent nor fetched on the quiet: the error says what to give."""
    server = serve(stream(text("x")))
    image = ImagePart(url="http://example.org/a.png")
    with pytest.raises(errors.UnsupportedFeatureError, match="give the bytes or a path"):
        await answer(server, InferenceRequest(messages=(Message.user(image),)))
    assert server.requests == []


async def test_a_model_without_instructions(serve: Serve) -> None:
    """A model that knows no instruction is told it as the first thing that the user says."""
    server = serve(stream(text("x")))
    backend = backend_of(server, "gemma-3-27b-it")
    await collect(backend, InferenceRequest(messages=(Message.system("Be brief."), Message.user("hi"))))
    await backend.unload_model()
    assert server.body["contents"] == [{"role": "user", "parts": [{"text": "Be brief."}, {"text": "hi"}]}]
    assert "systemInstruction" not in server.body


@pytest.mark.parametrize(("model", "inside"), [("gemini-2.5-flash", False), ("gemini-3-flash-preview", True)])
async def test_images_in_results(serve: Serve, model: str, inside: bool) -> None:
    """A model that takes images inside a result gets them there, any other beside it."""
    server = serve(stream(text("x")))
    made = ToolCall.create("draw", {}, "c1")
    result = Message.tool(ToolResult("c1", (TextPart("here"), ImagePart(data=PNG))))
    backend = backend_of(server, model)
    await collect(backend, InferenceRequest(messages=(Message.user("hi"), Message.assistant(made), result)))
    await backend.unload_model()
    image = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}}
    more = {"parts": [image], "id": "c1"} if inside else {}
    response = {"name": "draw", "response": {"output": "here"}, **more}
    assert server.body["contents"][-1]["parts"] == [{"functionResponse": response}, *([] if inside else [image])]


# ---------------------------------------------------------------------------------------------------------------- form
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}


async def test_structured_output(serve: Serve, tmp_path: Path) -> None:
    """A JSON schema is held by the server; patterns and grammars are refused."""
    server = serve(json_reply({**candidate(text('{"a": 5}'), finish="STOP"), **counts()}))
    async with framework_of(server, tmp_path) as framework:
        assert (await framework.generate("hi", response_format=SCHEMA)).parsed == {"a": 5}
        config = server.body["generationConfig"]
        assert (config["responseMimeType"], config["responseJsonSchema"]) == ("application/json", SCHEMA)
        with pytest.raises(errors.UnsupportedFeatureError, match="regular expression"):
            await framework.generate("hi", response_format=ResponseFormat(regex="a+"))


@pytest.mark.parametrize(("model", "held"), [("gemini-2.5-flash", False), ("gemini-3-flash-preview", True)])
async def test_a_form_beside_tools(serve: Serve, model: str, held: bool) -> None:
    """Models that hold no form beside tools are asked for it in words."""
    server = serve(stream(text("x")))
    backend = backend_of(server, model)
    form = ResponseFormat(SCHEMA)
    await collect(backend, InferenceRequest("hi", tools=(WEATHER,), response_format=form))
    await backend.unload_model()
    assert ("responseJsonSchema" in server.body["generationConfig"]) is held
    assert ("systemInstruction" in server.body) is not held


async def test_a_server_that_knows_no_json_schemas(serve: Serve) -> None:
    """Where the field for JSON schemas is unknown, the older one is filled with what it can say."""

    def handler(request: Any) -> Reply:
        if "responseJsonSchema" in request.body["generationConfig"]:
            message = "Invalid JSON payload received. Unknown name \"responseJsonSchema\" at 'generation_config'"
            return google_error(400, "INVALID_ARGUMENT", message)
        return stream(text('{"a": 5}'))

    server = serve(handler=handler)
    await answer(server, InferenceRequest("hi", response_format=ResponseFormat(SCHEMA)))
    expected = {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}
    assert server.body["generationConfig"]["responseSchema"] == expected
    assert len(server.requests) == 2


def test_schemas_as_openapi_has_them() -> None:
    """References are written out, null is `nullable`, and what refers to itself ends."""
    schema = {
        "type": "object",
        "properties": {
            "name": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "kind": {"const": "x"},
            "count": {"type": ["integer", "null"]},
            "node": {"$ref": "#/$defs/Node", "description": "a node"},
        },
        "required": ["name"],
        "additionalProperties": False,
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    }
    node = {"type": "OBJECT", "description": "a node", "properties": {"next": {}}}
    assert gemini_schema.as_openapi(schema) == {
        "type": "OBJECT",
        "required": ["name"],
        "properties": {
            "name": {"type": "STRING", "nullable": True, "default": None},
            "kind": {"type": "STRING", "enum": ["x"]},
            "count": {"type": "INTEGER", "nullable": True},
            "node": node,
        },
    }


# ------------------------------------------------------------------------------------------------ thinking, signatures
SIGNED = [
    ([text("Hm.", thought=True), call("get_weather", {}, thoughtSignature="c2ln"), call("get_time", {})],
     [call("get_weather", {}, thoughtSignature="c2ln"), call("get_time", {})]),
    ([text("Hm.", thought=True), text("Hello"), text("", thoughtSignature="c2ln")],
     [text("Hello"), text("", thoughtSignature="c2ln")]),
    ([text("Hel"), text("lo", thoughtSignature="c2ln")], [text("Hel"), text("lo", thoughtSignature="c2ln")]),
    ([text("Hm.", thought=True, thoughtSignature="YQ=="), text("Hi", thoughtSignature="Yg=="), text("you")],
     [text("Hm.", thoughtSignature="YQ==", thought=True), text("Hi", thoughtSignature="Yg=="), text("you")]),
    ([text("Hm.", thought=True), text("", thoughtSignature="c2ln"), text("Hi")],
     [text("", thoughtSignature="c2ln"), text("Hi")]),
    ([call("get_time", {}), text("", thoughtSignature="c2ln")],
     [call("get_time", {}), text("", thoughtSignature="c2ln")]),
]  # fmt: skip


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(("parts", "echoed"), SIGNED)
async def test_signatures_go_back_where_they_came(
    serve: Serve, parts: list[Any], echoed: list[Any], streamed: bool
) -> None:
    """A signature is sent back in the very part that it came in; thoughts without one are not sent."""
    server = serve(stream(*parts) if streamed else json_reply({**candidate(*parts, finish="STOP"), **counts()}))
    request = InferenceRequest("hi", tools=(WEATHER, CLOCK), config=GenerationConfig(max_tokens=9), streaming=streamed)
    response = await answer(server, request)
    assert response.thinking == "".join(part["text"] for part in parts if part.get("thought"))
    assert response.text == "".join(part.get("text", "") for part in parts if not part.get("thought"))
    await answer(server, request.with_messages([*request.messages, response.message, Message.user("go on")]))
    assert server.body["contents"][1] == {"role": "model", "parts": echoed}


async def test_what_other_models_made(serve: Serve) -> None:
    """Another provider's thoughts and signatures are left out; a model that wants signed calls is told that these have
    none, in the first one of each turn, and which result belongs to which."""
    server = serve(stream(text("x")))
    other = {"provider": "anthropic", "signature": "zz"}
    made = [ToolCall.from_raw(f"toolu_{n}", "get_time", "{}", provider_data=other) for n in range(2)]
    turn = Message.assistant(ThinkingPart("Hm.", "zz", other), TextPart("Well.", other), *made)
    results = Message.tool(*(ToolResult(item.id, "9") for item in made))
    for model, signature in (("gemini-2.5-flash", None), ("gemini-3-pro-preview", "skip_thought_signature_validator")):
        backend = backend_of(server, model)
        await collect(backend, InferenceRequest(messages=(Message.user("hi"), turn, results), tools=(CLOCK,)))
        await backend.unload_model()
        signed = {"thoughtSignature": signature} if signature else {}
        first, second = ({"id": f"toolu_{n}"} if signature else {} for n in range(2))
        parts = [text("Well."), call("get_time", {}, **first, **signed), call("get_time", {}, **second)]
        assert server.body["contents"][1]["parts"] == parts
        answered = [part["functionResponse"].get("id") for part in server.body["contents"][2]["parts"]]
        assert answered == [first.get("id"), second.get("id")]
        assert "zz" not in json.dumps(server.body)


# ------------------------------------------------------------------------------------------------------ other answers
async def test_logprobs(serve: Serve) -> None:
    """The log-probabilities of the tokens and of their alternatives are given."""
    chosen = [{"token": "a", "tokenId": 5, "logProbability": -0.5}, {"token": "b", "logProbability": -1}]
    top = [{"candidates": [{"token": "c", "tokenId": 6, "logProbability": -2}]}]
    result = {"chosenCandidates": chosen, "topCandidates": top}
    server = serve(Reply([frame(candidate(text("ab"), finish="STOP", logprobsResult=result))]))
    expected = (TokenLogprob("a", 5, -0.5, (("c", 6, -2.0),)), TokenLogprob("b", -1, -1.0))
    assert (await answer(server)).logprobs == expected


@pytest.mark.parametrize(
    ("given", "usage"),
    [
        ({"thoughtsTokenCount": 4}, Usage(3, 6, 0, 4)),
        ({"thoughtsTokenCount": 2, "totalTokenCount": 5}, Usage(3, 2, 0, 2)),
        ({"toolUsePromptTokenCount": 5, "cachedContentTokenCount": 1}, Usage(8, 2, 1, 0)),
    ],
)
async def test_usage(serve: Serve, given: dict[str, int], usage: Usage) -> None:
    """Thoughts are counted as output, once."""
    server = serve(Reply([frame({**candidate(text("x"), finish="STOP"), **counts(3, 2, **given)})]))
    assert (await answer(server)).usage == usage


async def test_parts_of_other_kinds(serve: Serve) -> None:
    """What is neither text nor a call is kept for those who look for it."""
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    response = await answer(serve(stream(code, text("2"))))
    assert (response.text, response.provider_data["parts"]) == ("2", [code])


async def test_counting_tokens(serve: Serve) -> None:
    """The provider counts the whole prompt, with the instruction and the tools."""
    server = serve(json_reply({"totalTokens": 31}))
    backend = backend_of(server)
    request = InferenceRequest(messages=(Message.system("Be brief."), Message.user("hi")), tools=(CLOCK,))
    assert await backend.count_tokens(request) == 31
    assert server.requests[0].path == "/v1beta/models/gemini-2.5-flash:countTokens"
    asked = server.body["generateContentRequest"]
    assert set(asked) == {"model", "contents", "systemInstruction", "tools"}
    assert asked["model"] == "models/gemini-2.5-flash"
    await backend.unload_model()


async def test_the_models_there_are(serve: Serve) -> None:
    """They are listed over all pages, with their limits."""
    listed = {"name": "models/gemini-9", "inputTokenLimit": 1048576, "outputTokenLimit": 65536}
    vectors = {"name": "models/vec", "supportedGenerationMethods": ["embedContent"]}
    other = {"name": "models/draw", "supportedGenerationMethods": ["predict"]}
    server = serve(json_reply({"models": [listed, other], "nextPageToken": "p2"}), json_reply({"models": [vectors]}))
    backend = backend_of(server)
    first, second = await backend.available_models()
    assert (first.name, first.context_length, first.metadata["max_output_tokens"]) == ("gemini-9", 1048576, 65536)
    assert (second.name, str(second.model_type)) == ("vec", "embedding")
    assert [r.path for r in server.requests] == [
        "/v1beta/models?pageSize=1000", "/v1beta/models?pageSize=1000&pageToken=p2",
    ]  # fmt: skip
    await backend.unload_model()


async def test_vectors(serve: Serve) -> None:
    """Each text gets its vector."""
    server = serve(json_reply({"embeddings": [{"values": [1, 2]}, {"values": [3, 4]}]}))
    backend = backend_of(server, "gemini-embedding-001")
    assert await backend.embed(["a", "b"]) == [[1.0, 2.0], [3.0, 4.0]]
    assert server.requests[0].path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert server.body["requests"][0]["model"] == "models/gemini-embedding-001"
    await backend.unload_model()


# --------------------------------------------------------------------------------------------- the place, and the keys
async def test_without_a_key(serve: Serve) -> None:
    """Google's own API needs a key, and the error says where one is set; a server of one's own may need none, and is
    sent none."""
    with pytest.raises(errors.AuthenticationError, match="GOOGLE_API_KEY"):
        await GoogleBackend(info()).load_model()
    server = serve(stream(text("x")))
    assert (await answer(server, api_key=None)).text == "x"
    assert "x-goog-api-key" not in server.requests[0].headers


@pytest.mark.parametrize("url", ["localhost:99", "ftp://example.org", "http://"])
def test_an_address_that_is_none(url: str) -> None:
    """A base_url that cannot be one is a configuration error."""
    with pytest.raises(errors.ConfigurationError, match="base_url"):
        GoogleBackend(info(), {"base_url": url, "api_key": KEY})


async def test_a_model_name_that_is_none(serve: Serve) -> None:
    """A name that would lead elsewhere is refused before anything is sent."""
    server = serve(stream(text("x")))
    backend = backend_of(server, "../../secrets")
    with pytest.raises(errors.ConfigurationError):
        await collect(backend)
    assert server.requests == []


async def test_the_version_of_the_api_is_the_sdks(serve: Serve) -> None:
    """Without a setting, the version is the one that the installed SDK asks for; a path in base_url is kept."""
    from google import genai

    server = serve(stream(text("x")), json_reply({"candidates": []}))
    url = f"http://127.0.0.1:{server.port}/proxy"
    backend = GoogleBackend(info(), {"base_url": url, "api_key": KEY})
    await collect(backend)
    await backend.unload_model()
    with genai.Client(api_key=KEY, http_options={"base_url": url}) as client:
        client.models.generate_content(model="gemini-2.5-flash", contents="hi")
    ours, theirs = (request.path.partition(":")[0] for request in server.requests)
    assert ours == theirs
    assert ours.startswith("/proxy/v1")


async def test_no_key_in_what_is_said(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """The key is in one header only: not in the address, an error that repeats it, a repr, or the log."""
    caplog.set_level("DEBUG")
    server = serve(google_error(400, "INVALID_ARGUMENT", f"API key not valid: {KEY}"))
    backend = backend_of(server)
    with pytest.raises(errors.AuthenticationError) as caught:
        await collect(backend)
    request = server.requests[0]
    assert KEY not in request.path
    assert [name for name, value in request.headers.items() if KEY in value] == ["x-goog-api-key"]
    said = [str(caught.value), repr(caught.value), repr(vars(caught.value)), repr(backend._place), caplog.text]
    assert not any(KEY in text for text in said)
    await backend.unload_model()


async def test_a_redirect_is_not_followed(serve: Serve) -> None:
    """The key goes to no other host."""
    other = serve(stream(text("x")))
    target = f"http://127.0.0.1:{other.port}/v1beta/models/m"
    server = serve(Reply([], 307, headers={"Location": target}))
    with pytest.raises(errors.ConfigurationError, match="redirect"):
        await answer(server)
    assert other.requests == []


def token_maker() -> Any:
    """Credentials of google.auth that hand out `token-1`, `token-2`, …"""
    from google.auth import credentials

    class Credentials(credentials.Credentials):  # type: ignore[misc]
        made = 0

        def refresh(self, request: Any) -> None:
            self.made += 1
            self.token = f"token-{self.made}"

    return Credentials()


async def test_vertex(serve: Serve) -> None:
    """On Vertex AI the address names project and place, and the SDK's credentials give a token, anew when it is old."""
    server = serve(stream(text("x")))
    maker = token_maker()
    backend = GoogleBackend(
        info(),
        {
            "base_url": f"http://127.0.0.1:{server.port}", "project": "p", "location": "europe-west1",
            "credentials": maker, "api_version": "v1",
        },
    )  # fmt: skip
    for _ in range(2):
        assert (await collect(backend)).text == "x"
    backend._place_ends = 0.0
    maker.token = None
    await collect(backend)
    path = "/v1/projects/p/locations/europe-west1/publishers/google/models/gemini-2.5-flash"
    assert server.requests[0].path == f"{path}:streamGenerateContent?alt=sse"
    tokens = [request.headers["authorization"] for request in server.requests]
    assert tokens == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    server.replies = [json_reply({"totalTokens": 3})]
    assert await backend.count_tokens(InferenceRequest("hi")) == 3
    assert set(server.body) == {"contents"}
    with pytest.raises(errors.UnsupportedFeatureError):
        await backend.available_models()
    await backend.unload_model()


async def test_vertex_without_credentials(serve: Serve) -> None:
    """Credentials that give no token are an authentication error."""
    from google.auth import exceptions

    class Broken(type(token_maker())):  # type: ignore[misc]
        def refresh(self, request: Any) -> None:
            raise exceptions.RefreshError("revoked")

    backend = GoogleBackend(info(), {"project": "p", "location": "l", "credentials": Broken()})
    with pytest.raises(errors.AuthenticationError, match="revoked"):
        await backend.load_model()


# ------------------------------------------------------------------------------------------------------------- the SDK
def sdk_client(server: ChatServer, **options: Any) -> Any:
    from google import genai

    url = f"http://127.0.0.1:{server.port}"
    return genai.Client(api_key=KEY, http_options={"base_url": url, "api_version": "v1beta", **options})


def camel_case(value: Any) -> Any:
    """Names as the protocol's documents write them: the SDK writes some the other way, which it takes too."""
    if isinstance(value, list):
        return [camel_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {re.sub(r"_(\w)", lambda match: match[1].upper(), name): camel_case(item) for name, item in value.items()}


async def test_the_body_is_the_sdks(serve: Serve) -> None:
    """For the same call, the SDK sends what we send."""
    from google.genai import types

    server = serve(json_reply({**candidate(text("x"), finish="STOP"), **counts()}))
    config = GenerationConfig(
        max_tokens=9, temperature=0.5, top_p=0.9, top_k=4, stop=("a",), seed=3, presence_penalty=0.1, logprobs=2,
        frequency_penalty=0.2, thinking=512,
    )  # fmt: skip
    closed = replace(WEATHER, parameters={**CITY, "additionalProperties": False})
    made = ToolCall.create("get_weather", {"city": "Oslo"}, "c1")
    messages = (
        Message.system("Be brief."), Message.user("hi", ImagePart(data=PNG)), Message.assistant("Well.", made),
        Message.tool(ToolResult("c1", "rain")), Message.user(DocumentPart(url="gs://b/a.pdf")),
    )  # fmt: skip
    form = ResponseFormat(SCHEMA)
    request = InferenceRequest(
        messages=messages, tools=(closed,), tool_choice="any", config=config, response_format=form, streaming=False
    )
    backend = backend_of(server)
    backend.dialect = replace(backend.dialect, form_with_tools=True)
    await collect(backend, request)
    await backend.unload_model()
    ours = server.body
    image = types.Part.from_bytes(data=PNG, mime_type="image/png")
    called = types.Part.from_function_call(name="get_weather", args={"city": "Oslo"})
    answered = types.Part.from_function_response(name="get_weather", response={"output": "rain"})
    with sdk_client(server) as client:
        client.models.generate_content(
            model="gemini-2.5-flash",
            contents=[
                types.Content(role="user", parts=[types.Part(text="hi"), image]),
                types.Content(role="model", parts=[types.Part(text="Well."), called]),
                types.Content(role="user", parts=[answered]),
                types.UserContent(types.Part.from_uri(file_uri="gs://b/a.pdf", mime_type="application/pdf")),
            ],
            config=types.GenerateContentConfig(
                system_instruction=types.Content(parts=[types.Part(text="Be brief.")]),
                max_output_tokens=9, temperature=0.5, top_p=0.9, top_k=4, stop_sequences=["a"], seed=3,
                presence_penalty=0.1, frequency_penalty=0.2, response_logprobs=True, logprobs=2,
                thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=512),
                tools=[types.Tool(function_declarations=[types.FunctionDeclaration(
                    name="get_weather", description="Weather", parameters_json_schema=dict(closed.parameters))])],
                tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),
                response_mime_type="application/json", response_json_schema=SCHEMA,
            ),
        )  # fmt: skip
    assert ours == camel_case(server.body)


async def test_a_client_of_ones_own(serve: Serve) -> None:
    """Everything goes through an SDK's client that is given, and is read as ever."""
    parts = [text("Hm.", thought=True), text("Hi"), call("get_time", {"a": [1]}, id="f1", thoughtSignature="c2lnbmVk")]
    server = serve(stream(*parts), stream(text("x")))
    backend = GoogleBackend(info(), {"client": sdk_client(server, headers={"X-Team": "a"})})
    await backend.load_model()
    request = InferenceRequest(
        messages=(Message.user("hi", ImagePart(data=PNG)),), tools=(CLOCK,), config=GenerationConfig(temperature=0.5)
    )
    response = await collect(backend, request)
    assert server.requests[0].headers["x-team"] == "a"
    assert (response.text, response.thinking, response.usage) == ("Hi", "Hm.", Usage(3, 2))
    [made] = response.tool_calls
    assert (made.id, made.arguments) == ("f1", {"a": [1]})
    assert server.body["contents"][0]["parts"][1]["inlineData"]["data"] == base64.b64encode(PNG).decode()
    result = Message.tool(ToolResult(made.id, "9"))
    await collect(backend, request.with_messages([*request.messages, response.message, result]))
    assert server.body["contents"][1]["parts"][1]["thoughtSignature"] == "c2lnbmVk"
    assert await backend.count_tokens(request) is None
    await backend.unload_model()


async def test_faults_of_a_client_of_ones_own(serve: Serve) -> None:
    """Its errors are ours, and what the model refuses is left out as ever."""
    server = serve(
        google_error(400, "INVALID_ARGUMENT", "Logprobs is not supported for this model"), stream(text("x")),
        quota("PerMinute"), Reply([frame(candidate(text("half")))]), Reply([frame(candidate(text("half"))), CUT]),
    )  # fmt: skip
    backend = GoogleBackend(info(), {"client": sdk_client(server)})
    response = await collect(backend, InferenceRequest("hi", config=GenerationConfig(logprobs=2)))
    assert response.dropped_parameters == ("logprobs",)
    with pytest.raises(errors.RateLimitError) as caught:
        await collect(backend)
    assert caught.value.retry_after == 36.5
    for _ in range(2):
        with pytest.raises(errors.StreamInterruptedError):
            await collect(backend)
    await backend.unload_model()


def test_what_is_known_of_models() -> None:
    """Context and abilities of the families are known before anything is asked."""
    facts = google_models.facts("gemini-3.8-flash")
    assert facts["context_length"] == 1_048_576
    assert {"tools", "images", "thinking"} <= facts["capabilities"]
    assert "thinking" not in google_models.facts("gemini-2.0-flash")["capabilities"]
    assert google_models.facts("gemma-3-27b-it") == {}
    assert google_models.family_of("gemini-flash-lite-latest") == (google_models.NEWEST, "flash-lite")


# ----------------------------------------------------------------------------------------- through the whole framework
async def test_vertex_and_clients_through_the_configuration(serve: Serve, tmp_path: Path) -> None:
    """Sections of the configuration name a project on Vertex AI, or bring a client of one's own."""
    server = serve(json_reply({**candidate(text("x"), finish="STOP"), **counts()}), stream(text("y")))
    url = f"http://127.0.0.1:{server.port}"
    vertex = {"base_url": url, "project": "p", "location": "l", "credentials": token_maker()}
    sections = {
        "vertex": {"provider": "google", **vertex},
        "mine": {"provider": "google", "client": sdk_client(server)},
    }
    values: Any = {"models_dir": str(tmp_path), "api_credentials": sections, "max_retries": 0}
    async with LLMFramework(values) as framework:
        assert await framework.generate_text("hi", model_name="vertex:gemini-2.5-flash") == "x"
        assert await framework.generate_text("hi", model_name="mine:gemini-2.5-flash") == "y"
    assert "/projects/p/locations/l/" in server.requests[0].path
    assert server.requests[1].headers["x-goog-api-key"] == KEY


async def test_an_agents_round_through_langchain(serve: Serve, tmp_path: Path) -> None:
    """Signatures of calls and of text survive LangChain's messages, streamed and whole."""
    langchain = pytest.importorskip("langchain_llm_framework")
    messages = pytest.importorskip("langchain_core.messages")
    parts = [text("Hm.", thought=True), text("So."), call("get_weather", {"city": "Oslo"}, thoughtSignature="c2ln")]
    server = serve(stream(*parts), stream(text("x")))
    async with framework_of(server, tmp_path, "gemini-3.8-flash") as framework:
        tool = {"type": "function", "function": {"name": "get_weather", "parameters": CITY}}
        model = langchain.FrameworkChatModel.from_framework(framework, model="gemini-3.8-flash").bind_tools([tool])
        history: list[Any] = [messages.HumanMessage("hi")]
        answered = None
        async for piece in model.astream(history):
            answered = piece if answered is None else answered + piece
        assert answered is not None
        history += [answered, messages.ToolMessage("rain", tool_call_id=answered.tool_calls[0]["id"])]
        [_ async for _ in model.astream(history)]
    [said, made] = server.body["contents"][1]["parts"]
    assert said == text("So.")
    assert made["thoughtSignature"] == "c2ln"
    assert server.body["contents"][2]["parts"][0]["functionResponse"]["id"] == made["functionCall"]["id"]


# ------------------------------------------------------------------------------------------------------- any answer
PARTS = st.lists(
    st.one_of(
        st.builds(text, st.text(min_size=1)),
        st.builds(lambda said: text(said, thought=True), st.text(min_size=1)),
        st.builds(lambda args: call("get_weather", args), st.dictionaries(st.text(), st.integers() | st.text())),
    ),
    min_size=1,
)


@given(parts=PARTS, data=st.data())
@settings(deadline=None, max_examples=60)
def test_any_split_of_any_answer(parts: list[dict[str, Any]], data: st.DataObject) -> None:
    """However the parts are spread over frames, and the frames over bytes, the answer is the same."""
    frames: list[list[dict[str, Any]]] = [[]]
    for part in parts:
        if data.draw(st.booleans()):
            frames.append([])
        frames[-1].append(part)
    values = [candidate(*frame) for frame in frames] + [candidate(finish="STOP")]
    raw = "".join(map(frame, values)).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    reader, decoder, builder = GeminiReader("google", "m", ["get_weather"]), SSEDecoder(), ResponseBuilder()
    for start, end in itertools.pairwise([0, *cuts, len(raw)]):
        for event in decoder.feed(raw[start:end]):
            for chunk in reader.event(event):
                builder.add(chunk)
    builder.add(reader.last(()))
    response = builder.response()
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    assert [(made.name, made.arguments) for made in response.tool_calls] == [(c["name"], c["args"]) for c in calls]
    assert len({made.id for made in response.tool_calls}) == len(calls)
    said = [part for part in parts if "text" in part]
    assert response.text == "".join(part["text"] for part in said if not part.get("thought"))
    assert response.thinking == "".join(part["text"] for part in said if part.get("thought"))
    assert response.finish_reason == ("tool_calls" if calls else "stop")
