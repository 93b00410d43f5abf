"""Documents written by hand (`data/docs_*.txt`): sentences with questions on them, several documents in one prompt."""
from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .seeds import Template, alternatives, held_out, lines, read_template
from .words import Words


@dataclass
class Question:
    wordings: list[str]
    answer: str  # a span of the sentence, slots left in


@dataclass
class Sentence:
    template: Template
    questions: list[Question] = field(default_factory=list)


@dataclass
class Document:
    title: Template
    sentences: list[Sentence] = field(default_factory=list)


@dataclass
class Told:
    """A document with its values: the sentences, and (number of the sentence, wordings, answer) of every question."""
    title: str
    sentences: list[str]
    questions: list[tuple[int, list[str], str]]


def read_question(text: str) -> Question:
    ask, arrow, answer = text.rpartition("=>")
    if not arrow or not answer.strip():
        raise ValueError("a question without => answer")
    return Question(alternatives(ask), answer.strip().rstrip("."))


@cache
def read_documents(report: bool = False) -> list[Document]:
    """All documents; questions whose answer is no span of their sentence are left out (and printed when asked)."""
    docs: list[Document] = []
    for where, line in lines("docs_*.txt"):
        key, _, rest = line.partition(":")
        try:
            if line.startswith("="):
                docs.append(Document(read_template(line[1:])))
            elif key == "S":
                docs[-1].sentences.append(Sentence(read_template(rest)))
            elif key == "Q":
                q, s = read_question(rest.strip()), docs[-1].sentences[-1]
                if q.answer.lower() not in s.template.text.lower():
                    raise ValueError(f"the answer is no span: {q.answer}")
                s.questions.append(q)
            else:
                raise ValueError("no such line")
        except (ValueError, KeyError, IndexError) as e:
            if report:
                print(where, e, line[:120])
    good = [d for d in docs if len(d.sentences) > 1 and any(s.questions for s in d.sentences)]
    return [d for d in good if not undefined(d, report)]


def undefined(d: Document, report: bool) -> bool:
    known = {n for n, _ in d.title.slots}
    for s in d.sentences:
        known |= {n for n, _ in s.template.slots}
        missing = s.template.names - known
        for q in s.questions:
            missing |= set().union(*(read_template(t).names for t in [*q.wordings, q.answer])) - known
        if missing:
            if report:
                print(d.title.text, "slots without SPEC:", missing)
            return True
    return False


@cache
def documents_of(split: str) -> list[Document]:
    return [d for d in read_documents() if held_out(d.title.text) == (split == "eval")]


def tell(w: Words, d: Document) -> Told:
    """Fill in the values; sentences and questions that cannot be filled alike are a fault of the seed."""
    values: dict[str, tuple[str, Any]] = {}
    title = d.title.fill(w, values)
    sentences = [s.template.fill(w, values) for s in d.sentences]
    sentences = [s[0].upper() + s[1:] for s in sentences]
    questions = []
    for n, s in enumerate(d.sentences):
        for q in s.questions:
            answer = span(sentences[n], read_template(q.answer).fill(w, values))
            if answer:
                questions.append((n, [read_template(t).fill(w, values) for t in q.wordings], answer))
    return Told(title, sentences, questions)


def span(sentence: str, answer: str) -> str:
    """The answer as the sentence writes it."""
    at = sentence.lower().find(answer.lower())
    return sentence[at:at + len(answer)] if at >= 0 else ""
