"""YAML with line numbers: which line a key stands on, and on which line something is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ConfigurationError

Lines = dict[tuple[str, ...], int]
"""Key paths (("generation", "default_top_k"); items of lists by their number) and their lines, counted from 1."""


def read_yaml(path: Path) -> tuple[dict[Any, Any], Lines]:
    """The mapping that a file holds, and the lines of its keys.

    Raises `ConfigurationError` with the file and the line where it is no YAML, is no mapping or has a key twice, and
    with the file where it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"the configuration file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"{path}, line {line}: this is not UTF-8 text") from None
    node, document = _parse(text, path)
    if node is None:
        return {}, {}
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}, line 1: the file must hold a mapping of settings")
    lines: Lines = {}
    _collect_lines(node, (), lines, path)
    return document, lines


def _parse(text: str, path: Path) -> tuple[Any, Any]:
    """The document as YAML's nodes, which know their lines, and as Python's values."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_object(self, node: Any, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep=deep)
            except ValueError as error:  # 2024-13-45 looks like a date and is none
                problem = f"{node.value!r}: {error}; quote it if it is text"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    try:
        return yaml.compose(text, Loader=Loader), yaml.load(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        raise _no_yaml(path, error) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ConfigurationError(f"{path}, line {line}: this is not valid YAML: {error.reason}") from None


def _no_yaml(path: Path, error: Any) -> ConfigurationError:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    what = ", ".join(text for text in (error.context, error.problem) if text)
    return ConfigurationError(f"{path}, line {line}: this is not valid YAML: {what}")


def _collect_lines(node: Any, key_path: tuple[str, ...], lines: Lines, file: Path, above: tuple[int, ...] = ()) -> None:
    """The line of every key below `node`. A key that stands twice is an error: YAML would silently take the last."""
    if not isinstance(getattr(node, "value", None), list):
        return
    if id(node) in above:
        line = node.start_mark.line + 1
        raise ConfigurationError(f"{file}, line {line}: this is not valid YAML: an alias that holds itself")
    seen: set[str] = set()
    for index, child in enumerate(node.value):
        key, value = child if isinstance(child, tuple) else (None, child)
        name = str(key.value) if key is not None else str(index)
        line = (key if key is not None else value).start_mark.line + 1
        if name in seen and name != "<<":
            raise ConfigurationError(f"{file}, line {line}: {name!r} is set twice in this file")
        seen.add(name)
        path = (*key_path, name)
        lines[path] = line
        _collect_lines(value, path, lines, file, (*above, id(node)))
