"""What Chat Completions answers, whole or in a stream's frames, as chunks of ours. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...types import Chunk, FinishReason, TokenLogprob, ToolCallDelta, Usage
from .answer_reader import AnswerReader, shown, token_count
from .sse import ServerSentEvent

_FINISH: dict[str, FinishReason] = {
    "stop": "stop", "eos": "stop", "stop_sequence": "stop", "end_turn": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length",
    "tool_calls": "tool_calls", "function_call": "tool_calls", "tool_use": "tool_calls",
    "content_filter": "content_filter", "safety": "content_filter",
}  # fmt: skip


class ChatReader(AnswerReader):
    """Reads one answer of Chat Completions."""

    __slots__ = ()

    def event(self, event: ServerSentEvent) -> Iterator[Chunk]:
        """The chunks of one event's data."""
        self.begun = True
        if event.data.strip() == "[DONE]":
            self.ended = True
            return iter(())
        return self._read(self.decoded(event.data), "delta")

    def body(self, value: Any) -> Iterator[Chunk]:
        """The chunks of a whole answer."""
        return self._read(value, "message")

    def _read(self, value: Any, key: str) -> Iterator[Chunk]:
        """`key` is where the first choice holds the message."""
        if not isinstance(value, Mapping):
            raise self.bad(f"sent {shown(value)} where an object belongs")
        if value.get("error"):
            raise self.error_in(value)
        usage = value.get("usage")
        if usage is None and isinstance(value.get("x_groq"), Mapping):
            usage = value["x_groq"].get("usage")
        if isinstance(usage, Mapping):
            self.usage = read_usage(usage)
        choices = value.get("choices")
        if isinstance(choices, list) and choices:
            return self._choice(choices[0], key)
        if key == "message":
            raise self.bad(f"sent an answer without choices: {shown(value)}")
        return iter(())

    def _choice(self, choice: Any, key: str) -> Iterator[Chunk]:
        if not isinstance(choice, Mapping):
            raise self.bad(f"sent {shown(choice)} as a choice")
        message = choice.get(key)
        if isinstance(message, Mapping):
            logprobs = choice.get("logprobs")
            items = logprobs.get("content") if isinstance(logprobs, Mapping) else None
            yield from self._message(message, read_logprobs(items), key == "message")
        reason = choice.get("finish_reason")
        if reason:
            if reason == "error":
                raise self.error_in(choice)
            self.finish_reason = _FINISH.get(str(reason).lower(), "stop")

    def _message(self, message: Mapping[str, Any], logprobs: tuple[TokenLogprob, ...], whole: bool) -> Iterator[Chunk]:
        thinking = message.get("reasoning_content") or message.get("reasoning")
        if thinking and isinstance(thinking, str):
            yield from self.thinking(thinking)
        content = message.get("content")
        if isinstance(content, list):
            for kind, text in _content_parts(content):
                yield from self.thinking(text) if kind == "thinking" else self.text(text)
        elif content:
            yield from self.text(str(content), logprobs=logprobs)
        elif logprobs:  # of tokens that are no text, such as those of a tool call
            yield Chunk(logprobs=logprobs)
        if refusal := message.get("refusal"):
            yield from self.text(str(refusal))
        for call in message.get("tool_calls") or ():
            if isinstance(call, Mapping):
                yield self.call(self._delta(call, whole))

    def _delta(self, call: Mapping[str, Any], whole: bool) -> ToolCallDelta:
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        if whole:
            return self.calls.whole(call.get("id"), function.get("name"), function.get("arguments"))
        return self.calls.piece(call.get("index"), call.get("id"), function.get("name"), function.get("arguments"))


def _content_parts(content: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Content as a list of parts, thinking among them, as one provider sends it: (kind, text)."""
    for part in content:
        if not isinstance(part, Mapping):
            continue
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            texts = inner if isinstance(inner, list) else [{"text": inner}]
            yield "thinking", "".join(str(item.get("text") or "") for item in texts if isinstance(item, Mapping))
        elif part.get("text"):
            yield "text", str(part["text"])


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Token counts; what a server leaves out is 0."""

    def count(name: str, inside: Any = None) -> int:
        source = usage if inside is None else inside
        value = source.get(name) if isinstance(source, Mapping) else None
        return token_count(value)

    cached = count("cached_tokens", usage.get("prompt_tokens_details") or {}) or count("prompt_cache_hit_tokens")
    reasoning = count("reasoning_tokens", usage.get("completion_tokens_details") or {})
    return Usage(count("prompt_tokens"), count("completion_tokens"), cached, reasoning)


def read_logprobs(items: Any) -> tuple[TokenLogprob, ...]:
    """The log-probabilities of some tokens. The protocol gives no ids: they are -1."""
    if not isinstance(items, list):
        return ()
    return tuple(
        TokenLogprob(
            str(item.get("token", "")),
            -1,
            float(item.get("logprob") or 0.0),
            tuple((str(top.get("token", "")), -1, float(top.get("logprob") or 0.0)) for top in _top(item)),
        )
        for item in items
        if isinstance(item, Mapping)
    )


def _top(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    top = item.get("top_logprobs")
    return [entry for entry in top if isinstance(entry, Mapping)] if isinstance(top, list) else []
