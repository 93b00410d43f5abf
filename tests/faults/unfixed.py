"""What is known to fail, and why: (backend or "" for all, mode or "" for all, row) -> reason. What is repaired goes
from here, since each of these must fail."""

from __future__ import annotations

_TWICE = "an attempt whose stream says nothing asks a second time, for the whole answer"
_INSIDE = "an error inside an answer is taken for an outage, whatever it says"
_CUT_KEY = "a text is cut before the key is taken out of it, which may leave half a key"
_COUNTS = "a count of tokens that is no finite number breaks an answer that is whole"
_HUGE = "an error's body is read to its end"

UNFIXED: dict[tuple[str, str, str], str] = {
    ("openai_compatible", "stream", "a page"): _TWICE,
    ("openai_compatible", "stream", "an empty body of length 0"): _TWICE,
    ("openai_compatible", "stream", "the key in a page called an answer"): _TWICE,
    ("openai_compatible", "", "a rate limit inside"): _INSIDE,
    ("openai_compatible", "", "spent quota inside"): _INSIDE,
    ("openai_compatible", "", "context length inside"): _INSIDE,
    ("", "", "the key 470 characters into a long message"): _CUT_KEY,
    ("", "", "the key 485 characters into a long message"): _CUT_KEY,
    ("", "", "the key 170 characters into what is no JSON"): _CUT_KEY,
    ("", "", "the key 185 characters into what is no JSON"): _CUT_KEY,
    ("", "", "the key 185 characters into an event that is no JSON"): _CUT_KEY,
    ("", "", "counts that are 1e999"): _COUNTS,
    ("", "", "counts that are NaN"): _COUNTS,
    ("", "", "an error's body without end"): _HUGE,
    ("", "", "50 MB with a 400"): _HUGE,
    ("", "", "50 MB with a 429"): _HUGE,
    ("", "", "50 MB with a 500"): _HUGE,
}


def reason_of(backend: str, mode: str, row: str) -> str | None:
    """Why the row fails for now, or None where it must not."""
    keys = ((backend, mode, row), (backend, "", row), ("", mode, row), ("", "", row))
    return next((UNFIXED[key] for key in keys if key in UNFIXED), None)
