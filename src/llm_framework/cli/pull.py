"""`llm-framework models pull`: a model from a hub into the models folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import open_framework, progress_bar, short_bytes
from .models import models_app
from .options import ConfigOption

if TYPE_CHECKING:
    from ..registry import ModelInfo
    from ..registry.hub import PullPlan

INTERRUPTED = 130


@models_app.command("pull")
def pull(
    repo: Annotated[str, typer.Argument(help="The repository: owner/name, or the address of its page.")],
    revision: Annotated[str | None, typer.Option("--revision", "-r", help="A branch, a tag or a commit.")] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", "-f", help="A .gguf or .sbs file: its name, a pattern, or a word of it like Q4_K_M."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="The folder for the files (default: in the models folder).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be downloaded, and stop.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that were not pulled from there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Download a model from Hugging Face, or the hub that HF_ENDPOINT names, so that it can be used by name.

    Only what is needed comes: the safetensors with config and tokenizer, or one file. A download that was interrupted
    goes on where it stopped when the command is given again. For gated and private models, log in with `hf auth login`
    or set HF_TOKEN.
    """
    if dry_run:
        _show_plan(repo, revision, file, as_json)
        return
    with open_framework(config) as framework:
        try:
            with progress_bar("Downloading") as advance:
                found = framework.registry.pull_model(
                    repo, to=to, revision=revision, file=file, force=force, on_progress=advance, on_note=_note
                )
        except KeyboardInterrupt:
            typer.echo("Interrupted. What has come is kept: the same command goes on from there.", err=True)
            raise typer.Exit(INTERRUPTED) from None
    _show(found, as_json)


def _note(text: str) -> None:
    typer.echo(text, err=True)


def _show_plan(repo: str, revision: str | None, file: str | None, as_json: bool) -> None:
    from ..registry.hub import make_plan

    plan: PullPlan = make_plan(repo, revision=revision, file=file)
    files = [{"name": item.name, "size_bytes": item.size} for item in plan.files]
    if as_json:
        typer.echo(json.dumps({"repo": plan.repo, "commit": plan.commit, "files": files}))
        return
    for item in plan.files:
        typer.echo(f"{short_bytes(item.size) or '?':>9}  {item.name}")
    typer.echo(f"{short_bytes(plan.num_bytes) or '?':>9}  in all, of commit {plan.commit}")


def _show(found: ModelInfo, as_json: bool) -> None:
    values: dict[str, Any] = {"name": found.name, "path": str(found.path), "error": found.error}
    if as_json:
        typer.echo(json.dumps({key: value for key, value in values.items() if value is not None}))
    else:
        size = short_bytes(found.metadata.get("size_bytes"))
        typer.echo(f"{found.name}  {found.path}  {size}".rstrip())
    if found.error:
        typer.echo(f"It is here, but cannot be used: {found.error}", err=True)
    elif sys.stdout.isatty() and not as_json and "chat" in found.capabilities:
        typer.echo(f"Talk to it: llm-framework chat {found.name}")
