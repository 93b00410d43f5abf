"""OpenAI's Responses: what is sent to it, what is read of it, whole and in any pieces, and what is sent back to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.chat_server import ChatServer, Reply, error_reply, frame, json_reply, text_stream
from servers.openai_calls import (
    KEY,
    WEATHER,
    added,
    answer,
    answer_of,
    answer_stream,
    arguments_delta,
    backend_of,
    call_item,
    done,
    end,
    event,
    message_item,
    reasoning_item,
    response,
    text_delta,
    thinking_events,
)

from llm_framework import GenerationConfig, InferenceRequest, Message, errors
from llm_framework.backends.protocols.responses_response import ResponsesReader
from llm_framework.backends.protocols.sse import SSEDecoder
from llm_framework.types import (
    DocumentPart,
    ImagePart,
    ResponseBuilder,
    ResponseFormat,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)

openai = pytest.importorskip("openai")

MODEL = "gpt-5.4"
CLOSED = {
    "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False
}  # fmt: skip
Serve = Callable[..., ChatServer]


# --------------------------------------------------------------------------------------------------- which endpoint
@pytest.mark.parametrize(
    ("model", "api"),
    [
        ("gpt-4o", "chat"), ("o3", "chat"), ("gpt-5", "chat"), ("gpt-5.2", "chat"), ("a-deployment", "chat"),
        ("o3-pro", "responses"), ("gpt-5-codex", "responses"), ("gpt-5.1-codex-max", "responses"),
        ("gpt-5.2-pro-2025-12-11", "responses"), ("codex-mini-latest", "responses"),
        ("o4-mini-deep-research", "responses"), ("gpt-5.4-mini", "responses"), ("gpt-6-luna", "responses"),
        ("gpt-6.1-sol", "responses"),
    ],
)  # fmt: skip
async def test_endpoint_by_family(serve: Serve, model: str, api: str) -> None:
    """A model is asked at the endpoint that its family wants, unless the settings say which."""
    server = serve(handler=lambda request: answer_stream("x") if "responses" in request.path else text_stream("x"))
    assert (await answer(server, "hi", model)).text == "x"
    other = "chat" if api == "responses" else "responses"
    assert (await answer(server, "hi", model, api=other)).text == "x"
    paths = {"chat": "/v1/chat/completions", "responses": "/v1/responses"}
    assert [request.path for request in server.requests] == [paths[api], paths[other]]
    with pytest.raises(errors.ConfigurationError, match="'chat' or 'responses'"):
        await answer(server, "hi", model, api="completions")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (
            400,
            "Function tools with reasoning_effort are not supported for x in /v1/chat/completions. Use /v1/responses",
        ),
        (404, "This model is only supported in v1/responses and not in v1/chat/completions."),
    ],
)
async def test_endpoint_that_turns_out(serve: Serve, status: int, message: str) -> None:
    """A model that Chat Completions sends to Responses is asked there, the next time at once; one whose endpoint was
    chosen is not."""

    def handler(request: Any) -> Reply:
        return answer_stream("x") if "responses" in request.path else error_reply(status, message)

    server = serve(handler=handler)
    backend = backend_of(server, "a-deployment")
    request = InferenceRequest("hi", tools=(WEATHER,))
    assert [(await answer_of(backend, request)).text for _ in range(2)] == ["x", "x"]
    await backend.unload_model()
    assert [request.path for request in server.requests] == ["/v1/chat/completions", *["/v1/responses"] * 2]
    with pytest.raises(errors.LLMFrameworkError, match="v1/responses"):
        await answer(server, "hi", "a-deployment", api="chat")


# ------------------------------------------------------------------------------------------------------------- sending
async def test_a_plain_request(serve: Serve) -> None:
    """Nothing is kept at the server, and what the model thinks comes encrypted."""
    server = serve(answer_stream("Hel", "lo"))
    found = await answer(server, "hi", MODEL)
    assert (found.text, found.finish_reason) == ("Hello", "stop")
    assert found.usage == Usage(5, 7, cached_tokens=2, reasoning_tokens=3)
    assert server.body == {
        "model": MODEL, "input": [{"role": "user", "content": "hi"}], "store": False, "stream": True,
        "include": ["reasoning.encrypted_content"], "reasoning": {"summary": "auto"},
    }  # fmt: skip


async def test_parameters(serve: Serve) -> None:
    """What the endpoint has is sent in its fields; what it has not is left out and listed, or raises."""
    server = serve(answer_stream("One, two"))
    config = GenerationConfig(
        max_tokens=99, temperature=0.5, top_p=0.9, logprobs=2, thinking="off", stop=(", t",), seed=1, top_k=3
    )
    found = await answer(server, InferenceRequest("hi", config=config), MODEL)
    assert (found.text, set(found.dropped_parameters)) == ("One", {"seed", "top_k"})
    expected = {
        "max_output_tokens": 99, "temperature": 0.5, "top_p": 0.9, "top_logprobs": 2, "reasoning": {"effort": "none"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    }  # fmt: skip
    assert {name: server.body.get(name) for name in expected} == expected
    assert not {"stop", "seed", "top_k", "max_tokens"} & set(server.body)
    explicit = InferenceRequest("hi", config=config, explicit=frozenset(["seed"]))
    with pytest.raises(errors.UnsupportedFeatureError, match="seed"):
        await answer(server, explicit, MODEL)


@pytest.mark.parametrize(
    ("model", "thinking", "sent"),
    [
        (MODEL, "high", {"effort": "high", "summary": "auto"}),
        (MODEL, "off", {"effort": "none"}),
        ("gpt-5-pro", None, {"summary": "auto"}),
        ("gpt-4o", None, None),
        ("gpt-4o", "off", None),
    ],
)
async def test_thinking(serve: Serve, model: str, thinking: Any, sent: Any) -> None:
    """Effort and summary are asked for where the model thinks."""
    server = serve(answer_stream("x"))
    request = InferenceRequest("hi", config=GenerationConfig(thinking=thinking))
    assert (await answer(server, request, model, api="responses")).dropped_parameters == ()
    assert server.body.get("reasoning") == sent
    assert ("include" in server.body) == (model != "gpt-4o")


async def test_summary_that_is_refused(serve: Serve) -> None:
    """A summary that the server does not give is done without, and not asked for again."""

    def handler(request: Any) -> Reply:
        if "summary" in request.body["reasoning"]:
            message = "Your organization must be verified to generate reasoning summaries."
            return error_reply(400, message, "unsupported_value", "reasoning.summary")
        return answer_stream("x")

    server = serve(handler=handler)
    backend = backend_of(server, MODEL)
    request = InferenceRequest("hi", config=GenerationConfig(thinking="low"))
    for requests in (2, 3):
        assert (await answer_of(backend, request)).text == "x"
        assert len(server.requests) == requests
    assert server.body["reasoning"] == {"effort": "low"}
    await backend.unload_model()


async def test_a_whole_chat(serve: Serve, tmp_path: Path) -> None:
    """Instructions, images, documents, calls and their results are sent as the protocol writes them."""
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n0000")
    call = ToolCall.create("get_weather", {"city": "Zürich"}, id="call_1")
    messages = (
        Message.system("Be brief."),
        Message.user(
            "See:", ImagePart(url="https://a.b/c.jpg"), ImagePart(path=tmp_path / "a.png"),
            DocumentPart(data=b"%PDF-1", name="a.pdf"), DocumentPart(url="https://a.b/d.pdf"),
        ),
        Message.assistant(ThinkingPart("hm"), "I look.", call, ToolCall.from_raw("call_2", "get_weather", "{broken")),
        Message.tool(ToolResult("call_1", "rain"), ToolResult("call_2", (TextPart("see"), ImagePart(url="https://a.b/e.png")))),
        Message.system("Now in French."),
        Message.user("And?"),
    )  # fmt: skip
    server = serve(answer_stream("x"))
    await answer(server, InferenceRequest(messages=messages), MODEL)
    assert server.body["instructions"] == "Be brief."
    user, text, first, second, one, two, *rest = server.body["input"]
    data_url = "data:image/png;base64," + base64.b64encode((tmp_path / "a.png").read_bytes()).decode()
    assert user["content"] == [
        {"type": "input_text", "text": "See:"},
        {"type": "input_image", "image_url": "https://a.b/c.jpg", "detail": "auto"},
        {"type": "input_image", "image_url": data_url, "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"},
        {"type": "input_file", "file_url": "https://a.b/d.pdf"},
    ]
    assert text == {"role": "assistant", "content": "I look."}
    assert first == {
        "type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Zürich"}'
    }  # fmt: skip
    assert second["arguments"] == "{broken"
    assert one == {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
    assert [part["type"] for part in two["output"]] == ["input_text", "input_image"]
    assert rest == [{"role": "developer", "content": "Now in French."}, {"role": "user", "content": "And?"}]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ("any", "required"),
        ("get_weather", {"type": "function", "name": "get_weather"}),
    ],
)
async def test_tools(serve: Serve, choice: str | None, sent: Any) -> None:
    """Tools say whether they are strict, which this endpoint would take for granted, and tool_choice is written."""
    server = serve(answer_stream("x"))
    strict = ToolSpec("get_time", parameters=CLOSED, strict=True)
    given = InferenceRequest(
        "hi", tools=(WEATHER, strict), tool_choice=choice, metadata={"parallel_tool_calls": False}
    )  # fmt: skip
    await answer(server, given, MODEL)
    assert [tool["strict"] for tool in server.body["tools"]] == [False, True]
    assert server.body["tools"][0] == {
        "type": "function", "name": "get_weather", "description": "Weather", "parameters": dict(WEATHER.parameters),
        "strict": False,
    }  # fmt: skip
    assert (server.body.get("tool_choice"), server.body["parallel_tool_calls"]) == (sent, False)


async def test_forms(serve: Serve) -> None:
    """A schema is sent as the text's format, strict where it is closed; what nothing would hold to is refused."""
    server = serve(answer_stream("{}"))
    for schema, strict in ((CLOSED, True), ({"type": "object", "properties": {"a": {}}}, False)):
        await answer(server, InferenceRequest("hi", response_format=ResponseFormat(schema=schema)), MODEL)
        form = {"type": "json_schema", "name": "answer", "schema": schema, "strict": strict}
        assert server.body["text"] == {"format": form}
    loose = ResponseFormat(schema={"type": "object"}, strict=False)
    await answer(server, InferenceRequest("hi", response_format=loose), MODEL)
    assert server.body["text"] == {"format": {"type": "json_object"}}
    for form in (ResponseFormat(regex="[a-z]"), ResponseFormat(lark='start: "a"')):
        with pytest.raises(errors.UnsupportedFeatureError, match=r"expression|grammar"):
            await answer(server, InferenceRequest("hi", response_format=form), MODEL)


# ------------------------------------------------------------------------------------------------------------- reading
def whole_and_streamed(output: list[Any], pieces: list[Any]) -> list[Reply]:
    """The same answer in both forms."""
    return [json_reply(response(output=output)), Reply([*pieces, end(output=output)])]


FULL = [
    reasoning_item("hm, well"),
    message_item("Let me see.", phase="commentary"),
    reasoning_item("", "rs_2", "MORE=="),
    call_item("call_a", "get_weather", '{"city": "Oslo"}'),
    call_item("call_b", "get_time", "{}"),
]
FULL_PIECES = [
    *thinking_events("hm, well"),
    added(1, {**message_item(""), "content": []}), text_delta("Let me ", 1), text_delta("see.", 1), done(1, FULL[1]),
    added(2, reasoning_item("", "rs_2", None)), done(2, FULL[2]),
    added(3, call_item("call_a", "get_weather", "")), arguments_delta(3, '{"city"'), arguments_delta(3, ': "Oslo"}'),
    done(3, FULL[3]), added(4, call_item("call_b", "get_time", "")), done(4, FULL[4]),
]  # fmt: skip


@pytest.mark.parametrize("form", [0, 1])
async def test_all_that_an_answer_may_hold(serve: Serve, form: int) -> None:
    """Thinking, text and calls are read in their order, whole and in pieces alike, and go back as they came."""
    server = serve(whole_and_streamed(FULL, FULL_PIECES)[form])
    found = await answer(server, "hi", MODEL)
    assert (found.thinking, found.text, found.finish_reason) == ("hm, well", "Let me see.", "tool_calls")
    assert [(call.id, call.name, call.arguments) for call in found.tool_calls] == [
        ("call_a", "get_weather", {"city": "Oslo"}), ("call_b", "get_time", {}),
    ]  # fmt: skip
    kinds = [type(part) for part in found.message.parts]
    assert kinds == [ThinkingPart, TextPart, ThinkingPart, ToolCall, ToolCall]
    results = Message.tool(ToolResult("call_a", "rain"), ToolResult("call_b", "noon"))
    again = InferenceRequest(messages=(Message.user("hi"), found.message, results))
    await answer(server, again, MODEL)
    sent = server.body["input"]
    assert sent[1] == {k: v for k, v in FULL[0].items() if k != "status"}
    assert sent[2] == {"role": "assistant", "content": "Let me see.", "phase": "commentary"}
    assert sent[3] == FULL[2]
    assert [item.get("call_id") for item in sent[4:]] == ["call_a", "call_b", "call_a", "call_b"]
    await answer(server, again, MODEL, provider="elsewhere")
    assert [item for item in server.body["input"] if item.get("type") == "reasoning" or "phase" in item] == []


async def test_hidden_thinking_after_text(serve: Serve) -> None:
    """What proves hidden thinking is not taken for a proof of the text before it."""
    items = [message_item("Text."), reasoning_item("", "rs_2", "X=="), call_item("c", "f", "{}")]
    found = await answer(serve(json_reply(response(output=items))), "hi", MODEL)
    text, thinking, _ = found.message.parts
    assert isinstance(text, TextPart)
    assert "item" not in text.provider_data
    assert isinstance(thinking, ThinkingPart)
    assert (thinking.text, thinking.provider_data["item"]["id"]) == ("", "rs_2")


async def test_thinking_with_nothing_after_it(serve: Serve) -> None:
    """Reasoning at the end of a message, of an answer that was cut, is not sent back: the server would refuse it."""
    item = reasoning_item()
    part = ThinkingPart("hm", "SECRET==", {"provider": "openai", "item": item})
    history = (Message.user("hi"), Message.assistant("a", part), Message.user("and?"))
    server = serve(answer_stream("x"))
    await answer(server, InferenceRequest(messages=history), MODEL)
    assert [item.get("type") for item in server.body["input"]] == [None, None, None]


async def test_several_summaries(serve: Serve) -> None:
    """Summaries stand apart from each other."""
    part = "response.reasoning_summary_part.added"
    pieces = [
        event(part, output_index=0, summary_index=0), *thinking_events("one")[1:-1],
        event(part, output_index=0, summary_index=1), *thinking_events("two")[1:-1], text_delta("x", 1), end(),
    ]  # fmt: skip
    assert (await answer(serve(Reply(pieces)), "hi", MODEL)).thinking == "one\n\ntwo"


async def test_logprobs(serve: Serve) -> None:
    """Log-probabilities come with the text."""
    top = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -2.0}]
    item = {"token": "a", "logprob": -0.1, "top_logprobs": top}
    found = await answer(serve(Reply([text_delta("a", logprobs=[item]), end()])), "hi", "gpt-4o", api="responses")
    assert [(token.token, token.logprob, len(token.top)) for token in found.logprobs] == [("a", -0.1, 2)]


@pytest.mark.parametrize(
    ("details", "reason"),
    [({"reason": "max_output_tokens"}, "length"), ({"reason": "content_filter"}, "content_filter"), (None, "length")],
)
async def test_incomplete(serve: Serve, details: Any, reason: str) -> None:
    """An answer that is not complete says why."""
    found = await answer(serve(Reply([text_delta("a"), end("incomplete", incomplete_details=details)])), "hi", MODEL)
    assert (found.text, found.finish_reason) == ("a", reason)


async def test_refusal(serve: Serve) -> None:
    """A refusal is the text of the answer."""
    refusal = event("response.refusal.delta", output_index=0, delta="I cannot.")
    assert (await answer(serve(Reply([refusal, end()])), "hi", MODEL)).text == "I cannot."
    item = message_item("", content=[{"type": "refusal", "refusal": "No."}])
    assert (await answer(serve(json_reply(response(output=[item]))), "hi", MODEL)).text == "No."


async def test_servers_that_send_items_whole(serve: Serve) -> None:
    """What did not come in pieces is taken from the item, or from the end of the answer, and never twice."""
    items = [message_item("text"), call_item("c", "f", '{"a": 1}')]
    for pieces in ([done(0, items[0]), done(1, items[1])], [], [added(1, {**items[1]}), done(0, items[0])]):
        found = await answer(serve(Reply([*pieces, end(output=items)])), "hi", MODEL)
        assert (found.text, [call.arguments for call in found.tool_calls]) == ("text", [{"a": 1}])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text(min_size=1), st.dictionaries(st.text(), st.text())), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_any_cut_of_any_calls(calls: list[tuple[str, dict[str, str]]], random: Any) -> None:
    """Any calls, cut and interleaved in any way, come out as they were."""
    queues: list[list[str]] = []
    for index, (name, arguments) in enumerate(calls, start=1):
        text = json.dumps(arguments)
        cuts = sorted(random.choices(range(len(text) + 1), k=random.randrange(5)))
        parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        deltas = [arguments_delta(index, part) for part in parts] if random.random() < 0.8 else []
        queues.append([*deltas, done(index, call_item(f"id{index}", name, text))])
    events = [added(index, call_item(f"id{index}", name, "")) for index, (name, _) in enumerate(calls, start=1)]
    while any(queues):
        events.append(random.choice([queue for queue in queues if queue]).pop(0))
    reader, builder, decoder = ResponsesReader("test", "m"), ResponseBuilder(), SSEDecoder()
    for piece in decoder.feed("".join([*events, end()]).encode()):
        for chunk in reader.event(piece):
            builder.add(chunk)
    found = builder.response().tool_calls
    assert [(call.name, call.arguments) for call in found] == calls
    assert reader.ended


# ---------------------------------------------------------------------------------------------------------- broken ends
@pytest.mark.parametrize("last", [[], [done(0, message_item("The answer"))], [frame("[DONE]")]])
async def test_without_the_end_mark(serve: Serve, last: list[str]) -> None:
    """A stream without the event that completes it was cut, whatever came before."""
    with pytest.raises(errors.StreamInterruptedError):
        await answer(serve(Reply([text_delta("The answer"), *last])), "hi", MODEL)
    with pytest.raises(errors.ConnectionFailedError):
        await answer(serve(Reply([event("response.created", response=response("in_progress"))])), "hi", MODEL)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("server_error", "oops", errors.ProviderUnavailableError),
        ("rate_limit_exceeded", "slow down", errors.RateLimitError),
        ("insufficient_quota", "You exceeded your current quota", errors.QuotaExceededError),
        ("context_length_exceeded", "too long", errors.ContextOverflowError),
        ("invalid_prompt", "flagged as violating our usage policy", errors.ContentFilterError),
        ("bio_policy", "no", errors.ContentFilterError),
        ("invalid_image", "no", errors.InvalidRequestError),
        (None, "no", errors.ProviderUnavailableError),
    ],
)
async def test_errors_inside_an_answer(
    serve: Serve, code: str | None, message: str, kind: type[errors.LLMFrameworkError]
) -> None:
    """An error inside a stream, in either form, or in an answer that failed, is the error that its code means."""
    error = {"code": code, "message": message}
    replies = [
        Reply([event("error", **error, param=None)]),
        Reply([event("error", error={**error, "type": None})]),
        Reply([end("failed", error=error)]),
        json_reply(response("failed", error=error)),
    ]
    for reply in replies:
        with pytest.raises(errors.LLMFrameworkError) as caught:
            await answer(serve(reply), "hi", MODEL)
        assert (type(caught.value), message in str(caught.value)) == (kind, True)


@pytest.mark.parametrize(
    "reply",
    [
        Reply([frame("{nonsense"), end()]),
        Reply([frame([1]), end()]),
        Reply([event("response.completed", response=None)]),
        json_reply([]),
        json_reply({"choices": []}),
        json_reply(response("in_progress")),
    ],
)
async def test_nonsense(serve: Serve, reply: Reply) -> None:
    """What cannot be read is an error that may be tried again, never an empty success."""
    with pytest.raises(errors.BadResponseError):
        await answer(serve(reply), "hi", MODEL)


async def test_events_that_nobody_knows(serve: Serve) -> None:
    """Events and items of tools that the server runs itself are passed over."""
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    pieces = [event("response.brand_new", x=1), added(0, search), done(0, search), text_delta("x", 1), end()]
    assert (await answer(serve(Reply(pieces)), "hi", MODEL)).text == "x"


# -------------------------------------------------------------------------------------------------------------- the SDK
async def test_the_sdk_reads_the_same(serve: Serve) -> None:
    """The SDK takes these events for real ones, and reads the same of them."""
    begin = event("response.created", response=response("in_progress"))
    server = serve(Reply([begin, *FULL_PIECES, end(output=FULL)]))
    ours = await answer(server, "hi", MODEL)
    client = openai.AsyncOpenAI(api_key=KEY, base_url=server.url, max_retries=0)
    async with client:
        stream = await client.responses.create(**{**server.body, "stream": True})
        events = [item async for item in stream]
    assert server.requests[1].body == server.requests[0].body
    final = events[-1].response
    assert final.output_text == ours.text
    calls = [(item.call_id, item.name, item.arguments) for item in final.output if item.type == "function_call"]
    assert calls == [(call.id, call.name, call.raw_arguments) for call in ours.tool_calls]


# ------------------------------------------------------------------------------------------------- counting and listing
async def test_count_of_tokens(serve: Serve) -> None:
    """The endpoint counts what the model would be shown; where it is not there, nothing is known."""
    server = serve(json_reply({"object": "response.input_tokens", "input_tokens": 42}), error_reply(404, "no"))
    backend = backend_of(server, "gpt-4o")
    request = InferenceRequest(
        messages=(Message.system("Be brief."), Message.user("hi")), tools=(WEATHER,), config=GenerationConfig(seed=1)
    )
    assert await backend.count_tokens(request) == 42
    assert (server.requests[0].path, server.body["input"]) == (
        "/v1/responses/input_tokens", [{"role": "user", "content": "hi"}],
    )  # fmt: skip
    assert set(server.body) == {"model", "input", "instructions", "tools"}
    assert await backend.count_tokens(request) is None
    await backend.unload_model()


async def test_available_models(serve: Serve) -> None:
    """The models that answer in text or make vectors are listed, with what is known of their families."""
    names = ["gpt-4o", "gpt-5.4", "text-embedding-3-small", "whisper-1", "gpt-image-1", "gpt-4o-realtime-preview"]
    data = [{"id": name, "object": "model", "owned_by": "openai", "created": 1} for name in names]
    backend = backend_of(serve(json_reply({"object": "list", "data": data})))
    listed = {info.name: info for info in await backend.available_models()}
    assert list(listed) == names[:3]
    assert listed["gpt-4o"].context_length == 128_000
    assert {"images", "tools"} <= listed["gpt-4o"].capabilities
    assert "thinking" in listed["gpt-5.4"].capabilities
    assert listed["text-embedding-3-small"].model_type == "embedding"
    assert listed["gpt-4o"].metadata == {"provider": "openai", "model_id": "gpt-4o"}
    await backend.unload_model()
