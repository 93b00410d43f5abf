"""Anthropic's Messages."""

from __future__ import annotations

from typing import Any, ClassVar

from ..server import Request
from .base import MODEL, Answer, Call, Protocol, Refusal, alternating, bearer, event


def _anthropic_error(status: int, kind: str, message: str) -> Refusal:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return Refusal(status, body)


class Anthropic(Protocol):
    """Messages."""

    name = "anthropic"
    refusals: ClassVar = {
        "rate_limit": _anthropic_error(
            429, "rate_limit_error", "This request would exceed your organization's rate limit."
        ),
        "quota": _anthropic_error(
            400, "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or"
            " purchase credits.",
        ),
        "server": _anthropic_error(500, "api_error", "Internal server error"),
        "overloaded": _anthropic_error(529, "overloaded_error", "Overloaded"),
        "auth": _anthropic_error(401, "authentication_error", "invalid x-api-key"),
        "permission": _anthropic_error(403, "permission_error", "Your account does not have access to this resource."),
        "not_found": _anthropic_error(404, "not_found_error", "model: fake-model"),
        "context": _anthropic_error(
            400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"
        ),
        "filter": _anthropic_error(400, "invalid_request_error", "Output blocked by content filtering policy"),
        "invalid": _anthropic_error(400, "invalid_request_error", "messages: at least one message is required"),
    }  # fmt: skip
    _REASONS: ClassVar = {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "refusal",
    }

    def base_url(self, origin: str) -> str:
        return origin

    def key_of(self, request: Request) -> str | None:
        return request.headers.get("x-api-key") or bearer(request)  # the SDK's second major sends it as the latter

    def is_chat(self, request: Request) -> bool:
        path = request.target.partition("?")[0]
        return (request.method, path) == ("POST", "/v1/messages") and "anthropic-version" in request.headers

    def wants_stream(self, request: Request) -> bool:
        return bool(request.body.get("stream"))

    def body(self, answer: Answer) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.texts else []
        content += [{"type": "tool_use", "id": c.id, "name": c.name, "input": c.value} for c in answer.calls]
        return self._message(content, self._REASONS[answer.reason], 2)

    def opening(self, answer: Answer) -> list[str]:
        started = self._event("message_start", message=self._message([], None, 1))
        block = {"type": "text", "text": ""}
        begun = [self._event("content_block_start", index=0, content_block=block)] if answer.texts else []
        return [started, *begun, self._event("ping")]

    def text(self, text: str) -> str:
        return self._event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

    def thought(self, text: str) -> list[str]:
        block = {"type": "thinking", "thinking": "", "signature": ""}
        return [
            self._event("message_start", message=self._message([], None, 1)),
            self._event("content_block_start", index=0, content_block=block),
            self._event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": text}),
        ]

    def calls(self, answer: Answer, *, interleaved: bool = False) -> list[str]:
        ended = [self._event("content_block_stop", index=0)] if answer.texts and answer.calls else []
        blocks = [self._block(len(ended) + number, call) for number, call in enumerate(answer.calls)]
        if interleaved:
            begun, stopped = [block[0] for block in blocks], [block[-1] for block in blocks]
            return [*ended, *begun, *alternating([block[1:-1] for block in blocks]), *stopped]
        return [*ended, *(one for block in blocks for one in block)]

    def closing(self, answer: Answer) -> list[str]:
        ended = [self._event("content_block_stop", index=0)] if answer.texts and not answer.calls else []
        delta = {"stop_reason": self._REASONS[answer.reason], "stop_sequence": None}
        finished = self._event("message_delta", delta=delta, usage={"output_tokens": 2})
        return [*ended, finished, self._event("message_stop")]

    def error_event(self, refusal: Refusal) -> str:
        return event(refusal.body, "error")

    def _block(self, index: int, call: Call) -> list[str]:
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *call.pieces(3))]
        return [
            self._event("content_block_start", index=index, content_block=block),
            *(self._event("content_block_delta", index=index, delta=delta) for delta in deltas),
            self._event("content_block_stop", index=index),
        ]

    def _event(self, kind: str, **fields: Any) -> str:
        return event({"type": kind, **fields}, kind)

    def _message(self, content: list[Any], reason: str | None, written: int) -> dict[str, Any]:
        usage = {"input_tokens": 3, "output_tokens": written}
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": content,
            "stop_reason": reason, "stop_sequence": None, "usage": usage,
        }  # fmt: skip
