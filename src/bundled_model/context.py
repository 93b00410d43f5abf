"""Requests in two sentences: the first names the value, the second asks about "it", "her", "there"."""
from __future__ import annotations

from .words import Words

PEOPLE = """I met {0} yesterday.|{0} is a friend of mine.|My sister {0} has moved.|I want to write to {0}.|{0} works with me.|My neighbour {0} has a party.|I saw {0} in town.|My brother {0} is ill.|
I'm worried about {0}.|You know {0}, don't you?|{0} called me today.|I have to visit {0}.|My boss is {0}.|There is a new colleague, {0}.|I got a letter from {0}.|{0} is getting married.""".replace("\n", "").split("|")
PLACES = """I am in {0}.|I'm going to {0}.|We fly to {0} tomorrow.|My sister lives in {0}.|I have moved to {0}.|We are on our way to {0}.|My train goes to {0}.|I have never been to {0}.|I'm stuck in {0}.|
I'll be in {0} on Monday.|My parents are in {0}.|The meeting is in {0}.|I like {0}.|We want to see {0}.|I have an office in {0}.|I'm thinking about {0}.""".replace("\n", "").split("|")
CODES = """The number is {0}.|It's {0}.|I have {0} here.|It says {0}.|Mine is {0}.|Look at {0}.|I'm talking about {0}.|The customer says {0}.|This is about {0}.|I got {0}.""".split("|")
THINGS = """I want to buy {0}.|I like {0}.|My son wants {0}.|I was thinking of {0}.|Somebody told me about {0}.|I have heard of {0}.|I'm interested in {0}.|Look at {0}.|It's about {0}.|I have a question on {0}.|We talked about {0}.""".replace("\n", "").split("|")
INTROS: dict[str, list[str]] = {"person": PEOPLE, "first": PEOPLE, "place": PLACES, "city": PLACES, "country": PLACES, "code": CODES, "flight": CODES, "acct": CODES, "email": CODES}
PLAIN = {"item", "food", "dish", "title", "company", "team", "topic", "service", "path", "tablename", "plant", "animal", "game", "ticker", "coin", "device", "domain", "url", "proper", "word"}


def two_sentences(w: Words, maker: str, phrase: str) -> tuple[str, str] | None:
    """(a sentence that names {0}, the noun phrase with a pronoun), where that can be said."""
    intros = INTROS.get(maker) or (THINGS if maker in PLAIN else None)
    if intros is None or phrase.count("{") != 1:
        return None
    person = intros is PEOPLE
    if phrase.endswith(" in {0}") and intros is PLACES:
        after = phrase[:-7] + " there"
    elif phrase.endswith(" of {0}") and phrase.startswith("the "):
        after = (w.one(("his ", "her ")) if person else "its ") + phrase[4:-7]
    elif phrase.endswith(" for {0}"):
        after = phrase[:-4] + ("there" if intros is PLACES else w.one(("him", "her")) if person else "it")
    else:
        return None
    return w.one(intros), after.replace("for there", "there")
