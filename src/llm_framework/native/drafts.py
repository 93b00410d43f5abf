"""Prompt-lookup drafts: guesses at the next tokens, copied from where the text so far went the same way before.

Answers repeat their prompts: extracts, quotes, JSON with known keys, code that is changed here and there. The engine
draws behind all guesses in one pass and goes on up to the first that was wrong, so what is drawn is what it would be
without. A pass with guesses costs a little more; whether that pays is estimated for each request, and guessing ends
where it does not.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

MAX_DRAFTS = 12
MAX_ROWS = 4  # requests that decode together; with more, the processor has enough to do without guesses
_MATCHES = (4, 2)  # tokens that must agree, the longest first
_SHORT_MATCH_DRAFTS = 3  # guesses behind a match of the shortest kind
_PRIOR = 0.6  # of a guess being right, before any was tried
_MEMORY = 0.85  # how much of the estimate stays from one guess to the next
_FIRST_PAUSE, _LONGEST_PAUSE = 24, 768  # tokens without guesses after guessing did not pay
_WIDTH = array("i").itemsize


class Lookup:
    """Guesses for one request, and whether they pay."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._text = bytearray(array("i", tokens).tobytes())
        self._accepted = _PRIOR  # estimate of the share of guesses that come true
        self._pause = _FIRST_PAUSE
        self._paused = 0  # tokens until guessing is tried again

    def guess(self, most: int, cost: float) -> list[int]:
        """At most `most` guesses at the tokens that follow; none where it does not pay. `cost` is what a guess adds to
        a step, as a part of what the step costs without."""
        if self._paused > 0:
            return []
        number = min(most, best_number(self._accepted, cost))
        if number == 0:
            self._accepted, self._paused = _PRIOR, self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            return []
        for length in _MATCHES:
            at = self._find(length)
            if at >= 0:
                end = at + _WIDTH * (number if length == _MATCHES[0] else min(number, _SHORT_MATCH_DRAFTS))
                return array("i", bytes(self._text[at:end])).tolist()
        return []

    def extend(self, tokens: Sequence[int], num_drafts: int = 0) -> None:
        """Take in what was drawn: of the step's guesses all that came true, and one token more."""
        self._text += array("i", tokens).tobytes()
        self._paused -= len(tokens)
        if num_drafts == 0:
            return
        num_right = min(len(tokens) - 1, num_drafts)
        for _ in range(num_right):
            self._accepted = _MEMORY * self._accepted + (1 - _MEMORY)
        if num_right < num_drafts:
            self._accepted *= _MEMORY  # the guesses behind the first wrong one were not tried
        else:
            self._pause = _FIRST_PAUSE

    def _find(self, length: int) -> int:
        """Where the text goes on behind the last place that holds what it ends with; -1 for nowhere."""
        text, size = self._text, length * _WIDTH
        if len(text) <= size:
            return -1
        key = bytes(text[-size:])
        at = text.rfind(key, 0, len(text) - _WIDTH)
        while at >= 0 and at % _WIDTH:
            at = text.rfind(key, 0, at + size - 1)
        return at + size if at >= 0 else -1


def best_number(accepted: float, cost: float) -> int:
    """How many guesses make the most tokens a second, where each comes true with the probability `accepted`, and adds
    the part `cost` to a step."""
    best, best_rate = 0, 1.0
    tokens = chance = 1.0
    for number in range(1, MAX_DRAFTS + 1):
        chance *= accepted
        tokens += chance
        rate = tokens / (1.0 + number * cost)
        if rate > best_rate:
            best, best_rate = number, rate
    return best


class DraftCost:
    """What guesses cost on this machine, measured: the part that each adds to a step of so many rows."""

    def __init__(self) -> None:
        self._plain: dict[int, float] = {}  # seconds of a step without guesses, by its rows
        self.cost = 0.1

    def observe(self, num_rows: int, num_drafts: int, seconds: float) -> None:
        """Take in how long a step took in which every row decoded."""
        plain = self._plain.get(num_rows)
        if num_drafts == 0:
            self._plain[num_rows] = seconds if plain is None else plain + 0.2 * (seconds - plain)
        elif plain is not None:
            # A step that was held up says nothing about guesses: one measurement moves the estimate by little.
            measured = min(max(seconds / plain - 1.0, 0.0) / num_drafts, 1.0)
            self.cost += 0.05 * (measured - self.cost)
