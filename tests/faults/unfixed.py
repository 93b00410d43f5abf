"""What is known to fail, and why: (backend or "" for all, mode or "" for all, row) -> reason. What is repaired goes
from here, since each of these must fail."""

from __future__ import annotations

UNFIXED: dict[tuple[str, str, str], str] = {}


def reason_of(backend: str, mode: str, row: str) -> str | None:
    """Why the row fails for now, or None where it must not."""
    keys = ((backend, mode, row), (backend, "", row), ("", mode, row), ("", "", row))
    return next((UNFIXED[key] for key in keys if key in UNFIXED), None)
