"""`FrameworkChatModel` on the bundled model: what a LangChain program does, on the real engine."""

from __future__ import annotations

import asyncio
import pickle
import re
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from langchain_core.tools import tool

from langchain_llm_framework import FrameworkChatModel
from llm_framework import LLMFramework, ResponseFormat

COUNTRIES = [{"country": name} for name in ("France", "Italy", "Spain", "Japan")]


@pytest.fixture
def model() -> FrameworkChatModel:
    return FrameworkChatModel(temperature=0, max_tokens=48)


@pytest.fixture
def chain(model: FrameworkChatModel) -> Runnable[Any, str]:
    prompt = ChatPromptTemplate.from_messages([("system", "Answer briefly."), ("user", "What is in {country}?")])
    return prompt | model | StrOutputParser()


@pytest.fixture
def framework() -> Iterator[LLMFramework]:
    with LLMFramework() as framework:
        yield framework


def test_chain_invoke_stream_and_batch_agree(chain: Runnable[Any, str]) -> None:
    """At temperature 0 a chain says the same invoked, streamed and batched."""
    invoked = [chain.invoke(country) for country in COUNTRIES]
    assert all(invoked)
    assert ["".join(chain.stream(country)) for country in COUNTRIES] == invoked
    assert chain.batch(COUNTRIES) == invoked


async def test_chain_async_forms_agree(chain: Runnable[Any, str]) -> None:
    """The asynchronous forms say what the blocking ones say."""
    invoked = await asyncio.to_thread(chain.invoke, COUNTRIES[0])
    assert await chain.ainvoke(COUNTRIES[0]) == invoked
    assert "".join([piece async for piece in chain.astream(COUNTRIES[0])]) == invoked
    assert (await chain.abatch(COUNTRIES))[0] == invoked


def test_blocking_forms_work_inside_a_running_loop(model: FrameworkChatModel) -> None:
    """A notebook's cell, which runs inside an event loop, can call `invoke`."""

    async def cell() -> str:
        return model.invoke("hi").text

    assert asyncio.run(cell()) == model.invoke("hi").text


async def test_usage_is_the_same_streamed_and_whole(model: FrameworkChatModel) -> None:
    """Usage stands on exactly one chunk, and equals that of `invoke`."""
    await model.ainvoke("hello")  # from here on what was read before is the same
    whole = await model.ainvoke("hello")
    chunks = [chunk async for chunk in model.astream("hello")]
    assert [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata] == [whole.usage_metadata]
    added = chunks[0] + chunks[1:] if chunks[1:] else chunks[0]
    assert added.text == whole.text
    assert added.response_metadata == whole.response_metadata
    assert [chunk.chunk_position for chunk in chunks][-1] == "last"
    assert chunks[0].text
    assert whole.response_metadata["model_name"] == "tiny-chat"


def test_usage_callback_counts_by_model(model: FrameworkChatModel) -> None:
    """LangChain's own usage callback finds the tokens under the model's name."""
    callback = UsageMetadataCallbackHandler()
    answers = model.batch(["hi", "hello"], config={"callbacks": [callback]})
    total = sum((answer.usage_metadata or {})["total_tokens"] for answer in answers)
    assert callback.usage_metadata["tiny-chat"]["total_tokens"] == total


def test_stop(model: FrameworkChatModel) -> None:
    """A stop text ends the answer and is not part of it, given in the call, bound, or when the model is made."""
    whole = model.invoke("hello").text
    stop = whole[2:4]
    expected = whole[: whole.index(stop)]
    assert model.invoke("hello", stop=[stop]).text == expected
    assert model.bind(stop=[stop]).invoke("hello").text == expected
    assert FrameworkChatModel(temperature=0, max_tokens=48, stop=stop).invoke("hello").text == expected
    assert "".join(chunk.text for chunk in model.stream("hello", stop=[stop])) == expected


def test_max_tokens(model: FrameworkChatModel) -> None:
    """An answer that is cut off says so."""
    answer = model.invoke("Tell me a long story.", max_tokens=2)
    assert answer.response_metadata["finish_reason"] == "length"
    assert (answer.usage_metadata or {})["output_tokens"] == 2


async def test_event_stream(chain: Runnable[Any, str]) -> None:
    """`astream_events` (v2) reports the model's start, its pieces and its end, with the usage."""
    events = [event async for event in chain.astream_events(COUNTRIES[0], version="v2")]
    pieces = [event["data"]["chunk"] for event in events if event["event"] == "on_chat_model_stream"]
    end = next(event["data"]["output"] for event in events if event["event"] == "on_chat_model_end")
    assert [event["event"] for event in events].count("on_chat_model_start") == 1
    assert "".join(piece.text for piece in pieces) == end.text != ""
    assert end.usage_metadata["output_tokens"] > 0


class Tokens(BaseCallbackHandler):
    """Collects what `on_llm_new_token` is told."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.ends = 0

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.tokens.append(token)

    def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        self.ends += 1


class AsyncTokens(AsyncCallbackHandler):
    """The same, asynchronously."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    async def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.tokens.append(token)


async def test_callbacks_see_each_token_once(model: FrameworkChatModel) -> None:
    """`on_llm_new_token` is told every piece exactly once, streaming and with `streaming=True`."""
    handler, async_handler = Tokens(), AsyncTokens()
    streamed = [chunk.text for chunk in model.stream("hello", config={"callbacks": [handler]})]
    assert handler.tokens == streamed
    assert handler.ends == 1
    [_ async for _ in model.astream("hello", config={"callbacks": [async_handler]})]
    assert async_handler.tokens == streamed
    invoked = Tokens()
    FrameworkChatModel(temperature=0, max_tokens=48, streaming=True).invoke("hello", config={"callbacks": [invoked]})
    assert invoked.tokens == streamed


async def test_closing_a_stream_stops_the_engine(framework: LLMFramework) -> None:
    """A reader that goes away in the middle of a stream leaves no request running."""
    model = FrameworkChatModel.from_framework(framework, temperature=0, max_tokens=400)
    stream = model.astream("Tell me a very long story.")
    await anext(stream)
    assert framework.get_performance_stats()["active_requests"] == 1
    await stream.aclose()
    await is_idle(framework)
    blocking = model.stream("Tell me a very long story.")
    next(blocking)
    blocking.close()
    await is_idle(framework)


async def test_cancelling_a_reader_stops_the_engine(framework: LLMFramework) -> None:
    """A task that reads a stream can be cancelled, and its request ends."""
    model = FrameworkChatModel.from_framework(framework, temperature=0, max_tokens=400)
    started = asyncio.Event()

    async def read() -> None:
        async for _ in model.astream("Tell me a very long story."):
            started.set()
            await asyncio.Event().wait()

    reader = asyncio.ensure_future(read())
    await started.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await is_idle(framework)


async def is_idle(framework: LLMFramework) -> None:
    # An abandoned generator is closed by the event loop, a few turns later.
    for _ in range(1000):
        if framework.get_performance_stats()["active_requests"] == 0:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("a request is still running")


def test_pickled_model_answers_the_same(model: FrameworkChatModel) -> None:
    """A model that went through pickle, as to another process, answers as before."""
    assert pickle.loads(pickle.dumps(model)).invoke("hi").text == model.invoke("hi").text


def test_tokens_are_counted_by_the_model_itself(model: FrameworkChatModel) -> None:
    """Counts come from the model's own tokenizer, and for messages include what the chat template adds."""
    messages = [SystemMessage("Answer briefly."), HumanMessage("hello there")]
    assert 0 < model.get_num_tokens("hello there") < model.get_num_tokens_from_messages(messages)
    usage = model.invoke(messages).usage_metadata
    assert model.get_num_tokens_from_messages(messages) == (usage or {})["input_tokens"]
    assert len(model.get_token_ids("hello there")) == model.get_num_tokens("hello there")


def test_tools_add_to_the_prompt(model: FrameworkChatModel) -> None:
    """The tools are part of the counted prompt."""
    messages = [HumanMessage("hello there")]
    assert model.get_num_tokens_from_messages(messages, tools=[add]) > model.get_num_tokens_from_messages(messages)


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize("streaming", [False, True])
def test_agent_runs(streaming: bool) -> None:
    """LangChain's agent loop runs on the bundled model, whole and streamed."""
    agent = create_agent(FrameworkChatModel(temperature=0, max_tokens=64, streaming=streaming), tools=[add])
    state = agent.invoke({"messages": [("user", "What is 3 plus 4?")]}, {"recursion_limit": 12})
    assert state["messages"][-1].type == "ai"


async def test_agent_streams_tokens() -> None:
    """An agent run with LangGraph's message stream shows the model's pieces."""
    agent = create_agent(FrameworkChatModel(temperature=0, max_tokens=64), tools=[add])
    request = {"messages": [("user", "What is 3 plus 4?")]}
    pieces = [p async for p, _ in agent.astream(request, {"recursion_limit": 12}, stream_mode="messages")]
    assert any(isinstance(piece, AIMessageChunk) for piece in pieces)


def test_an_answer_keeps_to_a_grammar(model: FrameworkChatModel) -> None:
    """A grammar is taken in a call, bound, and bound beside tools."""
    form = ResponseFormat(lark='start: "[" WORD ("; " WORD)* "]"\nWORD: /[a-z]{3,6}/')
    for asked in (
        model,
        model.bind(response_format=form),
        model.bind_tools([add], response_format=form, temperature=1),
    ):
        answer = asked.invoke("hello", **({"response_format": form} if asked is model else {}))
        assert answer.tool_calls or re.fullmatch(r"\[[a-z]{3,6}(; [a-z]{3,6})*\]", answer.text)


async def test_n_answers_to_one_prompt(model: FrameworkChatModel) -> None:
    """`n` gives as many answers; the prompt is read once, and each seed draws its own answer again."""
    asked = [[HumanMessage("Tell me about rivers.")]]
    sampling = FrameworkChatModel(temperature=4.0, max_tokens=12, n=3)
    answers = (await sampling.agenerate(asked)).generations[0]
    assert len(answers) == 3
    cached = [answer.message.usage_metadata["input_token_details"]["cache_read"] for answer in answers[1:]]
    assert all(cached)
    seeded = [sampling.generate(asked, n=2, seed=5).generations[0] for _ in range(2)]
    assert [answer.text for answer in seeded[0]] == [answer.text for answer in seeded[1]]
    assert seeded[0][0].text != seeded[0][1].text
    with pytest.raises(ValueError, match="at least 1"):
        model.invoke("hi", n=-2)
