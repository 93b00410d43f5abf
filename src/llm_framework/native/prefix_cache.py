"""Beginnings of texts that the engine has read already, so that no prompt is read twice.

What is kept are sequences as the engine left them: at the end of each prompt, at the end of each answer, and where
several prompts were seen to part ways. Kept sequences share their memory with each other and with those that run, so a
document with ten questions takes the room of one document.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

MIN_SHARED = 8  # tokens; fewer are read sooner than shared
_WIDTH = array("i").itemsize


class Keepable(Protocol):
    """A sequence that can be kept, as `_native.Sequence` can."""

    @property
    def length(self) -> int: ...
    @property
    def shortest(self) -> int: ...
    def fork(self, length: int, capacity: int) -> Any: ...
    def hold(self) -> int: ...
    def release(self) -> int: ...


def text_key(tokens: Sequence[int]) -> bytes:
    """Tokens in a form in which long texts are compared fast: an int each. Empty where one is no token id."""
    try:
        return array("i", tokens).tobytes()
    except (OverflowError, TypeError):
        return b""


def common_length(a: bytes, b: bytes) -> int:
    """How many tokens two texts, as `text_key` makes them, begin with in common."""
    low, high = 0, min(len(a), len(b)) // _WIDTH
    step = 16
    while low < high:
        middle = min(low + step, high)
        if a[_WIDTH * low : _WIDTH * middle] == b[_WIDTH * low : _WIDTH * middle]:
            low, step = middle, 2 * step  # they mostly agree far or not at all
        else:
            high, step = middle - 1, max(1, (middle - low) // 2)
    return low


@dataclass(frozen=True, slots=True)
class Entry:
    """A text that was read, and the sequence that holds it, which does not change any more; `shortest` is its own."""

    text: bytes
    sequence: Keepable
    shortest: int

    def serves_all_of(self, other: Entry) -> bool:
        """Whether whatever could go on from `other` can go on from this one."""
        return self.shortest <= other.shortest and self.text.startswith(other.text)


@dataclass(frozen=True, slots=True)
class Found:
    """What a prompt has in common with the kept texts: the first `length` tokens of `entry`. `branch` is the length of
    a longer beginning that another has, and that its sequence cannot go back to any more; 0 for none."""

    entry: Entry | None = None
    length: int = 0
    branch: int = 0


class PrefixCache:
    """Kept sequences, `max_bytes` of them together (0: none), the least recently used out first.

    One thread at a time. Sequences that are kept belong to the cache: nobody else may change them.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0  # that the kept sequences occupy together
        self._entries: dict[bytes, Entry] = {}  # the one used last is the last

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, text: bytes) -> Found:
        """The longest beginning of a prompt that can be gone on from; at least its last token is left to be read."""
        found: Entry | None = None
        longest = branch = 0
        most = len(text) // _WIDTH - 1
        for entry in self._entries.values():
            length = min(common_length(entry.text, text), most)
            if length < max(MIN_SHARED, longest):
                continue
            if length >= entry.shortest:
                found, longest = entry, length
            else:
                branch = max(branch, length)
        return Found(found, longest, branch if branch >= longest + MIN_SHARED else 0)

    def touch(self, entry: Entry) -> None:
        """Count the entry as used."""
        if self._entries.pop(entry.text, None) is not None:
            self._entries[entry.text] = entry

    def keep(self, tokens: Sequence[int], sequence: Keepable) -> None:
        """Keep a sequence, which holds `tokens`. Texts that it makes superfluous go."""
        entry = Entry(text_key(tokens), sequence, sequence.shortest)
        if not self.max_bytes or len(entry.text) < _WIDTH * MIN_SHARED:
            return
        for known in list(self._entries.values()):
            if known.serves_all_of(entry):
                return self.touch(known)
            if entry.serves_all_of(known):
                self._drop(known)
        self._drop(self._entries.get(entry.text))
        self._entries[entry.text] = entry
        self.num_bytes += sequence.hold()
        while self.num_bytes > self.max_bytes:
            self._drop(next(iter(self._entries.values())))

    def clear(self) -> None:
        """Let go of everything."""
        for entry in list(self._entries.values()):
            self._drop(entry)

    def _drop(self, entry: Entry | None) -> None:
        if entry is not None:
            del self._entries[entry.text]
            self.num_bytes -= entry.sequence.release()
