"""`llm-framework generate`: one answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidRequestError
from .app import app
from .common import messages_of, note, open_framework, print_stream, read_prompt
from .options import ConfigOption, MaxTokens, ModelOption, Seed, System, Temperature

if TYPE_CHECKING:
    from ..inputs import GenerateOptions
    from ..types import InferenceResponse


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
    messages = messages_of(system, read_prompt(prompt))
    options: GenerateOptions = {"model_name": model, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    if schema is not None:
        options["response_format"] = _read_schema(schema)
    with open_framework(config) as framework:
        if as_json:
            typer.echo(json.dumps(_as_dict(framework.sync.generate(messages, **options)), ensure_ascii=False))
            return
        last = print_stream(framework.sync.stream(messages, **options))
        if last is not None and last.finish_reason == "length":
            note("the answer was cut at --max-tokens")


def _read_schema(path: Path) -> dict[str, Any]:
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRequestError(f"cannot read the JSON schema {path}: {error}") from error
    if not isinstance(schema, dict):
        raise InvalidRequestError(f"{path} holds no JSON schema: it must be an object")
    return schema


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
