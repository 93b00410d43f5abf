"""A request of ours as the body that the Messages API wants. Pure functions, but for the files that messages name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import InvalidRequestError, UnsupportedFeatureError
from ...types import GenerationConfig, InferenceRequest, ResponseFormat, ToolSpec
from . import messages_content
from .messages_models import Claude
from .messages_schema import strict_schema

DEFAULT_MAX_TOKENS = 4096  # the API must be told a number
SAMPLING_VERSION = "2023-06-01"  # the last version of the API whose requests may hold sampling parameters
MIN_BUDGET = 1024  # tokens, the API's
BUDGETS = {"low": 2048, "medium": 8192, "high": 24_576}  # tokens, for models that are told no effort
ROOM = {"low": 4096, "medium": 8192, "high": 16_384}  # tokens for thinking, where nobody set max_tokens
_FIELDS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "stop": "stop_sequences"}
# Values that say no more than leaving the parameter out.
_NEUTRAL: dict[str, Any] = {
    "temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "repetition_penalty": 1, "min_p": 0,
}  # fmt: skip
_UNKNOWN = (
    "min_p", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "logprobs",
    "min_tokens", "ignore_eos",
)  # fmt: skip


@dataclass(slots=True)
class Written:
    """A body. `sent` are the parameters in it with their fields, `refused` those that are not, each with a hint why;
    `form_tool` is the tool whose arguments are the answer, where the answer's form is asked for so."""

    body: dict[str, Any]
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    form_tool: str | None = None


def write(request: InferenceRequest, model: str, family: Claude, cache: Any = None) -> Written:
    """The body without `stream`. `cache` ends cached prefixes after the system prompt and the last message: True, or
    how long they are kept ("5m", "1h"). Raises `UnsupportedFeatureError` for what the API cannot say."""
    body: dict[str, Any] = {"model": model, "max_tokens": 0}
    written = Written(body)
    late = family.late_system
    system = messages_content.system_blocks(request.messages, late)
    body["messages"] = messages_content.turns(request.messages, model, late)
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        choice = _tool_choice(request, family, written)
        if choice is not None:
            body["tool_choice"] = choice
    _write_thinking(request, family, written)
    _write_sampling(request.config, request.explicit, family, written)
    if request.response_format is not None:
        _ask_for_form(request, request.response_format, family, written, system)
    if cache:
        _mark_cached(system, body["messages"], cache)
    if system:
        plain = len(system) == 1 and set(system[0]) == {"type", "text"}
        body["system"] = system[0]["text"] if plain else system
    return written


def counted(body: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a body whose tokens can be counted."""
    names = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")
    return {name: body[name] for name in names if name in body}


def samples(body: Mapping[str, Any]) -> bool:
    """Whether a body holds sampling parameters."""
    return "temperature" in body or "top_p" in body or "top_k" in body


# ------------------------------------------------------------------------------------------------------------- thinking
def _write_thinking(request: InferenceRequest, family: Claude, written: Written) -> None:
    config, body = request.config, written.body
    value = config.thinking
    fields: dict[str, Any] | None = {}
    if value is not None:
        fields = _thinking(value, family)
        if fields is None:
            written.refused["thinking"] = _why_not(value)
        elif _is_on(fields) and is_forced(body) and not family.forced_while_thinking:
            fields, written.refused["thinking"] = None, " while it is made to call a tool"
    body["max_tokens"] = _max_tokens(request, family, fields or {})
    budget = (fields or {}).get("thinking", {}).get("budget_tokens")
    if fields and budget is not None and budget >= body["max_tokens"]:
        fields = _within(fields, value, body["max_tokens"], written)
    if fields is not None and value is not None:
        written.sent["thinking"] = fields
        body.update(fields)
    if config.max_tokens is not None:
        written.sent["max_tokens"] = {"max_tokens": body["max_tokens"]}


def _thinking(value: str | int, family: Claude) -> dict[str, Any] | None:
    """The fields that say it, or None where the family cannot be told."""
    if value in ("off", 0):
        words: dict[str, dict[str, Any] | None] = {"omit": {}, "never": None}
        return words.get(family.off, {"thinking": {"type": family.off}})
    if family.thinking == "none":
        return None
    if family.thinking == "adaptive" or (family.thinking == "both" and isinstance(value, str)):
        thinking = {"type": "adaptive", **({"display": "summarized"} if family.asks_for_summary else {})}
        return {"thinking": thinking, **({"output_config": {"effort": _effort(value)}} if family.effort else {})}
    budget = BUDGETS[value] if isinstance(value, str) else max(value, MIN_BUDGET)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _effort(value: str | int) -> str:
    """The effort that a budget comes nearest to."""
    if isinstance(value, str):
        return value
    return "low" if value <= ROOM["low"] else "medium" if value <= ROOM["medium"] else "high"


def _why_not(value: str | int) -> str:
    return " of off: it always thinks" if value in ("off", 0) else ""


def _is_on(fields: Mapping[str, Any]) -> bool:
    return fields.get("thinking", {}).get("type") in ("enabled", "adaptive")


def _max_tokens(request: InferenceRequest, family: Claude, fields: Mapping[str, Any]) -> int:
    """What the caller or the configuration set. Where neither did, thinking, which counts too, gets room of its own."""
    given = request.config.max_tokens
    if given is not None and "max_tokens" not in request.assumed:
        explicit = "max_tokens" in request.explicit
        return given if explicit else min(given, family.max_output)
    thinking = fields.get("thinking", {})
    room = 0
    if "budget_tokens" in thinking:
        room = int(thinking["budget_tokens"])
    elif _is_on(fields) or (family.thinks_unasked and thinking.get("type") != family.off):
        room = ROOM[fields.get("output_config", {}).get("effort", "high")]
    return min((given or DEFAULT_MAX_TOKENS) + room, family.max_output)


def _within(
    fields: dict[str, Any], value: str | int | None, max_tokens: int, written: Written
) -> dict[str, Any] | None:
    """A budget that leaves room for the answer: max_tokens holds both. A level yields; a number must fit as it is."""
    if isinstance(value, int):
        message = f"thinking is a budget of {value} tokens, and max_tokens is {max_tokens}: it must be more than that"
        raise InvalidRequestError(message)
    if max_tokens // 2 < MIN_BUDGET:
        written.refused["thinking"] = f" with max_tokens below {2 * MIN_BUDGET}, which hold the thinking too"
        return None
    return {**fields, "thinking": {**fields["thinking"], "budget_tokens": max_tokens // 2}}


# ------------------------------------------------------------------------------------------------------------- sampling
def _write_sampling(config: GenerationConfig, explicit: frozenset[str], family: Claude, written: Written) -> None:
    thinks = _is_on(written.body)
    for name in (*_FIELDS, *_UNKNOWN):
        value = getattr(config, name)
        if value is None or value == () or value == _NEUTRAL.get(name):
            continue
        if name in _UNKNOWN or name in family.refused:
            written.refused[name] = ""
        elif thinks and _clashes(name, value):
            written.refused[name] = " while it thinks"
        elif name == "stop":
            # The API takes none of white space alone; such a one ends the text where the answer is read.
            if sequences := [text for text in value if text.strip()]:
                written.sent[name] = {"stop_sequences": sequences}
        else:
            written.sent[name] = {_FIELDS[name]: value}
    if family.one_of_two and "temperature" in written.sent and "top_p" in written.sent:
        asked_for = "top_p" in explicit and "temperature" not in explicit
        left, kept = ("temperature", "top_p") if asked_for else ("top_p", "temperature")
        del written.sent[left]
        written.refused[left] = f" beside {kept}"
    for name in _FIELDS:
        written.body.update(written.sent.get(name, {}))


def _clashes(name: str, value: float) -> bool:
    """Whether a model that thinks by budget refuses it."""
    return name in ("top_k", "temperature") or (name == "top_p" and value < 0.95)


# ---------------------------------------------------------------------------------------------------------------- tools
def _tool(tool: ToolSpec) -> dict[str, Any]:
    schema = strict_schema(tool.parameters) if tool.strict else None
    written: dict[str, Any] = {"name": tool.name, "input_schema": schema or _object_schema(tool.parameters)}
    if tool.description:
        written["description"] = tool.description
    if schema is not None:
        written["strict"] = True
    return written


def _object_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    return dict(schema) if "type" in schema else {"type": "object", **schema}


def _tool_choice(request: InferenceRequest, family: Claude, written: Written) -> dict[str, Any] | None:
    choice = request.tool_choice
    one_call = request.metadata.get("parallel_tool_calls") is False
    if choice not in (None, "auto", "none") and not family.forced_tools:
        if request.metadata.get("strict_parameters", True):
            message = f"{written.body['model']!r} cannot be made to call a tool: tool_choice can be auto or none"
            raise UnsupportedFeatureError(message, feature="tool_choice")
        written.refused["tool_choice"] = ""
        choice = None
    if choice == "none":
        return {"type": "none"}
    if choice is None and not one_call:
        return None
    named = choice not in (None, "auto", "any")
    chosen: dict[str, Any] = {"type": "tool", "name": choice} if named else {"type": choice or "auto"}
    return {**chosen, "disable_parallel_tool_use": True} if one_call else chosen


def is_forced(body: Mapping[str, Any]) -> bool:
    """Whether the model is made to call a tool."""
    return body.get("tool_choice", {}).get("type") in ("any", "tool")


# --------------------------------------------------------------------------------------------------- the answer's form
def _ask_for_form(
    request: InferenceRequest, form: ResponseFormat, family: Claude, written: Written, system: list[dict[str, Any]]
) -> None:
    """A schema that the API can hold to is given as such; one that it cannot is the schema of a tool that the model is
    made to call; where that cannot be either, it is asked for in words."""
    if form.schema is None:
        what = "a Lark grammar" if form.lark is not None else "a regular expression"
        message = f"the Messages API holds no answer to {what}; give a JSON schema"
        raise UnsupportedFeatureError(message, feature="response_format")
    body = written.body
    schema = strict_schema(form.schema) if family.schemas else None
    if schema is not None:
        output = {"format": {"type": "json_schema", "schema": schema}}
        body["output_config"] = {**body.get("output_config", {}), **output}
    elif family.forced_tools and not _is_on(body) and _is_object_schema(form.schema):
        _add_form_tool(request, form, written)
    else:
        schema_text = json.dumps(form.schema, ensure_ascii=False)
        text = f"Answer with JSON that fits this JSON schema, and nothing else:\n{schema_text}"
        system.append({"type": "text", "text": text})


def _is_object_schema(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object"


def _add_form_tool(request: InferenceRequest, form: ResponseFormat, written: Written) -> None:
    names = {tool.name for tool in request.tools}
    name = form.name if form.name not in names else f"{form.name}_of_the_form"
    tool = {"name": name, "description": "Give the answer.", "input_schema": dict(form.schema or {})}
    body = written.body
    body["tools"] = [*body.get("tools", ()), tool]
    others = request.tools and request.tool_choice != "none"
    body["tool_choice"] = {"type": "any"} if others else {"type": "tool", "name": name}
    written.form_tool = name


# -------------------------------------------------------------------------------------------------------------- caching
def _mark_cached(system: list[dict[str, Any]], messages: list[dict[str, Any]], cache: Any) -> None:
    control = {"type": "ephemeral", **({"ttl": cache} if isinstance(cache, str) else {})}
    messages_content.mark_cached(system, control)
    if messages:
        messages_content.mark_cached(messages[-1]["content"], control)
