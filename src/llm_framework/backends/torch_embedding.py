"""An embedding model in torch: texts to tokens, through the network, to one vector each.

What comes after the network (pooling, matrices, norms) follows the files of Sentence Transformers, whose own package
is not needed.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..embedding import EmbeddingRequest, Embeddings
from ..errors import ContextOverflowError, InvalidRequestError, ModelLoadError
from ..types import Usage
from .embedding_layout import Dense, LayerNorm, Layout, Normalize, Pooling, Step

if TYPE_CHECKING:
    import torch

MAX_TEXTS = 32  # in one pass
MAX_PADDED_TOKENS = 16_384  # in one pass, with what fills the shorter texts up: it sets the memory that a pass takes

Vectors = Any  # torch.Tensor [texts, size]
Module = Callable[[Vectors], Vectors]


class TextEncoder:
    """A network with its tokenizer and its layout. May be called from several threads; one computes at a time."""

    def __init__(
        self, name: str, network: Any, tokenizer: Any, layout: Layout, max_tokens: int, num_threads: int | None = None
    ) -> None:
        import torch

        self._torch = torch
        self._name = name
        self._network = network
        self._tokenizer = tokenizer
        self._layout = layout
        self._max_tokens = max_tokens
        self._num_threads = num_threads
        self._lock = threading.Lock()
        self._device: torch.device = network.get_input_embeddings().weight.device
        self._pooling = next((step for step in layout.steps if isinstance(step, Pooling)), Pooling())
        self._modules = [
            _module(step, self._device, network.dtype) for step in layout.steps if step is not self._pooling
        ]
        self._is_normal = any(isinstance(step, Normalize) for step in layout.steps)
        self._taken = frozenset(inspect.signature(network.forward).parameters)
        if tokenizer.pad_token is None:  # only where shorter texts are filled up, which the mask hides
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token

    def close(self) -> None:
        """Let go of the weights. Safe to call twice."""
        with self._lock:
            self._network, self._modules = None, []

    def encode(self, request: EmbeddingRequest, stop: threading.Event) -> Embeddings:
        """The vectors of the request's texts; ends early, with nothing, when `stop` is set. Blocks. Raises
        `ContextOverflowError` for a text that is too long, `InvalidRequestError` for one without tokens."""
        prompt = self._layout.prompt(request.task)
        texts = self._tokens(request, prompt)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]["input_ids"]))
        skipped = 0 if self._pooling.include_prompt else self._prompt_tokens(prompt)
        vectors: list[list[float]] = [[]] * len(texts)
        with self._lock, self._torch.inference_mode():
            if self._device.type == "cpu" and self._num_threads:
                self._torch.set_num_threads(self._num_threads)  # it counts for the thread that computes
            for batch in _batches(order, texts):
                if stop.is_set():
                    break
                made = self._pass([texts[index] for index in batch], skipped)
                for index, vector in zip(batch, self._shortened(made, request.dimensions), strict=True):
                    vectors[index] = vector
        return Embeddings(vectors, Usage(sum(len(text["input_ids"]) for text in texts)))

    def _tokens(self, request: EmbeddingRequest, prompt: str) -> list[dict[str, Any]]:
        """What the tokenizer makes of each text, with its prompt before it."""
        told = [prompt + text for text in request.texts]
        if self._layout.lower_case:
            told = [text.lower() for text in told]
        encoded = self._tokenizer(told, padding=False, truncation=False, verbose=False)
        names = [name for name in encoded if name in self._taken or name == "attention_mask"]
        texts = [{name: encoded[name][index] for name in names} for index in range(len(told))]
        for position, text in zip(request.positions, texts, strict=True):
            self._check_length(position, len(text["input_ids"]))
        return texts

    def _check_length(self, position: int, length: int) -> None:
        if not length:
            message = f"texts[{position}] has no tokens, so {self._name} makes no vector of it; leave it out"
            raise InvalidRequestError(message, model=self._name)
        if length > self._max_tokens:
            message = (
                f"texts[{position}] has {length} tokens, and {self._name} reads {self._max_tokens} at most; split it"
            )
            raise ContextOverflowError(message, model=self._name, tokens=length, limit=self._max_tokens)

    def _prompt_tokens(self, prompt: str) -> int:
        """How many tokens a text begins with that are the prompt's, and the tokenizer's own before it."""
        ids = self._tokenizer(prompt, verbose=False)["input_ids"] if prompt else []
        return len(ids) - (bool(ids) and ids[-1] in self._tokenizer.all_special_ids)

    def _pass(self, texts: Sequence[dict[str, Any]], skipped: int) -> Vectors:
        """Through the network, and what comes after it."""
        if self._network is None:
            raise ModelLoadError(f"{self._name} was unloaded while it was asked", model=self._name)
        padded = self._tokenizer.pad(list(texts), padding=True, return_tensors="pt", verbose=False).to(self._device)
        mask = padded["attention_mask"]
        taken = {name: values for name, values in padded.items() if name in self._taken}
        states = self._network(**taken, return_dict=True).last_hidden_state
        vectors = pool(states, mask, self._pooling.modes, skipped)
        for module in self._modules:
            vectors = module(vectors)
        return vectors

    def _shortened(self, vectors: Vectors, dimensions: int | None) -> list[list[float]]:
        vectors = vectors.float()
        size = vectors.shape[-1]
        if dimensions is not None and dimensions > size:
            message = f"{dimensions} dimensions were asked for, and {self._name} makes vectors of {size}"
            raise InvalidRequestError(message, model=self._name)
        if dimensions is not None and dimensions < size:
            vectors = vectors[:, :dimensions]
            if self._is_normal:  # a part of a vector of length 1 is shorter than 1
                vectors = self._torch.nn.functional.normalize(vectors, dim=-1)
        listed: list[list[float]] = vectors.cpu().tolist()
        return listed


def _batches(order: Sequence[int], texts: Sequence[dict[str, Any]]) -> Iterator[list[int]]:
    """The texts in passes; `order` is from the shortest to the longest, so that little is filled up."""
    batch: list[int] = []
    for index in order:
        padded = (len(batch) + 1) * len(texts[index]["input_ids"])
        if batch and (len(batch) >= MAX_TEXTS or padded > MAX_PADDED_TOKENS):
            yield batch
            batch = []
        batch.append(index)
    yield batch


# ------------------------------------------------------------------------------------------------- after the network
def pool(states: Vectors, mask: Vectors, modes: Sequence[str], skipped: int = 0) -> Vectors:
    """One vector for each text: of `states` [texts, tokens, size], where `mask` [texts, tokens] is 1, and without each
    text's first `skipped` tokens. Several modes stand side by side."""
    import torch

    positions = mask.cumsum(dim=1) * mask  # 1, 2, … for a text's own tokens, wherever its filling stands
    if skipped:
        mask = mask * (positions > skipped)
    return torch.cat([_POOLINGS[mode](states, mask, positions) for mode in modes], dim=-1)


def _first(states: Vectors, mask: Vectors, positions: Vectors) -> Vectors:
    return states[_rows(states), mask.int().argmax(dim=1)]


def _last(states: Vectors, mask: Vectors, positions: Vectors) -> Vectors:
    return states[_rows(states), (positions * mask).argmax(dim=1)]


def _max(states: Vectors, mask: Vectors, positions: Vectors) -> Vectors:
    return states.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).max(dim=1).values


def _mean(states: Vectors, mask: Vectors, positions: Vectors) -> Vectors:
    return _sum(states, mask) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def _mean_of_root(states: Vectors, mask: Vectors, positions: Vectors) -> Vectors:
    return _sum(states, mask) / mask.sum(dim=1, keepdim=True).clamp(min=1).sqrt()


def _weighted_mean(states: Vectors, mask: Vectors, positions: Vectors) -> Vectors:
    weights = positions * mask
    return _sum(states, weights) / weights.sum(dim=1, keepdim=True).clamp(min=1)


def _sum(states: Vectors, weights: Vectors) -> Vectors:
    return (states.float() * weights.unsqueeze(-1).float()).sum(dim=1)


def _rows(states: Vectors) -> Vectors:
    import torch

    return torch.arange(states.shape[0], device=states.device)


_POOLINGS: dict[str, Callable[[Vectors, Vectors, Vectors], Vectors]] = {
    "cls": _first,
    "lasttoken": _last,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_of_root,
    "weightedmean": _weighted_mean,
}


def _module(step: Step, device: Any, dtype: Any) -> Module:
    """What a step does to the vectors. Raises `ModelLoadError` where its weights are not there or do not fit."""
    from torch import nn

    if isinstance(step, Normalize):
        return lambda vectors: nn.functional.normalize(vectors, dim=-1)
    if isinstance(step, LayerNorm):
        weight, bias = _weights(step.folder, "norm", device, dtype)
        return lambda vectors: nn.functional.layer_norm(vectors.to(dtype), weight.shape, weight, bias)
    if isinstance(step, Dense):
        matrix = _weights(step.folder, "linear", device, dtype)
        activation = getattr(nn, step.activation)()
        return lambda vectors: activation(nn.functional.linear(vectors.to(dtype), *matrix))
    raise ModelLoadError("a second Pooling stands in modules.json")


def _weights(folder: Path, name: str, device: Any, dtype: Any) -> list[torch.Tensor]:
    """A module's weight, and its bias where it has one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / "model.safetensors"
    if not path.is_file():
        message = f"{folder} has no model.safetensors; pickled weights are refused, as reading them can run code"
        raise ModelLoadError(message, path=str(folder))
    try:
        tensors = load_file(path)
        found = [tensors[f"{name}.weight"], *(tensors[key] for key in [f"{name}.bias"] if key in tensors)]
    except (SafetensorError, OSError, KeyError) as error:
        message = f"{path} cannot be read, or does not hold {name}.weight: {error}"
        raise ModelLoadError(message, path=str(path)) from None
    return [tensor.to(device=device, dtype=dtype) for tensor in found]
