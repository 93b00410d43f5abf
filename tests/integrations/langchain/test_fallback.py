"""`FallbackChatModel`: several models that look like one, to chains, agents and middleware."""

from __future__ import annotations

import asyncio
import copy
import pickle
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain.agents.structured_output import ProviderStrategy
from langchain_core import exceptions
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler, get_usage_metadata_callback
from langchain_core.language_models import BaseChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.tools import tool
from langchain_tests.unit_tests import ChatModelUnitTests
from pydantic import BaseModel

from langchain_llm_framework import FallbackChatModel, FrameworkChatModel
from llm_framework import errors
from llm_framework.testing import Gate
from llm_framework.types import Chunk, ToolCall

Make = Callable[..., Any]
DOWN = errors.ProviderUnavailableError("down")


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def fallback(scripted: Make) -> Callable[..., FallbackChatModel]:
    """Makes a FallbackChatModel, one member for each script (a list of answers)."""

    def make(*scripts: list[Any], **kwargs: Any) -> FallbackChatModel:
        members = [FrameworkChatModel.from_framework(scripted(*script).framework, "scripted") for script in scripts]
        return FallbackChatModel(members, **kwargs)

    return make


def requests_of(model: FallbackChatModel, number: int) -> list[Any]:
    framework = typing.cast(Any, model.models[number]).framework
    return typing.cast("list[Any]", framework.plugin_manager.get_plugin_for_model(
        framework.get_model_info("scripted")).backend.requests)  # fmt: skip


class Runs(BaseCallbackHandler):
    """Counts what a model reports."""

    def __init__(self) -> None:
        self.starts = self.ends = 0
        self.errors: list[BaseException] = []
        self.tokens: list[Any] = []

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.starts += 1

    def on_llm_end(self, *args: Any, **kwargs: Any) -> None:
        self.ends += 1

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.errors.append(error)

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.tokens.append(token)


# -------------------------------------------------------------------------------------------------- LangChain's suite
class TestStandard(ChatModelUnitTests):
    """LangChain's own unit tests of a chat model. It is not serialisable, since its members may not be."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return FallbackChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"models": ["tiny-chat", "other"]}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 100, "stop": []}  # keys, time limits and retries are the members'


# ------------------------------------------------------------------------------------------------------ falling back
async def test_four_ways_to_ask(fallback: Callable[..., FallbackChatModel]) -> None:
    """Whole and streamed, blocking and not, the second member answers for the first and the answer tells why."""
    model = fallback([DOWN], ["ok then"])
    whole = [model.invoke("hi"), await model.ainvoke("hi")]
    streams = [list(model.stream("hi")), [chunk async for chunk in model.astream("hi")]]
    whole += [chunks[0] + chunks[1:] for chunks in streams]
    assert [answer.text for answer in whole] == ["ok then"] * 4
    for answer in whole:
        attempts = answer.response_metadata["attempts"]
        assert [(attempt["model"], "down" in attempt["error"]) for attempt in attempts] == [("scripted", True)]
    assert [chunk.text for chunk in streams[0]] == ["ok", " then", ""]


def test_an_answer_at_once_has_no_attempts(fallback: Callable[..., FallbackChatModel]) -> None:
    """The first member's answer is as it would be without the others, and they are not asked."""
    model = fallback(["fine"], ["other"])
    assert model.invoke("hi").text == "fine"
    assert "attempts" not in model.invoke("hi").response_metadata
    assert requests_of(model, 1) == []


@pytest.mark.parametrize(
    ("error", "falls_back"),
    [
        (errors.RateLimitError("x"), True),
        (errors.QuotaExceededError("x"), True),
        (errors.ProviderUnavailableError("x"), True),
        (errors.ConnectionFailedError("x"), True),
        (errors.BadResponseError("x"), True),
        (errors.RequestTimeoutError("x"), True),
        (errors.QueueFullError("x"), True),
        (errors.AuthenticationError("x"), False),
        (errors.PermissionDeniedError("x"), False),
        (errors.InvalidRequestError("x"), False),
        (errors.ContextOverflowError("x", tokens=5, limit=4), False),
        (errors.ContentFilterError("x"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_cause_decides(fallback: Callable[..., FallbackChatModel], error: Any, falls_back: bool) -> None:
    """Another member is asked where it may do better: not for a request or a key that is wrong."""
    model = fallback([error], ["ok"])
    if falls_back:
        assert model.invoke("hi").text == "ok"
        assert next(model.stream("hi")).text == "ok"
    else:
        with pytest.raises(type(error)):
            model.invoke("hi")
        with pytest.raises(type(error)):
            list(model.stream("hi"))


def test_a_missing_model_is_a_cause(scripted: Make) -> None:
    """A member whose model does not exist is passed over."""
    framework, _ = scripted("ok")
    members = [FrameworkChatModel("nonesuch", framework=framework), FrameworkChatModel(framework=framework)]
    assert FallbackChatModel(members).invoke("hi").text == "ok"


def test_where_all_fail_the_first_error_is_raised(fallback: Callable[..., FallbackChatModel]) -> None:
    """The error of the model that was wanted reaches the caller, as ours and as LangChain's."""
    model = fallback([errors.RateLimitError("the first")], [errors.ProviderUnavailableError("the second")])
    with pytest.raises(exceptions.ModelRateLimitError, match="the first"):
        model.invoke("hi")
    with pytest.raises(errors.RateLimitError, match="the first"):
        list(model.stream("hi"))


async def test_what_was_shown_is_not_taken_back(fallback: Callable[..., FallbackChatModel]) -> None:
    """After the first visible piece an error reaches the caller, and nobody else is asked."""
    model = fallback([["one", errors.ConnectionFailedError("reset")]], ["two"])
    stream = model.stream("hi")
    assert next(stream).text == "one"
    with pytest.raises(errors.StreamInterruptedError):
        list(stream)
    with pytest.raises(errors.StreamInterruptedError):
        [chunk async for chunk in model.astream("hi")]
    assert requests_of(model, 1) == []


class Stranger(BaseChatModel):
    """Someone else's model: it opens its stream with an empty chunk, and then fails as LangChain's partners do."""

    error: Any = None

    @property
    def _llm_type(self) -> str:
        return "stranger"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise self.error

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content=""))
        raise self.error


async def test_strangers_fall_back(scripted: Make) -> None:
    """Members may be anyone's: their errors count by cause, and their empty first chunk shows nothing yet."""
    works = FrameworkChatModel.from_framework(scripted("ok").framework)
    for error in (exceptions.ModelAPIError("down"), ConnectionResetError("gone")):
        model = FallbackChatModel([Stranger(error=error), works])
        assert model.invoke("hi").text == (await model.ainvoke("hi")).text == "ok"
        assert "".join(chunk.text for chunk in model.stream("hi")) == "ok"
        assert "".join([chunk.text async for chunk in model.astream("hi")]) == "ok"
    with pytest.raises(ZeroDivisionError):
        FallbackChatModel([Stranger(error=ZeroDivisionError()), works]).invoke("hi")
    handled = FallbackChatModel([Stranger(error=ZeroDivisionError()), works], exceptions_to_handle=(ZeroDivisionError,))
    assert handled.invoke("hi").text == "ok"


def test_a_member_that_cannot_stream(fallback: Callable[..., FallbackChatModel]) -> None:
    """A member without a stream of its own gives its answer as one chunk, with its calls."""

    class Whole(Stranger):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            return GenericFakeChatModel(
                messages=iter([AIMessage("ok", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "1"}])])
            )._generate([])

    Whole._stream = BaseChatModel._stream  # type: ignore[method-assign]
    chunks = list(FallbackChatModel([Whole()]).stream("hi"))
    assert chunks[0].text == "ok"
    assert chunks[0].tool_calls[0]["args"] == {"a": 1}


# ------------------------------------------------------------------------------------------------- what it looks like
def test_one_call_is_one_run(fallback: Callable[..., FallbackChatModel]) -> None:
    """Callbacks see one run that succeeds, each token once, and the usage once, whoever answered."""
    model = fallback([DOWN], ["ok then"])
    runs, usage = Runs(), UsageMetadataCallbackHandler()
    with get_usage_metadata_callback() as in_context:
        answer = model.invoke("hi", {"callbacks": [runs, usage]})
        streamed = [chunk.text for chunk in model.stream("hi", {"callbacks": [runs]})]
    assert (runs.starts, runs.ends, runs.errors) == (2, 2, [])
    assert runs.tokens == streamed
    assert usage.usage_metadata["scripted"] == answer.usage_metadata
    assert in_context.usage_metadata["scripted"]["input_tokens"] == 2


def test_profile_is_what_all_can_do(fallback: Callable[..., FallbackChatModel]) -> None:
    """A feature is promised if each member has it, and of limits the smallest; what one does not tell is left out."""
    wide = FrameworkChatModel("a", profile={"tool_calling": True, "max_input_tokens": 9, "structured_output": True})
    narrow = FrameworkChatModel("b", profile={"tool_calling": True, "max_input_tokens": 5, "structured_output": False})
    assert FallbackChatModel([wide, narrow]).profile == {
        "tool_calling": True, "max_input_tokens": 5, "structured_output": False
    }  # fmt: skip
    assert FallbackChatModel([wide, Stranger()]).profile == {}
    assert (fallback(["x"], ["y"]).profile or {})["max_input_tokens"] == 1000


def test_annotations_can_be_read() -> None:
    """LangChain reads the annotations at run time."""
    for name in ("bind_tools", "with_structured_output", "_generate", "_stream", "_agenerate", "_astream"):
        assert "return" in typing.get_type_hints(getattr(FallbackChatModel, name))


def test_copies_and_dumps(fallback: Callable[..., FallbackChatModel]) -> None:
    """Copies answer like the original, a pickle keeps the members, and no dump shows a key."""
    model = fallback([DOWN], ["ok"])
    for copied in (copy.copy(model), copy.deepcopy(model), model.model_copy()):
        assert copied.invoke("hi").text == "ok"
    named = FallbackChatModel(["a", FrameworkChatModel("openai:b", api_key="sekrit")])
    again = pickle.loads(pickle.dumps(named))
    assert [member.model_name for member in again.models] == ["a", "openai:b"]
    shown = [repr(named), str(named.model_dump()), str(named.asdict()), named._get_llm_string()]
    assert not any("sekrit" in text for text in shown)
    assert named._get_ls_params()["ls_model_name"] == "a"
    with pytest.raises(ValueError, match="at least 1"):
        FallbackChatModel([])


def test_its_cache_and_its_members_rate_limits(fallback: Callable[..., FallbackChatModel]) -> None:
    """Its own cache keeps answers, by what its members are; each member's rate limiter is asked before the member."""
    model = fallback([DOWN], ["one", "two"], cache=InMemoryCache())

    class Counting(InMemoryRateLimiter):
        taken = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            Counting.taken += 1
            return True

    for member in model.models:
        member.rate_limiter = Counting()
    assert [model.invoke("hi").text for _ in range(2)] == ["one", "one"]
    assert Counting.taken == 2
    other = fallback([DOWN], ["x"], cache=model.cache)
    typing.cast(Any, other.models[1]).temperature = 0.3
    assert other.invoke("hi").text == "x"


# ------------------------------------------------------------------------------------------------------ tools, forms
async def test_tools_survive(fallback: Callable[..., FallbackChatModel]) -> None:
    """The member that answers has the tools, the choice and the other options; streamed too."""
    model = fallback([DOWN], [ToolCall.create("add", {"a": 1, "b": 2})])
    bound = model.bind_tools([add], tool_choice="any", parallel_tool_calls=False, temperature=0)
    for answer in (bound.invoke("hi"), await bound.ainvoke("hi")):
        assert answer.tool_calls[0]["args"] == {"a": 1, "b": 2}
    chunks = list(bound.stream("hi"))
    assert typing.cast(Any, chunks[0] + chunks[1:]).tool_calls[0]["name"] == "add"
    request = requests_of(model, 1)[0]
    assert (request.tools[0].name, request.tool_choice, request.config.temperature) == ("add", "any", 0)


def test_options_for_all_members(fallback: Callable[..., FallbackChatModel]) -> None:
    """What is set on it holds for whoever answers; what a call says goes before it."""
    model = fallback([DOWN], ["one two three"], temperature=0.25, max_tokens=2, stop=["x"])
    assert model.invoke("hi").text == "one two"
    assert model.invoke("hi", max_tokens=1, stop=["y"]).text == "one"
    configs = [request.config for request in requests_of(model, 1)]
    assert [(c.temperature, c.max_tokens, c.stop) for c in configs] == [(0.25, 2, ("x",)), (0.25, 1, ("y",))]


def test_tools_that_a_member_does_not_take(fallback: Callable[..., FallbackChatModel]) -> None:
    """What cannot be bound is refused when it is bound, with the member's name."""
    with pytest.raises(errors.UnsupportedFeatureError, match="stranger"):
        FallbackChatModel([Stranger()]).bind_tools([add])
    with pytest.raises(errors.InvalidRequestError, match="nonesuch"):
        fallback(["x"]).bind_tools([add], tool_choice="nonesuch")


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_structured_output_survives(fallback: Callable[..., FallbackChatModel], method: str) -> None:
    """An instance comes from whichever member answers, whole, streamed, and beside the raw message."""
    text = '{"name": "Ann", "age": 5}'
    answer = text if method == "json_schema" else ToolCall.create("Person", {"name": "Ann", "age": 5})
    model = fallback([DOWN], [answer])
    chain = model.with_structured_output(Person, method=method)
    ann = Person(name="Ann", age=5)
    assert chain.invoke("hi") == await chain.ainvoke("hi") == list(chain.stream("hi"))[-1] == ann
    raw = model.with_structured_output(Person, method=method, include_raw=True).invoke("hi")
    assert typing.cast("dict[str, Any]", raw)["parsed"] == ann


def test_structured_output_of_strangers(scripted: Make) -> None:
    """With a member of another maker each is asked in its own way, and the one that answers gives the instance."""

    class Caller(Stranger):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self.bind(tools=tools)

    works = FrameworkChatModel.from_framework(scripted('{"name": "Ann", "age": 5}').framework)
    model = FallbackChatModel([Caller(error=exceptions.ModelAPIError("down")), works])
    assert model.with_structured_output(Person).invoke("hi") == Person(name="Ann", age=5)


# ------------------------------------------------------------------------------------------------------------ agents
@pytest.mark.parametrize("streaming", [False, True])
def test_agents_and_middleware(fallback: Callable[..., FallbackChatModel], streaming: bool) -> None:
    """An agent with tools, a response format and retries runs on it, though its first member is down."""
    calls = [ToolCall.create("add", {"a": 3, "b": 4}), '{"name": "Ann", "age": 7}']
    model = fallback([DOWN], calls)
    agent: Any = create_agent(
        model, tools=[add], response_format=ProviderStrategy(Person), middleware=[ModelRetryMiddleware(max_retries=1)]
    )
    request = {"messages": [("user", "hi")]}
    if streaming:
        pieces = [part for part, _ in agent.stream(request, stream_mode="messages")]
        assert [piece.content for piece in pieces if piece.type == "tool"] == ["7"]
        texts = "".join(piece.text for piece in pieces if isinstance(piece, AIMessageChunk))
        assert texts == '{"name": "Ann", "age": 7}'
    else:
        state = agent.invoke(request)
        assert state["structured_response"] == Person(name="Ann", age=7)
        assert [message.type for message in state["messages"]] == ["human", "ai", "tool", "ai"]
    assert requests_of(model, 1)[0].response_format is not None


async def test_events(fallback: Callable[..., FallbackChatModel]) -> None:
    """Both kinds of event streams show the answer of the member that gave it."""
    model = fallback([DOWN], ["ok then"])
    events = [event async for event in model.astream_events("hi", version="v2")]
    assert [e["event"] for e in events].count("on_chat_model_start") == 1
    assert "".join(e["data"]["chunk"].text for e in events if e["event"] == "on_chat_model_stream") == "ok then"
    assert str(model.stream_events("hi", version="v3").text) == "ok then"
    stream = await model.astream_events("hi", version="v3")
    assert (await stream).text == "ok then"


async def test_cancelling_stops_the_member(scripted: Make) -> None:
    """A cancelled call, and a stream that is closed, leave no request running in any member."""
    gate = Gate()
    script = scripted(["one", gate, "two"])
    model = FallbackChatModel([FrameworkChatModel.from_framework(script.framework)])
    task = asyncio.ensure_future(model.ainvoke("hi"))
    await gate.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stream = model.astream("hi")
    assert (await anext(stream)).text == "one"
    await stream.aclose()
    for _ in range(1000):  # an abandoned generator is closed by the event loop, a few turns later
        await asyncio.sleep(0.001 * bool(script.backend.active))
    assert script.backend.closed == 2


def test_models_by_name_on_the_bundled_model() -> None:
    """Names stand for models, and the bundled model answers where the first one is missing."""
    model = FallbackChatModel(["nonesuch-model", "tiny-chat"])
    answer = model.bind(temperature=0, max_tokens=16).invoke("hello")
    assert answer.text
    assert answer.response_metadata["model_name"] == "tiny-chat"
    assert [attempt["model"] for attempt in answer.response_metadata["attempts"]] == ["nonesuch-model"]


def test_reasoning_is_visible(fallback: Callable[..., FallbackChatModel]) -> None:
    """Reasoning that was shown counts as shown."""
    model = fallback([[Chunk(thinking="hm"), errors.ConnectionFailedError("reset")]], ["two"])
    with pytest.raises(errors.StreamInterruptedError):
        list(model.stream("hi"))
