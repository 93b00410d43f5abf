"""`llm-framework models`: what there is, and its conversion."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..errors import InvalidRequestError
from .app import app
from .common import open_framework, progress_bar, short_bytes, short_count
from .options import ConfigOption, complete_model

if TYPE_CHECKING:
    from ..registry import ModelInfo

models_app = typer.Typer(help="List and inspect models.", invoke_without_command=True, no_args_is_help=False)
app.add_typer(models_app, name="models")


@models_app.callback()
def _models(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_models()


@models_app.command("list")
def list_models(
    local: Annotated[bool, typer.Option("--local", help="Only models on this machine.")] = False,
    provider: Annotated[
        str | None, typer.Option("--provider", help="Ask this provider or server which models it offers now.")
    ] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Read all files again, also unchanged ones.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the models that can be used by name, and those that cannot, with the reason."""
    with open_framework(config) as framework:
        if refresh:
            framework.registry.discover_models(refresh=True)
        if provider is None:
            infos = framework.list_models(local_only=local or None)
        else:
            infos = [_of(provider, info) for info in framework.sync.available_models(provider)]
        default = framework.default_model_name()
        unread = framework.registry.unread_folders
    if as_json:
        typer.echo(json.dumps([_info_dict(info) for info in infos], ensure_ascii=False))
    elif not sys.stdout.isatty():
        for info in infos:
            typer.echo(info.name)
        for info in infos:
            if info.error:
                typer.echo(f"{info.name} cannot be used: {info.error}", err=True)
    else:
        _print_models(infos, default)
    for folder, reason in unread.items():
        typer.echo(f"{folder} was not searched: {reason}", err=True)


def _of(provider: str, info: ModelInfo) -> ModelInfo:
    """The model under the name that a request gives it."""
    return replace(info, name=f"{provider}:{info.name}")


@models_app.command("info")
def info(
    name: Annotated[str, typer.Argument(help="Model name.", autocompletion=complete_model)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show what is known of one model."""
    with open_framework(config) as framework:
        found = framework.get_model_info(name)
    values = _info_dict(found)
    if as_json:
        typer.echo(json.dumps(values, ensure_ascii=False))
        return
    width = max(map(len, values))
    for key, value in values.items():
        typer.echo(f"{key:<{width}}  {_readable(key, value)}")


def _readable(key: str, value: Any) -> str:
    if key == "capabilities":
        return ", ".join(value)
    if key == "parameters":
        return f"{value}  ({short_count(value)})"
    return f"{value}  ({short_bytes(value)})" if key == "size_bytes" else str(value)


@models_app.command("convert")
def convert(
    source: Annotated[str, typer.Argument(help="A file, a folder, or the name of a model on this machine.")],
    target: Annotated[Path, typer.Argument(help="The .sbs file to write.")],
    weights: Annotated[
        str, typer.Option("--weights", "-w", help="keep (BF16 for types that .sbs lacks), f32, bf16 or sfp (8 bits).")
    ] = "keep",
    model_config: Annotated[
        Path | None, typer.Option("--model-config", help="A config.json, for a source that carries none.")
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option("--tokenizer", help="A tokenizer.model, for a source that carries none.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace the target if it exists.")] = False,
    config: ConfigOption = None,
) -> None:
    """Write a model as one .sbs file."""
    from ..native.convert import convert_model

    if target.exists() and not force:
        raise InvalidRequestError(f"{target} exists; --force replaces it")
    path = Path(source).expanduser()
    if not path.exists():
        path = _path_of(source, config)
    with progress_bar("Converting") as advance:
        written = convert_model(
            path, target, weights=weights, config=model_config, tokenizer=tokenizer, on_progress=advance
        )
    typer.echo(f"{written}  {written.stat().st_size / 1e6:.1f} MB")


def _path_of(name: str, config: Path | None) -> Path:
    with open_framework(config) as framework:
        found = framework.get_model_info(name)
    if found.path is None:
        raise InvalidRequestError(f"the model {name!r} is not on this machine")
    return found.path


def _print_models(infos: list[ModelInfo], default: str) -> None:
    console = Console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("name", "backend", "parameters", "on disk", "context", "weights", "for", ""):
        is_number = column in ("parameters", "on disk", "context")
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for found in infos:
        if not found.error:
            mark = "[green]default[/]" if found.name == default else ""
            table.add_row(
                escape(found.name), found.backend_type, short_count(found.parameters),
                short_bytes(found.metadata.get("size_bytes")), str(found.context_length or ""),
                found.quantization or "", _purpose(found), mark,
            )  # fmt: skip
    console.print(table)
    broken = [found for found in infos if found.error]
    if broken:
        console.print("\n[bold]cannot be used[/]")
    for found in broken:
        console.print(f"[red]{escape(found.name)}[/]  {escape(str(found.error))}", highlight=False, soft_wrap=True)


def _purpose(found: ModelInfo) -> str:
    """What a model is for, in a word or two: its type, and what not every model of the type can."""
    usual = {"chat", "streaming", "tools", "completion", "embedding"}
    more = sorted(set(found.capabilities) - usual)
    return ", ".join([found.model_type.value, *more])


def _info_dict(found: ModelInfo) -> dict[str, Any]:
    metadata = found.metadata
    values = {
        "name": found.name,
        "type": found.model_type.value,
        "backend": found.backend_type,
        "family": metadata.get("family"),
        "format": metadata.get("format"),
        "path": str(found.path) if found.path else None,
        "parameters": found.parameters,
        "size_bytes": metadata.get("size_bytes"),
        "context_length": found.context_length,
        "dimensions": metadata.get("dimensions"),
        "memory_gb": found.memory_requirement_gb,
        "quantization": found.quantization,
        "capabilities": sorted(found.capabilities),
        "error": found.error,
    }
    return {key: value for key, value in values.items() if value is not None}
