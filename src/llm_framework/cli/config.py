"""`llm-framework config`: what is configured, and where each value came from."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..errors import ConfigurationError
from .app import app
from .options import AsJson, ConfigOption

if TYPE_CHECKING:
    from ..config import LLMConfig

config_app = typer.Typer(invoke_without_command=True, no_args_is_help=False)
app.add_typer(config_app, name="config")


class Line(NamedTuple):
    """A setting as it is shown; `value` holds no key."""

    section: str
    name: str
    value: Any
    origin: str


@config_app.callback()
def show(context: typer.Context, as_json: AsJson = False, config: ConfigOption = None) -> None:
    """Show every setting, its value and where that came from. Keys are masked."""
    if context.invoked_subcommand is not None:
        return
    from ..config import LLMConfig

    lines = list(_lines(LLMConfig.load(config)))
    if as_json:
        shown = {line.name: {"value": line.value, "origin": line.origin} for line in lines}
        typer.echo(json.dumps(shown, ensure_ascii=False))
    elif sys.stdout.isatty():
        _print_table(lines)
    else:
        _print_plain(lines)


@config_app.command("path")
def path(config: ConfigOption = None) -> None:
    """Print the path of the configuration file that is in use."""
    from ..config import find_yaml, usual_files

    found = find_yaml(config)
    if found is None:
        here, user = usual_files()
        raise ConfigurationError(
            f"there is no configuration file; it is looked for as {here} in this folder and {user}"
        )
    typer.echo(found.absolute())


@config_app.command("schema")
def schema() -> None:
    """Print the JSON schema of the configuration file, for editors."""
    from ..config.schema import file_schema

    typer.echo(json.dumps(file_schema(), indent=2))


def _lines(config: LLMConfig) -> Iterator[Line]:
    from ..config import SECTIONS

    values = config.model_dump(mode="json")
    for section, names in SECTIONS.items():
        for name in names:
            for inner, value in _leaves(name, values[name]):
                yield Line(section, inner, _masked(value), config.origin(inner))


def _masked(value: Any) -> Any:
    from ..redaction import HIDDEN, redact

    if not isinstance(value, str):
        return value
    return HIDDEN if value and not value.strip("*") else redact(value)


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The value itself, or what stands inside it, by names with dots."""
    if not isinstance(value, Mapping) or not value:
        yield name, value
        return
    for key, inner in value.items():
        if inner is not None:
            yield from _leaves(f"{name}.{key}", inner)


def _print_plain(lines: list[Line]) -> None:
    names = max(len(line.name) for line in lines)
    values = max(len(_text(line.value)) for line in lines)
    for line in lines:
        typer.echo(f"{line.name:<{names}}  {_text(line.value):<{values}}  {line.origin}")


def _print_table(lines: list[Line]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("setting", "value", "from"):
        table.add_column(column, overflow="fold")
    section = None
    for line in lines:
        if line.section != section:
            section = line.section
            table.add_row(f"[bold]{escape(section)}[/]")
        style = "dim" if line.origin == "default" else "green"
        table.add_row(f"  {escape(line.name)}", escape(_text(line.value)), f"[{style}]{escape(line.origin)}[/]")
    Console().print(table)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
