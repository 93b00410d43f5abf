"""Texts, objects and questions written by hand (`unseen.yaml`), with values and wordings as people write them.

The other figures come from the values that training's own makers give; these do not. Nothing of the file is trained on.
"""
from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .extraction import Field, compact

if TYPE_CHECKING:
    from .evaluate import Runner, Score

FILE = Path(__file__).parent / "unseen.yaml"
QUESTION = """Context information is below.
---------------------
{c}
---------------------
Given the context information and not prior knowledge, answer the query.
Query: {q}
Answer: """


def read() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def fields(spec: dict[str, Any]) -> list[tuple[str, Field, bool]]:
    """Columns of a form; a list of options stands for one of them."""
    return [(k, Field(k, [k], "enum" if isinstance(t, list) else t, ",".join(map(str, t)) if isinstance(t, list) else ""), True) for k, t in spec.items()]


def plain(x: Any) -> Any:
    return " ".join(x.lower().removesuffix(".").split()) if isinstance(x, str) else [plain(y) for y in x] if isinstance(x, list) else x


def same(want: Any, got: Any) -> bool:
    choices = want["any"] if isinstance(want, dict) else [want]
    return any(plain(c) == plain(got) and isinstance(c, bool) == isinstance(got, bool) for c in choices)


def extraction(run: Runner, score: Score) -> None:
    cases = read()["extraction"]
    asks = ["Reply only with JSON of this form:\n" + compact(fields(c["fields"])) + "\n\n" + c["text"] for c in cases]
    for c, ask, text in zip(cases, asks, run.answers([[["user", a]] for a in asks]), strict=True):
        try:
            got = json.loads(text)
        except ValueError:
            got = {}
        right = {k: isinstance(got, dict) and k in got and same(v, got[k]) for k, v in c["expected"].items()}
        score.mark("unseen: objects", all(right.values()), ask, json.dumps(c["expected"], ensure_ascii=False), text)
        for ok in right.values():
            score.mark("unseen: fields of objects", ok)


def questions(run: Runner, score: Score) -> None:
    asked = [(QUESTION.format(c="\n\n".join(d["texts"]), q=q["ask"]).strip(), q) for d in read()["documents"] for q in d["questions"]]
    for (_, q), text in zip(asked, run.answers([[["user", a]] for a, _ in asked]), strict=True):
        score.mark("unseen: questions", any(str(e).lower() in text.lower() for e in q["expected"]), q["ask"], str(q["expected"]), text)
