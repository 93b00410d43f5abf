"""A JSON schema as a short type, the way a model reads it best: `{"name": string, "tags"?: string[]}`.

The notation is the table in `docs/prompted-dialect.md`. Nothing here validates: a schema that makes no sense is `any`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

_WORDS = frozenset({"string", "integer", "number", "boolean", "null"})
# A schema whose definitions refer to each other can grow without bound when it is written out.
_MAX_NODES = 2000
_MAX_DEPTH = 64


def type_text(schema: Any, root: Any = None) -> str:
    """The type that `schema` describes; `root` is the schema that its `$ref`s start from (default: itself)."""
    return _Writer(schema if root is None else root).text(schema)


def parameters_text(schema: Mapping[str, Any]) -> str:
    """The properties of an object schema as the parameters of a function: `city: string, unit?: "c" | "f"`."""
    writer = _Writer(schema)
    return ", ".join(f"{name}{mark}: {writer.text(value)}" for name, mark, value in properties(schema))


def properties(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Name, "?" where it is optional, and schema of each property, in the schema's order."""
    declared = schema.get("properties")
    required = schema.get("required")
    names = set(map(str, required)) if isinstance(required, Sequence) and not isinstance(required, str) else set()
    if isinstance(declared, Mapping):
        for name, value in declared.items():
            yield str(name), "" if name in names else "?", value


class _Writer:
    """Writes types against one root. It counts what it writes, so that no schema costs unbounded time or text."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._open_refs: list[str] = ["#"]
        self._nodes = 0
        self._depth = 0

    def text(self, schema: Any) -> str:
        return " | ".join(self._alternatives(schema))

    def _alternatives(self, schema: Any) -> list[str]:
        self._nodes += 1
        if not isinstance(schema, Mapping) or self._nodes > _MAX_NODES or self._depth >= _MAX_DEPTH:
            return ["any"]
        self._depth += 1
        try:
            return list(dict.fromkeys(self._written(schema))) or ["any"]
        finally:
            self._depth -= 1

    def _written(self, schema: Mapping[str, Any]) -> list[str]:
        if isinstance(schema.get("$ref"), str):
            return self._referred(schema["$ref"])
        if isinstance(schema.get("enum"), Sequence) and not isinstance(schema["enum"], str):
            return [_literal(value) for value in schema["enum"]]
        if "const" in schema:
            return [_literal(schema["const"])]
        # Before the alternatives: an object often carries an anyOf that only says which properties go together.
        if schema.get("type", "object") == "object" and schema.get("properties"):
            return [self._object(schema)]
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), Sequence):
                return [text for part in schema[key] for text in self._alternatives(part)]
        return self._typed(schema)

    def _typed(self, schema: Mapping[str, Any]) -> list[str]:
        kind = schema.get("type")
        if isinstance(kind, Sequence) and not isinstance(kind, str):
            return [text for one in kind for text in self._alternatives({**schema, "type": one})]
        if kind == "array":
            return [self._array(schema.get("items"))]
        if kind == "object":
            return ["object"]
        return [kind] if isinstance(kind, str) and kind in _WORDS else ["any"]

    def _object(self, schema: Mapping[str, Any]) -> str:
        fields = [f"{_literal(name)}{mark}: {self.text(value)}" for name, mark, value in properties(schema)]
        return "{" + ", ".join(fields) + "}" if fields else "object"

    def _array(self, items: Any) -> str:
        inner = self._alternatives(items)
        return f"({' | '.join(inner)})[]" if len(inner) > 1 else f"{inner[0]}[]"

    def _referred(self, ref: str) -> list[str]:
        if ref in self._open_refs:
            return ["object"]
        self._open_refs.append(ref)
        try:
            return self._alternatives(_resolve(self._root, ref))
        finally:
            self._open_refs.pop()


def _resolve(root: Any, ref: str) -> Any:
    """What a `#/a/b` reference points to, or None: other documents are not fetched."""
    if not ref.startswith("#"):
        return None
    found = root
    for step in unquote(ref[1:]).split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
