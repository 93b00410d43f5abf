"""`FrameworkEmbeddings`: what it sends, what it gives back, and how it fits into LangChain."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from embedding_models import PROMPTS, by_hand, write_embedding_gemma
from langchain_core import exceptions
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests
from pydantic import ValidationError
from servers import embedding_server
from servers.chat_server import ChatServer, error_reply
from servers.embedding_server import vector_of

from langchain_llm_framework import FrameworkChatModel, FrameworkEmbeddings
from llm_framework import LLMFramework, ModelInfo, errors

KEY = "sk-embedding-0123456789"


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with ChatServer(handler=embedding_server.answer) as running:
        yield running


@pytest.fixture
def embeddings(server: ChatServer) -> FrameworkEmbeddings:
    return FrameworkEmbeddings("small", base_url=server.url, api_key=KEY)


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of EmbeddingGemma's layout, with random weights."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return write_embedding_gemma(tmp_path_factory.mktemp("models") / "embeddinggemma")


# ------------------------------------------------------------------------------------------------ LangChain's suites
class TestUnit(EmbeddingsUnitTests):
    """LangChain's own unit tests. It reads no key from the environment: the framework's configuration does."""

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return FrameworkEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "openai:text-embedding-3-small"}


class TestOverHttp(EmbeddingsIntegrationTests):
    """LangChain's own integration tests, through the OpenAI-compatible backend and real HTTP."""

    server: ChatServer

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def running_server(cls, server: ChatServer) -> None:
        cls.server = server

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return FrameworkEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "small", "base_url": self.server.url, "api_key": KEY}


class TestInTransformers(EmbeddingsIntegrationTests):
    """LangChain's own integration tests, with a model of EmbeddingGemma's layout in Transformers."""

    folder: Path

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def written_folder(cls, gemma: Path) -> None:
        cls.folder = gemma

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return FrameworkEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": f"transformers:{self.folder}"}


# ------------------------------------------------------------------------------------------------ vectors
async def test_documents_and_queries(embeddings: FrameworkEmbeddings) -> None:
    """Documents come back in their order, a query alone; the same without blocking."""
    texts = ["b", "a", "b"]
    assert embeddings.embed_documents(texts) == [vector_of(text) for text in texts]
    assert await embeddings.aembed_documents(texts) == embeddings.embed_documents(texts)
    assert embeddings.embed_query("a") == await embeddings.aembed_query("a") == vector_of("a")
    assert embeddings.embed_documents([]) == await embeddings.aembed_documents([]) == []


async def test_queries_have_their_prompt(gemma: Path) -> None:
    """A model that tells queries from documents is told which it is given."""
    embeddings = FrameworkEmbeddings(f"transformers:{gemma}", dimensions=None)
    (query,) = by_hand(gemma, ["the cat"], PROMPTS["query"])
    (document,) = by_hand(gemma, ["the cat"], PROMPTS["document"])
    assert embeddings.embed_query("the cat") == pytest.approx(query, abs=1e-6)
    assert (await embeddings.aembed_documents(["the cat"]))[0] == pytest.approx(document, abs=1e-6)


async def test_options(server: ChatServer) -> None:
    """Dimensions, retries and timeouts are the model's; a misspelt option is an error."""
    embeddings = FrameworkEmbeddings("small", base_url=server.url, dimensions=4, timeout=5, max_retries=0)
    assert embeddings.embed_query("a") == vector_of("a", 4)
    with pytest.raises(ValidationError):
        FrameworkEmbeddings("small", dimension=4)
    assert FrameworkEmbeddings(model_name="x").model == FrameworkEmbeddings(model="x").model == "x"


async def test_many_at_once(embeddings: FrameworkEmbeddings) -> None:
    """Calls that run side by side do not mix their vectors up."""
    answers = await asyncio.gather(*(embeddings.aembed_query(f"word{number}") for number in range(50)))
    assert answers == [vector_of(f"word{number}") for number in range(50)]


def test_errors_are_langchains_too() -> None:
    """What goes wrong is ours and LangChain's."""
    with ChatServer(error_reply(429, "slow down")) as busy:
        embeddings = FrameworkEmbeddings("small", base_url=busy.url, max_retries=0)
        with pytest.raises(errors.RateLimitError) as caught:
            embeddings.embed_query("a")
    theirs = getattr(exceptions, "ModelRateLimitError", None)
    assert theirs is None or isinstance(caught.value, theirs)
    with pytest.raises(errors.UnsupportedFeatureError, match="makes no embeddings"):
        FrameworkEmbeddings("tiny-chat").embed_query("a")


# ------------------------------------------------------------------------------------------------ in LangChain
def test_a_framework_of_ones_own(tmp_path: Path) -> None:
    """`from_framework` asks that framework, with its statistics."""
    with LLMFramework({"models_dir": str(tmp_path)}) as framework:
        framework.registry.register_model(ModelInfo("fake", "embedding", "fake"), persist=False)
        embeddings = FrameworkEmbeddings.from_framework(framework)
        assert len(embeddings.embed_query("a")) == 64
        assert framework.get_performance_stats()["models"]["fake"]["requests"] == 1
        assert copy.deepcopy(embeddings).framework is framework


def test_it_travels_without_its_key(embeddings: FrameworkEmbeddings) -> None:
    """Neither a pickle, a repr nor a dump holds the key; what it is stays."""
    pickled = pickle.dumps(embeddings)
    assert KEY.encode() not in pickled
    assert KEY not in repr(embeddings) + embeddings.model_dump_json()
    back = pickle.loads(pickled)
    assert (back.model, back.base_url, back.api_key) == (embeddings.model, embeddings.base_url, None)
    assert back.embed_query("a") == vector_of("a")


async def test_a_question_is_answered_from_what_was_found(embeddings: FrameworkEmbeddings) -> None:
    """A vector store finds the passage, and the bundled model answers from it."""
    passages = [
        "Anna is 30 years old and lives in Paris.",
        "The shop opens at nine in the morning.",
        "Bob has a red bicycle.",
    ]
    store = InMemoryVectorStore(embeddings)
    await store.aadd_documents([Document(passage) for passage in passages])
    found = await store.asimilarity_search("How old is Anna?", k=1)
    assert found[0].page_content == passages[0]
    answer = FrameworkChatModel("tiny-chat", temperature=0).invoke(f"{found[0].page_content} How old is Anna?")
    assert "30" in answer.text
