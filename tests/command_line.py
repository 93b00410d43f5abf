"""The command line as a person runs it: as a process, in pipes and in a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
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

    def wait_for(self, text: str, after: int = 0) -> int:
        """Read until `text` appears behind position `after`; returns the position behind it."""
        deadline = time.monotonic() + TIMEOUT
        while (at := self.screen.find(text, after)) < 0:
            assert time.monotonic() < deadline, f"no {text!r} in {self.screen!r}"
            ready, _, _ = select.select([self.descriptor], [], [], 1.0)
            if ready:
                try:
                    self.screen += os.read(self.descriptor, 65536).decode(errors="replace")
                except OSError:  # how Linux says that the other side has closed the terminal
                    assert text in self.screen[after:], self.screen
        return at + len(text)


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "COLUMNS": "200"}
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
