"""The tool kinds of `data/kinds_*.txt`, read into objects.

A block of the tables is one kind of tool:

    n: names it goes by
    d: descriptions, separated by |
    p: parameters as name/other_name?:type=maker   (`?`: optional, default type string,
       the maker is a function of `values.py`, or `enum:a,b`)
    np: noun phrases ("the weather in {0}"), they go into frames such as "What is ...?"
    vp: verb phrases ("check the weather in {0}"), for "Please ...", "Can you ...?"
    q: whole requests
    r: the shape of the results

`{0}` is the first parameter, `{N}` the tool's name, `{1:on/off}` a boolean in words.
"""
from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Param:
    names: tuple[str, ...]
    type: str
    maker: str
    optional: bool = False
    options: tuple[str, ...] = ()


@dataclass
class Kind:
    domain: str
    names: list[str]
    descs: list[str]
    params: list[Param]
    np: list[str] = field(default_factory=list)
    vp: list[str] = field(default_factory=list)
    q: list[str] = field(default_factory=list)
    result: str = "num"
    about: tuple[str, str] = ("", "")  # of composed kinds: ("action", "ticket"), ("attribute", "city")

    @property
    def key(self) -> str:
        return self.names[0] + "/" + self.descs[0]

    def templates(self, split: str) -> list[tuple[str, str]]:
        """(form, template) of one split; templates belong to a split by their hash."""
        every = [(f, t) for f, ts in (("np", self.np), ("vp", self.vp), ("q", self.q)) for t in ts]
        mine = [x for x in every if phrase_split(x[1]) == split]
        return mine or every


def phrase_split(template: str) -> str:
    return "eval" if zlib.crc32(("t" + template).encode()) % 12 == 0 else "train"


def kind_split(kind: Kind) -> str:
    """Whole kinds that training never sees."""
    return "eval" if zlib.crc32(("k" + kind.key).encode()) % 16 == 0 else "train"


PARAM = re.compile(r"([\w/?]+?)(\?)?(?::([\w\[\]]+))?=(?:enum:(\S+)|(\w+))$")


def read_param(text: str) -> Param:
    m = PARAM.match(text)
    if not m:
        raise ValueError(f"not a parameter: {text!r}")
    names, opt, kind, enum, maker = m.groups()
    return Param(tuple(n.rstrip("?") for n in names.split("/")), kind or "string", maker or "enum", bool(opt),
                 tuple(enum.split(",")) if enum else ())


def parts(text: str) -> list[str]:
    return [p.strip() for p in text.split("|") if p.strip()]


def read_kinds(table: str) -> list[Kind]:
    out: list[Kind] = []
    domain = ""
    for line in table.splitlines():
        line = line.strip()
        if line.startswith("# "):
            domain = line[2:]
        elif line.startswith("n:"):
            out.append(Kind(domain, line[2:].split(), [], []))
        elif line:
            key, _, rest = line.partition(":")
            kind = out[-1]
            if key == "p":
                kind.params = [read_param(p) for p in rest.split()]
            elif key == "r":
                kind.result = rest.strip()
            else:
                setattr(kind, {"d": "descs"}.get(key, key), parts(rest))
    return out


def add_asks(kinds: list[Kind], table: str) -> list[Kind]:
    """Put further requests to their kinds, the first of the name."""
    by_name = {k.names[0]: k for k in reversed(kinds)}
    for line in filter(None, table.splitlines()):
        name, _, rest = line.partition(": ")
        kind = by_name[name]
        kind.q += [q for q in parts(rest) if q not in kind.q]
    return kinds


def table(name: str) -> str:
    return (Path(__file__).parent / "data" / f"kinds_{name}.txt").read_text(encoding="utf-8")


KINDS: list[Kind] = add_asks([kind for name in ("life", "work", "more") for kind in read_kinds(table(name))], table("asks"))

# Kinds that one request could mean alike never stand in one prompt.
ALIKE: list[set[str]] = [
    {"search", "wikipedia", "search_docs", "get_news", "search_notes", "planet_info", "element_info", "country_info", "company_info",
     "animal_facts", "plant_care"},
    {"add", "subtract", "multiply", "divide", "calculator"}, {"calculator", "power", "percentage", "sqrt", "factorial", "run_python"},
    {"get_weather", "get_forecast"}, {"get_weather", "get_temperature"}, {"get_forecast", "get_temperature"}, {"get_time", "now"},
    {"now", "today"}, {"control_light", "turn_on_light", "turn_off_light", "switch_device"}, {"send_email", "send_message"},
    {"run_command", "run_python", "run_query"}, {"search_products", "check_stock"}, {"order_status", "track_package"},
    {"create_event", "schedule_meeting", "book_appointment"}, {"add_task", "set_reminder", "save_note"},
    {"get_population", "elevation"}, {"read_file", "download_file", "http_get"}, {"search_emails", "search_notes", "search"},
    {"get_user", "get_customer"}, {"find_attractions", "search"}, {"define", "search", "wikipedia"}, {"flip_coin", "roll_dice"},
    {"unit_converter", "convert_currency", "exchange_rate"}, {"service_status", "ping", "machine_status"}, {"square", "sqrt", "factorial"},
    {"add", "sum_list", "calculator"}, {"now", "tax_office_hours"}, {"search_papers", "search", "search_videos"}, {"divide", "modulo"}, {"insurance_quote", "get_stock_price"},
    {"read_sensor", "humidity"}, {"get_logs", "container_logs"}, {"send_message", "send_alert"}, {"post_message", "post_tweet"}, {"table_schema", "count_records"}, {"find_restaurant", "menu", "order_food"}, {"get_recipe", "order_food"},
]


def alike(a: Kind, b: Kind) -> bool:
    x, y = a.names[0], b.names[0]
    return x == y or any(x in g and y in g for g in ALIKE)
