"""The command `llm-framework`: chat, generate, models.

A terminal gets colour, streaming and progress; piped output is plain text and nothing else. Exit codes: 0 all well,
1 the request failed (the reason is on standard error), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from . import __version__
from .errors import InvalidRequestError, LLMFrameworkError, RequestCancelledError

if TYPE_CHECKING:
    from .framework import LLMFramework
    from .inputs import GenerateOptions
    from .registry import ModelInfo
    from .types import Chunk, InferenceResponse, Message

INTERRUPTED = 130

app = typer.Typer(
    name="llm-framework",
    help="Run language models: the bundled one, Gemma weights on this machine, or a provider's.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

ModelOption = Annotated[str | None, typer.Option("--model", "-m", help="Model name (default: the best one found).")]
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="YAML configuration file.")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", "-n", help="Longest answer, in tokens.")]
Temperature = Annotated[float | None, typer.Option("--temperature", "-t", help="0 always takes the likeliest token.")]
Seed = Annotated[int | None, typer.Option("--seed", help="The same seed gives the same answer.")]
System = Annotated[str | None, typer.Option("--system", "-s", help="System prompt.")]


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


# --------------------------------------------------------------------------------------------------------- generate
@app.command()
def generate(
    prompt: Annotated[str | None, typer.Argument(help="The prompt; '-' or nothing reads standard input.")] = None,
    model: ModelOption = None,
    system: System = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    seed: Seed = None,
    schema: Annotated[Path | None, typer.Option("--schema", help="JSON schema file the answer must follow.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole response as JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Answer one prompt on standard output."""
    messages = _messages(system, _read_prompt(prompt))
    options: GenerateOptions = {"model_name": model, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    if schema is not None:
        options["response_format"] = _read_schema(schema)
    with _framework(config) as framework:
        if as_json:
            typer.echo(json.dumps(_as_dict(framework.sync.generate(messages, **options)), ensure_ascii=False))
            return
        last = _print_stream(framework.sync.stream(messages, **options))
        if last is not None and last.finish_reason == "length":
            _note("the answer was cut at --max-tokens")


def _read_prompt(prompt: str | None) -> str:
    if prompt is not None and prompt != "-":
        return prompt
    if sys.stdin.isatty() and prompt is None:
        raise InvalidRequestError("no prompt: give one as an argument or pipe it in")
    return sys.stdin.read().strip()


def _read_schema(path: Path) -> dict[str, Any]:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRequestError(f"cannot read the JSON schema {path}: {error}") from error
    if not isinstance(schema, dict):
        raise InvalidRequestError(f"{path} holds no JSON schema: it must be an object")
    return schema


def _messages(system: str | None, prompt: str) -> list[Message]:
    from .types import Message

    return ([Message.system(system)] if system else []) + [Message.user(prompt)]


def _as_dict(response: InferenceResponse) -> dict[str, Any]:
    usage = response.usage
    return {
        "text": response.text,
        "model": response.model,
        "finish_reason": response.finish_reason,
        "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in response.tool_calls],
        "parsed": response.parsed if isinstance(response.parsed, (dict, list, str, int, float)) else None,
        "seconds": round(response.timings.total, 4),
    }


# ------------------------------------------------------------------------------------------------------------- chat
@app.command()
def chat(
    model: Annotated[str | None, typer.Argument(help="Model name (default: the best one found).")] = None,
    system: System = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    seed: Seed = None,
    config: ConfigOption = None,
) -> None:
    """Talk to a model. Piped input is answered once. In a chat: /help, /clear, /exit; Ctrl-C stops an answer."""
    options: GenerateOptions = {"model_name": model, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    with _framework(config) as framework:
        if not sys.stdin.isatty():
            _print_stream(framework.sync.stream(_messages(system, _read_prompt("-")), **options))
            return
        _Chat(framework, system, options).run()


class _Chat:
    """A conversation in a terminal: its history, and the loop around it."""

    def __init__(self, framework: LLMFramework, system: str | None, options: GenerateOptions) -> None:
        self.framework = framework
        self.system = system
        self.options = options
        self.history: list[Message] = []
        self.console = Console(highlight=False)
        self.clear()

    def clear(self) -> None:
        """Forget what was said, keep the system prompt."""
        from .types import Message

        self.history = [Message.system(self.system)] if self.system else []

    def run(self) -> None:
        """Read, answer, until the user leaves."""
        self._greet()
        while (line := self._read()) is not None:
            if line.startswith("/"):
                if not self._command(line):
                    break
            elif line:
                self._answer(line)
        self.console.print("[dim]Bye.[/]")

    def _greet(self) -> None:
        info = self.framework.get_model_info(self.options.get("model_name") or self.framework.default_model_name())
        self.options["model_name"] = info.name
        self.console.print(f"[bold]{escape(info.name)}[/] [dim]{escape(_describe(info))}[/]")
        self.console.print("[dim]/help shows the commands, /exit leaves, Ctrl-C stops an answer.[/]")

    def _read(self) -> str | None:
        try:
            import readline  # noqa: F401  (gives input() line editing and history)
        except ImportError:
            pass
        try:
            return input("\n> ").strip()
        except EOFError:
            print()
            return None
        except KeyboardInterrupt:
            print()
            return ""

    def _command(self, line: str) -> bool:
        name = line.split()[0]
        if name in ("/exit", "/quit", "/bye"):
            return False
        if name == "/clear":
            self.clear()
            self.console.print("[dim]The conversation starts anew.[/]")
        elif name == "/help":
            self.console.print("[dim]/clear  start anew\n/exit   leave (also Ctrl-D)\nCtrl-C  stop an answer[/]")
        else:
            self.console.print(f"[dim]No command {escape(name)}; /help lists them.[/]")
        return True

    def _answer(self, line: str) -> None:
        from .types import Message

        question = Message.user(line)
        started = time.monotonic()
        try:
            last = _print_stream(self.framework.sync.stream([*self.history, question], **self.options))
        except (KeyboardInterrupt, RequestCancelledError):
            self.console.print("\n[dim]stopped; the question is forgotten[/]")
            return
        except LLMFrameworkError as error:
            self.console.print(f"[bold red]Error:[/] {escape(str(error))}")
            return
        if last is None or last.response is None:
            return
        self.history += [question, last.response.message]
        self._figures(last.response, time.monotonic() - started)

    def _figures(self, response: InferenceResponse, seconds: float) -> None:
        tokens, decode = response.usage.output_tokens, response.timings.decode
        rate = f", {(tokens - 1) / decode:.0f} tokens/s" if tokens > 1 and decode > 0 else ""
        cut = ", cut at the limit" if response.finish_reason == "length" else ""
        self.console.print(f"[dim]{tokens} tokens in {seconds:.1f} s{rate}{cut}[/]")


def _print_stream(stream: Iterator[Chunk]) -> Chunk | None:
    """Write the pieces as they come, then a line end. Returns the last chunk, which holds the whole response."""
    last: Chunk | None = None
    text = ""
    for last in stream:
        text = last.text or text
        sys.stdout.write(last.text)
        sys.stdout.flush()
    if not text.endswith("\n"):
        sys.stdout.write("\n")
    sys.stdout.flush()
    return last


# ----------------------------------------------------------------------------------------------------------- models
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
    with _framework(config) as framework:
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
def info(name: str, config: ConfigOption = None) -> None:
    """Show what is known of one model."""
    with _framework(config) as framework:
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
    from .native.convert import convert_model

    if target.exists() and not force:
        raise InvalidRequestError(f"{target} exists; --force replaces it")
    path = Path(source).expanduser()
    if not path.exists():
        path = _path_of(source, config)
    with _progress("Converting") as advance:
        written = convert_model(
            path, target, weights=weights, config=model_config, tokenizer=tokenizer, on_progress=advance
        )
    typer.echo(f"{written}  {written.stat().st_size / 1e6:.1f} MB")


def _path_of(name: str, config: Path | None) -> Path:
    with _framework(config) as framework:
        found = framework.get_model_info(name)
    if found.path is None:
        raise InvalidRequestError(f"the model {name!r} is not on this machine")
    return found.path


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of bytes on a terminal's standard error; nothing elsewhere."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


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
            _short(found.parameters),
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


def _describe(found: ModelInfo) -> str:
    parts = [f"{_short(found.parameters)} parameters" if found.parameters else "", found.backend_type]
    parts.append(f"context {found.context_length} tokens" if found.context_length else "")
    return ", ".join(part for part in parts if part)


def _short(count: float | None) -> str:
    """3100000 -> 3.1M"""
    if not count:
        return ""
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= limit:
            return f"{count / limit:.1f}{unit}"
    return str(int(count))


# ---------------------------------------------------------------------------------------------------------- helpers
@contextmanager
def _framework(config: Path | None) -> Iterator[LLMFramework]:
    from .framework import LLMFramework

    with LLMFramework(config) as framework:
        yield framework


def _note(text: str) -> None:
    if sys.stderr.isatty():
        Console(stderr=True).print(f"[dim]{text}[/]")


if __name__ == "__main__":
    main()
