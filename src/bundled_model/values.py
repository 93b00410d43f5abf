"""Makers of argument values and of tool results, by the names the tables use."""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from . import shapes
from .words import (
    ADJ,
    ANIMAL,
    COLOR,
    DEPARTMENT,
    FOOD,
    JOB,
    LANGUAGE,
    MONTH,
    NOUN,
    PLANT,
    ROOM,
    SPORT,
    SUBJECT,
    UNIT,
    VERB,
    WEEKDAY,
    Words,
)

CURRENCY = ("USD EUR GBP JPY CHF dollars euros pounds yen francs rupees pesos crowns SEK NOK DKK PLN CAD AUD NZD CNY yuan won INR BRL reais MXN "
            "zloty rubles lira shillings rand krona").split()
COIN = "bitcoin Bitcoin BTC ethereum Ethereum ETH dogecoin DOGE solana SOL litecoin LTC monero cardano ADA ripple XRP".split()
TICKER = "AAPL GOOG MSFT TSLA AMZN NVDA META NFLX IBM INTC AMD ORCL SAP BMW Apple Google Microsoft Tesla Amazon Nvidia Netflix Intel Sony Nokia".split()
ITEM = """laptop|phone|desk lamp|office chair|running shoes|blue jacket|coffee machine|toaster|headphones|keyboard|mouse|monitor|backpack|tent|
bicycle|umbrella|watch|camera|sofa|pillow|blanket|mirror|hammer|drill|screwdriver|ladder|paint|notebooks|pencils|stapler|printer paper|socks|
jeans|raincoat|winter boots|sandals|sunglasses|wallet|guitar|violin strings|tennis racket|football|yoga mat|dumbbells|fishing rod|board game|
puzzle|teddy bear|dog food|cat litter|aquarium|flower pot|garden hose|lawn mower|grill|frying pan|knife set|wine glasses|tea pot|vacuum cleaner|
washing machine|fridge|fan|heater|candles|curtains|carpet|bookshelf|mattress|lunch box|thermos|flashlight|batteries|charger|usb cable|router|
tablet|smart watch|speaker|microphone|webcam|graphics card|hard drive|memory card|electric scooter|helmet|skateboard|ski gloves|scarf|hat|
belt|dress|t-shirt|sweater|ring|necklace|perfume|soap|shampoo|toothbrush|razor|bandages|vitamins""".replace("\n", "").split("|")
DISH = """pizza|lasagna|chicken curry|tomato soup|pancakes|risotto|goulash|ramen|sushi|tacos|burritos|paella|ratatouille|beef stew|apple pie|
cheesecake|tiramisu|pad thai|pho|dumplings|fried rice|omelette|mushroom pasta|carbonara|fish and chips|vegetable soup|potato salad|hummus|falafel|
kebab|moussaka|quiche|crepes|waffles|brownies|banana bread|gnocchi|minestrone|borscht|pierogi|schnitzel|roast duck|grilled salmon|lentil soup|
chili|meatballs|stuffed peppers|pumpkin soup|gazpacho|bibimbap|kimchi|spring rolls|miso soup|butter chicken|naan|samosas""".replace("\n", "").split("|")
CUISINE = "Italian French Thai Indian Mexican Chinese Japanese Greek Turkish Spanish Korean Vietnamese Lebanese vegan vegetarian seafood sushi pizza".split()
GENRE = "comedy horror thriller drama romance western fantasy animation documentary crime jazz rock pop classical techno folk blues soul metal".split()
DEVICE = """fan|tv|radio|heater|coffee machine|dishwasher|air conditioner|washing machine|kettle|oven|printer|speaker|projector|humidifier|
toaster|lamp|camera|stereo|fridge|dryer|microwave|alarm|router|pump""".replace("\n", "").split("|")
DOOR = "front door|back door|garage|garage door|garden gate|cellar door|kitchen door|main entrance|side door|balcony door|shed|gate".split("|")
SYMPTOM = """a headache|a sore throat|a cough|back pain|a fever|a runny nose|stomach pain|a rash|itchy eyes|a toothache|knee pain|dizziness|
nausea|chest pain|a stiff neck|heartburn|a swollen ankle|numb fingers|ear pain|tired legs""".replace("\n", "").split("|")
DRUG = "aspirin ibuprofen paracetamol penicillin insulin melatonin codeine cortisone antacid amoxicillin".split()
DOCTOR = "the dentist|the doctor|the eye doctor|the vet|my doctor|the dermatologist|the physiotherapist|the hairdresser|the optician".split("|")
TODO = """buy {food}|call {first}|water the {plant}|feed the {animal}|pay the {noun}|clean the {room}|take out the trash|book the {noun}|send the {noun} to {first}|
visit {first}|fix the {noun}|write to {first}|pick up {first}|wash the car|do the laundry|bring the {noun}|return the {noun}|check the {noun}|
take my pills|walk the dog|order {food}|clean the {noun}|paint the {room}|prepare the {noun}|renew the {noun}|cook dinner|study {subject}|
meet {first} in {city}|look at the {noun} of {first}|{verb} the {noun}""".replace("\n", "").split("|")
EVENT = """dinner with {first}|lunch with {first}|the {noun} meeting|{first}'s birthday|the dentist|yoga|a call with {first}|team meeting|
the {city} trip|{first}'s wedding|the {noun} review|{subject} class|football training|the concert|parents' evening|breakfast with {first}|
the {dept} meeting|the release party|project review|standup|piano lesson|the {noun} workshop|the interview with {first}""".replace("\n", "").split("|")
REASON = "it is too late|it is the wrong size|I found a cheaper one|it is broken|I ordered twice|I don't need it|the color is wrong|it came too late".split("|")
CLAUSE = """the {noun} is {adj}|{first} will be late|the {noun} starts at {time}|I will come at {time}|the {adj} {noun} is ready|{first} has the {noun}|
we need a new {noun}|please call {first}|the {noun} moved to {city}|lunch is at {time}|{first} is on the way to {city}|I lost the {noun}|
good morning|good night|thank you|thank you very much|where is the station|I love you|see you tomorrow|happy birthday|how are you|I am hungry|
the meeting is at {time}|I'm running late|dinner is ready|I am sick today|we won|the {noun} does not work|the {noun} is broken|
the build is red|the {noun} is empty|I can't come on {day}|{first} said yes|the {noun} costs {num} euros|I would like a {noun}|
the party is on {day}|the {noun} arrived|you can pick up the {noun}|where is the {noun}|the cat is asleep|it is raining in {city}|
I am at the {noun}|the {adj} {animal} eats {food}|we meet in {city}|the {noun} fails with an error|the login page is blank|
the {noun} button does nothing|bring {food} please|thanks for the {noun}|the {room} is too {adj}|help me|what a {adj} day""".replace("\n", "").split("|")
SENTENCE = """The {noun} is {adj}.|{proper} is a {adj} {noun} in {city}.|{person} was a {job} from {city}.|It was founded in {year} by {person}.|
Take the {adj} {noun}, then turn left at the {noun}.|Mix {food} with {food} and bake for {num} minutes.|{proper} opens a new {noun} in {city}.|
It eats {food} and lives in {country}.|The {noun} of {city} has a new {noun}.|No, you need a {noun}.|Yes, for {num} days.|
{person} wrote it in {year}.|Connection to {proper} timed out.|{num} tests passed, {num} failed.|All tests passed.|{first} is free after {time}.|
Reply from {ip} in {num} ms.|{num} items found in {city}|the {adj} {noun} of {city}|{adj} but {adj}|no {noun} found|{first}: {clause}""".replace("\n", "").split("|")
STATUS = "shipped|delivered|in transit|pending|processing|running|stopped|down|healthy|open|closed|in progress|paid|unpaid|overdue|on time|delayed by {num} minutes|cancelled|waiting for {first}|arrives on {day}|degraded|out for delivery|shipped on {date}".split("|")
DONE = """done|ok|OK|success|sent|saved|booked|created|deleted|added|true|started|stopped|confirmed|updated|ordered|Done.|completed|accepted|queued|
booked, confirmation {code}|Message sent to {first}.|created with id {num}|reservation {code}|saved as {path}|{num} items updated|order {code} placed""".replace("\n", "").split("|")
SKY = "sunny|rainy|cloudy|foggy|windy|snow|light rain|heavy rain|clear|overcast|stormy|partly cloudy|drizzle|hail|thunderstorms|mild|It's always sunny in {city}!".split("|")
SERVICE = "api web db auth billing payments search mail cache proxy frontend backend worker queue gateway nginx redis postgres login checkout orders users media".split()
TABLE = "users orders customers products invoices employees payments sessions events logs books sales items articles reviews tickets accounts messages".split()
COMMAND = "ls -la|git status|df -h|uname -a|whoami|ps aux|cat {path}|npm install|make test|docker ps|pwd|echo {word}|git pull|top|pip list|mkdir {word}|tail -n {num} {path}".split("|")
SQL = """SELECT * FROM {table}|SELECT name FROM {table} WHERE id = {num}|SELECT COUNT(*) FROM {table}|DELETE FROM {table} WHERE id = {num}|
SELECT AVG(price) FROM {table}|SELECT id, name FROM {table} LIMIT {num}|UPDATE {table} SET active = 0""".replace("\n", "").split("|")
CODE = "print({num} + {num})|print('{word}')|sum(range({num}))|len('{word}')|{num} ** 2|sorted([{num}, {num}, {num}])|max({num}, {num})|import math; print(math.pi)".split("|")
LEAGUE = "premier league|bundesliga|NBA|serie A|champions league|NHL|NFL|second division|world cup|la liga".split("|")
TEAM_TAIL = ["United", "City", "FC", "Rovers", "Tigers", "Bears", "Lions", "Hawks", "Wolves", "Stars"]
CHANNEL = "BBC One|CNN|Arte|channel 4|ARD|RAI 1|HBO|Eurosport|channel 7|Discovery".split("|")
GAME = "chess checkers poker bingo scrabble sudoku hangman tetris snake solitaire go memory".split()
SIGN = "aries taurus gemini cancer leo virgo libra scorpio sagittarius capricorn aquarius pisces Leo Virgo Aries Libra".split()
NATION = "German French British American Indian Italian Polish Spanish Japanese Canadian Turkish Brazilian".split()
EXT = "txt md py json csv log yaml pdf html toml docx png".split()
FORMULA = ["{a} + {b}", "{a} * {b}", "{a} - {b}", "{a} / {b}", "({a} + {b}) * {c}", "{a}*{b}+{c}", "{a} + {b} - {c}", "{a} * ({b} - {c})", "sqrt({a})",
           "{a}^2", "{a}+{b}", "{a}*{b}", "2 * {a}", "{a} / {b} + {c}"]


def shown(v: Any) -> str:
    """As a request says it."""
    return ", ".join(map(str, v[:-1])) + " and " + str(v[-1]) if isinstance(v, list) else str(v)


def fill(w: Words, text: str) -> str:
    """Replace {maker} in a text."""
    while "{" in text:
        i = text.index("{")
        j = text.index("}", i)
        text = text[:i] + str(MAKERS[text[i + 1:j]](w)).replace("{", "(") + text[j + 1:]
    return text


def pick(items: Any, invented: float = .12) -> Callable[[Words], str]:
    """One of a list, or sometimes an invented word, so that copying does not hang on the list."""
    def make(w: Words) -> str:
        if invented and w.chance(invented / 4 if w.plain else invented):
            make_other: Callable[[], str] = w.one((w.invented, w.thing, lambda: w.one(ADJ) + " " + w.one(items)))
            return make_other()
        return str(w.one(items))
    return make


def filled(items: list[str]) -> Callable[[Words], str]:
    return lambda w: fill(w, w.one(items))


def path(w: Words) -> str:
    name = w.one((w.one(NOUN), w.invented(1, 2), w.one(NOUN) + "_" + w.one(NOUN), w.one(NOUN) + str(w.num(2)))) + "." + w.one(EXT)
    return w.one(("", "", "", "/tmp/", "docs/", "src/", "/home/" + w.first().lower() + "/", w.invented(1, 1) + "/", "./", "C:/")) + name


def folder(w: Words) -> str:
    return w.one(("/tmp", "src", "docs", "/var/log", "downloads", "Documents", "/home/" + w.first().lower(), w.invented(1, 2), w.one(NOUN) + "s",
                  "/etc", "~/" + w.one(NOUN), "data/" + w.one(NOUN), "pictures"))


def day(w: Words) -> str:
    return w.date() if w.chance(.3) else w.one((w.one(WEEKDAY), w.one(WEEKDAY), w.one(WEEKDAY).lower(), "tomorrow", "today", "next " + w.one(WEEKDAY),
                                               "the day after tomorrow", "yesterday", "this weekend", "next week"))


def word(w: Words) -> str:
    return w.one((w.invented(), w.one(NOUN), w.one(ADJ), w.one(NOUN), w.one(VERB), w.proper()))


def team(w: Words) -> str:
    return w.city() if w.chance(.3) else (w.city() if w.chance(.6) else "the " + w.proper()) + " " + w.one(TEAM_TAIL)


def service(w: Words) -> str:
    k = w.r.random()
    if k < .4:
        return w.one(SERVICE)
    return w.one(SERVICE) + "-" + str(w.num(1)) if k < .55 else w.invented(1, 2) + w.one(("-api", "-service", "", "_db", "-01", "-server"))


def expr(w: Words) -> str:
    return str(w.one(FORMULA)).format(a=w.num(), b=w.num(), c=w.num(1))


def item(w: Words) -> str:
    k = w.r.random()
    if w.chance(.08):
        return shapes.product(w) + " " + w.one(ITEM)
    if k < .55:
        return w.one(ITEM)
    return w.one(COLOR) + " " + w.one(ITEM) if k < .7 else w.thing() if k < .85 else w.proper() + " " + w.one(ITEM)


def clause(w: Words) -> str:
    text = fill(w, w.one(CLAUSE))
    return text[0].upper() + text[1:] if w.chance(.25) else text


def bignum(w: Words) -> str:
    n = w.num(w.one((4, 5, 6, 7)))
    return w.one((str(n), f"{n:,}", f"{w.num(2) / 10} million"))


def price(w: Words) -> str:
    return w.one((w.money(), f"{w.num(2)}.{w.num(2)}", f"{w.num()} euros", str(w.num())))


def listing(w: Words) -> str:
    make: Callable[[], str] = w.one((w.proper, w.thing, w.person, w.title, lambda: path(w), w.invented))
    items = [make() for _ in range(w.r.randint(1, 4))]
    return w.one((", ".join(items), json.dumps(items, ensure_ascii=False), ", ".join(items), "\n".join(items)))


def record(w: Words) -> str:
    keys = w.r.sample(["name", "age", "city", "id", "email", "status", "price", "total", "date", "temp", "count", "ok"], w.r.randint(1, 3))
    make: dict[str, Callable[[], Any]] = {"name": w.person, "age": lambda: w.num(2), "city": w.city, "email": w.email, "date": w.date, "ok": lambda: w.chance(.5),
                                          "status": lambda: w.one(("open", "active", "new", "paid"))}
    return json.dumps({k: make.get(k, w.num)() for k in keys}, ensure_ascii=False)


MAKERS: dict[str, Callable[[Words], Any]] = {
    "place": Words.place, "city": Words.city, "country": Words.country, "person": Words.person, "first": Words.first, "email": Words.email,
    "num": Words.num, "small": lambda w: w.r.randint(1, 30), "dec": lambda w: w.num() if w.chance(.5) else round(w.num(2) + w.r.randint(1, 99) / 100, 2),
    "pct": lambda w: w.r.randint(1, 100), "warm": lambda w: w.r.randint(14, 26) if w.chance(.7) else w.r.randint(14, 26) + .5,
    "bool": lambda w: w.chance(.5), "true": lambda w: True, "code": Words.code, "acct": lambda w: str(w.num(5)) if w.chance(.5) else w.code(),
    "date": Words.date, "day": day, "time": Words.time, "when": lambda w: w.time() if w.chance(.7) else day(w), "lang": pick(LANGUAGE, .1),
    "cur": pick(CURRENCY, .08), "currency": pick(CURRENCY, .08), "money": Words.money, "ticker": lambda w: w.one(TICKER) if w.chance(.6) else w.invented(1, 2).upper()[:5], "coin": pick(COIN, .2),
    "url": lambda w: w.one(("https://", "http://", "", "https://www.")) + w.invented(1, 2) + "." + w.one(("com", "org", "io", "net")) + w.one(("", "", "/" + w.one(NOUN), "/api/" + w.one(NOUN))),
    "domain": lambda w: w.invented(1, 2) + "." + w.one(("com", "org", "io", "net")), "ip": lambda w: ".".join(str(w.r.randint(1, 255)) for _ in range(4)),
    "path": path, "folder": folder, "item": item, "food": pick(FOOD), "dish": pick(DISH), "cuisine": pick(CUISINE, .1), "topic": Words.topic,
    "title": Words.title, "clause": clause, "word": word, "letter": lambda w: w.one("abcdefghiklmnoprstuw"), "room": pick(ROOM, .15), "device": pick(DEVICE, .15),
    "door": pick(DOOR, .1), "team": team, "league": pick(LEAGUE), "channel": pick(CHANNEL), "genre": pick(GENRE, .1), "plant": pick(PLANT), "animal": pick(ANIMAL),
    "service": service, "branch": lambda w: w.one(("main", "develop", "feature/" + w.invented(1, 2), "fix/" + w.one(NOUN), "release/" + str(w.num(1)) + "." + str(w.num(1)), w.invented())),
    "tablename": lambda w: w.one(TABLE) if w.chance(.6) else w.one((w.invented(), w.one(NOUN) + "_" + w.one(NOUN))), "version": lambda w: w.one(("", "v")) + f"{w.num(1)}.{w.num(1)}" + w.one(("", f".{w.num(1)}")),
    "package": lambda w: w.invented(), "command": filled(COMMAND), "sql": filled(SQL), "code_text": filled(CODE), "expr": expr, "symptom": pick(SYMPTOM, .15),
    "drug": pick(DRUG, .4), "doctor": lambda w: w.one(DOCTOR) if w.chance(.5) else "Dr. " + w.last(), "todo": filled(TODO), "event": filled(EVENT), "reason": pick(REASON, 0),
    "street": Words.street, "company": Words.company, "hotel": lambda w: w.one(("Hotel ", "", "Grand ", "")) + w.proper() + w.one((" Inn", "", " Palace", " Hotel", " Lodge")),
    "restaurant": lambda w: w.one(("", "Casa ", "Chez ", "Cafe ", "The ")) + w.proper() + w.one(("", "", " Grill", " Kitchen", "'s")), "flight": lambda w: w.one("ABDEKLQSU") + w.one("ABCFHXLY") + w.one(("", " ")) + str(w.num(3)),
    "sport": pick(SPORT, .1), "subject": pick(SUBJECT, .1), "dept": pick(DEPARTMENT, .1), "month": pick(MONTH, 0), "year": Words.year, "unit": pick(UNIT, .1), "nation": pick(NATION, .1),
    "thing": Words.thing, "scene": lambda w: "a " + w.one(ADJ) + " " + w.one((w.one(ANIMAL), w.one(NOUN))) + w.one(("", " in " + w.city(), " on a " + w.one(NOUN), " with a " + w.one(COLOR) + " hat")),
    "channelname": lambda w: w.one(("#", "#", "")) + w.one(("general", "random", "dev", "team", "sales", "support", w.one(NOUN), w.invented(1, 2))), "game": pick(GAME), "sign": pick(SIGN, .1),
    "jobtitle": lambda w: shapes.job(w) if w.shaped() else pick(JOB, .2)(w), "meetroom": lambda w: w.one((w.proper(), w.city(), w.one("ABCD") + str(w.num(1)), str(w.num(3)))), "proper": Words.proper, "phrase": Words.phrase,
    "noun": lambda w: w.one(NOUN), "adj": lambda w: w.one(ADJ), "verb": lambda w: w.one(VERB), "job": lambda w: w.one(JOB), "table": lambda w: w.one(TABLE),
    "nums": lambda w: [w.num(w.one((1, 1, 2, 2, 3))) for _ in range(w.r.randint(2, 5))], "equation": lambda w: w.one(("{a}x + {b} = {c}", "x + {a} = {b}", "{a}*x = {b}", "x^2 = {a}", "{a}x - {b} = {c}x")).format(a=w.num(1), b=w.num(), c=w.num()),
    "region": lambda w: w.one(("eu-west-1", "us-east-1", "eu-central", "asia-south1", "us-west-2", w.city().lower())), "handle": lambda w: w.one(("@", "")) + w.one((w.invented(), w.first().lower() + str(w.num(2)), w.first().lower() + "_" + w.one(NOUN))),
    "envkey": lambda w: w.one((w.one(NOUN).upper() + "_" + w.one(NOUN).upper(), w.one(NOUN) + "." + w.one(NOUN), w.one(NOUN) + "_" + w.one(NOUN), w.invented(1, 2).upper(), "max_" + w.one(NOUN))),
    "shop": lambda w: w.one(("the " + w.one(NOUN) + " shop", "the library", "the town hall", "the post office", "the bakery", "the museum", w.proper() + "'s", "the " + w.proper() + " store", "the pharmacy", "the zoo", "the bank")),
    "specialty": pick("dentist|eye doctor|heart doctor|vet|surgeon|dermatologist|psychologist".split("|"), .1), "seat": lambda w: str(w.r.randint(1, 40)) + w.one("ABCDEF"), "square": lambda w: w.one("abcdefgh") + str(w.r.randint(1, 8)),
    "formula": lambda w: w.one(("water", "H2O", "CO2", "NaCl", "gold", "iron", "ethanol", "C6H12O6", "helium", "lead", w.invented())), "color": pick(COLOR), "gifted": lambda w: w.one((w.first(), "my " + w.one(("mother", "father", "sister", "boss", "wife", "husband", "son", "teacher")))),
    # results
    "weather": lambda w: w.one(("{s}, {n} C", "{s}", "{n} degrees and {s}", "{s} and {n}°C", "{s}, {n} F", "{n} C, {s}")).format(s=fill(w, w.one(SKY)), n=w.r.randint(-9, 39)),
    "deg": lambda w: w.one(("{} C", "{}", "{} degrees", "{}°C")).format(w.one((w.num(2), w.num(2) / 2))), "price": price, "list": listing, "status": filled(STATUS), "done": filled(DONE),
    "sentence": filled(SENTENCE), "dist": lambda w: f"{w.num()} {w.one(('km', 'miles', 'm', 'kilometers'))}", "dur": lambda w: w.one((f"{w.num(1)} hours", f"{w.num(2)} minutes", f"{w.num(1)} h {w.num(2)} min")),
    "score": lambda w: f"{w.num(1)}{w.one(('-', ':'))}{w.num(1)}" + w.one(("", "", " against " + w.city())), "phone": Words.phone, "json": record, "bignum": bignum, "size": lambda w: f"{w.num()} {w.one(('KB', 'MB', 'GB'))}",
    "coords": lambda w: f"{w.num(2)}.{w.num(3)}, {w.num(2)}.{w.num(3)}", "bool_text": lambda w: w.one(("true", "false", "yes", "no")),
    "error": lambda w: "Error: " + fill(w, w.one(("no such {noun}", "{proper} not found", "timeout after {num} seconds", "permission denied", "unknown {noun}: {word}", "the service is down", "invalid {noun}", "HTTP 404", "connection refused", "no {noun} for {city}"))),
}

LETTERS = ["àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿœšžßğışčřůęąłńśźż", "абвгдежзиклмнопрстуфхцчшыэюя", "αβγδεζηθικλμνξοπρστυφχψω", "日本語中文天地人山川水火木金土東西南北", "🙂🚀🎉🌧☀🍕🐱❤👍"]


SCRIPTS = [(0x4E00, 0x9FA5), (0x4E00, 0x9FA5), (0x3041, 0x3096), (0x30A1, 0x30FA), (0xAC00, 0xD7A3), (0x0905, 0x0939), (0x0621, 0x064A), (0x05D0, 0x05EA), (0x0E01, 0x0E30), (0x1F300, 0x1F5FF)]


def script(w: Words) -> str:
    """Letters of any of the world's scripts, in no order that means anything: only their bytes can be copied."""
    low, high = w.one(SCRIPTS)
    return "".join(chr(w.r.randint(low, high)) for _ in range(w.one((1, 2, 2, 3, 3, 4, 5, 6))))


def foreign(w: Words) -> str:
    """Words in other letters: their bytes have to be copied too."""
    if w.chance(.4):
        return script(w) if w.chance(.6) else script(w) + w.one((" ", "", "-", "・", " & ")) + w.one((script, Words.proper))(w)
    letters = w.one(LETTERS) if w.chance(.4) else LETTERS[0]
    words = []
    for _ in range(w.one((1, 1, 2, 3))):
        base = list(w.invented(1, 2)) if letters is LETTERS[0] else [w.one(letters) for _ in range(w.r.randint(1, 6))]
        base[w.r.randrange(len(base))] = w.one(letters)
        words.append("".join(base))
    return " ".join(words)


def odd(w: Words) -> str:
    """Strings that no word list holds: passwords, arrows, paths, lists of digits."""
    k = w.r.random()
    if k < .4:
        return "".join(w.one("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789!#$%&*+-_=?@/:;.") for _ in range(w.r.randint(3, 12)))
    if k < .6:
        return w.one((", ", " ", "; ", "-", "/")).join(str(w.r.randint(0, 12)) for _ in range(w.r.randint(2, 8)))
    return w.one(("{} -> {}", "{}: {}", "{} = {}", "{} | {}", "{} ({})", "{}, {}", "{}/{}", "{} and {}", "{} - {}")).format(word(w), w.one((word(w), w.num())))


def paragraph(w: Words) -> str:
    """What a search returns: a few sentences."""
    return w.one((" ", " ", "\n")).join(t if t.endswith(".") else t + "." for t in (fill(w, w.one(SENTENCE)) for _ in range(w.r.randint(2, 4))))


MAKERS.update(foreign=foreign, odd=odd, paragraph=paragraph)
SHAPES = ("foreign", "odd", "odd", "paragraph", "num", "num", "weather", "sentence", "sentence", "done", "json", "list", "time", "price", "code", "phrase", "dist", "date", "email", "bool_text", "proper", "deg", "topic", "clause", "person")


LONGER = """the {noun} on {noun} {num} is {adj}|the {noun} in the {room} is {adj}|{first} cannot {verb} the {noun}|the {noun} of {first} does not {verb}|we {verb} the {noun} on {day}|{first} and {first} {verb} the {noun}|
I {verb} {num} {noun}s for {first}|our {noun} is {adj} and {adj}|the {adj} {noun} next to the {noun}|my {noun} has no {noun}|{first} wants to {verb} in {city}|there is a {noun} in my {noun}|the {noun} was {adj} in {city}|
nobody can {verb} the {noun}|you should {verb} before {time}|the {noun} for {first} is in the {room}""".replace("\n", "").split("|")
QUERIES = """best {adj} {noun}s in {city}|how to {verb} a {noun}|who invented the {noun}|why is the {noun} {adj}|the history of the {noun}|{noun}s for {noun}s|{adj} {noun} near {city}|the {noun} of {city}|latest {noun} of {company}|{noun} and {noun}|
what {noun}s {verb}|{person}'s {noun}|cheap {noun}s|the biggest {noun} in {country}|{noun} in {year}|where to {verb} {noun}s|{proper} against {proper}|open {noun}s in {city}|how many {noun}s a {animal} has|{person} and the {noun}|
the {adj} {noun} from {company}|{noun} without {noun}|the {noun} at {time}|when the {noun} opens|{subject} for {job}s""".replace("\n", "").split("|")
NAMES = "The {a} of the {b}|{a} and {b}|A {a} in {c}|The {a}|{a} {b}|My {a} {b}|{a} of {b} and {a}|No {a} for {p}|The Last {a} of {c}|{p}'s {a}|Back to the {a}|{a} at {b}|The {a} in the {b}|Goodbye, {c}".split("|")


def query(w: Words) -> str:
    """What people search for, with the small words in it."""
    return w.topic() if w.chance(.4) else fill(w, w.one(QUERIES))


def name_of_work(w: Words) -> str:
    """Titles of several words."""
    if w.chance(.45):
        return w.title()
    return str(w.one(NAMES)).format(a=w.one(NOUN).capitalize(), b=w.one(NOUN).capitalize(), c=w.city(), p=w.first())


def statement(w: Words) -> str:
    k = w.r.random()
    text = clause(w) if k < .5 else fill(w, w.one(LONGER))
    return text if k < .85 else text + w.one((" and ", " because ", " but ", ", ")) + fill(w, w.one(LONGER))


MAKERS.update(topic=query, title=name_of_work, clause=statement)
FREE = {"word", "clause", "title", "thing", "topic", "proper", "phrase", "place", "person", "first", "item"}


def value(w: Words, maker: str, options: tuple[str, ...] = ()) -> Any:
    if options:
        return w.one(options)
    if maker in FREE and w.chance(.05):  # text parameters take anything
        return w.one((foreign, foreign, odd, paragraph))(w).replace("\n", " ")
    return MAKERS[maker](w)


def result(w: Words, shape: str) -> str:
    """A tool result: of the kind's own shape, or of any; now and then an error."""
    k = w.r.random()
    if k < .04:
        return str(MAKERS["error"](w))
    name = shape if k < .6 and shape != "any" else w.one(SHAPES)
    return str(MAKERS["bool_text" if name == "bool" else name](w)).strip()
