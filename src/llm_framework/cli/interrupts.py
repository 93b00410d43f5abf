"""Ctrl-C that is never lost, also in the moment before a read from the terminal begins to wait."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

RETRY_SECONDS = 0.05
RETRIES = 20


class Interrupts:
    """While inside, each Ctrl-C becomes a KeyboardInterrupt in the main thread within a moment.

    Python only notes that a signal came; the exception is raised when the main thread next runs Python code, or when
    the signal wakes it from waiting. A signal that comes after readline was entered and before it waits does neither,
    and would be noticed with the next key. So a thread, which hears of every signal as it comes, wakes the main thread
    until Python has dealt with it. It wakes it by SIGURG, which means nothing to a program that does not ask for it.
    """

    def __enter__(self) -> Interrupts:
        self._handled = threading.Event()
        self._main = threading.get_ident()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._before: dict[int, Any] = {
            signal.SIGURG: signal.signal(signal.SIGURG, _nothing),
            signal.SIGINT: signal.signal(signal.SIGINT, self._interrupt),
        }
        self._thread = threading.Thread(target=self._watch, daemon=True, name="llm-framework-interrupts")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._writer)
        self._thread.join()
        os.close(self._reader)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._handled.set()
        raise KeyboardInterrupt

    def _watch(self) -> None:
        while numbers := os.read(self._reader, 1):  # empty at the end
            if numbers[0] == signal.SIGINT:
                self._wake()

    def _wake(self) -> None:
        for _ in range(RETRIES):
            if self._handled.wait(RETRY_SECONDS):
                break
            signal.pthread_kill(self._main, signal.SIGURG)
        self._handled.clear()


def _nothing(number: int, frame: FrameType | None) -> None:
    """That there is a handler is what makes a signal end a wait."""
