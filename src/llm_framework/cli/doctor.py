"""`llm-framework doctor`: what this machine can do, and what is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from .app import app
from .options import AsJson, ConfigOption

Row = tuple[str, str]


@app.command()
def doctor(
    measure: Annotated[bool, typer.Option(help="Measure memory and arithmetic, for a second or two.")] = True,
    as_json: AsJson = False,
    config: ConfigOption = None,
) -> None:
    """Show what this machine and this installation can do. Exit code 1 where something is broken."""
    from ..doctor import examine

    report = examine(config, measure=measure)
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        _print(report)
    if report["faults"]:
        raise typer.Exit(1)


def _print(report: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for title, rows in _topics(report):
        console.print(f"[bold]{title}[/]")
        for name, value in rows:
            console.print(f"  {escape(name):<16}  {escape(value)}")
    if not report["faults"]:
        console.print("[bold green]Nothing is broken.[/]")
        return
    console.print("[bold red]Broken[/]")
    for fault in report["faults"]:
        console.print(f"  {escape(fault)}")


def _topics(report: dict[str, Any]) -> Iterator[tuple[str, list[Row]]]:
    installation = [(name, report[key]) for name, key in (("version", "llm_framework"), ("Python", "python"))]
    yield "Installation", [*installation, ("system", report["system"]), *_extras(report["extras"])]
    yield "Machine", list(_machine(report["machine"]))
    configuration = report["configuration"]
    changed = ", ".join(configuration.get("changed", ())) or "nothing"
    yield "Configuration", [("file", configuration["file"] or "none"), ("changed", changed)]
    yield "Keys", list(_keys(report["keys"]))
    if "models" in report:
        yield "Models", list(_models(report["models"]))
        plugins = [(item["name"], item["error"] or item["source"]) for item in report["plugins"]]
        yield "Plugins", plugins or [("none", "")]
    yield "Caches", [(kind, _cache(cache)) for kind, cache in report["caches"].items()]


def _machine(machine: dict[str, Any]) -> Iterator[Row]:
    yield "processor", f"{machine['processor']}, {machine['cores']} cores"
    yield "instructions", f"{machine.get('isa', 'none')} (runs {', '.join(machine.get('isas', ['none']))})"
    yield "memory", f"{machine['memory_gb']:.1f} GB"
    speed = machine.get("memory_bandwidth_gb_per_s")
    if speed is not None:
        yield "reads", f"{speed:.1f} GB/s: weights of 1 GB give at most {speed:.0f} tokens/s to one answer"
    for kind, peak in machine.get("dot_peak_giga_multiply_adds_per_s", {}).items():
        yield f"{kind} products", f"{peak:.0f} G multiply-adds/s"


def _extras(extras: dict[str, list[str]]) -> Iterator[Row]:
    if not extras:
        yield "extras", "unknown: the package runs from its source"
        return
    yield "extras", ", ".join(name for name, missing in extras.items() if not missing) or "none"
    for name, missing in extras.items():
        if missing:
            yield f"  no {name}", f"lacks {', '.join(missing)}: pip install 'llm-framework[{name}]'"


def _keys(keys: list[dict[str, Any]]) -> Iterator[Row]:
    for key in keys:
        if key["found"]:
            yield key["provider"], f"from {key['origin']}"
    yield "none for", ", ".join(key["provider"] for key in keys if not key["found"])


def _models(models: dict[str, Any]) -> Iterator[Row]:
    yield "folder", models["folder"]
    yield "found", ", ".join(models["found"])
    yield "default", models["default"] or "none"
    for broken in models["broken"]:
        yield "broken", f"{broken['name']} ({broken['path']})"


def _cache(cache: dict[str, Any]) -> str:
    return f"{cache['bytes'] / 1e6:.1f} MB in {cache['files']} files, {cache['path']}"
