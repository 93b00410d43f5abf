"""Messages of ours as the contents that Gemini's protocol wants. Pure functions, but for the media read from files."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ...errors import InvalidRequestError, UnsupportedFeatureError
from ...types import DocumentPart, ImagePart, Message, Part, TextPart, ThinkingPart, ToolCall, ToolResult
from . import media

FAMILY = "google"
"""What `provider_data["provider"]` says in parts that only this protocol may be sent back."""

NO_SIGNATURE = "skip_thought_signature_validator"
"""What Google's documents have one send as the signature of a call that another model made."""


class Contents:
    """The messages of one request, written. `instruction` are the parts of the system's messages, `contents` the turns.

    `signs_calls`: the model refuses calls without a signature, and results without their call's id.
    `media_in_results`: it takes images as a part of a tool's result; others get them beside it.
    """

    def __init__(self, messages: Sequence[Message], *, signs_calls: bool, media_in_results: bool) -> None:
        self.instruction: list[dict[str, Any]] = []
        self.contents: list[dict[str, Any]] = []
        self._signs_calls = signs_calls
        self._media_in_results = media_in_results
        self._calls = {call.id: call for message in messages for call in message.tool_calls}
        self._order = {id: number for number, id in enumerate(self._calls)}
        results: list[ToolResult] = []  # those of several messages in a row answer one turn of the model
        for message in messages:
            if message.role != "tool" and results:
                self._answer_calls(results)
                results = []
            if message.role == "tool":
                results.extend(message.tool_results)
            elif message.role == "system":
                self.instruction.extend(_instruction(message))
            else:
                self._turn(message)
        if results:
            self._answer_calls(results)

    def _turn(self, message: Message) -> None:
        if message.role == "assistant":
            self._add("model", self._model_parts(message.parts))
        else:
            self._add("user", [_part(part) for part in message.parts if part != TextPart("")])

    def _add(self, role: str, parts: list[dict[str, Any]]) -> None:
        if parts:  # a turn without any is refused
            self.contents.append({"role": role, "parts": parts})

    # -------------------------------------------------------------------------------------------------- model's turns
    def _model_parts(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        written: list[dict[str, Any]] = []
        unsigned = self._signs_calls
        for part in parts:
            if isinstance(part, ToolCall):
                call = _call(part, with_id=self._signs_calls or _has_id(part))
                if unsigned and "thoughtSignature" not in call:
                    call["thoughtSignature"] = NO_SIGNATURE
                unsigned = False  # of calls made at once, the first one is signed
                written.append(call)
            elif isinstance(part, ThinkingPart):
                if _is_ours(part.provider_data) and part.signature is not None:
                    written.extend(_signed(part.text, part.signature, part.provider_data, is_thought=True))
            elif isinstance(part, TextPart):
                written.extend(_text(part))
            else:
                written.append(_part(part))
        return written

    # -------------------------------------------------------------------------------------------------- tools' results
    def _answer_calls(self, results: Sequence[ToolResult]) -> None:
        """One turn with the results in the order of their calls: without ids, that is what tells them apart."""
        ordered = sorted(results, key=lambda result: self._order.get(result.call_id, len(self._order)))
        parts: list[dict[str, Any]] = []
        beside: list[dict[str, Any]] = []
        for result in ordered:
            response = self._result(result)
            attached = [] if isinstance(result.content, str) else _media_of(result.content)
            if attached and self._media_in_results:
                response["parts"] = attached
            else:
                beside.extend(attached)
            parts.append({"functionResponse": response})
        self._add("user", parts + beside)

    def _result(self, result: ToolResult) -> dict[str, Any]:
        call = self._calls.get(result.call_id)
        name = call.name if call is not None else result.name
        if not name:
            message = f"the tool result {result.call_id!r} answers no call of this chat, and names no tool"
            raise InvalidRequestError(message)
        written: dict[str, Any] = {"name": name, "response": _response(result)}
        if call is not None and (self._signs_calls or _has_id(call)):
            written["id"] = call.id
        return written


# --------------------------------------------------------------------------------------------------------------- parts
def _instruction(message: Message) -> list[dict[str, Any]]:
    texts = [part.text for part in message.parts if isinstance(part, TextPart)]
    if len(texts) < len(message.parts):
        raise UnsupportedFeatureError("a system message can hold text only", feature="system message media")
    return [{"text": text} for text in texts if text]


def _is_ours(data: Mapping[str, Any]) -> bool:
    return data.get("provider") == FAMILY


def _has_id(call: ToolCall) -> bool:
    return _is_ours(call.provider_data) and bool(call.provider_data.get("id"))


def _call(call: ToolCall, *, with_id: bool) -> dict[str, Any]:
    # What does not parse cannot be said here, where arguments are an object: the text is shown as it came.
    arguments = call.arguments if call.arguments is not None else {"invalid_arguments": call.raw_arguments}
    function: dict[str, Any] = {"name": call.name or "unknown", "args": dict(arguments)}
    if with_id:
        function["id"] = call.id
    written: dict[str, Any] = {"functionCall": function}
    if _is_ours(call.provider_data) and call.provider_data.get("signature"):
        written["thoughtSignature"] = call.provider_data["signature"]
    return written


def _text(part: TextPart) -> list[dict[str, Any]]:
    signature = part.provider_data.get("signature")
    if signature and _is_ours(part.provider_data):
        return _signed(part.text, signature, part.provider_data, is_thought=False)
    return [{"text": part.text}] if part.text else []


def _signed(text: str, signature: str, data: Mapping[str, Any], *, is_thought: bool) -> list[dict[str, Any]]:
    """A block as the parts in which it came: a signature must stand in the part that it was given in, which may be the
    tail of the block (`data["tail"]` characters), or an empty part after it."""
    tail = data.get("tail")
    cut = len(text) - tail if isinstance(tail, int) and 0 <= tail <= len(text) else 0
    last: dict[str, Any] = {"text": text[cut:], "thoughtSignature": signature}
    if data.get("thought", is_thought):
        last["thought"] = True
    head = text[:cut]
    return [{"text": head}, last] if head and not is_thought else [last]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"text": part.text}
    if isinstance(part, (ImagePart, DocumentPart)):
        return _media(part)
    raise InvalidRequestError(f"a {type(part).__name__} cannot stand in a message of this role")


def _media(part: ImagePart | DocumentPart) -> dict[str, Any]:
    if media.is_remote(part):
        return {"fileData": _file(part, str(part.url))}
    content = media.read(part)
    return {"inlineData": {"mimeType": content.media_type, "data": content.base64}}


def _file(part: ImagePart | DocumentPart, url: str) -> dict[str, Any]:
    """Where Google itself is to fetch it: its own storage, or an https address. We fetch nothing on the quiet."""
    scheme = urlsplit(url).scheme
    if scheme not in ("gs", "https"):
        message = (
            f"Google fetches files from gs:// and https:// addresses, not from {scheme}://: give the bytes or a path"
        )
        raise UnsupportedFeatureError(message, feature="file URLs")
    media_type = part.media_type or mimetypes.guess_type(urlsplit(url).path)[0]
    return {"fileUri": url, **({"mimeType": media_type} if media_type else {})}


def _media_of(parts: Iterable[Part]) -> list[dict[str, Any]]:
    return [_media(part) for part in parts if isinstance(part, (ImagePart, DocumentPart))]


def _response(result: ToolResult) -> dict[str, Any]:
    """A result as the object that the protocol wants: the tool's own where it gave one, else under the names that the
    protocol knows."""
    text = result.text
    if result.is_error:
        return {"error": text}
    try:
        value = json.loads(text) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        value = None
    # An object with these names would be read as if they were the protocol's.
    if isinstance(value, dict) and not {"output", "error"} & set(value):
        return value
    return {"output": text if value is None else value}
