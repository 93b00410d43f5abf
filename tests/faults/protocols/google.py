"""Google's generateContent."""

from __future__ import annotations

from typing import Any, ClassVar

from ..server import Request
from .base import MODEL, Answer, Protocol, Refusal, event


def _google_error(status: int, kind: str, message: str, *details: dict[str, Any]) -> Refusal:
    error: dict[str, Any] = {"code": status, "message": message, "status": kind}
    if details:
        error["details"] = list(details)
    return Refusal(status, {"error": error})


def quota_failure(quota_id: str) -> dict[str, Any]:
    """The detail that says which of Google's quotas is used up."""
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": quota_id,
        "quotaDimensions": {"location": "global", "model": MODEL},
        "quotaValue": "10",
    }
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


def retry_info(delay: str) -> dict[str, Any]:
    """The detail with the wait that Google asks for, such as "3.5s"."""
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


_QUOTA_WORDS = "You exceeded your current quota, please check your plan and billing details."


class Google(Protocol):
    """The Gemini API."""

    name = "google"
    refusals: ClassVar = {
        "rate_limit": _google_error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
        # The same words for a minute's quota and a day's: the id tells which.
        "quota": _google_error(
            429, "RESOURCE_EXHAUSTED", _QUOTA_WORDS,
            quota_failure("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), retry_info("0.02s"),
        ),
        "minute_quota": _google_error(
            429, "RESOURCE_EXHAUSTED", _QUOTA_WORDS,
            quota_failure("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), retry_info("0.15s"),
        ),
        "server": _google_error(500, "INTERNAL", "An internal error has occurred. Please retry."),
        "overloaded": _google_error(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
        "auth": _google_error(
            400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
        ),
        "permission": _google_error(403, "PERMISSION_DENIED", "The caller does not have permission"),
        "not_found": _google_error(
            404, "NOT_FOUND",
            "models/fake-model is not found for API version v1beta, or is not supported for generateContent.",
        ),
        "context": _google_error(
            400, "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        # No error to Google: an answer without candidates.
        "filter": Refusal(
            200,
            {
                "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
                "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3},
                "modelVersion": MODEL,
            },
        ),
        "invalid": _google_error(
            400, "INVALID_ARGUMENT", "* GenerateContentRequest.contents: contents is not specified"
        ),
    }  # fmt: skip
    _REASONS: ClassVar = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}

    def base_url(self, origin: str) -> str:
        return origin

    def key_of(self, request: Request) -> str | None:
        return request.headers.get("x-goog-api-key")

    def is_chat(self, request: Request) -> bool:
        path, _, query = request.target.partition("?")
        if request.method != "POST" or path.split("/")[1] not in ("v1", "v1beta"):
            return False
        name = path.split("/", 2)[2]
        streams = name == f"models/{MODEL}:streamGenerateContent" and "alt=sse" in query.split("&")
        return streams or name == f"models/{MODEL}:generateContent"

    def wants_stream(self, request: Request) -> bool:
        return ":streamGenerateContent" in request.target

    def body(self, answer: Answer) -> dict[str, Any]:
        return self._answer(self._parts(answer), self._REASONS[answer.reason])

    def opening(self, answer: Answer) -> list[str]:
        return []

    def text(self, text: str) -> str:
        return event(self._answer([{"text": text}]))

    def thought(self, text: str) -> list[str]:
        return [event(self._answer([{"text": text, "thought": True}]))]

    def calls(self, answer: Answer, *, interleaved: bool = False) -> list[str]:
        parts = self._parts(Answer(calls=answer.calls))
        groups = [parts] if interleaved and parts else [[part] for part in parts]  # a call is never split here
        return [event(self._answer(group)) for group in groups]

    def closing(self, answer: Answer) -> list[str]:
        return [event(self._answer([{"text": ""}] if answer.texts else [], self._REASONS[answer.reason]))]

    def error_event(self, refusal: Refusal) -> str:
        return event(refusal.body)

    def _parts(self, answer: Answer) -> list[dict[str, Any]]:
        texts = [{"text": answer.text}] if answer.texts else []
        calls = [{"functionCall": {"id": c.id, "name": c.name, "args": c.value}} for c in answer.calls]
        return [*texts, *calls]

    def _answer(self, parts: list[Any], reason: str | None = None) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if reason is not None:
            candidate["finishReason"] = reason
        usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL, "responseId": "r1"}
