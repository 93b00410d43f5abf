"""Groups of tools written by hand (`data/tools_*.txt`) as kinds, and their requests."""
from __future__ import annotations

import re
from functools import cache
from typing import Any

from .seeds import Field, Template, alternatives, held_out, lines, read_fields, read_template
from .tool_kinds import Kind, Param
from .words import Words


class SeedKind(Kind):
    """A kind whose requests name their values themselves."""
    fields: list[Field]
    asks: list[Template]
    results: list[Template]

    def ask(self, w: Words) -> tuple[str, dict[int, Any]]:
        """(a request, the value of each parameter that it says)"""
        values: dict[str, tuple[str, Any]] = {}
        text = w.one(self.asks).fill(w, values, self.said)
        return text, {i: values[f.names[0]][1] for i, f in enumerate(self.fields) if f.names[0] in values}

    @property
    def said(self) -> dict[str, str]:
        return {f.names[0]: f.said_as for f in self.fields}


def new_kind(group: str, names: list[str]) -> SeedKind:
    kind = SeedKind(group, names, [], [])
    kind.fields, kind.asks, kind.results = [], [], []
    return kind


def add_line(kind: SeedKind, key: str, rest: str) -> None:
    if key == "d":
        kind.descs += alternatives(rest)
    elif key == "p":
        kind.fields = read_fields(rest)
        kind.params = [Param(f.names, f.type if f.type != "enum" else "string", "seed:" + f.type, f.optional, f.options) for f in kind.fields]
    elif key == "q":
        kind.asks += [read_template(t, kind.said) for t in alternatives(rest)]
    elif key == "r":
        # results are shown as they stand; braces of JSON are no slots
        results = [read_template(t) for t in alternatives(rest)]
        kind.results += [t for t in results if not t.names - {name for name, _ in t.slots}]


def faults(kind: SeedKind) -> list[str]:
    """What is wrong with a kind; empty when it can be used."""
    needed = {f.names[0] for f in kind.fields if not f.optional}
    known = {f.names[0] for f in kind.fields}
    bad = [] if kind.descs and kind.asks else ["no description or no request"]
    for t in kind.asks:
        if needed - t.names or {n for n in t.names if not n.startswith("_")} - known:
            bad.append(f"slots {sorted(t.names)} do not fit {sorted(needed)}: {t.text}")
        elif t.names - {n for n, _ in t.slots}:
            bad.append(f"a slot without its SPEC: {t.text}")
        elif unknown_option(kind, t):
            bad.append(f"a value that is no option: {t.text}")
    return bad


def unknown_option(kind: SeedKind, t: Template) -> bool:
    options = {f.names[0]: f.options for f in kind.fields if f.options}
    return any((meant or said) not in options[n] for n, slot in t.slots if n in options for said, meant in slot.choices or [("", "")])


@cache
def read_groups(report: bool = False) -> dict[str, list[SeedKind]]:
    """Group -> kinds; what cannot be read is left out (and printed when asked)."""
    groups: dict[str, list[SeedKind]] = {}
    group, kind = "", None
    for where, line in lines("tools_*.txt"):
        try:
            if line.startswith("# "):
                group = f"{where.split(':')[0]} {line[2:]}"
            elif line.startswith(">"):
                kind = new_kind(group, [n.strip() for n in line[1:].split("/") if n.strip()])
                groups.setdefault(group, []).append(kind)
            elif kind is not None:
                key, _, rest = line.partition(":")
                add_line(kind, key.strip(), rest)
        except (ValueError, KeyError) as e:
            if report:
                print(where, e, line[:150])
    for g, kinds in groups.items():
        for k in kinds:
            bad = faults(k)
            if report:
                for b in bad:
                    print(g, k.names[0], b)
            texts = " ".join(bad)
            k.asks = [t for t in k.asks if t.text not in texts]
    return {g: good for g, kinds in groups.items() if (good := [k for k in kinds if not faults(k)])}


@cache
def groups_of(split: str) -> list[list[SeedKind]]:
    return [ks for g, ks in read_groups().items() if held_out(g) == (split == "eval") and len(ks) > 1]


STOP = set("a an the of for to in on by is get gets set find finds show shows look looks up tool returns tells give gives with at from and or use this that which what who how it its new one all".split())


@cache
def content(name: str, descs: tuple[str, ...]) -> frozenset[str]:
    words = re.findall(r"[a-z]+", (re.sub(r"([A-Z])", r" \1", name) + " " + " ".join(descs)).lower().replace("_", " "))
    return frozenset(w.rstrip("s") for w in words if w not in STOP and len(w) > 2)


def related(a: Kind, b: Kind) -> bool:
    """Whether two kinds of different groups could be meant by the same request."""
    x, y = (content(" ".join(k.names), tuple(k.descs)) for k in (a, b))
    return len(x & y) > 0
