"""The Google backend against a real server: what it sends, what it reads, and every way to fail."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.chat_server import CUT, HANG, ChatServer, Handler, Reply, frame, json_reply

from llm_framework import InferenceRequest, LLMFramework, Message, ModelInfo, errors
from llm_framework.testing import check_backend
from llm_framework.types import (
    InferenceResponse,
    ResponseBuilder,
    ToolResult,
    ToolSpec,
    Usage,
)

pytest.importorskip("google.genai")
from llm_framework.backends.google import GoogleBackend

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
        {"name": "get_weather", "description": "Weather", "parametersJsonSchema": CITY},
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
