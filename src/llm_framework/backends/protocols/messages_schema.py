"""JSON schemas as the Messages API holds answers and strict tools to them. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_KEPT = ("type", "enum", "const", "default", "title", "$ref", "required")
_FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
)  # fmt: skip
_SCALARS = (str, int, float, bool, type(None))


def strict_schema(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The schema with every object closed, and what cannot be held to (bounds, lengths, patterns) told in its
    description; None for one that cannot be said so: recursive, open, or with objects whose keys are not known."""
    if not schema or _is_recursive(schema):
        return None
    try:
        return _strict(schema)
    except ValueError:
        return None


def _strict(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise ValueError("not an object")
    written = {name: schema[name] for name in _KEPT if name in schema}
    _check_kinds(schema)
    for name in ("anyOf", "allOf"):
        if name in schema:
            written[name] = [_strict(option) for option in schema[name]]
    if "oneOf" in schema:
        written["anyOf"] = [_strict(option) for option in schema["oneOf"]]
    for name in ("$defs", "definitions"):
        if name in schema:
            written[name] = {key: _strict(value) for key, value in schema[name].items()}
    if "items" in schema:
        written["items"] = _strict(schema["items"])
    if schema.get("minItems") in (0, 1):
        written["minItems"] = schema["minItems"]
    if schema.get("format") in _FORMATS:
        written["format"] = schema["format"]
    if _is_object(schema):
        written["properties"] = {name: _strict(value) for name, value in (schema.get("properties") or {}).items()}
        written["additionalProperties"] = False
    if description := _description(schema, written):
        written["description"] = description
    return written


def _check_kinds(schema: Mapping[str, Any]) -> None:
    """Raise `ValueError` for what the API refuses and no description can stand for."""
    if not any(name in schema for name in ("type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf")):
        raise ValueError("anything goes")
    if not all(isinstance(value, _SCALARS) for value in schema.get("enum", ())):
        raise ValueError("an enum of structures")
    if _is_object(schema) and (schema.get("additionalProperties") or not schema.get("properties")):
        raise ValueError("keys that are not known")
    if str(schema.get("$ref", "#")).startswith("#") is False:
        raise ValueError("a reference to elsewhere")


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or "properties" in schema or (isinstance(kind, list) and "object" in kind)


def _description(schema: Mapping[str, Any], written: Mapping[str, Any]) -> str:
    told = {
        name: value
        for name, value in schema.items()
        if name not in written and name not in ("description", "oneOf", "additionalProperties", "properties")
    }
    parts = [str(schema.get("description") or ""), json.dumps(told, ensure_ascii=False) if told else ""]
    return "\n\n".join(part for part in parts if part)


def _is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether a definition leads back to itself."""
    definitions = {f"#/{place}/{name}": value for place in ("$defs", "definitions")
                   for name, value in (schema.get(place) or {}).items()}  # fmt: skip
    leads = {name: _references(value) for name, value in definitions.items()}
    if "#" in _references(schema):
        return True
    for start in leads:
        seen: set[str] = set()
        waiting = list(leads[start])
        while waiting:
            name = waiting.pop()
            if name == start:
                return True
            if name not in seen:
                seen.add(name)
                waiting.extend(leads.get(name, ()))
    return False


def _references(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for item in value for name in _references(item)}
    if not isinstance(value, Mapping):
        return set()
    own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
    return own | {name for item in value.values() for name in _references(item)}
