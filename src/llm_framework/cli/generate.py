"""`llm-framework generate`: one answer, or the answers to a file of prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidRequestError
from .app import app
from .common import messages_of, note, open_framework, print_stream
from .generate_file import FileOptions, answer_file
from .options import ConfigOption, MaxTokens, ModelOption, Seed, System, Temperature, Timeout
from .standard_input import read_prompt

if TYPE_CHECKING:
    from ..inputs import GenerateOptions

InputFile = Annotated[
    str | None, typer.Option("--input", "-i", help="File of prompts: JSON lines, or .txt; '-' is standard input.")
]
OutputFile = Annotated[
    str | None, typer.Option("--output", "-o", help="File of results, gone on with where it exists (default: -).")
]
InputFormat = Annotated[str, typer.Option("--input-format", help="auto (by the file's name), jsonl, or text.")]
MaxConcurrency = Annotated[
    int | None, typer.Option("--max-concurrency", help="Lines under way at a time (default: what the model takes).")
]
RetryErrors = Annotated[bool, typer.Option("--retry-errors", help="Ask again the lines whose result is an error.")]


@app.command()
def generate(
    prompt: Annotated[str | None, typer.Argument(help="The prompt; '-' or nothing reads standard input.")] = None,
    model: ModelOption = None,
    system: System = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    seed: Seed = None,
    schema: Annotated[Path | None, typer.Option("--schema", help="JSON schema file the answer must follow.")] = None,
    timeout: Timeout = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole response as JSON.")] = False,
    input: InputFile = None,
    output: OutputFile = None,
    input_format: InputFormat = "auto",
    max_concurrency: MaxConcurrency = None,
    retry_errors: RetryErrors = False,
    config: ConfigOption = None,
) -> None:
    """Answer one prompt on standard output, or with --input each line of a file.

    With --input, results are appended to --output as they come, and the same command goes on where it was stopped.

    Exit code 3: all lines are done, some results are errors.
    """
    options: GenerateOptions = {"model_name": model, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    options["timeout"] = timeout
    if schema is not None:
        options["response_format"] = _read_schema(schema)
    if input is not None:
        if prompt is not None or as_json:
            raise typer.BadParameter(f"{'--json' if as_json else 'a PROMPT'} does not go with --input")
        files = FileOptions(input, output or "-", input_format, max_concurrency, retry_errors)
        answer_file(files, system, options, config)
        return
    if output is not None or retry_errors or max_concurrency is not None:
        raise typer.BadParameter("--output, --max-concurrency and --retry-errors need --input")
    messages = messages_of(system, read_prompt(prompt))
    with open_framework(config) as framework:
        if as_json:
            from ..jobs.records import response_as_dict

            typer.echo(json.dumps(response_as_dict(framework.sync.generate(messages, **options)), ensure_ascii=False))
            return
        last = print_stream(framework.sync.stream(messages, **options))
        if last is not None and last.finish_reason == "length":
            note("the answer was cut at --max-tokens")


def _read_schema(path: Path) -> dict[str, Any]:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequestError(f"the JSON schema {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InvalidRequestError(f"{path} is not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise InvalidRequestError(f"{path} holds no JSON schema: it must be an object")
    return schema
