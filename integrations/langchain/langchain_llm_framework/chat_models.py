"""`FrameworkChatModel`: every model of llm-framework, as a LangChain chat model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any, NamedTuple

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import Field, model_validator
from typing_extensions import Self

from llm_framework import adapters
from llm_framework._version import __version__
from llm_framework.errors import InvalidRequestError, StructuredOutputError, UnsupportedFeatureError
from llm_framework.redaction import redact_value
from llm_framework.registry import find_well_known
from llm_framework.sync import run
from llm_framework.types import Chunk, InferenceRequest, InferenceResponse, Message, ThinkingLevel

from . import messages as translate
from . import tools as translate_tools
from .errors import translated_errors
from .named_model import NamedModel
from .structured import StructuredOutputModel

# Fields that are options of a call; the rest of the model's fields say who answers it.
_OPTION_FIELDS = (*adapters.CONFIG_FIELDS, "timeout", "max_retries", "fallbacks")
_ALSO_TAKEN = frozenset(("model", "n", "stream", "response_format", "parallel_tool_calls", "strict"))


class _Call(NamedTuple):
    """A call of the framework: who, what, and how."""

    framework: Any
    prompt: list[Message]
    options: dict[str, Any]
    one_tool_call: bool
    number: int


class FrameworkChatModel(NamedModel, StructuredOutputModel):
    """A chat model that llm-framework runs: a local Gemma model on this machine, or one at a provider.

    `model` is a registry name, `provider:model`, or a well-known cloud name; None takes the configured default, else
    the best model of the models folder, else the bundled one. Options that are None are the framework's defaults;
    each may be given in a call too, as in `model.invoke("hi", temperature=0)`. Making one loads nothing.

    Example:
        from langchain_llm_framework import FrameworkChatModel

        model = FrameworkChatModel(temperature=0)
        print(model.invoke("What is the capital of France?").text)
    """

    temperature: float | None = None
    """0 always takes the likeliest token."""
    max_tokens: int | None = None
    """The most tokens to generate."""
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    logprobs: int | None = None
    """How many alternatives to report at each token; they stand in `response_metadata["logprobs"]`."""
    min_tokens: int | None = None
    """How many tokens the answer has at least."""
    ignore_eos: bool | None = None
    """Whether the model goes on up to `max_tokens` whatever it draws, for measurements."""
    thinking: ThinkingLevel | int | None = None
    """How much to reason before answering: "off", "low", "medium", "high", or a budget in tokens."""
    stop: list[str] | str | None = None
    """Texts that end the answer; those given in a call replace them."""
    timeout: float | None = None
    """Seconds for everything: attempts, waits, fallbacks and the reading of the stream."""
    max_retries: int | None = None
    """How often the framework repeats a failed request. LangChain's `with_retry` multiplies with it."""
    fallbacks: list[str] | None = None
    """Models to ask, in order, when this one fails before its first token."""
    n: int = Field(default=1, ge=1, le=128)
    """How many answers to give to each prompt; a stream has one. A local model reads the prompt once for all, but where
    a seed is given: each answer has a seed of its own then, and draws what it draws alone."""
    streaming: bool = False
    """Whether `invoke` streams too, so that callbacks see each token."""

    # Not inherited from the first of the bases, for the last one wins.
    model_config = NamedModel.model_config

    def __init__(self, model: str | None = None, **kwargs: Any) -> None:
        """See the fields for the keywords. `model_name` is taken as another name of `model`."""
        name = kwargs.pop("model_name", None) if model is None else model
        super().__init__(**{"model": name, **kwargs})

    @model_validator(mode="after")
    def _add_package_version(self) -> Self:
        self._add_version("llm-framework", __version__)
        return self

    # ------------------------------------------------------------------------------------------------- what it is
    @property
    def model_name(self) -> str | None:
        """The model's name, under the name that agents look for."""
        return self.model

    @property
    def _llm_type(self) -> str:
        return "llm-framework-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        values = {name: getattr(self, name, None) for name in ("model", *_OPTION_FIELDS, "base_url")}
        return {name: redact_value(value) for name, value in values.items() if value is not None}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether `langchain_core.load.dumps` writes it. Keys are left out; a `framework` is too."""
        return True

    def to_json(self) -> Any:
        """What `dumps` and traces hold of it: no password that stands in the URL either."""
        written: Any = super().to_json()
        return {**written, "kwargs": redact_value(written["kwargs"])} if "kwargs" in written else written

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The name under which `loads(…, secrets_map=…)` looks for the key."""
        return {"api_key": "LLM_FRAMEWORK_API_KEY"}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        name = kwargs.get("model") or self.model or "default"
        provider, colon, rest = name.partition(":")
        known = None if colon or self.base_url else find_well_known(name)
        params["ls_provider"] = provider if colon else known.backend_type if known else translate.PROVIDER
        params["ls_model_name"] = rest if colon else name
        return params

    def _resolve_model_profile(self) -> Any:
        # A given framework knows its models; asking the shared one would search the disk in a constructor.
        info = adapters.model_info(self.framework, self.model) if self.framework is not None else None
        chats = info is None or "chat" in info.capabilities
        features = ("tool_calling", "tool_choice", "tool_call_streaming", "structured_output")
        profile: dict[str, Any] = {"text_inputs": True, "text_outputs": True, **dict.fromkeys(features, chats)}
        # Of a provider's model nothing is known but its name, unless it was registered.
        if info is not None and (info.is_local or "images" in info.capabilities):
            profile["image_inputs"] = "images" in info.capabilities
        if info is not None and info.context_length:
            profile["max_input_tokens"] = info.context_length
        return profile

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # The cache's key. A model without a name is whatever its framework's default is, so that is part of the key.
        text = super()._get_llm_string(stop=stop, **kwargs)
        if self.model or kwargs.get("model"):
            return text
        framework, _ = self._resolve()
        return f"{text}---{framework.default_model_name()}"

    # ------------------------------------------------------------------------------------------------- answers
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with translated_errors():
            call = self._call(messages, stop, kwargs)
            if call.number > 1:
                return _chat_result(run(_answers, call), call)
            try:
                response = call.framework.sync.generate(call.prompt, **call.options)
            except StructuredOutputError as error:
                response = _answer_of(error)
        return _chat_result([response], call)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with translated_errors():
            call = self._call(messages, stop, kwargs)
            return _chat_result(await _answers(call), call)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with translated_errors():
            call = self._call(messages, stop, kwargs)
            with closing(call.framework.sync.stream(call.prompt, **call.options)) as chunks:
                for chunk in _with_its_end(chunks):
                    generation = _generation_chunk(chunk, call)
                    if generation is None:
                        continue
                    if run_manager:
                        run_manager.on_llm_new_token(generation.text, chunk=generation)
                    yield generation

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with translated_errors():
            call = self._call(messages, stop, kwargs)
            async with (
                aclosing(call.framework.stream(call.prompt, **call.options)) as stream,
                aclosing(_awith_its_end(stream)) as chunks,
            ):
                async for chunk in chunks:
                    generation = _generation_chunk(chunk, call)
                    if generation is None:
                        continue
                    if run_manager:
                        await run_manager.on_llm_new_token(generation.text, chunk=generation)
                    yield generation

    def _call(self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]) -> _Call:
        adapters.check_options(kwargs, _ALSO_TAKEN)
        options = {name: getattr(self, name) for name in _OPTION_FIELDS}
        options.update((name, kwargs[name]) for name in kwargs if name not in _ALSO_TAKEN)
        if stop is not None:
            options["stop"] = stop
        specs = options["tools"] = translate_tools.tool_specs(options.get("tools") or ())
        choice = translate_tools.tool_choice_name(options.get("tool_choice"), [spec.name for spec in specs])
        options["tool_choice"] = choice
        options["response_format"] = translate_tools.response_format(kwargs.get("response_format"))
        framework, name = self._resolve(kwargs.get("model"))
        one_tool_call = kwargs.get("parallel_tool_calls") is False
        if one_tool_call and specs:  # a provider that can is told; of others, the first call is kept
            options["metadata"] = {**(options.get("metadata") or {}), "parallel_tool_calls": False}
        given = {key: value for key, value in options.items() if value not in (None, [], ())}
        number = kwargs.get("n") or self.n
        if not isinstance(number, int) or number < 1:
            raise InvalidRequestError(f"n is {number!r}; it is how many answers to give, at least 1")
        return _Call(framework, translate.to_framework(messages), {"model_name": name, **given}, one_tool_call, number)

    # ------------------------------------------------------------------------------------------------- counting
    def get_token_ids(self, text: str) -> list[int]:
        """The ids of the text's tokens in a local model's own vocabulary.

        Raises `UnsupportedFeatureError` where the model is at a provider, which keeps its vocabulary to itself.
        """
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        ids = adapters.token_ids(*self._resolve(), text)
        if ids is None:
            message = "this model's vocabulary is not known here: get_num_tokens estimates; or set custom_get_token_ids"
            raise UnsupportedFeatureError(message, feature="token ids", model=self.model)
        return ids

    def get_num_tokens(self, text: str) -> int:
        """The tokens of the text: counted for a local model, else estimated."""
        try:
            return len(self.get_token_ids(text))
        except UnsupportedFeatureError:
            return count_tokens_approximately([("user", text)], extra_tokens_per_message=0)

    def get_num_tokens_from_messages(
        self,
        messages: list[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
    ) -> int:
        """The tokens of the whole prompt as the model is shown it: counted for a local model, else estimated."""
        specs = tuple(translate_tools.tool_specs(tools or ()))
        try:
            request = InferenceRequest(messages=tuple(translate.to_framework(messages)), tools=specs)
            counted = adapters.count_tokens(*self._resolve(), request)
        except (InvalidRequestError, UnsupportedFeatureError):
            counted = None  # trimming counts parts of chats too: none at all, or ones that no model would take
        return counted or count_tokens_approximately(messages, tools=[*translate_tools.openai_tools(tools or ())])

    # ------------------------------------------------------------------------------------------------- tools, forms
    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools that it may call.

        Args:
            tools: Functions, pydantic classes, LangChain tools or OpenAI's function dicts.
            tool_choice: "auto", "none", "any" (also "required" and True: at least one call), a tool's name, or
                OpenAI's dict; None and False leave it to the model.
            strict: Ask providers that know strict schemas to hold to them; local models always do.
            parallel_tool_calls: False keeps the first call of an answer only.
            response_format: The form of the answer that is no call: a class, a JSON schema, OpenAI's dict, or the
                framework's `ResponseFormat` (a regular expression, a grammar).
            kwargs: Further options of the call.

        Raises:
            InvalidRequestError: `tool_choice` names none of the tools.
        """
        as_dicts = translate_tools.openai_tools(tools, strict=strict)
        bound = {
            "tool_choice": translate_tools.tool_choice_name(tool_choice, translate_tools.names_of(as_dicts)),
            "parallel_tool_calls": parallel_tool_calls,
            "response_format": translate_tools.bound_response_format(response_format, strict),
        }
        return self.bind(tools=as_dicts, **{k: v for k, v in bound.items() if v is not None}, **kwargs)


# --------------------------------------------------------------------------------------------------------- helpers
async def _answers(call: _Call) -> list[InferenceResponse]:
    answers = await adapters.completions(call.framework, call.prompt, call.options, call.number)
    return [_answer_of(answer) if isinstance(answer, StructuredOutputError) else answer for answer in answers]


def _chat_result(responses: Sequence[InferenceResponse], call: _Call) -> ChatResult:
    generations = [ChatGeneration(message=_message(response, call)) for response in responses]
    return ChatResult(generations=generations, llm_output={"model_name": responses[0].model})


def _message(response: InferenceResponse, call: _Call) -> AIMessage:
    message = translate.to_ai_message(response)
    if call.one_tool_call:
        first = [call.id for call in response.tool_calls[:1]]
        message.tool_calls = [call for call in message.tool_calls if call["id"] in first]
        message.invalid_tool_calls = [call for call in message.invalid_tool_calls if call["id"] in first]
    return message


def _generation_chunk(chunk: Chunk, call: _Call) -> ChatGenerationChunk | None:
    if call.one_tool_call and chunk.tool_call is not None and chunk.tool_call.index > 0:
        return None
    message = translate.to_ai_chunk(chunk)
    return None if message is None else ChatGenerationChunk(message=message)


def _answer_of(error: StructuredOutputError) -> InferenceResponse:
    """The malformed answer itself: judging its form is the output parser's work, which `include_raw` can report."""
    if not isinstance(error.response, InferenceResponse):
        raise error
    return error.response


def _with_its_end(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    try:
        for chunk in chunks:
            yield from translate.with_broken_calls_marked(chunk)
    except StructuredOutputError as error:
        yield from translate.with_broken_calls_marked(_last_chunk(_answer_of(error)))


async def _awith_its_end(chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
    try:
        async for chunk in chunks:
            for marked in translate.with_broken_calls_marked(chunk):
                yield marked
    except StructuredOutputError as error:
        for marked in translate.with_broken_calls_marked(_last_chunk(_answer_of(error))):
            yield marked


def _last_chunk(response: InferenceResponse) -> Chunk:
    return Chunk(finish_reason=response.finish_reason, usage=response.usage, response=response)
