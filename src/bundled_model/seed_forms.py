"""Forms written by hand (`data/forms_*.txt`): classes, their fields, texts that say every field."""
from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .seeds import Field, Template, alternatives, held_out, lines, read_fields, read_template
from .words import Words

SHORT = .6  # the share of training texts that are the shortest of a few: what people ask about is mostly one sentence


@dataclass
class Form:
    names: list[str]
    descs: list[str] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    texts: list[Template] = field(default_factory=list)

    @property
    def kinds(self) -> dict[str, str]:
        return {f.names[0]: f.said_as for f in self.fields}

    def tell(self, w: Words) -> tuple[str, dict[str, Any]]:
        """(a text, the value of each field it says, by the field's first name)"""
        values: dict[str, tuple[str, Any]] = {}
        choice = w.one(self.texts)
        if w.split == "train" and w.chance(SHORT):
            choice = min(choice, w.one(self.texts), w.one(self.texts), key=lambda t: t.words)
        text = choice.fill(w, values, self.kinds)
        return text, {f.names[0]: values[f.names[0]][1] for f in self.fields if f.names[0] in values}


def fault(form: Form, t: Template) -> str:
    needed = {f.names[0] for f in form.fields if not f.optional}
    options = {f.names[0]: f.options for f in form.fields if f.options}
    if needed - t.names:
        return f"leaves out {sorted(needed - t.names)}"
    if t.names - {n for n, _ in t.slots}:
        return "a slot without its SPEC"
    if any((meant or said) not in options[n] for n, slot in t.slots if n in options for said, meant in slot.choices or [("", "")]):
        return "a value that is no option"
    return ""


@cache
def read_forms(report: bool = False) -> list[Form]:
    """All forms; texts that do not fit are left out (and printed when asked)."""
    forms: list[Form] = []
    for where, line in lines("forms_*.txt"):
        key, _, rest = line.partition(":")
        try:
            if line.startswith("="):
                forms.append(Form([n.strip() for n in line[1:].split("/")]))
            elif key == "d":
                forms[-1].descs += alternatives(rest)
            elif key == "f":
                forms[-1].fields = read_fields(rest)
            elif key == "t":
                for text in alternatives(rest):
                    t = read_template(text, forms[-1].kinds)
                    bad = fault(forms[-1], t)
                    if not bad:
                        forms[-1].texts.append(t)
                    elif report:
                        print(where, bad, text[:150])
            elif report:
                print(where, "no such line", line[:80])
        except (ValueError, KeyError, IndexError) as e:
            if report:
                print(where, e, line[:150])
    return [f for f in forms if f.fields and f.texts]


@cache
def forms_of(split: str) -> list[Form]:
    return [f for f in read_forms() if held_out(f.names[0], 15) == (split == "eval")]
