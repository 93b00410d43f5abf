"""Small talk, the framework and its field, what the model does not know, memory over turns, personas."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import talk_data as D
from .words import (
    ANIMAL,
    CITY,
    CITY2,
    COLOR,
    COUNTRY,
    FOOD,
    INSTRUMENT,
    JOB,
    LANGUAGE,
    NOUN,
    SPORT,
    SYSTEM,
    Words,
    a_an,
    first_turn,
    plural,
    sample,
)


def _table(groups: list[tuple[str, str]]) -> list[tuple[list[str], str]]:
    return [(q.split("|"), a.replace("{F0}", "llm-framework")) for q, a in groups]


_MORE = ["Explain {}", "Define {}", "Tell me what {} is", "Can you explain {}", "What do you mean by {}", "I want to know what {} is", "Please explain {}", "What exactly is {}", "Explain {} to me", "In short, what is {}", "Explain {} in simple words",
         "Do you know what {} is", "Give me a definition of {}"]


def _wider(groups: list[tuple[list[str], str]]) -> list[tuple[list[str], str]]:
    """More wordings of a "What is X", chosen by the place in the table, so that not every group has the same ones."""
    for n, (qs, _) in enumerate(groups):
        x = next((q[8:] for q in qs if q.startswith("What is ") and not q.endswith(" for")), "")
        if x:
            qs += [t.format(x) for t in (_MORE[(n + i) % len(_MORE)] for i in range(6)) if t.format(x) not in qs]
    return groups


GREET, FRAMEWORK, FIELD = _table(D.GREET), _table(D.FRAMEWORK), _wider(_table(D.FIELD))
IDENTITY = next(i for i, (q, _) in enumerate(GREET) if "Who are you" in q)
_LEAD = ["", "", "", "", "", "", "", "Hi, ", "Hey, ", "Please tell me: ", "I have a question. ", "Hello! ", "One question: ", "ok, ", "So, ", "Can you tell me: ", "Quick question: ",
         "Hello, ", "Hello, ", "Hi! ", "Hi there, ", "Hey! ", "Good morning, ", "Good evening. "]
_TAILS = [" in one sentence", " in short", " briefly", " please", ", please", " exactly", " for me"]
_MARKS = ["", "?", "?", "?", "?", ".", "!", "??", " ?"]


def _typo(w: Words, q: str) -> str:
    """What hands do: a letter dropped, doubled or swapped; short words stay."""
    i = w.r.randrange(len(q))
    if len(q) < 9 or not (q[i].isalpha() and q[i - 1].isalpha()):
        return q
    return w.one((q[:i] + q[i + 1:], q[:i] + q[i] + q[i:], q[:i - 1] + q[i] + q[i - 1] + q[i + 1:]))


def _spoken(w: Words, q: str) -> str:
    """The question as people type it: case, final mark, dropped apostrophes, a greeting before it."""
    k = w.r.random()
    if k < .22:
        q = q.lower()
    elif k < .25:
        q = q.upper()
    elif k < .29 and "I" not in q.split():
        q = q[0].lower() + q[1:]
    if w.chance(.3):
        q = q.replace("'", "")
    if w.chance(.06):
        q = _typo(w, q)
    question = q.split(" ")[0].lower() in _QUESTION
    if len(q) > 12 and w.chance(.05):
        q += w.one(_TAILS)
    q += w.one(_MARKS) if question else w.one(("", "", ".", "!", "?", ""))
    if len(q) > 6 and question and w.chance(.3):
        lead = w.one(_LEAD)
        q = (lead.lower() if q.islower() else lead) + (q[0].lower() + q[1:] if w.chance(.5) and "I" not in q.split() else q)
    return q


_QUESTION = frozenset("what who how which where when why is are do does can whats what's whos should will did in was".split())


def pair(w: Words, which: str = "") -> tuple[str, str]:
    """A question and its fixed answer. which: greet, framework, field, or "" for any; also used among tools and other skills."""
    k = which or w.one(("greet", "framework", "framework", "field"))
    qs, a = w.one({"greet": GREET, "framework": FRAMEWORK, "field": FIELD}[k])
    if k == "greet" and w.chance(.2):  # what is said most
        qs, a = GREET[w.one((0, 0, 0, 1, 2, IDENTITY, IDENTITY))]
    elif k == "framework" and w.chance(.12):
        qs, a = FRAMEWORK[0]
    q = w.one(qs)
    if "{F}" in q:
        q = q.replace("{F}", w.one(D.SPELLINGS))
    return _spoken(w, q), a


_REAL_PLACES = CITY + CITY2
_TAUGHT = {x for qs, _ in FIELD + FRAMEWORK for q in qs for x in q.lower().split()}
_THINGS = [n for n in NOUN if n not in _TAUGHT and plural(n) not in _TAUGHT]  # "What is a token" has an answer


def unknown_pair(w: Words) -> tuple[str, str]:
    """A question about the world, or a task too large, and the polite no."""
    no = w.chance(.28)
    q = w.one(D.CANNOT_FORMS if no else D.UNKNOWN_FORMS)
    if "{" in q:
        f = D.FILL
        place = w.one(_REAL_PLACES) if w.chance(.8) else w.proper()
        q = q.format(country=w.one(f["landmass"] if w.chance(.3) else COUNTRY), country2=w.one(COUNTRY), place=place, place2=w.one(_REAL_PLACES), work=w.one(f["work"]) if w.chance(.7) else w.title(), event=w.one(f["event"]),
                     person=w.one(f["famous"]) if w.chance(.6) else w.full_name(), landmark=w.one(f["landmark"]), natural=w.one(f["natural"]), device=w.one(f["device"]), science=w.one(f["science"]), skill=w.one(f["skill"]),
                     company=w.one(f["firm"]) if w.chance(.6) else w.company(), thing=w.one(_THINGS), things=plural(w.one(_THINGS)), animal=w.one(ANIMAL), animals=plural(w.one(ANIMAL)), food=w.one(FOOD), year=w.year(), n=w.num(), m=w.num(),
                     word=w.one(f["word"]), language=w.one(LANGUAGE), lang=w.one(("Python", "Java", "C++", "Rust", "JavaScript", "Go")))
    return _spoken(w, q), D.CANNOT if no else D.UNKNOWN


def talk(w: Words) -> dict[str, Any]:
    """One to four turns of small talk, framework, field and unknown."""
    turns: list[tuple[str, str]] = []
    for _ in range(w.one((1, 1, 1, 1, 2, 2, 3, 4))):
        q, a = unknown_pair(w) if w.chance(.12) else pair(w)
        turns += [("user", q), ("model", a)]
    return _with_system(w, "talk", turns)


def framework(w: Words) -> dict[str, Any]:
    return _with_system(w, "framework", [(r, x) for q, a in (pair(w, "framework") for _ in range(w.one((1, 1, 1, 2, 3)))) for r, x in (("user", q), ("model", a))])


def greeting(w: Words) -> dict[str, Any]:
    return _with_system(w, "greeting", [(r, x) for q, a in (pair(w, "greet") for _ in range(w.one((1, 1, 2)))) for r, x in (("user", q), ("model", a))])


def unknown(w: Words) -> dict[str, Any]:
    q, a = unknown_pair(w)
    turns = [("user", q), ("model", a)]
    if w.chance(.25):
        q, a = unknown_pair(w) if w.chance(.5) else pair(w)
        turns = [*turns, ("user", q), ("model", a)] if w.chance(.5) else [("user", q), ("model", a), *turns]
    return _with_system(w, "unknown", turns)


def _with_system(w: Words, skill: str, turns: list[tuple[str, str]]) -> dict[str, Any]:
    """A system text that gives a name would change who the model says it is: plain ones only."""
    system = w.system() if w.chance(.7) else ""
    if system not in SYSTEM:
        system = ""
    return sample(skill, [("user", first_turn(system, "", turns[0][1])), *turns[1:]], answer=turns[-1][1])


# ---------------------------------------------------------------- memory over turns
NAME_IN = ["My name is {}.", "Hi, I am {}", "I'm {}.", "Hello, my name is {}", "My name is {}", "hi, im {}", "Hello! I am {}.", "You can call me {}.", "Call me {}.", "Hey, my name is {}!", "my name's {}", "I am {}.", "Hi! My name is {}.", "Hello, I'm {}.", "Good morning, my name is {}.",
           "This is {}.", "People call me {}.", "Hi there, {} here.", "Remember: my name is {}.", "Let me introduce myself: I am {}."]
NAME_OUT = ["What is my name?", "Who am I?", "Do you remember my name?", "What's my name?", "whats my name", "What is my name", "Tell me my name.", "Do you know my name?", "Can you tell me my name?", "what did I say my name was?", "Say my name.", "How am I called?", "Do you still know who I am?", "And what is my name?", "Now what is my name?"]
KEEP = ["My {a} is {b}.", "Remember that my {a} is {b}.", "Please remember: my {a} is {b}.", "my {a} is {b}", "Note that my {a} is {b}.", "By the way, my {a} is {b}.", "Keep in mind that my {a} is {b}.", "My {a} is {b}, please remember it.", "You should know that my {a} is {b}.", "Just so you know, my {a} is {b}.", "Save this: my {a} is {b}."]
RECALL = ["What is my {a}?", "Do you remember my {a}?", "Tell me my {a}.", "What's my {a}?", "what is my {a}", "What did I say my {a} is?", "Can you tell me my {a}?", "Which is my {a}?", "And my {a}?", "Do you know my {a}?", "Remind me: what is my {a}?", "whats my {a}?", "What was my {a}?"]


def _trait(w: Words) -> tuple[str, str]:
    a = w.one(("favorite color", "favorite food", "city", "home town", "dog", "cat", "job", "secret word", "age", "favorite number", "favorite animal", "favorite sport", "instrument", "phone number", "email", "order number", "password", "boss", "best friend", "favorite city",
               "country", "language", "hobby", "room number", "birthday", "code", "favorite book", "project", "employer", "teacher", "brother", "sister", "favorite fruit", "lucky number", "address", "team", "car", "goal", "favorite song", "user id"))
    if a in ("favorite color", "car"):
        return a, w.one(COLOR)
    if a in ("favorite food", "favorite fruit"):
        return a, w.one(FOOD)
    if a in ("city", "home town", "favorite city"):
        return a, w.place()
    if a in ("dog", "cat", "boss", "best friend", "teacher", "brother", "sister"):
        return a, w.first()
    if a in ("age", "favorite number", "room number", "lucky number"):
        return a, str(w.num(w.one((1, 2, 2, 3))))
    if a in ("phone number", "order number", "code", "user id"):
        return a, w.phone() if a == "phone number" else w.code()
    if a in ("favorite book", "favorite song"):
        return a, w.title()
    made: dict[str, Callable[[], str]] = {"job": lambda: w.one(JOB), "secret word": w.invented, "favorite animal": lambda: w.one(ANIMAL), "favorite sport": lambda: w.one(SPORT), "hobby": lambda: w.one(SPORT), "instrument": lambda: w.one(INSTRUMENT),
                                          "email": w.email, "password": w.invented, "country": w.country, "language": lambda: w.one(LANGUAGE), "birthday": w.date, "employer": w.company, "address": w.street}
    return a, made.get(a, w.proper)()


def memory(w: Words) -> dict[str, Any]:
    """Things said about oneself, something else in between, then asked for."""
    turns: list[tuple[str, str]] = []
    recall: list[tuple[str, str]] = []
    name = ""
    if w.chance(.65):
        name = w.person() if w.chance(.3) else w.first()
        extra = w.chance(.2)
        q = w.one(NAME_IN).format(name)
        if extra:  # two things in one turn
            a, b = _trait(w)
            q = q.rstrip(".!") + w.one((f" and my {a} is {b}.", f". My {a} is {b}."))
            recall.append((w.one(RECALL).format(a=a), f"Your {a} is {b}."))
        turns += [("user", q), ("model", f"Nice to meet you, {name}!")]
        recall.append((w.one(NAME_OUT), f"Your name is {name}."))
    for _ in range(w.one((0, 1, 1, 2)) if name else w.one((1, 1, 2, 3))):
        a, b = _trait(w)
        if any(m[1].startswith(f"Your {a} is") for m in recall):
            continue
        turns += [("user", w.one(KEEP).format(a=a, b=b)), ("model", f"OK, your {a} is {b}.")]
        recall.append((w.one(RECALL).format(a=a), f"Your {a} is {b}."))
    for _ in range(w.one((0, 0, 1, 2))):
        q, a = pair(w) if w.chance(.75) else unknown_pair(w)
        turns += [("user", q), ("model", a)]
    w.r.shuffle(recall)
    for q, a in recall[:w.one((1, 1, 2, 3))]:
        turns += [("user", q), ("model", a)]
    if w.chance(.1) and not name:
        turns += [("user", w.one(NAME_OUT[:6])), ("model", "You have not told me your name.")]
    return _with_system(w, "memory", turns)


PERSONA = ["You are {n}.", "You are {n}, a helpful assistant.", "Your name is {n}.", "You are {n}, {j}.", "You are an assistant named {n}.", "You are a chat bot called {n}. Be friendly.", "Your name is {n}. Answer the user.", "You are {n}, an AI assistant made by {c}.", "You are {n}, the assistant of {c}.",
           "Act as {n}, {j}.", "You are a helpful assistant called {n}. Keep your answers short."]
PERSONA_ASK = ["What is your name?", "Who are you?", "what is your name", "What's your name?", "Tell me your name.", "Do you have a name?", "Introduce yourself.", "whats your name", "Hi, who are you?", "Hello, what is your name?", "How are you called?", "Who am I talking to?", "who are you", "What should I call you?"]


def persona(w: Words) -> dict[str, Any]:
    """The system text names the assistant; asked, it says that name."""
    n, j, c = w.first(), w.one(JOB), w.company()
    t = w.one(PERSONA)
    system = t.format(n=n, j=a_an(j), c=c)
    turns: list[tuple[str, str]] = []
    if w.chance(.3):
        q, a = pair(w, w.one(("framework", "field"))) if w.chance(.5) else (_spoken(w, w.one(GREET[0][0])), GREET[0][1])
        turns += [("user", q), ("model", a)]
    turns += [("user", w.one(PERSONA_ASK)), ("model", f"I am {n}.")]
    if "{j}" in t and w.chance(.5):
        turns += [("user", w.one(("What is your job?", "What do you do?", "What do you work as?", "What are you?"))), ("model", f"I am {a_an(j)}.")]
    elif "{c}" in t and w.chance(.5):
        turns += [("user", w.one(("Who made you?", "Which company do you work for?", "Where do you come from?"))), ("model", f"{c}.")]
    return sample("persona", [("user", first_turn(system, "", turns[0][1])), *turns[1:]], answer=turns[-1][1])


SKILLS: dict[str, Callable[[Words], dict[str, Any]]] = {"talk": talk, "greeting": greeting, "framework": framework, "unknown": unknown, "memory": memory, "persona": persona}
WEIGHTS: dict[str, float] = {"talk": 4, "greeting": 2, "framework": 4, "unknown": 2, "memory": 4, "persona": 1}
