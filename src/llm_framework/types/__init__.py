"""The values that travel down and up the line: messages, requests, chunks, responses.

They hold data and say what they mean; they do no I/O, know no provider and import the standard library only.
Going down, an `InferenceRequest` is never changed in place (`dataclasses.replace`); coming up, `Chunk`s are added
together, and their sum is the `InferenceResponse`.
"""

from __future__ import annotations

from .messages import (
    ROLES,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    new_call_id,
)
from .requests import GenerationConfig, InferenceRequest, ResponseFormat, ThinkingLevel, ToolSpec
from .responses import (
    Attempt,
    Chunk,
    FinishReason,
    InferenceResponse,
    ResponseBuilder,
    Timings,
    TokenLogprob,
    ToolCallDelta,
    Usage,
    text_response,
)

__all__ = [
    "ROLES",
    "Attempt",
    "Chunk",
    "DocumentPart",
    "FinishReason",
    "GenerationConfig",
    "ImagePart",
    "InferenceRequest",
    "InferenceResponse",
    "Message",
    "Part",
    "ResponseBuilder",
    "ResponseFormat",
    "Role",
    "TextPart",
    "ThinkingLevel",
    "ThinkingPart",
    "Timings",
    "TokenLogprob",
    "ToolCall",
    "ToolCallDelta",
    "ToolResult",
    "ToolSpec",
    "Usage",
    "new_call_id",
    "text_response",
]
