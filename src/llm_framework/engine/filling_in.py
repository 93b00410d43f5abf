"""Copies of a request with what it leaves open, and with other text."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from ..config import LLMConfig
from ..inputs import as_response_format
from ..types import GenerationConfig, InferenceRequest, Message, Part, TextPart

_CONFIG_FIELDS = tuple(item.name for item in fields(GenerationConfig))


def with_defaults(request: InferenceRequest, config: LLMConfig) -> InferenceRequest:
    """The request with configured defaults for what it leaves open; `explicit` says what it did not. A response format
    that is a pydantic class, a schema or a pattern becomes ours."""
    given = request.config
    explicit = frozenset(name for name in _CONFIG_FIELDS if getattr(given, name) not in (None, ()))
    defaults: dict[str, Any] = {
        "max_tokens": config.default_max_tokens,
        "temperature": config.default_temperature,
        "top_p": config.default_top_p,
        "top_k": config.default_top_k,
    }
    missing = {name: value for name, value in defaults.items() if value is not None and name not in explicit}
    return replace(
        request,
        config=replace(given, **missing) if missing else given,
        explicit=request.explicit or explicit,
        assumed=frozenset(name for name in missing if config.origin(f"default_{name}") == "default"),
        response_format=as_response_format(request.response_format),
    )


def replace_last_user_text(request: InferenceRequest, text: str) -> InferenceRequest:
    """The request with other text in its last user message; images and earlier messages stay."""
    messages = list(request.messages)
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "user":
            messages[index] = with_text(messages[index], text)
            break
    return request.with_messages(messages)


def with_text(message: Message, text: str) -> Message:
    """The message with one text part, where its first one stood."""
    parts: list[Part] = [part for part in message.parts if not isinstance(part, TextPart)]
    position = next((i for i, part in enumerate(message.parts) if isinstance(part, TextPart)), len(parts))
    if text:
        parts.insert(position, TextPart(text))
    return replace(message, parts=tuple(parts))
