"""`structured_predict` and its kin: objects by constrained JSON."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ChatResponseAsyncGen, ChatResponseGen
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.program.utils import get_program_for_llm
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import Model, PydanticProgramMode
from pydantic import BaseModel

from .structured import ComingObject, whole_object

dispatcher = get_dispatcher(__name__)


class StructuredPrediction(FunctionCallingLLM):
    """The four forms of `structured_predict`, by asking for JSON of the class's form.

    LlamaIndex's own way forces a tool call, and forgets to when streaming; this does both. A
    `pydantic_program_mode` other than the default has its own way still.
    """

    @dispatcher.span
    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """An instance of `output_cls`, from JSON of that form.

        Raises `StructuredOutputError` where the answer does not have it.
        """
        if not self._asks_for_json():
            return cast(Model, super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args))
        _predict_starts(output_cls, prompt, prompt_args)
        messages, options = self._structured_call(output_cls, prompt, llm_kwargs, prompt_args)
        return _predicted(output_cls, self.chat(messages, **options))

    @dispatcher.span
    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """`structured_predict`, on the caller's event loop."""
        if not self._asks_for_json():
            return cast(Model, await super().astructured_predict(output_cls, prompt, llm_kwargs, **prompt_args))
        _predict_starts(output_cls, prompt, prompt_args)
        messages, options = self._structured_call(output_cls, prompt, llm_kwargs, prompt_args)
        return _predicted(output_cls, await self.achat(messages, **options))

    def _structured_stream_call(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        if not self._asks_for_json():
            program = self._program(output_cls, prompt)
            return cast(Generator[Any, None, None], program.stream_call(llm_kwargs=llm_kwargs, **prompt_args))
        messages, options = self._structured_call(output_cls, prompt, llm_kwargs, prompt_args)
        return _objects(output_cls, self.stream_chat(messages, **options))

    async def _structured_astream_call(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        if not self._asks_for_json():
            program = self._program(output_cls, prompt)
            objects = await program.astream_call(llm_kwargs=llm_kwargs, **prompt_args)
            return cast(AsyncGenerator[Any, None], objects)
        messages, options = self._structured_call(output_cls, prompt, llm_kwargs, prompt_args)
        return _aobjects(output_cls, await self.astream_chat(messages, **options))

    def _asks_for_json(self) -> bool:
        return self.pydantic_program_mode == PydanticProgramMode.DEFAULT

    def _program(self, output_cls: Any, prompt: PromptTemplate) -> Any:
        # A program that streams does not require its call, unless it is told to choose one.
        mode = self.pydantic_program_mode
        forced = {"tool_choice": "any"} if mode == PydanticProgramMode.FUNCTION else {}
        return get_program_for_llm(output_cls, prompt, self, pydantic_program_mode=mode, **forced)

    def _structured_call(
        self, output_cls: Any, prompt: PromptTemplate, llm_kwargs: Mapping[str, Any] | None, prompt_args: dict[str, Any]
    ) -> tuple[list[ChatMessage], dict[str, Any]]:
        messages = self._extend_messages(prompt.format_messages(llm=self, **prompt_args))
        # `tool_required` and `tool_choice` belong to the other way; callers pass them to every model.
        ignored = ("tool_required", "tool_choice", "allow_parallel_tool_calls", "strict")
        options = {key: value for key, value in (llm_kwargs or {}).items() if key not in ignored}
        return messages, {**options, "response_format": output_cls}


def _predict_starts(output_cls: Any, prompt: PromptTemplate, prompt_args: dict[str, Any]) -> None:
    dispatcher.event(LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args))


def _predicted(output_cls: type[Model], response: ChatResponse) -> Model:
    result = cast(Model, whole_object(output_cls, response))
    dispatcher.event(LLMStructuredPredictEndEvent(output=result))
    return result


def _objects(output_cls: type[BaseModel], responses: ChatResponseGen) -> Generator[Any, None, None]:
    coming = ComingObject(output_cls)
    for response in responses:
        yield coming.read(response)


async def _aobjects(output_cls: type[BaseModel], responses: ChatResponseAsyncGen) -> AsyncGenerator[Any, None]:
    coming = ComingObject(output_cls)
    async for response in responses:
        yield coming.read(response)
