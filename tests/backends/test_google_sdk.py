"""The Google backend and Google's SDK: addresses, keys, Vertex AI, a client of one's own."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.chat_server import CUT, ChatServer, Reply, frame, json_reply
from servers.gemini_calls import (
    CITY,
    CLOCK,
    KEY,
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
    info,
    quota,
    stream,
    text,
)

from llm_framework import GenerationConfig, InferenceRequest, LLMFramework, Message, errors
from llm_framework.backends.google import GoogleBackend
from llm_framework.registry import google_models
from llm_framework.types import (
    DocumentPart,
    ImagePart,
    ResponseFormat,
    ToolCall,
    ToolResult,
    Usage,
)

pytest.importorskip("google.genai")

Serve = Callable[..., ChatServer]


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
