"""`FrameworkLLM`: what it sends, what it gives back, and how it fits into LlamaIndex."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, TextBlock, ToolCallBlock
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.core.types import PydanticProgramMode
from llama_index.core.utils import get_tokenizer
from pydantic import BaseModel, Field, SecretStr, ValidationError

from llama_index.llms.llm_framework import FrameworkLLM
from llm_framework import errors
from llm_framework.types import Chunk, ToolCall, Usage

Make = Callable[..., Any]
HELLO = [ChatMessage(role="user", content="hi")]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


ANN = '{"name": "Ann", "age": 5}'


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TOOL = FunctionTool.from_defaults(add)


async def test_eight_ways_to_ask_agree(scripted: Make) -> None:
    """complete, chat, their streams and the four asynchronous forms say the same and count the same."""
    framework, _ = scripted("one two three")
    llm = FrameworkLLM(framework=framework)
    whole = [llm.complete("hi"), llm.chat(HELLO), await llm.acomplete("hi"), await llm.achat(HELLO)]
    streams = [
        list(llm.stream_complete("hi")),
        list(llm.stream_chat(HELLO)),
        [r async for r in await llm.astream_complete("hi")],
        [r async for r in await llm.astream_chat(HELLO)],
    ]
    usage = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
    for response in [*whole, *(stream[-1] for stream in streams)]:
        assert str(response).removeprefix("assistant: ") == "one two three"
        assert response.raw["usage"] == response.additional_kwargs == usage
    for stream in streams:
        assert "".join(response.delta or "" for response in stream) == "one two three"
        assert [str(response).removeprefix("assistant: ") for response in stream][:2] == ["one", "one two"]


def test_options_reach_the_backend(scripted: Make) -> None:
    """Options given when the LLM is made hold for every call; those of a call go before them; others are refused."""
    framework, backend = scripted("a b c")
    llm = FrameworkLLM(framework=framework, temperature=0.5, max_tokens=7, stop=["x"], seed=3)
    llm.complete("hi", temperature=0)
    config = backend.requests[0].config
    assert (config.temperature, config.max_tokens, config.stop, config.seed) == (0, 7, ("x",), 3)
    with pytest.raises(errors.InvalidRequestError, match="temprature"):
        llm.complete("hi", temprature=0)
    with pytest.raises(ValidationError, match="temprature"):
        FrameworkLLM(temprature=0)


def test_metadata(scripted: Make) -> None:
    """LlamaIndex learns the model's real context window and answer length, and that it can call functions."""
    framework, _ = scripted("a")
    llm = FrameworkLLM.from_framework(framework)
    assert isinstance(llm, FunctionCallingLLM)
    metadata = llm.metadata
    assert (metadata.model_name, metadata.context_window, metadata.num_output) == ("scripted", 1000, 250)
    assert metadata.is_chat_model
    assert metadata.is_function_calling_model
    given = FrameworkLLM(framework=framework, context_window=50, max_tokens=5).metadata
    assert (given.context_window, given.num_output) == (50, 5)


def test_a_models_tokens_elsewhere_are_llama_indexs(scripted: Make) -> None:
    """A model whose tokenizer is not here has the tokenizer that LlamaIndex uses anyway."""
    framework, backend = scripted("a")
    tokenizer = FrameworkLLM(framework=framework).tokenizer
    assert tokenizer("one two") == get_tokenizer()("one two")
    assert backend.requests == []


def test_completion_to_prompt(scripted: Make) -> None:
    """A prompt is formatted once: not when the caller says that it has been."""
    framework, backend = scripted("a")
    llm = FrameworkLLM(framework=framework, completion_to_prompt=lambda text: f"<{text}>")
    llm.complete("hi")
    llm.complete("hi", formatted=True)
    assert [request.last_user_text for request in backend.requests] == ["<hi>", "hi"]


async def test_one_pair_of_events_each(scripted: Make) -> None:
    """Every way to ask is one pair of callback events, also complete, which asks as a chat underneath."""
    framework, _ = scripted("one two")
    debug = LlamaDebugHandler(print_trace_on_end=False)
    llm = FrameworkLLM(framework=framework, callback_manager=CallbackManager([debug]))
    llm.complete("hi")
    llm.chat(HELLO)
    list(llm.stream_complete("hi"))
    list(llm.stream_chat(HELLO))
    await llm.acomplete("hi")
    [r async for r in await llm.astream_chat(HELLO)]
    assert len(debug.get_event_pairs(CBEventType.LLM)) == 6
    assert all(len(pair) == 2 for pair in debug.get_event_pairs(CBEventType.LLM))


def test_token_counting(scripted: Make) -> None:
    """LlamaIndex's own counter takes the tokens that the backend counted."""
    framework, _ = scripted("one two three")
    counter = TokenCountingHandler(tokenizer=lambda text: ["never"] * 1000)
    llm = FrameworkLLM(framework=framework, callback_manager=CallbackManager([counter]))
    llm.complete("hi there")
    list(llm.stream_chat(HELLO))
    assert counter.prompt_llm_token_count == 3
    assert counter.completion_llm_token_count == 6


def test_shares_of_the_usage(scripted: Make) -> None:
    """What of the prompt was cached and what of the answer was reasoning stands in the raw usage, as OpenAI has it."""
    usage = Usage(50, 30, cached_tokens=20, reasoning_tokens=10)
    framework, _ = scripted([Chunk(text="ok"), Chunk(finish_reason="stop", usage=usage)])
    response = FrameworkLLM(framework=framework).chat(HELLO)
    assert response.additional_kwargs == {"prompt_tokens": 50, "completion_tokens": 30, "total_tokens": 80}
    assert response.raw["usage"] == {
        **response.additional_kwargs,
        "prompt_tokens_details": {"cached_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 10},
    }


class Events(BaseEventHandler):
    """Collects the names of instrumentation events."""

    names: list[str] = Field(default_factory=list)
    payloads: list[Any] = Field(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Events"

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.names.append(event.class_name())
        self.payloads.append(getattr(event, "model_dict", None))


def test_instrumentation_events_hold_no_secret(scripted: Make) -> None:
    """Instrumentation events tell the start, the pieces and the end of a call, and the model without its key."""
    framework, _ = scripted("one two")
    events = Events()
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(events)
    try:
        list(FrameworkLLM(framework=framework).stream_chat(HELLO))
    finally:
        dispatcher.event_handlers.remove(events)
    assert events.names == ["LLMChatStartEvent", *["LLMChatInProgressEvent"] * 3, "LLMChatEndEvent"]
    assert "key" not in str(events.payloads)


def test_thinking(scripted: Make) -> None:
    """Reasoning is a block of its own, and its pieces stand where agents look for them."""
    framework, _ = scripted([Chunk(thinking="h"), Chunk(thinking="m"), "ok"])
    responses = list(FrameworkLLM(framework=framework).stream_chat(HELLO))
    assert [r.additional_kwargs.get("thinking_delta") for r in responses[:3]] == ["h", "m", None]
    assert [block.block_type for block in responses[-1].message.blocks] == ["thinking", "text"]


# ---------------------------------------------------------------------------------------------------------- tools
def test_predict_and_call(scripted: Make) -> None:
    """The model's call is made, and its result is the answer."""
    framework, backend = scripted(ToolCall.create("add", {"a": 3, "b": 4}))
    response = FrameworkLLM(framework=framework).predict_and_call([TOOL], "3 + 4?")
    assert response.response == "7"
    assert backend.requests[0].tools[0].name == "add"
    assert set(backend.requests[0].tools[0].parameters["properties"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, "auto"),
        ({"tool_required": True}, "any"),
        ({"tool_choice": "required"}, "any"),
        ({"tool_choice": "add"}, "add"),
        ({"tool_choice": {"type": "function", "function": {"name": "add"}}}, "add"),
        ({"tool_choice": "none"}, "none"),
    ],
)
def test_tool_choice(scripted: Make, given: dict[str, Any], sent: str) -> None:
    """Each way in which LlamaIndex asks for a tool reaches the backend."""
    framework, backend = scripted("a")
    FrameworkLLM(framework=framework).chat_with_tools([TOOL], "hi", **given)
    assert backend.requests[0].tool_choice == sent


async def test_long_descriptions_and_strict(scripted: Make) -> None:
    """A tool may have a long description, also when it is given to chat, and OpenAI's `strict` is taken."""
    framework, backend = scripted(ToolCall.create("add", {"a": 3, "b": 4}))
    llm = FrameworkLLM(framework=framework)
    tool = FunctionTool.from_defaults(add, description="Add. " * 500)
    llm.chat_with_tools([tool], "hi", strict=True)
    await llm.achat(HELLO, tools=[tool])
    assert [len(request.tools[0].description) for request in backend.requests] == [2500, 2500]


def test_the_callers_history_is_not_changed(scripted: Make) -> None:
    """Preparing a chat with tools leaves the history that was passed as it was."""
    framework, backend = scripted("a")
    history = [ChatMessage(role="system", content="s")]
    FrameworkLLM(framework=framework).chat_with_tools([TOOL], "hi", chat_history=history)
    assert len(history) == 1
    assert len(backend.requests[0].messages) == 2


def test_one_call_unless_parallel(scripted: Make) -> None:
    """An answer keeps one call, whole and streamed, unless the caller allows more."""
    framework, backend = scripted([ToolCall.create("add", {"a": 1, "b": 1}), ToolCall.create("add", {"a": 2, "b": 2})])
    llm = FrameworkLLM(framework=framework)

    def num_calls(response: ChatResponse) -> int:
        return len(llm.get_tool_calls_from_response(response))

    assert num_calls(llm.chat_with_tools([TOOL], "hi")) == 1
    assert backend.requests[0].metadata["parallel_tool_calls"] is False  # for providers that can be told
    assert num_calls(list(llm.stream_chat_with_tools([TOOL], "hi"))[-1]) == 1
    assert num_calls(llm.chat_with_tools([TOOL], "hi", allow_parallel_tool_calls=True)) == 2
    assert num_calls(list(llm.stream_chat_with_tools([TOOL], "hi", allow_parallel_tool_calls=True))[-1]) == 2


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1, "b', {"a": 1}),
        ("", {}),
        ("nonsense", {}),
        ("[1]", {}),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ('{"a": "' + "x" * 5000, {"a": "x" * 5000}),
        ("nonsense" * 1000, {}),
    ],
)
def test_tool_calls_are_read_tolerantly(arguments: Any, read: dict[str, Any]) -> None:
    """Arguments that are still coming, or broken, are read as far as they go and never raise."""
    block = ToolCallBlock(tool_call_id="c", tool_name="add", tool_kwargs=arguments)
    response = ChatResponse(message=ChatMessage(role="assistant", blocks=[block]))
    [call] = FrameworkLLM().get_tool_calls_from_response(response)
    assert (call.tool_id, call.tool_name, call.tool_kwargs) == ("c", "add", read)


def test_an_answer_without_calls() -> None:
    """No call is an error only if the caller asked for one."""
    response = ChatResponse(message=ChatMessage(role="assistant", blocks=[TextBlock(text="x")]))
    assert FrameworkLLM().get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="call a tool"):
        FrameworkLLM().get_tool_calls_from_response(response)


@pytest.mark.parametrize("streaming", [True, False])
async def test_function_agent(scripted: Make, streaming: bool) -> None:
    """LlamaIndex's agent calls the tool and answers with what it returned, streamed and not."""
    framework, backend = scripted(ToolCall.create("add", {"a": 3, "b": 4}, "c1"), "it is 7")
    agent = FunctionAgent(tools=[add], llm=FrameworkLLM(framework=framework), streaming=streaming)
    assert str(await agent.run("3 + 4?")) == "it is 7"
    [result] = backend.requests[1].messages[-1].tool_results
    assert (result.call_id, result.name, result.text) == ("c1", "add", "7")


# ------------------------------------------------------------------------------------------------ structured output
async def test_structured_predict(scripted: Make) -> None:
    """All four ways ask for JSON of the class's form, streams included, and end with an instance."""
    framework, backend = scripted(ANN)
    llm = FrameworkLLM(framework=framework, system_prompt="Be brief.")
    prompt = PromptTemplate("Who is {who}?")
    ann = Person(name="Ann", age=5)
    assert llm.structured_predict(Person, prompt, who="she") == ann
    assert await llm.astructured_predict(Person, prompt, who="she") == ann
    assert list(llm.stream_structured_predict(Person, prompt, who="she"))[-1] == ann
    stream = await llm.astream_structured_predict(Person, prompt, llm_kwargs={"tool_choice": "any"}, who="she")
    assert [item async for item in stream][-1] == ann
    assert llm.as_structured_llm(Person).complete("Who is she?").raw == ann
    for request in backend.requests:
        assert request.response_format is not None
        assert set(request.response_format.schema["properties"]) == {"name", "age"}
        assert request.messages[0].text == "Be brief." or request.messages[0].role == "user"


def test_json_in_a_code_block(scripted: Make) -> None:
    """JSON that a model wrapped in a code block is JSON."""
    framework, _ = scripted(f"```json\n{ANN}\n```")
    person = FrameworkLLM(framework=framework).structured_predict(Person, PromptTemplate("who?"))
    assert person == Person(name="Ann", age=5)


def test_malformed_structure_is_an_error(scripted: Make) -> None:
    """An answer without the form asked for is our error, with the answer in it."""
    framework, _ = scripted("not json")
    with pytest.raises(errors.StructuredOutputError) as caught:
        FrameworkLLM(framework=framework).structured_predict(Person, PromptTemplate("who?"))
    assert caught.value.response.text == "not json"


class Trip(BaseModel):
    """A trip."""

    title: str
    days: int
    stops: list[Person] = Field(min_length=1)
    note: str | None


TRIP = (
    '{"title": "By the sea", "days": 2, "stops": [{"name": "Ann", "age": 5}, {"name": "Bo", "age": 7}], "note": null}'
)


@pytest.mark.parametrize("answer", [TRIP, f"```json\n{TRIP}\n```"])
async def test_streamed_objects_only_grow(scripted: Make, answer: str) -> None:
    """What is seen of an object while it comes is never taken back, and the last is a whole instance."""
    framework, _ = scripted([Chunk(thinking="hm"), answer])
    llm = FrameworkLLM(framework=framework)
    prompt = PromptTemplate("Which?")
    objects: list[Any] = list(llm.stream_structured_predict(Trip, prompt))
    stream = await llm.astream_structured_predict(Trip, prompt)
    assert [item.model_dump() async for item in stream] == [item.model_dump() for item in objects]
    assert objects[-1] == Trip.model_validate_json(TRIP)
    titles = [item.title or "" for item in objects]
    stops = [len(item.stops or ()) for item in objects]
    assert titles == sorted(titles, key=len)
    assert {"", "By", "By the", "By the sea"} == set(titles)
    assert stops == sorted(stops)
    assert set(stops) == {0, 1, 2}


async def test_streamed_objects_that_break_off(scripted: Make) -> None:
    """A stream of objects that ends before the object is whole is our error, not half an object."""
    framework, _ = scripted('{"name": "Ann"')
    llm = FrameworkLLM(framework=framework)
    with pytest.raises(errors.StructuredOutputError):
        list(llm.stream_structured_predict(Person, PromptTemplate("who?")))
    with pytest.raises(errors.StructuredOutputError):
        [item async for item in await llm.astream_structured_predict(Person, PromptTemplate("who?"))]


async def test_objects_by_function_calls(scripted: Make) -> None:
    """Where objects are to come as function calls, all four ways require the call."""
    framework, backend = scripted(ToolCall.create("Person", {"name": "Ann", "age": 5}))
    llm = FrameworkLLM(framework=framework, pydantic_program_mode=PydanticProgramMode.FUNCTION)
    prompt = PromptTemplate("who?")
    ann = Person(name="Ann", age=5)
    assert llm.structured_predict(Person, prompt) == await llm.astructured_predict(Person, prompt) == ann
    assert list(llm.stream_structured_predict(Person, prompt))[-1] == ann
    assert [item async for item in await llm.astream_structured_predict(Person, prompt)][-1] == ann
    assert [request.tool_choice for request in backend.requests] == ["any"] * 4


# ------------------------------------------------------------------------------------ construction, copies, secrets
def test_making_one_starts_nothing() -> None:
    """An LLM of a name that does not exist can be made: nothing is looked up before it is needed."""
    assert FrameworkLLM("nonesuch").model == "nonesuch"


def test_it_is_the_class_that_llama_index_expects() -> None:
    """The names that LlamaIndex's tools look for are among its bases."""
    names = [base.__name__ for base in FrameworkLLM.__mro__]
    assert {"BaseLLM", "LLM", "FunctionCallingLLM"} <= set(names)
    assert issubclass(FrameworkLLM, LLM)
    assert FrameworkLLM.class_name() == "FrameworkLLM"


def test_secrets_are_hidden() -> None:
    """The key is in no representation, dump or pickle, and still in the LLM and its copies."""
    llm = FrameworkLLM("openai:gpt", api_key="sekrit-key", base_url="http://a.b")
    shown = (repr(llm), str(llm), str(llm.to_dict()), llm.to_json(), str(pickle.dumps(llm)))
    assert not any("sekrit" in text for text in shown)
    assert [one.api_key for one in (llm, copy.deepcopy(llm))] == [SecretStr("sekrit-key")] * 2
    with_password = FrameworkLLM("openai:gpt", base_url="http://user:sekrit-word@a.b")
    assert "sekrit" not in repr(with_password) + with_password.to_json()


def test_copies_and_files(scripted: Make) -> None:
    """Copies share the framework; pickles and dicts keep the options."""
    framework, _ = scripted("ok")
    llm = FrameworkLLM(framework=framework, temperature=0.5, stop=["x"])
    for copied in (copy.copy(llm), copy.deepcopy(llm), llm.model_copy()):
        assert str(copied.complete("hi")) == "ok"
    for again in (pickle.loads(pickle.dumps(llm)), FrameworkLLM.from_dict(llm.to_dict())):
        assert (again.temperature, again.stop, again.framework) == (0.5, ["x"], None)


async def test_errors_are_ours_from_every_method(scripted: Make) -> None:
    """Each way to ask raises the typed error of the framework."""
    framework, _ = scripted(errors.RateLimitError("slow down", retry_after=1))
    llm = FrameworkLLM(framework=framework)
    with pytest.raises(errors.RateLimitError):
        llm.complete("hi")
    with pytest.raises(errors.RateLimitError):
        list(llm.stream_chat(HELLO))
    with pytest.raises(errors.RateLimitError):
        await llm.achat(HELLO)
    with pytest.raises(errors.RateLimitError):
        [r async for r in await llm.astream_complete("hi")]


# ------------------------------------------------------------------------------------------------ agents and engines
async def test_react_agent(scripted: Make) -> None:
    """The agent that reasons in text rather than in calls works too."""
    first = 'Thought: I need a tool.\nAction: add\nAction Input: {"a": 3, "b": 4}'
    framework, backend = scripted(first, "Thought: I can answer.\nAnswer: it is 7")
    agent = ReActAgent(tools=[add], llm=FrameworkLLM(framework=framework))
    assert str(await agent.run("3 + 4?")) == "it is 7"
    assert "7" in backend.requests[1].messages[-1].text


async def test_agents_stream(scripted: Make) -> None:
    """An agent's event stream shows the pieces of the answer and the call."""
    framework, _ = scripted(ToolCall.create("add", {"a": 3, "b": 4}, "c1"), [Chunk(thinking="hm"), "it is 7"])
    handler = FunctionAgent(tools=[add], llm=FrameworkLLM(framework=framework)).run("3 + 4?")
    events = [event async for event in handler.stream_events() if isinstance(event, AgentStream)]
    await handler
    assert "".join(event.delta for event in events) == "it is 7"
    assert [event.thinking_delta for event in events if event.thinking_delta] == ["hm"]
    assert any(call.tool_kwargs == {"a": 3, "b": 4} for event in events for call in event.tool_calls)


async def test_engines(scripted: Make) -> None:
    """Query and chat engines ask this LLM: whole, streamed from a worker thread, and asynchronously."""
    framework, _ = scripted("It is blue.")
    llm = FrameworkLLM(framework=framework, context_window=4096)
    index = VectorStoreIndex.from_documents([Document(text="The sky is blue.")], embed_model=MockEmbedding(embed_dim=4))
    assert str(index.as_query_engine(llm=llm).query("Which colour?")) == "It is blue."
    assert "".join(index.as_query_engine(llm=llm, streaming=True).query("Which colour?").response_gen) == "It is blue."
    assert str(await index.as_query_engine(llm=llm).aquery("Which colour?")) == "It is blue."
    chat = index.as_chat_engine(llm=llm, chat_mode="context")
    assert "".join(chat.stream_chat("Which colour?").response_gen) == "It is blue."
    assert str(await chat.achat("And now?")) == "It is blue."
