"""`FrameworkLLM`: every model of llm-framework, as a LlamaIndex LLM."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, NamedTuple

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
    ToolCallBlock,
)
from llama_index.core.bridge.pydantic import Field, PrivateAttr, SecretStr, field_serializer
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW, DEFAULT_NUM_OUTPUTS
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.utils import get_tokenizer
from pydantic import ConfigDict

from llm_framework import adapters
from llm_framework.errors import InvalidRequestError
from llm_framework.redaction import redact_value
from llm_framework.secrets import remember_settings
from llm_framework.types import Message, ThinkingLevel, ToolSpec

from . import messages as translate
from .prediction import StructuredPrediction
from .structured import partial_json

if TYPE_CHECKING:
    from llama_index.core.tools.types import BaseTool

_OPTION_FIELDS = (*adapters.CONFIG_FIELDS, "timeout", "max_retries", "fallbacks")
_ALSO_TAKEN = frozenset(("model", "response_format", "parallel_tool_calls"))


class _Call(NamedTuple):
    """A call of the framework: who, what, and how."""

    framework: Any
    prompt: list[Message]
    options: dict[str, Any]
    one_tool_call: bool


class FrameworkLLM(StructuredPrediction):
    """An LLM that llm-framework runs: a local Gemma model on this machine, or one at a provider.

    `model` is a registry name, `provider:model`, or a well-known cloud name; None takes the configured default, else
    the best model of the models folder, else the bundled one. Options that are None are the framework's defaults;
    each may be given in a call too, as in `llm.complete("hi", temperature=0)`. Making one loads nothing.

    Example:
        from llama_index.llms.llm_framework import FrameworkLLM

        llm = FrameworkLLM(temperature=0)
        print(llm.complete("What is the capital of France?"))
    """

    model: str | None = Field(default=None, description="The model's name.")
    temperature: float | None = Field(default=None, description="0 always takes the likeliest token.")
    max_tokens: int | None = Field(default=None, description="The most tokens to generate.")
    context_window: int | None = Field(default=None, description="Tokens of prompt and answer; None asks the model.")
    top_p: float | None = Field(default=None)
    top_k: int | None = Field(default=None)
    min_p: float | None = Field(default=None)
    seed: int | None = Field(default=None)
    presence_penalty: float | None = Field(default=None)
    frequency_penalty: float | None = Field(default=None)
    repetition_penalty: float | None = Field(default=None)
    logit_bias: dict[int, float] | None = Field(default=None)
    logprobs: int | None = Field(default=None, description="How many alternatives to report at each token.")
    min_tokens: int | None = Field(default=None, description="How many tokens the answer has at least.")
    ignore_eos: bool | None = Field(default=None, description="Whether no end token ends the answer.")
    thinking: ThinkingLevel | int | None = Field(default=None, description="An effort, or a budget in tokens.")
    stop: list[str] | str | None = Field(default=None, description="Texts that end the answer.")
    timeout: float | None = Field(default=None, description="Seconds for everything, with retries and fallbacks.")
    max_retries: int | None = Field(default=None, description="How often a failed request is repeated.")
    fallbacks: list[str] | None = Field(default=None, description="Models to ask when this one fails.")
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)
    base_url: str | None = Field(default=None, description="Where the provider is that `model` names.")
    framework: Any = Field(default=None, exclude=True, repr=False)

    # An option that is misspelt should not be silently without effect.
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    _metadata: tuple[Any, LLMMetadata] | None = PrivateAttr(default=None)

    def __init__(self, model: str | None = None, **kwargs: Any) -> None:
        """See the fields for the keywords; LlamaIndex's own (`callback_manager`, `system_prompt`, …) are taken too."""
        kwargs.pop("class_name", None)  # `from_dict` gives back what `to_dict` wrote
        kwargs["model"] = model
        super().__init__(**kwargs)
        remember_settings({"api_key": self.api_key, "base_url": self.base_url})

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, redact_value(value)  # a URL may hold a password

    @classmethod
    def from_framework(cls, framework: Any, model: str | None = None, **kwargs: Any) -> FrameworkLLM:
        """An LLM answered by this `LLMFramework`, with its configuration, plugins and statistics."""
        return cls(model, framework=framework, **kwargs)

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex writes into events and files."""
        return "FrameworkLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex plans prompts with: the model's name, its context window, and the most it will answer."""
        key = (self.model, self.context_window, self.max_tokens)
        if self._metadata is None or self._metadata[0] != key:
            self._metadata = (key, self._read_metadata())
        return self._metadata[1]

    def _read_metadata(self) -> LLMMetadata:
        framework, name = self._resolve()
        info = adapters.model_info(framework, name)
        config = getattr(framework, "config", None)
        window = self.context_window or getattr(info, "context_length", None) or DEFAULT_CONTEXT_WINDOW
        default = getattr(config, "default_max_tokens", None) or DEFAULT_NUM_OUTPUTS
        return LLMMetadata(
            context_window=window,
            # Engines keep this much free in every prompt: a default must not leave a small model without room.
            num_output=self.max_tokens or min(default, window // 4),
            is_chat_model=True,
            is_function_calling_model=True,
            model_name=name or getattr(info, "name", None) or "default",
        )

    @property
    def tokenizer(self) -> Callable[[str], list[int]]:
        """The model's own tokenizer; for a model elsewhere, the one LlamaIndex has.

        LlamaIndex packs prompts and memories by a tokenizer of its own, which for a local model may count half of what
        it reads: long documents then overflow a small context window. `Settings.tokenizer = llm.tokenizer` cures it.
        Loads a local model, and blocks meanwhile.
        """
        known = adapters.token_ids(*self._resolve(), "") is not None
        return self._token_ids if known else get_tokenizer()

    # A method, because splitters and memories that hold it are copied and pickled, as the LLM can be.
    def _token_ids(self, text: str) -> list[int]:
        return adapters.token_ids(*self._resolve(), text) or []

    @field_serializer("base_url")
    def _url_without_password(self, url: str | None) -> str | None:
        return redact_value(url)

    # ------------------------------------------------------------------------------------------------- copy, pickle
    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> FrameworkLLM:
        memo = {} if memo is None else memo
        if self.framework is not None:
            memo[id(self.framework)] = self.framework  # copies share it: it holds models and connections
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[str, Any]:
        # A framework holds threads and connections; in another process the shared one answers, with the key that it
        # finds there: a file or a queue is no place for one.
        portable = self.model_copy(update={"framework": None, "api_key": None})
        return super(FrameworkLLM, portable).__getstate__()

    # ------------------------------------------------------------------------------------------------- chat
    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The answer to a chat. `kwargs` are options of the call."""
        return self._chat(messages, kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """The answer to a chat, as it comes; each response holds the whole message so far."""
        return self._stream_chat(self._call(messages, kwargs))

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """`chat`, on the caller's event loop."""
        return await self._achat(messages, kwargs)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """`stream_chat`, on the caller's event loop: await it, then iterate."""
        return self._astream_chat(self._call(messages, kwargs))

    def _chat(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        call = self._call(messages, kwargs)
        response = call.framework.sync.generate(call.prompt, **call.options)
        return translate.to_chat_response(translate.first_call_only(response) if call.one_tool_call else response)

    async def _achat(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> ChatResponse:
        call = self._call(messages, kwargs)
        response = await call.framework.generate(call.prompt, **call.options)
        return translate.to_chat_response(translate.first_call_only(response) if call.one_tool_call else response)

    # The decorators recognise a stream by its type, so these two must be generators.
    def _stream_chat(self, call: _Call) -> Generator[ChatResponse, None, None]:
        answer = translate.StreamedResponse(call.one_tool_call)
        with closing(call.framework.sync.stream(call.prompt, **call.options)) as chunks:
            for chunk in chunks:
                response = answer.add(chunk)
                if response is not None:
                    yield response

    async def _astream_chat(self, call: _Call) -> AsyncGenerator[ChatResponse, None]:
        answer = translate.StreamedResponse(call.one_tool_call)
        async with aclosing(call.framework.stream(call.prompt, **call.options)) as chunks:
            async for chunk in chunks:
                response = answer.add(chunk)
                if response is not None:
                    yield response

    # ------------------------------------------------------------------------------------------------- complete
    # These call the undecorated forms: one question is one pair of events.
    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The answer to a text, sent as one user message."""
        return _completion(self._chat(self._prompt(prompt, formatted), kwargs))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """The answer to a text, as it comes."""
        responses = self._stream_chat(self._call(self._prompt(prompt, formatted), kwargs))

        def stream() -> CompletionResponseGen:
            with closing(responses):
                for response in responses:
                    yield _completion(response)

        return stream()

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """`complete`, on the caller's event loop."""
        return _completion(await self._achat(self._prompt(prompt, formatted), kwargs))

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """`stream_complete`, on the caller's event loop: await it, then iterate."""
        responses = self._astream_chat(self._call(self._prompt(prompt, formatted), kwargs))

        async def stream() -> CompletionResponseAsyncGen:
            async with aclosing(responses):
                async for response in responses:
                    yield _completion(response)

        return stream()

    def _prompt(self, prompt: str, formatted: bool) -> list[ChatMessage]:
        text = self.completion_to_prompt(prompt) if self.completion_to_prompt and not formatted else prompt
        return [ChatMessage(role=MessageRole.USER, content=text)]

    # ------------------------------------------------------------------------------------------------- the call
    def _call(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> _Call:
        adapters.check_options(kwargs, _ALSO_TAKEN)
        options = {name: getattr(self, name) for name in _OPTION_FIELDS}
        options.update((name, kwargs[name]) for name in kwargs if name not in ("model", "parallel_tool_calls"))
        if options.get("tools"):
            options["tools"] = [_tool_spec(tool) for tool in options["tools"]]
            options["tool_choice"] = _tool_choice(options.get("tool_choice"))
        one_tool_call = kwargs.get("parallel_tool_calls") is False
        if one_tool_call and options.get("tools"):  # a provider that can is told; of others, the first call is kept
            options["metadata"] = {**(options.get("metadata") or {}), "parallel_tool_calls": False}
        given = {key: value for key, value in options.items() if value not in (None, [], ())}
        framework, name = self._resolve(kwargs.get("model"))
        return _Call(framework, translate.to_framework(messages), {"model_name": name, **given}, one_tool_call)

    def _resolve(self, model: str | None = None) -> tuple[Any, str | None]:
        key = self.api_key.get_secret_value() if self.api_key else None
        return adapters.resolve(model or self.model, api_key=key, base_url=self.base_url, framework=self.framework)

    # ------------------------------------------------------------------------------------------------- tools
    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: str | dict[str, Any] | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The keywords of `chat` for a chat with tools; the caller's history is not changed. `strict` is taken because
        OpenAI's class has it; local models are held to the tools' schemas without it."""
        messages = list(chat_history or [])
        if user_msg is not None:
            as_message = ChatMessage(role=MessageRole.USER, content=user_msg) if isinstance(user_msg, str) else user_msg
            messages.append(as_message)
        prepared: dict[str, Any] = {"messages": messages, **kwargs}
        if tools:
            prepared["tools"] = [tool.metadata.to_openai_tool(skip_length_check=True) for tool in tools]
            prepared["tool_choice"] = tool_choice or ("any" if tool_required else "auto")
            prepared["parallel_tool_calls"] = allow_parallel_tool_calls
        return prepared

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """The calls in a response. Arguments that are still coming are read as far as they go.

        Raises `InvalidRequestError` (a ValueError) when there is none and `error_on_no_tool_call`.
        """
        blocks = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        if not blocks and error_on_no_tool_call:
            raise InvalidRequestError("the model was expected to call a tool, but answered without")
        return [
            ToolSelection(
                tool_id=block.tool_call_id or "", tool_name=block.tool_name, tool_kwargs=_arguments(block.tool_kwargs)
            )
            for block in blocks
        ]


# --------------------------------------------------------------------------------------------------------- helpers
def _completion(response: ChatResponse) -> CompletionResponse:
    return CompletionResponse(
        text=response.message.content or "",
        delta=response.delta,
        raw=response.raw,
        logprobs=response.logprobs,
        additional_kwargs=response.additional_kwargs,
    )


def _tool_spec(tool: Any) -> ToolSpec:
    if isinstance(tool, ToolSpec):
        return tool
    as_dict = tool if isinstance(tool, Mapping) else tool.metadata.to_openai_tool(skip_length_check=True)
    function = as_dict.get("function", as_dict)
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    return ToolSpec(function["name"], function.get("description") or "", parameters)


def _tool_choice(choice: Any) -> str | None:
    if isinstance(choice, Mapping):
        choice = choice.get("function", choice).get("name") or choice.get("type")
    return "any" if choice in ("required", True) else choice or None


def _arguments(arguments: dict[str, Any] | str) -> dict[str, Any]:
    if isinstance(arguments, dict):
        return arguments
    value = partial_json(arguments)
    return value if isinstance(value, dict) else {}
