"""What OpenAI's Responses answers, whole or in a stream's events, as chunks of ours. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import ContentFilterError, LLMFrameworkError
from ...types import Chunk, FinishReason, Usage
from . import http_errors
from .answer_reader import AnswerReader, shown, token_count
from .chat_response import read_logprobs
from .sse import ServerSentEvent

_STATUS = {
    "server_error": 500, "rate_limit_exceeded": 429, "insufficient_quota": 429, "vector_store_timeout": 503,
    "rate_limit_error": 429, "invalid_api_key": 401, "server_is_overloaded": 503, "slow_down": 503,
}  # fmt: skip
_POLICIES = ("_policy", "content_filter", "misalignment")
_INCOMPLETE: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}


class ResponsesReader(AnswerReader):
    """Reads one answer of Responses. An item of reasoning becomes a part of the answer that holds the item itself, so
    that it can be sent back."""

    __slots__ = ("_block", "_lengths", "_with_text")

    def __init__(self, who: str, model: str, stop: Sequence[str] = ()) -> None:
        super().__init__(who, model, stop)
        self._block: str | None = None  # the kind of part that the next signature would sign
        self._with_text: set[Any] = set()  # items of which text or thinking came
        self._lengths: dict[Any, int] = {}  # of the arguments that came, by item

    # ------------------------------------------------------------------------------------------------------ streaming
    def event(self, event: ServerSentEvent) -> Iterator[Chunk]:
        """The chunks of one event's data."""
        self.begun = True
        if event.data.strip() == "[DONE]":  # some gateways add it; the end mark is an event of its own
            return iter(())
        value = self.decoded(event.data)
        if not isinstance(value, Mapping):
            raise self.bad(f"sent {shown(value)} where an object belongs")
        kind = str(value.get("type") or event.event)
        if kind == "error" or (value.get("error") and "response" not in value):
            raise self._error(value)
        read = getattr(self, _READERS.get(kind, "_nothing"))
        chunks: Iterator[Chunk] = read(value)
        return chunks

    def _nothing(self, value: Mapping[str, Any]) -> Iterator[Chunk]:
        return iter(())

    def _text_delta(self, value: Mapping[str, Any]) -> Iterator[Chunk]:
        self._with_text.add(value.get("output_index"))
        return self._shown_text(value.get("delta"), value.get("logprobs"))

    def _shown_text(self, text: Any, logprobs: Any) -> Iterator[Chunk]:
        for chunk in self.text(str(text or ""), logprobs=read_logprobs(logprobs) if logprobs else ()):
            self._block = "text"
            yield chunk

    def _thinking_delta(self, value: Mapping[str, Any]) -> Iterator[Chunk]:
        self._with_text.add(value.get("output_index"))
        return self._thought(str(value.get("delta") or ""))

    def _thinking_part(self, value: Mapping[str, Any]) -> Iterator[Chunk]:
        return self._thought("\n\n") if value.get("summary_index") else iter(())

    def _thought(self, text: str) -> Iterator[Chunk]:
        if text:
            self._block = "thinking"
        return self.thinking(text)

    def _item_added(self, value: Mapping[str, Any]) -> Iterator[Chunk]:
        item = value.get("item")
        if isinstance(item, Mapping) and item.get("type") == "function_call":
            yield self._call_piece(value, item.get("call_id"), item.get("name"), item.get("arguments"))

    def _arguments_delta(self, value: Mapping[str, Any]) -> Iterator[Chunk]:
        yield self._call_piece(value, None, None, value.get("delta"))

    def _call_piece(self, value: Mapping[str, Any], id: Any, name: Any, arguments: Any) -> Chunk:
        index = value.get("output_index")
        text = str(arguments or "")
        self._lengths[index] = self._lengths.get(index, 0) + len(text)
        self._block = None
        return self.call(self.calls.piece(index, id, name, text))

    def _item_done(self, value: Mapping[str, Any]) -> Iterator[Chunk]:
        """The whole item: what of it has not come in pieces, and what proves it."""
        item, index = value.get("item"), value.get("output_index")
        if not isinstance(item, Mapping):
            return
        if item.get("type") == "function_call":
            if not self._lengths.get(index):
                id, name = (None, None) if index in self._lengths else (item.get("call_id"), item.get("name"))
                yield self._call_piece(value, id, name, item.get("arguments"))
        else:
            yield from self._item(item, index not in self._with_text)

    def _completed(self, value: Mapping[str, Any]) -> Iterator[Chunk]:
        response = value.get("response")
        if not isinstance(response, Mapping):
            raise self.bad(f"sent {shown(value)} as the end of an answer")
        self._end(response)
        self.ended = True
        return iter(()) if self.shown else self._items(response)

    # ---------------------------------------------------------------------------------------------------------- whole
    def body(self, value: Any) -> Iterator[Chunk]:
        """The chunks of a whole answer."""
        if not isinstance(value, Mapping):
            raise self.bad(f"sent {shown(value)} where an object belongs")
        if value.get("error") and "output" not in value:
            raise self._error(value)
        if not isinstance(value.get("output"), list):
            raise self.bad(f"sent an answer without output: {shown(value)}")
        self._end(value)
        return self._items(value)

    def _end(self, response: Mapping[str, Any]) -> None:
        """Usage, and why the answer ended. Raises where it failed."""
        usage = response.get("usage")
        if isinstance(usage, Mapping):
            self.usage = read_usage(usage)
        status = response.get("status")
        if status == "failed" or response.get("error"):
            raise self._error(response)
        if status in ("cancelled", "queued", "in_progress"):
            raise self.bad(f"ended an answer whose status is {status!r}")
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, Mapping) else None
        self.finish_reason = _INCOMPLETE.get(str(reason), "length") if status == "incomplete" else "stop"

    def _items(self, response: Mapping[str, Any]) -> Iterator[Chunk]:
        for item in response.get("output") or ():
            if not isinstance(item, Mapping):
                continue
            if item.get("type") == "function_call":
                self._block = None
                yield self.call(self.calls.whole(item.get("call_id"), item.get("name"), item.get("arguments")))
            else:
                yield from self._item(item, True)

    # ---------------------------------------------------------------------------------------------------------- items
    def _item(self, item: Mapping[str, Any], with_text: bool) -> Iterator[Chunk]:
        """A message or an item of reasoning; those of tools that the server ran itself are passed over."""
        if item.get("type") == "message":
            yield from self._message(item) if with_text else ()
            if item.get("phase") and self._block == "text":  # models want to be told again
                yield self._signed("", {"provider": self.who, "phase": item["phase"]})
        elif item.get("type") == "reasoning":
            if with_text:
                yield from self._thought("\n\n".join(_texts(item)))
            yield from self._signed_reasoning(item)

    def _message(self, item: Mapping[str, Any]) -> Iterator[Chunk]:
        for part in item.get("content") or ():
            if isinstance(part, Mapping):
                yield from self._shown_text(part.get("text") or part.get("refusal"), part.get("logprobs"))

    def _signed_reasoning(self, item: Mapping[str, Any]) -> Iterator[Chunk]:
        signature = item.get("encrypted_content")
        if not signature:
            self._block = None
            return
        if self._block == "text":  # end the text before: this proves what is hidden, not that
            yield self._signed("", {})
        known = {name: item[name] for name in _OF_REASONING if item.get(name) is not None}
        yield self._signed(str(signature), {"provider": self.who, "item": {"summary": [], **known}})

    def _signed(self, signature: str, data: Mapping[str, Any]) -> Chunk:
        self._block = None
        return Chunk(signature=signature, provider_data=data)

    # --------------------------------------------------------------------------------------------------------- errors
    def _error(self, value: Mapping[str, Any]) -> LLMFrameworkError:
        """The error in an event, or of an answer that failed. Its code stands for the status that it would have had."""
        value = {**value, "error": value.get("error") or {}} if "error" in value else value
        body = http_errors.from_json(value)
        code = body.code or body.type
        if any(word in code for word in _POLICIES) or (code == "invalid_prompt" and "policy" in body.message):
            message = f"{self.who} refused the request for its content: {body.message}"
            return ContentFilterError(message, provider=self.who, model=self.model)
        if code in ("", "error"):
            return self.error_in(value)
        return http_errors.error_of(_STATUS.get(code, 400), body, who=self.who, model=self.model)


_OF_REASONING = ("type", "id", "summary", "content", "encrypted_content")
_READERS = {
    "response.output_text.delta": "_text_delta",
    "response.refusal.delta": "_text_delta",
    "response.reasoning_summary_text.delta": "_thinking_delta",
    "response.reasoning_text.delta": "_thinking_delta",
    "response.reasoning_summary_part.added": "_thinking_part",
    "response.output_item.added": "_item_added",
    "response.output_item.done": "_item_done",
    "response.function_call_arguments.delta": "_arguments_delta",
    "response.completed": "_completed",
    "response.incomplete": "_completed",
    "response.failed": "_completed",
}


def _texts(item: Mapping[str, Any]) -> list[str]:
    """The summaries of an item of reasoning, else its text."""
    for name in ("summary", "content"):
        found = [str(part.get("text") or "") for part in item.get(name) or () if isinstance(part, Mapping)]
        if found:
            return found
    return []


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Token counts; what a server leaves out is 0."""

    def count(name: str, inside: str | None = None) -> int:
        source = usage if inside is None else usage.get(inside)
        value = source.get(name) if isinstance(source, Mapping) else None
        return token_count(value)

    return Usage(
        count("input_tokens"),
        count("output_tokens"),
        count("cached_tokens", "input_tokens_details"),
        count("reasoning_tokens", "output_tokens_details"),
    )
