"""What a server that speaks OpenAI's protocol lists as its models. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Where servers say how long a context may be.
_LENGTHS = ("context_length", "context_window", "max_context_length", "max_model_len", "max_input_tokens")


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model: its id there, its context in tokens where the server says it, and whether it makes vectors."""

    id: str
    context_length: int | None = None
    embeds: bool = False


def entries(body: Any) -> list[ListedModel] | None:
    """The models in the answer; None where it lists none in any form that is known."""
    items = body.get("data", body.get("models")) if isinstance(body, Mapping) else body
    if not isinstance(items, list):
        return None
    named = [(item, item.get("id") or item.get("name")) for item in items if isinstance(item, Mapping)]
    return [ListedModel(str(id), _context_length(item), _embeds(item, str(id))) for item, id in named if id]


def _context_length(item: Mapping[str, Any]) -> int | None:
    meta = item.get("meta")
    places = (item, meta) if isinstance(meta, Mapping) else (item,)
    for place in places:
        for name in (*_LENGTHS, "n_ctx", "n_ctx_train"):
            value = place.get(name)
            if isinstance(value, int) and value > 0:
                return value
    return None


def _embeds(item: Mapping[str, Any], id: str) -> bool:
    kind = str(item.get("type") or item.get("task") or "").lower()
    return "embed" in kind or (not kind and "embed" in id.lower())
