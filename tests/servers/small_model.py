"""Answers that a chat server might give: it counts, stops and calls tools by the request's own words."""

from __future__ import annotations

import json
import re
from typing import Any

from .chat_server import DONE, Reply, Request, call_delta, delta, error_reply, frame, json_reply

COUNTING = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


def answer(request: Request) -> Reply:
    """The reply to a chat completion: whole or streamed, as asked."""
    body = request.body
    if request.path != "/v1/chat/completions":
        return Reply(["Not Found"], 404, "text/plain")
    if not body["model"].startswith("small"):
        return error_reply(404, f"The model `{body['model']}` does not exist", "model_not_found")
    calls = _calls(body)
    text = "" if calls else _text(body)
    words = re.findall(r"\s*\S+", text)[: body.get("max_tokens") or body.get("max_completion_tokens") or 1000]
    cut = len(words) < len(re.findall(r"\S+", text))
    text = "".join(words)
    for stop in body.get("stop") or ():
        text = text.split(stop)[0]
    reason = "tool_calls" if calls else "length" if cut else "stop"
    prompt = sum(len(json.dumps(message).split()) for message in body["messages"])
    counts = {"prompt_tokens": prompt, "completion_tokens": len(words) or 1, "total_tokens": prompt + len(words)}
    return _streamed(body, text, calls, reason, counts) if body.get("stream") else _whole(text, calls, reason, counts)


def _whole(text: str, calls: list[dict[str, Any]], reason: str, counts: dict[str, int]) -> Reply:
    message = {"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return json_reply({"id": "c", "object": "chat.completion", "model": "small", "choices": [choice], "usage": counts})


def _streamed(body: Any, text: str, calls: list[dict[str, Any]], reason: str, counts: dict[str, int]) -> Reply:
    pieces = [delta(role="assistant", content="")]
    pieces += [delta(content=word) for word in re.findall(r"\s*\S+", text)]
    for index, call in enumerate(calls):
        function = call["function"]
        pieces.append(delta(tool_calls=[call_delta(index, call["id"], function["name"], "")]))
        arguments = function["arguments"]
        pieces += [
            delta(tool_calls=[call_delta(index, None, None, arguments[at : at + 7])])
            for at in range(0, len(arguments), 7)
        ]
    pieces.append(delta(reason))
    if body.get("stream_options", {}).get("include_usage"):
        pieces.append(frame({"choices": [], "usage": counts}))
    return Reply([*pieces, DONE])


def _text(body: Any) -> str:
    form = body.get("response_format")
    if form is not None:
        schema = form.get("json_schema", {}).get("schema") or _JOKE
        return json.dumps(_instance(schema, schema, _last_user_text(body)))
    results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    if results and body["messages"][-1]["role"] == "tool":
        return f"The tool says: {results[-1]}"
    return COUNTING


_JOKE = {"type": "object", "properties": {"setup": {"type": "string"}, "punchline": {"type": "string"}}}


def _calls(body: Any) -> list[dict[str, Any]]:
    tools = [tool["function"] for tool in body.get("tools") or ()]
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        tools = [tool for tool in tools if tool["name"] == choice["function"]["name"]]
    elif choice == "none" or (choice == "auto" and body["messages"][-1]["role"] == "tool"):
        return []
    text = _last_user_text(body)
    return [
        {
            "id": f"call_{len(body['messages'])}_{index}",
            "type": "function",
            "function": {
                "name": tool["name"],
                "arguments": json.dumps(_instance(tool["parameters"], tool["parameters"], text)),
            },
        }
        for index, tool in enumerate(tools[:1])
    ]


def _last_user_text(body: Any) -> str:
    content = next((m["content"] for m in reversed(body["messages"]) if m["role"] == "user"), "")
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def _instance(schema: Any, root: Any, text: str) -> Any:
    """A value of the schema, its numbers from the text."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return next((value for value in schema["enum"] if str(value).lower() in text.lower()), schema["enum"][0])
    if "anyOf" in schema:
        return _instance(schema["anyOf"][0], root, text)
    kind = schema.get("type")
    if kind == "object":
        return {name: _instance(value, root, text) for name, value in schema.get("properties", {}).items()}
    if kind == "array":
        return [_instance(schema.get("items", {}), root, text)]
    if kind in ("integer", "number"):
        return int((re.findall(r"\d+", text) or ["1"])[0])
    values: dict[str, Any] = {"boolean": True, "null": None}
    known = next((name for name in ("San Francisco", "你好", "こんにちは") if name in text), "some text")
    return values.get(str(kind), known)
