"""What an answer may look like, as Lark grammars for llguidance.

JSON has the white space that `json.dumps` writes: `, ` and `: `, on one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from ..errors import UnsupportedFeatureError
from ..types import ResponseFormat, ToolSpec
from .tool_calls import CALL_END, CALL_START

Marker = Callable[[str], str]
"""Gives the grammar's symbol for a marker: a string literal, or a special token."""

_WHITE_SPACE = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
# The formats that are enforced; others are remarks, as the JSON schema specification has it.
_FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")
)  # fmt: skip
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_SINGLE = ("items", "additionalProperties", "additionalItems", "unevaluatedProperties", "not", "contains")
_COMBINED = ("anyOf", "oneOf", "$ref", "patternProperties", "if")


def literal(text: str) -> str:
    """A string of a grammar."""
    return json.dumps(text, ensure_ascii=True)


def answer_grammar(form: ResponseFormat, tools: Sequence[ToolSpec] = (), marker: Marker = literal) -> str:
    """An answer of `form`; or, where tools are offered beside it, calls of them."""
    rules = calls_rules(tools, marker) if tools else []
    if form.lark is not None and not tools:
        return form.lark  # as it is: its own settings and rules count
    start = "start: answer | calls" if tools else "start: answer"
    if form.lark is not None:
        return "\n".join([start, f"answer: %lark {{\n{form.lark}\n}}", *rules])
    if form.regex is not None:
        import llguidance

        return "\n".join([start, f"answer: /{llguidance.regex_to_lark(unanchored(form.regex), '')}/", *rules])
    return "\n".join([start, _json_rule("answer", form.schema or {}), *rules])


def calls_grammar(tools: Sequence[ToolSpec], marker: Marker = literal) -> str:
    """One call or several, one a line, and nothing else."""
    return "\n".join(["start: calls", *calls_rules(tools, marker)])


def call_rest_grammar(tools: Sequence[ToolSpec], marker: Marker = literal) -> str:
    """What follows the marker that begins a call, up to the one that ends it."""
    return "\n".join(["start: body end", f"end: {marker(CALL_END)}", *_body_rules(tools)])


def calls_rules(tools: Sequence[ToolSpec], marker: Marker) -> list[str]:
    """The rule `calls` and what it needs."""
    call = f"call: {marker(CALL_START)} body {marker(CALL_END)}"
    return ['calls: call ("\\n" call)*', call, *_body_rules(tools)]


def _body_rules(tools: Sequence[ToolSpec]) -> list[str]:
    rules = ["body: " + " | ".join(f"call_{index}" for index in range(len(tools)))]
    for index, tool in enumerate(tools):
        head = f'{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "arguments": '
        rules.append(f'call_{index}: {literal(head)} arguments_{index} "}}"')
        rules.append(_json_rule(f"arguments_{index}", {"type": "object", **tool.parameters}))
    return rules


def _json_rule(name: str, schema: Mapping[str, Any]) -> str:
    return f"{name}: %json {json.dumps({**prepared(schema), 'x-guidance': _WHITE_SPACE})}"


def unanchored(regex: str) -> str:
    """The expression without `^` and `$` around it: the whole answer has to match anyway."""
    regex = regex.removeprefix("^").removeprefix("\\A")
    end = re.search(r"(?<!\\)((?:\\\\)*)(\$|\\Z)\Z", regex)
    return regex[: end.start(2)] if end else regex


# -------------------------------------------------------------------------------------------------------------- schema
def prepared(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without formats that nothing enforces, its objects closed.

    An object that lists its properties and does not speak of others gets no others: every answer is still valid, and a
    model is not led to invent fields. Left open are objects that several subschemas describe together.
    """
    nodes = list(subschemas(schema))
    for node in nodes:
        _check_bounds(node)
    close = not any("allOf" in node or ("properties" in node and any(k in node for k in _COMBINED)) for node in nodes)
    result = _prepared(schema, close)
    assert isinstance(result, dict)
    return result


def subschemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    """The schema and all that stand in it, without following references."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    for key in _MAPS:
        if isinstance(schema.get(key), Mapping):
            for value in schema[key].values():
                yield from subschemas(value)
    for key in _LISTS:
        if isinstance(schema.get(key), (list, tuple)):
            for value in schema[key]:
                yield from subschemas(value)
    for key in _SINGLE:
        yield from subschemas(schema.get(key))


def _prepared(schema: Any, close: bool) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    result = dict(schema)
    for key, value in schema.items():
        if key in _MAPS and isinstance(value, Mapping):
            result[key] = {name: _prepared(one, close) for name, one in value.items()}
        elif key in _LISTS and isinstance(value, (list, tuple)):
            result[key] = [_prepared(one, close) for one in value]
        elif key in _SINGLE:
            result[key] = _prepared(value, close)
    if result.get("format") not in _FORMATS:
        result.pop("format", None)
    if close and _is_closable(result):
        result["additionalProperties"] = False
    return result


def _check_bounds(schema: Mapping[str, Any]) -> None:
    """llguidance would take a bound beyond 64 bits for the last number that has so many."""
    low = [schema.get(name) for name in ("minimum", "exclusiveMinimum")]
    high = [schema.get(name) for name in ("maximum", "exclusiveMaximum")]
    beyond = [bound for bound in low if _is_number(bound) and bound >= 2**63]
    beyond += [bound for bound in high if _is_number(bound) and bound < -(2**63)]
    if beyond:
        message = f"no number beyond 64 bits can be asked for, and {beyond[0]} is a bound"
        raise UnsupportedFeatureError(message, feature="response_format")


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_closable(schema: Mapping[str, Any]) -> bool:
    if "additionalProperties" in schema or not isinstance(schema.get("properties"), Mapping):
        return False
    required = schema.get("required") or ()
    least = schema.get("minProperties") or 0
    return all(name in schema["properties"] for name in required) and least <= len(schema["properties"])
