"""Our messages and answers as LangChain's."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages import ToolCall as LangChainToolCall
from langchain_core.messages.ai import UsageMetadata

from llm_framework.errors import InvalidRequestError
from llm_framework.types import (
    DocumentPart,
    ImagePart,
    InferenceResponse,
    Message,
    Part,
    TextPart,
    ThinkingPart,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Usage,
)

PROVIDER = "llm_framework"


def to_langchain(messages: Sequence[Message]) -> list[BaseMessage]:
    """LangChain's messages for ours; each result of a tool becomes a message of its own."""
    translated: list[BaseMessage] = []
    for message in messages:
        if message.role == "tool":
            translated.extend(_tool_message(result) for result in message.tool_results)
        elif message.role == "assistant":
            translated.append(AIMessage(name=message.name, **ai_fields(message)))
        else:
            kind = HumanMessage if message.role == "user" else SystemMessage
            translated.append(kind(content=_content(message.parts), name=message.name))
    return translated


def to_ai_message(response: InferenceResponse) -> AIMessage:
    """A whole answer: text, reasoning, tool calls, usage and what is known of the request."""
    return AIMessage(
        **ai_fields(response.message),
        usage_metadata=to_usage(response.usage),
        response_metadata=response_metadata(response),
    )


def to_usage(usage: Usage) -> UsageMetadata | None:
    """The tokens of an answer, or None where nobody counted. Only whole numbers: LangChain adds them up."""
    if usage.total_tokens == 0:
        return None
    metadata = UsageMetadata(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, total_tokens=usage.total_tokens
    )
    if usage.cached_tokens:
        metadata["input_token_details"] = {"cache_read": usage.cached_tokens}
    if usage.reasoning_tokens:
        metadata["output_token_details"] = {"reasoning": usage.reasoning_tokens}
    return metadata


def response_metadata(response: InferenceResponse) -> dict[str, Any]:
    """Who answered and why it ended; what failed before, was left out, and the log-probabilities, where there are."""
    metadata: dict[str, Any] = {
        "model_name": response.model,
        "model_provider": PROVIDER,
        "finish_reason": response.finish_reason,
    }
    if len(response.attempts) > 1:
        metadata["attempts"] = [{"model": attempt.model, "error": attempt.error} for attempt in response.attempts]
    if response.usage.estimated:
        metadata["usage_estimated"] = True
    if response.dropped_parameters:
        metadata["dropped_parameters"] = list(response.dropped_parameters)
    if response.logprobs:
        metadata["logprobs"] = {"content": [_logprob(token) for token in response.logprobs]}
    return metadata


def _logprob(token: TokenLogprob) -> dict[str, Any]:
    top = [{"token": text, "logprob": logprob} for text, _, logprob in token.top]
    return {"token": token.token, "logprob": token.logprob, "top_logprobs": top}


def ai_fields(message: Message) -> dict[str, Any]:
    """What an AIMessage holds: the content, the calls, and in `additional_kwargs` what has no place of its own."""
    thinking = [part for part in message.parts if isinstance(part, ThinkingPart)]
    media = tuple(p for p in message.parts if not isinstance(p, (ThinkingPart, ToolCall)))
    extras: dict[str, Any] = {}
    if thinking:
        extras["reasoning_content"] = "".join(part.text for part in thinking)
    signature = next((part.signature for part in thinking if part.signature), None)
    if signature:
        extras["reasoning_signature"] = signature
    data = {call.id: dict(call.provider_data) for call in message.tool_calls if call.provider_data}
    kept: dict[str, Any] = {"tool_calls": data} if data else {}
    if any(isinstance(part, (TextPart, ThinkingPart)) and _is_signed(part) for part in message.parts):
        kept["parts"] = [_outline(part) for part in message.parts if isinstance(part, _OUTLINED)]
    if kept:
        extras[PROVIDER] = kept
    return {"content": _content(media), "additional_kwargs": extras, **_call_fields(message.tool_calls)}


_OUTLINED = (TextPart, ThinkingPart, ToolCall)


def _is_signed(part: TextPart | ThinkingPart) -> bool:
    return bool(part.provider_data or getattr(part, "signature", None))


def _outline(part: TextPart | ThinkingPart | ToolCall) -> dict[str, Any]:
    """A part as it must come back to the provider that signed it; LangChain's own fields have no place for that."""
    if isinstance(part, ToolCall):
        return {"type": "tool_call", "id": part.id}
    data = {"data": dict(part.provider_data)} if part.provider_data else {}
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text, **data}
    return {"type": "thinking", "text": part.text, "signature": part.signature, **data}


def _call_fields(calls: Sequence[ToolCall]) -> dict[str, Any]:
    valid = [
        LangChainToolCall(name=call.name, args=dict(call.arguments), id=call.id, type="tool_call")
        for call in calls
        if call.arguments is not None
    ]
    invalid = [
        InvalidToolCall(name=call.name, args=call.raw_arguments, id=call.id, error=call.error, type="invalid_tool_call")
        for call in calls
        if call.arguments is None
    ]
    return {"tool_calls": valid, "invalid_tool_calls": invalid}


def _tool_message(result: ToolResult) -> ToolMessage:
    content = result.content if isinstance(result.content, str) else _content(result.content)
    status = "error" if result.is_error else "success"
    return ToolMessage(content=content, tool_call_id=result.call_id, name=result.name, status=status)


def _content(parts: Sequence[Part]) -> Any:
    if all(isinstance(part, TextPart) for part in parts) and len(parts) < 2:
        return "".join(cast(TextPart, part).text for part in parts)
    return [_block(part) for part in parts]


def _block(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ThinkingPart):
        extras = {"extras": {"signature": part.signature}} if part.signature else {}
        return {"type": "reasoning", "reasoning": part.text, **extras}
    if isinstance(part, ImagePart):
        return {"type": "image", **_location(part)}
    if isinstance(part, DocumentPart):
        name = {"extras": {"filename": part.name}} if part.name else {}
        return {"type": "file", **_location(part), **name}
    raise InvalidRequestError(f"a {type(part).__name__} cannot stand in the content of this message")


def _location(part: ImagePart | DocumentPart) -> dict[str, Any]:
    media_type = {"mime_type": part.media_type} if part.media_type else {}
    if part.url is not None:
        return {"url": part.url, **media_type}
    if part.data is None:
        raise InvalidRequestError(f"the file {str(part.path)!r} must be read before its message is translated")
    return {"base64": base64.b64encode(part.data).decode("ascii"), **media_type}
