"""The three protocols, each as the same set of pieces: what a whole answer, a stream, an error and the end of an answer
look like in it. Written from the providers' public references; `test_server` has their own SDKs read it."""

from __future__ import annotations

from collections.abc import Mapping

from .anthropic import Anthropic
from .base import MODEL, Answer, Call, Protocol, Refusal, event
from .google import Google, quota_failure, retry_info
from .openai import OpenAI

PROTOCOLS: Mapping[str, Protocol] = {one.name: one for one in (OpenAI(), Anthropic(), Google())}

__all__ = [
    "MODEL",
    "PROTOCOLS",
    "Answer",
    "Anthropic",
    "Call",
    "Google",
    "OpenAI",
    "Protocol",
    "Refusal",
    "event",
    "quota_failure",
    "retry_info",
]  # fmt: skip
