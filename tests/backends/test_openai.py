"""OpenAI's backend against a scripted server: what it sends for which model, what it reads, what its SDK decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import small_model
from servers.chat_server import (
    DONE,
    ChatServer,
    Reply,
    delta,
    error_reply,
    json_reply,
    text_stream,
    usage,
)
from servers.openai_calls import KEY, WEATHER, answer, info_of

from llm_framework import GenerationConfig, InferenceRequest, LLMFramework, Message, errors
from llm_framework.backends import create_backend
from llm_framework.backends.http.backend import HttpBackend
from llm_framework.backends.openai import OpenAIBackend
from llm_framework.registry import ModelRegistry
from llm_framework.testing import check_backend
from llm_framework.types import Usage

pytest.importorskip("openai")

Serve = Callable[..., ChatServer]


def framework_of(server: ChatServer, tmp_path: Path, **more: Any) -> LLMFramework:
    credentials = {"base_url": server.url, "api_key": KEY, **more.pop("openai", {})}
    values = {"models_dir": str(tmp_path), "api_credentials": {"openai": credentials}, "max_retries": 0}
    return LLMFramework({**values, **more})


# ------------------------------------------------------------------------------------------------------- configuration
@pytest.mark.parametrize("name", ["openai:gpt-4o", "gpt-4o", "o3-mini", "chatgpt-4o-latest", "ft:gpt-4o:me::1"])
def test_names(tmp_path: Path, name: str) -> None:
    """Models of OpenAI are known by their bare names too."""
    info = ModelRegistry(tmp_path, tmp_path / "cache").get_model(name)
    assert info.backend_type == "openai"
    assert info.metadata["model_id"] == name.removeprefix("openai:")
    assert info.context_length in (128_000, 200_000)
    assert "tools" in info.capabilities


async def test_contract(serve: Serve) -> None:
    """It keeps the contract of every backend, tools and forms included."""
    settings = {"base_url": serve(handler=small_model.answer).url, "api_key": KEY}
    nobody = {**settings, "base_url": "http://127.0.0.1:9/v1"}
    info = info_of("small")
    await check_backend(OpenAIBackend, info, settings, tools=True, response_format=True, failing_settings=nobody)


async def test_a_plain_answer(serve: Serve) -> None:
    """A stream becomes its text; the request is OpenAI's."""
    server = serve(text_stream("Hel", "lo"))
    request = InferenceRequest("hi", config=GenerationConfig(max_tokens=9, temperature=0.2, seed=1, stop=("x",)))
    response = await answer(server, request)
    assert (response.text, response.finish_reason, response.usage) == ("Hello", "stop", Usage(3, 2))
    assert (server.requests[0].path, server.requests[0].headers["authorization"]) == (
        "/v1/chat/completions", f"Bearer {KEY}",
    )  # fmt: skip
    assert server.body == {
        "model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 9,
        "temperature": 0.2, "seed": 1, "stop": ["x"], "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip


async def test_settings_of_the_sdk(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Organisation, project, query and the SDK's own variables reach the server; the SDK's name does not."""
    server = serve(text_stream("x"))
    monkeypatch.setenv("OPENAI_ORG_ID", "org-env")
    await answer(server, project="p1", default_query={"a": "b"}, headers={"X-Mine": "1"})
    sent = server.requests[0]
    assert (sent.headers["openai-organization"], sent.headers["openai-project"]) == ("org-env", "p1")
    assert (sent.path, sent.headers["x-mine"]) == ("/v1/chat/completions?a=b", "1")
    assert not any(name.startswith("x-stainless") for name in sent.headers)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    backend = create_backend(info_of("gpt-4o"), {"api_key": KEY})
    assert isinstance(backend, HttpBackend)
    assert str(backend.base_url).rstrip("/") == server.url
    await backend.unload_model()


def test_without_a_key() -> None:
    """Without a key nothing is tried: the error says how to give one."""
    with pytest.raises(errors.AuthenticationError, match="OPENAI_API_KEY"):
        create_backend(info_of("gpt-4o"), {})


def test_without_the_sdk() -> None:
    """Where the SDK is not installed, the error names the extra."""
    import subprocess
    import sys

    code = """
import sys; sys.modules["openai"] = None
from llm_framework import ModelInfo
from llm_framework.backends import create_backend
try: create_backend(ModelInfo("gpt-4o", backend_type="openai"))
except ImportError as error: print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "llm-framework[openai]" in done.stdout


# -------------------------------------------------------------------------------------------------------------- models
@pytest.mark.parametrize(
    ("model", "thinking", "effort"),
    [
        ("o3", "low", "low"),
        ("gpt-5", "off", "minimal"),
        ("gpt-5-mini", "high", "high"),
        ("gpt-5.1", "off", "none"),
        ("gpt-5.2", "medium", "medium"),
        ("gpt-4o", "off", None),
        ("a-deployment", "low", "low"),
    ],
)
async def test_thinking(serve: Serve, model: str, thinking: Any, effort: str | None) -> None:
    """The one control of thinking is the effort that the model's family knows."""
    server = serve(text_stream("x"))
    await answer(server, InferenceRequest("hi", config=GenerationConfig(thinking=thinking)), model)
    assert server.body.get("reasoning_effort") == effort


@pytest.mark.parametrize(("model", "thinking"), [("o3", "off"), ("gpt-4o", "high"), ("gpt-5.1-chat-latest", "low")])
async def test_thinking_that_cannot_be_had(serve: Serve, model: str, thinking: Any) -> None:
    """A model that always thinks cannot be stopped, and one that never does cannot be made to."""
    request = InferenceRequest(
        "hi", config=GenerationConfig(thinking=thinking), explicit=frozenset(["thinking"])
    )  # fmt: skip
    with pytest.raises(errors.UnsupportedFeatureError, match="thinking"):
        await answer(serve(text_stream("x")), request, model)


@pytest.mark.parametrize(
    ("model", "thinking", "dropped"),
    [
        ("gpt-4o", None, set()),
        ("gpt-5-chat-latest", None, set()),
        ("gpt-5", None, {"temperature", "top_p", "presence_penalty", "logprobs"}),
        ("o4-mini", "low", {"temperature", "top_p", "presence_penalty", "logprobs"}),
        ("gpt-5.1", None, {"presence_penalty"}),
        ("gpt-5.1", "low", {"temperature", "top_p", "presence_penalty", "logprobs"}),
        ("a-deployment", None, set()),
    ],
)
async def test_parameters_that_models_refuse(serve: Serve, model: str, thinking: Any, dropped: set[str]) -> None:
    """What a model that thinks is known to refuse is left out and listed; the caller's own raises."""
    server = serve(text_stream("x"))
    values: Any = {"temperature": 0.7, "top_p": 0.5, "presence_penalty": 0.1, "logprobs": 1}
    request = InferenceRequest("hi", config=GenerationConfig(**values, thinking=thinking))
    assert set((await answer(server, request, model)).dropped_parameters) == dropped
    assert {name for name in values if name in server.body} == set(values) - dropped
    if dropped:
        explicit = InferenceRequest("hi", config=request.config, explicit=frozenset(["presence_penalty"]))
        with pytest.raises(errors.UnsupportedFeatureError, match="presence_penalty"):
            await answer(server, explicit, model)


async def test_values_that_change_nothing(serve: Serve) -> None:
    """A temperature of 1 is what a model that thinks has anyway: it is not sent, and not said to be dropped."""
    server = serve(text_stream("x"))
    config = GenerationConfig(temperature=1.0, top_p=1.0, frequency_penalty=0.0)
    request = InferenceRequest("hi", config=config, explicit=frozenset(["temperature"]))
    assert (await answer(server, request, "gpt-5")).dropped_parameters == ()
    assert not {"temperature", "top_p", "frequency_penalty"} & set(server.body)


async def test_limit_that_nobody_chose(serve: Serve, tmp_path: Path) -> None:
    """The default limit of tokens is not held against a model that thinks, whose thinking it would cut off; one that
    was chosen is."""
    server = serve(text_stream("x"))
    async with framework_of(server, tmp_path) as framework:
        response = await framework.generate("hi", model_name="gpt-5")
        assert "max_tokens" in response.dropped_parameters
        assert "max_completion_tokens" not in server.body
        assert server.body["stream"] is True
        await framework.generate("hi", model_name="gpt-5", max_tokens=700)
        assert server.body["max_completion_tokens"] == 700
    async with framework_of(server, tmp_path, default_max_tokens=900) as framework:
        await framework.generate("hi", model_name="gpt-5")
        assert server.body["max_completion_tokens"] == 900


async def test_stop_strings_where_the_server_has_none(serve: Serve) -> None:
    """Models that think take no stop strings: the answer ends before them all the same."""
    server = serve(text_stream("One, two", ", three"))
    response = await answer(server, InferenceRequest("hi", config=GenerationConfig(stop=("two",))), "gpt-5")
    assert (response.text, response.dropped_parameters) == ("One, ", ())
    assert "stop" not in server.body


@pytest.mark.parametrize(("model", "role"), [("gpt-4o", "system"), ("o3", "developer"), ("gpt-5.1", "developer")])
async def test_role_of_instructions(serve: Serve, model: str, role: str) -> None:
    """Instructions stand under the name that the model's family has for them."""
    server = serve(text_stream("x"))
    await answer(server, InferenceRequest(messages=(Message.system("Be brief."), Message.user("hi"))), model)
    assert server.body["messages"][0] == {"role": role, "content": "Be brief."}


@pytest.mark.parametrize("parallel", [True, False])
async def test_parallel_tool_calls(serve: Serve, parallel: bool) -> None:
    """Whether several calls may come at once is told to the server."""
    server = serve(text_stream("x"))
    await answer(server, InferenceRequest("hi", tools=(WEATHER,), metadata={"parallel_tool_calls": parallel}))
    assert server.body["parallel_tool_calls"] is parallel


# ------------------------------------------------------------------------------------------------------------- reading
async def test_end_mark(serve: Serve) -> None:
    """OpenAI always sends its end mark: without it an answer was cut, whatever it said of its end."""
    with pytest.raises((errors.StreamInterruptedError, errors.ConnectionFailedError)):
        await answer(serve(Reply([delta(content="x"), delta("stop")])))


async def test_filters_and_refusals(serve: Serve) -> None:
    """A filtered answer says so, a filtered prompt is an error, and a refusal is text."""
    filtered = Reply([delta(content="a"), delta("content_filter"), DONE])
    assert (await answer(serve(filtered))).finish_reason == "content_filter"
    with pytest.raises(errors.ContentFilterError):
        await answer(serve(error_reply(400, "The response was filtered", "content_filter")))
    assert (await answer(serve(Reply([delta(refusal="I cannot."), delta("stop"), DONE])))).text == "I cannot."


async def test_every_count(serve: Serve) -> None:
    """Cached and reasoning tokens are read."""
    details = {"completion_tokens_details": {"reasoning_tokens": 4}, "prompt_tokens_details": {"cached_tokens": 1}}
    response = await answer(serve(Reply([delta(content="a"), delta("stop"), usage(5, 6, **details), DONE])))
    assert response.usage == Usage(5, 6, cached_tokens=1, reasoning_tokens=4)


async def test_a_whole_answer(serve: Serve, tmp_path: Path) -> None:
    """A short answer that nobody reads in pieces comes whole."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}
    server = serve(json_reply({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}))
    async with framework_of(server, tmp_path) as framework:
        assert (await framework.generate("hi", model_name="openai:gpt-4o")).text == "whole"
    assert "stream" not in server.body
