"""What share each skill has in the training data, and how that changes on the way."""
from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from functools import cache
from typing import Any

from .words import Words

Sample = dict[str, Any]
PLAIN = .65  # the share of training samples with everyday values
Skill = Callable[[Words], Sample]

# shares of the modules; within a module its own WEIGHTS count, else the skills named below, all others alike
MODULES: dict[str, float] = {"tools": 27, "extraction": 36, "passages": 26, "talk": 5, "structured": 20, "react": 5, "related": 1.5}
SHARES: dict[str, float] = {"tool": 4, "choice": 1.5, "drill": 4.5, "parallel": .5, "sequence": .5, "no_tool": .25}


@cache
def shares(module: str) -> dict[str, float]:
    """The skills of a module with their shares within it."""
    own: dict[str, float] = getattr(importlib.import_module(f"{__package__}.{module}"), "WEIGHTS", SHARES)
    return {name: own.get(name, 1.0) for name in skills(module)}


@cache
def skills(module: str) -> dict[str, Skill]:
    try:
        found: dict[str, Skill] = importlib.import_module(f"{__package__}.{module}").SKILLS
    except ModuleNotFoundError:
        return {}
    return found


def weights(progress: float) -> dict[tuple[str, str], float]:
    """(module, skill) -> share. Copying comes first: every other skill is built on it."""
    out: dict[tuple[str, str], float] = {}
    for module, share in MODULES.items():
        names = skills(module)
        if module == "extraction" and progress < .08:
            share *= 3
        if module == "tools" and progress > .08:
            share *= 1.15
        total = sum(shares(module).values()) if names else 1.0
        for n in names:
            if module == "tools" and n == "no_tool" and not skills("talk"):
                continue
            out[module, n] = share * shares(module)[n] / total
    return out


class Mixture:
    def __init__(self, seed: int, split: str = "train") -> None:
        self.words = Words(seed, split)
        self.r = random.Random(seed + 7)
        self.at = -1.0
        self.keys: list[tuple[str, str]] = []
        self.shares: list[float] = []

    def draw(self, progress: float = 1.0) -> Sample:
        if abs(progress - self.at) > .01 or not self.keys:
            table = weights(progress)
            self.at, self.keys, self.shares = progress, list(table), list(table.values())
        module, name = self.r.choices(self.keys, self.shares)[0]
        self.words.new_sample(PLAIN if self.words.split == "train" else 0)
        return skills(module)[name](self.words)
