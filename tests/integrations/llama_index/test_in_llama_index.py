"""`FrameworkLLM` inside LlamaIndex's agents, engines and handlers, on scripted answers."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core import Document, Settings, SimpleKeywordTableIndex, SummaryIndex
from llama_index.core.agent.workflow import (
    AgentOutput,
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
    ToolCallResult,
)
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock, ToolCallBlock
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import CondensePlusContextChatEngine, SimpleChatEngine
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.rate_limiter import TokenBucketRateLimiter
from llama_index.core.schema import TextNode
from llama_index.core.tools import FunctionTool, QueryEngineTool
from llama_index.retrievers.bm25 import BM25Retriever
from pydantic import BaseModel, Field
from workflows.errors import WorkflowCancelledByUser

from llama_index.llms.llm_framework import FrameworkLLM
from llm_framework import errors
from llm_framework.testing import Gate
from llm_framework.types import Chunk, ImagePart, ToolCall

Make = Callable[..., Any]
PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(16)
DOCUMENTS = [
    Document(text="The harbour of Bergen was built in 1070."),
    Document(text="A museum ticket costs 12 euros."),
]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


ANN = '{"name": "Ann", "age": 5}'


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def fail(a: int) -> int:
    """Always fail."""
    raise RuntimeError("out of order")


def call(name: str = "add", id: str = "c1", **arguments: Any) -> ToolCall:
    return ToolCall.create(name, arguments or {"a": 3, "b": 4}, id)


@pytest.fixture
def settings() -> Iterator[Any]:
    before = Settings._llm, Settings._callback_manager
    yield Settings
    Settings._llm, Settings._callback_manager = before


# -------------------------------------------------------------------------------------------------------------- agents
@pytest.mark.parametrize("streaming", [False, True])
async def test_function_agent_makes_several_calls(scripted: Make, streaming: bool) -> None:
    """Two calls in one answer are both made, and both results go back under the calls' ids and names."""
    framework, backend = scripted([call(), call(id="c2", a=1, b=1)], "7 and 2")
    agent = FunctionAgent(
        tools=[add],
        llm=FrameworkLLM(framework=framework),
        streaming=streaming,
        allow_parallel_tool_calls=True,
        system_prompt="Be brief.",
    )
    assert str(await agent.run("both sums?")) == "7 and 2"
    results = [part for message in backend.requests[1].messages for part in message.tool_results]
    assert {(result.call_id, result.name, result.content) for result in results} == {
        ("c1", "add", "7"), ("c2", "add", "2")
    }  # fmt: skip
    assert backend.requests[0].messages[0].text == "Be brief."


async def test_function_agent_goes_on_after_a_tool_failed(scripted: Make) -> None:
    """What a tool raised is told to the model, which may then answer."""
    framework, backend = scripted(call("fail", a=1), "that tool is broken")
    agent = FunctionAgent(tools=[fail], llm=FrameworkLLM(framework=framework))
    assert str(await agent.run("try")) == "that tool is broken"
    assert "out of order" in backend.requests[1].messages[-1].tool_results[0].content


async def test_function_agent_with_a_form(scripted: Make) -> None:
    """An agent with `output_cls` ends with an instance of it."""
    framework, backend = scripted(call(), "Ann is 5", ANN)
    agent = FunctionAgent(tools=[add], llm=FrameworkLLM(framework=framework), output_cls=Person)
    output: AgentOutput = await agent.run("who?")
    assert output.get_pydantic_model(Person) == Person(name="Ann", age=5)
    assert backend.requests[-1].response_format is not None


async def test_function_agent_choosing_its_first_tool(scripted: Make) -> None:
    """`initial_tool_choice` forces the first call only."""
    framework, backend = scripted(call(), "7")
    agent = FunctionAgent(tools=[add], llm=FrameworkLLM(framework=framework), initial_tool_choice="add")
    assert str(await agent.run("sum?")) == "7"
    assert [request.tool_choice for request in backend.requests] == ["add", "auto"]


async def test_an_agent_shows_thinking_calls_and_results(scripted: Make) -> None:
    """An agent's events show the reasoning, the call, its result and the pieces of the answer, in this order."""
    framework, _ = scripted([Chunk(thinking="I must add"), call()], "it's 7")
    handler = FunctionAgent(tools=[add], llm=FrameworkLLM(framework=framework)).run("3 + 4?")
    events = [event async for event in handler.stream_events() if isinstance(event, (AgentStream, ToolCallResult))]
    await handler
    shown = [e.thinking_delta or e.delta if isinstance(e, AgentStream) else str(e.tool_output) for e in events]
    assert [piece for piece in shown if piece] == ["I must add", "7", "it's", " 7"]


@pytest.mark.parametrize("streaming", [False, True])
async def test_react_agent_with_two_steps(scripted: Make, streaming: bool) -> None:
    """The agent that reasons in text reads its steps from the text, and a failed tool is an observation."""
    steps = [
        'Thought: I need a tool.\nAction: fail\nAction Input: {"a": 1}',
        'Thought: Then the other.\nAction: add\nAction Input: {"a": 3, "b": 4}',
        "Thought: I can answer without using any more tools.\nAnswer: it is 7",
    ]
    framework, backend = scripted(*steps)
    agent = ReActAgent(tools=[add, fail], llm=FrameworkLLM(framework=framework), streaming=streaming)
    assert str(await agent.run("3 + 4?")) == "it is 7"
    assert "out of order" in backend.requests[1].messages[-1].text
    assert "Observation: 7" in backend.requests[2].messages[-1].text
    assert backend.requests[0].tools == ()  # its tools stand in the prompt


async def test_code_act_agent(scripted: Make) -> None:
    """The agent that writes code has it run and answers with what it printed."""
    framework, backend = scripted("Let me see.\n<execute>\nprint(3 + 4)\n</execute>", "It printed 7.")
    ran: list[str] = []

    async def execute(code: str) -> str:
        ran.append(code)
        return "7"

    agent = CodeActAgent(code_execute_fn=execute, llm=FrameworkLLM(framework=framework), tools=[add])
    assert str(await agent.run("3 + 4?")) == "It printed 7."
    assert ran == ["print(3 + 4)"]
    assert "7" in backend.requests[1].messages[-1].text


async def test_a_workflow_of_agents(scripted: Make) -> None:
    """One agent hands over to another by a tool call, and the other answers."""
    handoff = call("handoff", to_agent="counter", reason="it counts")
    framework, _ = scripted(handoff, call(id="c2"), "it is 7")
    llm = FrameworkLLM(framework=framework)
    greeter = FunctionAgent(
        name="greeter", description="Greets.", tools=[], llm=llm, can_handoff_to=["counter"], system_prompt="Greet."
    )
    counter = FunctionAgent(name="counter", description="Counts.", tools=[add], llm=llm, system_prompt="Count.")
    workflow = AgentWorkflow(agents=[greeter, counter], root_agent="greeter")
    output = await workflow.run("3 + 4?")
    assert (str(output), output.current_agent_name) == ("it is 7", "counter")


async def test_agents_of_functions_are_function_agents(scripted: Make) -> None:
    """`AgentWorkflow.from_tools_or_functions` trusts this LLM with function calls."""
    framework, _ = scripted(call(), "it is 7")
    workflow = AgentWorkflow.from_tools_or_functions([add], llm=FrameworkLLM(framework=framework))
    assert isinstance(next(iter(workflow.agents.values())), FunctionAgent)
    assert str(await workflow.run("3 + 4?")) == "it is 7"


async def test_an_agent_remembers(scripted: Make) -> None:
    """With a memory, the second question is asked with the first one, its call and its answer."""
    framework, backend = scripted(call(), "it is 7", "still 7")
    memory = Memory.from_defaults(session_id="s", token_limit=4000)
    agent = FunctionAgent(tools=[add], llm=FrameworkLLM(framework=framework, context_window=4096))
    await agent.run("3 + 4?", memory=memory)
    assert str(await agent.run("sure?", memory=memory)) == "still 7"
    roles = [message.role for message in backend.requests[-1].messages]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]


async def test_a_query_engine_as_a_tool(scripted: Make) -> None:
    """An agent asks a query engine that asks the same LLM."""
    framework, _ = scripted(call("harbour", input="When?"), "in 1070", "It was built in 1070.")
    llm = FrameworkLLM(framework=framework, context_window=4096)
    engine = SummaryIndex.from_documents(DOCUMENTS[:1]).as_query_engine(llm=llm)
    tool = QueryEngineTool.from_defaults(engine, name="harbour", description="About the harbour of Bergen.")
    assert str(await FunctionAgent(tools=[tool], llm=llm).run("When?")) == "It was built in 1070."


async def test_cancelling_an_agent_stops_the_engine(scripted: Make) -> None:
    """A cancelled run leaves no request behind, and its error is the host's."""
    gate = Gate()
    framework, backend = scripted(["one", gate, "two"])
    handler = FunctionAgent(tools=[add], llm=FrameworkLLM(framework=framework)).run("hi")
    await gate.reached()
    await handler.cancel_run()
    with pytest.raises(WorkflowCancelledByUser):
        await handler
    for _ in range(1000):
        await asyncio.sleep(0.001 * bool(backend.active))
    assert (backend.active, framework.get_performance_stats()["active_requests"]) == (0, 0)


# ------------------------------------------------------------------------------------------------------ query engines
@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize", "simple_summarize", "accumulate"])
async def test_response_modes(scripted: Make, mode: Any) -> None:
    """Each way to make one answer of several passages asks this LLM, with the passages and the question."""
    framework, backend = scripted("In 1070.")
    index = SummaryIndex.from_documents(DOCUMENTS)
    engine = index.as_query_engine(llm=FrameworkLLM(framework=framework, context_window=4096), response_mode=mode)
    assert "In 1070." in str(engine.query("When was the harbour built?"))
    assert "In 1070." in str(await engine.aquery("When was the harbour built?"))
    asked = " ".join(message.text for request in backend.requests for message in request.messages)
    assert "built in 1070" in asked
    assert "When was the harbour built?" in asked


def test_keyword_retrieval(scripted: Make) -> None:
    """A keyword table finds the passage, and only that is put before the LLM."""
    framework, backend = scripted("12 euros")
    llm = FrameworkLLM(framework=framework, context_window=4096)
    engine = SimpleKeywordTableIndex.from_documents(DOCUMENTS, llm=llm).as_query_engine(llm=llm)
    assert str(engine.query("How much does a museum ticket cost?")) == "12 euros"
    asked = backend.requests[0].messages[-1].text
    assert "12 euros" in asked
    assert "Bergen" not in asked


def test_bm25_retrieval(scripted: Make) -> None:
    """BM25 finds the passage, and only that is put before the LLM."""
    framework, backend = scripted("12 euros")
    nodes = [TextNode(text=document.text) for document in DOCUMENTS]
    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=1)
    engine = RetrieverQueryEngine.from_args(retriever, llm=FrameworkLLM(framework=framework, context_window=4096))
    assert str(engine.query("How much does a museum ticket cost?")) == "12 euros"
    asked = backend.requests[0].messages[-1].text
    assert "12 euros" in asked
    assert "Bergen" not in asked


@pytest.mark.parametrize("mode", ["compact", "tree_summarize"])
async def test_a_query_engine_with_a_form(scripted: Make, mode: Any) -> None:
    """A query engine with `output_cls` answers with an instance, asking the backend for JSON of that form."""
    framework, backend = scripted(ANN)
    engine = SummaryIndex.from_documents(DOCUMENTS).as_query_engine(
        llm=FrameworkLLM(framework=framework, context_window=4096), output_cls=Person, response_mode=mode
    )
    for answer in (engine.query("Who?"), await engine.aquery("Who?")):
        assert answer.response == Person(name="Ann", age=5)  # type: ignore[union-attr]
    assert all(request.response_format is not None for request in backend.requests)


async def test_as_structured_llm(scripted: Make) -> None:
    """A structured LLM answers chats and completions with instances, streamed too."""
    framework, _ = scripted(ANN)
    llm = FrameworkLLM(framework=framework).as_structured_llm(Person)
    ann = Person(name="Ann", age=5)
    message = [ChatMessage(role="user", content="who?")]
    assert llm.complete("who?").raw == llm.chat(message).raw == (await llm.achat(message)).raw == ann
    assert list(llm.stream_chat(message))[-1].raw == ann
    assert [response async for response in await llm.astream_chat(message)][-1].raw == ann


def test_streamed_queries_and_the_default_llm(scripted: Make, settings: Any) -> None:
    """With `Settings.llm` every engine uses this LLM, and a streamed query shows the pieces."""
    framework, _ = scripted("It is blue.")
    settings.llm = FrameworkLLM(framework=framework, context_window=4096)
    engine = SummaryIndex.from_documents(DOCUMENTS).as_query_engine(streaming=True)
    assert list(engine.query("Which colour?").response_gen) == ["It", " is", " blue.", ""]  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------------------- chat engines
async def test_chat_engines_remember(scripted: Make) -> None:
    """Chat engines keep what was said, blocking, asynchronous and streamed, until they are reset."""
    framework, backend = scripted("Hello Ann.", "Ann.", "Ann again.")
    memory = ChatMemoryBuffer.from_defaults(token_limit=1000)
    engine = SimpleChatEngine.from_defaults(llm=FrameworkLLM(framework=framework, context_window=4096), memory=memory)
    assert str(engine.chat("I am Ann.")) == "Hello Ann."
    assert str(await engine.achat("Who am I?")) == "Ann."
    assert [message.text for message in backend.requests[1].messages] == ["I am Ann.", "Hello Ann.", "Who am I?"]
    assert "".join(engine.stream_chat("And now?").response_gen) == "Ann again."
    astream = await engine.astream_chat("And then?")
    assert "".join([piece async for piece in astream.async_response_gen()]) == "Hello Ann."
    engine.reset()
    engine.chat("hi")
    assert len(backend.requests[-1].messages) == 1


async def test_condensed_questions(scripted: Make) -> None:
    """The condensing engine has the LLM restate a follow-up question before it looks for passages."""
    framework, backend = scripted("In 1070.", "How much is a museum ticket?", "12 euros")
    llm = FrameworkLLM(framework=framework, context_window=4096)
    index = SimpleKeywordTableIndex.from_documents(DOCUMENTS, llm=llm)
    engine = CondensePlusContextChatEngine.from_defaults(retriever=index.as_retriever(), llm=llm)
    assert str(await engine.achat("When was the harbour built?")) == "In 1070."
    assert str(await engine.achat("And the ticket?")) == "12 euros"
    assert "12 euros" in " ".join(message.text for message in backend.requests[2].messages)


# --------------------------------------------------------------------------------------------- handlers, limits, parts
class Events(BaseEventHandler):
    """Collects instrumentation events."""

    events: list[Any] = Field(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Events"

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.events.append(event)


@pytest.fixture
def events() -> Iterator[list[Any]]:
    handler = Events()
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(handler)
    yield handler.events
    dispatcher.event_handlers.remove(handler)


async def test_one_pair_of_instrumentation_events(scripted: Make, events: list[Any]) -> None:
    """Each of the eight ways to ask is one start and one end, and the end holds the answer."""
    framework, _ = scripted("one two")
    llm = FrameworkLLM(framework=framework)
    message = [ChatMessage(role="user", content="hi")]
    asked: list[Callable[[], Any]] = [
        lambda: llm.complete("hi"), lambda: llm.chat(message),
        lambda: list(llm.stream_complete("hi")), lambda: list(llm.stream_chat(message)),
    ]  # fmt: skip
    for ask in asked:
        ask()
    await llm.acomplete("hi")
    await llm.achat(message)
    [r async for r in await llm.astream_complete("hi")]
    [r async for r in await llm.astream_chat(message)]
    names = [event.class_name() for event in events]
    for kind in ("LLMChat", "LLMCompletion"):
        assert (names.count(f"{kind}StartEvent"), names.count(f"{kind}EndEvent")) == (4, 4)
    ends = [event.response for event in events if event.class_name() == "LLMChatEndEvent"]
    assert [end.message.content for end in ends] == ["one two"] * 4


def test_events_of_errors(scripted: Make, events: list[Any]) -> None:
    """A failed call leaves an exception event, or a start without an end, but never a second start."""
    framework, _ = scripted(errors.RateLimitError("slow down"))
    with pytest.raises(errors.RateLimitError):
        FrameworkLLM(framework=framework).chat([ChatMessage(role="user", content="hi")])
    names = [event.class_name() for event in events]
    assert names.count("LLMChatStartEvent") == 1
    assert "LLMChatEndEvent" not in names


def test_tokens_of_a_query_are_counted(scripted: Make, settings: Any) -> None:
    """The counting handler in the settings counts what the backend counted, over a whole query."""
    framework, backend = scripted("It is blue.")
    counter = TokenCountingHandler(tokenizer=lambda text: ["never"] * 1000)
    settings.callback_manager = CallbackManager([counter])
    llm = FrameworkLLM(framework=framework, context_window=4096)
    SummaryIndex.from_documents(DOCUMENTS).as_query_engine(llm=llm).query("Which colour?")
    words = sum(len(message.text.split()) for request in backend.requests for message in request.messages)
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (words, 3 * len(backend.requests))


async def test_llama_indexs_rate_limiter(scripted: Make) -> None:
    """LlamaIndex's rate limiter is asked before each call."""
    taken: list[int] = []

    class Counting(TokenBucketRateLimiter):
        def acquire(self, num_tokens: int = 0) -> None:
            taken.append(num_tokens)

        async def async_acquire(self, num_tokens: int = 0) -> None:
            taken.append(num_tokens)

    framework, _ = scripted("ok")
    llm = FrameworkLLM(framework=framework, rate_limiter=Counting(requests_per_minute=60))
    llm.complete("hi")
    await llm.achat([ChatMessage(role="user", content="hi")])
    assert len(taken) == 2


def test_images_reach_the_messages(scripted: Make) -> None:
    """Image blocks come to the backend with their bytes or address, beside the text, in their order."""
    framework, backend = scripted("a dot")
    blocks = [
        TextBlock(text="what is"),
        ImageBlock(image=PIXEL, image_mimetype="image/png"),
        ImageBlock(url="https://example.com/a.png"),
        TextBlock(text="this?"),
    ]
    FrameworkLLM(framework=framework).chat([ChatMessage(role="user", blocks=blocks)])
    parts = backend.requests[0].messages[0].parts
    assert [type(part).__name__ for part in parts] == ["TextPart", "ImagePart", "ImagePart", "TextPart"]
    assert (parts[1].data, parts[1].media_type) == (PIXEL, "image/png")
    assert isinstance(parts[2], ImagePart)
    assert parts[2].url == "https://example.com/a.png"


def test_thinking_goes_back_with_the_history(scripted: Make) -> None:
    """An answer with reasoning and a call is taken as history, and the result finds its call's name."""
    framework, backend = scripted([Chunk(thinking="hm"), "wait", call()], "it is 7")
    llm = FrameworkLLM(framework=framework)
    question = ChatMessage(role="user", content="3 + 4?")
    answer = llm.chat_with_tools([FunctionTool.from_defaults(add)], chat_history=[question]).message
    assert [type(block).__name__ for block in answer.blocks] == ["ThinkingBlock", "TextBlock", "ToolCallBlock"]
    result = ChatMessage(role=MessageRole.TOOL, content="7", additional_kwargs={"tool_call_id": "c1"})
    assert llm.chat([question, answer, result]).message.content == "it is 7"
    history = backend.requests[1].messages
    assert [type(part).__name__ for part in history[1].parts] == ["ThinkingPart", "TextPart", "ToolCall"]
    assert history[2].tool_results[0].name == "add"


def test_pickled_messages_and_llms(scripted: Make) -> None:
    """Answers and LLMs go through pickle, as workflows and process pools need it."""
    framework, _ = scripted([Chunk(thinking="hm"), call()])
    llm = FrameworkLLM(framework=framework, temperature=0.5, api_key=None)
    response = llm.chat_with_tools([FunctionTool.from_defaults(add)], user_msg="3 + 4?")
    again = pickle.loads(pickle.dumps(response))
    assert again.message == response.message
    assert isinstance(again.message.blocks[-1], ToolCallBlock)
    assert pickle.loads(pickle.dumps(llm)).temperature == 0.5
