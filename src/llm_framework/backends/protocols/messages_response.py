"""What the Messages API answers, whole or event by event, as chunks of ours. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import LLMFrameworkError
from ...types import Chunk, FinishReason, ToolCallDelta, Usage
from . import http_errors
from .answer_reader import AnswerReader, shown, token_count
from .messages_content import PROTOCOL
from .sse import ServerSentEvent

_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "tool_use": "tool_calls",
    "max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "content_filter",
}  # fmt: skip
# The status with which each type of error would have come before the answer began.
_STATUS: dict[str, int] = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "timeout_error": 504, "api_error": 500,
    "overloaded_error": 529,
}  # fmt: skip


class MessagesReader(AnswerReader):
    """Reads one answer of the Messages API. `form_tool` is the tool whose arguments are the answer's text."""

    __slots__ = ("_blocks", "_counts", "_form_tool", "_said")

    def __init__(self, who: str, model: str, stop: Sequence[str] = (), form_tool: str | None = None) -> None:
        super().__init__(who, model, stop)
        self._form_tool = form_tool
        self._blocks: dict[Any, _Block] = {}
        self._counts: dict[str, Any] = {}
        self._said: dict[str, Any] = {}

    def event(self, event: ServerSentEvent) -> Iterator[Chunk]:
        """The chunks of one event."""
        if event.data.strip() in ("", "[DONE]"):  # of gateways that translate
            return iter(())
        return self.value(self.decoded(event.data))

    def value(self, value: Any) -> Iterator[Chunk]:
        """The chunks of one decoded event."""
        if not isinstance(value, Mapping):
            raise self.bad(f"sent {shown(value)} where an object belongs")
        kind = value.get("type")
        if kind == "ping":
            return iter(())
        self.begun = True
        if kind == "content_block_delta":
            return self._delta(value.get("index"), _mapping(value.get("delta")))
        if kind == "content_block_start":
            return self._start(value.get("index"), _mapping(value.get("content_block")))
        if kind == "content_block_stop":
            return self._stop_block(self._blocks.pop(value.get("index"), None))
        if kind == "message_start":
            message = _mapping(value.get("message"))
            self._describe(message)
            self._count(message.get("usage"))
        elif kind == "message_delta":
            self._count(value.get("usage"))
            self._finish(_mapping(value.get("delta")))
        elif kind == "message_stop":
            self.ended = True
        elif kind == "error" or "error" in value:
            raise self.error_in(value)
        return iter(())

    def body(self, value: Any) -> Iterator[Chunk]:
        """The chunks of a whole answer."""
        if not isinstance(value, Mapping):
            raise self.bad(f"sent {shown(value)} where an object belongs")
        if value.get("type") == "error" or value.get("error"):
            raise self.error_in(value)
        content = value.get("content")
        if not isinstance(content, list):
            raise self.bad(f"sent an answer without content: {shown(value)}")
        self._describe(value)
        self._count(value.get("usage"))
        for index, block in enumerate(content):
            yield from self._start(index, _mapping(block))
            yield from self._stop_block(self._blocks.pop(index, None))
        self._finish(value)

    def last(self, dropped: tuple[str, ...], provider_data: Mapping[str, Any] | None = None) -> Chunk:
        """The chunk that ends the answer, with what else the API said of it."""
        if self._form_tool is not None and self.finish_reason == "tool_calls" and not len(self.calls):
            self.finish_reason = "stop"
        return super().last(dropped, {**self._said, **(provider_data or {})})

    # -------------------------------------------------------------------------------------------------------- blocks
    def _start(self, index: Any, content: Mapping[str, Any]) -> Iterator[Chunk]:
        """A block begins; in a whole answer, and from some servers, it is all there already."""
        kind = str(content.get("type"))
        block = self._blocks[index] = _Block(kind)
        if kind == "text":
            yield from self.text(str(content.get("text") or ""))
            if citations := content.get("citations"):
                self._said.setdefault("citations", []).extend(citations)
        elif kind == "thinking":
            yield from self._thought(block, str(content.get("thinking") or ""))
            block.signature = str(content.get("signature") or "")
        elif kind == "redacted_thinking":
            block.redacted = str(content.get("data") or "")
        elif kind == "tool_use":
            block.input = content.get("input")
            block.is_form = self._form_tool is not None and content.get("name") == self._form_tool
            if not block.is_form:
                number = f"block {index}"  # a name and no number, so that the calls alone are counted
                delta = self.calls.piece(number, _text(content.get("id")), _text(content.get("name")), "")
                block.call = delta.index
                yield self.call(delta)

    def _delta(self, index: Any, delta: Mapping[str, Any]) -> Iterator[Chunk]:
        kind = delta.get("type")
        if kind == "text_delta":
            return self.text(str(delta.get("text") or ""))
        block = self._blocks.get(index) or _Block("")
        if kind == "thinking_delta":
            return self._thought(block, str(delta.get("thinking") or ""))
        if kind == "signature_delta":
            block.signature = str(delta.get("signature") or "")
        elif kind == "input_json_delta":
            return self._input(block, str(delta.get("partial_json") or ""))
        elif kind == "citations_delta" and delta.get("citation"):
            self._said.setdefault("citations", []).append(delta["citation"])
        return iter(())

    def _thought(self, block: _Block, text: str) -> Iterator[Chunk]:
        block.is_shown = block.is_shown or bool(text)
        return self.thinking(text)

    def _input(self, block: _Block, text: str) -> Iterator[Chunk]:
        """A piece of the arguments of a tool of ours; those of the provider's own tools are not for us."""
        if not text or block.kind != "tool_use":
            return
        block.input = None
        if block.is_form:
            yield from self.text(text)
        else:
            yield self.call(ToolCallDelta(block.call, arguments=text))

    def _stop_block(self, block: _Block | None) -> Iterator[Chunk]:
        if block is None:
            return
        if block.kind == "tool_use" and block.input:  # came with the start, and no pieces after it
            yield from self._input(block, json.dumps(block.input, ensure_ascii=False))
        elif block.kind == "thinking" and block.signature:
            hidden = {} if block.is_shown else {"hidden": True}
            yield Chunk(signature=block.signature, provider_data={**self._mark(), **hidden})
        elif block.kind == "redacted_thinking":
            yield Chunk(signature="", provider_data={**self._mark(), "hidden": True, "redacted": block.redacted})

    def _mark(self) -> dict[str, Any]:
        """Whose a signed block is: models take their own only."""
        return {"provider": PROTOCOL, "model": self.model}

    # ------------------------------------------------------------------------------------------------------- the rest
    def _describe(self, message: Mapping[str, Any]) -> None:
        if isinstance(message.get("id"), str):
            self._said["id"] = message["id"]

    def _count(self, usage: Any) -> None:
        """Counts are running totals; the last ones hold, and may leave out what was said before."""
        if isinstance(usage, Mapping):
            self._counts.update({name: value for name, value in usage.items() if value is not None})
            self.usage = read_usage(self._counts)
            if created := token_count(self._counts.get("cache_creation_input_tokens")):
                self._said["cache_creation_tokens"] = created

    def _finish(self, delta: Mapping[str, Any]) -> None:
        reason = delta.get("stop_reason")
        if not reason:
            return
        self.finish_reason = _FINISH.get(str(reason), "stop")
        self._said["stop_reason"] = str(reason)
        for name in ("stop_sequence", "stop_details"):
            if delta.get(name):
                self._said[name] = delta[name]

    def error_in(self, value: Mapping[str, Any]) -> LLMFrameworkError:
        """The error that an event stands for: the one that its type would have been as a status."""
        body = http_errors.from_json(value)
        status = _STATUS.get(body.type)
        if status is None:
            return super().error_in(value)
        return http_errors.error_of(status, body, who=self.who, model=self.model)


class _Block:
    """A content block that is being read."""

    __slots__ = ("call", "input", "is_form", "is_shown", "kind", "redacted", "signature")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.call = 0
        self.input: Any = None
        self.is_form = False
        self.is_shown = False
        self.redacted = ""
        self.signature = ""


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Token counts. The API counts what it read from its cache, and what it wrote to it, beside the input."""
    cached = token_count(usage.get("cache_read_input_tokens"))
    given = token_count(usage.get("input_tokens")) + cached + token_count(usage.get("cache_creation_input_tokens"))
    reasoning = token_count(_mapping(usage.get("output_tokens_details")).get("thinking_tokens"))
    return Usage(given, token_count(usage.get("output_tokens")), cached, reasoning)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
