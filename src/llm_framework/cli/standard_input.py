"""What is piped into a command."""

from __future__ import annotations

import os
import select
import sys

from ..errors import InvalidRequestError

PATIENCE = 3.0  # seconds for the first byte of a pipe that nobody asked for


def is_terminal() -> bool:
    """Whether a person types; False too where the program was started without a standard input."""
    return sys.stdin is not None and sys.stdin.isatty()


def read_prompt(prompt: str | None) -> str:
    """The prompt of a command: its argument, below what is piped in; without one or with '-', that alone.

    Raises `InvalidRequestError` where there is neither.
    """
    if prompt is None and (is_terminal() or sys.stdin is None):
        raise InvalidRequestError("no prompt: give one as an argument or pipe it in")
    if prompt is None or prompt == "-":
        return _all_of_it()
    piped = _all_of_it() if _something_comes() else ""
    return f"{piped}\n\n{prompt}" if piped else prompt


def _all_of_it() -> str:
    """The whole standard input; bytes that are no text in its encoding become U+FFFD, as logs have them."""
    if sys.stdin is None:
        return ""
    return sys.stdin.buffer.read().decode(sys.stdin.encoding or "utf-8", "replace").strip()


def _something_comes() -> bool:
    """Whether the standard input is a file, or a pipe that has something to say.

    Programs are also started with a pipe that nobody ever writes to or closes: that must not keep a command waiting
    which has its prompt. And a file that is half read is somebody else's, such as the lines of a `while read` loop.
    """
    if sys.stdin is None or is_terminal():
        return False
    try:
        return os.lseek(sys.stdin.fileno(), 0, os.SEEK_CUR) == 0
    except OSError:  # what cannot be sought in is a pipe
        return _is_written_to()


def _is_written_to() -> bool:
    """Whether a pipe has something, or is at its end, within a moment."""
    try:
        ready, _, _ = select.select([sys.stdin.buffer], [], [], PATIENCE)
    except OSError:  # Windows asks sockets only
        return True
    if not ready:
        print(f"Nothing came on standard input for {PATIENCE:.0f} s: the prompt is asked alone.", file=sys.stderr)
    return bool(ready)
