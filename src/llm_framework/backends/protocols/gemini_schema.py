"""A JSON schema as the subset of OpenAPI's schemas that Gemini's older fields take. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEPT = (
    "description", "title", "format", "enum", "required", "minimum", "maximum", "minItems", "maxItems", "minLength",
    "maxLength", "pattern", "default", "nullable",
)  # fmt: skip


_PLAIN = {"type", "description", "properties", "required", "items", "enum"}


def is_plain(schema: Any) -> bool:
    """Whether a JSON schema says the same when it is read as a schema of OpenAPI's."""
    if not isinstance(schema, Mapping) or not set(schema) <= _PLAIN or not isinstance(schema.get("type"), str):
        return False
    if "enum" in schema and not (schema["type"] == "string" and all(isinstance(v, str) for v in schema["enum"])):
        return False
    inside = [*(schema.get("properties") or {}).values(), *([schema["items"]] if "items" in schema else [])]
    if schema["type"] == "object" and not schema.get("properties"):  # refused by some models
        return False
    return schema["type"] != "null" and all(is_plain(item) for item in inside)


def as_openapi(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with its references written out, null as `nullable`, and without the words that the fields have no
    place for (`additionalProperties`, …)."""
    return _converted(schema, schema, frozenset())


def _converted(schema: Any, root: Mapping[str, Any], within: frozenset[str]) -> dict[str, Any]:
    """`within` are the references that are being written out: one to itself has no end, and allows anything."""
    if not isinstance(schema, Mapping):
        return {}
    while isinstance(reference := schema.get("$ref"), str):
        if reference in within:
            return {}
        within |= {reference}
        beside = {word: value for word, value in schema.items() if word != "$ref"}
        schema = {**_target(reference, root), **beside}
    written = {word: schema[word] for word in _KEPT if word in schema}
    if "const" in schema:
        written["enum"] = [schema["const"]]
    if "enum" in written:  # the fields take strings only
        written["enum"] = [value if isinstance(value, str) else str(value) for value in written["enum"]]
    _write_type(schema, written)
    _write_choices(schema, written, root, within)
    if isinstance(schema.get("properties"), Mapping):
        written["properties"] = {name: _converted(value, root, within) for name, value in schema["properties"].items()}
    if "items" in schema:
        written["items"] = _converted(schema["items"], root, within)
    return written


def _write_type(schema: Mapping[str, Any], written: dict[str, Any]) -> None:
    named = schema.get("type")
    types = [named] if isinstance(named, str) else list(named or ())
    if "null" in types:
        written["nullable"] = True
        types.remove("null")
    if len(types) == 1:
        written["type"] = types[0].upper()
    elif types:
        written["anyOf"] = [{"type": name.upper()} for name in types]
    elif "enum" in written:
        written["type"] = "STRING"


def _write_choices(
    schema: Mapping[str, Any], written: dict[str, Any], root: Mapping[str, Any], within: frozenset[str]
) -> None:
    for word in ("anyOf", "oneOf", "allOf"):
        choices = [choice for choice in schema.get(word, ()) if isinstance(choice, Mapping)]
        others = [choice for choice in choices if choice.get("type") != "null"]
        if len(others) < len(choices):
            written["nullable"] = True
        converted = [_converted(choice, root, within) for choice in others]
        if len(converted) == 1 or word == "allOf":
            for choice in converted:
                written.update({name: value for name, value in choice.items() if name not in written})
        elif converted:
            written["anyOf"] = converted


def _target(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a local reference such as `#/$defs/Item` points to; nothing where it points nowhere."""
    target: Any = root
    for word in reference.lstrip("#").split("/"):
        if word:
            target = target.get(word.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
    return target if isinstance(target, Mapping) else {}
