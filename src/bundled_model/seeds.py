"""Seeds written by hand (`data/*.txt`): how their slots are read and filled.

A slot is `{name=SPEC}` at its first use, `{name}` afterwards. SPEC is a maker of `values.py`, a range
(`3..40`, `2.5..9.5`), a choice (`red/green`), or a mapped choice (`on:true/off:false`: what is said, what is meant).
"""
from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from .shapes import decimal, number
from .values import FREE, MAKERS, foreign, shown
from .words import Words

DATA = Path(__file__).parent / "data"
SLOT = re.compile(r"\{(?=[\w=])(\w*)(?:=([^{}]*))?\}")
RANGE = re.compile(r"(-?[\d.]+?)\.\.(-?[\d.]+)$")
CLOCK = re.compile(r"\d{1,2}:\d\d|\w+://")
LISTED = ("food", "item", "dish", "symptom", "sport", "lang", "subject", "animal", "plant", "person", "country", "jobtitle", "company", "drug")
TYPES = ("string", "integer", "number", "boolean", "string[]", "number[]", "integer[]")


@dataclass(frozen=True)
class Slot:
    """One slot's ways to be filled: exactly one of `maker`, `low..high`, `choices` counts."""
    maker: str = ""
    low: float = 0
    high: float = 0
    whole: bool = True
    choices: tuple[tuple[str, str | None], ...] = ()  # (said, meant)
    spelled: bool = False  # small whole numbers may be said as words

    def fill(self, w: Words, kind: str = "string") -> tuple[str, Any]:
        """(the text, the value it means as `kind`)"""
        if self.maker:
            if self.maker in FREE and kind == "string" and w.chance(.01 if w.plain else .03):
                word = foreign(w)
                return word, word
            v: Any = listing(w, kind) if self.maker == "list" or (kind.endswith("[]") and self.maker != "nums") else MAKERS[self.maker](w)
            return said_list(w, v) if isinstance(v, list) else str(v), as_type(v, kind)
        if not self.choices:
            return self.number(w, kind)
        said, meant = w.one(self.choices)
        if meant is None and kind == "string" and w.chance(.03 if w.plain else .12):
            said = w.one((w.proper, w.invented, w.phrase, w.thing))()
        return said, as_type(said if meant is None else meant, kind)

    def number(self, w: Words, kind: str) -> tuple[str, Any]:
        """(a number of the range as a text writes it, what it means as `kind`)"""
        if self.whole:
            n = w.r.randint(int(self.low), int(self.high))
            if kind == "number" and n > 12 and w.chance(.15):
                said, x = decimal(w, float(n))
                return said, as_type(x, kind)
            said = number(w, n, self.spelled)
            return said, said if kind == "string" else as_type(n, kind)
        x = round(w.r.uniform(self.low, self.high), 1)
        said, x = (str(x), x) if x < 0 else decimal(w, x)
        return said, said if kind == "string" else as_type(x, kind)


def said_list(w: Words, items: list[Any]) -> str:
    """How a text names several things."""
    if len(items) < 2 or w.chance(.7):
        return shown(items)
    *others, last = map(str, items)
    return ", ".join(others) + w.one((", and ", " & ", ", ", " as well as ")) + last


def listing(w: Words, kind: str) -> list[Any]:
    n = w.r.randint(2, 4)
    if kind.startswith("string"):
        makers: list[Callable[[], Any]] = [w.thing, w.first, w.proper, w.city, *(partial(MAKERS[m], w) for m in LISTED)]
        make = w.one(makers)
        return list(dict.fromkeys(str(make()) for _ in range(n)))
    return [w.num(w.one((1, 2, 3))) for _ in range(n)]


def as_type(v: Any, kind: str) -> Any:
    """What a text or a made value means as a JSON value of this type; a text that means no such value raises ValueError."""
    if kind.endswith("[]"):
        items = v if isinstance(v, list) else [x for x in re.split(r", (?:and )?| and |; ", str(v)) if x]
        return [as_type(x, kind[:-2]) for x in items]
    if kind == "boolean":
        return v if isinstance(v, bool) else {"true": True, "false": False}[str(v)]
    if kind == "integer":
        return int(str(v).replace(",", ""))
    if kind == "number":
        n = float(str(v).replace(",", ""))
        return int(n) if n.is_integer() and "." not in str(v) else n
    return str(v)


def read_slot(spec: str, kind: str = "string") -> Slot:
    spec = spec.strip()
    if spec == "money" and kind != "string":
        return Slot(low=2, high=900)
    if spec in MAKERS or spec == "list":
        return Slot(maker=spec)
    m = RANGE.match(spec)
    if m:
        a, b = m.groups()
        return Slot(low=float(a), high=float(b), whole="." not in a + b)
    choices = []
    for c in spec.split("/"):
        said, colon, meant = c.rpartition(":")
        mapped = bool(colon) and (kind != "string" or not CLOCK.match(c.strip()))
        choices.append((said.strip(), meant.strip()) if mapped else (c.strip(), None))
        as_type(choices[-1][1] or choices[-1][0], kind)
    if len(choices) == 1 and choices[0][1] is None:
        raise ValueError(f"{spec!r} is no maker, and a single choice is none")
    return Slot(choices=tuple(choices))


@dataclass(frozen=True)
class Template:
    """A text with slots: pieces of text and slot names in turn."""
    text: str
    slots: tuple[tuple[str, Slot], ...]  # those that this text defines

    @property
    def names(self) -> set[str]:
        return {m.group(1) for m in SLOT.finditer(self.text)}

    @cached_property
    def words(self) -> int:
        return len(self.text.split())

    def fill(self, w: Words, values: dict[str, tuple[str, Any]], kinds: dict[str, str] | None = None) -> str:
        """The text; `values` (name -> what is said, what is meant) is read and added to."""
        for name, slot in self.slots:
            if name not in values:
                values[name] = slot.fill(w, (kinds or {}).get(name, "string"))
        return SLOT.sub(lambda m: values[m.group(1)][0], self.text)


def read_template(text: str, kinds: dict[str, str] | None = None) -> Template:
    """Nameless slots get names of their own."""
    slots: list[tuple[str, Slot]] = []
    count = 0

    def name(m: re.Match[str]) -> str:
        nonlocal count
        own, spec = m.groups()
        if not own:
            count += 1
            own = f"_{count}"
        if spec is not None and own not in [n for n, _ in slots]:
            alone = m.string[m.start() - 1:m.start()] in ("", " ") and m.string[m.end():m.end() + 1] == " "
            slots.append((own, replace(read_slot(spec, (kinds or {}).get(own, "string")), spelled=alone)))
        return "{" + own + "}"

    return Template(SLOT.sub(name, text.strip()), tuple(slots))


def lines(pattern: str) -> list[tuple[str, str]]:
    """(where, line) of all seed files of this name, without comments."""
    out = []
    for file in sorted(DATA.glob(pattern)):
        for n, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip() and not line.strip().startswith("//"):
                out.append((f"{file.name}:{n}", line.strip()))
    return out


def alternatives(text: str) -> list[str]:
    """Split at | outside quotes and braces."""
    parts, depth, quoted, start = [], 0, False, 0
    for i, c in enumerate(text):
        depth += (c == "{") - (c == "}")
        if c == "|" and depth <= 0 and not quoted:
            parts.append(text[start:i].strip())
            start = i + 1
    return [p for p in [*parts, text[start:].strip()] if p]


def held_out(text: str, every: int = 25) -> bool:
    """Whole seeds that training never sees."""
    return zlib.crc32(("s" + text).encode()) % every == 0


@dataclass(frozen=True)
class Field:
    """A parameter of a tool or a field of a form."""
    names: tuple[str, ...]
    type: str  # a JSON type or "enum"
    optional: bool = False
    options: tuple[str, ...] = ()

    @property
    def said_as(self) -> str:
        """The type that a slot's text is read as."""
        return "string" if self.options else self.type


def read_fields(text: str) -> list[Field]:
    """`city/town: string; unit?: "C" | "F"`"""
    out = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        head, _, kind = part.partition(":")
        names = [n.strip() for n in head.split("/")]
        kind, options = kind.strip(), tuple(re.findall(r'"([^"]*)"', kind))
        if not options and kind not in TYPES:
            raise ValueError(f"no such type: {kind!r}")
        out.append(Field(tuple(n.rstrip("?") for n in names), "enum" if options else kind, any(n.endswith("?") for n in names), options))
    return out
