"""`InferenceResponse.parsed`: does the answer have the form that was asked for?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..decoding import lark
from ..errors import StructuredOutputError
from ..types import InferenceResponse, ResponseFormat

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


def parse(response: InferenceResponse, form: ResponseFormat) -> Any:
    """The answer as `form` wants it: an instance of its Python type, the decoded JSON, or the text that matched.

    None where the model called tools instead of answering. Raises `StructuredOutputError`, with the response.
    """
    if response.tool_calls and not response.text.strip():
        return None
    if form.regex is not None:
        if re.fullmatch(form.regex, response.text, re.DOTALL) is None:
            raise _error(response, f"does not match the regular expression {form.regex!r}")
        return response.text
    if form.lark is not None:
        if not lark.matches(form.lark, response.text):
            raise _error(response, "is not what the Lark grammar allows")
        return response.text
    value = _decode(response)
    if form.python_type is not None:
        return _as_python_type(response, value, form.python_type)
    fault = next(faults(value, form.schema or {}), None)
    if fault is not None:
        raise _error(response, f"does not fit the JSON schema: {fault}")
    return value


def _decode(response: InferenceResponse) -> Any:
    text = response.text
    if match := _FENCE.match(text):  # some models cannot be kept from wrapping JSON in a code block
        text = match.group(1)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _error(response, f"is not valid JSON ({error})") from None


def _as_python_type(response: InferenceResponse, value: Any, python_type: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(python_type).validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        name = getattr(python_type, "__name__", str(python_type))
        raise _error(response, f"is no {name}: {place}: {first['msg']}") from None


def _error(response: InferenceResponse, fault: str) -> StructuredOutputError:
    cut = "; it was cut off by max_tokens" if response.finish_reason == "length" else ""
    message = f"the answer of {response.model!r} {fault}{cut}"
    return StructuredOutputError(message, model=response.model, response=response)


# ------------------------------------------------------------------------------------------------------- JSON schema
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "null": (type(None),),
    "integer": (int,), "number": (int, float),
}  # fmt: skip


def faults(value: Any, schema: Any, root: Mapping[str, Any] | None = None, place: str = "$") -> Iterator[str]:
    """What is wrong with `value`, by the parts of JSON schema that models are asked for: type, enum, const, required,
    properties, additionalProperties, items, minItems, maxItems, anyOf, oneOf, allOf and local $ref. Others pass."""
    if not isinstance(schema, Mapping):
        if schema is False:
            yield f"{place} must not be there"
        return
    root = schema if root is None else root
    if "$ref" in schema:
        target = _resolve(str(schema["$ref"]), root)
        if target is not None:
            yield from faults(value, target, root, place)
    yield from _type_faults(value, schema, place)
    yield from _combination_faults(value, schema, root, place)
    if isinstance(value, dict):
        yield from _object_faults(value, schema, root, place)
    elif isinstance(value, list):
        yield from _array_faults(value, schema, root, place)


def _type_faults(value: Any, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    wanted = schema.get("type")
    names = [wanted] if isinstance(wanted, str) else wanted or []
    if names and not any(_is_type(value, name) for name in names):
        yield f"{place} must be of type {' or '.join(names)}, not {json.dumps(value)[:80]}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place} must be one of {json.dumps(schema['enum'])[:200]}, not {json.dumps(value)[:80]}"
    if "const" in schema and value != schema["const"]:
        yield f"{place} must be {json.dumps(schema['const'])[:200]}"


def _is_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(name, (object,)))


def _combination_faults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> Iterator[str]:
    for part in schema.get("allOf", ()):
        yield from faults(value, part, root, place)
    for word in ("anyOf", "oneOf"):
        parts = schema.get(word, ())
        if parts and not any(next(faults(value, part, root, place), None) is None for part in parts):
            yield f"{place} fits none of {word}"


def _object_faults(
    value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], place: str
) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{place}.{name} is missing"
    for name, item in value.items():
        if name in properties:
            yield from faults(item, properties[name], root, f"{place}.{name}")
        elif schema.get("additionalProperties", True) is not True and "patternProperties" not in schema:
            yield from faults(item, schema["additionalProperties"], root, f"{place}.{name}")


def _array_faults(value: list[Any], schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield f"{place} holds {len(value)} items, at least {schema['minItems']} are needed"
    if len(value) > schema.get("maxItems", len(value)):
        yield f"{place} holds {len(value)} items, at most {schema['maxItems']} are allowed"
    prefix = schema.get("prefixItems", ())
    for index, item in enumerate(value):
        part = prefix[index] if index < len(prefix) else schema.get("items", True)
        yield from faults(item, part, root, f"{place}[{index}]")


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    """What a local reference such as `#/$defs/Item` points to, or None."""
    target: Any = root
    if not reference.startswith("#"):
        return None
    for word in reference[1:].split("/"):
        if word:
            key = word.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, Mapping) else None
    return target
