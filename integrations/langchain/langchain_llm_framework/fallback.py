"""`FallbackChatModel`: several chat models, of any maker, that stand in for one another and look like one.

LangChain's `with_fallbacks` gives a runnable, which agents and middleware cannot use as a model. This is a model. One
call is one run for callbacks, traces and usage counters, whoever answers it in the end.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any, NamedTuple, NoReturn, TypeVar

from langchain_core import exceptions
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableBinding
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from llm_framework.errors import InvalidRequestError, UnsupportedFeatureError
from llm_framework.logs import get_logger

from . import tools as translate_tools
from .chat_models import FrameworkChatModel
from .structured import StructuredOutputModel

logger = get_logger(__name__)

G = TypeVar("G", bound=ChatGeneration)
Chunks = Generator[ChatGenerationChunk, None, None]

# What a stranger's model raises for the causes of `FALLBACK_ERRORS`; names that langchain-core lacks are left out.
_CAUSES = ("ModelRateLimitError", "ModelAPIError", "ModelConnectionError", "ModelTimeoutError", "ModelNotFoundError")
# Keywords that each maker's `bind_tools` writes in its provider's own way.
_TOOL_OPTIONS = ("tool_choice", "strict", "parallel_tool_calls", "response_format")


class _Member(NamedTuple):
    """A model to ask, with the options as it takes them."""

    model: BaseChatModel
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        return _name_of(self.model)


class FallbackChatModel(StructuredOutputModel):
    """A chat model that asks its members in order until one answers.

    `models` are chat models of any maker; a str stands for `FrameworkChatModel(str)`. The next one is asked where the
    cause lies with the model, its provider or the way there: rate limits and quotas, outages, broken connections and
    answers, timeouts, a full queue, a model that is missing or cannot be loaded. A request that is wrong, refused or
    too long is not repeated elsewhere, nor is one with a wrong key. Streams fall back until something was shown.

    Where all fail, the first one's error is raised. An answer after a failure tells of it in
    `response_metadata["attempts"]`. The members' rate limiters hold; cache, callbacks and `output_version` are those of
    this model.

    Example:
        from langchain_llm_framework import FallbackChatModel

        model = FallbackChatModel(["openai:gpt-5-mini", "tiny-chat"])
        print(model.invoke("hello").text)
    """

    models: list[SerializeAsAny[BaseChatModel]] = Field(min_length=1)
    """The members, the one to prefer first."""
    temperature: float | None = None
    """For all members; None leaves each its own, as with the next two."""
    max_tokens: int | None = None
    stop: list[str] | None = None
    streaming: bool = False
    """Whether `invoke` streams too, so that callbacks see each token."""
    exceptions_to_handle: tuple[type[BaseException], ...] = Field(default=(), exclude=True, repr=False)
    """Further errors after which the next member is asked, such as those of a provider's own client."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    def __init__(self, models: Sequence[BaseChatModel | str], **kwargs: Any) -> None:
        """See the fields; LangChain's own (`cache`, `callbacks`, `tags`, …) are taken too."""
        members = [FrameworkChatModel(m) if isinstance(m, str) else m for m in models]
        super().__init__(**{"models": members, **kwargs})

    # ------------------------------------------------------------------------------------------------- what it is
    @property
    def model_name(self) -> str:
        """The name of the model that is asked first."""
        return _name_of(self.models[0])

    @property
    def _llm_type(self) -> str:
        return "llm-framework-fallback"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        members = [{"_type": model._llm_type, **model._identifying_params} for model in self.models]
        return {"models": members, **self._options({}), **({"stop": self.stop} if self.stop else {})}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return self.models[0]._get_ls_params(stop=stop or self.stop, **self._options(kwargs))

    def _options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        own = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return {**{name: value for name, value in own.items() if value is not None}, **given}

    def _resolve_model_profile(self) -> Any:
        """What all members can do: the features that each has, and the smallest of their limits."""
        profiles = [dict(model.profile or {}) for model in self.models]
        shared = set(profiles[0]).intersection(*profiles[1:])
        merged = {key: _common([profile[key] for profile in profiles]) for key in profiles[0] if key in shared}
        return {key: value for key, value in merged.items() if value is not None}

    # ------------------------------------------------------------------------------------------------- answers
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        failures, stop = _Failures(self.exceptions_to_handle), stop or self.stop
        for member in self._members(self._options(kwargs)):
            try:
                _wait(member.model)
                return failures.told_in(member.model._generate(messages, stop=stop, **member.options))
            except Exception as error:
                failures.add(member, error)
        failures.give_up()

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        failures, stop = _Failures(self.exceptions_to_handle), stop or self.stop
        for member in self._members(self._options(kwargs)):
            try:
                await _await(member.model)
                return failures.told_in(await member.model._agenerate(messages, stop=stop, **member.options))
            except Exception as error:
                failures.add(member, error)
        failures.give_up()

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        failures, stop = _Failures(self.exceptions_to_handle), stop or self.stop
        for member in self._members(self._options(kwargs)):
            shown = False
            try:
                with closing(_chunks(member, messages, stop)) as stream, closing(_once_visible(stream)) as chunks:
                    for chunk in chunks:
                        told = chunk if shown else failures.told_in_chunk(chunk)
                        shown = True
                        if run_manager:
                            run_manager.on_llm_new_token(told.text, chunk=told)
                        yield told
                return
            except Exception as error:
                if shown:
                    raise  # what was shown cannot be taken back
                failures.add(member, error)
        failures.give_up()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        failures, stop = _Failures(self.exceptions_to_handle), stop or self.stop
        for member in self._members(self._options(kwargs)):
            shown = False
            try:
                async with (
                    aclosing(_achunks(member, messages, stop)) as stream,
                    aclosing(_aonce_visible(stream)) as chunks,
                ):
                    async for chunk in chunks:
                        told = chunk if shown else failures.told_in_chunk(chunk)
                        shown = True
                        if run_manager:
                            await run_manager.on_llm_new_token(told.text, chunk=told)
                        yield told
                return
            except Exception as error:
                if shown:
                    raise
                failures.add(member, error)
        failures.give_up()

    def _members(self, options: Mapping[str, Any]) -> list[_Member]:
        return [_bound(model, options) for model in self.models]

    # ------------------------------------------------------------------------------------------------- counting
    def get_token_ids(self, text: str) -> list[int]:
        """The ids of the text's tokens for the first member."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        return self.models[0].get_token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """The tokens of the text for the first member."""
        return self.models[0].get_num_tokens(text)

    def get_num_tokens_from_messages(
        self,
        messages: list[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
    ) -> int:
        """The tokens of the prompt for the first member."""
        return self.models[0].get_num_tokens_from_messages(messages, tools)

    # ------------------------------------------------------------------------------------------------- tools, forms
    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools that it may call; each member is given them in its own provider's form.

        Args:
            tools: Functions, pydantic classes, LangChain tools or OpenAI's function dicts.
            tool_choice: As `FrameworkChatModel.bind_tools` has it.
            kwargs: Further options: `strict`, `parallel_tool_calls`, `response_format`, and those of a call.

        Raises:
            InvalidRequestError: `tool_choice` names none of the tools.
            UnsupportedFeatureError: A member takes no tools.
        """
        as_dicts = translate_tools.openai_tools(tools)
        choice = translate_tools.tool_choice_name(tool_choice, translate_tools.names_of(as_dicts))
        if kwargs.get("response_format") is not None:
            kwargs["response_format"] = translate_tools.bound_response_format(kwargs["response_format"])
        given = {"tool_choice": choice, **kwargs}
        options = {"tools": as_dicts, **{name: value for name, value in given.items() if value is not None}}
        self._members(options)  # what a member refuses, it refuses here and not in the middle of a run
        return self.bind(**options)

    def with_structured_output(
        self, schema: dict[str, Any] | type | None = None, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """The model, answering with an instance of `schema`: see `FrameworkChatModel.with_structured_output`.

        A malformed answer raises, or is given back with `include_raw`; it asks no other member. With members of other
        makers each is asked in its own way and judges its own answer; each is then a run of its own for callbacks.
        """
        if all(isinstance(model, StructuredOutputModel) for model in self.models):
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        first, *rest = [
            model.with_structured_output(schema, include_raw=include_raw, **kwargs)  # type: ignore[arg-type]
            for model in self.models
        ]
        chain = first.with_fallbacks(rest, exceptions_to_handle=(*_handled(), *self.exceptions_to_handle))
        own = RunnableConfig(callbacks=self.callbacks, tags=self.tags or [], metadata=self.metadata or {})
        return chain.with_config(own)


# ----------------------------------------------------------------------------------------------------------- members
def _name_of(model: Any) -> str:
    for name in ("model_name", "model", "model_id"):
        value = getattr(model, name, None)
        if isinstance(value, str):
            return value
    return str(model._llm_type)


def _bound(model: BaseChatModel, options: Mapping[str, Any]) -> _Member:
    """The member with options as it takes them itself: tools were bound in OpenAI's form, which not all speak."""
    if "tools" not in options:
        return _Member(model, options)
    form = {name: options[name] for name in _TOOL_OPTIONS if name in options}
    rest = {name: value for name, value in options.items() if name not in ("tools", *form)}
    try:
        bound: Any = model.bind_tools(options["tools"], **form)
    except NotImplementedError as error:
        message = f"the model {_name_of(model)!r} takes no tools; leave it out of the FallbackChatModel"
        raise UnsupportedFeatureError(message, feature="tools", model=_name_of(model)) from error
    while isinstance(bound, RunnableBinding):
        rest, bound = {**bound.kwargs, **rest}, bound.bound
    if not isinstance(bound, BaseChatModel):
        raise InvalidRequestError(f"bind_tools of {_name_of(model)!r} gives a {type(bound).__name__}, not a model")
    return _Member(bound, rest)


def _wait(model: BaseChatModel) -> None:
    if model.rate_limiter is not None:
        model.rate_limiter.acquire(blocking=True)


async def _await(model: BaseChatModel) -> None:
    if model.rate_limiter is not None:
        await model.rate_limiter.aacquire(blocking=True)


def _chunks(member: _Member, messages: list[BaseMessage], stop: list[str] | None) -> Chunks:
    _wait(member.model)
    if type(member.model)._stream is BaseChatModel._stream:
        yield _as_chunk(member.model._generate(messages, stop=stop, **member.options))
    else:
        yield from member.model._stream(messages, stop=stop, **member.options)


async def _achunks(
    member: _Member, messages: list[BaseMessage], stop: list[str] | None
) -> AsyncGenerator[ChatGenerationChunk, None]:
    await _await(member.model)
    kind = type(member.model)
    if kind._astream is BaseChatModel._astream and kind._stream is BaseChatModel._stream:
        yield _as_chunk(await member.model._agenerate(messages, stop=stop, **member.options))
        return
    stream: Any = member.model._astream(messages, stop=stop, **member.options)
    async with aclosing(stream):
        async for chunk in stream:
            yield chunk


def _as_chunk(result: ChatResult) -> ChatGenerationChunk:
    message = result.generations[0].message
    chunk = AIMessageChunk(**message.model_dump(exclude={"type"}), chunk_position="last")
    return ChatGenerationChunk(message=chunk, generation_info=result.generations[0].generation_info)


def _once_visible(chunks: Chunks) -> Chunks:
    """The chunks, held back until one shows something: some makers' streams open with an empty one."""
    held: list[ChatGenerationChunk] | None = []
    for chunk in chunks:
        if held is None:
            yield chunk
            continue
        held.append(chunk)
        if _is_visible(chunk):
            yield from held
            held = None
    yield from held or ()


async def _aonce_visible(chunks: AsyncIterator[ChatGenerationChunk]) -> AsyncGenerator[ChatGenerationChunk, None]:
    held: list[ChatGenerationChunk] | None = []
    async for chunk in chunks:
        if held is None:
            yield chunk
            continue
        held.append(chunk)
        if _is_visible(chunk):
            for early in held:
                yield early
            held = None
    for early in held or ():
        yield early


def _is_visible(chunk: ChatGenerationChunk) -> bool:
    message = chunk.message
    calls = getattr(message, "tool_call_chunks", None)
    return bool(message.content or calls or message.additional_kwargs.get("reasoning_content"))


# ------------------------------------------------------------------------------------------------------------ errors
class _Failures:
    """What failed so far in one call."""

    def __init__(self, also: tuple[type[BaseException], ...]) -> None:
        self._handled = (*_handled(), *also)
        self._errors: list[Exception] = []
        self._attempts: list[dict[str, Any]] = []

    def add(self, member: _Member, error: Exception) -> None:
        """Keep the error, where another member may do better; else raise it."""
        if not isinstance(error, self._handled):
            raise error
        logger.warning("the model %s failed: %s", member.name, error)
        self._errors.append(error)
        self._attempts.append({"model": member.name, "error": str(error)})

    def give_up(self) -> NoReturn:
        """Raise the first error: it is of the model that was wanted."""
        raise self._errors[0]

    def told_in(self, result: ChatResult) -> ChatResult:
        """The answer, which says in `response_metadata["attempts"]` what failed before it."""
        for generation in result.generations:
            self._tell(generation)
        return result

    def told_in_chunk(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        """The same for the first chunk of a stream; the lists of further chunks are added to its list."""
        return self._tell(chunk)

    def _tell(self, generation: G) -> G:
        if self._attempts:
            metadata: dict[str, Any] = generation.message.response_metadata
            metadata["attempts"] = [*self._attempts, *metadata.get("attempts", ())]
        return generation


@functools.cache
def _handled() -> tuple[type[BaseException], ...]:
    from llm_framework.engine.fallback import FALLBACK_ERRORS

    theirs = (getattr(exceptions, name, None) for name in _CAUSES)
    return (*FALLBACK_ERRORS, *(kind for kind in theirs if kind is not None), ConnectionError, TimeoutError)


def _common(values: list[Any]) -> Any:
    """What holds for all members: a feature if each has it, the smallest limit, anything else if it is the same."""
    if all(isinstance(value, bool) for value in values):
        return all(values)
    if all(isinstance(value, (int, float)) for value in values):
        return min(values)
    return values[0] if all(value == values[0] for value in values) else None
