"""The application that the commands register with, and the place where errors become exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from .. import __version__
from ..errors import LLMFrameworkError

NAME = "llm-framework"
INTERRUPTED = 130


class Commands(TyperGroup):
    """All commands. What ends one early becomes a sentence and an exit code here, in every version of Typer alike."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with _exit_codes():
            result = super().invoke(ctx)
            sys.stdout.flush()  # here and not at exit, where nobody could deal with a reader that has gone
            return result


app = typer.Typer(
    name=NAME,
    cls=Commands,
    help="Run language models: the bundled one, Gemma weights on this machine, or a provider's.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def main() -> None:
    """Run the command line."""
    with _exit_codes():
        app(prog_name=NAME)  # also for `python -m`: completion goes by the name


@contextmanager
def _exit_codes() -> Iterator[None]:
    """The one place where errors become a sentence and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            sys.stderr.write("\n")
        sys.exit(INTERRUPTED)
    except LLMFrameworkError as error:
        _say(str(error))
        sys.exit(1)
    except BrokenPipeError:
        _discard_output()
        sys.exit(0)
    except OSError as error:  # a file or folder of the user's, which no command took care of
        place = f"{error.filename}: " if error.filename else ""
        _say(f"{place}{error.strerror or error}")
        sys.exit(1)


def _say(text: str) -> None:
    Console(stderr=True).print(f"[bold red]Error:[/] {escape(text)}", highlight=False, soft_wrap=True)


def _discard_output() -> None:
    """The reader of our output has gone (`| head`); what Python flushes at exit goes nowhere instead of failing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    if version:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit
