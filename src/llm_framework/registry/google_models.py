"""What is known of Google's models by their names, as Google's model pages had it in November 2026. Data only; what a
model refuses all the same is learnt from its refusal."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?(?!\d)")
_OTHER_THINGS = re.compile(r"image|tts|audio|live|embedding|computer-use|robotics", re.IGNORECASE)
_CONTEXT = 1_048_576  # tokens


class Family(NamedTuple):
    """`version` is (3, 5) for `gemini-3.5-…`; for an alias such as `gemini-flash-latest` it is that of the newest
    models, None for another maker's or an open model. `kind` is "pro", "flash" or "flash-lite", "" where none is
    named."""

    version: tuple[int, int] | None
    kind: str


NEWEST = (3, 8)


@lru_cache(maxsize=256)
def family_of(model: str) -> Family:
    """The family that a name says."""
    name = model.lower().rpartition("/")[2]
    kind = next((kind for kind in ("flash-lite", "flash", "pro") if kind in name), "")
    if match := _VERSION.search(name):
        return Family((int(match.group(1)), int(match.group(2) or 0)), kind)
    return Family(NEWEST if name.startswith("gemini") else None, kind)


def facts(model: str) -> dict[str, Any]:
    """What is known of a model beforehand, as fields of `ModelInfo`."""
    version, _ = family_of(model)
    if version is None or version < (1, 5) or _OTHER_THINGS.search(model):
        return {}
    names = {"chat", "streaming", "tools", "images"} | ({"thinking"} if version >= (2, 5) else set())
    return {"context_length": _CONTEXT, "capabilities": frozenset(names)}
