"""One question and answer of small talk, for the chats where tools stand idle."""
from __future__ import annotations

from .words import Words


def small_talk(w: Words) -> tuple[str, str]:
    from .talk import SKILLS
    make = SKILLS.get("greeting") or next(iter(SKILLS.values()))
    while True:
        turns = make(w)["turns"]
        if len(turns) == 2 and "\n\n" not in turns[0][1]:  # without system text
            return turns[0][1], turns[1][1]
