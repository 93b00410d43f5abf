"""`FrameworkLLM` on the bundled model: what a LlamaIndex program does, on the real engine."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator

import pytest
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage

from llama_index.llms.llm_framework import FrameworkLLM
from llm_framework import LLMFramework

CHAT = [ChatMessage(role="system", content="Answer briefly."), ChatMessage(role="user", content="hello")]


@pytest.fixture
def llm() -> FrameworkLLM:
    return FrameworkLLM(temperature=0, max_tokens=48)


@pytest.fixture
def framework() -> Iterator[LLMFramework]:
    with LLMFramework() as framework:
        yield framework


async def test_all_forms_agree(llm: FrameworkLLM) -> None:
    """At temperature 0 every way to ask gives the same text and the same usage."""
    whole = await llm.achat(CHAT)
    assert whole.message.content
    assert (await asyncio.to_thread(llm.chat, CHAT)).message == whole.message
    streamed = [response async for response in await llm.astream_chat(CHAT)]
    assert "".join(response.delta or "" for response in streamed) == whole.message.content
    assert streamed[-1].raw["usage"] == whole.raw["usage"]
    blocking = list(llm.stream_chat(CHAT))
    assert blocking[-1].message == whole.message


def test_completions(llm: FrameworkLLM) -> None:
    """A completion and its stream agree."""
    text = llm.complete("hello").text
    assert text
    assert [response.text for response in llm.stream_complete("hello")][-1] == text


def test_metadata_is_the_models(llm: FrameworkLLM) -> None:
    """The context window comes from the model's own files."""
    assert llm.metadata.model_name == "tiny-chat"
    assert llm.metadata.context_window >= 512
    assert llm.metadata.num_output == 48


def test_max_tokens_and_stop(llm: FrameworkLLM) -> None:
    """A limit ends the answer and says so; a stop text is not part of it."""
    cut = llm.complete("Tell me a long story.", max_tokens=2)
    assert cut.raw["finish_reason"] == "length"
    whole = llm.complete("hello").text
    assert llm.complete("hello", stop=[whole[2:4]]).text == whole[: whole.index(whole[2:4])]


def test_pickled_llm_answers_the_same(llm: FrameworkLLM) -> None:
    """An LLM that went through pickle, as to another process, answers as before."""
    assert pickle.loads(pickle.dumps(llm)).complete("hi").text == llm.complete("hi").text


async def test_closing_a_stream_stops_the_engine(framework: LLMFramework) -> None:
    """A reader that goes away in the middle of a stream leaves no request running."""
    llm = FrameworkLLM.from_framework(framework, temperature=0, max_tokens=400)
    stream = await llm.astream_chat(CHAT)
    await anext(stream)
    await stream.aclose()
    blocking = llm.stream_complete("Tell me a very long story.")
    next(blocking)
    blocking.close()
    for _ in range(1000):
        if framework.get_performance_stats()["active_requests"] == 0:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("a request is still running")


async def test_function_agent_runs() -> None:
    """LlamaIndex's agent loop runs on the bundled model."""

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    agent = FunctionAgent(tools=[add], llm=FrameworkLLM(temperature=0, max_tokens=64))
    assert str(await agent.run("hello", max_iterations=10)) is not None


def test_query_engine_runs(llm: FrameworkLLM) -> None:
    """A query engine over an index asks this model."""
    index = VectorStoreIndex.from_documents([Document(text="The sky is blue.")], embed_model=MockEmbedding(embed_dim=4))
    response = index.as_query_engine(llm=llm).query("Which colour is the sky?")
    assert response.source_nodes
    assert isinstance(response.response, str)
