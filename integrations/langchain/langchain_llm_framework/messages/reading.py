"""LangChain's messages as ours.

Reads text, v0 and v1 content blocks, OpenAI's and Anthropic's shapes, tool calls and results.
Audio and video have no counterpart and raise `UnsupportedFeatureError`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages import ToolCall as LangChainToolCall

from llm_framework.errors import InvalidRequestError, UnsupportedFeatureError
from llm_framework.logs import get_logger
from llm_framework.types import (
    DocumentPart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
)

from .writing import PROVIDER

logger = get_logger(__name__)

Block = Mapping[str, Any]

_ROLES: dict[str, Role] = {
    "user": "user", "human": "user", "system": "system", "developer": "system",
    "assistant": "assistant", "ai": "assistant", "model": "assistant",
}  # fmt: skip


def to_framework(messages: Sequence[BaseMessage]) -> list[Message]:
    """Our messages for LangChain's, in order. A tool's result gets the name of the call that it answers.

    Raises `InvalidRequestError` for content that cannot be read and `UnsupportedFeatureError` for audio and video.
    """
    names: dict[str, str] = {}
    translated: list[Message] = []
    for message in messages:
        translated.extend(_message(message, names))
    return translated


def _message(message: BaseMessage, names: dict[str, str]) -> list[Message]:
    if isinstance(message, AIMessage):
        parts = _ai_parts(message)
        names.update((part.id, part.name) for part in parts if isinstance(part, ToolCall))
        return [Message("assistant", parts, name=message.name)]
    if isinstance(message, ToolMessage):
        name = message.name or names.get(message.tool_call_id)
        content = _result_content(message.content)
        return [Message.tool(ToolResult(message.tool_call_id, content, name, message.status == "error"))]
    if isinstance(message, FunctionMessage):
        return [Message.tool(ToolResult(message.name, _result_content(message.content), message.name))]
    return _plain_message(message, names)


def _plain_message(message: BaseMessage, names: Mapping[str, str]) -> list[Message]:
    role = _role(message)
    parts = _parts(message.content, names)
    # Anthropic's shape puts a tool's result into a user message; for us that is a message of its own.
    results = [part for part in parts if isinstance(part, ToolResult)]
    rest = tuple(part for part in parts if not isinstance(part, ToolResult))
    before = [Message.tool(*results)] if results else []
    return before if results and not rest else [*before, Message(role, rest, name=message.name)]


def _role(message: BaseMessage) -> Role:
    if isinstance(message, HumanMessage):
        return "user"
    if isinstance(message, SystemMessage):
        return "system"
    role = _ROLES.get(message.role.lower()) if isinstance(message, ChatMessage) else None
    if role is None:
        kind = f"the role {message.role!r}" if isinstance(message, ChatMessage) else f"the type {message.type!r}"
        raise InvalidRequestError(f"a message of {kind} cannot be sent to a model")
    return role


def _ai_parts(message: AIMessage) -> tuple[Part, ...]:
    listed = {call.get("id") for call in (*message.tool_calls, *message.invalid_tool_calls)}
    content = message.content if isinstance(message.content, str) else list(_without_foreign(message.content))
    parts = [p for p in _parts(content) if not (isinstance(p, ToolCall) and p.id in listed)]
    parts = _with_reasoning(parts, message.additional_kwargs)
    kept = message.additional_kwargs.get(PROVIDER, {})
    data = kept.get("tool_calls", {})
    parts.extend(_tool_call(call, data.get(call.get("id"), {})) for call in message.tool_calls)
    parts.extend(_invalid_tool_call(call) for call in message.invalid_tool_calls)
    return _signed_parts(parts, kept.get("parts", ())) or tuple(parts)


def _signed_parts(parts: Sequence[Part], outline: Sequence[Block]) -> tuple[Part, ...]:
    """The parts of an answer as its provider signed them, in their order; () where the message is another by now."""
    calls = {part.id: part for part in parts if isinstance(part, ToolCall)}
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    same_text = text == "".join(entry["text"] for entry in outline if entry["type"] == "text")
    if not same_text or list(calls) != [entry["id"] for entry in outline if entry["type"] == "tool_call"]:
        return ()
    return tuple(_signed_part(entry, calls) for entry in outline)


def _signed_part(entry: Block, calls: Mapping[str, ToolCall]) -> Part:
    if entry["type"] == "tool_call":
        return calls[entry["id"]]
    if entry["type"] == "text":
        return TextPart(entry["text"], entry.get("data", {}))
    return ThinkingPart(entry["text"], entry.get("signature"), entry.get("data", {}))


def _without_foreign(content: Iterable[str | Block]) -> Iterable[str | Block]:
    """The blocks that are not known here are those of tools that another provider ran itself in an earlier answer
    (a search, its own code). No other model could read them, and a chat must not end because the model changes."""
    for block in content:
        kind = "text" if isinstance(block, str) else block.get("type", "text")
        if kind in _READERS or kind in _IGNORED or kind in _UNSUPPORTED:
            yield block
        else:
            logger.debug("a block of the type %r in an earlier answer is left out", kind)


def _with_reasoning(parts: list[Part], extras: Mapping[str, Any]) -> list[Part]:
    """Our answers keep reasoning beside their text; LangChain's v1 form copies it, less its signature, into blocks."""
    text, signature = extras.get("reasoning_content"), extras.get("reasoning_signature")
    index = next((i for i, part in enumerate(parts) if isinstance(part, ThinkingPart)), None)
    if index is None:
        return [ThinkingPart(text or "", signature), *parts] if text or signature else parts
    found = cast(ThinkingPart, parts[index])
    return [*parts[:index], ThinkingPart(found.text, found.signature or signature), *parts[index + 1 :]]


def _tool_call(call: LangChainToolCall, provider_data: Block) -> ToolCall:
    raw = json.dumps(call["args"], ensure_ascii=False)
    return ToolCall(call.get("id") or "", call["name"], call["args"], raw, provider_data=provider_data)


def _invalid_tool_call(call: InvalidToolCall) -> ToolCall:
    error = call.get("error") or "the arguments are not a JSON object"
    return ToolCall(call.get("id") or "", call.get("name") or "", None, call.get("args") or "", error)


def _result_content(content: Any) -> str | tuple[Part, ...]:
    if isinstance(content, str):
        return content
    parts = _parts(content)
    if all(isinstance(part, TextPart) for part in parts):
        return "".join(cast(TextPart, part).text for part in parts)
    return tuple(parts)


def _parts(content: str | Iterable[str | Block], names: Mapping[str, str] | None = None) -> list[Part]:
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    parts: list[Part] = []
    for block in content:
        part = _part({"type": "text", "text": block} if isinstance(block, str) else block)
        if isinstance(part, ToolResult) and part.name is None and names:
            part = ToolResult(part.call_id, part.content, names.get(part.call_id), part.is_error)
        if part is not None:
            parts.append(part)
    return parts


def _part(block: Block) -> Part | None:
    kind = block.get("type", "text" if "text" in block else None)
    if kind in _IGNORED:
        return None
    if kind in _UNSUPPORTED:
        raise UnsupportedFeatureError(f"a message holds {kind}, which no backend takes", feature=kind)
    reader = _READERS.get(str(kind))
    if reader is None:
        raise InvalidRequestError(f"a message holds a content block of the unknown type {kind!r}")
    try:
        return reader(block)
    except (KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise InvalidRequestError(f"a content block of the type {kind!r} cannot be read: {error!r}") from error


def _read_text(block: Block) -> Part | None:
    text = block["text"]
    return TextPart(text) if text else None


def _read_thinking(block: Block) -> Part | None:
    text = block.get("reasoning") or block.get("thinking") or ""
    if not text and isinstance(block.get("summary"), list):  # OpenAI's reasoning items
        text = "\n".join(item["text"] for item in block["summary"])
    signature = block.get("signature") or block.get("extras", {}).get("signature")
    return ThinkingPart(text, signature) if text or signature else None


def _read_tool_call(block: Block) -> Part:
    call_id = block.get("id") or block.get("call_id") or ""
    arguments = block.get("args", block.get("input", block.get("arguments", {})))
    if isinstance(arguments, str):
        return ToolCall.from_raw(call_id, block["name"], arguments)
    return ToolCall(call_id, block["name"], arguments, json.dumps(arguments, ensure_ascii=False))


def _read_tool_result(block: Block) -> Part:
    content = _result_content(block.get("content") or "")
    return ToolResult(block["tool_use_id"], content, None, bool(block.get("is_error")))


def _read_image(block: Block) -> Part:
    source = _source(block)
    return ImagePart(source.get("data"), source.get("url"), media_type=source.get("media_type"))


def _read_document(block: Block) -> Part:
    source = _source(block)
    file = block.get("file") or {}
    name = block.get("filename") or block.get("title") or file.get("filename") or _extra(block, "filename", "name")
    if isinstance(source.get("text"), str):
        return TextPart(source["text"])
    return DocumentPart(source.get("data"), source.get("url"), media_type=source.get("media_type"), name=name)


def _read_media(block: Block) -> Part:  # Google's
    return (_read_image if str(block.get("mime_type")).startswith("image/") else _read_document)(block)


def _extra(block: Block, *keys: str) -> Any:
    extras = {**block.get("metadata", {}), **block.get("extras", {})}
    return next((extras[key] for key in keys if extras.get(key)), None)


def _source(block: Block) -> dict[str, Any]:
    """Where a medium comes from: `url`, or `data` with its `media_type`, or `text`."""
    media_type = block.get("mime_type")
    source = block.get("source")
    if isinstance(source, Mapping):  # Anthropic
        media_type = source.get("media_type")
        if source.get("type") == "text":
            return {"text": source["data"]}
        return _located(source.get("url"), source.get("data"), media_type)
    if block.get("source_type") == "text":  # LangChain v0
        return {"text": block["text"]}
    url = block.get("url")
    if "image_url" in block:  # OpenAI
        image = block["image_url"]
        url = image if isinstance(image, str) else image["url"]
    if isinstance(block.get("file"), Mapping):  # OpenAI
        url = block["file"].get("file_data")
    url = url or block.get("file_url") or block.get("file_data") or block.get("file_uri")  # OpenAI's Responses, Google
    return _located(url, block.get("base64") or block.get("data"), media_type)


def _located(url: str | None, data: str | None, media_type: str | None) -> dict[str, Any]:
    if data is not None:
        return {"data": base64.b64decode(data, validate=True), "media_type": media_type}
    if url is None:
        raise UnsupportedFeatureError("a file given by its provider's id cannot be sent; give its content or a URL")
    if url.startswith("data:"):
        head, _, body = url[5:].partition(",")
        if not head.endswith(";base64"):
            raise InvalidRequestError("a data URL in a message is not base64")
        return {"data": base64.b64decode(body, validate=True), "media_type": head[: -len(";base64")] or media_type}
    # A chat may come from a stranger: a file: URL would hand them this machine's files.
    if not url.startswith(("http://", "https://")):
        raise InvalidRequestError(f"a message refers to {url[:40]!r}; only http, https and data URLs are taken")
    return {"url": url, "media_type": media_type}


_READERS: dict[str, Callable[[Block], Part | None]] = {
    "text": _read_text,
    "input_text": _read_text,
    "output_text": _read_text,
    "text-plain": _read_text,
    "refusal": lambda block: TextPart(block["refusal"]),
    "reasoning": _read_thinking,
    "thinking": _read_thinking,
    "image": _read_image,
    "image_url": _read_image,
    "input_image": _read_image,
    "file": _read_document,
    "document": _read_document,
    "input_file": _read_document,
    "media": _read_media,
    "tool_call": _read_tool_call,
    "tool_use": _read_tool_call,
    "function_call": _read_tool_call,
    "tool_result": _read_tool_result,
}

# Remains of streaming and of other providers' own tools: what they say stands elsewhere in the message, or concerns
# that provider alone.
_UNSUPPORTED = frozenset(("audio", "video", "input_audio"))
_IGNORED = frozenset(
    ("tool_call_chunk", "invalid_tool_call", "input_json_delta", "redacted_thinking", "non_standard", "cachePoint",
     "server_tool_call", "server_tool_call_chunk", "server_tool_result", "server_tool_use")
)  # fmt: skip
