"""Embeddings over real HTTP: OpenAI's protocol and Google's, their limits, and the faults of a network."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from servers import embedding_server
from servers.chat_server import CUT, HANG, ChatServer, Reply, Request, error_reply, json_reply
from servers.embedding_server import SIZE, vector_of

from llm_framework import EmbeddingRequest, LLMFramework, Usage, errors

Serve = Callable[..., ChatServer]
KEY = "sk-embedding-0123456789"
NAMES = {"local": "local:m", "openai": "openai:text-embedding-3-small", "google": "google:gemini-embedding-001"}
SDKS = {"openai": "openai", "google": "google.genai"}


class At:
    """A framework whose providers are all at one server, and the name of a model there."""

    def __init__(self, server: ChatServer, place: str, folder: Path, **settings: Any) -> None:
        self.server = server
        self.name = NAMES[place]
        base = server.url.removesuffix("/v1") if place == "google" else server.url
        credentials = {"api_key": KEY, "base_url": base, **settings}
        if place == "local":
            credentials["provider"] = "openai_compatible"
        config = {"models_dir": str(folder), "api_credentials": {place: credentials}, "max_retries": 2}
        self.framework = LLMFramework(config)

    async def embed(self, *texts: str, **options: Any) -> list[list[float]]:
        return await self.framework.embed(texts, model_name=self.name, **options)


@pytest.fixture
async def at(serve: Serve, tmp_path: Path) -> AsyncIterator[Callable[..., At]]:
    """Makes the framework of a server that plays these replies first, and is well afterwards."""
    made: list[At] = []

    def make(place: str, *replies: Reply, **settings: Any) -> At:
        if place in SDKS:
            pytest.importorskip(SDKS[place])
        script = list(replies)

        def answer(request: Request) -> Reply:
            return script.pop(0) if script else embedding_server.answer(request)

        made.append(At(serve(handler=answer), place, tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        await one.framework.close()


places = pytest.mark.parametrize("place", NAMES)


# ------------------------------------------------------------------------------------------------------- what is sent
@places
async def test_vectors_in_order(at: Callable[..., At], place: str) -> None:
    """Each text gets its own vector, whatever the order in which the server lists them, exact to the last bit."""
    there = at(place)
    texts = ["the sky is blue", "grass is green", "the sky is blue", "naïve 東京 🙂"]
    assert await there.embed(*texts) == [vector_of(text) for text in texts]
    assert await there.embed("one", dimensions=4) == [vector_of("one", 4)]
    assert len(there.server.requests) == 2
    assert KEY not in json.dumps(there.server.body)


@places
async def test_many_texts(at: Callable[..., At], place: str) -> None:
    """A long list goes in as many requests as the provider's limits ask for, side by side."""
    there = at(place)
    texts = [f"text number {number}" for number in range(2500)]
    assert await there.embed(*texts) == [vector_of(text) for text in texts]
    most = {"local": 32, "openai": 2048, "google": 100}[place]
    assert len(there.server.requests) == math.ceil(2500 / most)


async def test_bytes_limit_a_request(at: Callable[..., At]) -> None:
    """A request holds no more bytes of text than the provider takes tokens."""
    there = at("openai")
    texts = [f"{number} " + "x" * 50_000 for number in range(20)]
    assert len(await there.embed(*texts)) == 20
    assert all(sum(map(len, request.body["input"])) <= 300_000 for request in there.server.requests)
    assert len(there.server.requests) == 4


async def test_the_batch_is_a_setting(at: Callable[..., At]) -> None:
    """`embedding_batch` says how many texts a server takes at once."""
    there = at("local", embedding_batch=500)
    await there.embed(*map(str, range(1000)))
    assert len(there.server.requests) == 2


async def test_tasks(at: Callable[..., At]) -> None:
    """Google is told what the vectors are for; another server is where a setting says how."""
    there = at("google")
    await there.embed("a", task="query")
    assert there.server.body["requests"][0]["taskType"] == "RETRIEVAL_QUERY"
    await there.embed("a", task="document", dimensions=8)
    assert there.server.body["requests"][0]["taskType"] == "RETRIEVAL_DOCUMENT"
    assert there.server.body["requests"][0]["outputDimensionality"] == 8
    await there.embed("a")
    assert set(there.server.body["requests"][0]) == {"model", "content"}
    there = at("local", embedding_tasks={"query": {"input_type": "q"}})
    await there.embed("a", task="query")
    assert there.server.body == {"model": "m", "input": ["a"], "input_type": "q"}
    await there.embed("a", task="document")
    assert there.server.body == {"model": "m", "input": ["a"]}


async def test_openai_is_asked_for_base64(at: Callable[..., At]) -> None:
    """OpenAI sends a quarter of the bytes that way; its count of tokens is the usage."""
    there = at("openai")
    request = EmbeddingRequest(texts=("a b c", "d"), model_name=there.name)
    answer = await there.framework.inference_engine.embed(request)
    assert there.server.body["encoding_format"] == "base64"
    assert answer.usage == Usage(4)
    assert answer.vectors[0] == vector_of("a b c")


async def test_google_counts_nothing(at: Callable[..., At]) -> None:
    """Google's answer tells no tokens, so they are estimated, and say so."""
    there = at("google")
    answer = await there.framework.inference_engine.embed(EmbeddingRequest(texts=("a" * 8,), model_name=there.name))
    assert answer.usage == Usage(2, estimated=True)


@pytest.mark.parametrize("place", ["openai", "google"])
async def test_empty_texts(at: Callable[..., At], place: str) -> None:
    """A provider that makes no vector of an empty text is not asked; the error says which text it is."""
    there = at(place)
    with pytest.raises(errors.InvalidRequestError, match=rf"texts\[3\] is empty, which {place} makes no vector of"):
        await there.embed("a", "b", "a", "", "c")
    assert there.server.requests == []


async def test_a_text_that_is_too_long(at: Callable[..., At]) -> None:
    """A refusal for length is a `ContextOverflowError` with the limit, and not tried again."""
    there = at("openai")
    with pytest.raises(errors.ContextOverflowError, match="maximum input length is 100 tokens") as caught:
        await there.embed("ok", "word " * 101)
    assert caught.value.limit == 100
    assert len(there.server.requests) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (413, "Input validation error: `inputs` must have less than 512 tokens. Given: 534"),
        (500, "input (600 tokens) is too large to process. increase the physical batch size (current batch size: 512)"),
        (400, "This model's maximum context length is 512 tokens. However, you requested 600 tokens in the input."),
        (400, "Input length 600 exceeds maximum allowed token size 512"),
    ],
)
async def test_how_servers_say_that_it_is_too_long(at: Callable[..., At], status: int, message: str) -> None:
    """Each server's words for a text that is too long are understood."""
    there = at("local", error_reply(status, message))
    with pytest.raises(errors.ContextOverflowError):
        await there.embed("a")


# ------------------------------------------------------------------------------------------------------ what goes wrong
def busy(wait: str) -> Reply:
    return json_reply({"error": {"message": "slow down", "code": 429}}, 429, retry_after=wait)


FAULTS = {
    "429": busy("0"),
    "500": error_reply(500, "oops"),
    "503": error_reply(503, "overloaded"),
    "cut at once": Reply([CUT]),
    "cut in the body": Reply(['{"data": [', CUT]),
    "short": Reply(['{"data": [', CUT], 200, "application/json", length=500),
    "an empty object": json_reply({}),
    "a list": json_reply([]),
    "a page": Reply(["<html>"], 200, "text/html"),
    "no vectors": json_reply({"data": [], "embeddings": []}),
    "no list": json_reply({"data": "x", "embeddings": 7}),
    "no vector in it": json_reply({"data": [{}], "embeddings": [{}]}),
    "not a number": json_reply({"data": [{"embedding": [math.nan]}], "embeddings": [{"values": [math.nan]}]}),
    "a word": json_reply({"data": [{"embedding": ["a"]}], "embeddings": [{"values": ["a"]}]}),
    "no dimension": json_reply({"data": [{"embedding": []}], "embeddings": [{"values": []}]}),
    "no base64": json_reply({"data": [{"embedding": "///"}], "embeddings": [{"values": "///"}]}),
    "another index": json_reply({"data": [{"index": 3, "embedding": [1]}], "embeddings": [{"values": None}]}),
}


@places
@pytest.mark.parametrize("fault", FAULTS)
async def test_one_fault_is_survived(at: Callable[..., At], place: str, fault: str) -> None:
    """An answer that failed, broke off or makes no sense is asked for again; the vectors are right in the end."""
    there = at(place, FAULTS[fault])
    assert await there.embed("a") == [vector_of("a")]
    assert len(there.server.requests) == 2
    assert there.framework.get_performance_stats()["failed_requests"] == 0


@places
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (busy("0"), errors.RateLimitError),
        (error_reply(500, "oops"), errors.ProviderUnavailableError),
        (Reply([CUT]), errors.ConnectionFailedError),
        (json_reply({"data": [], "embeddings": []}), errors.BadResponseError),
    ],
    ids=["429", "500", "cut", "none"],
)
async def test_a_fault_that_stays(
    at: Callable[..., At], place: str, fault: Reply, kind: type[errors.LLMFrameworkError]
) -> None:
    """What stays wrong is the typed error with the provider, the model and every attempt."""
    there = at(place, fault, fault)
    with pytest.raises(kind) as caught:
        await there.embed("a", max_retries=1)
    assert type(caught.value) is kind
    assert len(caught.value.attempts) == 2
    assert caught.value.provider == place
    assert KEY not in str(caught.value)


@places
async def test_refusals_are_final(at: Callable[..., At], place: str) -> None:
    """A wrong key and an unknown model are told at once, as what they are."""
    wrong = {"error": {"code": 401, "message": "API key not valid", "status": "UNAUTHENTICATED"}}
    there = at(place, json_reply(wrong, 401))
    with pytest.raises(errors.AuthenticationError):
        await there.embed("a")
    there = at(place, json_reply({"error": {"code": 404, "message": "no such model", "status": "NOT_FOUND"}}, 404))
    with pytest.raises(errors.ModelNotFoundError):
        await there.embed("a")
    assert len(there.server.requests) == 1


@places
async def test_a_server_that_hangs(at: Callable[..., At], place: str) -> None:
    """The deadline ends the wait, and the connection is closed."""
    there = at(place, Reply([HANG]))
    with pytest.raises(errors.RequestTimeoutError):
        await there.embed("a", timeout=0.3)
    assert there.server.requests[0].disconnected.wait(10)


async def test_a_wait_that_is_asked_for_is_kept(at: Callable[..., At]) -> None:
    """`Retry-After` beyond the deadline ends the call at once, with the wait that was asked for."""
    there = at("local", busy("60"))
    with pytest.raises(errors.RateLimitError) as caught:
        await there.embed("a", timeout=5)
    assert caught.value.retry_after == 60


async def test_rate_limits_in_headers_are_learnt(at: Callable[..., At]) -> None:
    """What a server's headers say is left holds for the next request for vectors."""
    limits = {"x-ratelimit-limit-tokens": "100", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "50s"}
    body = {"data": [{"index": 0, "embedding": vector_of("a")}]}
    there = at("local", Reply([json.dumps(body)], 200, "application/json", limits))
    assert await there.embed("a") == [vector_of("a")]
    with pytest.raises(errors.RateLimitError):
        await there.embed("a " * 150, timeout=2)
    assert len(there.server.requests) == 1


async def test_one_size_for_all(at: Callable[..., At]) -> None:
    """Parts of one list that come back with vectors of different sizes are an error, not a mixture."""
    small = json_reply({"data": [{"index": 0, "embedding": [1.0, 2.0]}]})
    there = at("local", small, embedding_batch=1)
    with pytest.raises(errors.BadResponseError, match="vectors of different lengths came"):
        await there.embed("a", "b")
    assert len(vector_of("a")) == SIZE
