"""A request of ours as the body that Chat Completions wants. Pure functions, but for the images read from files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...errors import InvalidRequestError, UnsupportedFeatureError
from ...gateways import Gateway
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
from . import media

_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")
# What a server must be asked for in our words because its body has no field for it.
PARAMETERS = (
    "max_tokens", "temperature", "top_p", "top_k", "min_p", "stop", "seed", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "logit_bias", "logprobs", "thinking", "min_tokens", "ignore_eos",
)  # fmt: skip


def request_body(request: InferenceRequest, model: str, gateway: Gateway) -> dict[str, Any]:
    """Everything of the body but the parameters of generation and `stream`."""
    body: dict[str, Any] = {"model": model, "messages": chat_messages(request.messages, gateway)}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = _tool_choice(request.tool_choice, request.tools, gateway)
        if request.metadata.get("parallel_tool_calls") is not None:
            body["parallel_tool_calls"] = bool(request.metadata["parallel_tool_calls"])
    if request.response_format is not None:
        _ask_for_form(body, request.response_format, gateway)
    return body


def restated(body: Mapping[str, Any], refusal: str, gateway: Gateway) -> Gateway | None:
    """The gateway as its refusal of this body shows it to be, where the body can be said in the way it takes."""
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema" and "json_object" in refusal and not gateway.object_schema:
        return replace(gateway, object_schema=True)
    silent = any(message.get("content", "") is None for message in body["messages"])
    if silent and gateway.no_text is None and re.search(r"\bcontent\b|validation errors?", refusal):
        return replace(gateway, no_text="")
    return None


# ---------------------------------------------------------------------------------------------------------- parameters
def parameters(config: GenerationConfig, gateway: Gateway) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The parameters that are set: those the gateway takes, each with the fields that say it, and the names of those
    it has no field for."""
    taken: dict[str, dict[str, Any]] = {}
    refused: list[str] = []
    for name in PARAMETERS:
        value = getattr(config, name)
        if value is None or value == ():
            continue
        field = gateway.field_of(name)
        if field is None:
            refused.append(name)
        else:
            taken[name] = _fields(name, field, value, gateway)
    return taken, refused


def _fields(name: str, field: str, value: Any, gateway: Gateway) -> dict[str, Any]:
    if name == "thinking":
        return _thinking(value, field, gateway)
    if name == "logprobs":
        return {field: True, "top_logprobs": value}  # 0 too: without it, one server gives none at all
    if name == "logit_bias":
        return {field: {str(token): bias for token, bias in value.items()}}
    return {field: list(value) if name == "stop" else value}


def _thinking(value: str | int, field: str, gateway: Gateway) -> dict[str, Any]:
    on = value not in ("off", 0)
    if gateway.thinking == "openrouter":
        effort = {"max_tokens": value} if isinstance(value, int) else {"effort": value}
        return {"reasoning": effort if on else {"enabled": False}}
    if gateway.thinking == "deepseek":
        return {"thinking": {"type": "enabled" if on else "disabled"}}
    if gateway.thinking == "template":
        switch: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": on}}
        return {**switch, field: value} if on and isinstance(value, str) else switch
    if isinstance(value, int) and on:
        message = f"{gateway.name} takes thinking as off, low, medium or high, not as a budget of tokens"
        raise UnsupportedFeatureError(message, feature="thinking")
    return {field: value if on else gateway.thinking_off}


# ------------------------------------------------------------------------------------------------------------ messages
def chat_messages(messages: Iterable[Message], gateway: Gateway) -> list[dict[str, Any]]:
    """The messages; a tool message of ours with several results becomes one for each."""
    written: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "assistant":
            written.append(_assistant(message, gateway))
        elif message.role == "tool":
            written.extend(_tool_result(result, gateway) for result in message.tool_results)
        else:
            role = gateway.system_role if message.role == "system" else message.role
            written.append({"role": role, "content": _content(message.parts)})
        if message.name and message.role != "tool":
            written[-1]["name"] = message.name
    return written


def _assistant(message: Message, gateway: Gateway) -> dict[str, Any]:
    calls = message.tool_calls
    written: dict[str, Any] = {"role": "assistant", "content": message.text or (gateway.no_text if calls else "")}
    if calls:
        written["tool_calls"] = [_call(call, gateway) for call in calls]
    thinking = "".join(part.text for part in message.parts if isinstance(part, ThinkingPart))
    if thinking and calls and gateway.echo_thinking:
        written[gateway.echo_thinking] = thinking
    return written


def _call(call: ToolCall, gateway: Gateway) -> dict[str, Any]:
    arguments = call.raw_arguments.strip() or json.dumps(call.arguments or {}, ensure_ascii=False)
    return {
        "id": call_id(call.id, gateway),
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _tool_result(result: ToolResult, gateway: Gateway) -> dict[str, Any]:
    content = result.content if isinstance(result.content, str) else _content(result.content)
    return {"role": "tool", "tool_call_id": call_id(result.call_id, gateway), "content": content}


def call_id(id: str, gateway: Gateway) -> str:
    """The id as the gateway takes it; the same one of ours always becomes the same one there."""
    if not gateway.short_call_ids or _SHORT_ID.fullmatch(id):
        return id
    return hashlib.sha256(id.encode()).hexdigest()[:9]


def _content(parts: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    if all(isinstance(part, TextPart) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, TextPart))
    return [_part(part) for part in parts if not isinstance(part, ThinkingPart)]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        return {"type": "image_url", "image_url": {"url": part.url or media.read(part).data_url}}
    if isinstance(part, DocumentPart):
        return _document(part)
    raise InvalidRequestError(f"a {type(part).__name__} cannot stand in a message of this role")


def _document(part: DocumentPart) -> dict[str, Any]:
    if media.is_remote(part):
        message = "documents are sent along, not fetched: give its data or path instead of a URL"
        raise UnsupportedFeatureError(message, feature="document URLs")
    data = part.url or media.read(part).data_url
    return {"type": "file", "file": {"filename": media.file_name(part), "file_data": data}}


# ------------------------------------------------------------------------------------------------------ tools and form
def _tool(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    function.update({"strict": True} if tool.strict else {})
    return {"type": "function", "function": function}


def _tool_choice(choice: str, tools: Sequence[ToolSpec], gateway: Gateway) -> Any:
    if choice in ("auto", "none"):
        return choice
    if choice == "any" and gateway.any_tool is not None:
        return gateway.any_tool
    if not gateway.named_tool:
        raise UnsupportedFeatureError(f"{gateway.name} cannot be made to call a tool", feature="tool_choice")
    if choice == "any" and len(tools) > 1:
        message = f"{gateway.name} can be made to call one tool, not any of several: name it as tool_choice"
        raise UnsupportedFeatureError(message, feature="tool_choice")
    return {"type": "function", "function": {"name": tools[0].name if choice == "any" else choice}}


def _ask_for_form(body: dict[str, Any], form: ResponseFormat, gateway: Gateway) -> None:
    if form.lark is not None:
        message = (
            f"{gateway.name} holds no answer to a Lark grammar, which models on this machine do; give a JSON schema"
        )
        raise UnsupportedFeatureError(message, feature="response_format lark")
    if form.regex is not None:
        if gateway.regex_field is None:
            message = f"{gateway.name} holds no answer to a regular expression; give a JSON schema"
            raise UnsupportedFeatureError(message, feature="response_format regex")
        body["structured_outputs"] = {gateway.regex_field: form.regex}
        return
    schema = dict(form.schema or {})
    any_object = schema == {"type": "object"} and not form.strict
    if any_object or not gateway.json_schema:
        body["response_format"] = {"type": "json_object"}
        if not any_object:  # the form must be told in words
            text = f"Answer with JSON that fits this JSON schema, and nothing else:\n{json.dumps(schema)}"
            body["messages"] = [{"role": "system", "content": text}, *body["messages"]]
        return
    if gateway.object_schema:
        body["response_format"] = {"type": "json_object", "schema": schema}
        return
    strict = form.strict and is_closed(schema)
    wrapped = {"name": form.name, "schema": schema, **({"strict": True} if strict else {})}
    body["response_format"] = {"type": "json_schema", "json_schema": wrapped}


def is_closed(schema: Any) -> bool:
    """Whether every object in the schema requires all its properties and allows no others: what strict servers, which
    refuse anything else, call a strict schema."""
    if isinstance(schema, list):
        return all(is_closed(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object" or isinstance(schema.get("properties"), Mapping):
        names = set(schema.get("properties") or ())
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != names:
            return False
    return all(is_closed(value) for value in schema.values())
