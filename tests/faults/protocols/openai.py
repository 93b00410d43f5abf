"""OpenAI's Chat Completions."""

from __future__ import annotations

from typing import Any, ClassVar

from ..server import Request
from .base import MODEL, Answer, Call, Protocol, Refusal, alternating, bearer, event


def _openai_error(status: int, message: str, kind: str, code: str | None = None) -> Refusal:
    return Refusal(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


class OpenAI(Protocol):
    """Chat Completions."""

    name = "openai"
    refusals: ClassVar = {
        "rate_limit": _openai_error(
            429, "Rate limit reached for fake-model in organization org-1 on requests per min (RPM): Limit 3, Used 3,"
            " Requested 1. Please try again in 20s.", "requests", "rate_limit_exceeded",
        ),
        "quota": _openai_error(
            429, "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota",
            "insufficient_quota",
        ),
        "server": _openai_error(500, "The server had an error while processing your request.", "server_error"),
        "overloaded": _openai_error(503, "The engine is currently overloaded, please try again later", "server_error"),
        "auth": _openai_error(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
        "permission": _openai_error(
            403, "Country, region, or territory not supported", "request_forbidden",
            "unsupported_country_region_territory",
        ),
        "not_found": _openai_error(
            404, "The model `fake-model` does not exist or you do not have access to it.", "invalid_request_error",
            "model_not_found",
        ),
        "context": _openai_error(
            400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."
            " Please reduce the length of the messages.", "invalid_request_error", "context_length_exceeded",
        ),
        "filter": _openai_error(
            400, "The response was filtered due to the prompt triggering the content management policy.", "",
            "content_filter",
        ),
        "invalid": _openai_error(400, "'messages' must contain at least one message.", "invalid_request_error"),
    }  # fmt: skip

    def base_url(self, origin: str) -> str:
        return f"{origin}/v1"

    def key_of(self, request: Request) -> str | None:
        return bearer(request)

    def is_chat(self, request: Request) -> bool:
        return (request.method, request.target) == ("POST", "/v1/chat/completions")

    def wants_stream(self, request: Request) -> bool:
        return bool(request.body.get("stream"))

    def body(self, answer: Answer) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
        if answer.calls:
            message["tool_calls"] = [self._call(call) for call in answer.calls]
        choice = {"index": 0, "message": message, "finish_reason": answer.reason, "logprobs": None}
        return self._object("chat.completion", [choice], usage=_OPENAI_USAGE)

    def opening(self, answer: Answer) -> list[str]:
        return [self._delta(role="assistant", content="")]

    def text(self, text: str) -> str:
        return self._delta(content=text)

    def thought(self, text: str) -> list[str]:
        return [*self.opening(Answer()), self._delta(reasoning_content=text)]

    def calls(self, answer: Answer, *, interleaved: bool = False) -> list[str]:
        begun = [self._delta(tool_calls=[self._call(call, index, "")]) for index, call in enumerate(answer.calls)]
        rest = [[self._arguments(index, piece) for piece in call.pieces(3)] for index, call in enumerate(answer.calls)]
        if interleaved:
            return [*begun, *alternating(rest)]
        return [one for first, pieces in zip(begun, rest, strict=True) for one in (first, *pieces)]

    def closing(self, answer: Answer) -> list[str]:
        usage = event(self._object("chat.completion.chunk", [], usage=_OPENAI_USAGE))
        return [self._delta(finish=answer.reason), usage, event("[DONE]")]

    def error_event(self, refusal: Refusal) -> str:
        return event(refusal.body)

    def repeating(self, call: Call, index: int = 0) -> list[str]:
        """The call's events with id and name in each, as some servers send them."""
        return [self._delta(tool_calls=[self._call(call, index, piece)]) for piece in call.pieces(3)]

    def _call(self, call: Call, index: int | None = None, arguments: str | None = None) -> dict[str, Any]:
        given = call.arguments if arguments is None else arguments
        value = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": given}}
        return value if index is None else {"index": index, **value}

    def _arguments(self, index: int, piece: str) -> str:
        return self._delta(tool_calls=[{"index": index, "function": {"arguments": piece}}])

    def _delta(self, finish: str | None = None, **delta: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return event(self._object("chat.completion.chunk", [choice]))

    def _object(self, kind: str, choices: list[Any], **more: Any) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": MODEL, "choices": choices, **more}


_OPENAI_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
