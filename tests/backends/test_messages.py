"""The Messages API without a server: what a request becomes, and what events mean."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_framework import GenerationConfig, InferenceRequest, Message, errors
from llm_framework.backends.protocols import messages_models, messages_request
from llm_framework.backends.protocols.messages_models import family_of, learnt
from llm_framework.backends.protocols.messages_response import MessagesReader
from llm_framework.backends.protocols.messages_schema import strict_schema
from llm_framework.types import (
    DocumentPart,
    ImagePart,
    InferenceResponse,
    ResponseBuilder,
    ResponseFormat,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    ToolSpec,
)

PNG = b"\x89PNG\r\n\x1a\n0000"
WEATHER = ToolSpec("get_weather", "Weather", {"type": "object", "properties": {"city": {"type": "string"}}})
OLD, MIDDLE, NEW = "claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-5-5"
PERSON = {"type": "object", "properties": {"name": {"type": "string", "minLength": 2}}, "required": ["name"]}


def written(*messages: Message, model: str = NEW, cache: Any = None, **fields: Any) -> messages_request.Written:
    """A request as the API is sent it."""
    request = InferenceRequest(messages=messages or (Message.user("hi"),), **fields)
    return messages_request.write(request, model, family_of(model), cache)


def body_of(*messages: Message, **fields: Any) -> dict[str, Any]:
    return written(*messages, **fields).body


def content_of(*parts: Any) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = body_of(Message.user(*parts))["messages"][0]["content"]
    return content


# ------------------------------------------------------------------------------------------------------------- messages
def test_the_system_prompt_stands_beside_the_messages() -> None:
    """System messages become the field `system`; neighbours of one role become one turn."""
    body = body_of(
        Message.system("Be brief."), Message.user("a"), Message.user("b"), Message.assistant("c "), model=OLD
    )
    assert body["system"] == "Be brief."
    assert [(turn["role"], [part["text"] for part in turn["content"]]) for turn in body["messages"]] == [
        ("user", ["a", "b"]),
        ("assistant", ["c"]),
    ]


def test_late_system_messages() -> None:
    """A system message in the middle stays there where the model takes it, and joins the first one elsewhere."""
    chat = (Message.system("A"), Message.user("x"), Message.system("B"), Message.user("y"))
    assert [turn["role"] for turn in body_of(*chat, model=NEW)["messages"]] == ["user", "system", "user"]
    assert [block["text"] for block in body_of(*chat, model=OLD)["system"]] == ["A", "B"]


def test_images_and_documents(tmp_path: Path) -> None:
    """Each kind of source is said in its own way; text documents as text, other formats not at all."""
    note = tmp_path / "note.md"
    note.write_text("# hé", encoding="utf-8")
    encoded = base64.b64encode(PNG).decode()
    parts = content_of(
        ImagePart(data=PNG),
        ImagePart(url="https://example.org/a.png"),
        ImagePart(url=f"data:image/gif;base64,{encoded}"),
        DocumentPart(data=b"%PDF-1.7", name="paper"),
        DocumentPart(url="https://example.org/a.pdf"),
        DocumentPart(path=note),
        DocumentPart(data=b"x", provider_data={"file_id": "file_1", "citations": {"enabled": True}}),
    )
    assert [part["source"] for part in parts] == [
        {"type": "base64", "media_type": "image/png", "data": encoded},
        {"type": "url", "url": "https://example.org/a.png"},
        {"type": "base64", "media_type": "image/gif", "data": encoded},
        {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF-1.7").decode()},
        {"type": "url", "url": "https://example.org/a.pdf"},
        {"type": "text", "media_type": "text/plain", "data": "# hé"},
        {"type": "file", "file_id": "file_1"},
    ]
    assert (parts[3]["title"], parts[5]["title"], parts[6]["citations"]) == ("paper", "note.md", {"enabled": True})
    with pytest.raises(errors.UnsupportedFeatureError, match="PDFs or text"):
        content_of(DocumentPart(data=b"PK", media_type="application/zip"))


def test_tool_calls_and_their_results() -> None:
    """Results of parallel calls share one turn; ids that the API refuses become others, the same for call and
    result; arguments that were no JSON are shown as what they were."""
    calls = [ToolCall.create("get_weather", {"city": "Oslo"}, "call_1"), ToolCall.from_raw("f.x:0", "get_weather", "{")]
    body = body_of(
        Message.user("?"),
        Message.assistant("Looking.", *calls),
        Message.tool(ToolResult("call_1", "rain")),
        Message.tool(ToolResult("f.x:0", (TextPart("no"), ImagePart(data=PNG)), is_error=True)),
        Message.user("And?"),
        tools=(WEATHER,),
    )
    said, results = body["messages"][1]["content"], body["messages"][2]["content"]
    assert [block["type"] for block in said] == ["text", "tool_use", "tool_use"]
    assert [block.get("input") for block in said[1:]] == [{"city": "Oslo"}, {"INVALID_JSON": "{"}]
    assert [block["type"] for block in results] == ["tool_result", "tool_result", "text"]
    assert [block["tool_use_id"] for block in results[:2]] == [block["id"] for block in said[1:]]
    assert "is_error" not in results[0]
    assert results[1]["is_error"] is True
    assert [block["type"] for block in results[1]["content"]] == ["text", "image"]


def test_thinking_goes_back_to_its_maker_alone() -> None:
    """Signed blocks of this protocol and model are echoed word for word, in their order; all others are left out."""
    mine = {"provider": "anthropic", "model": NEW}
    parts = (
        ThinkingPart("a", "S1", mine),
        TextPart("one"),
        ThinkingPart("", "S2", {**mine, "hidden": True}),
        ThinkingPart("", "", {**mine, "redacted": "R"}),
        ThinkingPart("b", "S3", {"provider": "google"}),
        ThinkingPart("c", "S4", {"provider": "anthropic", "model": OLD}),
        ThinkingPart("d"),
        ToolCall.create("get_weather", {}, "t1"),
    )
    blocks = body_of(Message.user("?"), Message.assistant(*parts))["messages"][1]["content"]
    assert blocks[:4] == [
        {"type": "thinking", "thinking": "a", "signature": "S1"},
        {"type": "text", "text": "one"},
        {"type": "thinking", "thinking": "", "signature": "S2"},
        {"type": "redacted_thinking", "data": "R"},
    ]
    assert [block["type"] for block in blocks[4:]] == ["tool_use"]


def test_empty_text_is_left_out() -> None:
    """The API refuses blocks of text without text, and turns without blocks."""
    body = body_of(Message.user("a"), Message.assistant("", " "), Message.user("b"))
    assert [turn["role"] for turn in body["messages"]] == ["user"]
    assert len(body["messages"][0]["content"]) == 2


def test_caching() -> None:
    """Prefixes end where a part or message says so, or with the setting after the system prompt and the last turn."""
    control = {"type": "ephemeral"}
    part = TextPart("long", {"cache_control": control})
    message = Message("user", ("a", "b"), provider_data={"cache_control": control})
    blocks = body_of(Message.user(part), message)["messages"][0]["content"]
    assert ["cache_control" in block for block in blocks] == [True, False, True]
    body = body_of(Message.system("s"), Message.user("u"), cache="1h")
    assert body["system"][-1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


# ---------------------------------------------------------------------------------------------------------------- tools
@pytest.mark.parametrize(
    ("choice", "one", "expected"),
    [
        (None, None, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("auto", None, {"type": "auto"}),
        ("none", False, {"type": "none"}),
        ("any", None, {"type": "any"}),
        ("get_weather", False, {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice(choice: str | None, one: bool | None, expected: Any) -> None:
    """Every choice has its form, and one call at a time is asked for beside it."""
    metadata = {} if one is None else {"parallel_tool_calls": one}
    body = body_of(model=OLD, tools=(WEATHER,), tool_choice=choice, metadata=metadata)
    assert body.get("tool_choice") == expected
    assert body["tools"] == [{"name": "get_weather", "description": "Weather", "input_schema": WEATHER.parameters}]


def test_a_model_that_cannot_be_made_to_call() -> None:
    """The newest models refuse a forced call: that is said, or dropped where parameters may be."""
    with pytest.raises(errors.UnsupportedFeatureError, match="auto or none"):
        body_of(tools=(WEATHER,), tool_choice="any")
    lenient = written(tools=(WEATHER,), tool_choice="any", metadata={"strict_parameters": False})
    assert "tool_choice" not in lenient.body
    assert "tool_choice" in lenient.refused


def test_a_strict_tool() -> None:
    """A strict tool has a closed schema; one whose schema cannot be closed is sent as it is."""
    tool = body_of(tools=(ToolSpec("f", "", PERSON, strict=True),))["tools"][0]
    assert tool["strict"] is True
    assert tool["input_schema"]["additionalProperties"] is False
    open_schema = {"type": "object", "additionalProperties": {"type": "string"}}
    tool = body_of(tools=(ToolSpec("f", "", open_schema, strict=True),))["tools"][0]
    assert tool == {"name": "f", "input_schema": open_schema}


# ----------------------------------------------------------------------------------------------------------- parameters
@pytest.mark.parametrize(
    ("model", "thinking", "expected"),
    [
        (OLD, "off", {}),
        (OLD, "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        (OLD, 5000, {"thinking": {"type": "enabled", "budget_tokens": 5000}}),
        (MIDDLE, "high", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (MIDDLE, 5000, {"thinking": {"type": "enabled", "budget_tokens": 5000}}),
        (NEW, "low", {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}}),
        (NEW, 6000, {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "medium"}}),
        ("claude-sonnet-5", "off", {"thinking": {"type": "disabled"}}),
        ("claude-sonnet-5-5", "off", {"thinking": {"type": "between_tools"}}),
        ("us.anthropic.claude-sonnet-5-5-v1:0", 0, {"thinking": {"type": "between_tools"}}),
    ],
)
def test_thinking(model: str, thinking: Any, expected: dict[str, Any]) -> None:
    """One control becomes what each family takes: a budget, an effort, or one of its ways not to think."""
    body = body_of(model=model, config=GenerationConfig(max_tokens=20_000, thinking=thinking))
    assert {name: body[name] for name in ("thinking", "output_config") if name in body} == expected


def test_thinking_that_cannot_be_had() -> None:
    """A model that always thinks, one that never does, and a call that is forced: each is told to the caller."""
    always = written(config=GenerationConfig(thinking="off"))
    never = written(model="claude-3-5-haiku", config=GenerationConfig(thinking="low"))
    forced = written(model=OLD, tools=(WEATHER,), tool_choice="any", config=GenerationConfig(thinking="low"))
    for refused in (always, never, forced):
        assert "thinking" in refused.refused
        assert "thinking" not in refused.body
    assert "always" in always.refused["thinking"]


def test_max_tokens_holds_the_thinking() -> None:
    """A level's budget yields to max_tokens, a number must fit, and where nobody set max_tokens there is room."""
    body = body_of(model=OLD, config=GenerationConfig(max_tokens=4000, thinking="high"))
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (4000, 2000)
    assert "thinking" in written(model=OLD, config=GenerationConfig(max_tokens=500, thinking="low")).refused
    with pytest.raises(errors.InvalidRequestError, match="max_tokens"):
        body_of(model=OLD, config=GenerationConfig(max_tokens=4000, thinking=5000))
    assert body_of(model=OLD, config=GenerationConfig(thinking=5000))["max_tokens"] > 5000
    assert body_of(model=OLD)["max_tokens"] == messages_request.DEFAULT_MAX_TOKENS
    assumed = InferenceRequest("x", config=GenerationConfig(max_tokens=512), assumed=frozenset({"max_tokens"}))
    assert messages_request.write(assumed, NEW, family_of(NEW)).body["max_tokens"] > 4096
    assert messages_request.write(assumed, OLD, family_of(OLD)).body["max_tokens"] == 512


def test_sampling() -> None:
    """Sampling goes to models that take it: not while they think, not two of it, and never to the newest."""
    both = GenerationConfig(temperature=0.5, top_p=0.9, top_k=4)
    old = written(model=OLD, config=both)
    assert (old.body["temperature"], old.body["top_k"]) == (0.5, 4)
    assert set(old.refused) == {"top_p"}
    assert messages_request.samples(old.body)
    new = written(config=both)
    assert set(new.refused) == {"temperature", "top_p", "top_k"}
    assert not messages_request.samples(new.body)
    thinks = written(model=MIDDLE, config=GenerationConfig(temperature=0.5, top_p=0.96, thinking="low"))
    assert set(thinks.refused) == {"temperature"}
    assert thinks.body["top_p"] == 0.96
    neutral = written(config=GenerationConfig(temperature=1, top_p=1, presence_penalty=0))
    assert not neutral.refused
    assert not messages_request.samples(neutral.body)


def test_what_the_api_has_no_field_for() -> None:
    """A seed, log-probabilities and penalties are refused; stop strings of white space are left to the reader."""
    config = GenerationConfig(seed=1, logprobs=2, frequency_penalty=0.5, stop=("END", "\n"))
    result = written(config=config)
    assert set(result.refused) == {"seed", "logprobs", "frequency_penalty"}
    assert result.body["stop_sequences"] == ["END"]


# --------------------------------------------------------------------------------------------------- the answer's form
def test_a_schema_is_held_to_where_it_can_be() -> None:
    """Natively; else as the tool that must be called; else in words. Regular expressions not at all."""
    form = ResponseFormat(schema=PERSON)
    native = body_of(response_format=form)["output_config"]["format"]
    assert native["type"] == "json_schema"
    assert native["schema"]["properties"]["name"] == {"type": "string", "description": '{"minLength": 2}'}
    tool = written(model="claude-opus-4-1", response_format=form)
    assert tool.form_tool == "answer"
    assert tool.body["tool_choice"] == {"type": "tool", "name": "answer"}
    beside = written(model="claude-opus-4-1", response_format=form, tools=(ToolSpec("answer"),))
    assert (beside.form_tool, beside.body["tool_choice"]) == ("answer_of_the_form", {"type": "any"})
    words = body_of(response_format=ResponseFormat(schema={"type": "object"}, strict=False))
    assert "JSON schema" in words["system"]
    with pytest.raises(errors.UnsupportedFeatureError, match="regular expression"):
        body_of(response_format=ResponseFormat(regex="a+"))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "string"}}}},
        {"type": "object", "properties": {"a": {"enum": [[1]]}}},
        {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}}},
        {"type": "object", "properties": {"a": {"$ref": "https://example.org/x"}}},
    ],
)
def test_schemas_that_cannot_be_held_to(schema: dict[str, Any]) -> None:
    """Open, untyped, recursive and foreign schemas have no strict form."""
    assert strict_schema(schema) is None


# ------------------------------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("model", "refusal", "changed"),
    [
        (OLD, "temperature: Extra inputs are not permitted", {"refused": frozenset({"temperature"})}),
        (MIDDLE, "`temperature` and `top_p` cannot both be specified for this model.", {"one_of_two": True}),
        (OLD, '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
              '"output_config.effort" to control thinking behavior.', {"thinking": "adaptive"}),
        ("claude-sonnet-5", '"thinking.type.disabled" is not supported for this model. Use "thinking.type.adaptive"',
         {"off": "never"}),
        (MIDDLE, "adaptive thinking is not supported on this model", {"thinking": "budget", "effort": False}),
        ("claude-sonnet-5", "Thinking may not be enabled when tool_choice forces tool use.",
         {"forced_while_thinking": False}),
        (OLD, "output_config.format: this model does not support structured outputs", {"schemas": False}),
        (OLD, "max_tokens: 90000 > 8192, which is the maximum allowed number of output tokens", {"max_output": 8192}),
        (OLD, "messages: at least one message is required", {}),
    ],
)  # fmt: skip
def test_refusals_teach(model: str, refusal: str, changed: dict[str, Any]) -> None:
    """What a server says that it does not take is known from then on; other refusals teach nothing."""
    before = family_of(model)
    after = learnt(before, refusal)
    assert {name: getattr(after, name) for name in changed} == changed
    assert (after == before) is (not changed)


def test_unknown_models() -> None:
    """A Claude that is newer than the table is taken for the newest; a stranger for what most servers understand."""
    assert family_of("claude-opus-9").thinking == "adaptive"
    assert family_of("deepseek-chat") is messages_models.OTHER


# ------------------------------------------------------------------------------------------------------------- reading
def read(*values: dict[str, Any], stop: tuple[str, ...] = (), form_tool: str | None = None) -> InferenceResponse:
    """The answer of these events."""
    reader = MessagesReader("anthropic", NEW, stop, form_tool)
    builder = ResponseBuilder()
    for value in values:
        for chunk in reader.value(value):
            builder.add(chunk)
    builder.add(reader.last(()))
    assert reader.ended
    return builder.response()


def block(index: int, content: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": content},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def end(reason: str, **usage: Any) -> list[dict[str, Any]]:
    delta = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 7, **usage}}
    return [delta, {"type": "message_stop"}]


def test_blocks_keep_their_order_and_signatures() -> None:
    """Thinking, text, hidden and redacted thinking and calls become parts in their order, and go back as they came."""
    response = read(
        *block(0, {"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "hm"},
               {"type": "signature_delta", "signature": "S1"}),
        *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "one"}),
        *block(2, {"type": "thinking", "thinking": ""}, {"type": "signature_delta", "signature": "S2"}),
        *block(3, {"type": "redacted_thinking", "data": "R"}),
        *block(4, {"type": "text", "text": ""}, {"type": "text_delta", "text": "two"}),
        *block(5, {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {}},
               {"type": "input_json_delta", "partial_json": ""}),
        *end("tool_use"),
    )  # fmt: skip
    assert [type(part).__name__ for part in response.message.parts] == [
        "ThinkingPart", "TextPart", "ThinkingPart", "ThinkingPart", "TextPart", "ToolCall",
    ]  # fmt: skip
    assert (response.text, response.thinking, response.finish_reason) == ("onetwo", "hm", "tool_calls")
    assert response.tool_calls[0].arguments == {}
    again = body_of(Message.user("?"), response.message)["messages"][1]["content"]
    assert [block.get("signature") or block.get("data") or block["type"] for block in again] == [
        "S1", "text", "S2", "R", "text", "tool_use",
    ]  # fmt: skip
    assert again[1] == {"type": "text", "text": "one"}


def test_usage() -> None:
    """Cached tokens are part of the input, thinking part of the output; totals of the end replace those before."""
    message = {"usage": {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20}}
    response = read(
        {"type": "message_start", "message": message},
        *block(0, {"type": "text", "text": "x"}),
        *end("end_turn", output_tokens_details={"thinking_tokens": 4}),
    )
    usage = response.usage
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens) == (130, 100, 7, 4)
    assert response.provider_data["cache_creation_tokens"] == 20


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("pause_turn", "stop"), ("max_tokens", "length"),
     ("model_context_window_exceeded", "length"), ("refusal", "content_filter"), ("something_new", "stop")],
)  # fmt: skip
def test_finish_reasons(reason: str, expected: str) -> None:
    """Each reason to stop has its name here, and keeps its own."""
    response = read(*block(0, {"type": "text", "text": "x"}), *end(reason))
    assert response.finish_reason == expected
    assert response.provider_data["stop_reason"] == reason


def test_a_refusal_without_a_word() -> None:
    """An answer that is refused before anything is said ends so, and keeps the reason given."""
    details = {"type": "refusal", "category": "cyber", "explanation": "no exploits"}
    delta = {"stop_reason": "refusal", "stop_details": details}
    response = read({"type": "message_delta", "delta": delta, "usage": {}}, {"type": "message_stop"})
    assert (response.text, response.finish_reason) == ("", "content_filter")
    assert response.provider_data["stop_details"]["explanation"] == "no exploits"


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        ("overloaded_error", "Overloaded", errors.ProviderUnavailableError),
        ("api_error", "Internal", errors.ProviderUnavailableError),
        ("rate_limit_error", "slow down", errors.RateLimitError),
        ("authentication_error", "invalid x-api-key", errors.AuthenticationError),
        ("permission_error", "no", errors.PermissionDeniedError),
        ("billing_error", "pay", errors.QuotaExceededError),
        ("not_found_error", "model: claude-x", errors.ModelNotFoundError),
        ("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", errors.ContextOverflowError),
        ("invalid_request_error", "input length and `max_tokens` exceed context limit", errors.ContextOverflowError),
        ("invalid_request_error", "Your credit balance is too low", errors.QuotaExceededError),
        ("invalid_request_error", "Output blocked by content filtering policy", errors.ContentFilterError),
        ("invalid_request_error", "messages: no", errors.InvalidRequestError),
        ("a_new_error", "?", errors.ProviderUnavailableError),
    ],
)
def test_error_events(kind: str, message: str, expected: type[Exception]) -> None:
    """An error in a stream is the one that its status would have been."""
    with pytest.raises(expected) as caught:
        read({"type": "error", "error": {"type": kind, "message": message}})
    assert type(caught.value) is expected


def test_the_tool_that_holds_the_answer() -> None:
    """The arguments of the tool that stands for the answer's form are its text, and the answer simply stops."""
    events = block(0, {"type": "tool_use", "id": "t", "name": "answer", "input": {}},
                   {"type": "input_json_delta", "partial_json": '{"a"'},
                   {"type": "input_json_delta", "partial_json": ": 1}"})  # fmt: skip
    response = read(*events, *end("tool_use"), form_tool="answer")
    assert (response.text, response.tool_calls, response.finish_reason) == ('{"a": 1}', (), "stop")


def test_arguments_that_came_with_the_start() -> None:
    """A call whose arguments come with its start, and the provider's own tools, which are none of ours."""
    response = read(
        *block(0, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
               {"type": "input_json_delta", "partial_json": '{"q": 1}'}),
        *block(1, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}),
        *end("tool_use"),
    )  # fmt: skip
    assert [(call.id, call.name, call.arguments) for call in response.tool_calls] == [("t", "f", {"a": 1})]


CALLS = st.lists(
    st.tuples(st.sampled_from("fg"), st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=5))),
    min_size=1, max_size=4,
)  # fmt: skip


@given(CALLS, st.data())
@settings(max_examples=60, deadline=None)
def test_any_split_of_any_calls(calls: list[tuple[str, dict[str, Any]]], data: st.DataObject) -> None:
    """However the arguments are cut, the calls are the same, in their order."""
    values: list[dict[str, Any]] = []
    for index, (name, arguments) in enumerate(calls):
        text = json.dumps(arguments, ensure_ascii=False)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        content = {"type": "tool_use", "id": f"t{index}", "name": name, "input": {}}
        values += block(index, content, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces))
    response = read(*values, *end("tool_use"))
    assert [(call.name, call.arguments) for call in response.tool_calls] == calls
