"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_MODEL = "Model name (default: the best one found)."


def complete_model(incomplete: str) -> list[str]:
    """Names of models that begin so, for the shell. A configuration that is broken completes nothing."""
    from ..errors import LLMFrameworkError
    from ..framework import LLMFramework

    try:
        names = [info.name for info in LLMFramework().list_models()]
    except (LLMFrameworkError, OSError):
        return []
    return [name for name in names if name.startswith(incomplete)]


ModelArgument = Annotated[str | None, typer.Argument(help=_MODEL, autocompletion=complete_model)]
ModelOption = Annotated[str | None, typer.Option("--model", "-m", help=_MODEL, autocompletion=complete_model)]
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="YAML configuration file.")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", "-n", help="Longest answer, in tokens.")]
Temperature = Annotated[float | None, typer.Option("--temperature", "-t", help="0 always takes the likeliest token.")]
Seed = Annotated[int | None, typer.Option("--seed", help="The same seed gives the same answer.")]
System = Annotated[str | None, typer.Option("--system", "-s", help="System prompt.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Seconds for one answer, retries included.")]


def one_model(argument: str | None, option: str | None) -> str | None:
    """The model of a command that takes its name with and without `--model`."""
    if argument is not None and option is not None and argument != option:
        raise typer.BadParameter(f"two models are named, {argument!r} and {option!r}; give one")
    return argument if argument is not None else option
