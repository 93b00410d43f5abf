"""A line of a results file: one answer or error, as JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ..errors import LLMFrameworkError
from ..redaction import redact
from ..types import InferenceResponse

BEGINNING = b'{"line": '  # of every record, so that a torn one is known for what it is


def hash_of(data: bytes) -> str:
    """Eight hexadecimal digits that tell a changed input line from the one that was answered. Space around it is no
    change."""
    return hashlib.blake2b(data.strip(), digest_size=4).hexdigest()


def response_as_dict(response: InferenceResponse) -> dict[str, Any]:
    """What of a response is kept. `seconds` is the time it took, waits and retries included."""
    usage = response.usage
    kept: dict[str, Any] = {
        "text": response.text,
        "model": response.model,
        "finish_reason": response.finish_reason,
        "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in response.tool_calls],
        "parsed": response.parsed if isinstance(response.parsed, (dict, list, str, int, float)) else None,
        "seconds": round(response.timings.total, 4),
    }
    if response.dropped_parameters:
        kept["dropped_parameters"] = list(response.dropped_parameters)
    return kept


def error_as_dict(error: Exception) -> dict[str, Any]:
    """An error's class, text, and whether trying again may help."""
    if isinstance(error, LLMFrameworkError):
        said = {"type": type(error).__name__, "message": error.message, "retryable": error.retryable}
        return said if error.status is None else {**said, "status": error.status}
    return {"type": type(error).__name__, "message": redact(str(error)), "retryable": False}


def encode(record: dict[str, Any]) -> bytes:
    """The record as a line of UTF-8."""
    try:
        return json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 has no form for
        return json.dumps(record).encode("ascii") + b"\n"


def decode(line: bytes) -> dict[str, Any] | None:
    """The record that the line is, None where it is none."""
    try:
        record = json.loads(line)
        known = type(record["line"]) is int and record["line"] > 0 and ("text" in record or "error" in record)
        int(record["input_hash"], 16)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return record if known else None
