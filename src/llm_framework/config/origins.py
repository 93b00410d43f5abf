"""A setting with the place it came from, and what is said where its value is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..errors import ConfigurationError

MAY_HOLD_SECRETS = ("api_credentials", "plugins")  # fields whose values no error repeats


class Setting(NamedTuple):
    """A value and where it came from. `lines` maps key paths inside the value to their lines in the YAML file."""

    value: Any
    origin: str
    file: Path | None = None
    lines: Mapping[tuple[str, ...], int] = {}

    def origins(self, name: str) -> Iterator[tuple[str, str]]:
        """The origin of the setting of that name, and of everything inside it."""
        yield name, self.origin
        for path, line in self.lines.items():
            yield ".".join((name, *path)), f"YAML file {self.file}, line {line}"


def explain(error: ValidationError, settings: Mapping[str, Setting]) -> ConfigurationError:
    """The first fault that pydantic found, told in our words: the place, the key, what is wrong with it."""
    details = error.errors(include_url=False, include_context=False)
    name = str(details[0]["loc"][0])
    setting = settings.get(name, Setting(None, "default"))
    return ConfigurationError(f"{_place(setting, details[0])}: {_fault(name, details)}")


def _place(setting: Setting, detail: ErrorDetails) -> str:
    if setting.file is None:
        return "values given in code" if setting.origin == "code" else setting.origin
    inner = tuple(str(part) for part in detail["loc"][1:])
    known = (inner[:length] for length in range(len(inner), -1, -1))
    line = next(setting.lines[path] for path in known if path in setting.lines)
    return f"{setting.file}, line {line}"


def _fault(name: str, details: list[ErrorDetails]) -> str:
    # A union reports each of its members; their messages together say what is allowed.
    inner = [str(part) for part in details[0]["loc"][1:]]
    same = [detail for detail in details if str(detail["loc"][0]) == name]
    messages = list(dict.fromkeys(detail["msg"] for detail in same))
    key = ".".join([name, *inner]) if name == "api_credentials" else name
    shown = "" if name in MAY_HOLD_SECRETS else f", not {details[0]['input']!r}"
    return f"{key}: {' or '.join(messages)}{shown}"


def nearest(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """What to add to "no such name": the known one that comes closest, where one does."""
    by_short_name = {item.removeprefix("default_"): item for item in known}
    near = difflib.get_close_matches(name, [*known, *by_short_name], n=1)
    return f"; did you mean {by_short_name.get(near[0], near[0])!r}?" if near else ""
