"""The backends for OpenAI, Anthropic and Google against the LiteLLM proxy, which speaks all three protocols, before a
server that answers by script and, where it is installed, llama-cpp-python's server with the bundled model.

What a test expects of one protocol alone is what the proxy makes of it; the comment there says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from servers.chat_server import ChatServer
from servers.litellm_proxy import CALLS, FAULTS, FORMED, TEXT, cut_now, need_litellm_proxy, scripted_answer, start_proxy
from servers.real_server import RealServer, has_llama_cpp_python

from llm_framework import LLMFramework, Message, errors
from llm_framework.types import Chunk, ImagePart, InferenceResponse, TextPart, ToolResult, ToolSpec, Usage

from .conftest import KEY

need_litellm_proxy()

PROXY_KEY = "sk-proxy-0123456789"  # the servers behind have another
WRONG_KEY = "sk-wrong-9876543210"
# A name that is known for answers in a form; of an unknown one the backend only asks for them in words.
CLAUDE = "claude-haiku-4-5"
SDKS = {"openai": "openai", "anthropic": "anthropic", "google": "google.genai"}
PATHS = {"openai": "/v1", "anthropic": "", "google": ""}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ZONE = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}
TOOLS = [ToolSpec("get_weather", "The weather in a city.", CITY), ToolSpec("get_time", "The time in a zone.", ZONE)]
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6364f8cf500f00"
    "0386018059a3476b0000000049454e44ae426082"
)
both_ways = pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])


# ------------------------------------------------------------------------------------------------------------- servers
@pytest.fixture(scope="module")
def upstream() -> Iterator[ChatServer]:
    """The server behind the proxy that answers by script."""
    with ChatServer(handler=scripted_answer) as server:
        yield server


@pytest.fixture(scope="module")
def llama_behind(request: pytest.FixtureRequest) -> RealServer | None:
    """The real model behind the proxy, where there is one."""
    if not has_llama_cpp_python():
        return None
    server: RealServer = request.getfixturevalue("llama")
    return server


@pytest.fixture(scope="module")
def proxy(
    upstream: ChatServer, llama_behind: RealServer | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    """The proxy before them."""
    models = dict.fromkeys(("scripted", CLAUDE, *FAULTS), upstream.url)
    if llama_behind is not None:
        models["tiny-chat"] = llama_behind.url
    with start_proxy(tmp_path_factory.mktemp("litellm"), PROXY_KEY, models, KEY) as server:
        yield server


@pytest.fixture(params=list(SDKS))
def protocol(request: pytest.FixtureRequest) -> str:
    """The protocol that is spoken to the proxy."""
    name: str = request.param
    package, _, inner = SDKS[name].partition(".")
    if find_spec(package) is None or (inner and find_spec(f"{package}.{inner}") is None):
        pytest.skip(f"the SDK {SDKS[name]} is not installed")
    return name


class Asked:
    """Asks the models of the proxy by one protocol."""

    def __init__(self, proxy: RealServer, protocol: str, models_dir: str) -> None:
        self.origin = proxy.origin
        self.protocol = protocol
        self.models_dir = models_dir

    def framework(self, key: str = PROXY_KEY, **more: Any) -> LLMFramework:
        """A framework whose `proxy:` models are asked with that key."""
        settings = {
            "provider": self.protocol, "base_url": f"{self.origin}{PATHS[self.protocol]}", "api_key": key,
        }  # fmt: skip
        if self.protocol == "google":
            settings["api_version"] = "v1beta"
        return LLMFramework({"models_dir": self.models_dir, "api_credentials": {"proxy": settings}, **more})

    async def answer(
        self, model: str, prompt: Any = "Where is Oslo?", *, streaming: bool = False, key: str = PROXY_KEY, **more: Any
    ) -> InferenceResponse:
        """The response, put together from its chunks where it is streamed. Nothing is tried twice."""
        async with self.framework(key, max_retries=0) as framework:
            options = {"model_name": f"proxy:{model}", "max_tokens": 48, **more}
            if not streaming:
                return await framework.generate(prompt, **options)
            chunks = [chunk async for chunk in framework.stream(prompt, **options)]
            response = chunks[-1].response
            assert response is not None
            assert "".join(chunk.text for chunk in chunks) == response.text
            return response


@pytest.fixture
def asked(proxy: RealServer, protocol: str, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """The models of the proxy, by each protocol."""
    return Asked(proxy, protocol, str(tmp_path_factory.mktemp("models")))


# ------------------------------------------------------------------------------------------------------------- answers
@both_ways
async def test_chat(asked: Asked, upstream: ChatServer, streaming: bool) -> None:
    """The text comes as it was written, a line separator inside it included, and the question goes the other way."""
    messages = [Message.system("Be brief."), Message.user("Where is Oslo?")]
    response = await asked.answer("scripted", messages, streaming=streaming)
    assert (response.text, response.finish_reason) == ("".join(TEXT), "stop")
    sent = upstream.body["messages"]
    assert [message["role"] for message in sent] == ["system", "user"]
    assert "Be brief." in str(sent[0]["content"])
    assert "Where is Oslo?" in str(sent[1]["content"])


async def test_stream(asked: Asked) -> None:
    """The pieces of a stream come as they are."""
    async with asked.framework() as framework:
        chunks = [chunk async for chunk in framework.stream("Where is Oslo?", model_name="proxy:scripted")]
    assert tuple(chunk.text for chunk in chunks if chunk.text) == TEXT


@both_ways
async def test_usage(asked: Asked, streaming: bool) -> None:
    """The tokens are those that the server behind counted, not our estimate."""
    response = await asked.answer("scripted", streaming=streaming)
    if asked.protocol == "google" and streaming:  # the proxy does not ask for them, and reports none: 0
        assert response.usage.estimated or response.usage == Usage()
        return
    assert response.usage == Usage(3, 3)


@both_ways
async def test_parameters(asked: Asked, upstream: ChatServer, streaming: bool) -> None:
    """What a call asks for arrives at the server behind."""
    await asked.answer("scripted", streaming=streaming, temperature=0.5, stop=("END",), top_p=0.9, max_tokens=7)
    named = {name: upstream.body.get(name) for name in ("temperature", "stop", "top_p")}
    assert named == {"temperature": 0.5, "stop": ["END"], "top_p": 0.9}
    assert 7 in (upstream.body.get("max_tokens"), upstream.body.get("max_completion_tokens"))


async def test_image(asked: Asked, upstream: ChatServer) -> None:
    """An image arrives whole."""
    if asked.protocol == "google":
        pytest.skip("the proxy drops images that come by this protocol")
    await asked.answer("scripted", [Message("user", (TextPart("What is it?"), ImagePart(data=PIXEL)))])
    (image,) = [part for part in upstream.body["messages"][-1]["content"] if part["type"] == "image_url"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")


# --------------------------------------------------------------------------------------------------------------- tools
@both_ways
async def test_forced_call(asked: Asked, upstream: ChatServer, streaming: bool) -> None:
    """A tool that must be called is asked for by its name, and called."""
    response = await asked.answer("scripted", tools=TOOLS[:1], tool_choice="get_weather", streaming=streaming)
    assert [(call.name, call.arguments) for call in response.tool_calls] == [CALLS[0]]
    assert response.finish_reason == "tool_calls"
    named = {"type": "function", "function": {"name": "get_weather"}}
    # The proxy knows no name in this protocol: it makes it "any".
    assert upstream.body["tool_choice"] == ("required" if asked.protocol == "google" else named)
    assert upstream.body["tools"][0]["function"]["parameters"]["properties"] == CITY["properties"]


@both_ways
async def test_two_calls_and_their_results(asked: Asked, upstream: ChatServer, streaming: bool) -> None:
    """Two calls of one answer are two, each with an id of its own, and their results go back to the right one."""
    first = await asked.answer("scripted", tools=TOOLS, streaming=streaming)
    assert [(call.name, call.arguments) for call in first.tool_calls] == list(CALLS)
    assert len({call.id for call in first.tool_calls}) == 2
    results = [ToolResult(call.id, f"{call.name} says so") for call in first.tool_calls]
    history = [Message.user("Weather and time?"), first.message, *(Message.tool(result) for result in results)]
    second = await asked.answer("scripted", history, tools=TOOLS, streaming=streaming)
    assert second.text == "".join(TEXT)
    sent = upstream.body["messages"]
    calls = {call["id"]: call["function"]["name"] for message in sent for call in message.get("tool_calls") or ()}
    told = {calls[message["tool_call_id"]]: message["content"] for message in sent if message["role"] == "tool"}
    assert set(told) == {"get_weather", "get_time"}
    assert all(f"{name} says so" in str(content) for name, content in told.items())


@both_ways
async def test_schema(asked: Asked, upstream: ChatServer, streaming: bool) -> None:
    """The form of an answer arrives at the server behind as a schema, and the answer comes back parsed."""
    model = CLAUDE if asked.protocol == "anthropic" else "scripted"
    response = await asked.answer(model, response_format=PERSON, streaming=streaming)
    assert response.parsed == FORMED
    form = upstream.body["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"]["properties"] == PERSON["properties"]


# -------------------------------------------------------------------------------------------------------------- errors
@both_ways
@pytest.mark.parametrize(
    ("model", "error", "status"),
    [
        ("nonesuch", errors.ModelNotFoundError, 400),
        ("limited", errors.RateLimitError, 429),
        ("failing", errors.ProviderUnavailableError, 500),
        ("overflowing", errors.ContextOverflowError, 400),
        ("locked", errors.AuthenticationError, 401),
    ],
)
async def test_error(
    asked: Asked, model: str, error: type[errors.LLMFrameworkError], status: int, streaming: bool
) -> None:
    """What goes wrong behind the proxy is the error that it stands for."""
    if (model, asked.protocol) == ("locked", "google"):  # the proxy calls that its own failure
        error, status = errors.ProviderUnavailableError, 500
    with pytest.raises(error) as caught:
        await asked.answer(model, streaming=streaming)
    assert type(caught.value) is error
    assert caught.value.status == status
    assert PROXY_KEY not in repr(caught.value)
    if isinstance(caught.value, errors.ContextOverflowError):
        assert caught.value.limit == 512


@both_ways
async def test_wrong_key(asked: Asked, streaming: bool) -> None:
    """A wrong key is AuthenticationError, which does not repeat it."""
    with pytest.raises(errors.AuthenticationError) as caught:
        await asked.answer("scripted", streaming=streaming, key=WRONG_KEY)
    assert WRONG_KEY not in repr(caught.value)
    assert WRONG_KEY[-6:] not in str(caught.value)


async def test_attempts(asked: Asked, upstream: ChatServer) -> None:
    """A failure is tried again exactly as often as configured, the SDK and the proxy adding nothing."""
    before = len(upstream.requests)
    async with asked.framework(max_retries=1) as framework:
        with pytest.raises(errors.ProviderUnavailableError):
            await framework.generate("Where is Oslo?", model_name="proxy:failing")
    assert len(upstream.requests) - before == 2


async def test_cut_in_the_middle(asked: Asked) -> None:
    """A stream that breaks off behind the proxy is StreamInterruptedError with the text so far, and never whole."""
    cut_now.clear()
    seen: list[Chunk] = []

    async def read() -> None:
        async with asked.framework(max_retries=0) as framework:
            async for chunk in framework.stream("Where is Oslo?", model_name="proxy:cut"):
                seen.append(chunk)
                cut_now.set()

    with pytest.raises(errors.StreamInterruptedError) as caught:
        await read()
    assert caught.value.response.text == "".join(chunk.text for chunk in seen) == TEXT[0]


# ---------------------------------------------------------------------------------------------------------- real model
@pytest.fixture
def real_model(llama_behind: RealServer | None) -> None:
    if llama_behind is None:
        pytest.skip("llama-cpp-python[server] is not installed: make test-servers")


@pytest.mark.usefixtures("real_model")
@both_ways
async def test_real_model(asked: Asked, streaming: bool) -> None:
    """The bundled model says through proxy and protocol what it says through our own engine."""
    question = "What is the capital of France?"
    with LLMFramework({"default_model": "tiny-chat"}) as ours:
        here = ours.sync.generate(question, max_tokens=64, temperature=0.0)
    there = await asked.answer("tiny-chat", question, max_tokens=64, temperature=0.0, streaming=streaming)
    assert (there.text, there.finish_reason) == (here.text, here.finish_reason)
    if not streaming:
        assert there.usage.input_tokens == here.usage.input_tokens


@pytest.mark.usefixtures("real_model")
@both_ways
async def test_real_forced_call(asked: Asked, streaming: bool) -> None:
    """The bundled model calls the tool that it must, though the server repeats the tool's name in every piece."""
    if asked.protocol == "google":
        pytest.skip("the proxy names no tool by this protocol, and the server ignores that any must be called")
    response = await asked.answer(
        "tiny-chat", "Weather in Oslo?", tools=TOOLS[:1], tool_choice="get_weather", temperature=0.0,
        streaming=streaming,
    )  # fmt: skip
    assert [call.name for call in response.tool_calls] == ["get_weather"]
    assert set(response.tool_calls[0].arguments) == {"city"}
