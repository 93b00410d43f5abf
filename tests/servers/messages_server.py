"""Answers of the Messages API for the scripted server: events as its documents show them, and a model that counts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from .chat_server import Reply, Request, json_reply
from .small_model import COUNTING


def event(kind: str, **fields: Any) -> str:
    """One event."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n"


def start(**usage: int) -> str:
    """The event that begins an answer."""
    counts = {"input_tokens": 5, "output_tokens": 1, **usage}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m", "stop_reason": None,
               "stop_sequence": None, "usage": counts}  # fmt: skip
    return event("message_start", message=message)


def text_block(index: int, *texts: str) -> list[str]:
    """The events of a block of text."""
    deltas = [{"type": "text_delta", "text": text} for text in texts]
    return block(index, {"type": "text", "text": ""}, deltas)


def thinking_block(index: int, *texts: str, signature: str = "SIGNED") -> list[str]:
    """The events of a block of thinking."""
    deltas = [{"type": "thinking_delta", "thinking": text} for text in texts]
    signed = [{"type": "signature_delta", "signature": signature}] if signature else []
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, *signed])


def tool_block(index: int, id: str, name: str, *pieces: str) -> list[str]:
    """The events of a tool call."""
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return block(index, {"type": "tool_use", "id": id, "name": name, "input": {}}, deltas)


def block(index: int, content: dict[str, Any], deltas: Sequence[dict[str, Any]] = ()) -> list[str]:
    """The events of any block."""
    return [
        event("content_block_start", index=index, content_block=content),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


def end(reason: str = "end_turn", output_tokens: int = 2, **more: Any) -> list[str]:
    """The events that end an answer."""
    delta = {"stop_reason": reason, "stop_sequence": None, **more}
    return [event("message_delta", delta=delta, usage={"output_tokens": output_tokens}), event("message_stop")]


def stream(*blocks: Sequence[str], reason: str = "end_turn", **more: Any) -> Reply:
    """An answer of these blocks."""
    return Reply([start(), event("ping"), *(line for events in blocks for line in events), *end(reason, **more)])


def whole(*content: dict[str, Any], reason: str = "end_turn", **more: Any) -> Reply:
    """An answer in one piece."""
    more = {"usage": {"input_tokens": 5, "output_tokens": 2}, **more}
    return json_reply({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(content),
                       "stop_reason": reason, "stop_sequence": None, **more})  # fmt: skip


def error(status: int, kind: str, message: str = "no", **headers: str) -> Reply:
    """A refusal."""
    return json_reply({"type": "error", "error": {"type": kind, "message": message}}, status, **headers)


def answer(request: Request) -> Reply:
    """What a model that counts would answer; it calls the first tool where it has to, and keeps to a form."""
    body = request.body
    if request.path.endswith("/count_tokens"):
        return json_reply({"input_tokens": 5})
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):
        return _calling(body)
    said = json.dumps({"answer": "yes"}) if body.get("output_config", {}).get("format") else COUNTING
    words = re.findall(r"\s*\S+", said)
    text, reason = "".join(words[: body["max_tokens"]]), "max_tokens" if len(words) > body["max_tokens"] else "end_turn"
    for stop in body.get("stop_sequences") or ():
        if stop in text:
            text, reason = text.split(stop)[0], "stop_sequence"
    pieces = re.findall(r"\s*\S+", text)
    if body.get("stream"):
        return stream(text_block(0, *pieces), reason=reason, output_tokens=len(pieces))
    return whole({"type": "text", "text": text}, reason=reason, usage={"input_tokens": 5, "output_tokens": len(pieces)})


def _calling(body: Any) -> Reply:
    name, given = body["tools"][0]["name"], {"city": "Oslo"}
    if body.get("stream"):
        return stream(tool_block(0, "toolu_1", name, '{"city": ', '"Oslo"}'), reason="tool_use")
    return whole({"type": "tool_use", "id": "toolu_1", "name": name, "input": given}, reason="tool_use")
