"""Question answering over a passage: facts about several subjects, prompts as the frameworks send them.

A passage tells several facts of each of several subjects of one sort, so that only subject and relation together
give the answer. Subjects and their nouns never repeat in a passage; each (subject, relation) is told once.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from . import passages_data as D
from .seed_docs import Told, documents_of, tell
from .words import (
    ADJ,
    ANIMAL,
    COLOR,
    DEPARTMENT,
    FOOD,
    INSTRUMENT,
    JOB,
    LANGUAGE,
    MATERIAL,
    MONTH,
    NOUN,
    ROOM,
    SPORT,
    SUBJECT,
    WEEKDAY,
    Words,
    plural,
    sample,
)

DONT_KNOW = "I don't know."


class Kind(NamedTuple):
    makers: tuple[str, ...]
    sentences: list[str]
    questions: list[list[str]]  # by value


class Fact(NamedTuple):
    subject: int
    sentence: str
    questions: list[tuple[str, str]]  # (template with {s} left in, answer)
    kind: int
    values: list[str]


class Passage(NamedTuple):
    group: str
    subjects: list[str]
    facts: list[Fact]
    pronoun: list[tuple[str, str, str]]  # of each subject: she, her, her


def _kinds(table: Sequence[tuple[str, ...]]) -> list[Kind]:
    return [Kind(tuple(row[0].split()), row[1].split("|"), [q.split("|") for q in row[2:]]) for row in table]


GROUPS: dict[str, list[Kind]] = {name: _kinds(table) for name, table in (
    ("person", D.PERSON), ("company", D.COMPANY), ("town", D.TOWN), ("country", D.COUNTRYK), ("product", D.PRODUCT), ("work", D.WORK),
    ("event", D.EVENT), ("building", D.PLACEK), ("object", D.OBJECT), ("service", D.SERVICE), ("plain", D.PLAIN), ("animal", D.ANIMALK))}
_GROUP_PICK = ["person"] * 7 + ["company"] * 4 + ["town"] * 2 + ["country"] * 2 + ["product"] * 3 + ["work"] * 2 + ["event"] * 3 + [
    "building"] * 2 + ["object"] * 3 + ["service"] * 3 + ["plain"] * 4 + ["animal"]
# kinds whose questions could be answered by each other's fact about the same subject: never both on one subject
_CLASH = [("person", 2, 3), ("person", 10, 9), ("company", 4, 0), ("building", 0, 8), ("event", 0, 6), ("town", 0, 3), ("animal", 3, 1), ("plain", 2, 3),
          ("event", 0, 1), ("event", 0, 9), ("company", 1, 15), ("plain", 1, 9), ("object", 0, 11), ("service", 10, 3), ("work", 1, 9), ("product", 2, 7),
          ("building", 5, 9), ("building", 4, 9), ("object", 6, 9), ("product", 3, 13), ("work", 0, 4), ("work", 0, 7), ("object", 2, 3), ("person", 17, 18)]
CLASH = {(g, a): {b for h, x, y in _CLASH if h == g and a in (x, y) for b in (x, y) if b != a} for g, ks in GROUPS.items() for a in range(len(ks))}


# ---------------------------------------------------------------- values
def _count(w: Words, unit: str, lo: int, hi: int) -> str:
    return f"{w.r.randint(lo, hi)} {unit}"


def _place2(w: Words) -> str:
    return w.one(D.PLACE2).format(room=w.one(ROOM), noun=w.one(NOUN), adj=w.one(ADJ), city=w.city(), n=w.num(w.one((1, 2, 3))), nth=w.one(("first", "second", "third", "fourth", "fifth")))


_VOWELS = "aeiou"  # the templates write "a": words that want "an" stay out
JOBS, ANIMALS, COLORS, CONS_ADJ = ([x for x in xs if x[0] not in _VOWELS] for xs in (JOB, ANIMAL, COLOR, ADJ))

MAKE: dict[str, Callable[[Words], str]] = {
    "place": Words.place, "person": Words.person, "first": Words.first, "company": Words.company, "company2": Words.company, "country": Words.country, "title": Words.title,
    "proper": Words.proper, "email": Words.email, "phone": Words.phone, "money": Words.money, "date": Words.date, "time": Words.time, "code": Words.code, "addr": Words.street,
    "year": lambda w: str(w.year()), "job": lambda w: w.one(JOBS), "language": lambda w: w.one(LANGUAGE), "instrument": lambda w: w.one(INSTRUMENT),
    "subject": lambda w: w.one(SUBJECT), "sport": lambda w: w.one(SPORT), "weekday": lambda w: w.one(WEEKDAY), "month": lambda w: w.one(MONTH), "animal": lambda w: w.one(ANIMALS),
    "color": lambda w: w.one(COLORS), "food": lambda w: w.one(FOOD), "material": lambda w: w.one(MATERIAL), "room": lambda w: w.one(ROOM), "department": lambda w: w.one(DEPARTMENT),
    "years": lambda w: _count(w, "years", 2, 99), "days": lambda w: _count(w, "days", 2, 90), "hours": lambda w: _count(w, "hours", 2, 40), "monthsn": lambda w: _count(w, "months", 2, 60),
    "seconds": lambda w: _count(w, "seconds", 2, 600), "duration": lambda w: _count(w, w.one(("minutes", "hours", "days", "weeks", "months", "years")), 2, 60),
    "adjnoun": lambda w: w.one(CONS_ADJ) + " " + w.one(NOUN), "adjnouns": lambda w: w.one(ADJ) + " " + plural(w.one(NOUN)), "nouns": lambda w: plural(w.one(NOUN)),
    "prize": lambda w: w.one(D.PRIZE).format(w.proper(), w.one(NOUN).capitalize()), "smallnum": lambda w: str(w.num(w.one((1, 2, 3)))),
    "count": lambda w: str(w.num(w.one((1, 2, 2, 3, 4))) + 2), "bignum": lambda w: str(w.num(w.one((3, 4, 5, 6)))) if w.chance(.6) else f"{w.num(w.one((4, 5, 6))):,}",
    "vehicle": lambda w: w.one(("car", "van", "truck", "bike", "motorbike", "tractor", "scooter")), "disease": lambda w: w.one(D.DISEASE),
    "thing2": lambda w: "the " + (w.one(ADJ) + " " if w.chance(.6) else "") + w.one(NOUN), "secret": lambda w: w.invented(1, 2) + str(w.num()), "bigmoney": lambda w: f"{w.num(w.one((1, 2, 3))) + 2} {w.one(('million', 'billion'))} {w.one(('dollars', 'euros', 'pounds'))}",
    "percent": lambda w: _count(w, "percent", 2, 99) if w.chance(.6) else f"{w.r.randint(1, 99)}%", "temp": lambda w: _count(w, "degrees", 2, 39), "weather": lambda w: w.one(D.WEATHER),
    "length": lambda w: _count(w, w.one(("meters", "feet", "meters")), 2, 999), "weight": lambda w: _count(w, w.one(("kilograms", "grams", "pounds", "tons")), 2, 900),
    "version": lambda w: f"{w.r.randint(0, 12)}.{w.r.randint(0, 20)}" + (f".{w.r.randint(0, 9)}" if w.chance(.5) else ""), "speed": lambda w: _count(w, w.one(("km/h", "miles per hour")), 5, 400),
    "gb": lambda w: _count(w, w.one(("GB", "MB", "TB")), 2, 900), "rating": lambda w: w.one((f"{w.r.randint(1, 4)}.{w.r.randint(0, 9)}", f"{w.r.randint(1, 5)} stars")),
    "genre": lambda w: w.one(D.GENRE), "roomnum": lambda w: w.one((f"room {w.num(w.one((1, 2, 3)))}", f"hall {w.one('ABCDEF')}", f"the {w.one(ROOM)}")), "port": lambda w: str(w.num(4)),
    "license": lambda w: w.one(D.LICENSE), "language2": lambda w: w.one(D.PROGRAMMING), "path": lambda w: w.one(("/etc/{}.conf", "{}.yaml", "config/{}.json", "{}.ini", "/opt/{}.toml")).format(w.invented(1, 2)),
    "command": lambda w: w.one(("pip install {}", "npm install {}", "make {}", "{} start", "run_{}", "docker run {}", "./{}.sh", "brew install {}", "{} --start")).format(w.invented(1, 2)),
    "host": lambda w: w.invented(1, 2) + w.one(("", "", str(w.num(1)), "-" + str(w.num(2)))), "db": lambda w: w.one(D.DATABASE), "place2": _place2, "status": lambda w: w.one(D.STATUS),
    "habitat": lambda w: w.one(D.HABITAT),
}
EVENT_NAMES, BUILDING_NAMES = D.EVENTS, D.BUILDINGS


def _subject(w: Words, group: str) -> str:
    if group == "person":
        return w.person()
    if group == "company":
        return w.company()
    if group == "town":
        return w.place()
    if group == "country":
        return w.country()
    if group == "product":
        k = w.r.random()
        return f"the {w.proper()} {w.one(D.PRODUCTS)}" if k < .4 else f"the {w.proper()} {w.num(w.one((1, 2, 3)))}" if k < .7 else w.proper()
    if group == "work":
        return w.title()
    if group == "event":
        return f"the {w.one((w.city, w.proper))()} {w.one(EVENT_NAMES)}" if w.chance(.6) else f"the {w.one(NOUN)} {w.one(EVENT_NAMES)}"
    if group == "building":
        return f"the {w.proper()} {w.one(BUILDING_NAMES)}" if w.chance(.7) else w.proper() + " " + w.one(BUILDING_NAMES)
    if group == "object":
        return f"the {w.one(ADJ)} {w.one(NOUN)}" if w.chance(.75) else f"the {w.one(NOUN)}"
    if group == "service":
        return w.proper() if w.chance(.6) else f"the {w.invented(1, 2)} {w.one(D.SERVICES)}"
    if group == "animal":
        return f"the {w.one(ANIMAL)}" if w.chance(.6) else f"the {w.one(ADJ)} {w.one(ANIMAL)}"
    return w.one(D.PLAINS)


def _subjects(w: Words, group: str, n: int) -> list[str]:
    """Distinct subjects; no name is a part of another, sharing no last word, so that no question fits two."""
    out: list[str] = []
    words: set[str] = set()
    for _ in range(n * 20):
        if len(out) == n:
            break
        s = _subject(w, group)
        parts = [p for p in s.lower().split() if p != "the"] or [s]
        # "the Vorn Tower" and "the Blist Tower" are a fair test; a shared distinguishing word is not
        key = parts[0] if group in ("product", "event", "building", "service") else " ".join(parts)
        taken = words.intersection(parts) if group in ("person", "company", "town", "country", "object", "animal") else {key} & words
        if not taken:
            out.append(s)
            words.update(parts)
            words.add(key)
    return out


def _fact(w: Words, group: str, k: int, who: int, s: str) -> Fact:
    kind = GROUPS[group][k]
    vals = [MAKE[m](w) for m in kind.makers]
    for _ in range(5):  # neither the two values nor value and subject may be the same word
        if len(set(vals)) == len(vals) and s not in vals:
            break
        vals = [MAKE[m](w) for m in kind.makers]
    a, b = vals[0], vals[-1]
    text = w.one(kind.sentences)
    qs = [(w.one(q).replace("{a}", a).replace("{b}", b), v) for q, v in zip(kind.questions, vals, strict=True)]
    if "{s0}" in text:
        text = text.replace("{s0}", s[4:])
    return Fact(who, text.replace("{a}", a).replace("{b}", b), qs, k, vals)


def passage(w: Words, group: str, n_subjects: int, n_facts: int) -> Passage:
    kinds, r = GROUPS[group], w.r
    subjects = _subjects(w, group, n_subjects)
    pairs: list[tuple[int, int]] = []
    seen: set[tuple[int, int]] = set()
    shared = [int(r.random() * len(kinds)) for _ in range(2)]  # relations told of most subjects: the distractors
    for i in range(n_facts * 3):
        if len(pairs) == n_facts:
            break
        who = i % len(subjects) if i < len(subjects) else int(r.random() * len(subjects))
        k = w.one(shared) if w.chance(.55) else int(r.random() * len(kinds))
        if (who, k) in seen or any((who, c) in seen for c in CLASH[group, k]):
            continue
        seen.add((who, k))
        pairs.append((who, k))
    if w.chance(.6):
        pairs.sort(key=lambda p: p[0])  # all about one subject together, so that pronouns can be used
    facts = [_fact(w, group, k, who, subjects[who]) for who, k in pairs]
    she = [w.one((("he", "his", "him"), ("she", "her", "her"))) if group == "person" else ("it", "its", "it") for _ in subjects]
    return Passage(group, subjects, facts, she)


def _tell(w: Words, p: Passage, facts: list[Fact], fillers: int) -> list[str]:
    """The sentences; a pronoun for the subject only right after a sentence that begins with its name."""
    out, before, pronouns = [], -1, w.chance(.5)
    for f in facts:
        t = f.sentence
        if pronouns and f.subject == before and t.startswith("{s} ") and w.chance(.6):
            t = p.pronoun[f.subject][0] + t[3:]
            t = t.replace("{s}", p.pronoun[f.subject][2])
        else:
            before = f.subject if t.startswith("{s} ") else -1
            t = t.replace("{s}", p.subjects[f.subject])
        # other small first letters belong to values, which are copied as they are
        out.append(t[0].upper() + t[1:] if t.startswith(("the ", "he ", "she ", "it ")) else t)
    for _ in range(fillers):
        out.insert(int(w.r.random() * (len(out) + 1)), w.one(D.FILLER))
    return out


def _layout(w: Words, sentences: list[str]) -> str:
    """One text, lines, or several documents with the headers that retrievers add."""
    k = w.r.random()
    if k < .5 or len(sentences) < 2:
        text = " ".join(sentences)
        if w.chance(.12):
            text = _header(w, 1) + text
        return text
    if k < .6:
        return "\n".join(sentences)
    if k < .64:
        return "\n".join("- " + s for s in sentences)
    docs, i = [], 0
    step = w.one((1, 2, 3, 4))
    while i < len(sentences):
        docs.append(" ".join(sentences[i:i + step]))
        i += step
    if k < .82:
        return "\n\n".join(docs)
    form = w.one((0, 1, 2, 3, 4))
    if form == 4:
        return "\n\n".join([_header(w, n + 1) + d for n, d in enumerate(docs)])
    head = ("Document {}: ", "[{}] ", "Document {}:\n", "{}. ")[form]
    return w.one(("\n", "\n\n")).join([head.format(n + 1) + d for n, d in enumerate(docs)])


def _header(w: Words, n: int) -> str:
    """Metadata as LlamaIndex and LangChain put before a document's text."""
    name = w.invented(1, 2)
    return w.one((f"page_label: {n}\nfile_path: {name}.pdf\n\n", f"file_path: {name}.txt\n\n", f"source: {name}.md\n\n", f"file_name: {name}.txt\n\n",
                  f"Source: {{'source': '{name}.txt'}}\nContent: ", f"title: {name.capitalize()}\n\n"))


_PROMPT_TEXTS = [t for _, t in D.PROMPTS]
_PROMPT_CUM = list(accumulate(x for x, _ in D.PROMPTS))


def question_prompt(w: Words, c: str, q: str) -> str:
    t = w.r.choices(_PROMPT_TEXTS, cum_weights=_PROMPT_CUM)[0]
    if not q.endswith(("?", ".")):
        q += w.one(("", "?"))
    if w.chance(.04):
        q = q[0].lower() + q[1:]
    u = t.replace("{q}", q).replace("{ql}", q[0].lower() + q[1:]).replace("{c}", c)
    if t.startswith(("Context", "{c}", "Text", "Question", "{q}", "Here", "Documents", "Context information")):
        sys = w.system()
        if sys:
            return sys + "\n\n" + u.strip()
    return u.strip() if w.chance(.6) else u


def _sizes(w: Words) -> tuple[int, int, int]:
    """Subjects, facts, filler sentences."""
    k = w.r.random()
    if k < .2:
        return 1, w.r.randint(1, 3), w.one((0, 0, 0, 1, 2))
    if k < .6:
        n = w.r.randint(2, 4)
        return n, n + w.r.randint(0, 3), w.one((0, 0, 0, 1, 2))
    if k < .9:
        n = w.r.randint(3, 6)
        return n, n + w.r.randint(1, 6), w.r.randint(0, 4)
    n = w.r.randint(6, 12)
    return n, n * 2 + w.r.randint(0, 14), w.r.randint(2, 14)


def _make(w: Words) -> Passage:
    n, f, _ = _sizes(w)
    return passage(w, w.one(_GROUP_PICK), n, f)


def _ask(p: Passage, template: str, who: int, pronoun: bool = False) -> str:
    """The question with the subject, or a pronoun, put in; how it looks decides which pronoun fits."""
    if not pronoun:
        return template.replace("{s}", p.subjects[who])
    she, her, him = p.pronoun[who]
    if "{s}'s" in template:
        return template.replace("{s}'s", her)
    before = template.split("{s}")[0].split()[-1:]
    return template.replace("{s}", she if before and before[0].lower() in ("does", "did", "is", "was", "will", "has", "can") else him)


def _story(w: Words, p: Passage, facts: list[Fact]) -> str:
    n = w.one((0, 0, 0, 1, 1, 2, 3, 4)) if len(facts) < 12 else w.r.randint(2, 12)
    told = _tell(w, p, facts, n)
    if w.chance(.18):  # a retriever also returns texts on other matters
        group = w.one(_GROUP_PICK)
        if group != p.group:
            n = w.r.randint(1, 3)
            other = passage(w, group, n, n + 1)
            more = _tell(w, other, other.facts, 0)
            told = told + more if w.chance(.5) else more + told
    return _layout(w, told)


def question(w: Words) -> dict[str, Any]:
    """One question over a passage; now and then its fact is not there."""
    p = _make(w)
    i = int(w.r.random() * len(p.facts))
    f = p.facts[i]
    t, a = w.one(f.questions)
    facts = p.facts
    if w.chance(.08):
        facts = [x for x in facts if x is not f]
        a = DONT_KNOW
        if not facts:
            q_ = passage(w, "person" if p.group != "person" else "company", 1, 2)
            return sample("passage", [("user", question_prompt(w, _story(w, q_, q_.facts), _ask(p, t, f.subject))), ("model", a)], answer=a)
    return sample("passage", [("user", question_prompt(w, _story(w, p, facts), _ask(p, t, f.subject))), ("model", a)], answer=a)


def followup(w: Words) -> dict[str, Any]:
    """Several questions over one passage; later ones may say "she", or only "And Anna?" for the same relation."""
    p = _make(w)
    text = _story(w, p, p.facts)
    f = w.one(p.facts)
    i = int(w.r.random() * len(f.questions))
    t, a = f.questions[i]
    turns = [("user", question_prompt(w, text, _ask(p, t, f.subject))), ("model", a)]
    asked = {t + str(f.subject)}
    alike = [x for x in p.facts if x.kind == f.kind and x is not f]
    if alike and w.chance(.5) and "{s}" in t and all(v not in t for v in f.values):
        g = w.one(alike)
        turns += [("user", w.one(("And {}?", "What about {}?", "And what about {}?", "and {}?", "How about {}?")).format(p.subjects[g.subject])), ("model", g.questions[i][1])]
        asked.add(g.questions[i][0] + str(g.subject))
        f = g
    for _ in range(w.r.randint(0 if len(turns) > 2 else 1, 3 if w.split == "eval" else 7)):
        same = [x for x in p.facts if x.subject == f.subject and x is not f]
        use = w.chance(.5) and bool(same)
        g = w.one(same) if use else w.one(p.facts)
        t, a = w.one(g.questions)
        if t + str(g.subject) in asked:
            continue
        asked.add(t + str(g.subject))
        q = _ask(p, t, g.subject, pronoun=use and w.chance(.7))
        turns += [("user", (w.one(("And ", "")) + q[0].lower() + q[1:] if q[0].isupper() and w.chance(.15) else q)), ("model", a)]
        f = g
    return sample("passage_chat", turns, answer=turns[-1][1])


STATEMENT = ["Is this true? {}", "True or false? Answer yes or no. {}", "Is the following statement right? {}", "Does the text say this? {}", "Answer yes or no: {}"]


def _statement(w: Words, p: Passage, f: Fact) -> tuple[str, str]:
    """One fact in other words, or with a value changed."""
    yes, vals = w.chance(.5), list(f.values)
    if not yes:
        i = int(w.r.random() * len(vals))
        others = [g.values[i] for g in p.facts if g.kind == f.kind and g.values[i] != vals[i]]
        new = w.one(others) if others and w.chance(.6) else MAKE[GROUPS[p.group][f.kind].makers[i]](w)
        yes = new == vals[i]
        vals[i] = new
    t = w.one(GROUPS[p.group][f.kind].sentences)
    s = p.subjects[f.subject]
    t = t.replace("{s0}", s[4:]).replace("{s}", s).replace("{a}", vals[0]).replace("{b}", vals[-1])
    return w.one(STATEMENT).format(t[0].upper() + t[1:] if t.startswith("the ") else t), "Yes." if yes else "No."


def yes_no(w: Words) -> dict[str, Any]:
    """Is the {relation} of {subject} {value}? Yes or no."""
    p = _make(w)
    f = w.one(p.facts)
    if w.chance(.5):
        ask, said = _statement(w, p, f)
        return sample("passage_yesno", [("user", question_prompt(w, _story(w, p, p.facts), ask)), ("model", said)], answer=said)
    t, a = w.one(f.questions)
    yes = w.chance(.5)
    other = a
    if not yes:
        vals = [v for g in p.facts for _, v in g.questions if v != a]
        same = [v for g in p.facts if g is not f for q, v in g.questions if v != a and q.split()[0] == t.split()[0]]
        other = w.one(same or vals or [w.proper()])
    q = _ask(p, t, f.subject)
    q = q if q.endswith(("?", ".")) else q + "?"
    v = other
    ask = w.one((f"{q} Is it {v}?", f"{q} Is the answer {v}? Answer yes or no.", f"Is {v} the answer to the question \"{q}\"? Answer yes or no.", f"Yes or no: {q} {v}?"))
    return sample("passage_yesno", [("user", question_prompt(w, _story(w, p, p.facts), ask)), ("model", "Yes." if yes else "No.")], answer="Yes." if yes else "No.")


def refine(w: Words) -> dict[str, Any]:
    """An existing answer and new context: take the new answer if it is there, else keep the old one."""
    p = _make(w)
    f = w.one(p.facts)
    t, a = w.one(f.questions)
    facts, old = p.facts, DONT_KNOW if w.chance(.5) else w.phrase()
    if w.chance(.45) and len(p.facts) > 1:
        facts = [x for x in facts if x is not f]
        a = old = w.phrase() if w.chance(.8) else DONT_KNOW
    u = w.one(D.REFINE).replace("{q}", _ask(p, t, f.subject)).replace("{e}", old).replace("{c}", _story(w, p, facts))
    return sample("passage_refine", [("user", u.strip()), ("model", a)], answer=a)


def condense(w: Words) -> dict[str, Any]:
    """A follow-up question made to stand alone."""
    p = passage(w, w.one(_GROUP_PICK), 1, 3)
    if len(p.facts) < 2:
        return question(w)
    f, g = p.facts[0], p.facts[1]
    (t, a), (t2, _) = w.one(f.questions), w.one(g.questions)
    if not t2.endswith(("?", ".")):
        t2 += "?"
    form, user, bot = w.one(D.CONDENSE)
    history = f"{user}: {_ask(p, t, 0)}\n{bot}: {a}"
    want = _ask(p, t2, 0)
    follow = _ask(p, t2, 0, pronoun=w.chance(.85))
    if w.chance(.2):
        follow = "And " + follow[0].lower() + follow[1:]
    u = form.replace("{h}", history).replace("{q}", follow)
    return sample("condense", [("user", u.strip()), ("model", want[0].upper() + want[1:])], answer=want)


def summary(w: Words) -> dict[str, Any]:
    """The first sentence says what the text is about, and is the summary."""
    group = w.one(list(D.HEADLINE))
    p = passage(w, group, 1, w.r.randint(2, 6))
    s = p.subjects[0]
    head = w.one(D.HEADLINE[group]).format(s=s, adj=w.one(CONS_ADJ), adj2=w.one(CONS_ADJ), job=w.one(JOBS), place=w.place(), noun=w.one(NOUN), nouns=plural(w.one(NOUN)))
    head = head[0].upper() + head[1:]
    rest = _tell(w, p, p.facts, w.one((0, 1, 2, 3)))
    text = w.one((" ", " ", "\n")).join([head, *rest])
    u = w.one(D.SUMMARY).replace("{c}", text)
    return sample("summary", [("user", u.strip()), ("model", head)], answer=head)


# ---------------------------------------------------------------- documents written by hand
def _shelf(w: Words) -> tuple[Told, list[Told]]:
    """The document to ask about and others that a retriever could have returned with it."""
    docs = documents_of(w.split)
    i = int(w.r.random() * len(docs))
    # documents of a family stand together: the same sort of facts about another subject
    near = docs[max(0, i - 3):i] + docs[i + 1:i + 4]
    d, n = docs[i], w.one((0, 0, 1, 1, 2, 2, 3, 4))
    others = w.r.sample(near, min(n, len(near))) if w.chance(.5) else [x for x in w.r.sample(docs, min(len(docs), n)) if x is not d]
    return tell(w, d), [tell(w, x) for x in others]


def _page(w: Words, d: Told, form: int, keep: int = -1) -> str:
    """One document's text; a long one may be cut to a chunk around sentence `keep`."""
    sentences = d.sentences
    if len(sentences) > 4 and w.chance(.4):
        n = w.r.randint(2, len(sentences) - 1)
        at = max(0, min(keep if keep >= 0 else 0, len(sentences) - n))
        at = max(0, at - int(w.r.random() * n)) if keep >= 0 else at
        at = max(at, keep - n + 1)
        sentences = sentences[at:at + n]
    return _laid_out(w, d.title, sentences, form)


def _laid_out(w: Words, title: str, sentences: list[str], form: int) -> str:
    text = w.one((" ", " ", " ", "\n")).join(sentences)
    name = "_".join(title.lower().split()[:3])
    return (text, f"{title}\n{text}", f"# {title}\n\n{text}", f"{title}: {text}", f"file_path: {name}.txt\n\n{text}", f"source: {name}.md\n\n{title}. {text}")[form]


def _chunks(w: Words, d: Told, form: int, keep: int) -> list[str]:
    """Several chunks of one document, as a retriever returns them: in any order, some of them missing, never that of sentence `keep`."""
    chunks: list[range] = []
    while not chunks or chunks[-1].stop < len(d.sentences):
        start = chunks[-1].stop if chunks else 0
        chunks.append(range(start, min(len(d.sentences), start + w.one((1, 2, 2, 3, 3, 4)))))
    found = next(c for c in chunks if keep in c)
    chosen = [found, *w.r.sample([c for c in chunks if c is not found], w.r.randint(min(1, len(chunks) - 1), len(chunks) - 1))]
    w.r.shuffle(chosen)
    return [_laid_out(w, d.title, [d.sentences[i] for i in c], form) for c in chosen]


def _asked(w: Words, d: Told) -> tuple[int, str, str]:
    n, wordings, answer = w.one(d.questions)
    return n, w.one(wordings), answer


def document(w: Words) -> dict[str, Any]:
    """Questions on one of a few documents; now and then the answer is not there."""
    d, others = _shelf(w)
    form = w.one((0, 0, 1, 2, 3, 4, 5))
    n, q, a = _asked(w, d)
    pages = [_page(w, x, form) for x in others]
    if w.chance(.05) and pages:
        a, n = DONT_KNOW, -1
    elif w.chance(.4):
        pages = pages[:w.one((0, 0, 1))] + _chunks(w, d, form, n)
    else:
        pages.insert(int(w.r.random() * (len(pages) + 1)), _page(w, d, form, n))
    context = w.one(("\n\n", "\n\n", "\n\n", "\n", "\n\n---\n\n")).join(pages)
    turns = [("user", question_prompt(w, context, q)), ("model", a)]
    more = [x for x in d.questions if x[0] != n and d.sentences[x[0]] in context and x[2] != a]
    for _, wordings, answer in w.r.sample(more, min(len(more), w.one((0, 2, 6, 10, 14)))) if w.split == "train" else []:
        turns += [("user", w.one(wordings)), ("model", answer)]
    return sample("document", turns, answer=a)


SKILLS: dict[str, Callable[[Words], dict[str, Any]]] = {"document": document, "passage": question, "passage_chat": followup, "passage_yesno": yes_no, "passage_refine": refine, "condense": condense,
                                                        "summary": summary}
WEIGHTS: dict[str, float] = {"document": 24, "passage": 5, "passage_chat": 10, "passage_yesno": 1, "passage_refine": 2, "condense": 1, "summary": 1.5}
