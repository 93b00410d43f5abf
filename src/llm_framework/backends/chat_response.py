"""What Chat Completions answers, whole or in a stream's frames, as chunks of ours. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..decoding.text_stream import StopStrings
from ..errors import BadResponseError, LLMFrameworkError, ProviderUnavailableError
from ..types import Chunk, FinishReason, TokenLogprob, ToolCallDelta, Usage
from . import http_errors

_FINISH: dict[str, FinishReason] = {
    "stop": "stop", "eos": "stop", "stop_sequence": "stop", "end_turn": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length",
    "tool_calls": "tool_calls", "function_call": "tool_calls", "tool_use": "tool_calls",
    "content_filter": "content_filter", "safety": "content_filter",
}  # fmt: skip


class AnswerReader:
    """Reads one answer. `begun` says whether anything of it came, `shown` whether anything of it was visible yet,
    `ended` whether it was said to be over. Text ends before the first of `stop`, which some servers leave in it."""

    __slots__ = (
        "_calls_by_id",
        "_calls_by_number",
        "_last_index",
        "_model",
        "_stop",
        "_told",
        "_who",
        "begun",
        "ended",
        "finish_reason",
        "shown",
        "usage",
    )

    def __init__(self, who: str, model: str, stop: Sequence[str] = ()) -> None:
        self._who = who
        self._model = model
        self._calls_by_id: dict[Any, int] = {}
        self._calls_by_number: dict[Any, int] = {}
        self._told: set[tuple[int, str]] = set()
        self._stop = StopStrings(stop) if stop else None
        self._last_index = -1
        self.begun = False
        self.shown = False
        self.ended = False
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None

    def frame(self, data: str) -> Iterator[Chunk]:
        """The chunks of one event's data. Raises what a frame that holds an error says; `BadResponseError` for
        what is no JSON."""
        self.begun = True
        if data.strip() == "[DONE]":
            self.ended = True
            return iter(())
        return self.body(_decoded(data, self._who, self._model), "delta")

    def body(self, value: Any, key: str = "message") -> Iterator[Chunk]:
        """The chunks of a decoded body or frame; `key` is where its first choice holds the message."""
        if not isinstance(value, Mapping):
            raise self._bad(f"sent {json.dumps(value)[:200]} where an object belongs")
        if value.get("error"):
            raise self._error(value)
        usage = value.get("usage")
        if usage is None and isinstance(value.get("x_groq"), Mapping):
            usage = value["x_groq"].get("usage")
        if isinstance(usage, Mapping):
            self.usage = read_usage(usage)
        choices = value.get("choices")
        if isinstance(choices, list) and choices:
            return self._choice(choices[0], key)
        if key == "message":
            raise self._bad(f"sent an answer without choices: {json.dumps(value)[:200]}")
        return iter(())

    def last(self, dropped: tuple[str, ...]) -> Chunk:
        """The chunk that ends the answer. Raises `BadResponseError` where nothing came at all."""
        reason = self.finish_reason
        rest = "" if self._stop is None else self._stop.finish()
        self.shown = self.shown or bool(rest)
        if reason is None and not self.shown:
            raise self._bad("ended its answer before it began")
        if self._last_index >= 0 and reason in (None, "stop"):  # what a forced call ends with differs
            reason = "tool_calls"
        if self._stop is not None and self._stop.stopped and reason == "length":
            reason = "stop"
        return Chunk(rest, finish_reason=reason or "stop", usage=self.usage, dropped_parameters=dropped)

    def _choice(self, choice: Any, key: str) -> Iterator[Chunk]:
        if not isinstance(choice, Mapping):
            raise self._bad(f"sent {json.dumps(choice)[:200]} as a choice")
        message = choice.get(key)
        if isinstance(message, Mapping):
            logprobs = choice.get("logprobs")
            yield from self._message(message, _logprobs(logprobs) if logprobs else (), key == "message")
        reason = choice.get("finish_reason")
        if reason:
            if reason == "error":
                raise self._error(choice)
            self.finish_reason = _FINISH.get(str(reason).lower(), "stop")

    def _message(self, message: Mapping[str, Any], logprobs: tuple[TokenLogprob, ...], whole: bool) -> Iterator[Chunk]:
        thinking = message.get("reasoning_content") or message.get("reasoning")
        if thinking and isinstance(thinking, str):
            yield self._visible(Chunk(thinking=thinking))
        content = message.get("content")
        if isinstance(content, list):
            for chunk in _content_parts(content):
                if chunk.thinking or (text := self._before_stop(chunk.text)):
                    yield self._visible(chunk if chunk.thinking else Chunk(text))
        elif content and (text := self._before_stop(str(content))):
            yield self._visible(Chunk(text, logprobs=logprobs))
        elif logprobs:  # of tokens that are no text, such as those of a tool call
            yield Chunk(logprobs=logprobs)
        if refusal := message.get("refusal"):
            yield self._visible(Chunk(str(refusal)))
        for number, call in enumerate(message.get("tool_calls") or ()):
            if isinstance(call, Mapping):
                yield self._visible(Chunk(tool_call=self._call(call, number if whole else None)))

    def _before_stop(self, text: str) -> str:
        return text if self._stop is None else self._stop.feed(text)

    def _visible(self, chunk: Chunk) -> Chunk:
        self.shown = True
        return chunk

    def _call(self, call: Mapping[str, Any], number: int | None) -> ToolCallDelta:
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):  # some send the object itself
            arguments = json.dumps(arguments, ensure_ascii=False)
        id, name = call.get("id") or None, function.get("name") or None
        index = self._index(call.get("index"), id, name) if number is None else number
        self._last_index = max(self._last_index, index)
        return ToolCallDelta(index, self._once(index, "id", id), self._once(index, "name", name), arguments or "")

    def _once(self, index: int, what: str, value: str | None) -> str | None:
        """The value where it is a call's first: some servers repeat it in every piece, and pieces are added up."""
        if value is None or (index, what) in self._told:
            return None
        self._told.add((index, what))
        return value

    def _index(self, given: Any, id: Any, name: Any) -> int:
        """The number of the call that a piece belongs to.

        The protocol numbers the calls, and gives id and name with the first piece of each. Some servers give no
        numbers, or 0 for each; some repeat the id in every piece, or make a new one for each.
        """
        if id in self._calls_by_id:
            return self._calls_by_id[id]
        known = self._calls_by_number.get(given)
        begins = known is None or (id is not None and name is not None)
        if given is None and known is not None and id is None:
            begins = name is not None
        if known is not None and not begins:
            return known
        free = isinstance(given, int) and given > self._last_index
        index = int(given) if free else self._last_index + 1
        self._calls_by_number[given] = index
        if id is not None:
            self._calls_by_id[id] = index
        return index

    def _error(self, value: Mapping[str, Any]) -> LLMFrameworkError:
        """The error that came inside an answer which began as a success."""
        body = http_errors.from_json(value)
        if body.code.isdigit() and 400 <= int(body.code) < 600:
            return http_errors.error_of(int(body.code), body, who=self._who, model=self._model)
        message = f"{self._who} broke its answer off: {body.message or body.type or 'no reason given'}"
        return ProviderUnavailableError(message, provider=self._who, model=self._model)

    def _bad(self, what: str) -> BadResponseError:
        return BadResponseError(f"{self._who} {what}", provider=self._who, model=self._model)


def _decoded(data: str, who: str, model: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        message = f"{who} sent a frame that is not valid JSON: {data[:200]!r}"
        raise BadResponseError(message, provider=who, model=model) from None


def _content_parts(content: Any) -> Iterator[Chunk]:
    """Content as a list of parts, thinking among them, as one provider sends it."""
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, Mapping):
            continue
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            texts = inner if isinstance(inner, list) else [{"text": inner}]
            yield Chunk(thinking="".join(str(item.get("text") or "") for item in texts if isinstance(item, Mapping)))
        elif part.get("text"):
            yield Chunk(str(part["text"]))


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Token counts; what a server leaves out is 0."""

    def count(name: str, inside: Any = None) -> int:
        source = usage if inside is None else inside
        value = source.get(name) if isinstance(source, Mapping) else None
        return int(value) if isinstance(value, (int, float)) else 0

    cached = count("cached_tokens", usage.get("prompt_tokens_details") or {}) or count("prompt_cache_hit_tokens")
    reasoning = count("reasoning_tokens", usage.get("completion_tokens_details") or {})
    return Usage(count("prompt_tokens"), count("completion_tokens"), cached, reasoning)


def _logprobs(value: Any) -> tuple[TokenLogprob, ...]:
    """The log-probabilities of some tokens. The protocol gives no ids: they are -1."""
    items = value.get("content") if isinstance(value, Mapping) else None
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
