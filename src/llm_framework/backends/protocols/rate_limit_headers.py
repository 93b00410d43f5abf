"""What a provider's headers say of its rate limits: how many requests and tokens are left, and for how long."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_FORMS = (
    ("x-ratelimit-remaining-{}", "x-ratelimit-reset-{}", "x-ratelimit-limit-{}"),
    ("anthropic-ratelimit-{}-remaining", "anthropic-ratelimit-{}-reset", "anthropic-ratelimit-{}-limit"),
)
_NAMES = {what: [[name.format(what) for name in form] for form in _FORMS] for what in ("requests", "tokens")}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def read(headers: Mapping[str, str]) -> dict[str, float]:
    """`requests_remaining`, `tokens_remaining` (counts) and `requests_reset`, `tokens_reset` (seconds from now until
    they are full again), `requests_limit` and `tokens_limit` (what full is), as far as the headers say them; mostly
    nothing."""
    found: dict[str, float] = {}
    for prefix, forms in _NAMES.items():
        for remaining, reset, limit in forms:
            value = headers.get(remaining)
            if value is not None and (count := _count(value)) is not None:
                found[f"{prefix}_remaining"] = count
                if (seconds := duration(headers.get(reset))) is not None:
                    found[f"{prefix}_reset"] = seconds
                if (full := _count(headers.get(limit) or "")) is not None:
                    found[f"{prefix}_limit"] = full
                break
    return found


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def duration(text: str | None) -> float | None:
    """Seconds from "6m0s", "120ms", "1.5" or a moment of time such as "2026-01-31T12:00:00Z"."""
    if not text:
        return None
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text) if len(text) < 16 else None
    parts: list[tuple[Any, ...]] = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        return max(0.0, datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - time.time())
    except ValueError:
        return None
