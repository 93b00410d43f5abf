"""`FrameworkChatModel`: what it sends, what it gives back, and how it fits into LangChain."""

from __future__ import annotations

import copy
import pickle
import typing
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core import exceptions
from langchain_core.caches import InMemoryCache
from langchain_core.exceptions import OutputParserException
from langchain_core.load import dumps, loads
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)
from langchain_core.runnables import ConfigurableField, Runnable
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.v1 import BaseModel as V1BaseModel
from typing_extensions import TypedDict

from langchain_llm_framework import FrameworkChatModel
from langchain_llm_framework.errors import translate
from llm_framework import errors
from llm_framework.types import Chunk, ResponseFormat, ThinkingPart, ToolCall, ToolSpec

Make = Callable[..., Any]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


class OldPerson(V1BaseModel):
    """A person."""

    name: str
    age: int


class PersonDict(TypedDict):
    """A person."""

    name: str
    age: int


ANN = '{"name": "Ann", "age": 5}'
PERSON_SCHEMA = {
    "title": "Person",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


# ------------------------------------------------------------------------------------------------------- the call
def test_options_reach_the_backend(scripted: Make) -> None:
    """Options given when the model is made hold for every call; those of a call go before them."""
    framework, backend = scripted("a b c")
    model = FrameworkChatModel(framework=framework, temperature=0.5, max_tokens=7, stop="x", seed=3)
    model.invoke("hi", temperature=0, stop=["y"])
    config = backend.requests[0].config
    assert (config.temperature, config.max_tokens, config.stop, config.seed) == (0, 7, ("y",), 3)


def test_unknown_options_are_refused(scripted: Make) -> None:
    """A misspelt option is an error, when the model is made and in a call."""
    framework, _ = scripted("a")
    with pytest.raises(ValidationError, match="temprature"):
        FrameworkChatModel(temprature=0)
    with pytest.raises(errors.InvalidRequestError, match="temprature"):
        FrameworkChatModel(framework=framework).invoke("hi", temprature=0)


def test_model_names(scripted: Make) -> None:
    """The name may come first, by keyword, under the agents' name, or with a call; and traces say which it was."""
    framework, _ = scripted("a")
    for model in (FrameworkChatModel("m"), FrameworkChatModel(model="m"), FrameworkChatModel(model_name="m")):
        assert model.model == model.model_name == "m"
    model = FrameworkChatModel("nonesuch", framework=framework)
    assert model.invoke("hi", model="scripted").response_metadata["model_name"] == "scripted"
    params = FrameworkChatModel("openai:gpt-5")._get_ls_params()
    assert (params["ls_provider"], params["ls_model_name"]) == ("openai", "gpt-5")


def test_stream_flag_is_no_option_of_the_model(scripted: Make) -> None:
    """`invoke(..., stream=True)`, which LangChain passes on, streams and says the same."""
    framework, _ = scripted("a b")
    assert FrameworkChatModel(framework=framework).invoke("hi", stream=True).text == "a b"


def test_no_empty_chunk_comes_first(scripted: Make) -> None:
    """A chunk with nothing to show is not passed on: LangChain's fallbacks settle on the first one."""
    framework, _ = scripted([Chunk(), "a b"])
    chunks = list(FrameworkChatModel(framework=framework).stream("hi"))
    assert [chunk.text for chunk in chunks] == ["a", " b", ""]
    assert [chunk.chunk_position for chunk in chunks] == [None, None, "last"]
    assert len({chunk.id for chunk in chunks}) == 1


def test_reasoning(scripted: Make) -> None:
    """Reasoning stands in its own standard block, streamed and whole, and goes back with the history."""
    framework, backend = scripted([Chunk(thinking="h"), Chunk(thinking="m"), "ok"])
    model = FrameworkChatModel(framework=framework)
    answer = model.invoke("hi")
    assert answer.content_blocks == [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "ok"}]
    chunks = list(model.stream("hi"))
    added = chunks[0] + chunks[1:]
    assert added.content_blocks == answer.content_blocks
    model.invoke([HumanMessage("hi"), answer, HumanMessage("go on")])
    assert backend.requests[-1].messages[1].parts[0] == ThinkingPart("hm")
    v1 = FrameworkChatModel(framework=framework, output_version="v1").invoke("hi")
    assert [block["type"] for block in v1.content] == ["reasoning", "text"]  # type: ignore[index]


def test_fallback_models_are_reported(scripted: Make) -> None:
    """A model that fails is followed by the fallback, and the answer tells who gave it and what failed."""
    framework, _ = scripted("from the fallback")
    model = FrameworkChatModel("nonesuch", framework=framework, fallbacks=["scripted"])
    answer = model.invoke("hi")
    assert answer.text == "from the fallback"
    assert [attempt["model"] for attempt in answer.response_metadata["attempts"]] == ["nonesuch", "scripted"]


# ---------------------------------------------------------------------------------------------------------- tools
@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, None),
        (False, None),
        ("auto", "auto"),
        ("none", "none"),
        ("any", "any"),
        ("required", "any"),
        (True, "any"),
        ("add", "add"),
        ({"type": "function", "function": {"name": "add"}}, "add"),
        ({"type": "tool", "name": "add"}, "add"),
        ({"type": "any"}, "any"),
    ],
)
def test_tool_choice_in_every_form(scripted: Make, choice: Any, sent: str | None) -> None:
    """Each way in which LangChain's users write a tool choice means the same to the backend."""
    framework, backend = scripted(ToolCall.create("add", {"a": 1, "b": 2}))
    FrameworkChatModel(framework=framework).bind_tools([add], tool_choice=choice).invoke("hi")
    assert backend.requests[0].tool_choice in ((None, "auto") if sent is None else (sent,))


def test_tool_choice_of_a_call(scripted: Make) -> None:
    """A tool choice given with a call is understood in the same ways, and goes before the bound one."""
    framework, backend = scripted("ok")
    model = FrameworkChatModel(framework=framework)
    model.invoke("hi", tools=[add], tool_choice="required")
    bound = model.bind_tools([add], tool_choice="any")
    for choice in ({"type": "function", "function": {"name": "add"}}, False):
        bound.invoke("hi", tool_choice=choice)
    assert [request.tool_choice for request in backend.requests] == ["any", "add", None]


def test_unknown_tool_choice(scripted: Make) -> None:
    """A tool choice that names no tool is refused when it is bound."""
    with pytest.raises(errors.InvalidRequestError, match="subtract"):
        FrameworkChatModel(framework=scripted("a").framework).bind_tools([add], tool_choice="subtract")


def test_tools_in_every_form(scripted: Make) -> None:
    """Functions, pydantic classes, LangChain tools and dicts become the same kind of tool."""
    framework, backend = scripted("ok")

    def subtract(a: int, b: int) -> int:
        """Subtract two numbers."""
        return a - b

    schema = {
        "title": "multiply",
        "description": "Multiply.",
        "type": "object",
        "properties": {"a": {"type": "number"}},
    }
    openai = {"type": "function", "function": {"name": "halve", "description": "Halve."}}
    tools = [add, subtract, Person, schema, openai]
    FrameworkChatModel(framework=framework).bind_tools(tools, strict=True, parallel_tool_calls=True).invoke("hi")
    sent = backend.requests[0].tools
    assert [spec.name for spec in sent] == ["add", "subtract", "Person", "multiply", "halve"]
    assert all(isinstance(spec, ToolSpec) and spec.description for spec in sent)
    assert set(sent[0].parameters["properties"]) == {"a", "b"}
    assert sent[-1].parameters == {"type": "object", "properties": {}}


def test_a_providers_own_tool_is_refused(scripted: Make) -> None:
    """A tool that one provider runs itself cannot be promised by every model."""
    with pytest.raises(errors.UnsupportedFeatureError, match="web_search"):
        FrameworkChatModel(framework=scripted("a").framework).bind_tools([{"type": "web_search"}])


def test_tool_calls_whole_and_streamed(scripted: Make) -> None:
    """Calls are parsed, broken ones reported as invalid, and streamed pieces add up to the same."""
    good = ToolCall.create("add", {"a": 1, "b": 2}, "c1")
    framework, _ = scripted([good, ToolCall.from_raw("c2", "add", "a = 1")])
    model = FrameworkChatModel(framework=framework).bind_tools([add])
    answer = model.invoke("hi")
    assert [(call["name"], call["args"], call["id"]) for call in answer.tool_calls] == [("add", {"a": 1, "b": 2}, "c1")]
    assert [call["id"] for call in answer.invalid_tool_calls] == ["c2"]
    assert answer.response_metadata["finish_reason"] == "tool_calls"
    chunks = list(model.stream("hi"))
    added = chunks[0] + chunks[1:]
    assert isinstance(added, AIMessageChunk)
    assert [call["index"] for call in added.tool_call_chunks] == [0, 1]
    assert added.tool_calls == answer.tool_calls
    assert added.usage_metadata == answer.usage_metadata


BROKEN = [
    '{"a": 3',
    '{"a": 3, "b": "x',
    '{"a": "x\\',
    '{"a": [1, 2',
    '{"a": [1], "b": ["x',
    '{"a": 1} and so on',
    '{"a": ',
    "a = 1",
    "[1]",
]


@pytest.mark.parametrize("arguments", BROKEN)
async def test_a_broken_call_is_not_repaired(scripted: Make, arguments: str) -> None:
    """A call that was cut off is invalid streamed too: LangChain would complete it, and an agent act on half of it."""
    good = ToolCall.create("add", {"a": 1, "b": 2}, "c1")
    framework, _ = scripted([good, ToolCall.from_raw("c2", "add", arguments)])
    model = FrameworkChatModel(framework=framework)
    chunks = [chunk async for chunk in model.astream("hi")]
    streamed = FrameworkChatModel(framework=framework, streaming=True).invoke("hi")
    events = model.stream_events("hi", version="v3").output
    for answer in (model.invoke("hi"), chunks[0] + chunks[1:], streamed, events):
        assert isinstance(answer, AIMessage)
        assert [call["id"] for call in answer.tool_calls] == ["c1"]
        assert [call["id"] for call in answer.invalid_tool_calls] == ["c2"]
        assert str(answer.invalid_tool_calls[0]["args"]).startswith(arguments)


def test_one_tool_call_at_a_time(scripted: Make) -> None:
    """With `parallel_tool_calls=False` an answer has one call at most, streamed too."""
    framework, backend = scripted([ToolCall.create("add", {"a": 1}, "c1"), ToolCall.create("add", {"a": 2}, "c2")])
    model = FrameworkChatModel(framework=framework).bind_tools([add], parallel_tool_calls=False)
    assert len(model.invoke("hi").tool_calls) == 1
    assert backend.requests[0].metadata["parallel_tool_calls"] is False  # for providers that can be told
    assert sum(len(chunk.tool_call_chunks) for chunk in model.stream("hi")) == 1  # type: ignore[attr-defined]
    framework, _ = scripted([ToolCall.create("add", {"a": 1}, "c1"), ToolCall.from_raw("c2", "add", '{"a": 2')])
    model = FrameworkChatModel(framework=framework).bind_tools([add], parallel_tool_calls=False)
    chunks = list(model.stream("hi"))
    assert not any(answer.invalid_tool_calls for answer in (model.invoke("hi"), chunks[0] + chunks[1:]))  # type: ignore[attr-defined]


@pytest.mark.parametrize("strategy", [ProviderStrategy, ToolStrategy, lambda schema: schema])
def test_agent_with_structured_answer(scripted: Make, strategy: Any) -> None:
    """An agent with tools and a response format ends with an instance of it, whichever way LangChain asks."""
    call = ToolCall.create("add", {"a": 1, "b": 2}, "c1")
    last: Any = ToolCall.create("Person", {"name": "Ann", "age": 5}, "c2") if strategy is ToolStrategy else ANN
    framework, backend = scripted(call, last)
    agent = create_agent(FrameworkChatModel(framework=framework), tools=[add], response_format=strategy(Person))
    state = agent.invoke({"messages": [("user", "who?")]})
    assert state["structured_response"] == Person(name="Ann", age=5)
    assert "3" in [result.text for m in backend.requests[1].messages for result in m.tool_results]


# ------------------------------------------------------------------------------------------------ structured output
@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (Person, Person(name="Ann", age=5)),
        (PersonDict, {"name": "Ann", "age": 5}),
        (PERSON_SCHEMA, {"name": "Ann", "age": 5}),
    ],
)
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
async def test_structured_output(scripted: Make, schema: Any, expected: Any, method: Any) -> None:
    """Each method gives an instance of a pydantic class, and a dict for other schemas; the backend sees the form."""
    calls = ToolCall.create("PersonDict" if schema is PersonDict else "Person", {"name": "Ann", "age": 5})
    framework, backend = scripted(calls if method == "function_calling" else ANN)
    model = FrameworkChatModel(framework=framework).with_structured_output(schema, method=method)
    assert model.invoke("who?") == expected
    assert await model.ainvoke("who?") == expected
    assert list(model.stream("who?"))[-1] == expected
    request = backend.requests[0]
    if method == "function_calling":
        assert request.tool_choice == request.tools[0].name
    else:
        assert isinstance(request.response_format, ResponseFormat)
        assert set(request.response_format.schema["properties"]) == {"name", "age"}  # type: ignore[index]


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_of_pydantic_v1(scripted: Make, method: Any) -> None:
    """A class of pydantic's version 1 is taken like one of version 2."""
    call = ToolCall.create("OldPerson", {"name": "Ann", "age": 5})
    framework, _ = scripted(call if method == "function_calling" else ANN)
    model = FrameworkChatModel(framework=framework).with_structured_output(OldPerson, method=method)
    assert model.invoke("who?") == OldPerson(name="Ann", age=5)


@pytest.mark.parametrize("text", ["not json", '{"name": "Ann"}', '{"name": "Ann", "age": 3', ANN + "}"])
def test_malformed_output_is_the_parsers_to_report(scripted: Make, text: str) -> None:
    """Malformed output raises LangChain's parsing error, or is given back with it when the raw answer is asked for."""
    framework, _ = scripted(text)
    model = FrameworkChatModel(framework=framework)
    with pytest.raises(OutputParserException):
        model.with_structured_output(Person).invoke("who?")
    result = model.with_structured_output(Person, include_raw=True).invoke("who?")
    assert isinstance(result, dict)
    assert result["raw"].text == text
    assert result["raw"].response_metadata["model_name"] == "scripted"
    assert result["parsed"] is None
    assert isinstance(result["parsing_error"], OutputParserException)
    streamed = list(model.bind(response_format=PERSON_SCHEMA).stream("who?"))
    assert "".join(chunk.text for chunk in streamed) == text
    assert streamed[-1].chunk_position == "last"


@pytest.mark.parametrize("schema", [Person, PERSON_SCHEMA])
async def test_a_stream_of_json_is_checked_at_its_end(scripted: Make, schema: Any) -> None:
    """A stream shows what can be read so far, and raises at its end if the whole is no JSON of that form."""
    framework, _ = scripted('{"name": "Ann", "age": 3')
    model = FrameworkChatModel(framework=framework).with_structured_output(schema)
    stream = model.stream("who?")
    assert next(stream) is not None
    with pytest.raises(OutputParserException):
        list(stream)
    with pytest.raises(OutputParserException):
        [value async for value in model.astream("who?")]


@pytest.mark.parametrize("schema", [Person, PERSON_SCHEMA])
def test_a_broken_call_is_no_missing_call(scripted: Make, schema: Any) -> None:
    """A call whose arguments cannot be read raises; no call at all is None, as LangChain has it."""
    framework, _ = scripted(ToolCall.from_raw("c", "Person", "name = Ann"), "no call")
    model = FrameworkChatModel(framework=framework).with_structured_output(schema, method="function_calling")
    with pytest.raises(OutputParserException, match="Person"):
        model.invoke("who?")
    assert model.invoke("who?") is None


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_a_malformed_stream_beside_its_raw_answer(scripted: Make, method: Any) -> None:
    """With the raw answer asked for, a stream that ends malformed does not raise: it gives what came, and the error."""
    cut = '{"name": "Ann", "age": 3'
    answer = cut if method == "json_schema" else ToolCall.from_raw("c", "Person", cut)
    framework, _ = scripted(answer)
    chain = FrameworkChatModel(framework=framework).with_structured_output(Person, method=method, include_raw=True)
    for pieces in (list(chain.stream("who?")), [piece async for piece in chain.astream("who?")]):
        whole: Any = {key: value for piece in pieces for key, value in dict(piece).items()}
        assert (whole["parsed"], type(whole["parsing_error"])) == (None, OutputParserException)
        assert any("raw" in piece for piece in pieces)


@pytest.mark.parametrize("schema", [Person, PERSON_SCHEMA])
async def test_a_stream_of_calls_is_checked_at_its_end(scripted: Make, schema: Any) -> None:
    """By function calling too a stream raises at its end where the call was cut off, and shows a whole one."""
    cut = ToolCall.from_raw("c", "Person", '{"name": "Ann", "age": 3')
    whole = ToolCall.create("Person", {"name": "Ann", "age": 31}, "c")
    framework, _ = scripted(cut, cut, whole, "no call")
    chain = FrameworkChatModel(framework=framework).with_structured_output(schema, method="function_calling")
    with pytest.raises(OutputParserException):
        list(chain.stream("who?"))
    with pytest.raises(OutputParserException):
        [value async for value in chain.astream("who?")]
    last = list(chain.stream("who?"))[-1]
    assert (last if isinstance(last, dict) else last.model_dump()) == {"name": "Ann", "age": 31}
    assert list(chain.stream("who?")) == []


def test_a_call_instead_of_the_form(scripted: Make) -> None:
    """Where tools stand beside the form and the model calls one, there is nothing parsed and no error."""
    framework, _ = scripted(ToolCall.create("add", {"a": 1, "b": 2}))
    model = FrameworkChatModel(framework=framework).with_structured_output(Person, tools=[add], include_raw=True)
    result = model.invoke("who?")
    assert isinstance(result, dict)
    assert (result["parsed"], result["parsing_error"]) == (None, None)
    assert result["raw"].tool_calls[0]["name"] == "add"
    plain = FrameworkChatModel(framework=framework).with_structured_output(Person, tools=[add])
    assert list(plain.stream("who?")) == []


@pytest.mark.parametrize("schema", [Person, PersonDict])
def test_another_tool_beside_the_forms_own(scripted: Make, schema: Any) -> None:
    """By function calling too the model may call another tool instead: nothing is parsed then, and that is no error."""
    other = ToolCall.create("add", {"a": 1, "b": 2}, "c1")
    framework, _ = scripted(other, other, other, [other, ToolCall.create(schema.__name__, {"name": "Ann", "age": 5})])
    model = FrameworkChatModel(framework=framework)
    chain = model.with_structured_output(schema, method="function_calling", tools=[add])
    assert chain.invoke("hi") is None
    raw = model.with_structured_output(schema, method="function_calling", tools=[add], include_raw=True).invoke("hi")
    assert (raw["parsed"], raw["parsing_error"], raw["raw"].tool_calls[0]["name"]) == (None, None, "add")
    assert not any(chain.stream("hi"))
    assert chain.invoke("hi") == schema(name="Ann", age=5)


def test_structured_output_beside_tools(scripted: Make) -> None:
    """Tools and a form may be asked for at once; the answer is then the form, or a call."""
    framework, backend = scripted(ANN)
    model = FrameworkChatModel(framework=framework).with_structured_output(Person, tools=[add], include_raw=True)
    result = model.invoke("who?")
    assert isinstance(result, dict)
    assert result["parsed"] == Person(name="Ann", age=5)
    assert backend.requests[0].tools[0].name == "add"
    assert backend.requests[0].response_format is not None


def test_json_mode_without_a_schema(scripted: Make) -> None:
    """JSON mode alone gives whatever object the model wrote."""
    framework, _ = scripted('{"x": [1]}')
    assert FrameworkChatModel(framework=framework).with_structured_output(method="json_mode").invoke("?") == {"x": [1]}


def test_structured_output_needs_a_known_method_and_a_schema() -> None:
    """A method that does not exist, or lacks its schema, is refused at once."""
    with pytest.raises(ValueError, match="xml"):
        FrameworkChatModel().with_structured_output(Person, method="xml")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="schema"):
        FrameworkChatModel().with_structured_output()
    for method in ("json_schema", "function_calling"):
        with pytest.raises(errors.InvalidRequestError, match="TypedDict"):
            FrameworkChatModel().with_structured_output(list[Person], method=method)  # type: ignore[arg-type]


def test_a_schema_without_a_title(scripted: Make) -> None:
    """A JSON schema needs no name of its own, by function calling either."""
    schema = {key: value for key, value in PERSON_SCHEMA.items() if key != "title"}
    framework, backend = scripted(ToolCall.create("answer", {"name": "Ann", "age": 5}, "c1"))
    chain = FrameworkChatModel(framework=framework).with_structured_output(schema, method="function_calling")
    assert chain.invoke("hi") == {"name": "Ann", "age": 5}
    assert backend.requests[0].tool_choice == "answer"


def test_annotations_can_be_read() -> None:
    """LangChain's fallbacks read the return types at run time; without them `with_fallbacks` is silently dropped."""
    for name in ("bind_tools", "with_structured_output", "_generate", "_astream"):
        hints = typing.get_type_hints(getattr(FrameworkChatModel, name))
        assert "return" in hints
    with_fallback = FrameworkChatModel("a").with_fallbacks([FrameworkChatModel("b")])
    assert len(with_fallback.bind_tools([add]).fallbacks) == 1
    assert len(with_fallback.with_structured_output(Person).fallbacks) == 1


# --------------------------------------------------------------------------------------------------------- errors
TAXONOMY = [
    (errors.AuthenticationError("x"), "ModelAuthenticationError"),
    (errors.PermissionDeniedError("x"), "ModelPermissionDeniedError"),
    (errors.ModelNotFoundError("x"), "ModelNotFoundError"),
    (errors.InvalidRequestError("x"), "ModelInvalidRequestError"),
    (errors.UnsupportedFeatureError("x", feature="y"), "ModelInvalidRequestError"),
    (errors.ContextOverflowError("x", tokens=5, limit=4), "ContextOverflowError"),
    (errors.RateLimitError("x", retry_after=1.5), "ModelRateLimitError"),
    (errors.QuotaExceededError("x"), "ModelRateLimitError"),
    (errors.ProviderUnavailableError("x", status=503), "ModelAPIError"),
    (errors.BadResponseError("x"), "ModelAPIError"),
    (errors.ConnectionFailedError("x"), "ModelConnectionError"),
    (errors.RequestTimeoutError("x"), "ModelTimeoutError"),
    (errors.ConfigurationError("x"), "ModelError"),
    (errors.ModelLoadError("x"), "ModelError"),
    (errors.RequestCancelledError("x"), "ModelError"),
]


@pytest.mark.parametrize(("error", "name"), TAXONOMY, ids=lambda value: getattr(value, "message", value))
def test_errors_are_of_both_kinds(error: errors.LLMFrameworkError, name: str) -> None:
    """An error is ours and LangChain's at once, agrees on retrying, and survives pickle and copy whole."""
    both = translate(error)
    assert isinstance(both, type(error))
    assert isinstance(both, getattr(exceptions, name))
    assert both.is_retryable == error.retryable  # type: ignore[attr-defined]
    for again in (pickle.loads(pickle.dumps(both)), copy.copy(both), copy.deepcopy(both)):
        assert type(again) is type(both)
        assert again.__dict__ == error.__dict__
        assert str(again) == "x"
    assert translate(both) is both


async def test_errors_reach_langchain_from_every_method(scripted: Make) -> None:
    """Each of the four ways to ask raises the translated error, with ours as its cause."""
    framework, _ = scripted(errors.ContextOverflowError("too long", tokens=5, limit=4))
    model = FrameworkChatModel(framework=framework)
    with pytest.raises(exceptions.ContextOverflowError, match="too long"):
        model.invoke("hi")
    with pytest.raises(exceptions.ContextOverflowError):
        await model.ainvoke("hi")
    with pytest.raises(exceptions.ContextOverflowError):
        list(model.stream("hi"))
    with pytest.raises(errors.ContextOverflowError):
        [chunk async for chunk in model.astream("hi")]


def test_a_stream_that_breaks_off(scripted: Make) -> None:
    """What came before a stream broke is shown; then the error says that it broke, with that part in it."""
    framework, _ = scripted(["one two", errors.ConnectionFailedError("reset")])
    stream = FrameworkChatModel(framework=framework).stream("hi")
    assert [next(stream).text, next(stream).text] == ["one", " two"]
    with pytest.raises(exceptions.ModelConnectionError) as caught:
        next(stream)
    assert isinstance(caught.value, errors.StreamInterruptedError)
    assert caught.value.response.text == "one two"


def test_langchain_fallbacks(scripted: Make) -> None:
    """LangChain's own fallbacks work, streamed too, because nothing is shown before the first token."""
    broken, _ = scripted(errors.ProviderUnavailableError("down"))
    works, _ = scripted("ok then")
    chain = FrameworkChatModel(framework=broken).with_fallbacks([FrameworkChatModel(framework=works)])
    assert chain.invoke("hi").text == "ok then"
    assert "".join(chunk.text for chunk in chain.stream("hi")) == "ok then"


# ------------------------------------------------------------------------------------ construction, copies, secrets
def test_making_a_model_starts_nothing() -> None:
    """A model of a name that does not exist can be made: nothing is looked up before the first call."""
    FrameworkChatModel("nonesuch", api_key="k", base_url="http://127.0.0.1:9")


def test_secrets_are_hidden() -> None:
    """The key is in no representation, dump, pickle or trace, and still in the model and its copies."""
    model = FrameworkChatModel("openai:gpt", api_key="sekrit-key", base_url="http://user:sekrit-word@a.b")
    shown = [
        repr(model),
        str(model),
        dumps(model),
        str(model.asdict()),
        str(model.model_dump()),
        model._get_llm_string(),
        str(pickle.dumps(model.model_copy(update={"base_url": None}))),
    ]
    assert not any("sekrit" in text for text in shown)
    assert [one.api_key for one in (model, copy.deepcopy(model))] == [SecretStr("sekrit-key")] * 2
    assert pickle.loads(pickle.dumps(model)).api_key is None


def test_serialised_round_trip() -> None:
    """A model written by LangChain's `dumps` is read again with its key from the secrets, if its namespace is named."""
    model = FrameworkChatModel("openai:gpt", api_key="k", temperature=0.5, stop=["x"], fallbacks=["y"])
    again = loads(
        dumps(model),
        allowed_objects=[FrameworkChatModel],
        valid_namespaces=["langchain_llm_framework"],
        secrets_map={"LLM_FRAMEWORK_API_KEY": "k"},
    )
    assert again.model_dump() == model.model_dump()
    assert again._get_llm_string() == model._get_llm_string()


def test_copies_share_the_framework(scripted: Make) -> None:
    """Copies of every kind, and configurable fields, are answered by the same framework."""
    framework, _ = scripted("ok")
    model = FrameworkChatModel(framework=framework, temperature=0.5)
    configurable = model.configurable_fields(temperature=ConfigurableField("t"))
    for copied in (copy.copy(model), copy.deepcopy(model), model.model_copy(), configurable):
        assert copied.invoke("hi", {"configurable": {"t": 0.1}}).text == "ok"  # type: ignore[union-attr]
    assert pickle.loads(pickle.dumps(model)).temperature == 0.5


def test_from_framework(scripted: Make) -> None:
    """A model made from a framework knows that framework's models: its profile says how much they read."""
    framework, _ = scripted("ok")
    model = FrameworkChatModel.from_framework(framework, model="scripted", temperature=0)
    assert model.invoke("hi").text == "ok"
    profile = model.profile or {}
    assert profile["max_input_tokens"] == 1000
    assert profile["structured_output"] is True


def test_credentials_beside_a_framework_are_refused(scripted: Make) -> None:
    """Two sources of credentials are an error that says where they belong."""
    framework, _ = scripted("ok")
    with pytest.raises(errors.ConfigurationError, match="api_credentials"):
        FrameworkChatModel("openai:x", framework=framework, api_key="k").invoke("hi")
    with pytest.raises(errors.ConfigurationError, match="model name"):
        FrameworkChatModel(api_key="k").invoke("hi")


def test_langchains_cache(scripted: Make) -> None:
    """A cached answer is found again by a model with the same options, and not by one with others."""
    framework, backend = scripted("one", "two")
    cache = InMemoryCache()
    for temperature, expected in ((0.5, "one"), (0.5, "one"), (0.6, "two")):
        model = FrameworkChatModel(framework=framework, temperature=temperature, cache=cache)
        assert model.invoke("hi").text == expected
    assert len(backend.requests) == 2


def test_estimates_without_a_vocabulary(scripted: Make) -> None:
    """Where the backend has no vocabulary, tokens are estimated, and ids are refused unless a tokenizer is given."""
    framework, _ = scripted("ok")
    model = FrameworkChatModel(framework=framework)
    assert model.get_num_tokens("some words here") > 0
    assert model.get_num_tokens_from_messages([HumanMessage("three words here")]) == 3
    with pytest.raises(errors.UnsupportedFeatureError):
        model.get_token_ids("some words")
    assert FrameworkChatModel(custom_get_token_ids=lambda text: [1, 2]).get_num_tokens("x") == 2


def test_counting_parts_of_a_chat() -> None:
    """Trimming, which counts parts of a chat in whatever order, works with the model as its counter."""
    model = FrameworkChatModel()
    call = {"name": "add", "args": {"a": 2, "b": 2}, "id": "c1"}
    chat = [SystemMessage("Be brief."), HumanMessage("2 + 2?"), AIMessage("", tool_calls=[call])]
    chat += [ToolMessage("4", tool_call_id="c1"), AIMessage("4"), HumanMessage("")]
    assert model.get_num_tokens_from_messages([]) == 0
    assert all(model.get_num_tokens_from_messages([message]) > 0 for message in chat)
    for strategy in ("first", "last"):
        for limit in (1, 20, 1000):
            options: Any = {"strategy": strategy, "allow_partial": True, "include_system": strategy == "last"}
            kept = trim_messages(chat, max_tokens=limit, token_counter=model, **options)
            assert len(kept) == len(chat) if limit == 1000 else len(kept) < len(chat)


def test_langchains_retry_middleware(scripted: Make) -> None:
    """LangChain's retry middleware asks again after an error that may pass."""
    framework, backend = scripted(errors.ProviderUnavailableError("busy"), "better now")
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    agent = create_agent(FrameworkChatModel(framework=framework), middleware=[retry])
    assert agent.invoke({"messages": [("user", "hi")]})["messages"][-1].text == "better now"
    assert len(backend.requests) == 2


def test_retry_middleware_spares_what_will_not_pass(scripted: Make) -> None:
    """LangChain's retry middleware does not repeat a request that cannot succeed, such as one with a wrong address."""
    framework, backend = scripted(errors.ConfigurationError("no such address"))
    retry = ModelRetryMiddleware(max_retries=2, initial_delay=0.0, on_failure="error")
    agent = create_agent(FrameworkChatModel(framework=framework), [], middleware=[retry])
    with pytest.raises(errors.ConfigurationError):
        agent.invoke({"messages": [("user", "hi")]})
    assert len(backend.requests) == 1


def test_it_is_a_runnable_of_messages(scripted: Make) -> None:
    """Bound tools give a runnable, so that everything LangChain builds on one works."""
    framework, _ = scripted("ok")
    assert isinstance(FrameworkChatModel(framework=framework).bind_tools([add]), Runnable)
