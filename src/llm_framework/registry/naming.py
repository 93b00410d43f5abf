"""What found models are called: the folder's or file's name, less the words for format and quantisation."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, count

from .model_info import ModelInfo

# Format and quantisation words at the end of a name. Several may follow each other: gemma-2b-it-q4_k_m-gguf.
_SUFFIX = re.compile(
    r"[-_.](sbs|gguf|hf|safetensors|sfp|nuq|bf16|bfloat16|f16|fp16|float16|f32|fp32|float32|fp8|i8|int8|int4|8bit|4bit"
    r"|i?q\d+(?:_[a-z0-9]+){0,2}|single|split)$"
)


def short_name(long_name: str) -> str:
    """The name less format and quantisation suffixes: `gemma-2b-it-sfp` is `gemma-2b-it`."""
    while match := _SUFFIX.search(long_name):
        if not match.start():
            break
        long_name = long_name[: match.start()]
    return long_name


def assign_names(infos: Iterable[ModelInfo], reserved: Iterable[str] = ()) -> tuple[list[ModelInfo], dict[str, str]]:
    """The infos under their final names, and the other names (aliases) that lead to them.

    Suffixes are dropped where the shorter name stays unique. Two models with the same long name are told apart by
    their format, then by the folder they stand in, then by a number.
    """
    long_infos = _unique_long_names(sorted(infos, key=lambda info: str(info.path)), set(reserved))
    counts = Counter(short_name(info.name) for info in long_infos)
    taken = {info.name for info in long_infos} | set(reserved)
    named: list[ModelInfo] = []
    aliases: dict[str, str] = {}
    for info in long_infos:
        short = short_name(info.name)
        name = short if counts[short] == 1 and (short == info.name or short not in taken) else info.name
        named.append(_renamed(info, name))
        for alias in (info.name, info.path.name.lower() if info.path else info.name):
            if alias != name:
                aliases.setdefault(alias, name)
    return named, aliases


def _unique_long_names(infos: list[ModelInfo], taken: set[str]) -> list[ModelInfo]:
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for info in infos:
        kinds[info.name][_kind(info)] += 1
    result = []
    for info in infos:
        name, same = info.name, kinds[info.name]
        if same.total() > 1 or name in taken:
            parent = info.path.parent.name.lower() if info.path else ""
            named = [f"{name}-{_kind(info)}", f"{parent}/{name}"]
            if same[_kind(info)] > 1:
                named.reverse()
            candidates = chain(named, (f"{name}-{number}" for number in count(2)))
            name = next(candidate for candidate in candidates if candidate not in taken and candidate not in kinds)
        taken.add(name)
        result.append(_renamed(info, name))
    return result


def _renamed(info: ModelInfo, name: str) -> ModelInfo:
    return info if name == info.name else replace(info, name=name)


def _kind(info: ModelInfo) -> str:
    return str(info.metadata.get("format", "")).replace("safetensors", "hf")
