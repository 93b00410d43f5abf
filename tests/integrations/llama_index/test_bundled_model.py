"""`FrameworkLLM` on the bundled model: what a LlamaIndex program does, on the real engine."""

from __future__ import annotations

import asyncio
import copy
import pickle
import re
from collections.abc import Iterator
from typing import Any

import llama_index.core
import pytest
from llama_index.core import Document, MockEmbedding, SimpleKeywordTableIndex, SummaryIndex, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import ContextChatEngine, SimpleChatEngine
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import Memory
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from llama_index.llms.llm_framework import FrameworkLLM
from llm_framework import LLMFramework, ResponseFormat

CHAT = [ChatMessage(role="system", content="Answer briefly."), ChatMessage(role="user", content="hello")]


DOCUMENTS = [
    Document(text="The harbour of Bergen was built in 1070. It has eleven piers."),
    Document(text="The museum of Lyon opens at nine. A ticket costs 12 euros."),
    Document(text="Ada lives in Turin. She works as a baker."),
]


class Person(BaseModel):
    """A person."""

    name: str
    age: int
    city: str


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"sunny, 21 degrees in {city}"


@pytest.fixture
def llm() -> FrameworkLLM:
    return FrameworkLLM(temperature=0, max_tokens=48)


@pytest.fixture
def framework() -> Iterator[LLMFramework]:
    with LLMFramework() as framework:
        yield framework


async def test_all_forms_agree(llm: FrameworkLLM) -> None:
    """At temperature 0 every way to ask gives the same text and the same usage."""
    await llm.achat(CHAT)  # from here on what was read before is the same
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


async def test_function_agent(llm: FrameworkLLM) -> None:
    """LlamaIndex's agent calls the right one of two tools and tells its result, also with a memory."""
    agent = FunctionAgent(tools=[add, get_weather], llm=llm)
    memory = Memory.from_defaults(session_id="s", token_limit=1000)
    assert "7" in str(await agent.run("What is 3 plus 4?", memory=memory, max_iterations=5))
    assert "21 degrees" in str(await agent.run("What is the weather in Paris?", memory=memory, max_iterations=5))


async def test_react_agent(llm: FrameworkLLM) -> None:
    """The agent that reasons in text finishes with what the tool said."""
    agent = ReActAgent(tools=[get_weather], llm=llm)
    assert "21 degrees" in str(await agent.run("What is the weather in Rome?", max_iterations=5))


async def test_agent_workflow(llm: FrameworkLLM) -> None:
    """A workflow of functions runs to an answer."""
    workflow = AgentWorkflow.from_tools_or_functions([add, get_weather], llm=llm)
    assert "21 degrees" in str(await workflow.run("What is the weather in Paris?"))


async def test_code_act_agent_runs(llm: FrameworkLLM) -> None:
    """The agent that writes code runs; this model has never seen its prompt, so nothing is said of the answer."""

    async def execute(code: str) -> str:
        return "7"

    assert str(await CodeActAgent(code_execute_fn=execute, llm=llm).run("What is 3 plus 4?", max_iterations=3))


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize"])
def test_summary_index(llm: FrameworkLLM, mode: str) -> None:
    """A query over all documents is answered in every response mode."""
    engine = SummaryIndex.from_documents(DOCUMENTS).as_query_engine(llm=llm, response_mode=mode)
    assert str(engine.query("How much does a museum ticket cost?")).strip() not in ("", "Empty Response")


@pytest.mark.parametrize("mode", ["compact", "tree_summarize"])
def test_long_documents_fit(llm: FrameworkLLM, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Counting with the model's own tokenizer, an engine cuts a text that is longer than the context window to fit."""
    monkeypatch.setattr(llama_index.core, "global_tokenizer", llm.tokenizer)
    text = "\n".join(f"def f_{i}(x, y={i}):\n    return x ** {i} + y[{i}] if x else None" for i in range(70))
    assert len(llm.tokenizer(text)) > llm.metadata.context_window
    counter = TokenCountingHandler(tokenizer=lambda text: [])
    options: dict[str, Any] = {"response_mode": mode}
    engine = SummaryIndex.from_documents([Document(text=text)]).as_query_engine(llm=llm, **options)
    llm.callback_manager = CallbackManager([counter])
    engine.query("What is f_3?")
    counts = [count.prompt_token_count for count in counter.llm_token_counts]
    assert len(counts) >= 2
    assert sum(counts) > llm.metadata.context_window
    assert max(counts) <= llm.metadata.context_window - llm.metadata.num_output


async def test_the_tokenizer_travels(llm: FrameworkLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds the model's tokenizer can be copied and pickled, and used on an event loop."""
    counts = len(llm.tokenizer("The harbour of Bergen."))
    monkeypatch.setattr(llama_index.core, "global_tokenizer", llm.tokenizer)
    splitter = SentenceSplitter(chunk_size=40, chunk_overlap=0)
    long = "The harbour of Bergen was built in 1070. " * 8
    pieces = splitter.split_text(long)
    assert len(pieces) > 2
    assert max(len(llm.tokenizer(piece)) for piece in pieces) <= 40
    for again in (copy.deepcopy(splitter), pickle.loads(pickle.dumps(splitter))):
        assert again.split_text(long) == pieces
    memory = Memory.from_defaults(session_id="s", token_limit=1000)
    await memory.aput(ChatMessage(role="user", content="hello"))
    assert len(await memory.aget()) == 1
    assert len(pickle.loads(pickle.dumps(llm.tokenizer))("The harbour of Bergen.")) == counts


def test_keyword_table(llm: FrameworkLLM) -> None:
    """With the passage that a keyword table finds, the questions are answered right, and the tokens are counted."""
    counter = TokenCountingHandler(tokenizer=lambda text: [])
    index = SimpleKeywordTableIndex.from_documents(DOCUMENTS, llm=llm)
    engine = index.as_query_engine(llm=llm)
    llm.callback_manager = CallbackManager([counter])
    asked = {
        "When was the harbour of Bergen built?": "1070",
        "How much does a museum ticket cost?": "12 euros",
        "Where does Ada live?": "Turin",
    }
    assert {question: str(engine.query(question)) for question in asked} == asked
    assert counter.prompt_llm_token_count > 100 > counter.completion_llm_token_count > 0


def test_structured_predict(llm: FrameworkLLM) -> None:
    """An object is read from a text, whole and streamed."""
    prompt = PromptTemplate("Extract the person from the text.\n\n{text}")
    ada, text = Person(name="Ada", age=34, city="Turin"), "Ada is 34 years old and lives in Turin."
    assert llm.structured_predict(Person, prompt, text=text) == ada
    streamed = list(llm.stream_structured_predict(Person, prompt, text=text))
    assert Person.model_validate(streamed[-1].model_dump()) == ada


def test_query_engine_with_a_form(llm: FrameworkLLM) -> None:
    """A query engine with `output_cls` answers with an instance."""
    documents = [Document(text="Ada is 34 years old and lives in Turin.")]
    engine = SummaryIndex.from_documents(documents).as_query_engine(llm=llm, output_cls=Person)
    assert isinstance(engine.query("Who lives in Turin?").response, Person)


async def test_chat_engines(llm: FrameworkLLM) -> None:
    """Chat engines with memory answer, whole and streamed, from what they are given."""
    chat = SimpleChatEngine.from_defaults(llm=llm)
    assert str(chat.chat("hello"))
    assert "".join(chat.stream_chat("What can you do?").response_gen)
    context = ContextChatEngine.from_defaults(SummaryIndex.from_documents(DOCUMENTS[2:]).as_retriever(), llm=llm)
    assert "Turin" in str(await context.achat("Where does Ada live?"))
    assert str(await context.achat("And what is her work?"))


def test_query_engine_runs(llm: FrameworkLLM) -> None:
    """A query engine over an index asks this model."""
    index = VectorStoreIndex.from_documents([Document(text="The sky is blue.")], embed_model=MockEmbedding(embed_dim=4))
    response = index.as_query_engine(llm=llm).query("Which colour is the sky?")
    assert response.source_nodes
    assert isinstance(response.response, str)


def test_an_answer_keeps_to_a_grammar() -> None:
    """A grammar is taken in a call, chat or completion."""
    form = ResponseFormat(lark='start: "[" WORD ("; " WORD)* "]"\nWORD: /[a-z]{3,6}/')
    model = FrameworkLLM(max_tokens=30)
    for text in (
        model.complete("hello", response_format=form).text,
        model.chat(CHAT, response_format=form).message.content,
    ):
        assert re.fullmatch(r"\[[a-z]{3,6}(; [a-z]{3,6})*\]", str(text))
