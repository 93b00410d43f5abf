"""The Google backend against a real server: what it reads, and every way to fail."""

from __future__ import annotations

import itertools
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.chat_server import CUT, HANG, ChatServer, Reply, frame, json_reply
from servers.gemini_calls import (
    CITY,
    CLOCK,
    KEY,
    WEATHER,
    answer,
    backend_of,
    call,
    candidate,
    counts,
    framework_of,
    google_error,
    info,
    quota,
    stream,
    text,
)

from llm_framework import InferenceRequest, Message, errors
from llm_framework.backends.google import GoogleBackend
from llm_framework.backends.protocols.gemini_response import GeminiReader
from llm_framework.backends.protocols.sse import SSEDecoder
from llm_framework.embedding import EmbeddingRequest
from llm_framework.testing import check_backend
from llm_framework.types import (
    ResponseBuilder,
    TokenLogprob,
    ToolResult,
    Usage,
)

pytest.importorskip("google.genai")

Serve = Callable[..., ChatServer]


# ------------------------------------------------------------------------------------------------------- the contract
def play(request: Any) -> Reply:
    """A model of few words: it calls the first tool once, and talks otherwise."""
    asked = request.body
    if request.path.endswith(":countTokens"):
        return json_reply({"totalTokens": 3})
    last = asked["contents"][-1]["parts"][-1]
    if asked.get("tools") and "functionResponse" not in last:
        name = asked["tools"][0]["functionDeclarations"][0]["name"]
        return stream(call(name, {"city": "Oslo"}))
    config = asked["generationConfig"]
    words = ["{}"] if config.get("responseMimeType") else ["One", " two", " three", " four", " five"]
    end = min([n for n, word in enumerate(words) if word.strip() in config.get("stopSequences", ())] or [len(words)])
    shown = words[:end][: config.get("maxOutputTokens", 99)]
    finish = "MAX_TOKENS" if len(shown) < end else "STOP"
    if "streamGenerateContent" in request.path:
        return stream(*map(text, shown), finish=finish, answer=len(shown))
    return json_reply({**candidate(text("".join(shown)), finish=finish), **counts(answer=len(shown))})


async def test_contract(serve: Serve) -> None:
    """It keeps the contract of every backend, tools included, and uses its connections again."""
    server = serve(handler=play)
    settings = {"base_url": f"http://127.0.0.1:{server.port}", "api_key": KEY}
    nobody = {**settings, "base_url": "http://127.0.0.1:9"}
    await check_backend(GoogleBackend, info(), settings, tools=True, response_format=True, failing_settings=nobody)
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
        ({"thoughtsTokenCount": float("nan"), "cachedContentTokenCount": float("inf")}, Usage(3, 2)),
        ({"thoughtsTokenCount": 2, "totalTokenCount": 5}, Usage(3, 2, 0, 2)),
        ({"toolUsePromptTokenCount": 5, "cachedContentTokenCount": 1}, Usage(8, 2, 1, 0)),
    ],
)
async def test_usage(serve: Serve, given: dict[str, Any], usage: Usage) -> None:
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
    made = await backend.embed(EmbeddingRequest(texts=("a", "b")))
    assert made.vectors == [[1.0, 2.0], [3.0, 4.0]]
    assert server.requests[0].path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert server.body["requests"][0]["model"] == "models/gemini-embedding-001"
    await backend.unload_model()


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
