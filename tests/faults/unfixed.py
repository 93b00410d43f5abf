"""What is known to fail, and why: (backend or "" for all, mode or "" for all, row) -> reason. What is repaired goes
from here, since each of these must fail."""

from __future__ import annotations

_TWICE = "an attempt whose stream says nothing asks a second time, for the whole answer"
_INSIDE = "an error inside an answer without a status among its words is taken for an outage"
_CUT_KEY = "an event is cut before the key is taken out of it, which may leave half a key"
_COUNTS = "a count of tokens that is no finite number breaks an answer that is whole"
_FILTER = "the words of Anthropic's content filter are taken for a bad request"
_REFUSED = "a refusal without text is an error here, and an answer that says so elsewhere"

_SILENT = (
    "a page",
    "an empty body of length 0",
    "the key in a page called an answer",
    "the key 170 characters into what is no JSON",
    "the key 185 characters into what is no JSON",
)
_UNTOLD = ("a rate limit inside", "spent quota inside")
_CHAT_COMPLETIONS = ("openai", "openai_compatible")

UNFIXED: dict[tuple[str, str, str], str] = {
    **{(backend, "stream", row): _TWICE for backend in _CHAT_COMPLETIONS for row in _SILENT},
    **{(backend, "", row): _INSIDE for backend in _CHAT_COMPLETIONS for row in _UNTOLD},
    ("", "", "the key 185 characters into an event that is no JSON"): _CUT_KEY,
    ("", "", "counts that are 1e999"): _COUNTS,
    ("", "", "counts that are NaN"): _COUNTS,
    ("anthropic", "", "content filter as an error"): _FILTER,
    ("anthropic", "", "content filter before any text"): _REFUSED,
}


def reason_of(backend: str, mode: str, row: str) -> str | None:
    """Why the row fails for now, or None where it must not."""
    keys = ((backend, mode, row), (backend, "", row), ("", mode, row), ("", "", row))
    return next((UNFIXED[key] for key in keys if key in UNFIXED), None)
