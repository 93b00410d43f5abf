"""Structured output: the same for every chat model here, one model or several."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Literal

from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import BaseOutputParser
from langchain_core.outputs import ChatGeneration
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel

from llm_framework.errors import InvalidRequestError

from . import tools as translate_tools
from .binding import BoundChatModel
from .parsers import StrictJsonParser, StrictKeyToolsParser, StrictPydanticParser, StrictPydanticToolsParser


class StructuredOutputModel(BaseChatModel):
    """A chat model that takes `response_format` and forced tool calls as options of a call."""

    def bind(self, **kwargs: Any) -> BoundChatModel:  # type: ignore[override]
        """The model with these options in every call."""
        return BoundChatModel(bound=self, kwargs=kwargs, config={})

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> BoundChatModel:
        """The model with this configuration (tags, metadata, callbacks, …) in every call."""
        return BoundChatModel(bound=self, kwargs={}, config={**(config or {}), **kwargs})  # type: ignore[typeddict-item]

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: Literal["json_schema", "function_calling", "json_mode"] = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """The model, answering with an instance of `schema` (a pydantic class) or a dict (any other schema).

        Args:
            schema: A pydantic class (v1 or v2), a TypedDict, a JSON schema or an OpenAI function dict.
            method: "json_schema" asks for JSON of that form, "function_calling" for the call of a tool with such
                arguments, "json_mode" for JSON (of that form too, where a schema is given).
            include_raw: Give a dict of `raw` (the message), `parsed` and `parsing_error` instead, and do not raise.
            strict: Ask providers that know strict schemas to hold to it.
            tools: Tools that the model may call instead of answering.
            kwargs: Further options of the call.

        Raises:
            ValueError: The method is unknown, or needs a schema and got none.
        """
        if schema is None and method != "json_mode":
            raise InvalidRequestError(f"the method {method!r} needs a schema")
        if typing.get_origin(schema) is not None:  # a list, a union
            kinds = "a pydantic class, a TypedDict or a JSON schema"
            raise InvalidRequestError(f"{schema!r} is no schema of an answer: give {kinds}, with this as a field of it")
        form = {"ls_structured_output_format": {"kwargs": {"method": method, "strict": strict}, "schema": schema}}
        if method == "function_calling":
            model, parser = self._as_function(schema, strict, tools, {**form, **kwargs})
        elif method in ("json_schema", "json_mode"):
            model, parser = self._as_json(schema, strict, tools, {**form, **kwargs})
        else:
            raise InvalidRequestError(f"method is {method!r}; it is json_schema, function_calling or json_mode")
        return _with_raw(model, parser) if include_raw else model | parser

    def _as_json(self, schema: Any, strict: bool | None, tools: Any, kwargs: dict[str, Any]) -> tuple[Any, Any]:
        wanted = {"type": "json_object"} if schema is None else schema
        format = translate_tools.openai_response_format(wanted, strict)
        model = (
            self.bind_tools(tools, response_format=format, strict=strict, **kwargs)
            if tools
            else self.bind(response_format=format, **kwargs)
        )
        return model, _json_parser(schema)

    def _as_function(self, schema: Any, strict: bool | None, tools: Any, kwargs: dict[str, Any]) -> tuple[Any, Any]:
        if isinstance(schema, dict) and "properties" in schema and "title" not in schema:
            schema = {"title": "answer", **schema}  # as `_as_json` calls it too
        name = translate_tools.names_of(translate_tools.openai_tools([schema]))[0]
        others = frozenset(translate_tools.names_of(translate_tools.openai_tools(tools or ())))
        choice = "any" if others else name
        model = self.bind_tools([schema, *(tools or ())], tool_choice=choice, strict=strict, **kwargs)
        if _is_pydantic(schema):
            return model, StrictPydanticToolsParser(tools=[schema], first_tool_only=True, others=others)
        return model, StrictKeyToolsParser(key_name=name, first_tool_only=True)


# --------------------------------------------------------------------------------------------------------- helpers
def _is_pydantic(schema: Any) -> bool:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


def _json_parser(schema: Any) -> BaseOutputParser[Any]:
    return StrictPydanticParser(pydantic_object=schema) if _is_pydantic(schema) else StrictJsonParser()


def _with_raw(model: Runnable[Any, Any], parser: BaseOutputParser[Any]) -> Runnable[Any, Any]:
    # Not LangChain's usual `with_fallbacks` around the parser: that raises where a stream ends malformed.
    def value(message: BaseMessage, config: RunnableConfig) -> Any:
        try:
            return parser.invoke(message, config)
        except Exception:
            return None

    def error(message: BaseMessage) -> Exception | None:
        try:
            parser.parse_result([ChatGeneration(message=message)])
        except Exception as error:
            return error
        return None

    raw = itemgetter("raw")
    return RunnableMap(raw=model) | RunnablePassthrough.assign(
        parsed=raw | RunnableLambda(value), parsing_error=raw | RunnableLambda(error)
    )
