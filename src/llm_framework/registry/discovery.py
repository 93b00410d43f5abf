"""Which models a folder holds. Looks at names, sizes and times; what is in the files is `description`'s."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_PART = re.compile(r"-(\d{5})-of-\d{5}$")
_SNAPSHOT = re.compile(r"^models--(?:.+--)?(.+)$")
_OF_A_MODEL = (".safetensors", ".json", ".jinja", ".model", ".txt")
_PICKLED = re.compile(r"^pytorch_model.*\.bin$")
_INDEX = "model.safetensors.index.json"
_MODULE = re.compile(r"^\d+_[A-Z]\w*$")  # 1_Pooling, 2_Dense: parts of a Sentence Transformers model


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model on disk. `kind` is "safetensors", "sbs" or "gguf"; `long_name` the name before suffixes are dropped;
    `fingerprint` changes when a file of the model does."""

    path: Path
    kind: str
    long_name: str
    fingerprint: str


def scan(folder: Path, unread: dict[str, str] | None = None) -> Iterator[FoundModel]:
    """The models below `folder`, by path. Hidden folders are left out, links are followed, and a folder that was
    reached already, over a link that goes round in circles for one, is not entered again. A folder that cannot be read
    is passed over; it and the reason are added to `unread`."""
    seen: set[tuple[int, int]] = set()
    waiting = [str(folder)]
    while waiting:
        directory = waiting.pop()
        try:
            entries = _list(directory, seen)
        except OSError as error:
            if unread is not None and not (isinstance(error, FileNotFoundError) and directory == str(folder)):
                unread[directory] = error.strerror or str(error)
            continue
        yield from _models_in(directory, {entry.name: entry for entry in entries if not _is_folder(entry)})
        waiting += reversed(_subfolders(entries))


def at(path: Path) -> FoundModel:
    """The model at a path that was named, whatever it is called."""
    path = Path(os.path.abspath(path))
    if path.is_dir():
        with os.scandir(path) as entries:
            return _found_folder(path, {entry.name: entry for entry in entries})
    return FoundModel(path, path.suffix[1:].lower(), _stem(path.stem), _stamp(path.name, path))


def _list(directory: str, seen: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """What is in a folder, by name; nothing where the folder was seen already. Raises `OSError`."""
    status = os.stat(directory)
    identity = status.st_dev, status.st_ino
    if identity in seen:
        return []
    seen.add(identity)
    with os.scandir(directory) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where we may not go: what it is called decides whether it is listed
        return False


def _subfolders(entries: list[os.DirEntry[str]]) -> list[str]:
    """The folders in which other models may lie."""
    names = {entry.name for entry in entries}
    if "model_index.json" in names:  # a Diffusers pipeline: its folders are parts of it
        return []
    is_sentence_transformer = "modules.json" in names
    return [
        entry.path
        for entry in entries
        if not entry.name.startswith(".")
        and not (is_sentence_transformer and _MODULE.match(entry.name))
        and _is_folder(entry)
    ]


Entries = Mapping[str, "os.DirEntry[str]"]


def _models_in(directory: str, files: Entries) -> Iterator[FoundModel]:
    if "config.json" in files and any(map(_is_weights, files)):
        yield _found_folder(Path(directory), files)
    for name in files:
        if name.lower().endswith((".sbs", ".gguf")):
            yield from _found_file(Path(directory, name), files)


def _is_weights(name: str) -> bool:
    # Pickled weights and an index without its files are no model that can be run; their fault is told when it is read.
    return name.endswith(".safetensors") or name == _INDEX or _PICKLED.match(name) is not None


def _found_folder(path: Path, files: Entries) -> FoundModel:
    stamps = [_stamp(name, files[name]) for name in sorted(files) if name.endswith(_OF_A_MODEL)]
    return FoundModel(path, "safetensors", _folder_name(path), ";".join(stamps))


def _found_file(path: Path, files: Entries) -> Iterator[FoundModel]:
    if path.name.lower().startswith("mmproj"):
        return  # the vision tower of the model beside it
    parts = _parts(path, files)
    if parts and path.name != parts[0]:
        return  # the first part speaks for all
    stamps = [_stamp(name, files[name]) for name in parts or [path.name]]
    yield FoundModel(path, path.suffix[1:].lower(), _stem(path.stem), ";".join(stamps))


def _parts(path: Path, files: Iterable[str]) -> list[str]:
    """The files that are there of a split .gguf, the first one first; none for one that is not split."""
    match = _PART.search(path.stem) if path.suffix.lower() == ".gguf" else None
    if match is None:
        return []
    begin = path.stem[: match.start()]
    pattern = re.compile(re.escape(begin) + r"-\d{5}-of-\d{5}" + re.escape(path.suffix))
    return sorted(name for name in files if name.startswith(begin) and pattern.fullmatch(name))


def _stem(stem: str) -> str:
    match = _PART.search(stem)
    return (stem[: match.start()] if match else stem).lower()


def _stamp(name: str, file: os.DirEntry[str] | Path) -> str:
    """What tells whether a file is still the same. The time of its last change of any kind is part of it: tools that
    copy set the time of modification back, and rights that were mended leave it alone."""
    try:
        status = file.stat()
    except OSError as error:
        return f"{name}:{error.errno}"
    return f"{name}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def _folder_name(path: Path) -> str:
    # Hugging Face's download cache: models--google--gemma-2b-it/snapshots/<commit>
    if path.parent.name == "snapshots" and (match := _SNAPSHOT.match(path.parent.parent.name)):
        return match.group(1).lower()
    return (path.name or path.resolve().name or "model").lower()
