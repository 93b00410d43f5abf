"""The OpenAI-compatible backend against `transformers serve`, which runs the bundled folder as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from servers.real_server import RealServer, need_transformers_serve

from llm_framework import GenerationConfig, InferenceRequest, LLMFramework, Message, ModelInfo, errors
from llm_framework.backends.openai_compatible import OpenAICompatibleBackend
from llm_framework.testing import check_backend
from llm_framework.types import InferenceResponse, ResponseBuilder, ToolCall, ToolResult, ToolSpec

need_transformers_serve()

QUESTION = "What is the capital of France?"
both_ways = pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streamed"])


@pytest.fixture
def name(bundled_path: Path) -> str:
    """What this server calls the model: the folder that it was started with."""
    return str(bundled_path)


async def answer(
    server: RealServer, name: str, provider: str = "transformers_serve", *, streaming: bool = False, **more: Any
) -> InferenceResponse:
    fields = {field: more.pop(field) for field in ("messages", "tools", "tool_choice", "explicit") if field in more}
    fields.setdefault("messages", (Message.user(QUESTION),))
    info = ModelInfo(name, backend_type="openai_compatible")
    backend = OpenAICompatibleBackend(info, {"base_url": server.url, "provider": provider})
    config = GenerationConfig(**{"max_tokens": 48, "temperature": 0.0, **more})
    builder = ResponseBuilder()
    try:
        async for chunk in backend.stream(InferenceRequest(config=config, streaming=streaming, **fields)):
            builder.add(chunk)
    finally:
        await backend.unload_model()
    return builder.response()


async def test_contract(transformers_serve: RealServer, name: str) -> None:
    """The backend keeps its contract against this server, whose streams have no end mark."""
    info = ModelInfo(name, backend_type="openai_compatible")
    settings = {"base_url": transformers_serve.url, "provider": "transformers_serve"}
    await check_backend(OpenAICompatibleBackend, info, settings, tools=True)


@both_ways
async def test_text_and_usage(transformers_serve: RealServer, name: str, streaming: bool) -> None:
    """The text is that of our own engine; the tokens are counted in a stream too, with its finish reason."""
    response = await answer(transformers_serve, name, streaming=streaming)
    with LLMFramework({"default_model": "tiny-chat"}) as framework:
        ours = framework.sync.generate(QUESTION, max_tokens=48, temperature=0.0)
    assert (response.text, response.finish_reason) == (ours.text, ours.finish_reason)
    assert response.usage.input_tokens == ours.usage.input_tokens
    assert response.usage.output_tokens > 10


@both_ways
async def test_max_tokens(transformers_serve: RealServer, name: str, streaming: bool) -> None:
    """An answer that max_tokens ends says "length"."""
    response = await answer(transformers_serve, name, streaming=streaming, max_tokens=3)
    assert (response.finish_reason, response.usage.output_tokens) == ("length", 3)


@both_ways
async def test_stop(transformers_serve: RealServer, name: str, streaming: bool) -> None:
    """The text ends before the stop string, though this server sends it, and what follows it in its last token."""
    full = (await answer(transformers_serve, name)).text
    stop = full[7:13]
    response = await answer(transformers_serve, name, streaming=streaming, stop=(stop,))
    assert (response.text, response.finish_reason) == (full.split(stop)[0], "stop")


async def test_other_model(transformers_serve: RealServer) -> None:
    """A server that was started for one model has no other: ModelNotFoundError."""
    with pytest.raises(errors.ModelNotFoundError, match="nonesuch"):
        await answer(transformers_serve, "nonesuch")


async def test_a_field_it_does_not_take(transformers_serve: RealServer, name: str) -> None:
    """A field that the server refuses is left out where it is a default, and UnsupportedFeatureError where it was
    asked for."""
    response = await answer(transformers_serve, name, "vllm", top_k=3)
    assert response.dropped_parameters == ("top_k",)
    with pytest.raises(errors.UnsupportedFeatureError) as caught:
        await answer(transformers_serve, name, "vllm", top_k=3, explicit=frozenset({"top_k"}))
    assert caught.value.feature == "top_k"


@pytest.mark.parametrize(
    "asked", [{"tool_choice": "get_time", "tools": (ToolSpec("get_time"),)}, {"presence_penalty": 1.0}, {"logprobs": 2}]
)
async def test_what_it_ignores_is_not_asked(transformers_serve: RealServer, name: str, asked: dict[str, Any]) -> None:
    """This server takes these and does nothing: asked for in the call, they are UnsupportedFeatureError."""
    with pytest.raises(errors.UnsupportedFeatureError):
        await answer(transformers_serve, name, **asked, explicit=frozenset(asked))


async def test_a_message_that_breaks_it(transformers_serve: RealServer, name: str) -> None:
    """A failure of the server without a word of why, here of a history with a broken call, is ProviderUnavailableError
    with its status."""
    call = ToolCall.from_raw("c", "get_time", "{broken")
    history = [Message.user("Time?"), Message.assistant(call), Message.tool(ToolResult("c", "noon"))]
    with pytest.raises(errors.ProviderUnavailableError) as caught:
        await answer(transformers_serve, name, messages=tuple(history))
    assert caught.value.status == 500
