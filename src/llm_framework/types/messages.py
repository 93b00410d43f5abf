"""What is said: messages and their parts, calls of tools and their results."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union

from ..errors import InvalidRequestError

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text."""

    text: str
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image: exactly one of `data` (bytes, with `media_type`), `url` (http, https or data URL) and `path` is set."""

    data: bytes | None = None
    url: str | None = None
    path: str | Path | None = None
    media_type: str | None = None
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        _exactly_one_source(self)


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A document such as a PDF: exactly one of `data`, `url` and `path` is set; `name` is what the model is shown."""

    data: bytes | None = None
    url: str | None = None
    path: str | Path | None = None
    media_type: str | None = None
    name: str | None = None
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        _exactly_one_source(self)


@dataclass(frozen=True, slots=True)
class ThinkingPart:
    """Reasoning that a model showed before its answer; `signature` proves it to the provider that made it."""

    text: str
    signature: str | None = None
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool called.

    `arguments` is None where `raw_arguments` did not parse to a JSON object; `error` then says why.
    """

    id: str
    name: str
    arguments: Mapping[str, Any] | None = None
    raw_arguments: str = ""
    error: str | None = None
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def from_raw(cls, id: str, name: str, raw_arguments: str, **kwargs: Any) -> ToolCall:
        """A call from the text of its arguments, which need not be valid JSON. An empty text means no arguments."""
        try:
            arguments = json.loads(raw_arguments) if raw_arguments.strip() else {}
        except ValueError as error:
            return cls(id, name, None, raw_arguments, f"the arguments are not valid JSON: {error}", **kwargs)
        if not isinstance(arguments, dict):
            return cls(id, name, None, raw_arguments, "the arguments are not a JSON object", **kwargs)
        return cls(id, name, arguments, raw_arguments, **kwargs)

    @classmethod
    def create(cls, name: str, arguments: Mapping[str, Any], id: str | None = None) -> ToolCall:
        """A call with valid arguments, for building histories and answers."""
        return cls(id or new_call_id(), name, dict(arguments), json.dumps(arguments, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back for the call `call_id`; `name` is the tool's, where it is known."""

    call_id: str
    content: str | tuple[Part, ...]
    name: str | None = None
    is_error: bool = False
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def text(self) -> str:
        """The content's text; images and documents are left out."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


Part = Union[TextPart, ImagePart, DocumentPart, ThinkingPart, ToolCall, ToolResult]
_PARTS = (TextPart, ImagePart, DocumentPart, ThinkingPart, ToolCall, ToolResult)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. `parts` may be given as a str, a Part or a list of them."""

    role: Role
    parts: tuple[Part, ...] = ()
    name: str | None = None
    provider_data: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InvalidRequestError(f"a message has the role {self.role!r}; roles are {', '.join(ROLES)}")
        object.__setattr__(self, "parts", _as_parts(self.parts))

    @classmethod
    def system(cls, *parts: str | Part) -> Message:
        """A system message."""
        return cls("system", _as_parts(parts))

    @classmethod
    def user(cls, *parts: str | Part) -> Message:
        """A user message."""
        return cls("user", _as_parts(parts))

    @classmethod
    def assistant(cls, *parts: str | Part) -> Message:
        """An assistant message: text, thinking and tool calls."""
        return cls("assistant", _as_parts(parts))

    @classmethod
    def tool(cls, *results: ToolResult) -> Message:
        """A tool message: the results of calls made in an assistant message before it."""
        return cls("tool", _as_parts(results))

    @property
    def text(self) -> str:
        """The text parts, joined without a separator."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @property
    def tool_results(self) -> tuple[ToolResult, ...]:
        """The tool results, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolResult))


def new_call_id() -> str:
    """An id for a tool call whose maker gave it none."""
    return f"call_{uuid.uuid4().hex[:24]}"


def _as_parts(parts: str | Part | Sequence[str | Part]) -> tuple[Part, ...]:
    if isinstance(parts, str) or not isinstance(parts, Sequence):
        parts = (parts,)
    return tuple(TextPart(part) if isinstance(part, str) else _checked_part(part) for part in parts)


def _checked_part(part: Any) -> Part:
    if not isinstance(part, _PARTS):
        raise InvalidRequestError(f"a message holds texts and parts such as ImagePart, not {part!r:.60}")
    return part


def _exactly_one_source(part: ImagePart | DocumentPart) -> None:
    given = [name for name in ("data", "url", "path") if getattr(part, name) is not None]
    if len(given) != 1:
        raise InvalidRequestError(
            f"{type(part).__name__} takes exactly one of data, url and path, not {given or 'none'}"
        )
