"""What the Google backend sends: parameters, messages, forms, thoughts and signatures."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.chat_server import ChatServer, Reply, json_reply
from servers.gemini_calls import (
    CLOCK,
    PNG,
    SCHEMA,
    WEATHER,
    answer,
    backend_of,
    call,
    candidate,
    collect,
    counts,
    framework_of,
    google_error,
    stream,
    text,
)

from llm_framework import GenerationConfig, InferenceRequest, Message, errors
from llm_framework.backends.protocols import gemini_request, gemini_schema
from llm_framework.types import (
    DocumentPart,
    ImagePart,
    ResponseFormat,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)

pytest.importorskip("google.genai")

Serve = Callable[..., ChatServer]


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
