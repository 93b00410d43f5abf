"""Copying, key lookup, JSON extraction in the forms the frameworks send, classification."""
from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from . import extraction_data as D
from . import seeds
from .passages import question_prompt
from .seed_forms import SHORT, Form, forms_of
from .words import (
    ADJ,
    ANIMAL,
    ARG,
    COLOR,
    FOOD,
    INSTRUMENT,
    JOB,
    LANGUAGE,
    NOUN,
    PLANT,
    ROOM,
    SUBJECT,
    Words,
    first_turn,
    sample,
)


class Field(NamedTuple):
    id: str
    keys: list[str]
    type: str
    maker: str


class Situation(NamedTuple):
    name: str
    fields: list[Field]
    texts: list[str]


def _fields(text: str) -> list[Field]:
    out: list[Field] = []
    for token in text.split(" "):
        if token.count(":") >= 3:
            i, keys, kind, maker = token.split(":", 3)
            out.append(Field(i, keys.split("|"), kind, maker))
        else:  # the wordings of a boolean hold blanks
            out[-1] = out[-1]._replace(maker=out[-1].maker + " " + token)
    return out


SITUATIONS = [Situation(n, _fields(f), t.split("|")) for n, f, t in D.SITUATIONS]
_PLAIN_JOBS, _ANIMALS, _COLORS = ([x for x in xs if x[0] not in "aeiou"] for xs in (JOB, ANIMAL, COLOR))  # texts write "a"

MAKE: dict[str, Callable[[Words], Any]] = {
    "person": Words.person, "first": Words.first, "place": Words.place, "company": Words.company, "thing": Words.thing, "date": Words.date, "time": Words.time, "code": Words.code, "title": Words.title,
    "topic": Words.topic, "email": Words.email, "phone": Words.phone, "proper": Words.proper, "country": Words.country, "addr": Words.street, "clause": Words.clause,
    "job": lambda w: w.one(_PLAIN_JOBS), "animal": lambda w: w.one(_ANIMALS), "color": lambda w: w.one(_COLORS), "subject": lambda w: w.one(SUBJECT), "plant": lambda w: w.one(PLANT), "room": lambda w: w.one(ROOM),
    "object": lambda w: w.one(NOUN), "weather": lambda w: w.one(("sunny", "rainy", "cloudy", "windy", "foggy", "stormy", "cold", "clear")),
    "age": lambda w: w.r.randint(1, 99), "count": lambda w: w.num(w.one((1, 2, 2, 3))) + 1, "year": Words.year, "small": lambda w: w.r.randint(1, 12), "star": lambda w: w.r.randint(1, 5), "big": lambda w: w.num(w.one((3, 4, 5, 6))),
    "temp": lambda w: w.r.randint(-15, 40), "score": lambda w: w.r.randint(1, 100), "port": lambda w: w.num(w.one((3, 4))), "rent": lambda w: w.num(w.one((3, 4, 5))), "goal": lambda w: w.r.randint(0, 9),
    "price": lambda w: float(w.num(w.one((1, 2, 3)))) + w.one((.5, .25, .1, .75, .99, .95, .49)) if w.chance(.7) else w.num(w.one((1, 2, 3))) + 1,
    "event": lambda w: w.one((w.one(NOUN), w.proper(), w.one(ADJ) + " " + w.one(NOUN))) + " " + w.one(("conference", "meeting", "workshop", "concert", "festival", "race", "party")),
    "dish": lambda w: w.one((w.proper() + " ", w.one(ADJ) + " ", w.one(FOOD) + " ")) + w.one(("soup", "salad", "stew", "cake", "pie", "curry", "bread")), "hotel": lambda w: w.proper() + " " + w.one(("Hotel", "Inn", "Lodge", "Resort")),
    "host": lambda w: w.invented(1, 2) + w.one(("", "-1", ".local", "-db", str(w.num(2)))), "file": lambda w: w.invented(1, 2) + w.one((".py", ".txt", ".cc", ".log", ".json")),
    "todo": lambda w: w.one(D.TODO).format(p=w.first(), n=w.one(NOUN), c=w.city()), "problem": lambda w: w.one(D.PROBLEM).format(n=w.one(NOUN), a=w.one(ADJ)),
}
LISTS: dict[str, Callable[[Words], str]] = {
    "food": lambda w: w.one(FOOD), "skill": lambda w: w.one(D.SKILL_WORDS), "first": Words.first, "symptom": lambda w: w.one(D.SYMPTOMS), "language": lambda w: w.one(LANGUAGE)}


def _value(w: Words, f: Field) -> tuple[Any, str]:
    """(the JSON value, how the text writes it)"""
    if f.type == "boolean":
        yes = w.chance(.5)
        return yes, f.maker.split("/")[not yes]
    if f.type == "enum":
        v = w.one(f.maker.split(","))
        return v, v
    if f.type == "string[]":
        vs: list[str] = []
        for _ in range(w.one((1, 2, 2, 3, 3, 4))):
            v = LISTS[f.maker](w)
            if v not in vs:
                vs.append(v)
        return vs, vs[0] if len(vs) == 1 else ", ".join(vs[:-1]) + w.one((" and ", " and ", ", ")) + vs[-1]
    v = MAKE[f.maker](w)
    return v, str(v)


class Case(NamedTuple):
    name: str
    text: str
    columns: list[tuple[str, Field, bool]]  # key, field, required
    object: dict[str, Any]
    desc: str = ""
    form: Form | None = None
    said: dict[str, Any] = {}  # noqa: RUF012 (never written to)

    def another(self, w: Words) -> tuple[str, dict[str, Any]]:
        """A further text of the same form, and its object for the same columns."""
        assert self.form is not None
        text, values = self.form.tell(w)
        return text, {key: values[f.id] for key, f, _ in self.columns if f.id in values}

    def further(self, w: Words) -> list[tuple[str, dict[str, Any]]]:
        """More texts for one chat, where there are any: the form is told already, so they cost little."""
        if self.form is None or w.split != "train":
            return []
        return [self.another(w) for _ in range(w.one((0, 1, 2, 3, 4, 5, 6)))]

    def closer(self, w: Words) -> list[tuple[list[tuple[str, Field, bool]], dict[str, Any]]]:
        """The same text asked for a few of its fields again, by other names: only what a name means decides."""
        if self.form is None or w.split != "train":
            return []
        said = [f for f in self.form.fields if f.names[0] in self.said]
        return [_asked(w, w.r.sample(said, min(len(said), w.one((1, 1, 1, 2, 2, 3)))), self.said) for _ in range(w.r.randint(1, 7))]


def _asked(w: Words, fields: list[seeds.Field], values: dict[str, Any]) -> tuple[list[tuple[str, Field, bool]], dict[str, Any]]:
    """(columns for these fields of a form, the object they are filled with); names differ, so that each key is asked once"""
    columns: list[tuple[str, Field, bool]] = []
    obj: dict[str, Any] = {}
    for f in fields:
        free = [n for n in f.names if n not in [c[0] for c in columns]] or list(f.names)
        key = free[0] if w.chance(.5) else w.one(free)
        columns.append((key, Field(f.names[0], list(f.names), f.type, ",".join(f.options)), f.names[0] in values and not f.optional))
        if f.names[0] in values:
            obj[key] = values[f.names[0]]
    return columns, obj


def seed_case(w: Words) -> Case:
    """A case of a form written by hand: most of its fields, in their order or shuffled."""
    form = w.one(forms_of(w.split))
    if w.split == "train" and w.chance(SHORT):
        form = min(form, w.one(forms_of(w.split)), key=lambda f: len(f.fields))
    text, values = form.tell(w)
    fields = [f for f in form.fields if f.names[0] in values or w.chance(.5)]
    if w.chance(.4):
        w.r.shuffle(fields)
    if w.chance(.25):
        fields = fields[:w.r.randint(1, len(fields))]
    columns, obj = _asked(w, fields, values)
    return Case(w.one(form.names), text, columns, obj, w.one(form.descs) if form.descs else "", form, values)


def case(w: Words) -> Case:
    """A text, the fields asked for, and the object; not every value of the text is asked for."""
    if w.chance(.75):
        return seed_case(w)
    s = w.one(SITUATIONS)
    values = {f.id: _value(w, f) for f in s.fields}
    text = w.one(s.texts).format_map({i: v[1] for i, v in values.items()})
    fields = list(s.fields)
    if w.chance(.5):
        w.r.shuffle(fields)
    if w.chance(.4):
        fields = fields[:w.r.randint(1, len(fields))]
    columns: list[tuple[str, Field, bool]] = []
    used: set[str] = set()
    for f in fields:
        key = f.keys[0] if w.chance(.45) else w.one(f.keys)
        if key in used:
            key = next((k for k in f.keys if k not in used), f.id)
        used.add(key)
        columns.append((key, f, w.chance(.93)))
    obj = {k: values[f.id][0] for k, f, _ in columns}
    if w.chance(.12):  # an optional key that the text says nothing about is left out of the reply
        extra = w.one(D.OPTIONAL_KEYS)
        if extra not in used:
            columns.append((extra, Field("?", [extra], "string", ""), False))
    return Case(s.name if w.chance(.7) else w.one(("Data", "Record", "Item", "Extract", "Info", "Entry", "Result")), text, columns, obj)


# ---------------------------------------------------------------- the ways to ask
def compact(columns: list[tuple[str, Field, bool]], null: bool = False) -> str:
    """The form of the prompted dialect: {"name": string, "age"?: integer}; with null, as pydantic's optional fields come out."""
    def typ(f: Field) -> str:
        return " | ".join([f'"{m}"' for m in f.maker.split(",")]) if f.type == "enum" else f.type
    return "{" + ", ".join([f'"{k}"{"" if need else "?"}: {typ(f)}{"" if need or not null else " | null"}' for k, f, need in columns]) + "}"


def schema(c: Case, w: Words, strip: bool) -> dict[str, Any]:
    """The JSON schema as pydantic writes it; LangChain strips the title and the type."""
    described, props = w.chance(.3), {}
    for k, f, need in c.columns:
        p: dict[str, Any] = {"description": w.one(("The {}.", "the {}", "The {} of the " + c.name.lower())).format(k.replace("_", " "))} if described else {}
        base: dict[str, Any] = {"enum": f.maker.split(","), "type": "string"} if f.type == "enum" else {"items": {"type": f.type[:-2]}, "type": "array"} if f.type.endswith("[]") else {"type": f.type}
        if need:
            base = {**{x: v for x, v in base.items() if x != "type"}, "title": k.replace("_", " ").title(), "type": base["type"]}
        else:
            base = {"anyOf": [base, {"type": "null"}], "default": None, "title": k.replace("_", " ").title()}
        props[k] = {**p, **base}
    out: dict[str, Any] = {"properties": props, "required": [k for k, _, need in c.columns if need], "title": c.name, "type": "object"}
    if not out["required"]:
        del out["required"]
    if strip:
        del out["title"], out["type"]
    return out


LC_OLD = ("The output should be formatted as a JSON instance that conforms to the JSON schema below.\n\nAs an example, for the schema {\"properties\": {\"foo\": {\"title\": \"Foo\", "
          "\"description\": \"a list of strings\", \"type\": \"array\", \"items\": {\"type\": \"string\"}}}, \"required\": [\"foo\"]}\nthe object {\"foo\": [\"bar\", \"baz\"]} is a "
          "well-formatted instance of the schema. The object {\"properties\": {\"foo\": [\"bar\", \"baz\"]}} is not well-formatted.\n\nHere is the output schema:\n```\n%s\n```")
LC_NEW = ("STRICT OUTPUT FORMAT:\n- Return only the JSON value that conforms to the schema. Do not include any additional text, explanations, headings, or separators.\n- Do not wrap the JSON in "
          "Markdown or code fences (no ``` or ```json).\n- Do not prepend or append any text (e.g., do not write \"Here is the JSON:\").\n- The response must be a single top-level JSON value "
          "exactly as required by the schema (object/array/etc.), with no trailing commas or comments.\n\nThe output should be formatted as a JSON instance that conforms to the JSON schema "
          "below.\n\nAs an example, for the schema {\"properties\": {\"foo\": {\"title\": \"Foo\", \"description\": \"a list of strings\", \"type\": \"array\", \"items\": {\"type\": \"string\"}}}, "
          "\"required\": [\"foo\"]} the object {\"foo\": [\"bar\", \"baz\"]} is a well-formatted instance of the schema. The object {\"properties\": {\"foo\": [\"bar\", \"baz\"]}} is not "
          "well-formatted.\n\nHere is the output schema (shown in a code block for readability only — do not include any backticks or Markdown in your output):\n```\n%s\n```")
LC_SHAPES = ["{f}\n{t}", "{f}\n\n{t}", "{t}\n\n{f}", "{t}\n{f}", "Answer the user query.\n{f}\n{t}\n", "Answer the user query.\n{f}\n\n{t}", "Answer the user query. Wrap the output in `json` tags\n{f}\n\n{t}", "Extract the data.\n{f}\n\nText: {t}",
             "Extract information from the text.\n\n{f}\n\nText:\n{t}"]
LI = "\n\n\nHere's a JSON schema to follow:\n%s\n\nOutput a valid JSON object but do not repeat the schema.\n"


def _dump(x: Any) -> str:
    return json.dumps(x, ensure_ascii=False)


QUERIES = ["What is known about the {}?", "Give me the {}.", "Which {} is described?", "Extract the {}.", "Tell me about the {}", "What are the details of the {}?", "Describe the {} as JSON.", "{}?", "What does the text say about the {}?", "Find the {}."]


def dialect(w: Words) -> dict[str, Any]:
    c = case(w)
    text = w.one(D.ASK) + c.text
    if w.chance(.12):  # a query engine asks for an object out of the texts that it found
        name = re.sub(r"(?<=[a-z])([A-Z])", r" \1", c.name).lower()
        text = question_prompt(w, c.text, w.one(QUERIES).format(name))
    null = w.chance(.5)
    turns = [("user", first_turn(w.system(), "Reply only with JSON of this form:\n" + compact(c.columns, null), text)), ("model", _dump(c.object))]
    if w.chance(.5):
        return sample("json", turns + _closer(w, c, null), object=c.object)
    for more, found in c.further(w):
        turns += [("user", w.one(D.ASK) + more), ("model", _dump(found))]
    return sample("json", turns, object=c.object)


CLOSER = ["", "Now only this. ", "The same text. ", "From the same text: ", "Once more: ", "And now "]


def _closer(w: Words, c: Case, null: bool) -> list[tuple[str, str]]:
    """Further turns on the same text: other forms, and plain questions for one field."""
    turns: list[tuple[str, str]] = []
    for columns, found in c.closer(w):
        key, value = next(iter(found.items()))
        if len(found) == 1 and type(value) in (str, int, float) and columns[0][1].type != "enum" and w.chance(.4):
            turns += [("user", w.one(QUESTION).format(key if w.chance(.3) else re.sub(r"(?<=[a-z])([A-Z])", r" \1", key).replace("_", " ").lower())), ("model", str(value))]
        else:
            turns += [("user", w.one(CLOSER) + "Reply only with JSON of this form:\n" + compact(columns, null)), ("model", _dump(found))]
    return turns


def parser(w: Words) -> dict[str, Any]:
    """LangChain's format instructions and LlamaIndex's text program."""
    c = case(w)
    t = w.one(D.ASK) + c.text
    if w.chance(.45):
        u = t + LI % _dump(schema(c, w, strip=False))
    else:
        u = w.one(LC_SHAPES).replace("{f}", (LC_NEW if w.chance(.4) else LC_OLD) % _dump(schema(c, w, strip=True))).replace("{t}", t)
    return sample("json_schema", [("user", first_turn(w.system(), "", u.strip())), ("model", _dump(c.object))], object=c.object)


def free(w: Words) -> dict[str, Any]:
    c = case(w)
    while not c.object:
        c = case(w)
    keys = list(c.object)
    names = w.one((", ".join(keys), " and ".join([", ".join(keys[:-1]), keys[-1]]) if len(keys) > 1 else keys[0], _dump(keys)))
    u = w.one(D.FREE).replace("{keys}", names).replace("{text}", c.text)
    return sample("json_free", [("user", first_turn(w.system(), "", u)), ("model", _dump(c.object))], object=c.object)


# ---------------------------------------------------------------- copying
def _token(w: Words) -> str:
    k = w.r.random()
    return (w.invented() if k < .25 else w.proper() if k < .45 else w.one(NOUN) if k < .65 else str(w.num()) if k < .8 else w.code() if k < .9 else w.invented(1, 1) + "_" + w.one(NOUN))


REPEAT = ["Repeat: ", "Repeat after me: ", "Say: ", "Echo: ", "Please repeat this: ", "Repeat this: ", "Copy this text: ", "Write this: ", "Please say: ", "Repeat the following text: ", "Say exactly this: ", "Reply with: ", "Repeat the words: ",
          "Say the words: ", "Write exactly: ", "Can you repeat this? ", "Just say: ", "Print: ", "Answer with exactly: ", "Repeat this word for word: "]
AS_LIST = ["List these as JSON: ", "Turn this into a JSON list: ", "Make a JSON array of: ", "As a JSON list: ", "Write these as a JSON array: ", "Convert to JSON: "]


def copy(w: Words) -> dict[str, Any]:
    words = [_token(w) for _ in range(w.one((1, 1, 2, 3, 4, 5, 6, 8)))]
    k = w.r.random()
    if k < .2 and len(words) > 1:
        q, a = w.one(AS_LIST) + ", ".join(words), _dump(words)
    elif k < .28 and len(words) > 1:
        q, a = ("What is the first word? ", words[0]) if w.chance(.5) else ("What is the last word? ", words[-1])
        q += " ".join(words)
    elif k < .33 and len(words) > 1:
        q, a = w.one(("One per line: ", "Write each on its own line: ")) + ", ".join(words), "\n".join(words)
    else:
        s = " ".join(words) if w.chance(.7) else w.clause() if w.chance(.7) else w.topic()
        q, a = (w.one(REPEAT) + w.one(("{}", "{}", "{}", "\"{}\"", "\n{}"))).format(s), s
    return sample("copy", [("user", first_turn(w.system() if w.chance(.5) else "", "", q)), ("model", a)], answer=a)


QUESTION = ["What is the {}?", "What is {}?", "Give me the {}.", "Which {} is given?", "Tell me the {}.", "{}?", "Look up {}.", "What is the value of {}?", "Find the {}.", "And the {}?", "what is the {}", "I need the {}.", "Show me the {}."]


def lookup(w: Words) -> dict[str, Any]:
    """Keys and values in several layouts; the value of one key is asked."""
    keys: list[str] = []
    n = w.r.randint(2, 7) if w.chance(.85) else w.r.randint(8, 14)
    while len(keys) < n:
        k = w.invented(1, 2) if w.chance(.3) else w.one(NOUN) if w.chance(.55) else w.one(ARG)
        if k not in keys:
            keys.append(k)
    vals = [w.phrase() if w.chance(.65) else w.code() if w.chance(.3) else str(w.num()) for _ in keys]
    pairs, form = list(zip(keys, vals, strict=True)), w.r.randint(0, 8)
    if form == 0:
        ctx = "\n".join([f"{k}: {v}" for k, v in pairs])
    elif form == 1:
        ctx = _dump(dict(pairs))
    elif form == 2:
        ctx = " ".join([f"The {k} is {v}." for k, v in pairs])
    elif form == 3:
        ctx = "data:\n" + "\n".join([f"  {k}: {v}" for k, v in pairs])
    elif form == 4:
        ctx = "| key | value |\n| --- | --- |\n" + "\n".join([f"| {k} | {v} |" for k, v in pairs])
    elif form == 5:
        ctx = "key,value\n" + "\n".join([f"{k},{v}" for k, v in pairs])
    elif form == 6:
        ctx = "\n".join([f"{k} = {v}" for k, v in pairs])
    elif form == 7:
        ctx = ", ".join([f"{k}: {v}" for k, v in pairs])
    else:
        ctx = _dump([{"key": k, "value": v} for k, v in pairs])
    turns: list[tuple[str, str]] = []
    for i in w.r.sample(range(n), min(n, w.one((1, 1, 1, 2, 3)))):
        q = w.one(QUESTION).format(keys[i])
        turns += [("user", first_turn(w.system(), ctx, q) if not turns else q), ("model", vals[i])]
    return sample("lookup", turns)


def table(w: Words) -> dict[str, Any]:
    """A table with named rows and columns; one cell is asked."""
    cols: list[str] = []
    while len(cols) < w.one((2, 2, 3, 3, 4)):
        k = w.one(NOUN)
        if k not in cols:
            cols.append(k)
    makers: list[Callable[[], str]] = [w.one((w.city, w.first, w.code, w.money, w.date, lambda: str(w.num()), lambda: w.one(COLOR), lambda: w.one(FOOD), lambda: w.one(INSTRUMENT))) for _ in cols]
    rows: dict[str, list[str]] = {}
    for _ in range(w.r.randint(2, 6)):
        rows[w.person() if w.chance(.6) else w.proper()] = [m() for m in makers]
    form = w.r.randint(0, 3)
    if form == 0:
        text = "| name | " + " | ".join(cols) + " |\n|" + " --- |" * (len(cols) + 1) + "\n" + "\n".join(["| " + " | ".join([k, *v]) + " |" for k, v in rows.items()])
    elif form == 1:
        text = ",".join(["name", *cols]) + "\n" + "\n".join([",".join([k, *v]) for k, v in rows.items()])
    elif form == 2:
        text = _dump([{"name": k, **dict(zip(cols, v, strict=True))} for k, v in rows.items()])
    else:
        text = "\n".join([k + ": " + ", ".join([f"{c} {x}" for c, x in zip(cols, v, strict=True)]) for k, v in rows.items()])
    who, i = w.one(list(rows)), w.r.randrange(len(cols))
    q = w.one(("What is the {c} of {w}?", "What is {w}'s {c}?", "{w}: {c}?", "Give me the {c} of {w}.", "Which {c} does {w} have?", "Look up the {c} for {w}.")).format(c=cols[i], w=who)
    a = rows[who][i]
    u = text + "\n\n" + q if w.chance(.8) else q + "\n\n" + text
    return sample("table", [("user", first_turn(w.system(), "", u)), ("model", a)], answer=a)


# ---------------------------------------------------------------- classification
SENTIMENT = ["Is this positive or negative? {t}", "Classify the sentiment: {t}", "What is the sentiment of this text? {t}", "Sentiment (positive or negative): {t}", "Text: {t}\nSentiment:", "Classify the text as positive or negative.\n\n{t}",
             "Is the following review positive or negative?\n{t}", "Label the sentiment of this sentence as positive or negative.\nSentence: {t}", "Decide if this is positive or negative: {t}", "Review: {t}\nPositive or negative?"]
SENTIMENT3 = ["Is this positive, negative or neutral? {t}", "Classify the text into neutral, negative or positive. \nText: {t}\nSentiment:", "Classify the sentiment as positive, negative or neutral.\n\n{t}", "Sentiment (positive, neutral or negative): {t}"]
CLASSIFY = ["Classify this text as {o}: {t}", "Choose one label from {o} for this text.\n\n{t}", "Which topic fits, {o}? {t}", "Text: {t}\nLabels: {o}\nLabel:", "Labels: {o}\n\nText: {t}\n\nAnswer with one label.", "Pick the category ({o}): {t}",
            "Categories: {o}\nWhich category is this? {t}", "Assign one of these categories: {o}.\n{t}"]


def classify(w: Words) -> dict[str, Any]:
    if w.chance(.5):
        three = w.chance(.35)
        a = w.one(("positive", "negative", "neutral") if three else ("positive", "negative"))
        t = w.one({"positive": D.POSITIVE, "negative": D.NEGATIVE, "neutral": D.NEUTRAL}[a]).format(n=w.one(NOUN))
        if a != "neutral" and w.chance(.35):
            t = t + " " + w.one(D.POSITIVE if a == "positive" else D.NEGATIVE).format(n=w.one(NOUN))
        q = w.one(SENTIMENT3 if three else SENTIMENT).replace("{t}", t)
    else:
        labels = w.r.sample(list(D.LABELS), w.r.randint(2, 5))
        a = w.one(labels)
        t = w.one(D.LABELS[a])
        opts = ", ".join(labels) if w.chance(.6) else ", ".join(labels[:-1]) + " or " + labels[-1]
        q = w.one(CLASSIFY).replace("{o}", opts).replace("{t}", t)
    return sample("classify", [("user", first_turn(w.system(), "", q)), ("model", a)], answer=a)


SKILLS: dict[str, Callable[[Words], dict[str, Any]]] = {"copy": copy, "lookup": lookup, "table": table, "json": dialect, "json_schema": parser, "json_free": free, "classify": classify}
WEIGHTS: dict[str, float] = {"copy": 2.5, "lookup": 3.5, "table": 1.5, "json": 16, "json_schema": 5, "json_free": 2, "classify": 1.5}
