"""What people may write for prompts, tools and response formats, turned into our values. Pure functions."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

from typing_extensions import TypedDict

from .errors import InvalidRequestError
from .types import (
    GenerationConfig,
    ImagePart,
    Message,
    Part,
    ResponseFormat,
    TextPart,
    ThinkingLevel,
    ToolCall,
    ToolResult,
    ToolSpec,
    new_call_id,
)


class GenerateOptions(TypedDict, total=False):
    """What a call may say besides its prompt. Everything may be left out, or None for the configured default.

    The fields of `GenerationConfig` mean what they mean there. `timeout` is in seconds, for everything. `tools`:
    `ToolSpec`s, OpenAI-style function dicts, or typed Python functions. `tool_choice`: "auto", "none", "any" or a
    tool's name. `response_format`: a pydantic class, a JSON schema, a regular expression or a `ResponseFormat`.
    `fallbacks`: model names.
    `strict_parameters` False leaves out what the model cannot take, and lists it, instead of raising.
    """

    model_name: str | None
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    stop: str | Sequence[str] | None
    seed: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    repetition_penalty: float | None
    logit_bias: Mapping[int, float] | None
    logprobs: int | None
    thinking: ThinkingLevel | int | None
    min_tokens: int | None
    ignore_eos: bool | None
    timeout: float | None
    tools: Sequence[Tool] | None
    tool_choice: str | None
    response_format: type[Any] | Mapping[str, Any] | ResponseFormat | str | None
    max_retries: int | None
    fallbacks: Sequence[str] | None
    strict_parameters: bool | None
    metadata: Mapping[str, Any] | None
    request_id: str | None
    config: GenerationConfig | None


Prompt = Union[str, Message, Sequence[Union[Message, Mapping[str, Any]]]]
Tool = Union[ToolSpec, Mapping[str, Any], Callable[..., Any]]


# Options that say how a call is made. Those that say how to generate are checked by `GenerationConfig`.
_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "model_name": ("a model's name", lambda value: isinstance(value, str)),
    "request_id": ("a text", lambda value: isinstance(value, str)),
    "config": ("a GenerationConfig", lambda value: isinstance(value, GenerationConfig)),
    "tools": ("a list of tools", lambda value: isinstance(value, Sequence) and not isinstance(value, str)),
    "tool_choice": ('"auto", "none", "any" or a tool\'s name', lambda value: isinstance(value, str)),
    "max_retries": ("a whole number, 0 or more", lambda value: type(value) is int and value >= 0),
    "fallbacks": ("a list of models' names", lambda value: _is_list_of_texts(value)),
    "strict_parameters": ("true or false", lambda value: isinstance(value, bool)),
    "metadata": ("a mapping", lambda value: isinstance(value, Mapping)),
}


def check_options(options: Mapping[str, Any]) -> None:
    """Raises `InvalidRequestError` for an option of a call that is of the wrong kind; None leaves any of them open."""
    for name, (wanted, fits) in _KINDS.items():
        value = options.get(name)
        if value is not None and not fits(value):
            raise InvalidRequestError(f"{name} must be {wanted}, not {value!r:.60}")


def _is_list_of_texts(value: Any) -> bool:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return is_list and all(isinstance(item, str) and item for item in value)


# ---------------------------------------------------------------------------------------------------------- messages
def as_messages(prompt: Prompt) -> tuple[Message, ...]:
    """Messages from a text, a message, or a list of messages and `{"role", "content"}` dicts (as OpenAI writes them,
    tool calls and results included)."""
    if isinstance(prompt, str):
        return (Message.user(prompt),)
    if isinstance(prompt, Message):
        return (prompt,)
    if not isinstance(prompt, (list, tuple)):
        raise InvalidRequestError(f"a prompt is a str or a list of messages, not {type(prompt).__name__}")
    return tuple(item if isinstance(item, Message) else _message_from_dict(item) for item in prompt)


def _message_from_dict(item: Any) -> Message:
    if not isinstance(item, Mapping) or "role" not in item:
        raise InvalidRequestError(f'a message is a Message or a dict with "role" and "content", not {item!r:.100}')
    role: Any = item["role"]
    content = item.get("content")
    if role == "tool":
        text = content if isinstance(content, str) else tuple(_parts(content))
        return Message.tool(ToolResult(str(item.get("tool_call_id", "")), text, name=item.get("name")))
    calls = [_tool_call(call) for call in item.get("tool_calls") or ()]
    role = "system" if role == "developer" else role
    return Message(role, (*_parts(content), *calls), name=item.get("name"))


def _parts(content: Any) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [TextPart(content)]
    if not isinstance(content, Sequence):
        raise InvalidRequestError(f"a message's content is a str or a list of parts, not {type(content).__name__}")
    return [_part(item) for item in content]


def _part(item: Any) -> Part:
    if isinstance(item, str):
        return TextPart(item)
    if not isinstance(item, Mapping):
        return typing.cast(Part, item)
    kind = item.get("type", "text")
    if kind == "text" and isinstance(item.get("text"), str):
        return TextPart(item["text"])
    if kind == "image_url":
        image = item.get("image_url")
        return ImagePart(url=image["url"] if isinstance(image, Mapping) else image)
    raise InvalidRequestError(f"a part of type {kind!r} in a dict is not understood; use the part classes")


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    function = call.get("function", call)
    arguments = function.get("arguments", "")
    if isinstance(arguments, Mapping):
        return ToolCall.create(function["name"], arguments, id=call.get("id"))
    return ToolCall.from_raw(call.get("id") or new_call_id(), function["name"], arguments or "")


# ------------------------------------------------------------------------------------------------------------- tools
def as_tools(tools: Sequence[Tool] | None) -> tuple[ToolSpec, ...]:
    """Tool specs from specs, OpenAI-style function dicts, and typed Python functions."""
    return tuple(_as_tool(tool) for tool in tools or ())


def _as_tool(tool: Any) -> ToolSpec:
    if isinstance(tool, ToolSpec):
        return tool
    if isinstance(tool, Mapping):
        function = tool.get("function", tool)
        if not isinstance(function, Mapping) or not function.get("name"):
            raise InvalidRequestError('a tool in a dict needs a "name" (as {"type": "function", "function": {…}})')
        parameters = function.get("parameters") or {"type": "object", "properties": {}}
        strict = function.get("strict") is True
        return ToolSpec(function["name"], function.get("description") or "", parameters, strict)
    if callable(tool):
        return _tool_from_function(tool)
    raise InvalidRequestError(f"a tool is a ToolSpec, a dict or a function, not {type(tool).__name__}")


def _tool_from_function(function: Callable[..., Any]) -> ToolSpec:
    """The tool that the function is: name, docstring, and the schema of its typed parameters."""
    from pydantic import Field, create_model

    name = getattr(function, "__name__", type(function).__name__)
    description, described = _split_docstring(inspect.getdoc(function) or "")
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise InvalidRequestError(f"the types of the tool {name!r} cannot be read: {error}") from None
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise InvalidRequestError(f"the tool {name!r} takes *args or **kwargs, which have no schema")
        default = ... if parameter.default is parameter.empty else parameter.default
        field = Field(default, description=described.get(parameter.name))
        fields[parameter.name] = (hints.get(parameter.name, Any), field)
    try:
        schema = create_model(name, **fields).model_json_schema()
    except Exception as error:  # pydantic raises several kinds for types it has no schema for
        raise InvalidRequestError(f"the tool {name!r} cannot be described as JSON schema: {error}") from None
    schema.pop("title", None)
    return ToolSpec(name, description, _without_titles(schema))


_SECTION = re.compile(r"^(args|arguments|parameters|returns?|raises|yields|examples?|notes?)\s*:?\s*$", re.IGNORECASE)
_ARGUMENT = re.compile(r"^\s*\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.+)$")
_SPHINX = re.compile(r"^\s*:param\s+(?:[^:]*\s)?(\w+):\s*(.+)$")


def _split_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description before the first section, and what the Args section (or `:param x:`) says of each parameter."""
    description: list[str] = []
    described: dict[str, str] = {}
    section, last = "", ""
    for line in text.splitlines():
        if match := _SECTION.match(line):
            section, last = match.group(1).lower(), ""
        elif match := _SPHINX.match(line):
            section, last = "sphinx", match.group(1)
            described[last] = match.group(2).strip()
        elif section in ("args", "arguments", "parameters") and (match := _ARGUMENT.match(line)):
            last = match.group(1)
            described[last] = match.group(2).strip()
        elif section and last and line.strip() and not line.strip().startswith(":"):
            described[last] += f" {line.strip()}"
        elif not section:
            description.append(line)
    return "\n".join(description).strip(), described


def _without_titles(schema: Any) -> Any:
    """The schema without the titles that pydantic makes of field names: they tell a model nothing."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # A property may itself be called "title": then its value is a schema, not a text.
    return {k: _without_titles(v) for k, v in schema.items() if not (k == "title" and isinstance(v, str))}


# --------------------------------------------------------------------------------------------------- response format
def as_response_format(form: Any) -> ResponseFormat | None:
    """A response format from a pydantic class (or any type that pydantic understands), a JSON schema (plain, or as
    OpenAI wraps it), or a regular expression."""
    if form is None or isinstance(form, ResponseFormat):
        return form
    if isinstance(form, str):
        return _from_regex(form)
    if isinstance(form, re.Pattern):
        return _from_regex(form.pattern)
    if isinstance(form, Mapping):
        return _from_schema(form)
    if inspect.isroutine(form):  # pydantic would describe its arguments
        raise InvalidRequestError(f"response_format is a function, {form!r}; give the class of its result")
    return _from_type(form)


def _from_regex(pattern: str) -> ResponseFormat:
    try:
        re.compile(pattern)
    except re.error as error:
        raise InvalidRequestError(f"response_format {pattern!r} is no regular expression: {error}") from None
    return ResponseFormat(regex=pattern)


def _from_schema(form: Mapping[str, Any]) -> ResponseFormat:
    if form.get("type") == "json_object":
        return ResponseFormat(schema={"type": "object"}, strict=False)
    if form.get("type") == "json_schema" and isinstance(form.get("json_schema"), Mapping):
        inner = form["json_schema"]
        return ResponseFormat(schema=inner.get("schema", {}), name=inner.get("name", "answer"))
    return ResponseFormat(schema=dict(form), name=_schema_name(form.get("title")))


def _from_type(form: Any) -> ResponseFormat:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        schema = TypeAdapter(form).json_schema()
    except (PydanticUserError, TypeError) as error:
        message = f"response_format is a pydantic class, a JSON schema or a regular expression, not {form!r:.60}"
        reason = str(error).splitlines()[0] if isinstance(form, type) else ""
        raise InvalidRequestError(f"{message}: {reason}" if reason else message) from None
    return ResponseFormat(schema=schema, name=_schema_name(getattr(form, "__name__", None)), python_type=form)


def _schema_name(title: Any) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(title or ""))[:64] or "answer"
