"""Tools, tool choices and response formats: LangChain's many spellings, and the one that the framework takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel

from llm_framework.errors import InvalidRequestError, UnsupportedFeatureError
from llm_framework.types import ResponseFormat, ToolSpec

ToolLike = Mapping[str, Any] | type | Callable[..., Any] | BaseTool
ANY_OBJECT: Mapping[str, Any] = {"type": "object"}


def openai_tools(tools: Sequence[ToolLike], strict: bool | None = None) -> list[dict[str, Any]]:
    """The tools as OpenAI's function dicts, the form that LangChain traces, caches and compares."""
    converted: list[dict[str, Any]] = []
    for tool in tools:
        as_dict = convert_to_openai_tool(tool, strict=strict)
        if as_dict.get("type") != "function":
            kind = as_dict.get("type")
            raise UnsupportedFeatureError(f"the tool {kind!r} runs at one provider only; give functions", feature=kind)
        converted.append(as_dict)
    return converted


def names_of(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of tools written as OpenAI's function dicts."""
    return [tool["function"]["name"] for tool in tools]


def tool_specs(tools: Sequence[Any]) -> list[ToolSpec]:
    """The framework's tools for what `bind_tools` bound, or for what a caller gave as `tools=` by hand."""
    return [tool if isinstance(tool, ToolSpec) else _tool_spec(tool) for tool in tools]


def _tool_spec(tool: ToolLike) -> ToolSpec:
    function = openai_tools([tool])[0]["function"]
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    return ToolSpec(function["name"], function.get("description") or "", parameters, function.get("strict") is True)


def tool_choice_name(choice: Any, names: Sequence[str]) -> str | None:
    """The framework's word for LangChain's `tool_choice`: None, "auto", "none", "any" or one of the tools' names.

    Raises `InvalidRequestError` where it names a tool that is not there.
    """
    if choice is None or choice is False:
        return None
    if choice in (True, "required"):
        return "any"
    if isinstance(choice, Mapping):  # OpenAI's {"type": "function", "function": {"name": …}}, Anthropic's {"name": …}
        choice = choice.get("function", choice).get("name") or choice.get("type")
        return tool_choice_name(choice, names)
    if choice not in names and choice not in ("auto", "none", "any"):
        raise InvalidRequestError(f"tool_choice names the tool {choice!r}; the tools are {', '.join(names) or 'none'}")
    return str(choice)


def bound_response_format(value: Any, strict: bool | None = None) -> Any:
    """What is bound for a response format: OpenAI's dict, or the framework's own, which can hold more."""
    return value if value is None or isinstance(value, ResponseFormat) else openai_response_format(value, strict)


def openai_response_format(value: Any, strict: bool | None = None) -> dict[str, Any]:
    """A response format as OpenAI writes it, from a class, a JSON schema or such a dict."""
    if isinstance(value, Mapping) and value.get("type") in ("json_schema", "json_object", "text"):
        return dict(value)
    schema = _closed(json_schema(value)) if strict else json_schema(value)
    format: dict[str, Any] = {"name": schema_name(value, schema), "schema": schema}
    if strict is not None:
        format["strict"] = strict
    return {"type": "json_schema", "json_schema": format}


def _closed(schema: Any) -> Any:
    """The schema as strict providers take it: objects have all their properties and no others. An optional one has its
    null, or its default, written out."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = {key: value if key in _VALUES else _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), Mapping) and schema.get("type", "object") == "object":
        closed["required"] = list(schema["properties"])
        closed.setdefault("additionalProperties", False)
    return closed


_VALUES = ("enum", "const", "default", "examples")  # what these hold is no schema


def response_format(value: Any) -> Any:
    """The framework's response format for OpenAI's dict; None for plain text."""
    if value is None or isinstance(value, (str, ResponseFormat)):
        return value
    format = openai_response_format(value)
    if format["type"] == "text":
        return None
    if format["type"] == "json_object":
        return ResponseFormat(schema=ANY_OBJECT, strict=False)
    inner = format["json_schema"]
    return ResponseFormat(
        schema=inner["schema"], name=inner.get("name", "answer"), strict=inner.get("strict") is not False
    )


def json_schema(schema: Any) -> dict[str, Any]:
    """The JSON schema of a pydantic class (v1 or v2), a TypedDict, an OpenAI function dict, or a JSON schema."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return schema.model_json_schema()
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return dict(schema.schema())  # type: ignore[attr-defined]
    if isinstance(schema, Mapping):
        inner = schema.get("function", schema)
        if "parameters" in inner:
            return {"title": inner.get("name", "answer"), **inner["parameters"]}
        if "type" in schema or "$ref" in schema or "anyOf" in schema:
            return dict(schema)
    return convert_to_json_schema(schema)


def schema_name(schema: Any, as_json: Mapping[str, Any]) -> str:
    """What to call a schema: its class's name, or its title."""
    if isinstance(schema, type):
        return schema.__name__
    return str(as_json.get("title") or "answer")
