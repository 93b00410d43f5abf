"""A request of ours as the body of Gemini's `generateContent`. Pure functions, but for the media read from files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ...errors import UnsupportedFeatureError
from ...registry import google_models
from ...types import GenerationConfig, InferenceRequest, ResponseFormat, ToolSpec
from .gemini_contents import Contents
from .gemini_schema import as_openapi, is_plain

ThinkingStyle = Literal["none", "budget", "level"]

# Our name of a parameter -> the field of generationConfig.
_FIELDS = {
    "max_tokens": "maxOutputTokens", "temperature": "temperature", "top_p": "topP", "top_k": "topK",
    "stop": "stopSequences", "seed": "seed", "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}  # fmt: skip
_UNKNOWN = ("min_p", "repetition_penalty", "logit_bias", "min_tokens", "ignore_eos")
_BUDGETS = {"low": 1024, "medium": 8192, "high": 24576}  # tokens; what all models of the 2.5 family allow
_NOT_TAKEN = re.compile(
    r"not (supported|enabled|allowed|available)|unsupported|does ?n[o']t support|cannot find field|only works in|"
    r"only enabled|budget \d+ is invalid",
    re.IGNORECASE,
)
_NAMED = {
    **{
        name: re.compile(rf"(?<![a-z]){name.replace('_', '[_ ]?')}(?![a-z])|{field}", re.IGNORECASE)
        for name, field in _FIELDS.items()
    },
    "presence_penalty": re.compile(r"presence[_ ]?penalty|(?<![_ ])\bpenalty is", re.IGNORECASE),
    "frequency_penalty": re.compile(r"frequency[_ ]?penalty|(?<![_ ])\bpenalty is", re.IGNORECASE),
    "logprobs": re.compile(r"log_?probs?|log probabilit", re.IGNORECASE),
    "thinking": re.compile(r"thinking|\bbudget \d+ is invalid", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a model takes. Known for the families there are, assumed to stay so for newer ones; what a server refuses is
    learnt (`restated`).

    `thinking`: not at all, by a budget of tokens, or by a level. `off`: what switches it off, None where nothing does.
    `signs_calls`: calls in the history need a signature, and an id that their results repeat. `form_with_tools`: takes
    a schema for its answer beside tools. `media_in_results`: takes images inside tools' results. `json_schema`: takes
    JSON schemas as they are, not only the subset that OpenAPI has. `instruction`: knows a system's message apart from
    a user's.
    """

    thinking: ThinkingStyle = "level"
    off: int | str | None = None
    signs_calls: bool = True
    form_with_tools: bool = True
    media_in_results: bool = True
    json_schema: bool = True
    instruction: bool = True


_OLDER = Dialect("none", 0, signs_calls=False, form_with_tools=False, media_in_results=False)


def dialect_of(model: str) -> Dialect:
    """What is known of the model by its name."""
    version, kind = google_models.family_of(model)
    if version is None or version < (2, 5):
        return replace(_OLDER, instruction="gemma" not in model)
    if version < (3, 0):
        return replace(_OLDER, thinking="budget", off=None if kind == "pro" else 0)
    nearly_off = kind == "flash-lite" or (kind == "flash" and version < (3, 7))
    return Dialect(off="MINIMAL" if nearly_off else None)


def request_body(request: InferenceRequest, dialect: Dialect) -> dict[str, Any]:
    """Everything of the body but the parameters of generation."""
    written = Contents(request.messages, signs_calls=dialect.signs_calls, media_in_results=dialect.media_in_results)
    body: dict[str, Any] = {"contents": written.contents, "generationConfig": {}}
    instruction = written.instruction
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_tool(tool, dialect) for tool in request.tools]}]
        if config := _calling(request.tool_choice, request.tools):
            body["toolConfig"] = {"functionCallingConfig": config}
    if request.response_format is not None:
        words = _ask_for_form(body, request.response_format, dialect)
        instruction.extend([{"text": words}] if words else [])
    if instruction and (dialect.instruction or not written.contents):
        body["systemInstruction"] = {"parts": instruction}
    elif instruction:
        _tell_user(instruction, written.contents)
    return body


def _tell_user(instruction: list[dict[str, Any]], contents: list[dict[str, Any]]) -> None:
    """Put the instruction before the first thing that the user says."""
    if contents[0]["role"] == "user":
        contents[0]["parts"] = instruction + contents[0]["parts"]
    else:
        contents.insert(0, {"role": "user", "parts": instruction})


def restated(refusal: str, dialect: Dialect) -> Dialect | None:
    """The dialect as the server's refusal shows it to be, where the same can be said in another way."""
    if dialect.json_schema and re.search(r"unknown name.*json_?schema", refusal, re.IGNORECASE):
        return replace(dialect, json_schema=False)
    if dialect.thinking == "level" and re.search(r"thinking.?level", refusal, re.IGNORECASE):
        return replace(dialect, thinking="budget", off=0)
    if dialect.form_with_tools and re.search(r"function calling with a response mime type", refusal, re.IGNORECASE):
        return replace(dialect, form_with_tools=False)
    if dialect.instruction and re.search(r"developer instruction is not enabled", refusal, re.IGNORECASE):
        return replace(dialect, instruction=False)
    return None


def refused_parameter(refusal: str, sent: Iterable[str]) -> str | None:
    """Which of the parameters that were sent the server says that it does not take."""
    if not _NOT_TAKEN.search(refusal):
        return None
    return next((name for name in sent if _NAMED[name].search(refusal)), None)


# ---------------------------------------------------------------------------------------------------------- parameters
def parameters(config: GenerationConfig, dialect: Dialect) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The parameters that are set: those the model takes, each with the fields of generationConfig that say it, and the
    names of those it has none for."""
    taken: dict[str, dict[str, Any]] = {}
    for name, field in _FIELDS.items():
        value = getattr(config, name)
        if value is not None and value != ():
            taken[name] = {field: _value(name, value)}
    refused = [name for name in _UNKNOWN if getattr(config, name)]
    if config.logprobs is not None:
        taken["logprobs"] = {"responseLogprobs": True, **({"logprobs": config.logprobs} if config.logprobs else {})}
    if config.thinking is not None:
        fields = thinking_fields(config.thinking, dialect)
        if fields is None:
            refused.append("thinking")
        else:
            taken["thinking"] = fields
    return taken, refused


def _value(name: str, value: Any) -> Any:
    if name == "seed":
        return value % 2**31  # the field has 32 bits; the same seed stays the same one
    return list(value) if name == "stop" else value


def thinking_fields(value: str | int, dialect: Dialect) -> dict[str, Any] | None:
    """How this model is told to think so much; None where it cannot be told."""
    on = value not in ("off", 0)
    if not on:
        return _off(dialect)
    if dialect.thinking == "none":
        return None
    said: dict[str, Any] = {"includeThoughts": True}
    if dialect.thinking == "level":
        level = value if isinstance(value, str) else _level_of(value)
        said["thinkingLevel"] = level.upper()
    else:
        said["thinkingBudget"] = value if isinstance(value, int) else _BUDGETS[value]
    return {"thinkingConfig": said}


def _level_of(budget: int) -> str:
    """The level that comes nearest to a budget of tokens, which newer models take no more."""
    return next((level for level, most in (("low", 2048), ("medium", 16384)) if budget <= most), "high")


def _off(dialect: Dialect) -> dict[str, Any] | None:
    if dialect.off is None:
        return None
    if dialect.thinking == "none":
        return {}
    field = "thinkingLevel" if isinstance(dialect.off, str) else "thinkingBudget"
    return {"thinkingConfig": {field: dialect.off}}


# ------------------------------------------------------------------------------------------------------ tools and form
def _tool(tool: ToolSpec, dialect: Dialect) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": tool.name, "description": tool.description or tool.name}
    if tool.parameters.get("properties"):  # an object without any is refused by some models
        plain = is_plain(tool.parameters)  # the older field is the one that every model, version and proxy knows
        if dialect.json_schema and not plain:
            declared["parametersJsonSchema"] = dict(tool.parameters)
        else:
            declared["parameters"] = dict(tool.parameters) if plain else as_openapi(tool.parameters)
    return declared


def _calling(choice: str | None, tools: Sequence[ToolSpec]) -> dict[str, Any] | None:
    if choice in (None, "auto") and any(tool.strict for tool in tools):
        return {"mode": "VALIDATED"}
    if choice is None:
        return None
    if choice in ("auto", "none", "any"):
        return {"mode": choice.upper()}
    return {"mode": "ANY", "allowedFunctionNames": [choice]}


def _ask_for_form(body: dict[str, Any], form: ResponseFormat, dialect: Dialect) -> str | None:
    """Have the answer's form held, or return the words that ask for it where the model cannot be held to it."""
    if form.schema is None:
        what = "a Lark grammar" if form.lark is not None else "a regular expression"
        feature = "response_format lark" if form.lark is not None else "response_format regex"
        raise UnsupportedFeatureError(f"Google holds no answer to {what}; give a JSON schema", feature=feature)
    schema = dict(form.schema)
    if request_has_tools(body) and not dialect.form_with_tools:
        return f"Give your answer as JSON that fits this JSON schema, and nothing else:\n{json.dumps(schema)}"
    config = body["generationConfig"]
    config["responseMimeType"] = "application/json"
    if schema == {"type": "object"}:
        return None
    if dialect.json_schema:
        config["responseJsonSchema"] = schema
    else:
        config["responseSchema"] = as_openapi(schema)
    return None


def request_has_tools(body: Mapping[str, Any]) -> bool:
    """Whether the body declares functions."""
    return bool(body.get("tools"))


# -------------------------------------------------------------------------------------------------------- other bodies
def count_body(body: Mapping[str, Any], resource: str | None) -> dict[str, Any]:
    """The body that has the tokens of a request counted; `resource` is the model's name there (`models/…`), None on
    Vertex, which takes the request's own fields."""
    asked = {name: body[name] for name in ("contents", "systemInstruction", "tools") if name in body}
    return asked if resource is None else {"generateContentRequest": {"model": resource, **asked}}
