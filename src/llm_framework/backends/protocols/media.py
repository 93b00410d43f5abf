"""Images and documents as the bytes and the media type that providers are sent."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ...errors import InvalidRequestError
from ...types import DocumentPart, ImagePart, InferenceRequest, ToolResult

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"), (b"RIFF", "image/webp"),
    (b"%PDF", "application/pdf"),
)  # fmt: skip


class Media(NamedTuple):
    """The bytes in base64, and what they are (`image/png`, …)."""

    media_type: str
    base64: str

    @property
    def data_url(self) -> str:
        """As a `data:` URL."""
        return f"data:{self.media_type};base64,{self.base64}"


def is_remote(part: ImagePart | DocumentPart) -> bool:
    """Whether the part is only named by an address, which the provider would have to fetch."""
    return part.url is not None and not part.url.startswith("data:")


def read(part: ImagePart | DocumentPart) -> Media:
    """The content of a part that is not remote: its bytes, its file's, or its data URL's. Raises
    `InvalidRequestError` for a file that cannot be read and a data URL that is none."""
    default = "image/png" if isinstance(part, ImagePart) else "application/pdf"
    if part.url is not None:
        return _from_data_url(part.url, part.media_type or default)
    data = part.data
    if data is None:
        assert part.path is not None  # the part has exactly one source
        try:
            data = Path(part.path).expanduser().read_bytes()
        except OSError as error:
            raise InvalidRequestError(f"{part.path} cannot be read: {error.strerror}") from None
    guessed = _guessed(data) or (mimetypes.guess_type(str(part.path))[0] if part.path else None)
    return Media(part.media_type or guessed or default, base64.b64encode(data).decode("ascii"))


def file_name(part: DocumentPart) -> str:
    """What a model is shown as the document's name."""
    return part.name or (Path(part.path).name if part.path is not None else "document.pdf")


def needs_files(request: InferenceRequest) -> bool:
    """Whether making the body reads files, which may block."""
    return any(_has_path(message.parts) for message in request.messages)


def _has_path(parts: Iterable[object]) -> bool:
    for part in parts:
        if getattr(part, "path", None) is not None:
            return True
        if isinstance(part, ToolResult) and not isinstance(part.content, str) and _has_path(part.content):
            return True
    return False


def _from_data_url(url: str, default: str) -> Media:
    head, comma, content = url[5:].partition(",")
    media_type, *words = head.split(";")
    if not comma or "base64" not in words:
        raise InvalidRequestError("a data URL must read data:MEDIA/TYPE;base64,CONTENT")
    return Media(media_type or default, content)


def _guessed(data: bytes) -> str | None:
    return next((media_type for magic, media_type in _MAGIC if data.startswith(magic)), None)
