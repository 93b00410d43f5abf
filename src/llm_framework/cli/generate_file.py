"""`llm-framework generate --input FILE --output FILE`: the answers to a file of prompts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape

from ..errors import LLMFrameworkError
from .common import open_framework

if TYPE_CHECKING:
    from ..inputs import GenerateOptions
    from ..jobs import JobSummary

SOME_FAILED = 3


@dataclass(frozen=True)
class FileOptions:
    """What the command line says of the files."""

    input: str
    output: str
    input_format: str
    max_concurrency: int | None
    retry_errors: bool


def answer_file(files: FileOptions, system: str | None, options: GenerateOptions, config: Path | None) -> None:
    """Answer every line, with a bar on a terminal. Exits with `SOME_FAILED` where results are errors."""
    from ..jobs import JobSummary, generate_file_sync

    seen = JobSummary()

    def look(summary: JobSummary) -> None:
        nonlocal seen
        seen = summary
        show(summary)

    settings: dict[str, Any] = {**options, "system": system, "input_format": files.input_format}
    settings.update(max_concurrency=files.max_concurrency, retry_errors=files.retry_errors, on_progress=look)
    try:
        with _bar(files) as show, open_framework(config) as framework:
            generate_file_sync(framework, files.input, files.output, **settings)
    except (KeyboardInterrupt, LLMFrameworkError):
        if seen.done:
            _say(f"Stopped: {_how_far(seen)}. {_how_to_go_on(files, seen)}")
        raise
    _say(f"{_how_far(seen)}.", only_terminal=True)
    if seen.all_failed:
        _say(f"{seen.all_failed} of {seen.done} results are errors. {_how_to_retry(files)}")
        raise typer.Exit(SOME_FAILED)


def _how_far(summary: JobSummary) -> str:
    total = "" if summary.total is None else f" of {summary.total}"
    before = f" ({summary.skipped} of them before)" if summary.skipped else ""
    rate = f", {summary.output_tokens} tokens written" if summary.output_tokens else ""
    return f"{summary.done}{total} lines done{before}{rate}"


def _how_to_go_on(files: FileOptions, summary: JobSummary) -> str:
    if files.output == "-":
        return "Standard output cannot be gone on with; --output FILE can."
    again = f", with --retry-errors also asks the {summary.all_failed} that failed" if summary.all_failed else ""
    return f"The same command goes on from there{again}."


def _how_to_retry(files: FileOptions) -> str:
    return "" if files.output == "-" else "The same command with --retry-errors asks those lines again."


def _say(text: str, *, only_terminal: bool = False) -> None:
    console = Console(stderr=True)
    if console.is_terminal or not only_terminal:
        console.print(f"[dim]{escape(text.strip())}[/]", highlight=False, soft_wrap=True)


@contextmanager
def _bar(files: FileOptions) -> Iterator[Callable[[JobSummary], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    is_shown = console.is_terminal and not (files.output == "-" and sys.stdout.isatty())
    columns = (
        BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not is_shown) as progress:
        task = progress.add_task("", total=None, failed="")

        def show(summary: JobSummary) -> None:
            failed = f"[red]{summary.all_failed} failed[/]" if summary.all_failed else ""
            progress.update(task, completed=summary.done, total=summary.total, failed=failed)

        yield show
