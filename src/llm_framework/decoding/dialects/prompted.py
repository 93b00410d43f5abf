"""The prompted tool dialect: tools, calls and results as plain text. Specified in `docs/prompted-dialect.md`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from ...errors import UnsupportedFeatureError
from ...types import (
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
from ..json_text import JsonText
from ..schema_text import parameters_text, properties, type_text
from ..tool_calls import CALL_END, CALL_START, OutputParser, PlainText, ToolCallParser
from . import Quote, Turn

RESULT_START = "<tool_result>"
RESULT_END = "</tool_result>"
_TOOLS_HEAD = "You can call these tools:"
_HOW_TO_CALL = f'To call a tool, reply with {CALL_START}{{"name": "NAME", "arguments": {{...}}}}{CALL_END}'


class PromptedDialect:
    """The dialect of Gemma 1 to 3 and of the bundled model."""

    markers = frozenset({CALL_START, CALL_END})
    # A model that goes on after its call invents the user's next turn, or the call's result.
    ends = frozenset({"<start_of_turn>", "<end_of_turn>", RESULT_START})

    def turns(self, request: InferenceRequest, quote: Quote = str) -> list[Turn]:
        """A system turn where there is something for it, then user and assistant turns that alternate. A system message
        that comes later goes to the head of the next user turn."""
        messages = request.messages
        num_leading = next((i for i, message in enumerate(messages) if message.role != "system"), len(messages))
        leading = [quote(message_text(message)) for message in messages[:num_leading]]
        system = system_text(leading, offered_tools(request), request.response_format, quote)
        turns = [Turn(role="system", content=system)] if system else []
        calls: Sequence[ToolCall] = ()
        for is_assistant, group in groupby(messages[num_leading:], key=lambda message: message.role == "assistant"):
            if is_assistant:
                said = list(group)
                calls = [call for message in said for call in message.tool_calls]
                turns.append(Turn(role="assistant", content=model_text(said, request.tools, quote)))
            else:
                turns.append(Turn(role="user", content=user_text(group, calls, quote)))
        return turns

    def tools(self, request: InferenceRequest, quote: Quote = str) -> None:
        """None: the turns tell of the tools."""

    def parser(self, request: InferenceRequest) -> OutputParser:
        """Calls are looked for only where tools were offered."""
        if offered_tools(request):
            return ToolCallParser()
        form = request.response_format
        return PlainText() if form is None or form.schema is None else JsonText()


def offered_tools(request: InferenceRequest) -> tuple[ToolSpec, ...]:
    """The tools that the model may call in this answer: none, all, or the one that `tool_choice` names."""
    if request.tool_choice == "none":
        return ()
    if request.tool_choice in (None, "auto", "any"):
        return request.tools
    return tuple(tool for tool in request.tools if tool.name == request.tool_choice)


# --------------------------------------------------------------------------------------------------- the system text
def system_text(
    texts: Iterable[str], tools: Sequence[ToolSpec], response_format: ResponseFormat | None, quote: Quote = str
) -> str:
    """System messages, the tools and the form of the answer, with a blank line between them."""
    blocks = [text for text in texts if text]
    if tools:
        blocks.append(tools_text(tools, quote))
    if response_format is not None:
        blocks.append(quote(answer_form_text(response_format)))
    return "\n\n".join(blocks)


def tools_text(tools: Sequence[ToolSpec], quote: Quote = str) -> str:
    """The tools and how to call them."""
    return framed_tools(quote(_tool_text(tool)) for tool in tools)


def framed_tools(declarations: Iterable[str]) -> str:
    """The declarations of tools with what stands before and after them."""
    return "\n".join([_TOOLS_HEAD, *declarations, _HOW_TO_CALL])


def answer_form_text(response_format: ResponseFormat) -> str:
    """The wish for JSON of a schema's form, or for text that matches a regular expression or a grammar."""
    if response_format.lark is not None:
        return f"Reply only with text that this grammar (Lark) allows:\n{response_format.lark.strip()}"
    if response_format.schema is None:
        return f"Reply only with text that matches this regular expression:\n{response_format.regex}"
    return f"Reply only with JSON of this form:\n{type_text(response_format.schema)}"


def _tool_text(tool: ToolSpec) -> str:
    description = _one_line(tool.description)
    lines = [f"{tool.name}({parameters_text(tool.parameters)})" + (f" - {description}" if description else "")]
    for name, _, schema in properties(tool.parameters):
        about = _one_line(schema.get("description")) if isinstance(schema, Mapping) else ""
        if about:
            lines.append(f"  {name}: {about}")
    return "\n".join(lines)


def _one_line(text: object) -> str:
    return " ".join(text.split()) if isinstance(text, str) else ""


# ---------------------------------------------------------------------------------------------------------- the turns
def model_text(messages: Sequence[Message], tools: Sequence[ToolSpec] = (), quote: Quote = str) -> str:
    """What the model said, as it wrote it: text, then its calls, one a line."""
    lines: list[str] = []
    for message in messages:
        text = message_text(message)
        lines += [quote(text)] if text else []
        lines += [call_text(call, tools, quote) for call in message.tool_calls]
    return "\n".join(lines)


def call_text(call: ToolCall, tools: Sequence[ToolSpec] = (), quote: Quote = str) -> str:
    """One call, its arguments in the order in which the tool declares them."""
    if call.arguments is None:
        arguments = call.raw_arguments
    else:
        arguments = json.dumps(_in_order(call.arguments, call.name, tools), ensure_ascii=False, default=str)
    inner = f'{{"name": {json.dumps(call.name, ensure_ascii=False)}, "arguments": {arguments}}}'
    return f"{CALL_START}{quote(inner)}{CALL_END}"


def user_text(messages: Iterable[Message], calls: Sequence[ToolCall] = (), quote: Quote = str) -> str:
    """A user turn: the results of `calls` in their order, one a line; then, after a blank line, what the user said."""
    said = list(messages)
    order = {call.id: position for position, call in enumerate(calls)}
    results = [result for message in said for result in message.tool_results]
    results.sort(key=lambda result: order.get(result.call_id, len(order)))
    texts = [quote(text) for text in map(message_text, said) if text]
    blocks = ["\n".join(result_text(result, quote) for result in results), *texts]
    return "\n\n".join(block for block in blocks if block)


def result_text(result: ToolResult, quote: Quote = str) -> str:
    """One result; an error says so."""
    if not isinstance(result.content, str):
        check_parts(result.content)
    return f"{RESULT_START}{'Error: ' if result.is_error else ''}{quote(result.text)}{RESULT_END}"


def _in_order(arguments: Mapping[str, object], name: str, tools: Sequence[ToolSpec]) -> dict[str, object]:
    parameters = next((tool.parameters for tool in tools if tool.name == name), {})
    declared = [key for key, _, _ in properties(parameters) if key in arguments]
    return {key: arguments[key] for key in [*declared, *(key for key in arguments if key not in declared)]}


def message_text(message: Message) -> str:
    """The text of a message, which holds nothing that must be seen or heard (see `check_parts`)."""
    check_parts(message.parts)
    return message.text


def check_parts(parts: Iterable[Part]) -> None:
    """Raise `UnsupportedFeatureError` for a part that is not text."""
    for part in parts:
        # Earlier thoughts are left out: these models were never shown any.
        if not isinstance(part, (TextPart, ThinkingPart, ToolCall, ToolResult)):
            name = type(part).__name__
            message = f"this model reads text only and cannot take an {name}; leave it out or use another model"
            raise UnsupportedFeatureError(message, feature=name)
