"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[str | None, typer.Option("--model", "-m", help="Model name (default: the best one found).")]
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="YAML configuration file.")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", "-n", help="Longest answer, in tokens.")]
Temperature = Annotated[float | None, typer.Option("--temperature", "-t", help="0 always takes the likeliest token.")]
Seed = Annotated[int | None, typer.Option("--seed", help="The same seed gives the same answer.")]
System = Annotated[str | None, typer.Option("--system", "-s", help="System prompt.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
