"""What the dialects share whose tools, calls and results the model's own chat template writes."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...types import InferenceRequest, Message, ToolCall, ToolResult, ToolSpec
from ..json_text import JsonText
from ..tool_calls import OutputParser, PlainText
from . import Quote, Tools, Turn
from .prompted import answer_form_text, check_parts, message_text, offered_tools


class TemplatedDialect:
    """Turns with `tool_calls` and the role `tool`, and tools as JSON schemas, as chat templates with tools take them.

    Everything from outside goes through `quote`: texts, and each string in arguments and schemas.
    """

    markers: frozenset[str] = frozenset()
    ends: frozenset[str] = frozenset()

    @abstractmethod
    def call_parser(self) -> OutputParser:
        """A fresh parser for an answer that may call tools."""

    def parser(self, request: InferenceRequest) -> OutputParser:
        """Calls are looked for only where tools were offered."""
        if offered_tools(request):
            return self.call_parser()
        form = request.response_format
        return PlainText() if form is None or form.schema is None else JsonText()

    def tools(self, request: InferenceRequest, quote: Quote = str) -> Tools | None:
        """The offered tools."""
        return [_tool(tool, quote) for tool in offered_tools(request)] or None

    def turns(self, request: InferenceRequest, quote: Quote = str) -> list[Turn]:
        """A system turn where there is something for it, then the chat. A system message that comes later is told by
        the user; what one side says in several messages is one turn."""
        messages = request.messages
        num_leading = next((i for i, message in enumerate(messages) if message.role != "system"), len(messages))
        system = [text for message in messages[:num_leading] if (text := message_text(message))]
        if request.response_format is not None:
            system.append(answer_form_text(request.response_format))
        turns = [Turn(role="system", content=quote("\n\n".join(system)))] if system else []
        return _merged([*turns, *self._chat(messages[num_leading:], quote)])

    def _chat(self, messages: Sequence[Message], quote: Quote) -> Iterable[Turn]:
        names: dict[str, str] = {}
        for message in messages:
            text = message_text(message)
            for call in message.tool_calls:
                names[call.id] = call.name
            if message.role == "assistant":
                yield _said(text, message.tool_calls, quote)
                continue
            for result in message.tool_results:
                yield _result(result, names.get(result.call_id, ""), quote)
            if text or not message.tool_results:
                yield Turn(role="user", content=quote(text))


def _said(text: str, calls: Sequence[ToolCall], quote: Quote) -> Turn:
    turn = Turn(role="assistant", content=quote(text))
    if calls:
        turn["tool_calls"] = [_call(call, quote) for call in calls]
    return turn


def _call(call: ToolCall, quote: Quote) -> dict[str, Any]:
    arguments = quote(call.raw_arguments) if call.arguments is None else _quoted(call.arguments, quote)
    return {"id": quote(call.id), "type": "function", "function": {"name": quote(call.name), "arguments": arguments}}


def _result(result: ToolResult, name: str, quote: Quote) -> Turn:
    if not isinstance(result.content, str):
        check_parts(result.content)
    text = f"Error: {result.text}" if result.is_error else result.text
    name = quote(result.name or name)
    return Turn(role="tool", content=quote(text), tool_call_id=quote(result.call_id), name=name)


def _tool(tool: ToolSpec, quote: Quote) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": _quoted(function, quote)}


def _quoted(value: Any, quote: Quote) -> Any:
    """A JSON value with every string in it quoted."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Mapping):
        return {quote(str(key)): _quoted(item, quote) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_quoted(item, quote) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return quote(json.dumps(value, default=str))


def _merged(turns: Iterable[Turn]) -> list[Turn]:
    merged: list[Turn] = []
    for turn in turns:
        last = merged[-1] if merged else None
        if last is not None and last["role"] == turn["role"] != "tool" and "tool_calls" not in last:
            texts = [text for text in (last["content"], turn["content"]) if text]
            merged[-1] = {**turn, "content": "\n\n".join(texts)}
        else:
            merged.append(turn)
    return merged
