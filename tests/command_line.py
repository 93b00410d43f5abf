"""The command line as a person runs it: as a process, in pipes and in a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

COMMAND = [sys.executable, "-m", "llm_framework.cli"]
TIMEOUT = 120


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], input=stdin, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self.descriptor = descriptor
        self.process = process
        self.screen = ""

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def read(self) -> bool:
        """Take in what is shown now, waiting a second at most. False where the other side has closed the terminal."""
        ready, _, _ = select.select([self.descriptor], [], [], 1.0)
        try:
            self.screen += os.read(self.descriptor, 65536).decode(errors="replace") if ready else ""
        except OSError:  # how Linux says so
            return False
        return True

    def wait_for(self, text: str, after: int = 0) -> int:
        """Read until `text` appears behind position `after`; returns the position behind it."""
        return self.wait_for_any(text, after=after)[1]

    def wait_for_any(self, *texts: str, after: int = 0) -> tuple[str, int]:
        """Read until one of the texts appears; returns it and the position behind it."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            for text in texts:
                if (at := self.screen.find(text, after)) >= 0:
                    return text, at + len(text)
            assert time.monotonic() < deadline, f"none of {texts} in {self.screen!r}"
            assert self.read(), self.screen


@contextmanager
def terminal(*arguments: str, term: str = "dumb", command: Sequence[str] = COMMAND) -> Iterator[Terminal]:
    """The command on a terminal of its own, which turns Ctrl-C into a signal as every terminal does."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    environment = {**os.environ, "TERM": term, "COLUMNS": "200"}
    process = subprocess.Popen(
        [*command, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, preexec_fn=_own_terminal
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _own_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
