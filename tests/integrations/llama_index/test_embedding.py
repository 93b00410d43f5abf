"""`FrameworkEmbedding`: what it sends, what it gives back, and how it fits into LlamaIndex."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from embedding_models import PROMPTS, by_hand, write_embedding_gemma
from llama_index.core import Document, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.embeddings.loading import load_embed_model
from llama_index.core.embeddings.utils import resolve_embed_model
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.kvstore import SimpleKVStore
from pydantic import ValidationError
from servers import embedding_server
from servers.chat_server import ChatServer, error_reply
from servers.embedding_server import vector_of

from llama_index.embeddings.llm_framework import FrameworkEmbedding
from llama_index.llms.llm_framework import FrameworkLLM
from llm_framework import LLMFramework, ModelInfo, errors

KEY = "sk-embedding-0123456789"
PASSAGES = [
    "Anna is 30 years old and lives in Paris.",
    "The shop opens at nine in the morning.",
    "Bob has a red bicycle.",
]


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with ChatServer(handler=embedding_server.answer) as running:
        yield running


@pytest.fixture
def embedding(server: ChatServer) -> FrameworkEmbedding:
    server.requests.clear()
    return FrameworkEmbedding("small", base_url=server.url, api_key=KEY)


# ------------------------------------------------------------------------------------------------ vectors
async def test_every_method(embedding: FrameworkEmbedding) -> None:
    """Each of LlamaIndex's methods, blocking and not, gives the text's own vector."""
    texts = ["b", "a", "b"]
    wanted = [vector_of(text) for text in texts]
    assert embedding.get_text_embedding_batch(texts) == await embedding.aget_text_embedding_batch(texts) == wanted
    assert embedding.get_text_embedding("a") == await embedding.aget_text_embedding("a") == vector_of("a")
    assert embedding.get_query_embedding("a") == await embedding.aget_query_embedding("a") == vector_of("a")
    mean = [(first + second) / 2 for first, second in zip(vector_of("a"), vector_of("b"), strict=True)]
    assert embedding.get_agg_embedding_from_queries(["a", "b"]) == pytest.approx(mean)
    assert await embedding.aget_agg_embedding_from_queries(["a", "b"]) == pytest.approx(mean)
    assert embedding.get_text_embedding_batch([]) == await embedding.aget_text_embedding_batch([]) == []
    assert embedding.similarity(vector_of("a"), vector_of("a")) == pytest.approx(1)


async def test_queries_have_their_prompt(tmp_path: Path) -> None:
    """A model that tells queries from texts is told which it is given."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    folder = write_embedding_gemma(tmp_path / "embeddinggemma")
    embedding = FrameworkEmbedding(f"transformers:{folder}")
    (query,) = by_hand(folder, ["the cat"], PROMPTS["query"])
    (document,) = by_hand(folder, ["the cat"], PROMPTS["document"])
    assert embedding.get_query_embedding("the cat") == pytest.approx(query, abs=1e-6)
    assert embedding.get_text_embedding("the cat") == pytest.approx(document, abs=1e-6)
    assert (await embedding.aget_text_embedding_batch(["the cat"]))[0] == pytest.approx(document, abs=1e-6)


async def test_batches(embedding: FrameworkEmbedding, server: ChatServer) -> None:
    """A long list is one call of the framework, which cuts it to what the server takes; `embed_batch_size` and
    `num_workers` do what they do with any embedding."""
    texts = [f"text {number}" for number in range(100)]
    wanted = [vector_of(text) for text in texts]
    assert embedding.get_text_embedding_batch(texts) == wanted
    assert sorted(len(request.body["input"]) for request in server.requests) == [4, 32, 32, 32]
    server.requests.clear()
    smaller = FrameworkEmbedding("small", base_url=server.url, embed_batch_size=10, num_workers=4)
    assert await smaller.aget_text_embedding_batch(texts) == wanted
    assert len(server.requests) == 10


async def test_options(server: ChatServer) -> None:
    """Dimensions, retries and timeouts are the model's; a misspelt option is an error."""
    embedding = FrameworkEmbedding("small", base_url=server.url, dimensions=4, timeout=5, max_retries=0)
    assert embedding.get_query_embedding("a") == vector_of("a", 4)
    with pytest.raises(ValidationError):
        FrameworkEmbedding("small", dimension=4)
    assert FrameworkEmbedding(model_name="x").model == FrameworkEmbedding(model="x").model_name == "x"
    assert FrameworkEmbedding().model is None


def test_errors() -> None:
    """What goes wrong is the framework's typed error."""
    with ChatServer(error_reply(429, "slow down")) as busy:
        embedding = FrameworkEmbedding("small", base_url=busy.url, max_retries=0)
        with pytest.raises(errors.RateLimitError):
            embedding.get_query_embedding("a")
    with pytest.raises(errors.UnsupportedFeatureError, match="makes no embeddings"):
        FrameworkEmbedding("tiny-chat").get_text_embedding("a")


# ------------------------------------------------------------------------------------------------ in LlamaIndex
def test_it_travels_without_its_key(embedding: FrameworkEmbedding) -> None:
    """Neither a pickle, a repr, a dict nor an event holds the key; what it is stays."""
    pickled = pickle.dumps(embedding)
    written = repr(embedding) + json.dumps(embedding.to_dict()) + str(embedding.to_payload())
    assert KEY not in written
    assert KEY.encode() not in pickled
    for back in (pickle.loads(pickled), FrameworkEmbedding.from_dict(embedding.to_dict())):
        assert (back.model, back.model_name, back.base_url) == ("small", "small", embedding.base_url)
        assert back.get_query_embedding("a") == vector_of("a")
    assert FrameworkEmbedding.from_dict(FrameworkEmbedding().to_dict()).model is None
    assert resolve_embed_model(embedding) is embedding
    with pytest.raises(ValueError, match="Invalid Embedding name"):  # LlamaIndex knows its own classes only
        load_embed_model(embedding.to_dict())


def test_a_framework_of_ones_own(tmp_path: Path) -> None:
    """`from_framework` asks that framework, with its statistics."""
    with LLMFramework({"models_dir": str(tmp_path)}) as framework:
        framework.registry.register_model(ModelInfo("fake", "embedding", "fake"), persist=False)
        embedding = FrameworkEmbedding.from_framework(framework)
        assert len(embedding.get_query_embedding("a")) == 64
        assert framework.get_performance_stats()["models"]["fake"]["requests"] == 1
        assert copy.deepcopy(embedding).framework is framework


class Events(BaseEventHandler):
    """Keeps what instrumentation tells."""

    seen: list[Any] = []  # noqa: RUF012 - a field of pydantic, copied for each

    @classmethod
    def class_name(cls) -> str:
        return "Events"

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.seen.append(event)


async def test_callbacks_and_instrumentation(server: ChatServer) -> None:
    """A callback handler and instrumentation see each call, blocking and not, with its texts and vectors."""
    handler, debug = Events(), LlamaDebugHandler(print_trace_on_end=False)
    get_dispatcher().add_event_handler(handler)
    try:
        manager = CallbackManager([debug])
        embedding = FrameworkEmbedding("small", base_url=server.url, callback_manager=manager, api_key=KEY)
        embedding.get_text_embedding_batch(["a", "b"])
        await embedding.aget_query_embedding("c")
    finally:
        get_dispatcher().event_handlers.remove(handler)
    ends = [event for event in handler.seen if isinstance(event, EmbeddingEndEvent)]
    assert [end.chunks for end in ends] == [["a", "b"], ["c"]]
    assert ends[1].embeddings == [vector_of("c")]
    starts = [event for event in handler.seen if isinstance(event, EmbeddingStartEvent)]
    assert [start.model_dict["model_name"] for start in starts] == ["small", "small"]
    assert KEY not in str(handler.seen)
    assert len(debug.get_event_pairs(CBEventType.EMBEDDING)) == 2


async def test_a_cache(embedding: FrameworkEmbedding, server: ChatServer) -> None:
    """LlamaIndex's cache keeps what was asked for once."""
    cached = FrameworkEmbedding("small", base_url=server.url, embeddings_cache=SimpleKVStore())
    for _ in range(2):
        assert cached.get_text_embedding_batch(["a", "b"]) == [vector_of("a"), vector_of("b")]
        assert await cached.aget_text_embedding("a") == vector_of("a")
    assert len(server.requests) == 1


def test_a_question_is_answered_from_an_index(embedding: FrameworkEmbedding, tmp_path: Path) -> None:
    """A vector index retrieves the passage, the bundled model answers from it, and a stored index does the same."""
    documents = [Document(text=passage) for passage in PASSAGES]
    index = VectorStoreIndex.from_documents(documents, embed_model=embedding)
    nodes = index.as_retriever(similarity_top_k=1).retrieve("How old is Anna?")
    assert [node.text for node in nodes] == PASSAGES[:1]
    engine = index.as_query_engine(llm=FrameworkLLM("tiny-chat", temperature=0), similarity_top_k=1)
    assert "30" in str(engine.query("How old is Anna?"))
    index.storage_context.persist(str(tmp_path))
    storage = StorageContext.from_defaults(persist_dir=str(tmp_path))
    again: Any = load_index_from_storage(storage, embed_model=embedding)
    assert [node.text for node in again.as_retriever(similarity_top_k=1).retrieve("red bicycle")] == PASSAGES[2:]


async def test_without_blocking(embedding: FrameworkEmbedding) -> None:
    """Indexing, retrieval and ingestion run on the event loop too, several at a time."""
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(chunk_size=64, chunk_overlap=0), embedding])
    nodes = await pipeline.arun(documents=[Document(text=passage) for passage in PASSAGES])
    assert [node.embedding for node in nodes] == [vector_of(passage) for passage in PASSAGES]
    retriever = VectorStoreIndex(nodes=list(nodes), embed_model=embedding).as_retriever(similarity_top_k=1)
    questions = ["How old is Anna?", "When is the shop open, in the morning?", "Bob's bicycle"] * 5
    found = await asyncio.gather(*(retriever.aretrieve(question) for question in questions))
    assert [nodes[0].text for nodes in found] == PASSAGES * 5
