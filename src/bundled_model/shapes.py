"""The shapes that names, numbers and dates take in real texts: initials and particles, brackets and dots, separators.

A value is learnt as a span: where it begins and ends shows only in its shape. So every maker of `words.py` sometimes gives
one of these instead of its plain form.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from .word_lists import ADJ, ANIMAL, COLOR, JOB, MATERIAL, MONTH, NOUN, SUBJECT, VERB, WEEKDAY

if TYPE_CHECKING:
    from .words import Words

LETTERS = "ABCDEFGHIJKLMNOPRSTVWZ"
PARTICLES = "van|van der|van den|de|de la|del|di|da|dos|von|von der|zu|bin|el|al|ter|le|la|ben|af|du".split("|")
TITLES = "Dr.|Dr|Prof.|Professor|Mr.|Mr|Mrs.|Mrs|Ms.|Ms|Captain|Sir|Sister|Judge|Chef|Coach".split("|")
BEFORE_PLACE = "Mount|Lake|St.|San|Santa|Port|New|North|South|Upper|Lower|East|West|Bad|El|La|Los|Fort|Cape|Old|Great|Saint|Isle of|Bay of".split("|")
AFTER_PLACE = "Falls|Springs|Beach|City|Bay|Valley|Heights|Park|Junction|on Sea|upon {o}|am {o}|sur {o}|Hills|Island|Harbour|Central|Bridge".split("|")
INSTITUTIONS = """University of {c}|Bank of {c}|Museum of {s}|{c} Museum of {s}|Institute of {s}|St. {f} Hospital|St. {f}'s School|{c} General Hospital|Port of {c}|
Society for {s}|School of {s}|Royal {c} Theatre|{c} Public Library|City of {c}|House of {p}|Friends of the {n}|{l} College|National {n} Museum|Academy of {s}|{c} Chamber of {s}""".replace("\n", "").split("|")
BUSINESSES = """{l} & Sons|{l} Bros.|{l}, {m} & Partners|{p} Inc.|{p}, Inc.|{p} Ltd.|{p} S.A.|{p} & Co.|{l} AG|{abc}|{abc} {p}|{n}.com|{p}.io|{f}'s|{f}'s {n} Shop|Café {p}|The {col} {n}|{col} {n} Café|
{l}'s {n}s|{p} 24|{p} e.V.|{p} B.V.|{l}-{m}|{l} Group|{l} and Daughters|e{n}|{p} of {c}|{n} & {o}|The {n} Company|{l}'s Bakery|{c} Airlines|Air {p}|{c} Water Works|{n}ify|{abc} {c}|
Dr. {l} Clinic|{l} Law Firm|{p} Pharma|{p} Motors|{p} Energy|{c} Power|{p} Foods|{p} Bank""".replace("\n", "").split("|")
WORKS = """A {n} for {f}|How to {v} a {n}|{s} for Beginners|Basics of {s}|{s} {k}|Advanced {s}|{N}: A {A} {n}|What the {a} Said|{k} {n}s|The {n}'s {o}|Mr. {l} and the {n}|{n}, {o} and {a}|To {v} or Not|No {n}s Tonight|
The {n} Who {v}ed|{f} and the {A} {n}|In the {n} of the {o}|From {c} with {n}s|{c}, {y}|All About {s}|The {y} {n}|On {s}|Before the {n}|Under a {col} {n}|Where {a}s Go|La {n}|{f} & {g}|Letters to {f}|Why We {v}|
The {l} {n}|A History of {s}|{s} and {t}|{s} in Practice|Return to {c}|{N} No. {k}|A Guide to {s}|The Art of {s}""".replace("\n", "").split("|")
PRODUCTS = "{p} {k}|{p} {k} Pro|{p} Mini|{p} Pro|{p} Plus|{p} X{k}|{p}-{k}|{L}{k}|{L}{k}{L}|{p} {L}{k}|{p} {o}|{p} {col}|{o} {k}|{p} Model {L}|{p} Max {k}|{p} Air|{p} 2.0|{p} Series {k}|{n} of {q}|{p} GT|the {p}".split("|")
PHONES = """+## ## ######|+## ### ######|(###) ###-####|0### #######|###-###-####|### ## ##|+1-###-###-####|0## #### ####|0#.##.##.##.##|0##/######|+## # ## ## ## ##|0800-###-###|+## (0) ## ### ## ##|### ####|
#### ######|(0##) #######|+##########|########|0#### / ####|ext. ###""".replace("\n", "").split("|")
DATES = """{M} {th}|{th} of {M}|{M} {th}, {y}|{th} {M} {y}|{dd}/{mm}/{y}|{d}.{m}.{y}|{dd}.{mm}.{y}|{M} {y}|{W} {d} {M}|{W}, {M} {d}|{W}, {d} {M} {y}|{y}/{mm}/{dd}|{b} {d}|{d} {b} {y}|{b} {d}, {y}|{m}/{d}/{y}|{W} the {th}|{dd}-{mm}-{y}|
{W}, {d} {M}|{W}, {M} {d}, {y}|{d} {b}""".replace("\n", "").split("|")
TIMES = "{h}:{mi} am|{h}:{mi} pm|{h}:{mi}am|{h}:{mi} p.m.|{h} a.m.|{h} p.m.|{h}.{mi} pm|{H}.{mi}|noon|midnight|{h} o'clock|half past {h}|{h}am|{h}pm|{HH}:{mi}|{HH}:{mi}|{HH}{mi}|quarter to {h}|{HH}h{mi}|{H} h|{h}:{mi} in the morning|{h} in the evening".split("|")
MONEY = "${t}|€{n}|{n} €|£{n}.{cc}|{t} USD|EUR {n}|{x} million dollars|{x} million euros|${n}k|{n} cents|Rs. {t}|{t} euros|{t}.{cc} euros|US${n}|CHF {t}.{cc}|{t} kr|{n},- EUR|£{t}|${x}M|{x} billion yen|{t} pounds|{n}.{cc} dollars|€{n}.{cc}|${t}.{cc}".split("|")
CODES = "#{n}|No. {n}|{ABC}/{y}/{n}|{y}-{n}|{ab} {k} {k}|{ABC}{y}-{n}|{A}{n}-{A}|{ABC}-{AB}-{n}|{n}/{k}|{n}-{k}-{A}|{A}.{n}|{k}{A}{k}{A}|{AB}-{n}-{k}|{ABC}_{n}|{n}{A}".split("|")
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def ordinal(n: int) -> str:
    return str(n) + ("th" if 10 < n % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th"))


def spelled(n: int) -> str:
    """A number from 0 to 99 in words."""
    return ONES[n] if n < 20 else TENS[n // 10 - 2] + ("-" + ONES[n % 10] if n % 10 else "")


def digits(w: Words, pattern: str) -> str:
    return "".join(str(int(w.r.random() * 10)) if c == "#" else c for c in pattern)


def person(w: Words) -> str:
    one, k = w.one, w.r.random()
    f, last = w.first(), w.last()
    if k < .14:
        return f"{one(LETTERS)}. {last}"
    if k < .3:
        return f"{f} {one(LETTERS)}. {last}"
    if k < .38:
        return one(("{0}.{1}. {2}", "{0}. {1}. {2}", "{0}.{0}.{1}. {2}", "{0}{1} {2}")).format(one(LETTERS), one(LETTERS), last)
    if k < .56:
        return f"{f} {one(PARTICLES)} {last}"
    if k < .68:
        return one((f"{f} {last}-{w.last()}", f"{f}-{w.first()} {last}", f"{f} {one(('O', 'D'))}'{last}", f"{f} Mc{last}"))
    if k < .84:
        return f"{f} {w.first()} {last}" if w.chance(.6) else f"{f} {last} {w.last()}"
    if k < .95:
        return one(TITLES) + " " + one((f"{f} {last}", last))
    return f"{f} {last}" + one((" Jr.", " Sr.", " III", ", PhD", " II"))


def company(w: Words) -> str:
    shape = w.one(INSTITUTIONS if w.chance(.35) else BUSINESSES)
    return shape.format(c=w.city(), s=w.one(SUBJECT).capitalize(), f=w.first(), p=w.proper(), n=w.one(NOUN).capitalize(), o=w.one(NOUN).capitalize(), l=w.last(), m=w.last(),
                        abc="".join(w.one(LETTERS) for _ in range(w.one((2, 3, 3, 4)))), col=w.one(COLOR).capitalize())


def place(w: Words) -> str:
    name = w.last() if w.chance(.4) else w.city() if w.chance(.6) else w.made_up()
    if w.chance(.6):
        return w.one(BEFORE_PLACE) + " " + name
    after = w.one(AFTER_PLACE).format(o=w.made_up())
    return (name + " " + after).replace(" ", "-") if w.chance(.2) else name + " " + after


def title(w: Words) -> str:
    noun = w.one(NOUN)
    return w.one(WORKS).format(n=noun.capitalize(), N=noun.capitalize(), o=w.one(NOUN).capitalize(), f=w.first(), g=w.first(), v=w.one(VERB).capitalize(), s=w.one(SUBJECT).capitalize(), t=w.one(SUBJECT).capitalize(),
                               a=w.one(ANIMAL).capitalize(), A=w.one(ADJ).capitalize(), k=w.r.randint(1, 101), l=w.last(), c=w.city(), y=w.year(), col=w.one(COLOR).capitalize())


def product(w: Words) -> str:
    """A thing with a name: model numbers, small words."""
    return w.one(PRODUCTS).format(p=w.proper(), k=w.one((w.r.randint(1, 9), w.r.randint(10, 99), w.one((100, 200, 300, 500, 1000)))), L=w.one(LETTERS), o=w.one(NOUN).capitalize(), q=w.one(NOUN).capitalize(),
                                  n=w.one((ADJ, MATERIAL, NOUN))[0].capitalize() if w.chance(.1) else w.one(NOUN).capitalize(), col=w.one(COLOR).capitalize())


def phone(w: Words) -> str:
    return digits(w, w.one(PHONES))


def date(w: Words, year: int, month: int) -> str:
    """Month 1 to 12."""
    d, name = w.r.randint(1, 28), MONTH[month - 1]
    return w.one(DATES).format(M=name, b=name[:3], th=ordinal(d), d=d, dd=f"{d:02d}", m=month, mm=f"{month:02d}", y=year, W=w.one(WEEKDAY))


def time(w: Words) -> str:
    hour = w.r.randint(0, 23)
    return w.one(TIMES).format(h=w.r.randint(1, 12), H=hour, HH=f"{hour:02d}", mi=w.one(("00", "00", "15", "20", "30", "45", "05", "50", f"{w.r.randint(0, 59):02d}")))


def money(w: Words) -> str:
    n = w.num(w.one((1, 2, 2, 3))) + 2
    return w.one(MONEY).format(n=n, t=f"{n * w.r.randint(3, 40) + 900:,}", cc=f"{w.r.randint(0, 99):02d}", x=w.one((n, f"{n % 10}.{w.r.randint(1, 9)}")))


def code(w: Words) -> str:
    a, b, c = (w.one(LETTERS) for _ in range(3))
    return w.one(CODES).format(n=w.num(w.one((2, 3, 4, 5))), k=w.r.randint(1, 99), y=w.r.randint(2015, 2027), A=a, AB=a + b, ABC=a + b + c, ab=a + b)


def job(w: Words) -> str:
    """A position of several words."""
    base = w.one(JOB)
    return w.one(("senior {}", "junior {}", "head {}", "chief {}", "assistant {}", "deputy {}", "lead {}", "part-time {}", "{} in training", "freelance {}", "retired {}", "trainee {}", "{} and {o}", "{} for {s}", "night {}")).format(
        base, o=w.one(JOB), s=w.one(SUBJECT))


def number(w: Words, n: int, alone: bool) -> str:
    """How a text writes a whole number; `alone`: it stands between blanks, so that words may stand for it."""
    if n < 0:
        return f"minus {-n}" if w.chance(.45) else str(n)
    if n >= 1000:
        return f"{n:,}" if not 1300 <= n <= 2100 and w.chance(.4) else str(n)  # no separators in years
    return spelled(n) if alone and 1 < n < 100 and w.chance(.2 if n <= 12 else .08) else str(n)


def decimal(w: Words, x: float) -> tuple[str, float]:
    """(how a text writes a number that may have decimals, the number)"""
    k = w.r.random()
    if k < .5:
        return str(x), x
    said = f"{x:.2f}" if k < .7 else f"{int(x)}.{w.one(('99', '95', '50', '25', '49', '90', '00', '05', '75'))}" if x > 1 else f"{x:.2f}"
    return said if w.chance(.8) or x < 1000 else f"{float(said):,.2f}", float(said)
