"""Grammars that users write, in llguidance's dialect of Lark."""

from __future__ import annotations

import re
from functools import lru_cache

from ..errors import InvalidRequestError
from .matchers import byte_tokenizer, matcher

# Strings, expressions and comments are stepped over: what is looked for may stand in them as text.
_PART = re.compile(r'"(?:\\.|[^"\\\n])*"|/(?:\\.|[^/\\\n])+/|//[^\n]*|#[^\n]*|(?P<found><[^<>\n]*>|\bmax_tokens\s*=)')
_PLACE = re.compile(r"(?:at )?(\d+)\((\d+)\): ")
_EXCERPT = re.compile(r"\n\s*\d+ \| ")


@lru_cache(maxsize=64)
def check(source: str) -> None:
    """Raises `InvalidRequestError` for a grammar that cannot be used, with the reason and the place."""
    for part in _PART.finditer(source):
        if part["found"]:
            raise _error(_refusal(part["found"]), source.count("\n", 0, part.start()) + 1)
    made = matcher(byte_tokenizer(), source)
    if made.is_error():
        raise _error(_EXCERPT.split(made.get_error())[0])


def matches(source: str, text: str) -> bool:
    """Whether the grammar allows the whole of `text`."""
    check(source)
    state = matcher(byte_tokenizer(), source)
    return bool(state.consume_tokens(list(text.encode()))) and bool(state.is_accepting())


def _refusal(found: str) -> str:
    if found.startswith("<"):
        return f"{found} is a special token, and a grammar describes the text of an answer; write it as a string"
    return "max_tokens is an option of the request, and none of a rule"


def _error(fault: str, line: int | None = None) -> InvalidRequestError:
    place = "" if line is None else f"line {line}: "
    fault = _PLACE.sub(lambda match: f"line {match[1]}, column {match[2]}: ", " ".join(fault.split()), count=1)
    return InvalidRequestError(f"the Lark grammar of response_format cannot be used: {place}{fault[:400]}")
