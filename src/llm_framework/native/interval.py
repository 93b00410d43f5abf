"""How long other Python threads keep the interpreter from the one that runs the engine."""

from __future__ import annotations

import sys
import threading

# Seconds. Each token needs the interpreter a few times; by Python's own 5 ms a thread that computes in Python would
# make a token of 10 ms take 20.
INTERVAL = 0.0001


class QuickTurns:
    """While anyone is inside, threads that hold the interpreter give it up soon after another one asks for it.

    That is a setting of the whole process (`sys.setswitchinterval`), so it is shared by all who are inside, and put
    back by the last one, unless somebody else has changed it meanwhile. A shorter one is left as it is.
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 0.0
        self._set = 0.0

    def enter(self) -> None:
        """Begin; once for each `leave`."""
        with self._lock:
            self._inside += 1
            before = sys.getswitchinterval()
            if self._inside == 1 and before > self._interval:
                sys.setswitchinterval(self._interval)
                self._before, self._set = before, sys.getswitchinterval()

    def leave(self) -> None:
        """End."""
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._before:
                if sys.getswitchinterval() == self._set:
                    sys.setswitchinterval(self._before)
                self._before = 0.0


quick_turns = QuickTurns()
"""The one of this process."""
