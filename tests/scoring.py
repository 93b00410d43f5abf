"""Lists of requests whose answers are known: read one, compare, and count what a model gets right by category.

The lists stand in `model/lists`. With the environment variable LIST_FAILURES=1 the texts of failures are printed too.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import Field

LISTS = Path(__file__).parent / "model" / "lists"
TYPES: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool, "list[str]": list[str]}


class Outcome(NamedTuple):
    """What came of one case: its category, whether it is right, and what was asked and answered."""

    category: str
    right: bool
    account: str


def read_list(name: str) -> Any:
    """The list of that name, as its YAML file has it."""
    return yaml.safe_load((LISTS / f"{name}.yaml").read_text(encoding="utf-8"))


def read_type(kind: str) -> Any:
    """The Python type of "int", "a|b|c" and the like; a "?" at the end makes it optional."""
    if kind.endswith("?"):
        return read_type(kind[:-1]) | None
    return Literal[tuple(kind.split("|"))] if "|" in kind else TYPES[kind]


def model_fields(spec: Mapping[str, str]) -> dict[str, Any]:
    """The keywords of `pydantic.create_model` for fields written as "type" or "type: description"."""
    fields = {}
    for name, text in spec.items():
        kind, _, description = text.partition(": ")
        default = None if kind.endswith("?") else ...
        fields[name] = (read_type(kind), Field(default, description=description or None))
    return fields


def plain(value: Any) -> Any:
    """A form in which values that mean the same are equal: numbers by their value, texts without regard to case."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return value.strip().casefold()
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)


def same(wanted: Any, given: Any) -> bool:
    """Whether `given` is the wanted value, or one of those in {"any": [...]}."""
    choices = wanted["any"] if isinstance(wanted, dict) else [wanted]
    return any(plain(choice) == plain(given) for choice in choices)


def same_arguments(wanted: dict[str, Any] | list[dict[str, Any]], given: Mapping[str, Any]) -> bool:
    """Whether a call's arguments are right: a list of values allows any of them, a list of calls any of these."""
    if isinstance(wanted, list):
        return any(same_arguments(call, given) for call in wanted)
    named = {name: value for name, value in given.items() if value not in (None, "")}
    any_of = {name: {"any": value} if isinstance(value, list) else value for name, value in wanted.items()}
    return any_of.keys() == named.keys() and all(same(any_of[name], named[name]) for name in any_of)


def contains(answer: str, expected: Iterable[str]) -> bool:
    """Whether a text holds one of the expected strings as whole words or numbers."""
    return any(_whole(text).search(answer) for text in expected)


def _whole(text: str) -> re.Pattern[str]:
    # "12" is not in "120" but is in "12km"; "on" is not in "front" or "one".
    after = r"(?!\d)" if text[-1].isdigit() else r"(?!\w)"
    return re.compile(rf"(?<![\w.]){re.escape(text)}{after}", re.IGNORECASE)


def share_right(name: str, outcomes: list[Outcome], record: Callable[[str, object], None]) -> float:
    """The share of right outcomes; it is recorded, and a line for each category is printed."""
    categories: dict[str, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        categories[outcome.category].append(outcome.right)
    share = sum(outcome.right for outcome in outcomes) / len(outcomes)
    print(f"\n{name}: {share:.3f} of {len(outcomes)}")
    for category, rights in categories.items():
        print(f"  {category}: {sum(rights)}/{len(rights)}")
        record(f"{name}_{category}", f"{sum(rights)}/{len(rights)}")
    if os.environ.get("LIST_FAILURES") == "1":
        print(*(f"  {outcome.account}" for outcome in outcomes if not outcome.right), sep="\n")
    record(f"{name}_share", share)
    return share
