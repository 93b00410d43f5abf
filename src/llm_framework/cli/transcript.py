"""A conversation as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidRequestError

if TYPE_CHECKING:
    from ..types import Message


def default_name() -> str:
    """A file name that says when the conversation was saved."""
    return f"chat-{datetime.now():%Y-%m-%d-%H%M%S}.md"


def save(messages: Sequence[Message], model: str, path: Path) -> None:
    """Write the conversation: `.json` as messages that every call takes again, everything else as Markdown.

    Raises `InvalidRequestError` where the file cannot be written.
    """
    text = _as_json(messages, model) if path.suffix == ".json" else _as_markdown(messages, model)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidRequestError(f"the conversation cannot be written to {path}: {error.strerror}") from None


def _as_json(messages: Sequence[Message], model: str) -> str:
    said = [{"role": str(message.role), "content": message.text} for message in messages]
    return json.dumps({"model": model, "messages": said}, ensure_ascii=False, indent=2) + "\n"


def _as_markdown(messages: Sequence[Message], model: str) -> str:
    names = {"assistant": model, "user": "you"}
    parts = [
        f"## {names.get(str(message.role), str(message.role))}\n\n{message.text.strip()}\n" for message in messages
    ]
    return "\n".join(parts)
