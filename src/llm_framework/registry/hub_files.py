"""Which files of a hub's repository make a model that can be run here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from ..errors import BadResponseError, InvalidRequestError, ModelNotFoundError

# Beside the weights, in the repository's root: what describes a model and its tokenizer. No code, no pickles.
_BESIDE = frozenset(
    {
        "config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer.model",
        "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
        "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tekken.json", "chat_template.jinja",
        "chat_template.json", "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json",
    }
)  # fmt: skip
_MODULE = re.compile(r"^\d+_[A-Z]\w*/(config\.json|model\.safetensors)$")  # of a Sentence Transformers model
_SHARD = re.compile(r"^model-\d+-of-\d+\.safetensors$")
_PART = re.compile(r"-\d{5}-of-\d{5}$")
_SINGLE = (".gguf", ".sbs")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt")
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository: `size` in bytes, and its checksum: `sha256` of a large file, `git_sha1` (Git's blob id)
    of a small one; None where the hub does not say."""

    name: str
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The files of a model. `model` is the file that it is opened by; None for one that is a folder."""

    files: tuple[RemoteFile, ...]
    model: str | None


def choose(repo: str, files: Sequence[RemoteFile], wanted: str | None = None) -> Choice:
    """The files to download.

    `wanted` names a .gguf or .sbs file (its name, a pattern as in a shell, or a word of its name, such as Q4_K_M), or
    is "safetensors". Without it: the safetensors, else the only .gguf or .sbs file that there is. Raises
    `ModelNotFoundError` where there is no such file, `InvalidRequestError` where there are several, and
    `BadResponseError` for names that lead out of the folder.
    """
    known = {file.name: file for file in files}
    for name in known:
        _check_name(repo, name)
    singles = _by_model(name for name in known if _is_single(name))
    hub = _hub_files(known)
    if wanted is not None and wanted.lower() not in ("safetensors", "*.safetensors"):
        return _single(repo, known, _matching(singles, wanted), singles, wanted)
    if hub:
        return Choice(tuple(known[name] for name in sorted(hub)), None)
    if wanted is None and singles:
        return _single(repo, known, singles, singles, None)
    raise ModelNotFoundError(f"{repo} holds no model that can be run here: {_what_there_is(known, singles)}")


def _hub_files(known: Mapping[str, RemoteFile]) -> set[str]:
    """What a Hugging Face folder needs; nothing where the repository holds none."""
    weights = {name for name in known if name.endswith(".safetensors") and "/" not in name}
    if "config.json" not in known:
        return set()
    if "model.safetensors" in weights:
        weights = {"model.safetensors"}
    elif "model.safetensors.index.json" in known:
        weights = {name for name in weights if _SHARD.match(name)} or weights
    if not weights:
        return set()
    beside = {name for name in known if name in _BESIDE}
    if "model.safetensors" in weights:
        beside.discard("model.safetensors.index.json")
    modules = {name for name in known if _MODULE.match(name)} if "modules.json" in known else set()
    return weights | beside | modules


def _single(
    repo: str,
    known: Mapping[str, RemoteFile],
    found: Mapping[str, list[str]],
    there_are: Mapping[str, list[str]],
    wanted: str | None,
) -> Choice:
    if len(found) == 1:
        ((_, parts),) = found.items()
        return Choice(tuple(known[name] for name in parts), parts[0])
    if found:
        which = f"{wanted!r} fits several files" if wanted else "several files are models"
        raise InvalidRequestError(f"{repo}: {which}; name one of them (--file): {_listed(known, found)}")
    there = f"there are {_listed(known, there_are)}" if there_are else _what_there_is(known, there_are)
    raise ModelNotFoundError(f"{repo} has no .gguf or .sbs file that fits {wanted!r}: {there}")


def _matching(singles: Mapping[str, list[str]], wanted: str) -> dict[str, list[str]]:
    """The models that are meant: by the whole name, else by a pattern, else by a word of the name."""
    lower = wanted.lower()
    exact = {stem: parts for stem, parts in singles.items() if wanted in parts or wanted == stem}
    if exact:
        return exact
    by_pattern = {stem: parts for stem, parts in singles.items() if any(fnmatchcase(p.lower(), lower) for p in parts)}
    if by_pattern:
        return by_pattern
    word = re.compile(rf"(^|[-_./]){re.escape(lower)}($|[-_.])")
    return {stem: parts for stem, parts in singles.items() if word.search(stem.lower())}


def _by_model(names: Iterable[str]) -> dict[str, list[str]]:
    """Files by what they are called without the number of the part, the first part first."""
    models: dict[str, list[str]] = {}
    for name in sorted(names):
        path = PurePosixPath(name)
        stem = str(path.with_name(_PART.sub("", path.stem) + path.suffix))
        models.setdefault(stem, []).append(name)
    return models


def _is_single(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in _SINGLE and not path.name.lower().startswith("mmproj")


def _listed(known: Mapping[str, RemoteFile], models: Mapping[str, list[str]]) -> str:
    shown = [f"{stem}{_size(known, parts)}" for stem, parts in models.items()]
    rest = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + rest


def _size(known: Mapping[str, RemoteFile], names: Iterable[str]) -> str:
    size = sum(known[name].size or 0 for name in names)
    return f" ({size / 1e9:.2f} GB)" if size >= 1e7 else ""


def _what_there_is(known: Mapping[str, RemoteFile], singles: Mapping[str, list[str]]) -> str:
    if singles:
        return f"it has no safetensors, but {_listed(known, singles)}"
    if "adapter_config.json" in known:
        return "it is an adapter, which changes another model; adapters are not supported"
    if "model_index.json" in known:
        return "it is a pipeline of Diffusers, which makes pictures"
    if any(name.endswith(_PICKLED) for name in known):
        return "its weights are pickled, which can run code when they are read; look for one with safetensors"
    return "it has neither config.json with safetensors nor a .gguf or .sbs file"


def _check_name(repo: str, name: str) -> None:
    """A name comes from a server: it must stay in the folder that it is written to."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or any(char in name for char in "\\:\0"):
        raise BadResponseError(
            f"{repo} lists a file {name[:80]!r}, which leads out of its folder: nothing is downloaded", retryable=False
        )
