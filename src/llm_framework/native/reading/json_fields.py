"""A JSON object's members, each asked for by the kind it should have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .view import fault

MAX_SIZE = 1 << 24  # of a width, a vocabulary, a context: above every real one, and products of three fit 2**72


class JsonFields:
    """A JSON object's members with their kinds checked; a wrong kind is a `ModelLoadError` that names the field.

    `root` is the outermost object.
    """

    def __init__(self, members: Mapping[str, Any], path: Path, root: Mapping[str, Any] | None = None) -> None:
        self.members, self.path, self.root = members, path, members if root is None else root

    def within(self, name: str) -> JsonFields:
        """The object nested under `name`; without one, this object itself for text_config, an empty one otherwise."""
        inner = self.members.get(name)
        if inner is None:
            return self if name == "text_config" else JsonFields({}, self.path, self.root)
        if not isinstance(inner, dict):
            raise fault(self.path, f"the config's {name} is not an object")
        return JsonFields(inner, self.path, self.root)

    def get(self, name: str, default: Any = None) -> Any:
        return self.members.get(name, default)

    def size(self, name: str, default: int) -> int:
        value = self.members.get(name)
        if value is None:
            return default
        if type(value) is not int or not 0 <= value <= MAX_SIZE:
            raise fault(self.path, f"the config's {name} is {str(value)[:40]!r}, not a whole number up to {MAX_SIZE}")
        return value

    def sizes(self, name: str, default: int, count: int) -> tuple[int, ...]:
        """One size for each of `count`, from a list of them or from one for all."""
        listed = self.members.get(name)
        if not isinstance(listed, list):
            return (self.size(name, default),) * count
        if len(listed) != count:
            raise fault(self.path, f"the config's {name} has {len(listed)} items for {count} layers")
        return tuple(JsonFields({name: item}, self.path).size(name, default) for item in listed)

    def number(self, name: str, default: float, null: float | None = None) -> float:
        """A finite number; where the field is there and null, `null` (by default the default)."""
        value = self.members.get(name, default)
        if value is None:
            return default if null is None else null
        if type(value) not in (int, float) or not abs(value) < 1e30:
            raise fault(self.path, f"the config's {name} is {str(value)[:40]!r}, not a number")
        return float(value)
