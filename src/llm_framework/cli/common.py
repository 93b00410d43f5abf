"""What several commands do: open the framework, show progress and figures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from ..framework import LLMFramework
    from ..registry import ModelInfo
    from ..types import Chunk, Message


@contextmanager
def open_framework(config: Path | None) -> Iterator[LLMFramework]:
    from ..framework import LLMFramework

    with LLMFramework(config) as framework:
        yield framework


def note(text: str) -> None:
    if sys.stderr.isatty():
        Console(stderr=True).print(f"[dim]{text}[/]")


def messages_of(system: str | None, prompt: str) -> list[Message]:
    from ..types import Message

    return ([Message.system(system)] if system else []) + [Message.user(prompt)]


def print_stream(stream: Iterator[Chunk]) -> Chunk | None:
    """Write the pieces as they come, then a line end. Returns the last chunk, which holds the whole response."""
    last: Chunk | None = None
    text = ""
    for last in stream:
        text = last.text or text
        sys.stdout.write(last.text)
        sys.stdout.flush()
    if not text.endswith("\n"):
        sys.stdout.write("\n")
    sys.stdout.flush()
    return last


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of bytes on a terminal's standard error; nothing elsewhere."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def describe(found: ModelInfo) -> str:
    parts = [f"{short_count(found.parameters)} parameters" if found.parameters else "", found.backend_type]
    parts.append(f"context {found.context_length} tokens" if found.context_length else "")
    return ", ".join(part for part in parts if part)


def short_count(count: float | None) -> str:
    """3100000 -> 3.1M"""
    if not count:
        return ""
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= limit:
            return f"{count / limit:.1f}{unit}"
    return str(int(count))


def short_bytes(count: int | None) -> str:
    """536000000 -> 536 MB"""
    if not count:
        return ""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            size = count / limit
            return f"{size:.1f} {unit}" if size < 10 else f"{size:.0f} {unit}"
    return f"{count} bytes"
