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
from .common import open_framework, progress_bar, short_count
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the models that can be used by name."""
    with open_framework(config) as framework:
        if provider is None:
            infos = framework.list_models(local_only=local or None)
        else:
            infos = [_of(provider, info) for info in framework.sync.available_models(provider)]
        default = framework.default_model_name()
    if as_json:
        typer.echo(json.dumps([_info_dict(info) for info in infos], ensure_ascii=False))
    elif not sys.stdout.isatty():
        for info in infos:
            typer.echo(info.name)
    else:
        _print_models(infos, default)


def _of(provider: str, info: ModelInfo) -> ModelInfo:
    """The model under the name that a request gives it."""
    return replace(info, name=f"{provider}:{info.name}")


@models_app.command("info")
def info(
    name: Annotated[str, typer.Argument(help="Model name.", autocompletion=complete_model)], config: ConfigOption = None
) -> None:
    """Show what is known of one model."""
    with open_framework(config) as framework:
        found = _info_dict(framework.get_model_info(name))
    width = max(map(len, found))
    for key, value in found.items():
        typer.echo(f"{key:<{width}}  {value}")


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
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("name", "backend", "size", "context", "weights", ""):
        table.add_column(column, justify="right" if column in ("size", "context") else "left")
    for found in infos:
        fault = found.metadata.get("error")
        note = f"[red]{escape(str(fault))}[/]" if fault else "[green]default[/]" if found.name == default else ""
        table.add_row(
            found.name,
            found.backend_type,
            short_count(found.parameters),
            str(found.context_length or ""),
            found.quantization or "",
            note,
        )
    Console().print(table)


def _info_dict(found: ModelInfo) -> dict[str, Any]:
    values = {
        "name": found.name,
        "type": str(getattr(found.model_type, "value", found.model_type)),
        "backend": found.backend_type,
        "path": str(found.path) if found.path else None,
        "parameters": found.parameters,
        "context_length": found.context_length,
        "memory_gb": found.memory_requirement_gb,
        "quantization": found.quantization,
        "error": found.metadata.get("error"),
    }
    return {key: value for key, value in values.items() if value is not None}
