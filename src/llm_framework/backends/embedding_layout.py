"""How a folder's model makes a vector of a text, as its Sentence Transformers files say: `modules.json` and what it
points to, and the prompts of `config_sentence_transformers.json`. Reads small JSON files and imports nothing heavy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

from ..embedding import EmbeddingTask
from ..errors import ModelLoadError

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "Sigmoid", "SiLU")
_SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")  # the names under which one is looked for, in this order


@dataclass(frozen=True, slots=True)
class Pooling:
    """One vector of the tokens' ones: by each of `modes`, side by side. Without `include_prompt` the tokens of a prompt
    have no part in it."""

    modes: tuple[str, ...] = ("mean",)
    include_prompt: bool = True


@dataclass(frozen=True, slots=True)
class Dense:
    """A matrix, a bias and an activation; the weights lie in `folder`."""

    folder: Path
    activation: str = "Tanh"


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """A norm with weights, which lie in `folder`."""

    folder: Path


@dataclass(frozen=True, slots=True)
class Normalize:
    """Vectors of length 1."""


Step = Union[Pooling, Dense, LayerNorm, Normalize]


@dataclass(frozen=True, slots=True)
class Layout:
    """A model's parts. `folder` holds the network and its tokenizer; `max_tokens` is how much it reads, where its files
    say so beside its config; `is_told` is False where no files say how vectors are made, and `steps` are then empty."""

    folder: Path
    steps: tuple[Step, ...] = ()
    max_tokens: int | None = None
    lower_case: bool = False
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    is_told: bool = True

    def prompt(self, task: EmbeddingTask | None) -> str:
        """What stands before a text of that task."""
        if task is None:
            return self.prompts.get(self.default_prompt or "", "")
        names = ("query",) if task == "query" else _DOCUMENT_PROMPTS
        return next((self.prompts[name] for name in names if name in self.prompts), "")


def read_layout(folder: Path, model: str) -> Layout:
    """The layout of the model in a folder. Raises `ModelLoadError` where its files make no sense, or ask for a module
    that is not known here."""
    reader = _Reader(folder, model)
    if not (folder / "modules.json").is_file():
        return Layout(folder, is_told=False)
    modules = [reader.module(entry) for entry in reader.modules()]
    if not modules or modules[0][0] != "Transformer":
        raise reader.fault("modules.json does not begin with a Transformer")
    network = modules[0][1]
    sizes = reader.settings(network / "sentence_bert_config.json")
    prompts = reader.settings(folder / "config_sentence_transformers.json")
    return Layout(
        network,
        steps=tuple(step for kind, path in modules[1:] if (step := reader.step(kind, path)) is not None),
        max_tokens=_size(sizes.get("max_seq_length")),
        lower_case=bool(sizes.get("do_lower_case")),
        prompts=_texts(prompts.get("prompts")),
        default_prompt=prompts.get("default_prompt_name"),
    )


class _Reader:
    """Reads the files of one folder; what is wrong with them names the file."""

    def __init__(self, folder: Path, model: str) -> None:
        self._folder = folder
        self._model = model

    def fault(self, what: str) -> ModelLoadError:
        """The error for these files."""
        return ModelLoadError(f"{self._folder}: {what}", model=self._model, path=str(self._folder))

    def modules(self) -> list[Mapping[str, Any]]:
        """The entries of `modules.json`, in their order."""
        entries = self._json(self._folder / "modules.json")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self.fault("modules.json is no list of modules")
        return entries

    def module(self, entry: Mapping[str, Any]) -> tuple[str, Path]:
        """A module's kind and folder."""
        kind, path = str(entry.get("type", "")).rpartition(".")[2], str(entry.get("path", ""))
        folder = self._folder / path
        if ".." in Path(path).parts or Path(path).is_absolute() or not folder.is_dir():
            if kind == "Normalize" and ".." not in path:  # it has no files, and a folder that is empty gets lost
                return kind, folder
            raise self.fault(f"modules.json points to {path!r}, which is no folder in it")
        return kind, folder

    def step(self, kind: str, folder: Path) -> Step | None:
        """What a module does after the network; None for nothing."""
        settings = self.settings(folder / "config.json")
        if kind == "Pooling":
            return self._pooling(settings)
        if kind == "Dense":
            return self._dense(folder, settings)
        if kind == "LayerNorm":
            return LayerNorm(folder)
        if kind == "Normalize":
            return Normalize()
        if kind == "Dropout":  # of use in training only
            return None
        message = f"modules.json asks for {kind or 'a module without a type'}, which is not known here"
        raise self.fault(f"{message}; known are Pooling, Dense, LayerNorm and Normalize")

    def settings(self, path: Path) -> Mapping[str, Any]:
        """A JSON object; empty where there is no such file."""
        values = self._json(path) if path.is_file() else {}
        if not isinstance(values, dict):
            raise self.fault(f"{path.relative_to(self._folder)} is no JSON object")
        return values

    def _json(self, path: Path) -> Any:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise self.fault(f"{path.relative_to(self._folder)} cannot be read: {error}") from None

    def _pooling(self, settings: Mapping[str, Any]) -> Pooling:
        named = settings.get("pooling_mode")
        if named is None:
            named = [mode for switch, mode in _SWITCHES.items() if settings.get(switch)] or ["mean"]
        modes = tuple(str(mode) for mode in ([named] if isinstance(named, str) else named))
        for mode in modes:
            if mode not in POOLING_MODES:
                raise self.fault(f"the pooling {mode!r} is not known here; known are {', '.join(POOLING_MODES)}")
        return Pooling(modes, bool(settings.get("include_prompt", True)))

    def _dense(self, folder: Path, settings: Mapping[str, Any]) -> Dense:
        activation = str(settings.get("activation_function", "Tanh")).rpartition(".")[2]
        names = {settings.get(name) or "sentence_embedding" for name in ("module_input_name", "module_output_name")}
        if activation not in ACTIVATIONS or settings.get("use_residual") or names != {"sentence_embedding"}:
            what = f"the activation {activation}" if activation not in ACTIVATIONS else "its way of being connected"
            raise self.fault(f"{folder.name} is a Dense module of a kind that is not known here: {what}")
        return Dense(folder, activation)


def _size(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _texts(values: Any) -> Mapping[str, str]:
    items = values.items() if isinstance(values, dict) else ()
    return {str(name): text for name, text in items if isinstance(text, str)}
