"""Reading what a person types: line editing, a history that outlives the chat, completion, texts of several lines."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

PROMPT = "> "
MORE = ". "
BLOCK = '"""'
MAX_HISTORY = 1000  # lines

Complete = Callable[[str, str], list[str]]
"""The line as far as it is typed, and its last word, to the words that may stand in that one's place."""


def history_path() -> Path:
    """Where the lines of earlier chats are."""
    from platformdirs import user_state_path

    return user_state_path("llm-framework", appauthor=False) / "chat_history"


class LineEditor:
    """Questions from a terminal. Without `history` (a file) nothing is kept."""

    def __init__(self, complete: Complete, history: Path | None) -> None:
        self._complete = complete
        self._history = history
        self._readline = _readline()
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # a key of another encoding is no reason to end a chat
        if self._readline is not None:
            self._bind(self._readline)
            self._load(self._readline)

    def read(self) -> str | None:
        '''The next question, without the white space behind it; None at the end of the input.

        A line that ends with a backslash goes on in the next one; between two lines of """ stands a text of any number
        of lines.
        '''
        try:
            line = self._line(PROMPT)
            if line.lstrip().startswith(BLOCK):
                return self._block(line.lstrip()[len(BLOCK) :])
            while line.endswith("\\"):
                line = line[:-1] + "\n" + self._line(MORE)
            return line.rstrip()
        except EOFError:
            return None

    def _block(self, line: str) -> str:
        lines = []
        while not line.rstrip().endswith(BLOCK):
            lines.append(line)
            line = self._line(MORE)
        lines.append(line.rstrip()[: -len(BLOCK)])
        return "\n".join(lines).strip()

    def _line(self, prompt: str) -> str:
        if sys.stdout.isatty():
            line = input(prompt)
        else:  # the answers go somewhere else than the conversation
            sys.stderr.write(prompt)
            sys.stderr.flush()
            line = sys.stdin.readline()
            if not line:
                raise EOFError
        self._keep(line)
        return line.rstrip("\n")

    # -------------------------------------------------------------------------------------------------- the history
    def _load(self, readline: ModuleType) -> None:
        if self._history is None:
            return
        try:
            self._history.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._history, os.O_CREAT | os.O_RDONLY, 0o600))  # what one asks is nobody else's business
            readline.read_history_file(self._history)
            if readline.get_current_history_length() > MAX_HISTORY:
                readline.set_history_length(MAX_HISTORY)
                readline.write_history_file(self._history)
        except OSError:  # a home that cannot be written: this chat has its own lines only
            self._history = None

    def _keep(self, line: str) -> None:
        """Add the line to the file at once: a chat may be killed, and another may be running."""
        if self._history is None or self._readline is None or not line.strip() or not sys.stdout.isatty():
            return
        try:
            self._readline.append_history_file(1, self._history)
        except (OSError, AttributeError):  # AttributeError: some builds of libedit
            self._history = None

    # ------------------------------------------------------------------------------------------------- the tab key
    def _bind(self, readline: ModuleType) -> None:
        readline.set_completer(self._candidate)
        readline.set_completer_delims(" ")
        is_libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")

    def _candidate(self, word: str, number: int) -> str | None:
        """What readline asks for: the candidates for a word, one after the other."""
        assert self._readline is not None
        line = self._readline.get_line_buffer()[: self._readline.get_endidx()]
        words = [candidate for candidate in self._complete(line, word) if candidate.startswith(word)]
        return words[number] if number < len(words) else None


def _readline() -> ModuleType | None:
    try:
        import readline
    except ImportError:  # a Python without it: plain lines
        return None
    return readline
