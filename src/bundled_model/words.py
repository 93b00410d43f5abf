"""Random words and values for the training data, split into train and eval.

A value word (a name, a city, an invented word) belongs to exactly one of the two
splits, by its hash, so that the evaluation asks for values never seen in training.
The plain vocabulary (nouns, verbs, adjectives, jobs) is shared by both.
"""
from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from . import shapes
from .real_names import big_cities, cities, common_first_names, common_last_names, first_names, last_names
from .word_lists import (
    ADJ,
    ANIMAL,
    ARG,
    CITY,
    CITY2,
    CODA,
    COLOR,
    COMPANY_TAIL,
    COUNTRY,
    CURRENCY,
    DEPARTMENT,
    DOMAIN,
    ENDING,
    FIRST,
    FOOD,
    FUNCW,
    INSTRUMENT,
    JOB,
    LANGUAGE,
    LAST,
    MATERIAL,
    MONTH,
    NOUN,
    ONSET,
    PLANT,
    ROOM,
    SPORT,
    SUBJECT,
    SYSTEM,
    UNIT,
    VERB,
    VOWEL,
    WEEKDAY,
)

__all__ = ["ADJ", "ANIMAL", "ARG", "CITY", "CITY2", "COLOR", "COUNTRY", "CURRENCY", "DEPARTMENT", "FIRST", "FOOD", "FUNCW", "INSTRUMENT",
           "JOB", "LANGUAGE", "LAST", "MATERIAL", "MONTH", "NOUN", "PLANT", "ROOM", "SPORT", "SUBJECT", "SYSTEM", "UNIT", "VERB", "WEEKDAY",
           "Words", "a_an", "first_turn", "part", "plural", "sample"]


# invented words that are English ones, which would read as something else
_SMALL = frozenset("the he she it in on at to so no do my we be me is as an or of if by us up a i o yes not and but you her him his its go am was are"
                   " this that true false null none he'd who what how when where why".split())


T = TypeVar("T")


def part(word: str) -> str:
    """The split a value word belongs to."""
    return "eval" if zlib.crc32(word.lower().encode()) % 8 == 0 else "train"


def sample(skill: str, turns: Sequence[Sequence[str]], **meta: Any) -> dict[str, Any]:
    return {"skill": skill, "turns": [list(t) for t in turns], "meta": meta}


def first_turn(system: str, extra: str, user: str) -> str:
    """The first user turn: the system text, what follows it, the user's text, with blank lines between."""
    return "\n\n".join(p for p in (system, extra, user) if p)


def a_an(word: str) -> str:
    return ("an " if word[:1].lower() in "aeiou" else "a ") + word


def plural(noun: str) -> str:
    if noun.endswith(("s", "x", "ch", "sh", "z")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


SHAPED_DATE = 5  # the date form of which every date is written in its own way
PLAIN_TAIL = [*COMPANY_TAIL, "GmbH", "Corp", "Corporation", "Company", "Technologies", "Solutions", "Consulting", "Bakery", "Design", "Travel", "Insurance"]


class Words:
    """Makes words and values.

    `plain` values look like those of everyday texts: common names, big cities, companies that sound like one, dates near
    each other. The others are as odd as values get, so that copying and the sense of a sentence are learnt, not looks.
    """

    def __init__(self, seed: int, split: str) -> None:
        self.r = random.Random(seed)
        self.split = split
        self._first = [w for w in FIRST if part(w) == split]
        self._last = [w for w in LAST if part(w) == split]
        self._city = [w for w in CITY if part(w) == split]
        self._city2 = [w for w in CITY2 if part(w) == split]
        self._firsts, self._lasts, self._cities = ([w for w in names() if part(w) == split] for names in (first_names, last_names, cities))
        self._plain_firsts, self._plain_lasts, self._plain_cities = (
            sorted({w for w in (*own, *names()) if part(w) == split})
            for own, names in ((FIRST, common_first_names), (LAST, common_last_names), ((*CITY, *CITY, *CITY2), big_cities)))
        self.plain, self.date_form, self.near_year, self.near_month = False, 0, 2024, 5

    def new_sample(self, plain: float) -> None:
        """What the values of one sample have in common; `plain`: the share of samples with everyday values."""
        self.plain, self.date_form = self.chance(plain), min(SHAPED_DATE, self.r.randrange(SHAPED_DATE + 2))
        self.near_year, self.near_month = self.r.randint(2015, 2027), self.r.randint(1, 12)

    def one(self, items: Sequence[T]) -> T:
        """A random item; cheaper than random.choice, and it is called millions of times."""
        return items[int(self.r.random() * len(items))]

    def chance(self, p: float) -> bool:
        return self.r.random() < p

    def shaped(self) -> bool:
        """Whether this value takes one of the shapes of real texts; more often among everyday values."""
        return self.r.random() < (.3 if self.plain else .12)

    def own(self, make: Callable[[], str]) -> str:
        """A word of this split."""
        for _ in range(400):
            w = make()
            if part(w) == self.split:
                return w
        raise RuntimeError("no word of this split")

    # ---- invented and real names
    def invented(self, lo: int = 1, hi: int = 3) -> str:
        one, n = self.one, max(lo, min(hi, self.one((1, 1, 2, 2, 2, 2, 2, 3))))
        while True:
            w = "".join([one(ONSET) + one(VOWEL) + one(CODA) for _ in range(n)]) + one(ENDING)
            if w not in _SMALL and part(w) == self.split:
                return w

    def made_up(self) -> str:
        return self.invented(1, 3).capitalize()

    def proper(self) -> str:
        """The name of anything: often invented, else one that sounds like many real ones."""
        if self.chance(.08):
            return shapes.product(self)
        if self.plain and self.chance(.8):
            k = self.r.random()
            return self.one(self._plain_lasts) if k < .25 else self.one(ADJ).capitalize() + " " + self.one(NOUN).capitalize() if k < .65 else self.one(NOUN).capitalize() + self.one(NOUN)
        k = self.r.random()
        if k < .4:
            return self.made_up()
        if k < .6:
            return self.one(self._lasts)
        if k < .75:
            return self.one(self._cities)
        a, b = self.one((ADJ, NOUN, COLOR, MATERIAL)), self.one((NOUN, ANIMAL, PLANT))
        first, second = self.one(a).capitalize(), self.one(b)
        return first + second if self.chance(.5) else first + " " + second.capitalize()

    def first(self) -> str:
        if self.plain:
            return self.one(self._first if self.chance(.4) else self._plain_firsts)
        k = self.r.random()
        return self.one(self._first) if k < .5 else self.one(self._firsts) if k < .88 else self.made_up()

    def last(self) -> str:
        if self.plain:
            return self.one(self._plain_lasts)
        k = self.r.random()
        return self.one(self._last) if k < .35 else self.one(self._lasts) if k < .86 else self.made_up()

    def person(self) -> str:
        if self.shaped():
            return shapes.person(self)
        return self.first() if self.chance(.25 if self.plain else .5) else self.first() + " " + self.last()

    def full_name(self) -> str:
        return self.first() + " " + self.last()

    def city(self) -> str:
        if self.chance(.06):
            return shapes.place(self)
        if self.plain:
            return self.one(self._city if self.chance(.6) else self._plain_cities)
        k = self.r.random()
        return self.one(self._city) if k < .5 else self.one(self._cities) if k < .88 else self.made_up()

    def place(self) -> str:
        if self.plain:
            return self.city()
        k = self.r.random()
        if k < .25:
            return self.one(self._city2)
        if k < .35:
            return self.city() + " " + self.proper()
        return self.city()

    def country(self) -> str:
        return self.one(COUNTRY) if self.chance(.88) else self.made_up()

    def company(self) -> str:
        if self.shaped():
            return shapes.company(self)
        if self.plain:
            k = self.r.random()
            name = self.last() if k < .35 else self.proper() if k < .8 else self.made_up()
            return name + " " + self.one(PLAIN_TAIL) if self.chance(.8) else name + " & " + self.last() if k < .35 else name
        k = self.r.random()
        if k < .45:
            return self.proper()
        if k < .85:
            return self.proper() + " " + self.one(COMPANY_TAIL)
        return self.last() + " & " + self.last()

    def title(self) -> str:
        """The title of a book, a film, a song."""
        if self.shaped():
            return shapes.title(self)
        k = self.r.random()
        noun, adj = self.one(NOUN).capitalize(), self.one(ADJ).capitalize()
        if k < .3:
            return f"The {adj} {noun}"
        if k < .5:
            return f"{noun} of {self.proper()}"
        if k < .7:
            return f"The {noun} of {self.city()}"
        if k < .85:
            return f"{adj} {self.proper()}"
        return self.proper()

    # ---- numbers and codes
    def num(self, digits: int | None = None) -> int:
        d = digits or self.one((1, 1, 2, 2, 3, 4))
        return self.r.randint(0 if d == 1 else 10 ** (d - 1), 10 ** d - 1)

    def year(self) -> int:
        return self.r.randint(1950, 2027) if self.plain else self.r.randint(1400, 2029) if self.chance(.5) else self.r.randint(1900, 2029)

    def code(self) -> str:
        """An id: A-1043, 48213, XK7, ord_5521, 4f9a2c."""
        if self.shaped():
            return shapes.code(self)
        r, k = self.r, self.r.random()
        letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
        if k < .3:
            return self.one(letters) + "-" + str(self.num(self.one((2, 3, 4))))
        if k < .5:
            return str(self.num(self.one((4, 5, 6))))
        if k < .7:
            return self.one(letters) + self.one(letters) + str(self.num(self.one((1, 2, 3))))
        if k < .8:
            return self.one(("ord", "inv", "usr", "id", "ref")) + self.one("_-") + str(self.num(self.one((3, 4))))
        if k < .9:
            return self.one(letters) + self.one(letters) + self.one(letters) + "-" + str(self.num(self.one((2, 3, 4))))
        return "".join([self.one("0123456789abcdef") for _ in range(r.randint(4, 8))])

    def money(self) -> str:
        if self.shaped():
            return shapes.money(self)
        n, k = self.num(self.one((1, 2, 2, 3, 4))) + 1, self.r.random()
        if k < .35:
            return f"${n}"
        if k < .5:
            return f"${n}.{self.r.randint(0, 99):02d}"
        if k < .6:
            return f"{n} {self.one(('EUR', 'USD', 'GBP', 'CHF'))}"
        return f"{n} {self.one(CURRENCY)}" if n > 1 else f"2 {self.one(CURRENCY)}"

    def date(self) -> str:
        if not self.plain and self.shaped():
            return shapes.date(self, self.r.randint(1950, 2030), self.r.randint(1, 12))
        if self.plain:
            return self.plain_date()
        r, k = self.r, self.r.random()
        if k < .3:
            return f"{r.randint(1990, 2030)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"
        if k < .55:
            return f"{self.one(MONTH)} {r.randint(1, 28)}, {r.randint(1900, 2030)}"
        if k < .75:
            return f"{r.randint(1, 28)} {self.one(MONTH)} {r.randint(1900, 2030)}"
        return f"{self.one(MONTH)} {r.randint(1, 28)}"

    def plain_date(self) -> str:
        """Near the sample's other dates, and written like them."""
        months = self.near_month - 1 + self.one((0, 0, 0, 1))
        year, month, day = self.near_year + months // 12, months % 12, self.r.randint(1, 28)
        if self.date_form == SHAPED_DATE:
            return shapes.date(self, year, month + 1)
        name = MONTH[month]
        return (f"{year}-{month + 1:02d}-{day:02d}", f"{name} {day}, {year}", f"{day} {name} {year}", f"{name} {day}", f"{day} {name}")[self.date_form]

    def time(self) -> str:
        r = self.r
        if self.shaped():
            return shapes.time(self)
        if self.chance(.6):
            return f"{r.randint(0, 23)}:{self.one((0, 0, 15, 30, 45, r.randint(0, 59))):02d}"
        return f"{r.randint(1, 12)} {self.one(('am', 'pm'))}"

    def phone(self) -> str:
        if self.chance(.6):
            return shapes.phone(self)
        return f"{self.num(3)}-{self.num(4)}" if self.chance(.6) else f"+{self.num(2)} {self.num(3)} {self.num(4)}"

    def email(self) -> str:
        name = self.first().lower() if self.chance(.6) else self.first().lower() + "." + self.last().lower()
        host = self.invented(1, 2) + "." + self.one(DOMAIN[:5]) if self.chance(.75) else self.one(DOMAIN[5:])
        return name + "@" + host

    def street(self) -> str:
        return f"{self.num(self.one((1, 2, 2))) + 1} {self.proper()} {self.one(('Street', 'Road', 'Lane', 'Avenue', 'Square'))}"

    # ---- free text values
    def thing(self) -> str:
        k = self.r.random()
        if k < .45:
            return self.one(NOUN)
        return self.invented() if k < .55 else self.one(ADJ) + " " + self.one(NOUN)

    def phrase(self) -> str:
        """A free text value of one to three words."""
        k = self.r.random()
        if k < .35:
            return self.place()
        if k < .47:
            return self.invented()
        if k < .7:
            return self.one(ADJ) + " " + self.one(NOUN)
        if k < .85:
            return self.person()
        if k < .93:
            return self.one((self.code, self.date, self.company, self.title))()
        return self.invented() + " " + self.one(NOUN)

    def topic(self) -> str:
        """What somebody searches for, one to four words."""
        out = []
        for _ in range(self.one((1, 2, 2, 3, 4))):
            k = self.r.random()
            out.append(self.one(ADJ) if k < .18 else self.one(NOUN) if k < .4 else plural(self.one(NOUN)) if k < .55 else
                       self.invented() if k < .63 else plural(self.one(JOB)) if k < .78 else self.proper())
        return " ".join(out)

    def clause(self) -> str:
        """A short statement without its full stop, as one puts into a message."""
        noun, adj, who, time = self.one(NOUN), self.one(ADJ), self.first(), self.time()
        return self.one(("the {n} is {a}", "{w} will be late", "the {n} starts at {t}", "I will come at {t}", "the {a} {n} is ready",
                         "{w} has the {n}", "we need {an} {n}", "please call {w}", "the {n} moved to {c}", "lunch is at {t}",
                         "{w} is on the way to {c}", "I lost the {n}")).format(n=noun, a=adj, an=a_an(adj), w=who, t=time, c=self.city())

    def system(self) -> str:
        """A system prompt, most of the time none."""
        if self.chance(.72):
            return ""
        if self.chance(.85):
            return self.one(SYSTEM)
        return self.one(("You are {}, an assistant.", "You are {}, a helpful assistant.", "Your name is {}.", "You are {}, a friendly bot."
                         )).format(self.first())
