"""Messages of ours as the Messages API wants them: turns of content blocks. Pure functions, but for the images and
documents read from files."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import InvalidRequestError, UnsupportedFeatureError
from ...types import DocumentPart, ImagePart, Message, Part, TextPart, ThinkingPart, ToolCall, ToolResult
from . import media

PROTOCOL = "anthropic"
"""Who made a signed block, in its `provider_data`: any server of this protocol is sent its own blocks back."""
_CALL_ID = re.compile(r"[A-Za-z0-9_-]+")
_TEXT_TYPES = ("application/json", "application/xml", "application/yaml", "application/x-yaml", "application/csv")

Block = dict[str, Any]


def system_blocks(messages: Iterable[Message], late: bool) -> list[Block]:
    """The system prompt: what the system messages say, all of them, or those before the first other one (`late`: the
    model takes the rest where they stand)."""
    blocks: list[Block] = []
    for message in messages:
        if message.role == "system":
            blocks.extend(_marked(message, [_text(part) for part in _texts(message)]))
        elif late:
            break
    return blocks


def turns(messages: Iterable[Message], model: str, late_system: bool) -> list[dict[str, Any]]:
    """The other messages. Neighbours of one role become one turn: the results of parallel calls must share it."""
    written: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            if not (late_system and written):
                continue
            role = "system"
        else:
            role = "assistant" if message.role == "assistant" else "user"
        blocks = _marked(message, _blocks(message, model))
        if not blocks:
            continue
        if written and written[-1]["role"] == role:
            written[-1]["content"].extend(blocks)
        else:
            written.append({"role": role, "content": blocks})
    _strip_end(written)
    return written


def _blocks(message: Message, model: str) -> list[Block]:
    if message.role == "assistant":
        return [block for part in message.parts for block in _said(part, model)]
    if message.role == "tool":
        return [_tool_result(result) for result in message.tool_results]
    if message.role == "system":
        return [_text(part) for part in _texts(message)]
    return [_part(part) for part in message.parts if not _is_empty(part)]


def _said(part: Part, model: str) -> list[Block]:
    """A part of an assistant's message; empty where the provider would refuse it."""
    if isinstance(part, TextPart):
        return [] if _is_empty(part) else [_text(part)]
    if isinstance(part, ThinkingPart):
        return _thinking(part, model)
    if isinstance(part, ToolCall):
        arguments = part.arguments if part.arguments is not None else {"INVALID_JSON": part.raw_arguments}
        return [_with_cache({"type": "tool_use", "id": call_id(part.id), "name": part.name, "input": arguments}, part)]
    return [_part(part)]


def _thinking(part: ThinkingPart, model: str) -> list[Block]:
    """Thinking goes back to the model that signed it, word for word, and to no other."""
    data = part.provider_data
    if data.get("provider", PROTOCOL) != PROTOCOL or data.get("model", model) != model:
        return []
    if data.get("redacted"):
        return [{"type": "redacted_thinking", "data": data["redacted"]}]
    if not part.signature:
        return []
    return [{"type": "thinking", "thinking": part.text, "signature": part.signature}]


def _tool_result(result: ToolResult) -> Block:
    content: Any = result.content
    if not isinstance(content, str):
        content = [_part(part) for part in content if not _is_empty(part)]
    block: Block = {"type": "tool_result", "tool_use_id": call_id(result.call_id), "content": content}
    if result.is_error:
        block["is_error"] = True
    return _with_cache(block, result)


def call_id(id: str) -> str:
    """The id as the API takes it; the same one of ours always becomes the same one there."""
    return id if _CALL_ID.fullmatch(id) else "toolu_" + hashlib.sha256(id.encode()).hexdigest()[:24]


# ---------------------------------------------------------------------------------------------------------------- parts
def _part(part: Part) -> Block:
    if isinstance(part, TextPart):
        return _text(part)
    if isinstance(part, ImagePart):
        return _with_cache({"type": "image", "source": _image_source(part)}, part)
    if isinstance(part, DocumentPart):
        return _document(part)
    raise InvalidRequestError(f"a {type(part).__name__} cannot stand in a message of this role")


def _text(part: TextPart) -> Block:
    return _with_cache({"type": "text", "text": part.text}, part)


def _image_source(part: ImagePart) -> dict[str, Any]:
    if file_id := part.provider_data.get("file_id"):
        return {"type": "file", "file_id": file_id}
    if media.is_remote(part):
        return {"type": "url", "url": part.url}
    image = media.read(part)
    return {"type": "base64", "media_type": image.media_type, "data": image.base64}


def _document(part: DocumentPart) -> Block:
    block: Block = {"type": "document", "source": _document_source(part)}
    if part.name or part.path is not None:
        block["title"] = media.file_name(part)
    for name in ("context", "citations"):
        if name in part.provider_data:
            block[name] = part.provider_data[name]
    return _with_cache(block, part)


def _document_source(part: DocumentPart) -> dict[str, Any]:
    if file_id := part.provider_data.get("file_id"):
        return {"type": "file", "file_id": file_id}
    if media.is_remote(part):
        return {"type": "url", "url": part.url}
    document = media.read(part)
    if document.media_type == "application/pdf":
        return {"type": "base64", "media_type": document.media_type, "data": document.base64}
    if document.media_type.startswith("text/") or document.media_type in _TEXT_TYPES:
        text = base64.b64decode(document.base64).decode(errors="replace")
        return {"type": "text", "media_type": "text/plain", "data": text}
    message = f"documents here are PDFs or text, not {document.media_type}"
    raise UnsupportedFeatureError(message, feature="documents")


# -------------------------------------------------------------------------------------------------------------- details
def _texts(message: Message) -> list[TextPart]:
    return [part for part in message.parts if isinstance(part, TextPart) and not _is_empty(part)]


def _is_empty(part: Part) -> bool:
    """Thinking outside of an assistant's message, and text that the API refuses because there is none."""
    return isinstance(part, ThinkingPart) or (isinstance(part, TextPart) and not part.text.strip())


def _with_cache(block: Block, part: Part) -> Block:
    """With the end of a cached prefix, where the part's `provider_data` says that one is here."""
    if part.provider_data and "cache_control" in part.provider_data:
        block["cache_control"] = part.provider_data["cache_control"]
    return block


def _marked(message: Message, blocks: list[Block]) -> list[Block]:
    if blocks and "cache_control" in message.provider_data:
        mark_cached(blocks, message.provider_data["cache_control"])
    return blocks


def mark_cached(blocks: list[Block], control: Mapping[str, Any]) -> None:
    """End a cached prefix with the last block that may end one."""
    if blocks and blocks[-1]["type"] not in ("thinking", "redacted_thinking"):
        blocks[-1].setdefault("cache_control", dict(control))


def _strip_end(written: list[dict[str, Any]]) -> None:
    """An answer that was begun for the model must not end in white space."""
    if written and written[-1]["role"] == "assistant" and written[-1]["content"][-1]["type"] == "text":
        last = written[-1]["content"][-1]
        last["text"] = last["text"].rstrip()
