"""Structured output by way of a tool named after a class, and schemas written into the prompt."""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .dialect import Arg, Tool, call, declare
from .extraction import Case, case
from .words import Words, first_turn, sample

DESCS = ["", "", "A {n}.", "Information about a {n}.", "{N} data.", "Structured output.", "Correctly extracted {n} with all the required parameters with correct types", "Extract the {n}.", "Details of a {n}.", "The {n} found in the text."]
ASKS = ["", "", "", "", "Extract: ", "Extract the data: ", "Extract the information.\n", "Extract the data from this text: ", "Text: ", "Please extract: ", "Fill in the fields from this text.\n", "Here is the text:\n", "Parse this: ", "Get the details from: ",
        "Read this and give me the fields: ", "Extract information from the following text.\n\n", "What does it say? "]
SCHEMA_ASKS = ["Reply with JSON for this schema: {s}\n\n{t}", "{t}\n\nReturn JSON that follows this schema: {s}", "Extract the data as JSON: {s}\n{t}", "Answer in JSON with this schema:\n{s}\n\n{t}", "JSON schema: {s}\n\nText: {t}",
               "Respond only with JSON that matches this schema:\n```json\n{s}\n```\n\n{t}", "Convert to JSON ({s}): {t}"]


def type_text(kind: str, maker: str) -> str:
    return " | ".join(f'"{m}"' for m in maker.split(",")) if kind == "enum" else kind


def class_tool(w: Words, c: Case) -> Tool:
    n = c.name.lower()
    noted = w.chance(.35)
    args = []
    for key, f, need in c.columns:
        text = type_text(f.type, f.maker) + ("" if need or w.chance(.5) else " | null")
        note = w.one(("The {}.", "The {} of the " + n + ".", "the {}", "{}", "The {} in the text")).format(key.replace("_", " ")) if noted and w.chance(.85) else ""
        args.append(Arg(key, text, not need, note))
    desc = c.desc if c.desc and w.chance(.5) else w.one(DESCS).format(n=n, N=c.name)
    return Tool(c.name, desc, args)


def ordered(c: Case) -> dict[str, Any]:
    """Arguments in the order of the declaration."""
    return {k: c.object[k] for k, _, _ in c.columns if k in c.object}


def as_tool(w: Words) -> dict[str, Any]:
    c = case(w)
    tools = [class_tool(w, c)]
    if w.chance(.12):  # now and then another class beside it
        other = case(w)
        if other.name != c.name and c.name not in ("Data", "Record", "Item", "Extract", "Info", "Entry", "Result"):
            tools.append(class_tool(w, other))
            w.r.shuffle(tools)
    user = first_turn(w.system(), declare(tools), w.one(ASKS) + c.text)
    args = ordered(c)
    turns = [["user", user], ["model", call(c.name, args)]]
    for more, found in c.further(w):
        turns += [["user", w.one(ASKS) + more], ["model", call(c.name, found)]]
    return sample("structured", turns, tools=[t.line() for t in tools], calls=[[c.name, args]], results=[], answer="")


def in_prompt(w: Words) -> dict[str, Any]:
    """A JSON schema in the request itself, short or long."""
    c = case(w)
    if w.chance(.4):
        schema = json.dumps({k: type_text(f.type, f.maker) for k, f, _ in c.columns})
    else:
        schema = json.dumps({"type": "object", "properties": {k: {"type": "string"} if f.type == "enum" else {"type": "array", "items": {"type": f.type[:-2]}} if f.type.endswith("[]") else {"type": f.type} for k, f, _ in c.columns},
                             **({"required": [k for k, _, need in c.columns if need]} if w.chance(.7) else {})}, indent=2 if w.chance(.2) else None)
    text = w.one(SCHEMA_ASKS).replace("{s}", schema).replace("{t}", c.text)
    return sample("schema", [["user", first_turn(w.system(), "", text)], ["model", json.dumps(ordered(c), ensure_ascii=False)]], object=ordered(c))


SKILLS: dict[str, Callable[[Words], dict[str, Any]]] = {"structured": as_tool, "schema": in_prompt}
WEIGHTS: dict[str, float] = {"structured": 4, "schema": 1.5}
