"""`llm-framework bench`: how fast a model answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..errors import InvalidRequestError
from .app import app
from .common import note, open_framework
from .options import ConfigOption, ModelArgument, ModelOption, one_model

if TYPE_CHECKING:
    from ..bench import BenchResult, Progress

WIDTHS = (12, 10, 10, 10, 8)  # of a piped table's columns
STEPS = 3  # of a round, see `run_bench`


@app.command()
def bench(
    model: ModelArgument = None,
    model_option: ModelOption = None,
    rounds: Annotated[int, typer.Option("--rounds", "-r", min=1, help="Figures are medians over so many.")] = 5,
    prompt_tokens: Annotated[int, typer.Option("--prompt", min=1, help="Tokens of the long prompt, about.")] = 512,
    output_tokens: Annotated[int, typer.Option("--tokens", min=2, help="Tokens of each answer, at most.")] = 64,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every sample to this file; '-' is standard output.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the samples (PNG, SVG, PDF).")] = None,
    config: ConfigOption = None,
) -> None:
    """Measure prefill, decode, the time to the first token, and a batch of 4. A cloud model's requests cost money."""
    from .. import sync
    from ..bench import check_plot, draw, run_bench

    model = one_model(model, model_option)
    if plot is not None:
        check_plot(plot)
    if json_file is not None and str(json_file) != "-" and not json_file.parent.is_dir():
        raise InvalidRequestError(
            f"the figures cannot be written to {json_file}: there is no folder {json_file.parent}"
        )
    with open_framework(config) as framework, _progress(rounds) as progress:
        result = sync.run(
            run_bench,
            framework,
            model,
            rounds=rounds,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            progress=progress,
        )
    if str(json_file) != "-":
        _print(result)
    if json_file is not None:
        _write(result, json_file)
    if plot is not None:
        draw(result, plot)
        note(f"drawn in {plot}")


@contextmanager
def _progress(rounds: int) -> Iterator[Progress]:
    """A bar on a terminal's standard error; nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=STEPS * (rounds + 1))  # one round does not count

        def step(what: str) -> None:
            bar.update(task, description=what)
            if what != "loading":
                bar.advance(task)

        yield step


def _print(result: BenchResult) -> None:
    from ..bench import METRICS

    load = "" if result.load_seconds is None else f", loaded in {result.load_seconds:.2f} s"
    title = f"{result.model} ({result.backend}): {result.prompt_tokens} + {result.output_tokens} tokens{load}"
    rows = [(metric, *_cells(result, metric, unit)) for metric, unit in METRICS.items()]
    if not sys.stdout.isatty():
        typer.echo(title)
        for row in rows:
            typer.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, WIDTHS, strict=True)).rstrip())
        return
    table = Table(box=None, header_style="bold", pad_edge=False, title=title, title_justify="left")
    table.add_column("metric")
    for column in ("median", "least", "most"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _cells(result: BenchResult, metric: str, unit: str) -> tuple[str, str, str, str]:
    values, median = result.samples.get(metric), result.median(metric)
    if not values or median is None:
        return "-", "-", "-", unit
    digits = 3 if unit == "s" else 1
    return f"{median:.{digits}f}", f"{min(values):.{digits}f}", f"{max(values):.{digits}f}", unit


def _write(result: BenchResult, file: Path) -> None:
    text = json.dumps(result.to_dict(), indent=1)
    if str(file) == "-":
        typer.echo(text)
        return
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InvalidRequestError(f"the figures cannot be written to {file}: {error.strerror}") from None
