"""Where a key could come to light, and whether it did."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

from .stage import KEY

FRAGMENT = 12  # characters: so much of a key is too much


def fragments(key: str = KEY) -> list[bytes]:
    """Every piece of the key that must not be seen."""
    return [key[at : at + FRAGMENT].encode() for at in range(len(key) - FRAGMENT + 1)]


def leaks_in(name: str, content: str | bytes) -> Iterator[str]:
    """A line for content that holds a piece of the key."""
    data = content.encode(errors="replace") if isinstance(content, str) else content
    found = [fragment for fragment in fragments() if fragment in data]
    if found:
        at = data.index(found[0])
        yield f"{name}: …{data[max(0, at - 40) : at + 60]!r}…"


def leaks_of_error(error: BaseException) -> Iterator[str]:
    """Text, repr, fields, traceback with all causes, and pickle of an error."""
    yield from leaks_in("str", str(error))
    yield from leaks_in("repr", repr(error))
    yield from leaks_in("fields", repr(vars(error)))
    yield from leaks_in("traceback", "".join(traceback.format_exception(type(error), error, error.__traceback__)))
    yield from leaks_in("pickle", pickle.dumps(error))


def leaks_of_logs(records: list[logging.LogRecord]) -> Iterator[str]:
    """Messages, arguments, further fields and tracebacks of log records."""
    formatter = logging.Formatter("%(name)s %(message)s")
    for record in records:
        yield from leaks_in(f"log of {record.name}", formatter.format(record))
        fields: dict[str, Any] = {name: value for name, value in vars(record).items() if name != "exc_info"}
        yield from leaks_in(f"fields of a log record of {record.name}", repr(fields))
