"""The application that the commands register with, and the place where errors become exit codes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from .. import __version__
from ..errors import LLMFrameworkError

INTERRUPTED = 130

app = typer.Typer(
    name="llm-framework",
    help="Run language models: the bundled one, Gemma weights on this machine, or a provider's.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def main() -> None:
    """Run the command line. The one place where errors become a sentence and an exit code."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except LLMFrameworkError as error:
        Console(stderr=True).print(f"[bold red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); Python would complain once more while it flushes at exit.
        sys.stdout = None
        sys.exit(0)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    if version:
        typer.echo(f"llm-framework {__version__}")
        raise typer.Exit
