"""LlamaIndex's messages and ours, both ways. Nothing here calls a model.

In:  `to_framework` reads every block but audio and video, which raise `UnsupportedFeatureError`.
Out: `to_chat_message` writes messages, `to_chat_response` whole answers, `StreamedResponse` answers that are coming.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    ChatResponse,
    CitableBlock,
    CitationBlock,
    ContentBlock,
    DocumentBlock,
    ImageBlock,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from llm_framework.errors import InvalidRequestError, UnsupportedFeatureError
from llm_framework.types import (
    Chunk,
    DocumentPart,
    ImagePart,
    InferenceResponse,
    Message,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Usage,
    new_call_id,
)

_ROLES: dict[MessageRole, Role] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.TOOL: "tool",
    MessageRole.FUNCTION: "tool",
}
_HOST_ROLES: dict[Role, MessageRole] = {
    "system": MessageRole.SYSTEM,
    "user": MessageRole.USER,
    "assistant": MessageRole.ASSISTANT,
    "tool": MessageRole.TOOL,
}
_PROVIDER_DATA = "llm_framework"


# -------------------------------------------------------------------------------------------- LlamaIndex -> framework
def to_framework(messages: Sequence[ChatMessage]) -> list[Message]:
    """Our messages for LlamaIndex's, in order. A tool's result gets the name of the call that it answers: LlamaIndex
    gives the id alone, and some chat templates need the name."""
    names: dict[str, str] = {}
    translated: list[Message] = []
    for message in messages:
        role = _ROLES[message.role]
        parts = (_result(message, names),) if role == "tool" else _message_parts(message)
        names.update((part.id, part.name) for part in parts if isinstance(part, ToolCall))
        translated.append(Message(role, parts))
    return translated


def _message_parts(message: ChatMessage) -> tuple[Part, ...]:
    parts = _parts(message.blocks)
    # Older integrations keep the calls beside the blocks, newer ones in both places.
    if not any(isinstance(part, ToolCall) for part in parts):
        parts.extend(_legacy_call(call) for call in message.additional_kwargs.get("tool_calls") or ())
    kept: Mapping[str, Any] = message.additional_kwargs.get(_PROVIDER_DATA, {})
    return tuple(_with_data(part, kept) for part in parts) if kept else tuple(parts)


def _with_data(part: Part, kept: Mapping[str, Any]) -> Part:
    if isinstance(part, ToolCall) and part.id in kept.get("tool_calls", ()):
        return replace(part, provider_data=kept["tool_calls"][part.id])
    if isinstance(part, TextPart) and part.text in kept.get("texts", ()):
        return replace(part, provider_data=kept["texts"][part.text])
    return part


def _result(message: ChatMessage, names: Mapping[str, str]) -> ToolResult:
    name = message.additional_kwargs.get("name")
    call_id = message.additional_kwargs.get("tool_call_id") or name or ""
    parts = _parts(message.blocks)
    plain = all(isinstance(part, TextPart) for part in parts)
    content = message.content or "" if plain else tuple(parts)
    is_error = bool(message.additional_kwargs.get("is_error", False))
    return ToolResult(call_id, content, name or names.get(call_id), is_error)


def _parts(blocks: Sequence[ContentBlock]) -> list[Part]:
    parts: list[Part] = []
    for block in blocks:
        if isinstance(block, CitableBlock):
            parts.extend(_parts(block.content))
        elif not isinstance(block, (CachePoint, CitationBlock)):
            part = _part(block)
            if part is not None:
                parts.append(part)
    return parts


def _part(block: ContentBlock) -> Part | None:
    if isinstance(block, TextBlock):
        return TextPart(block.text) if block.text else None
    if isinstance(block, ThinkingBlock):
        signature = block.additional_information.get("signature")
        data = block.additional_information.get("provider_data", {})
        return ThinkingPart(block.content or "", signature, data) if block.content or signature else None
    if isinstance(block, ToolCallBlock):
        return _call(block.tool_call_id or "", block.tool_name, block.tool_kwargs)
    if isinstance(block, ImageBlock):
        return _image(block)
    if isinstance(block, DocumentBlock):
        return _document(block)
    raise UnsupportedFeatureError(f"a message holds {block.block_type}, which no backend takes", feature="media")


def _call(call_id: str, name: str, arguments: Mapping[str, Any] | str) -> ToolCall:
    if isinstance(arguments, str):
        return ToolCall.from_raw(call_id, name, arguments)
    return ToolCall(call_id, name, dict(arguments), json.dumps(arguments, ensure_ascii=False))


def _legacy_call(call: Any) -> ToolCall:
    """A call as OpenAI's SDK has it, an object or a dict."""
    function = _get(call, "function", call)
    arguments = _get(function, "arguments", None) or _get(function, "tool_kwargs", None) or {}
    name = _get(function, "name", None) or _get(function, "tool_name", None)
    if not name:
        raise InvalidRequestError("a tool call in additional_kwargs has no name")
    return _call(_get(call, "id", None) or _get(call, "tool_id", None) or new_call_id(), name, arguments)


def _get(value: Any, name: str, default: Any) -> Any:
    return value.get(name, default) if isinstance(value, Mapping) else getattr(value, name, default)


def _image(block: ImageBlock) -> ImagePart:
    media_type = block.image_mimetype
    if block.image:
        return ImagePart(block.resolve_image().read(), media_type=media_type)
    if block.path is not None:
        return ImagePart(path=block.path, media_type=media_type)
    return ImagePart(url=_url(block.url), media_type=media_type)


def _document(block: DocumentBlock) -> DocumentPart:
    media_type, name = block.document_mimetype, block.title
    if block.data:
        return DocumentPart(block.resolve_document().read(), media_type=media_type, name=name)
    if block.path is not None:
        return DocumentPart(path=block.path, media_type=media_type, name=name)
    return DocumentPart(url=_url(block.url), media_type=media_type, name=name)


def _url(url: Any) -> str:
    text = str(url or "")
    if not text.startswith(("http://", "https://", "data:")):
        raise InvalidRequestError(f"a message refers to {text[:40]!r}; only http, https and data URLs are taken")
    return text


# -------------------------------------------------------------------------------------------- framework -> LlamaIndex
def to_llama_index(messages: Sequence[Message]) -> list[ChatMessage]:
    """LlamaIndex's messages for ours; each result of a tool becomes a message of its own."""
    translated: list[ChatMessage] = []
    for message in messages:
        if message.role == "tool":
            translated.extend(_result_message(result) for result in message.tool_results)
        else:
            translated.append(to_chat_message(message))
    return translated


def to_chat_message(message: Message) -> ChatMessage:
    """One message of ours that holds no tool results. Calls stand in the blocks and, for readers of the older form,
    in `additional_kwargs["tool_calls"]`."""
    blocks = [_block(part) for part in message.parts]
    if not message.tool_calls and not any(isinstance(block, TextBlock) for block in blocks):
        blocks.append(TextBlock(text=""))  # so that `content` is a str
    kwargs: dict[str, Any] = {}
    if message.tool_calls:
        kwargs["tool_calls"] = [_legacy(c.id, c.name, c.raw_arguments or "{}") for c in message.tool_calls]
    data = {call.id: dict(call.provider_data) for call in message.tool_calls if call.provider_data}
    texts = {p.text: dict(p.provider_data) for p in message.parts if isinstance(p, TextPart) and p.provider_data}
    if data or texts:
        kwargs[_PROVIDER_DATA] = {"tool_calls": data, **({"texts": texts} if texts else {})}
    return ChatMessage(role=_HOST_ROLES[message.role], blocks=blocks, additional_kwargs=kwargs)


def _result_message(result: ToolResult) -> ChatMessage:
    content = (TextPart(result.content),) if isinstance(result.content, str) else result.content
    kwargs: dict[str, Any] = {"tool_call_id": result.call_id}
    if result.name:
        kwargs["name"] = result.name
    if result.is_error:
        kwargs["is_error"] = True
    return ChatMessage(role=MessageRole.TOOL, blocks=[_block(part) for part in content], additional_kwargs=kwargs)


def _block(part: Part) -> ContentBlock:
    if isinstance(part, TextPart):
        return TextBlock(text=part.text)
    if isinstance(part, ThinkingPart):
        information: dict[str, Any] = {"signature": part.signature} if part.signature else {}
        if part.provider_data:
            information["provider_data"] = dict(part.provider_data)
        return ThinkingBlock(content=part.text, additional_information=information)
    if isinstance(part, ToolCall):
        kwargs = part.raw_arguments if part.arguments is None else dict(part.arguments)
        return ToolCallBlock(tool_call_id=part.id, tool_name=part.name, tool_kwargs=kwargs)
    if isinstance(part, ImagePart):
        # The block guesses whether bytes are base64 already; given base64, it does not have to.
        path = None if part.path is None else Path(part.path)
        return ImageBlock(image=_base64(part.data), path=path, url=part.url, image_mimetype=part.media_type)
    if isinstance(part, DocumentPart):
        return DocumentBlock(
            data=_base64(part.data), path=part.path, url=part.url, document_mimetype=part.media_type, title=part.name
        )
    raise InvalidRequestError("a tool's result needs a message of the role tool")


def _base64(data: bytes | None) -> bytes | None:
    return None if data is None else base64.b64encode(data)


def _legacy(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


# --------------------------------------------------------------------------------------------------------- responses
def to_chat_response(response: InferenceResponse) -> ChatResponse:
    """A whole answer, with its usage where each of LlamaIndex's readers looks for it."""
    return ChatResponse(
        message=to_chat_message(response.message),
        raw=raw_of(response),
        logprobs=_logprobs(response.logprobs),
        additional_kwargs=usage_of(response.usage),
    )


def raw_of(response: InferenceResponse) -> dict[str, Any]:
    """What is known of the answer beside its content, as plain data."""
    raw: dict[str, Any] = {
        "model": response.model,
        "finish_reason": response.finish_reason,
        "usage": _detailed_usage(response.usage) or None,
        "request_id": response.request_id,
    }
    if len(response.attempts) > 1:
        raw["attempts"] = [{"model": attempt.model, "error": attempt.error} for attempt in response.attempts]
    if response.dropped_parameters:
        raw["dropped_parameters"] = list(response.dropped_parameters)
    return raw


def usage_of(usage: Usage) -> dict[str, int]:
    """Token counts under the names that LlamaIndex's counters read; empty where nobody counted."""
    if usage.total_tokens == 0:
        return {}
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def _detailed_usage(usage: Usage) -> dict[str, Any]:
    """Usage as OpenAI's API writes it, with the shares of the prompt that was cached and of the answer's reasoning."""
    counts: dict[str, Any] = dict(usage_of(usage))
    if usage.cached_tokens:
        counts["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    if usage.reasoning_tokens:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return counts


def _logprobs(tokens: Sequence[TokenLogprob]) -> list[list[LogProb]] | None:
    if not tokens:
        return None
    return [[LogProb(token=t.token, logprob=t.logprob), *(LogProb(token=s, logprob=p) for s, _, p in t.top)]
            for t in tokens]  # fmt: skip


class StreamedResponse:
    """An answer that is coming. LlamaIndex wants each response to hold the whole message so far; `add` makes it, and
    gives None for a chunk with nothing to show. With `one_tool_call`, calls after the first are left out."""

    def __init__(self, one_tool_call: bool = False) -> None:
        self._text = ""
        self._thinking = ""
        self._calls: dict[int, tuple[str, str, list[str]]] = {}
        self._one_tool_call = one_tool_call

    def add(self, chunk: Chunk) -> ChatResponse | None:
        """The response after one more chunk; after the last one, with usage and whole tool calls."""
        self._text += chunk.text
        self._thinking += chunk.thinking
        if chunk.tool_call is not None:
            self._add_call(chunk.tool_call)
        extra = {"thinking_delta": chunk.thinking} if chunk.thinking else {}
        if chunk.response is not None:
            return self._last(chunk, chunk.response, extra)
        if not (chunk.text or chunk.thinking or chunk.tool_call):
            return None
        return ChatResponse(message=self._message(), delta=chunk.text, additional_kwargs=extra)

    def _add_call(self, delta: ToolCallDelta) -> None:
        if self._one_tool_call and delta.index > 0:
            return
        id, name, arguments = self._calls.get(delta.index, ("", "", []))
        arguments.append(delta.arguments)
        self._calls[delta.index] = (id or delta.id or "", name or delta.name or "", arguments)

    def _message(self) -> ChatMessage:
        calls = [(id, name, "".join(pieces)) for id, name, pieces in self._calls.values()]
        blocks: list[ContentBlock] = [ThinkingBlock(content=self._thinking)] if self._thinking else []
        if self._text or not calls:
            blocks.append(TextBlock(text=self._text))
        blocks.extend(ToolCallBlock(tool_call_id=i, tool_name=name, tool_kwargs=raw) for i, name, raw in calls)
        kwargs = {"tool_calls": [_legacy(*call) for call in calls]} if calls else {}
        return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=kwargs)

    def _last(self, chunk: Chunk, response: InferenceResponse, extra: dict[str, Any]) -> ChatResponse:
        whole = to_chat_response(first_call_only(response) if self._one_tool_call else response)
        whole.delta = chunk.text
        whole.additional_kwargs.update(extra)
        return whole


def first_call_only(response: InferenceResponse) -> InferenceResponse:
    """The answer without the tool calls after its first."""
    extra = response.tool_calls[1:]
    if not extra:
        return response
    parts = tuple(part for part in response.message.parts if not any(part is call for call in extra))
    return replace(response, message=replace(response.message, parts=parts))
