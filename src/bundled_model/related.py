"""Words that belong together (`data/words_*.txt`): tools and topics that only the meaning of a word gives away."""
from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from .seeds import lines
from .tool_kinds import Kind, Param
from .words import Words, a_an, first_turn, sample


@cache
def concepts() -> dict[str, list[str]]:
    """Concept -> words that make one think of it."""
    out: dict[str, list[str]] = {}
    for _, line in lines("words_*.txt"):
        name, _, rest = line.partition(":")
        words = [x.strip() for x in rest.split(",") if x.strip()]
        if len(words) > 3:
            out[name.strip()] = words
    return out


@cache
def owners() -> dict[str, frozenset[str]]:
    """Word -> the concepts that it belongs to."""
    out: dict[str, set[str]] = {}
    for name, words in concepts().items():
        for x in [name, *words]:
            out.setdefault(x, set()).add(name)
    return {x: frozenset(names) for x, names in out.items()}


def apart(name: str, others: list[str]) -> list[str]:
    """The words of a concept that belong to none of the others."""
    return [x for x in concepts()[name] if not any(o in owners()[x] for o in others if o != name)]


def some(w: Words, n: int) -> list[str]:
    """Concepts without a word in common."""
    out: list[str] = []
    names = _names()
    while len(out) < n:
        c = w.one(names)
        if c not in out and all(o not in owners()[x] for x in [c, *concepts()[c]] for o in out):
            out.append(c)
    return out


@cache
def _names() -> list[str]:
    return list(concepts())


ASKS = ["I have a question about {x}: {0}.", "{x} {0}", "{X}: {0}", "It is about {x}. {0}.", "Can you help with {x}? It's {0}.", "{0}: {x}", "{0}, {x} please", "I was thinking of {x} for {0}.", "{x} and {y}, {0}", "What about {x} for {0}?",
        "{0} {x}", "We need {x} for {0}.", "Something with {x} or {y} for {0}.", "My problem is {x}, for {0}.", "{X}, {y}, {0}.", "{0} wants {x}.", "Is there {x} for {0}?", "Tell me {x} of {0}.", "I'd like to {x} {0}.", "Please {x} {0}.", "{X} {0}, would you?"]
DESCS = ["Everything about {c}.", "{C}.", "Help with {c}.", "For {c} and {x}.", "{C}, {x}, {y}.", "Use it for {c}.", "Handles {c}.", "{X} and {y}.", "Useful for questions on {c}.", "All that has to do with {x}.", "Knows about {c} and {x}.", "To {c}."]
PARAMS = ["name:proper", "query:phrase", "id:code", "item:item", "city:place", "who:person", "key:word", "text:thing"]


def concept_kind(w: Words, shared: str = "") -> Kind:
    """A tool of one concept: name and description say some of its words, the requests others."""
    given, _, p = shared.rpartition("#")
    p = p or w.one(PARAMS)
    others = given.split(";") if given else []
    c = next(x for x in iter(lambda: w.one(_names()), "") if x not in others)
    words = apart(c, others) or concepts()[c]
    words = w.r.sample(words, len(words))
    shown, asked = words[:2] + words[:1], words[2:] or words
    label = c.replace(" ", "_").replace("'", "")
    names = [label, f"{label}_tool", f"get_{label}", f"{label}_help", f"do_{label}"]
    descs = [d.format(c=c, C=c.capitalize(), x=shown[0], X=shown[0].capitalize(), y=shown[1]) for d in DESCS]
    key, _, maker = p.partition(":")
    asks = [a.replace("{x}", x).replace("{X}", x.capitalize()).replace("{y}", y) for a in w.r.sample(ASKS, 8) for x, y in [(w.one(asked), w.one(asked))]]
    return Kind("concept", names, descs, [Param((key,), "string", maker)], [], [], asks, "any", ("concept", f"{';'.join([*others, c])}#{p}"))


TEXTS = ["{x}", "{x}, {y}", "{x} and {y}", "It is about {x}.", "I have to think of {x} and {y}.", "Questions on {x}, {y}, {z}", "{X}? {Y}?", "We talked of {x} and of {y}.", "Help me with {x}, please.", "There was {x}, then {y}.", "{x}; {y}; {z}"]
QUESTIONS = ["Which of these fits: {o}? {t}", "{t}\n\nWhich is it about: {o}?", "Topics: {o}\nText: {t}\nTopic:", "Choose one of {o} for this text: {t}", "Classify as {o}.\n\n{t}", "Labels: {o}\n\nText: {t}\n\nAnswer with one label.", "What is this about, {o}? {t}",
             "Text: {t}\n\nWhich category does it belong to? Options: {o}", "Route this request to {o}: {t}"]


def topic(w: Words) -> dict[str, Any]:
    """The concept, out of two to six, that some of its words stand for."""
    names = some(w, w.one((2, 3, 3, 4, 5, 6)))
    c = w.one(names)
    x, y, z = (w.one(concepts()[c]) for _ in range(3))
    text = w.one(TEXTS).format(x=x, y=y, z=z, X=x.capitalize(), Y=y.capitalize())
    options = ", ".join(names) if w.chance(.6) else ", ".join(names[:-1]) + " or " + names[-1]
    q = w.one(QUESTIONS).replace("{o}", options).replace("{t}", text)
    return sample("topic", [("user", first_turn(w.system(), "", q)), ("model", c)], answer=c)


def word_of(w: Words) -> dict[str, Any]:
    """The one word of several that belongs to a concept."""
    names = some(w, w.one((2, 3, 4, 5)))
    words = [w.one(concepts()[n]) for n in names]
    i = int(w.r.random() * len(names))
    q = w.one(("Which of these has to do with {c}: {o}?", "Words: {o}\nWhich one makes you think of {c}?", "{o}. Which belongs to {c}?", "Find the word for {a}: {o}")).format(c=names[i], a=a_an(names[i]), o=", ".join(words))
    return sample("word_of", [("user", q), ("model", words[i])], answer=words[i])


SKILLS: dict[str, Callable[[Words], dict[str, Any]]] = {"topic": topic, "word_of": word_of}
