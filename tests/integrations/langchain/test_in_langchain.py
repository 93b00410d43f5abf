"""`FrameworkChatModel` inside LangChain's and LangGraph's own machinery: caches, limits, traces, events, agents."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
    wrap_model_call,
)
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import AsyncCallbackHandler, get_usage_metadata_callback
from langchain_core.exceptions import ContextOverflowError
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command
from pydantic import BaseModel

from langchain_llm_framework import FrameworkChatModel
from llm_framework import LLMFramework, ModelInfo, ModelType, errors
from llm_framework.testing import FakeBackend, Gate
from llm_framework.types import Chunk, ToolCall

Make = Callable[..., Any]
HI = {"messages": [("user", "hi")]}


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


CALL = ToolCall.create("add", {"a": 3, "b": 4}, "c1")


# ------------------------------------------------------------------------------------------------ langchain-core's own
def test_the_global_cache_keeps_models_apart(scripted: Make) -> None:
    """Frameworks with different default models do not find each other's answers in the process's cache."""
    one, _ = scripted("from one", "not cached")
    other = LLMFramework({"default_model": "other", "auto_discover_models": False})
    FakeBackend(ModelInfo("other", backend_type="fake"), answers=["from the other"]).install(other)
    before = get_llm_cache()
    set_llm_cache(InMemoryCache())
    try:
        with other:
            assert [FrameworkChatModel(framework=one).invoke("hi").text for _ in range(2)] == ["from one"] * 2
            assert FrameworkChatModel(framework=other).invoke("hi").text == "from the other"
    finally:
        set_llm_cache(before)


async def test_the_rate_limiter_is_asked_before_each_call(scripted: Make) -> None:
    """All four ways to ask take one permit of LangChain's rate limiter, and a cached answer takes none."""

    class Counting(BaseRateLimiter):
        taken = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            self.taken += 1
            return True

        async def aacquire(self, *, blocking: bool = True) -> bool:
            return self.acquire()

    framework, _ = scripted("ok")
    limiter = Counting()
    model = FrameworkChatModel(framework=framework, rate_limiter=limiter, cache=InMemoryCache())
    model.invoke("hi")
    model.invoke("hi")
    await model.ainvoke("other")
    list(model.stream("hi"))
    [chunk async for chunk in model.astream("hi")]
    assert limiter.taken == 4


class Trace(AsyncCallbackHandler):
    """Collects what a tracer is told of chat models."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}
        self.params: dict[str, Any] = {}
        self.errors: list[BaseException] = []

    async def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, metadata: Any = None, **kwargs: Any
    ) -> None:
        self.metadata, self.params = dict(metadata or {}), dict(kwargs.get("invocation_params") or {})

    async def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.errors.append(error)


async def test_traces_know_the_model(scripted: Make) -> None:
    """A tracer learns provider, model, limits and tools, the model of the call where one was given, and errors."""
    framework, _ = scripted("ok")
    trace = Trace()
    config: Any = {"callbacks": [trace]}
    model = FrameworkChatModel("scripted", framework=framework, temperature=0.5, max_tokens=9)
    await model.bind_tools([add]).ainvoke("hi", config)
    seen = {key: value for key, value in trace.metadata.items() if key.startswith("ls_")}
    assert (seen["ls_provider"], seen["ls_model_name"]) == ("llm_framework", "scripted")
    assert (seen["ls_temperature"], seen["ls_max_tokens"], seen["ls_model_type"]) == (0.5, 9, "chat")
    assert trace.params["tools"][0]["function"]["name"] == "add"
    with pytest.raises(errors.ModelNotFoundError):
        await model.ainvoke("hi", config, model="nonesuch")
    assert trace.metadata["ls_model_name"] == "nonesuch"
    assert isinstance(trace.errors[0], errors.ModelNotFoundError)


async def test_structured_output_is_traced_with_its_schema(scripted: Make) -> None:
    """A tracer sees which form was asked for, and the backend does not get that remark as an option."""
    framework, _ = scripted('{"name": "Ann", "age": 5}')
    trace = Trace()
    chain = FrameworkChatModel(framework=framework).with_structured_output(Person)
    assert await chain.ainvoke("hi", {"callbacks": [trace]}) == Person(name="Ann", age=5)
    assert "Person" in str(trace.metadata.get("ls_structured_output_format") or trace.params)


def test_usage_is_collected(scripted: Make) -> None:
    """LangChain's usage callback adds up calls, streams and an agent's turns under the model's name."""
    framework, _ = scripted("one two")
    model = FrameworkChatModel(framework=framework)
    with get_usage_metadata_callback() as usage:
        model.invoke("hi")
        list(model.stream("hi there"))
    counted = usage.usage_metadata["scripted"]
    assert (counted["input_tokens"], counted["output_tokens"], counted["total_tokens"]) == (3, 4, 7)


def test_streaming_can_be_disabled(scripted: Make) -> None:
    """`disable_streaming="tool_calling"` answers in one piece where tools are bound, and streams otherwise."""
    framework, _ = scripted("one two three")
    model = FrameworkChatModel(framework=framework, disable_streaming="tool_calling")
    assert len(list(model.stream("hi"))) == 4
    assert len(list(model.bind_tools([add]).stream("hi"))) == 1
    assert len(list(FrameworkChatModel(framework=framework, disable_streaming=True).stream("hi"))) == 1


async def test_events_v2(scripted: Make) -> None:
    """Version 2 of the events tells a start, the pieces with the call in them, and an end with the usage."""
    framework, _ = scripted(["let me", CALL])
    model = FrameworkChatModel(framework=framework).bind_tools([add])
    events = [event async for event in model.astream_events("hi", version="v2")]
    names = [event["event"] for event in events]
    assert (names[0], names[-1], names.count("on_chat_model_start")) == (
        "on_chat_model_start", "on_chat_model_end", 1
    )  # fmt: skip
    pieces: list[Any] = [event["data"]["chunk"] for event in events if event["event"] == "on_chat_model_stream"]
    assert "".join(piece.text for piece in pieces) == "let me"
    assert (pieces[0] + pieces[1:]).tool_calls[0]["args"] == {"a": 3, "b": 4}
    end: Any = events[-1]["data"]
    assert end["output"].usage_metadata["output_tokens"] == 3


async def test_events_v3(scripted: Make) -> None:
    """Version 3 gives text, reasoning, calls and the whole message, blocking and not."""
    framework, _ = scripted([Chunk(thinking="hm"), "let me", CALL])
    model = FrameworkChatModel(framework=framework).bind_tools([add])
    stream: Any = model.stream_events("hi", version="v3")
    assert (str(stream.text), str(stream.reasoning)) == ("let me", "hm")
    assert stream.output.tool_calls[0]["args"] == {"a": 3, "b": 4}
    assert stream.output.usage_metadata["output_tokens"] == 3
    astream: Any = await model.astream_events("hi", version="v3")
    assert [piece async for piece in astream.text] == ["let", " me"]
    message = await astream
    assert message.tool_calls == stream.output.tool_calls
    assert message.response_metadata["finish_reason"] == "tool_calls"


async def test_content_blocks_of_version_1(scripted: Make) -> None:
    """With `output_version="v1"` the content is standard blocks: reasoning, text and calls; whole and streamed."""
    framework, _ = scripted([Chunk(thinking="h"), Chunk(thinking="m"), "let me", CALL])
    model = FrameworkChatModel(framework=framework, output_version="v1").bind_tools([add])
    whole = await model.ainvoke("hi")
    chunks = [chunk async for chunk in model.astream("hi")]
    added: Any = chunks[0] + chunks[1:]
    for message in (whole, added):
        blocks: Any = message.content_blocks
        assert [block["type"] for block in blocks] == ["reasoning", "text", "tool_call"]
        assert (blocks[0]["reasoning"], blocks[1]["text"]) == ("hm", "let me")
        assert blocks[2]["args"] == {"a": 3, "b": 4}
    again = FrameworkChatModel(framework=framework)
    assert again.invoke([HumanMessage("hi"), whole, ToolMessage("7", tool_call_id="c1")]).text == "let me"


def test_profile_is_truthful(scripted: Make) -> None:
    """The profile promises what the model can do: no tools from an embedding model, images from one that sees."""
    framework, _ = scripted("ok")
    infos = {
        "words": ModelInfo("words", model_type=ModelType.EMBEDDING, backend_type="fake"),
        "eyes": ModelInfo("eyes", model_type=ModelType.MULTIMODAL, backend_type="fake", context_length=77),
    }
    for info in infos.values():
        framework.registry.register_model(info, persist=False)
    words = FrameworkChatModel.from_framework(framework, "words").profile or {}
    eyes = FrameworkChatModel.from_framework(framework, "eyes").profile or {}
    assert (words["tool_calling"], words["structured_output"], words["image_inputs"]) == (False, False, False)
    assert (eyes["tool_calling"], eyes["structured_output"], eyes["image_inputs"]) == (True, True, True)
    assert eyes["max_input_tokens"] == 77
    assert "max_input_tokens" not in (FrameworkChatModel("anything").profile or {})


def test_the_profile_says_nothing_of_what_is_unknown(scripted: Make) -> None:
    """Whether a model that nobody knows sees images is not denied; of a known one the profile says it."""
    framework, _ = scripted("ok")
    assert "image_inputs" not in FrameworkChatModel("groq:some-new-model", framework=framework).profile
    known = FrameworkChatModel("openai:gpt-5-mini", framework=framework).profile
    assert known["image_inputs"] is True
    assert known["max_input_tokens"] > 100_000


def test_traces_know_the_provider() -> None:
    """A model's provider is known by its prefix, whatever colons follow, or by a well-known name."""
    names = ("openai:ft:gpt-4:acme", "gpt-5-mini", "claude-x", "mine")
    params = [FrameworkChatModel(name)._get_ls_params() for name in names]
    assert [(p["ls_provider"], p["ls_model_name"]) for p in params] == [
        ("openai", "ft:gpt-4:acme"),
        ("openai", "gpt-5-mini"),
        ("anthropic", "claude-x"),
        ("llm_framework", "mine"),
    ]


async def test_langchains_fallbacks_keep_tools_and_forms(scripted: Make) -> None:
    """`.with_fallbacks` around a model passes tools, forms and streams on to the model that answers."""
    broken = FrameworkChatModel(framework=scripted(errors.ProviderUnavailableError("down")).framework)
    caller = FrameworkChatModel(framework=scripted(CALL).framework)
    chain: Any = broken.with_fallbacks([caller])
    assert chain.bind_tools([add]).invoke("hi").tool_calls[0]["name"] == "add"
    assert (await chain.bind_tools([add]).ainvoke("hi")).tool_calls[0]["name"] == "add"
    chunks = list(chain.bind_tools([add]).stream("hi"))
    assert (chunks[0] + chunks[1:]).tool_calls[0]["name"] == "add"
    writer = FrameworkChatModel(framework=scripted('{"name": "Ann", "age": 5}').framework)
    form = broken.with_fallbacks([writer]).with_structured_output(Person)
    assert form.invoke("hi") == await form.ainvoke("hi") == list(form.stream("hi"))[-1] == Person(name="Ann", age=5)


def test_fallbacks_on_the_model_keep_tools_and_forms(scripted: Make) -> None:
    """`fallbacks=[…]` asks the next model with the same tools and the same form."""
    framework, backend = scripted(CALL, '{"name": "Ann", "age": 5}')
    model = FrameworkChatModel("nonesuch", framework=framework, fallbacks=["scripted"])
    assert model.bind_tools([add], tool_choice="any").invoke("hi").tool_calls[0]["name"] == "add"
    assert model.with_structured_output(Person).invoke("hi") == Person(name="Ann", age=5)
    assert (backend.requests[0].tool_choice, backend.requests[0].tools[0].name) == ("any", "add")
    agent = create_agent(model, tools=[add])
    assert [message.type for message in agent.invoke(HI)["messages"]] == ["human", "ai", "tool", "ai"]


# ----------------------------------------------------------------------------------------------------------- LangGraph
def test_a_graph_of_ones_own(scripted: Make) -> None:
    """A graph with LangGraph's `ToolNode` calls the tool, two calls at a time too, and comes back with the results."""
    calls = [CALL, ToolCall.create("add", {"a": 1, "b": 1}, "c2")]
    framework, backend = scripted(calls, "done")
    model = FrameworkChatModel(framework=framework).bind_tools([add])
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([add]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition, {"tools": "tools", END: END})
    graph.add_edge("tools", "model")
    state = graph.compile().invoke(HI)  # type: ignore[arg-type]
    assert [message.content for message in state["messages"][2:]] == ["7", "2", "done"]
    results = [part for message in backend.requests[1].messages for part in message.tool_results]
    assert [(result.call_id, result.name, result.content) for result in results] == [
        ("c1", "add", "7"), ("c2", "add", "2")
    ]  # fmt: skip


def test_a_tool_that_fails_is_told_to_the_model(scripted: Make) -> None:
    """What a tool raised goes back to the model as a result that says it is an error."""

    @tool
    def divide(a: int, b: int) -> float:
        """Divide two numbers."""
        return a / b

    framework, backend = scripted(ToolCall.create("divide", {"a": 1, "b": 0}, "c1"), "that is not possible")
    graph = StateGraph(MessagesState)
    model = FrameworkChatModel(framework=framework).bind_tools([divide])
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([divide], handle_tool_errors=True))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition, {"tools": "tools", END: END})
    graph.add_edge("tools", "model")
    state = graph.compile().invoke(HI)  # type: ignore[arg-type]
    assert state["messages"][-1].text == "that is not possible"
    assert backend.requests[1].messages[-1].tool_results[0].is_error


def test_human_in_the_loop(scripted: Make) -> None:
    """An agent stops before a tool, goes on with what a person decided, and the model sees the edited call's result."""
    framework, backend = scripted(CALL, "done")
    middleware = HumanInTheLoopMiddleware(interrupt_on={"add": True})
    agent: Any = create_agent(
        FrameworkChatModel(framework=framework), tools=[add], middleware=[middleware], checkpointer=InMemorySaver()
    )
    config = {"configurable": {"thread_id": "1"}}
    stopped = agent.invoke(HI, config)
    assert stopped["__interrupt__"][0].value["action_requests"][0]["name"] == "add"
    edit = {"type": "edit", "edited_action": {"name": "add", "args": {"a": 20, "b": 1}}}
    state = agent.invoke(Command(resume={"decisions": [edit]}), config)
    assert state["messages"][-1].text == "done"
    assert backend.requests[1].messages[-1].tool_results[0].content.endswith("21")


def test_a_summary_that_is_too_long_itself(scripted: Make) -> None:
    """The summarising middleware knows the error of a prompt that is too long: it asks again with the middle cut."""
    summariser, asked = scripted(errors.ContextOverflowError("too long", tokens=50, limit=40), "a summary")
    framework, backend = scripted("answer")
    model = FrameworkChatModel(framework=framework)
    middleware = SummarizationMiddleware(
        model=FrameworkChatModel(framework=summariser), trigger=("messages", 6), keep=("messages", 1)
    )
    history = [kind(f"{kind.__name__} " * 100) for kind in (HumanMessage, AIMessage) * 4]
    agent: Any = create_agent(model, middleware=[middleware])
    assert agent.invoke({"messages": [*history, HumanMessage("and now?")]})["messages"][-1].text == "answer"
    lengths = [len(request.messages[0].text) for request in asked.requests]
    assert len(lengths) == 2
    assert lengths[0] > lengths[1]
    assert "a summary" in backend.requests[0].messages[0].text


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_summary_on_context_overflow(scripted: Make, asynchronous: bool) -> None:
    """The summarising middleware, after a prompt that was too long, summarises with the model and goes on."""
    overflow = errors.ContextOverflowError("too long", tokens=50, limit=40)
    framework, backend = scripted(overflow, "a summary", "shorter now")
    model = FrameworkChatModel(framework=framework)
    summary = SummarizationMiddleware(model=model, trigger=("messages", 100), keep=("messages", 1))
    history = [HumanMessage("one"), AIMessage("two"), HumanMessage("three"), AIMessage("four"), HumanMessage("five")]

    @wrap_model_call
    def summarise_and_retry(request: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(request)
        except ContextOverflowError:
            short = HumanMessage(summary._create_summary(request.messages[:-1]))
            return handler(request.override(messages=[short, request.messages[-1]]))

    agent: Any = create_agent(model, middleware=[summarise_and_retry, summary])
    request = {"messages": history}
    state = await asyncio.to_thread(agent.invoke, request) if asynchronous else agent.invoke(request)
    assert state["messages"][-1].text == "shorter now"
    assert [len(request.messages) for request in backend.requests] == [5, 1, 2]


def test_summarisation_by_the_profile(scripted: Make) -> None:
    """Summarising at a fraction of the context works, because the profile says how much the model reads."""
    framework, backend = scripted("a summary", "answer")
    model = FrameworkChatModel.from_framework(framework, "scripted")
    middleware = SummarizationMiddleware(model=model, trigger=("fraction", 0.05), keep=("messages", 1))
    history = [HumanMessage("word " * 60), AIMessage("ok " * 60), HumanMessage("and now?")]
    agent: Any = create_agent(model, middleware=[middleware])
    state = agent.invoke({"messages": history})
    assert state["messages"][-1].text == "answer"
    assert "a summary" in backend.requests[1].messages[0].text


def test_retry_and_fallback_middleware(scripted: Make) -> None:
    """LangChain's retry middleware and its fallback middleware work around the model."""
    busy = errors.ProviderUnavailableError("busy")
    framework, backend = scripted(busy, busy, busy)
    works = FrameworkChatModel(framework=scripted(CALL, "done").framework)
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="error")
    agent: Any = create_agent(
        FrameworkChatModel(framework=framework), tools=[add], middleware=[ModelFallbackMiddleware(works), retry]
    )
    state = agent.invoke(HI)
    assert state["messages"][-1].text == "done"
    assert [message.type for message in state["messages"]] == ["human", "ai", "tool", "ai"]
    assert len(backend.requests) == 4


async def test_agents_stream_pieces(scripted: Make) -> None:
    """LangGraph's message stream shows each piece once, and the tool's result between the turns."""
    framework, _ = scripted(CALL, "it is 7")
    agent: Any = create_agent(FrameworkChatModel(framework=framework), tools=[add])
    parts = [part async for part, _ in agent.astream(HI, stream_mode="messages")]
    assert "".join(part.text for part in parts if isinstance(part, AIMessageChunk)) == "it is 7"
    assert [part.content for part in parts if isinstance(part, ToolMessage)] == ["7"]


async def test_cancelling_an_agent_stops_the_engine(scripted: Make) -> None:
    """An agent that is cancelled in the middle of an answer leaves no request, no task and no new thread behind."""
    gate = Gate()
    framework, backend = scripted("warm", ["one", gate, "two"])
    model = FrameworkChatModel(framework=framework)
    await model.ainvoke("hi")
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    agent: Any = create_agent(model, tools=[add])
    run = asyncio.ensure_future(agent.ainvoke(HI))
    await gate.reached()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    for _ in range(1000):
        if backend.active == 0 and asyncio.all_tasks() <= tasks:
            break
        await asyncio.sleep(0.001)
    assert (backend.active, backend.closed) == (0, 1)
    assert framework.get_performance_stats()["active_requests"] == 0
    assert asyncio.all_tasks() <= tasks
    assert {thread for thread in threading.enumerate() if thread not in threads and not thread.daemon} == set()


async def test_cancelling_an_agent_on_the_bundled_model() -> None:
    """On the real engine too: a cancelled agent's request ends, and the model answers the next one."""
    async with LLMFramework() as framework:
        model = FrameworkChatModel.from_framework(framework, temperature=0, max_tokens=400)
        agent: Any = create_agent(model, tools=[add])
        started = asyncio.Event()

        async def run() -> None:
            async for _ in agent.astream({"messages": [("user", "Tell me a long story.")]}, stream_mode="messages"):
                started.set()
                await asyncio.Event().wait()

        task = asyncio.ensure_future(run())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(1000):
            if framework.get_performance_stats()["active_requests"] == 0:
                break
            await asyncio.sleep(0.001)
        assert framework.get_performance_stats()["active_requests"] == 0
        assert (await model.ainvoke("hello", max_tokens=8)).text
