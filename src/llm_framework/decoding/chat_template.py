"""From the turns of a chat to the token ids of a prompt.

A model's own template (Jinja, as Hugging Face folders carry it) is run in a sandbox; models without one get Gemma's
form. Text from outside cannot write special tokens: a `<end_of_turn>` that a user types reaches the model as those
characters, not as the token that ends a turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InvalidRequestError, MissingDependencyError, ModelLoadError

if TYPE_CHECKING:
    from .dialects import Tools, Turn

MAX_TEMPLATE_CHARS = 1 << 18


class Tokenizer(Protocol):
    """What is needed of a model's tokenizer."""

    @property
    def bos_id(self) -> int | None:
        """The token that begins every text."""

    def encode(self, text: str, *, add_bos: bool = False, parse_special: bool = True) -> list[int]:
        """The ids of `text`; with `parse_special`, the texts of special tokens in it become those tokens."""


class Template(Protocol):
    """Writes turns as the text of a prompt that ends where the model's answer begins."""

    def render(self, turns: Sequence[Turn], tools: Tools | None = None) -> str:
        """The text. `tools` are those that the template writes itself, if the dialect leaves them to it. Raises
        `InvalidRequestError` where the template does not take this chat."""


class GemmaTemplate:
    """Gemma's form, for models that carry no template: system text heads the first user turn, and neighbours of the
    same role become one turn."""

    def __init__(self, bos_token: str = "<bos>") -> None:
        self._bos_token = bos_token

    def render(self, turns: Sequence[Turn], tools: Tools | None = None) -> str:
        """The text of the prompt. Tools have no place in it."""
        text = self._bos_token
        for role, content in _merged(_folded(turns)):
            text += f"<start_of_turn>{'model' if role == 'assistant' else role}\n{content.strip()}<end_of_turn>\n"
        return text + "<start_of_turn>model\n"


class PlainTemplate:
    """For base models, which continue a text and know no turns."""

    def __init__(self, bos_token: str = "<bos>") -> None:
        self._bos_token = bos_token

    def render(self, turns: Sequence[Turn], tools: Tools | None = None) -> str:
        """The text of the prompt. Tools have no place in it."""
        return self._bos_token + "\n\n".join(turn["content"] for turn in turns)


class JinjaTemplate:
    """A model's own chat template, from a stranger: it runs in a sandbox, with limits on time and text.

    Raises `ModelLoadError` where it is no template, or fails otherwise than by refusing a chat.
    """

    def __init__(self, source: str, *, bos_token: str = "<bos>", eos_token: str = "<eos>", model: str = "") -> None:
        self._model = model or "this model"
        self._variables = {"bos_token": bos_token, "eos_token": eos_token}
        if len(source) > MAX_TEMPLATE_CHARS:
            raise self._broken(f"has {len(source)} characters; at most {MAX_TEMPLATE_CHARS} are read")
        self._sandbox, self._code = self._compile(source)

    def render(self, turns: Sequence[Turn], tools: Tools | None = None) -> str:
        """The text of the prompt. Raises `InvalidRequestError` with the template's complaint where it refuses."""
        if any(turn["role"] == "system" for turn in turns) and not self._takes_system:
            turns = _folded(turns)
        return self._render(turns, tools)

    @cached_property
    def _takes_system(self) -> bool:
        """Whether system turns reach the prompt. Gemma 1 and 2 refuse them, others drop them silently."""
        turns: list[Turn] = [{"role": "system", "content": "system-probe"}, {"role": "user", "content": "user-probe"}]
        try:
            text = self._render(turns)
        except InvalidRequestError:
            return False
        return all(turn["content"] in text.lower() for turn in turns)

    def _compile(self, source: str) -> tuple[Any, Any]:
        try:
            from jinja2 import TemplateSyntaxError

            from .sandbox import TemplateSandbox
        except ImportError as error:
            raise MissingDependencyError("reading chat templates", "native") from error
        sandbox = TemplateSandbox()
        try:
            return sandbox, sandbox.compile_text(source)
        except TemplateSyntaxError as error:
            raise self._broken(f"is broken in line {error.lineno}: {error.message}") from error
        except Exception as error:
            raise self._broken(f"is broken: {_said(error)}") from error

    def _render(self, turns: Sequence[Turn], tools: Tools | None = None) -> str:
        from .sandbox import TemplateRefusal

        messages = [dict(turn) for turn in turns]
        offered = [dict(tool) for tool in tools] if tools else None
        variables = {"messages": messages, "tools": offered, "documents": None, **self._variables}
        try:
            return str(self._sandbox.render_text(self._code, {**variables, "add_generation_prompt": True}))
        except TemplateRefusal as error:
            message = f"the chat template of {self._model} does not take this chat: {error.message}"
            raise InvalidRequestError(message, model=self._model) from error
        except Exception as error:
            raise self._broken(f"failed: {_said(error)}") from error

    def _broken(self, complaint: str) -> ModelLoadError:
        return ModelLoadError(f"the chat template of {self._model} {complaint}", model=self._model)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _folded(turns: Sequence[Turn]) -> list[Turn]:
    """The turns with the system text at the head of the first user turn, a blank line below it."""
    system = "\n\n".join(turn["content"].strip() for turn in turns if turn["role"] == "system")
    rest = [turn for turn in turns if turn["role"] != "system"]
    if not system:
        return rest
    first = next((i for i, turn in enumerate(rest) if turn["role"] == "user"), None)
    if first is None:
        return [{"role": "user", "content": system}, *rest]
    head: Turn = {"role": "user", "content": f"{system}\n\n{rest[first]['content'].lstrip()}"}
    return [*rest[:first], head, *rest[first + 1 :]]


def _merged(turns: Iterable[Turn]) -> list[tuple[str, str]]:
    merged: list[tuple[str, str]] = []
    for turn in turns:
        if merged and merged[-1][0] == turn["role"]:
            merged[-1] = (turn["role"], f"{merged[-1][1]}\n\n{turn['content']}")
        else:
            merged.append((turn["role"], turn["content"]))
    return merged


# ------------------------------------------------------------------------------------------------------ special tokens
# Unicode keeps this one for a program's own use; it is a character of no text.
_CUT = "\ufdd0"


class SpecialGuard:
    """Tells the special tokens that a template writes from the same characters in text from outside.

    `quote` puts a mark after the first character of what looks like a special token, so that it holds whatever a
    template trims and cuts of the quoted text. `encode` cuts a prompt at the marks, so that nothing whole is left to be
    taken for the token. A prompt without look-alikes is encoded in one piece, exactly as it stands.
    """

    def __init__(self, special_tokens: Iterable[str]) -> None:
        names = [re.escape(name) for name in special_tokens if len(name) > 1]
        self._special = re.compile("|".join(names) or r"(?!)")

    def quote(self, text: str) -> str:
        """`text` with its look-alikes marked (and U+FFFD for the mark's own code point)."""
        text = text.replace(_CUT, "\ufffd")
        pieces: list[str] = []
        start = end = 0
        while match := self._special.search(text, end):
            end = match.start() + 1  # not the match's end: names may overlap
            pieces.append(text[start:end])
            start = end
        return _CUT.join([*pieces, text[start:]])

    def encode(self, text: str, tokenizer: Tokenizer) -> list[int]:
        """The ids of a rendered prompt. It begins with the tokenizer's bos, once."""
        pieces = filter(None, text.split(_CUT))
        ids = [id for piece in pieces for id in tokenizer.encode(piece, add_bos=False, parse_special=True)]
        bos = tokenizer.bos_id
        return ids if bos is None or ids[:1] == [bos] else [bos, *ids]
