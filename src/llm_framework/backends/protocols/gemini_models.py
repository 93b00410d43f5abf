"""Google's list of models as ours. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...registry import google_models
from ...registry.model_info import ModelInfo, ModelType


def infos(listed: Iterable[Any], who: str) -> list[ModelInfo]:
    """The models among the listed ones that answer or make vectors."""
    found = [_info(item, who) for item in listed if isinstance(item, dict) and item.get("name")]
    return [info for info in found if info is not None]


def _info(item: dict[str, Any], who: str) -> ModelInfo | None:
    id = str(item["name"]).removeprefix("models/")
    methods = item.get("supportedGenerationMethods") or item.get("supportedActions") or ["generateContent"]
    if "generateContent" in methods:
        kind = ModelType.MULTIMODAL if id.startswith("gemini") else ModelType.CHAT
    elif "embedContent" in methods:
        kind = ModelType.EMBEDDING
    else:
        return None
    named = {"max_output_tokens": item.get("outputTokenLimit"), "display_name": item.get("displayName")}
    metadata = {"provider": who, "model_id": id, **{name: value for name, value in named.items() if value}}
    limit = item.get("inputTokenLimit")
    known = google_models.facts(id) if kind is not ModelType.EMBEDDING else {}
    if isinstance(limit, int) and limit:
        known["context_length"] = limit
    return ModelInfo(id, kind, "google", metadata=metadata, **known)
