"""From token ids to text, piece by piece: whole characters only, ending at the first stop string.

However the tokens cut the text, the pieces add up to the same: the bytes of a character are held back until it is
whole, and what may be the beginning of a stop string until it is certain that it is none.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence


class StopStrings:
    """Ends a text at the earliest place where one of `stop` begins. The stop string is not part of the text."""

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = tuple(stop)
        self._window = max(map(len, self._stop), default=1) - 1
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """The text that is certain after this piece; "" for ever once `stopped`."""
        if self.stopped:
            return ""
        text = self._held + text
        match = self._first_match(text)
        begins = self._first_beginning(text)
        # A longer stop string may still begin before the one that was found.
        if match is not None and (begins is None or begins >= match):
            self.stopped, self._held = True, ""
            return text[:match]
        certain = len(text) if begins is None else begins
        self._held = text[certain:]
        return text[:certain]

    def finish(self) -> str:
        """What was held back, now that nothing more comes."""
        text, self._held = self._held, ""
        match = self._first_match(text)
        if match is None or self.stopped:
            return text
        self.stopped = True
        return text[:match]

    def _first_match(self, text: str) -> int | None:
        return min((at for at in map(text.find, self._stop) if at >= 0), default=None)

    def _first_beginning(self, text: str) -> int | None:
        """Where at the end of the text a stop string may have begun that is not whole yet."""
        tails = (text[at:] for at in range(max(0, len(text) - self._window), len(text)))
        begun = (tail for tail in tails if any(len(stop) > len(tail) and stop.startswith(tail) for stop in self._stop))
        longest = next(begun, None)
        return None if longest is None else len(text) - len(longest)


class TextStream:
    """The text of tokens that come one by one. `token_bytes` gives a token's UTF-8 bytes; what is no UTF-8 becomes
    U+FFFD."""

    def __init__(self, token_bytes: Callable[[int], bytes], stop: Sequence[str] = ()) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = StopStrings(stop)

    @property
    def stopped(self) -> bool:
        """A stop string was met: what follows is not part of the text."""
        return self._stop.stopped

    def feed(self, token: int) -> str:
        """The text that is certain after this token."""
        return self._stop.feed(self._decoder.decode(self._token_bytes(token)))

    def finish(self) -> str:
        """What was held back, now that no token follows."""
        text = self._stop.feed(self._decoder.decode(b"", final=True))
        return text + self._stop.finish()
