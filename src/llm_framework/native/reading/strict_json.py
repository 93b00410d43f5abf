"""JSON from files nobody vouches for: capped in size, without duplicate keys, NaN or bottomless nesting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from .view import fault, read_bytes

MAX_CONFIG_BYTES = 4 << 20  # Gemma 3's tokenizer_config.json has 1.2 MB


def parse_object(text: bytes, path: Path, what: str) -> dict[str, Any]:
    """The JSON object in `text`; `what` names it in errors ("safetensors header")."""
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except RecursionError:
        raise fault(path, f"the {what} is nested too deeply") from None
    except UnicodeDecodeError:
        raise fault(path, f"the {what} is not UTF-8 text") from None
    except ValueError as error:
        raise fault(path, f"the {what} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise fault(path, f"the {what} is not a JSON object")
    return value


def read_object(path: Path, what: str, limit: int = MAX_CONFIG_BYTES) -> dict[str, Any]:
    """The JSON object that the file at `path` holds."""
    return parse_object(read_bytes(path, limit, what), path, what)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise ValueError(f"the key {key[:80]!r} stands there twice")
        members[key] = value
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
