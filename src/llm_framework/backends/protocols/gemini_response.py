"""What Gemini's `generateContent` answers, whole or in a stream's frames, as chunks of ours. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import ContentFilterError, InvalidRequestError, LLMFrameworkError, PermissionDeniedError
from ...types import Chunk, FinishReason, TokenLogprob, ToolCallDelta, Usage, new_call_id
from . import gemini_errors
from .answer_reader import AnswerReader, shown, token_count
from .gemini_contents import FAMILY
from .sse import ServerSentEvent

_FINISH: dict[str, FinishReason] = {
    "STOP": "stop", "TOO_MANY_TOOL_CALLS": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length",
    "SAFETY": "content_filter", "RECITATION": "content_filter", "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter", "SPII": "content_filter", "LANGUAGE": "content_filter",
    "IMAGE_SAFETY": "content_filter", "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter", "MODEL_ARMOR": "content_filter", "ESCALATION": "content_filter",
}  # fmt: skip
_BROKEN_CALL = ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL")
_KEPT = ("groundingMetadata", "citationMetadata", "urlContextMetadata")  # of a candidate, for those who look for it


class GeminiReader(AnswerReader):
    """Reads one answer of `generateContent`. `tools` are the names of those that were offered."""

    __slots__ = ("_data", "_tools")

    def __init__(self, who: str, model: str, tools: Sequence[str] = ()) -> None:
        super().__init__(who, model)  # the server leaves no stop string in the text
        self._tools = tools
        self._data: dict[str, Any] = {}

    def event(self, event: ServerSentEvent) -> Iterator[Chunk]:
        """The chunks of one event's data."""
        return self.frame(self.decoded(event.data))

    def frame(self, value: Any) -> Iterator[Chunk]:
        """The chunks of one piece of a stream, decoded."""
        self.begun = True
        return self._read(value)

    def body(self, value: Any) -> Iterator[Chunk]:
        """The chunks of a whole answer. An array is a stream that was not asked for as events."""
        for item in value if isinstance(value, list) else [value]:
            yield from self._read(item)
        if self.finish_reason is None:
            raise self.bad(f"sent an answer that gives no reason for its end: {shown(value)}")

    def last(self, dropped: tuple[str, ...], provider_data: Mapping[str, Any] | None = None) -> Chunk:
        """The chunk that ends the answer."""
        return super().last(dropped, {**(provider_data or {}), **self._data})

    def error_in(self, value: Mapping[str, Any]) -> LLMFrameworkError:
        """The error that came inside an answer which began as a success."""
        status = gemini_errors.status_of(value)
        if status is None:
            return super().error_in(value)
        return gemini_errors.error_of(status, value, who=self.who, model=self.model)

    # ------------------------------------------------------------------------------------------------------- a frame
    def _read(self, value: Any) -> Iterator[Chunk]:
        if not isinstance(value, Mapping):
            raise self.bad(f"sent {shown(value)} where an object belongs")
        if value.get("error"):
            raise self.error_in(value)
        if isinstance(value.get("usageMetadata"), Mapping):
            self.usage = read_usage(value["usageMetadata"])
        for name, ours in (("modelVersion", "model_version"), ("responseId", "response_id")):
            if value.get(name):
                self._data[ours] = value[name]
        candidates = value.get("candidates")
        if isinstance(candidates, list) and candidates:
            yield from self._candidate(candidates[0])
            return
        feedback = value.get("promptFeedback")
        if isinstance(feedback, Mapping) and feedback.get("blockReason"):
            raise self._blocked(feedback)

    def _blocked(self, feedback: Mapping[str, Any]) -> LLMFrameworkError:
        said = feedback.get("blockReasonMessage")
        message = f"{self.who} refused the prompt for its content ({feedback['blockReason']})"
        return ContentFilterError(f"{message}: {said}" if said else message, provider=self.who, model=self.model)

    def _candidate(self, candidate: Any) -> Iterator[Chunk]:
        if not isinstance(candidate, Mapping):
            raise self.bad(f"sent {shown(candidate)} as a candidate")
        if candidate.get("index"):  # another answer than the first, which nobody asked for
            return
        self._data.update({name: candidate[name] for name in _KEPT if candidate.get(name)})
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, Mapping) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, Mapping):
                yield from self._part(part)
        if logprobs := _logprobs(candidate.get("logprobsResult")):
            yield Chunk(logprobs=logprobs)
        if candidate.get("finishReason"):
            yield from self._finish(str(candidate["finishReason"]), str(candidate.get("finishMessage") or ""))

    # -------------------------------------------------------------------------------------------------------- a part
    def _part(self, part: Mapping[str, Any]) -> Iterator[Chunk]:
        signature = part.get("thoughtSignature")
        if isinstance(part.get("functionCall"), Mapping):
            yield self.call(self._call(part["functionCall"], signature))
        elif isinstance(part.get("text"), str):
            text, is_thought = part["text"], bool(part.get("thought"))
            yield from self.thinking(text) if is_thought else self.text(text)
            if signature:
                data = {"provider": FAMILY, "tail": len(text), "thought": is_thought}
                yield Chunk(signature=str(signature), provider_data=data)
        elif part:  # what code it ran, an image that it drew: kept as it came
            self._data.setdefault("parts", []).append(dict(part))

    def _call(self, call: Mapping[str, Any], signature: Any) -> ToolCallDelta:
        data: dict[str, Any] = {"provider": FAMILY}
        if call.get("id"):
            data["id"] = True  # only an id of theirs is sent back
        if signature:
            data["signature"] = str(signature)
        arguments = call.get("args")
        return self.calls.whole(call.get("id") or new_call_id(), call.get("name"), arguments, data)

    # -------------------------------------------------------------------------------------------------------- the end
    def _finish(self, reason: str, said: str) -> Iterator[Chunk]:
        because = f": {said}" if said else ""
        if reason in _BROKEN_CALL and said and self._tools:
            yield self._broken_call(said)
        elif reason in (*_BROKEN_CALL, "MALFORMED_RESPONSE"):
            raise self.bad(f"made an answer that it could not read itself ({reason}){because}")
        elif reason == "MISSING_THOUGHT_SIGNATURE":
            message = f"{self.who} misses the signature of a call in the history{because}"
            raise InvalidRequestError(message, provider=self.who, model=self.model)
        elif reason == "PUP_LIMITED_DISABLED":
            message = f"{self.who} has limited this account{because}"
            raise PermissionDeniedError(message, provider=self.who, model=self.model)
        elif reason not in _FINISH and not self.shown:
            raise self.bad(f"ended without an answer ({reason}){because}")
        self.finish_reason = _FINISH.get(reason, "stop")

    def _broken_call(self, said: str) -> Chunk:
        """A call that could not be read, with all there is of it: the model is then told what was wrong."""
        named = (name for name in self._tools if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", said))
        data = {"provider": FAMILY}
        text = said if said.strip()[:1] not in "{[" else f"malformed: {said}"  # never taken for arguments
        return self.call(self.calls.whole(new_call_id(), next(named, "unknown"), text, data))


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """Token counts; thoughts are output."""

    def count(name: str) -> int:
        value = usage.get(name)
        return token_count(value)

    prompt = count("promptTokenCount") + count("toolUsePromptTokenCount")
    answer, thoughts = count("candidatesTokenCount"), count("thoughtsTokenCount")
    # Some servers count the thoughts among the candidates' tokens: their total shows it.
    inside = bool(thoughts) and answer >= thoughts and count("totalTokenCount") == prompt + answer
    return Usage(prompt, answer if inside else answer + thoughts, count("cachedContentTokenCount"), thoughts)


# -------------------------------------------------------------------------------------------------------- logprobs
def _logprobs(value: Any) -> tuple[TokenLogprob, ...]:
    if not isinstance(value, Mapping):
        return ()
    chosen, top = _mappings(value.get("chosenCandidates")), _mappings(value.get("topCandidates"))
    return tuple(
        TokenLogprob(*_token(item), tuple(_token(other) for other in _mappings(top[number].get("candidates"))))
        if number < len(top)
        else TokenLogprob(*_token(item))
        for number, item in enumerate(chosen)
    )


def _token(item: Mapping[str, Any]) -> tuple[str, int, float]:
    number = item.get("tokenId")
    return str(item.get("token", "")), number if isinstance(number, int) else -1, float(item.get("logProbability") or 0)


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
