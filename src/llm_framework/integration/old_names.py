"""What the older classes called their settings, what those are now, and the warning that says so."""

from __future__ import annotations

import difflib
import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config import LLMConfig
from ..errors import InvalidRequestError

DEFAULT_MODEL = "gemma-2b-it"

_SETTINGS = {  # older name: setting of the configuration
    "max_new_tokens": "default_max_tokens",
    "temperature": "default_temperature",
    "top_p": "default_top_p",
    "model_name": "default_model",
}
# older name: what became of it
_GONE = {
    "device": "the device is detected",
    "mode": "there is one mode",
    "lightweight": "there is one mode",
    "tool_registry": "tools are given to a call, generate(…, tools=[…]), or to an agent of LangChain or LlamaIndex",
    "max_iterations": "agents of LangChain and LlamaIndex call tools in turns",
}
SHOWN = frozenset({*_SETTINGS.values(), "log_level", "quantization"})  # settings that an older name stands for
_PLACE = __name__.rpartition(".")[0]


@dataclass
class Translated:
    """Older settings as those of `LLMConfig`. `said` tells, for each older name that was given, what it is now."""

    settings: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def translate(given: Mapping[str, Any], where: str, also_known: tuple[str, ...] = ()) -> Translated:
    """The settings, older names and those of `LLMConfig` alike; None stands for the default. Raises
    `InvalidRequestError` for a name that is neither, nor `also_known` (which is left out)."""
    result = Translated()
    for name, value in given.items():
        if name in _SETTINGS:
            _take(result, name, _SETTINGS[name], value if name != "model_name" else model_name_of(value))
        elif name == "verbose":
            _take(result, "verbose=True", "log_level", "DEBUG" if value else None)
        elif name == "use_8bit":
            _take(result, "use_8bit=True", "quantization", "q8" if value else None)
        elif name in _GONE:
            result.said += [f"{name} may go, {_GONE[name]}"] if value is not None else []
        elif name in LLMConfig.model_fields:
            result.settings[name] = value
        elif name not in also_known:
            raise InvalidRequestError(f"{where} knows no {name!r}{_nearest(name, also_known)}")
    return result


def _take(result: Translated, old: str, new: str, value: Any) -> None:
    if value is not None:
        result.settings[new] = value
        result.said.append(f"{old} is {new}={value!r}")


def _nearest(name: str, also_known: tuple[str, ...]) -> str:
    known = [*_SETTINGS, "verbose", "use_8bit", *_GONE, *LLMConfig.model_fields, *also_known]
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; the older names are {', '.join([*_SETTINGS, 'verbose'])}"


def model_name_of(name: Any) -> Any:
    """An older model name as ours: a folder or file as `native:/path`, a hub's `google/gemma-2b` as `gemma-2b`."""
    if not isinstance(name, str) or ":" in name or "/" not in name:
        return name
    return f"native:{os.path.abspath(name)}" if os.path.exists(name) else name.rpartition("/")[2]


def warn(old: str, instead: str, said: list[str]) -> None:
    """Say, at the line that called this part of the package, that `old` is of the older interface."""
    details = f" ({'; '.join(said)})" if said else ""
    message = f"{old} is of the older interface: write {instead} instead{details}. docs/migration.md shows both"
    warnings.warn(message, DeprecationWarning, stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """The `stacklevel`, as seen by `warn`, of the first frame outside."""
    level = 1
    frame = sys._getframe(1)  # `warn`
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith(_PLACE):
        frame = frame.f_back
        level += 1
    return level
