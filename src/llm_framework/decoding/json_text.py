"""JSON that a model was asked for: models like to put it into a Markdown fence, which is no part of the answer."""

from __future__ import annotations

import re

from .tool_calls import Piece

FENCE = "```"
_TAIL = re.compile(r"[\s`]*\Z")


class JsonText:
    """The parser of an answer that is to be JSON. It leaves out a fence (and its language) around the whole answer;
    everything else stays as it is."""

    def __init__(self) -> None:
        self.num_calls = 0
        self._held = ""
        self._begun = False
        self._fenced = False

    def feed(self, text: str) -> list[Piece]:
        """What is certain to be inside of the fence, if there is one."""
        text, self._held = self._held + text, ""
        if not self._begun:
            text = self._begin(text)
        if self._fenced:
            end = _TAIL.search(text)
            cut = end.start() if end else len(text)
            text, self._held = text[:cut], text[cut:]
        return [text] if text else []

    def finish(self) -> list[Piece]:
        """What was held back, without the fence that closes the answer."""
        text, self._held = self._held, ""
        if self._fenced:
            text = text.rstrip().removesuffix(FENCE).rstrip()
        return [text] if text else []

    def _begin(self, text: str) -> str:
        """The text after an opening fence; "" while it is not certain whether there is one."""
        head = text.lstrip()
        if head.startswith(FENCE):
            _, line_break, rest = head.partition("\n")
            if line_break:
                self._begun = self._fenced = True
                return rest
        elif not FENCE.startswith(head):
            self._begun = True
            return text
        self._held = text
        return ""
