"""A request of ours as the body that OpenAI's Responses wants. Pure functions, but for the files that are read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...errors import InvalidRequestError, UnsupportedFeatureError
from ...types import (
    DocumentPart,
    GenerationConfig,
    ImagePart,
    InferenceRequest,
    Message,
    Part,
    ResponseFormat,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from . import chat_request, media

ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
# Our name of a parameter -> the body's field. There is none for a seed, stop strings, penalties and biases.
FIELDS: Mapping[str, str] = {
    "max_tokens": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "logprobs": "top_logprobs",
    "thinking": "reasoning",
}


def request_body(request: InferenceRequest, model: str, who: str, *, role: str, reasons: bool) -> dict[str, Any]:
    """Everything of the body but the parameters of generation and `stream`. Nothing is kept at the server: what a model
    that `reasons` thought comes encrypted, and is sent back to `who` encrypted it. `role` is that of instructions."""
    instructions, messages = _instructions(request.messages)
    body: dict[str, Any] = {"model": model, "input": input_items(messages, who, role), "store": False}
    if instructions:
        body["instructions"] = instructions
    if reasons:
        body["include"] = [ENCRYPTED]
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = _tool_choice(request.tool_choice)
        if request.metadata.get("parallel_tool_calls") is not None:
            body["parallel_tool_calls"] = bool(request.metadata["parallel_tool_calls"])
    if request.response_format is not None:
        body["text"] = {"format": _form(request.response_format)}
    return body


def parameters(
    config: GenerationConfig, *, off: str, summary: str | None, include: Sequence[str] = ()
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The parameters that are set: those that have a field, each with what says it, and the names of the others. `off`
    is the effort that means no thinking; `summary` how much of the thinking is told; `include` what the body asks for
    besides."""
    taken: dict[str, dict[str, Any]] = {}
    refused: list[str] = []
    for name in chat_request.PARAMETERS:
        value = getattr(config, name)
        if value is None or value == ():
            continue
        if name not in FIELDS:
            refused.append(name)
        else:
            taken[name] = {FIELDS[name]: _thinking(value, off) if name == "thinking" else value}
            if name == "logprobs":
                taken[name]["include"] = [*include, LOGPROBS]
    if summary and config.thinking not in ("off", 0):
        taken.setdefault("thinking", {"reasoning": {}})["reasoning"]["summary"] = summary
    return taken, refused


def _thinking(value: str | int, off: str) -> dict[str, Any]:
    if value in ("off", 0):
        return {"effort": off}
    if isinstance(value, int):
        message = "OpenAI takes thinking as off, low, medium or high, not as a budget of tokens"
        raise UnsupportedFeatureError(message, feature="thinking")
    return {"effort": value}


# --------------------------------------------------------------------------------------------------------------- items
def _instructions(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """The system messages at the beginning, as one text, and the other messages."""
    count = next((i for i, message in enumerate(messages) if message.role != "system"), len(messages))
    return "\n\n".join(message.text for message in messages[:count]), messages[count:]


def input_items(messages: Iterable[Message], who: str, role: str) -> list[dict[str, Any]]:
    """The messages as items; `who` gets its own reasoning back."""
    items: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "assistant":
            items.extend(_assistant(message, who))
        elif message.role == "tool":
            items.extend(_tool_result(result) for result in message.tool_results)
        else:
            name = role if message.role == "system" else "user"
            items.append({"role": name, "content": _content(message.parts)})
    return items


def _assistant(message: Message, who: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, ThinkingPart):
            items.extend(_reasoning(part, who))
        elif isinstance(part, TextPart) and part.text:
            items.append({"role": "assistant", "content": part.text, **_phase(part, who)})
        elif isinstance(part, ToolCall):
            items.append(_call(part))
    while items and items[-1].get("type") == "reasoning":  # refused where nothing follows it
        items.pop()
    return items


def _reasoning(part: ThinkingPart, who: str) -> list[dict[str, Any]]:
    """The item as it came, for the same provider only; one that is not encrypted would have to be kept there."""
    data = part.provider_data
    item = data.get("item") if data.get("provider") == who else None
    return [dict(item)] if isinstance(item, Mapping) and item.get("encrypted_content") else []


def _phase(part: TextPart, who: str) -> dict[str, Any]:
    data = part.provider_data
    return {"phase": data["phase"]} if data.get("provider") == who and data.get("phase") else {}


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = call.raw_arguments.strip() or json.dumps(call.arguments or {}, ensure_ascii=False)
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments}


def _tool_result(result: ToolResult) -> dict[str, Any]:
    content = result.content if isinstance(result.content, str) else _content(result.content)
    return {"type": "function_call_output", "call_id": result.call_id, "output": content}


def _content(parts: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    if all(isinstance(part, TextPart) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, TextPart))
    return [_part(part) for part in parts if not isinstance(part, ThinkingPart)]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, ImagePart):
        return {"type": "input_image", "image_url": part.url or media.read(part).data_url, "detail": "auto"}
    if isinstance(part, DocumentPart):
        if media.is_remote(part):
            return {"type": "input_file", "file_url": part.url}
        data = part.url or media.read(part).data_url
        return {"type": "input_file", "filename": media.file_name(part), "file_data": data}
    raise InvalidRequestError(f"a {type(part).__name__} cannot stand in a message of this role")


# ------------------------------------------------------------------------------------------------------ tools and form
def _tool(tool: ToolSpec) -> dict[str, Any]:
    # `strict` is always said: without it, this endpoint takes every tool for a strict one.
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "strict": tool.strict,
    }


def _tool_choice(choice: str) -> Any:
    if choice in ("auto", "none"):
        return choice
    return "required" if choice == "any" else {"type": "function", "name": choice}


def _form(form: ResponseFormat) -> dict[str, Any]:
    if form.schema is None:
        kind = "regular expression" if form.regex is not None else "Lark grammar"
        feature = "response_format regex" if form.regex is not None else "response_format lark"
        raise UnsupportedFeatureError(f"OpenAI holds no answer to a {kind}; give a JSON schema", feature=feature)
    schema = dict(form.schema)
    if schema == {"type": "object"} and not form.strict:
        return {"type": "json_object"}
    strict = form.strict and chat_request.is_closed(schema)
    return {"type": "json_schema", "name": form.name, "schema": schema, "strict": strict}
