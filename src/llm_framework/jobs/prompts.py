"""What a line of an input file asks: a prompt and its options. Pure functions."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Literal

from ..errors import InvalidRequestError
from ..inputs import Prompt, as_messages
from ..types import GenerationConfig, Message
from .lines import MAX_LINE_BYTES, Line

InputFormat = Literal["auto", "jsonl", "text"]
INPUT_FORMATS: tuple[str, ...] = ("auto", "jsonl", "text")

_CONFIG_FIELDS = frozenset(item.name for item in fields(GenerationConfig))
# Of these the framework does not say what is wrong with them, or not by the names that they have here.
_KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "prompt": ("a string", lambda value: isinstance(value, str)),
    "messages": ("a list of messages", lambda value: isinstance(value, list)),
    "system": ("a string", lambda value: isinstance(value, str)),
    "model": ("a string", lambda value: isinstance(value, str)),
    "schema": ("a JSON schema (an object)", lambda value: isinstance(value, dict)),
    "response_format": ("a JSON schema or a regular expression", lambda value: isinstance(value, (dict, str))),
    "logit_bias": ("an object of token ids and numbers", lambda value: isinstance(value, dict)),
}
_NAMES_HERE = {"model": "model_name", "schema": "response_format"}
_OF_A_CALL = (
    "timeout", "tools", "tool_choice", "max_retries", "fallbacks", "strict_parameters", "metadata",
)  # fmt: skip
KEYS = frozenset({"id", *_KINDS, *_CONFIG_FIELDS, *_OF_A_CALL})


def format_of(path: str, given: str) -> str:
    """ "text" or "jsonl": as given, else by the file's name."""
    if given not in INPUT_FORMATS:
        raise InvalidRequestError(f"the input format is {given!r}; it must be one of {', '.join(INPUT_FORMATS)}")
    if given != "auto":
        return given
    return "text" if path.lower().endswith(".txt") else "jsonl"


def load(line: Line, form: str) -> dict[str, Any]:
    """The line as an object with "prompt" or "messages". Raises `InvalidRequestError` where it is none."""
    if line.is_too_long:
        raise InvalidRequestError(f"the line is longer than {MAX_LINE_BYTES >> 20} MiB")
    try:
        text = line.data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"the line is not UTF-8 (byte {error.start + 1})") from None
    if form == "text":
        return {"prompt": text}
    document = _parse(text)
    if isinstance(document, str):
        return {"prompt": document}
    if not isinstance(document, dict):
        raise InvalidRequestError(f'a line is a string or an object with "prompt" or "messages", not {text!r:.60}')
    return document


def _parse(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        message = f"the line is not JSON: {error.msg} at column {error.colno} (plain text lines need a .txt file)"
        raise InvalidRequestError(message) from None
    except RecursionError:
        raise InvalidRequestError("the line is JSON nested too deep") from None
    except ValueError as error:  # an integer of thousands of digits
        if isinstance(error, InvalidRequestError):
            raise
        raise InvalidRequestError(f"the line is not JSON that can be read: {error}") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequestError(f"{twice!r} is given twice in one object")
    return document


def _no_number(text: str) -> Any:
    raise InvalidRequestError(f"{text} is not a number in JSON")


def id_of(document: Mapping[str, Any]) -> str | int | None:
    """The line's own id. Raises `InvalidRequestError` for one that is neither a string nor a whole number."""
    found = document.get("id")
    if found is None or isinstance(found, str) or type(found) is int:
        return found
    raise InvalidRequestError(f"id must be a string or a whole number, not {found!r:.60}")


def prompt_of(document: Mapping[str, Any], system: str | None) -> Prompt:
    """The prompt, with `system` before it where the line has no system message of its own."""
    given = [name for name in ("prompt", "messages") if document.get(name) is not None]
    if len(given) != 1:
        say = "both" if given else "neither"
        raise InvalidRequestError(f'the line has {say} "prompt" {"and" if given else "nor"} "messages"; give one')
    _check_kind(given[0], document[given[0]])
    messages = list(as_messages(document[given[0]]))
    own = document.get("system")
    if own is not None:
        _check_kind("system", own)
        if any(message.role == "system" for message in messages):
            raise InvalidRequestError('the line has "system" and a system message in "messages"; give one')
    elif not any(message.role == "system" for message in messages):
        own = system
    return [Message.system(own), *messages] if own else messages


def options_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The line's options by their names in `LLMFramework.generate`; null is as if it were left out."""
    for name in document:
        if name not in KEYS:
            near = difflib.get_close_matches(name, KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(KEYS))}"
            raise InvalidRequestError(f"unknown key {name!r}; {hint}")
    given = {name: value for name, value in document.items() if value is not None}
    if "schema" in given and "response_format" in given:
        raise InvalidRequestError('the line has "schema" and "response_format"; give one')
    options: dict[str, Any] = {}
    for name, value in given.items():
        if name not in ("id", "prompt", "messages", "system"):
            _check_kind(name, value)
            options[_NAMES_HERE.get(name, name)] = value
    if "logit_bias" in options:
        options["logit_bias"] = _token_ids(options["logit_bias"])
    return options


def _check_kind(name: str, value: Any) -> None:
    if name in _KINDS and not _KINDS[name][1](value):
        raise InvalidRequestError(f"{name} must be {_KINDS[name][0]}, not {value!r:.60}")


def _token_ids(biases: Mapping[str, Any]) -> dict[int, Any]:
    """JSON has strings only for keys."""
    try:
        return {int(token): bias for token, bias in biases.items()}
    except ValueError:
        raise InvalidRequestError(f"logit_bias must have token ids for keys, not {next(iter(biases))!r:.60}") from None
