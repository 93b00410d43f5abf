"""`llm-framework plugins`: which there are, whether they can be used, and what they serve."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .app import app
from .options import ConfigOption

if TYPE_CHECKING:
    from ..plugins import PluginManager, PluginStatus

COLOURS = {"loaded": "green", "found": "cyan", "slow": "yellow"}  # every other state is red


@app.command("plugins")
def plugins(
    load: Annotated[
        bool, typer.Option("--load", help="Import and initialise them too; exit code 1 if one cannot be used.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the plugins of the configured folders and installed packages. Imports none of them, unless told to."""
    import logging

    from ..config import LLMConfig
    from ..plugins import PluginManager

    logging.getLogger("llm_framework.plugins").setLevel(logging.CRITICAL)  # the list says all that the log would
    settings = LLMConfig.load(config)
    manager = PluginManager(settings.plugin_dirs, time_limit=settings.plugin_timeout)
    manager.configure(settings.plugins)
    statuses = asyncio.run(_loaded(manager)) if load else manager.list_plugins()
    if as_json:
        typer.echo(json.dumps([asdict(status) for status in statuses], ensure_ascii=False))
    elif sys.stdout.isatty():
        _print_table(statuses)
    else:
        for status in statuses:
            typer.echo("\t".join((status.name, status.state, ",".join(status.serves), _one_line(status.error or ""))))
    if load and any(status.error for status in statuses):
        raise typer.Exit(1)


async def _loaded(manager: PluginManager) -> list[PluginStatus]:
    await manager.ready()
    statuses = [_tried(status) if status.kind == "backend" else status for status in manager.list_plugins()]
    await manager.shutdown()
    return statuses


def _tried(status: PluginStatus) -> PluginStatus:
    """What becomes of a bare backend that is imported."""
    from ..backends import load_backend_class
    from ..errors import LLMFrameworkError

    try:
        load_backend_class(status.name)
    except LLMFrameworkError as error:
        return replace(status, state="broken", error=str(error))
    return replace(status, state="loaded")


def _print_table(statuses: list[PluginStatus]) -> None:
    console = Console(highlight=False)
    if not statuses:
        console.print("[dim]No plugins: install one, or name a folder in the setting plugin_dirs.[/]")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("Plugin", "Version", "State", "Serves", "From"):
        table.add_column(heading, overflow="fold")
    for status in statuses:
        colour = COLOURS.get(status.state, "red")
        texts = (status.name, status.version, status.state, ", ".join(status.serves), status.source)
        name, version, state, serves, source = map(escape, texts)
        table.add_row(name, version, f"[{colour}]{state}[/]", serves, source)
    console.print(table)
    for status in statuses:
        if status.error:
            console.print(f"[red]{escape(status.name)}:[/] {escape(status.error)}", soft_wrap=True)


def _one_line(text: str) -> str:
    return " ".join(text.split())
