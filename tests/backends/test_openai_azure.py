"""Azure, and clients of the SDK that somebody made: the SDK itself says what the right request is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers.chat_server import (
    CUT,
    ChatServer,
    Reply,
    Request,
    delta,
    error_reply,
    json_reply,
    text_stream,
)
from servers.openai_calls import KEY, answer, answer_of, answer_stream, backend_of

from llm_framework import GenerationConfig, InferenceRequest, LLMFramework, errors, secrets
from llm_framework.embedding import EmbeddingRequest

openai = pytest.importorskip("openai")

TOKEN = "token-secret-0123456789"
Serve = Callable[..., ChatServer]


def play(request: Request) -> Reply:
    """An answer that fits the path."""
    path = request.path.partition("?")[0]
    if path.endswith("/responses"):
        return answer_stream("x")
    if path.endswith("/embeddings"):
        return json_reply({"data": [{"index": 0, "embedding": [0.5]}], "model": "m", "object": "list", "usage": None})
    if path.endswith("/models"):
        return json_reply({"object": "list", "data": [{"id": "gpt-4o"}]})
    return text_stream("x")


def azure(server: ChatServer, **more: Any) -> dict[str, Any]:
    return {"azure_endpoint": server.url.removesuffix("/v1"), "api_version": "2024-10-21", **more}


async def asked_by_sdk(client: Any, model: str) -> None:
    """The same four requests through the SDK."""
    async with client:
        messages = [{"role": "user", "content": "hi"}]
        async for _ in await client.chat.completions.create(model=model, messages=messages, stream=True):
            pass
        async for _ in await client.responses.create(model=model, input="hi", stream=True):
            pass
        await client.embeddings.create(model=model, input=["a"], encoding_format="float")
        await client.models.list()


async def asked_by_us(server: ChatServer, model: str, **settings: Any) -> None:
    for api in ("chat", "responses"):
        await answer(server, "hi", model, provider="azure", api=api, **settings)
    backend = backend_of(server, model, "azure", **settings)
    assert (await backend.embed(EmbeddingRequest(texts=("a",)))).vectors == [[0.5]]
    assert [info.name for info in await backend.available_models()] == ["gpt-4o"]
    await backend.unload_model()


def seen(request: Request) -> tuple[Any, ...]:
    """Where it went, for which model, with what; older SDKs send a key in the header of tokens besides its own."""
    model = request.body and request.body["model"]
    key = request.headers.get("api-key")
    return request.path, model, key, None if key else request.headers.get("authorization")


@pytest.mark.parametrize("deployment", [None, "my-deployment"])
@pytest.mark.parametrize("credential", ["api_key", "azure_ad_token"])
async def test_the_same_requests_as_the_sdk(serve: Serve, deployment: str | None, credential: str) -> None:
    """Paths, queries, deployments and credentials are those of the SDK, at every endpoint."""
    server = serve(handler=play)
    given = {credential: KEY if credential == "api_key" else TOKEN}
    client = openai.AsyncAzureOpenAI(**azure(server, azure_deployment=deployment, max_retries=0), **given)
    await asked_by_sdk(client, deployment or "gpt-4o")
    settings = azure(server, **given, **({"azure_deployment": deployment} if deployment else {}))
    await asked_by_us(server, "gpt-4o", **settings)
    theirs, ours = server.requests[:4], server.requests[4:]
    assert [seen(request) for request in ours] == [seen(request) for request in theirs]
    assert given[credential] not in secrets.redact(f"at {given[credential]}")


async def test_tokens_that_are_asked_for(serve: Serve) -> None:
    """Each request carries the token that there is then, from a function of either kind; it is redacted."""
    server = serve(handler=play)
    numbers = iter(range(9))

    def plain() -> str:
        return f"{TOKEN}-{next(numbers)}"

    async def waiting() -> str:
        return plain()

    for provider in (plain, waiting):
        backend = backend_of(server, "gpt-4o", "azure", **azure(server, azure_ad_token_provider=provider))
        assert [(await answer_of(backend)).text for _ in range(2)] == ["x", "x"]
        await backend.unload_model()
    assert [request.headers["authorization"] for request in server.requests] == [
        f"Bearer {TOKEN}-{number}" for number in range(4)
    ]
    assert all("api-key" not in request.headers for request in server.requests)
    assert TOKEN not in secrets.redact(f"{TOKEN}-3")
    with pytest.raises(errors.AuthenticationError, match="azure_ad_token_provider"):
        await answer(server, **azure(server, azure_ad_token_provider=lambda: ""))


@pytest.mark.parametrize("version", [{}, {"api_version": "v1"}])
async def test_endpoints_without_a_version(serve: Serve, version: dict[str, str]) -> None:
    """Without a version, the endpoints are those below /openai/v1, where models are named in the body."""
    server = serve(handler=play)
    endpoint = server.url.removesuffix("/v1") + "/"
    settings: dict[str, Any] = {"azure_endpoint": endpoint, **version}
    await answer(server, "hi", "gpt-4o", azure_deployment="mine", **settings)
    await answer(server, "hi", "gpt-5.4", azure_ad_token=TOKEN, **settings)
    assert [seen(request) for request in server.requests] == [
        ("/openai/v1/chat/completions", "mine", None, f"Bearer {KEY}"),
        ("/openai/v1/responses", "gpt-5.4", None, f"Bearer {TOKEN}"),
    ]


async def test_family_behind_a_deployment(serve: Serve) -> None:
    """The model's name says what it takes, the deployment's where it is."""
    server = serve(handler=play)
    settings = azure(server, azure_deployment="mine", api="chat")
    await answer(server, InferenceRequest("hi"), "gpt-5", **settings)
    assert "stream_options" in server.body
    assert server.requests[-1].path.startswith("/openai/deployments/mine/chat/completions?")


async def test_key_of_azure(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's key comes from Azure's variable; OpenAI's own is never sent there."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai-0123")
    server = serve(handler=play)
    values = {"models_dir": str(tmp_path), "api_credentials": {"azure": {"provider": "openai", **azure(server)}}}
    async with LLMFramework(values) as framework:
        with pytest.raises(errors.AuthenticationError, match="AZURE_OPENAI_API_KEY"):
            await framework.generate("hi", model_name="azure:gpt-4o")
    assert server.requests == []
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    async with LLMFramework(values) as framework:
        assert (await framework.generate("hi", model_name="azure:gpt-4o", max_tokens=5000)).text == "x"
    assert server.requests[-1].headers["api-key"] == KEY
    assert server.requests[-1].path == "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"


async def test_an_address_that_is_none(serve: Serve) -> None:
    """An address that is none is an error of configuration, and nothing is sent."""
    server = serve(handler=play)
    with pytest.raises(errors.ConfigurationError, match="base_url"):
        await answer(server, base_url="nonsense")
    assert server.requests == []


# --------------------------------------------------------------------------------------------------- somebody's client
async def test_a_client_that_is_ready(serve: Serve) -> None:
    """A client that somebody made sends the requests, as it is made to, and is left open."""
    server = serve(handler=play)
    client = openai.AsyncAzureOpenAI(**azure(server), api_key=KEY, default_headers={"X-Mine": "1"}, max_retries=5)
    await asked_by_us(server, "gpt-4o", client=client, base_url=None)
    paths = [request.path.partition("?")[0] for request in server.requests]
    assert paths == [
        "/openai/deployments/gpt-4o/chat/completions", "/openai/responses", "/openai/deployments/gpt-4o/embeddings",
        "/openai/models",
    ]  # fmt: skip
    assert {request.headers["x-mine"] for request in server.requests} == {"1"}
    assert {request.headers["api-key"] for request in server.requests} == {KEY}
    assert server.requests[0].body["stream"] is True
    assert not client.is_closed()
    await client.close()


async def test_faults_under_a_ready_client(serve: Serve) -> None:
    """Its errors are ours, it does not try again by itself, and what it takes for a whole stream we do not."""
    server = serve(error_reply(503, "down"))
    client = openai.AsyncOpenAI(api_key=KEY, base_url=server.url, max_retries=5)
    with pytest.raises(errors.ProviderUnavailableError, match="down"):
        await answer(server, client=client)
    assert len(server.requests) == 1
    for pieces in ([delta(content="a")], [delta(content="a"), CUT]):
        server.replies = [Reply(pieces)]
        with pytest.raises(errors.StreamInterruptedError):
            await answer(server, client=client)
    refusal = error_reply(400, "Unsupported value: 'temperature'", "unsupported_value", "temperature")
    server.replies = [refusal, text_stream("x")]
    request = InferenceRequest("hi", config=GenerationConfig(temperature=0.2))
    assert (await answer(server, request, client=client)).dropped_parameters == ("temperature",)
    await client.close()
    gone = openai.AsyncOpenAI(api_key=KEY, base_url="http://127.0.0.1:9", max_retries=0)
    with pytest.raises(errors.ConnectionFailedError):
        await answer(server, client=gone)
    await gone.close()
