"""A Transformers model as the scheduler's engine: sequences with a cache each, and steps that append tokens to them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .torch_sampling import Sampled, TorchSampler

if TYPE_CHECKING:
    import torch

PREFILL_TOKENS = 512
# Threads that share less work than this wait for each other longer than they work, on a busy machine by far.
PARAMETERS_PER_THREAD = 25_000_000
WHOLE_PROMPTS = 1 << 30  # for models that cannot continue a text by more than one token at a time


class TorchSequence:
    """One text in the model: its cache and how many tokens are in it. `length` is -1 once a step that failed has left
    the cache neither as it was nor as it should be."""

    def __init__(self, cache: Any) -> None:
        self.cache = cache
        self.length = 0
        self.tokens: list[int] = []  # for models without a cache: the whole text

    def rewind(self, num_tokens: int) -> None:
        """Take the last `num_tokens` out of the cache again, as far as its kind allows that: a step has failed. A pass
        that broke off in the middle has changed some layers only, and nothing repairs that."""
        if self.cache is None:
            return
        try:
            if num_tokens:
                self.cache.crop(-num_tokens)
            untouched = self.cache.get_seq_length() == self.length
        except Exception:  # whatever a family's own cache raises: it cannot be trusted any more
            untouched = False
        if not untouched:
            self.length = -1


@dataclass(frozen=True, slots=True)
class TorchRow:
    """A part of a step: `tokens` to append to `sequence`; with `sampler`, what follows is drawn.

    `mask` is the hook for constrained decoding: uint32 words, a bit a token, lowest bit first; with it only tokens
    whose bit is set are drawn. It has the form that `_native.Row` takes.
    """

    sequence: TorchSequence
    tokens: Sequence[int]
    sampler: TorchSampler | None = None
    mask: NDArray[np.uint32] | None = None


class TorchEngine:
    """A causal language model of Transformers. One caller at a time: the scheduler's thread.

    On the processor it computes with at most `num_threads` threads (None: torch's number), small models with fewer.
    """

    def __init__(self, model: Any, num_threads: int | None = None) -> None:
        import torch

        self._torch = torch
        useful = max(1, model.num_parameters() // PARAMETERS_PER_THREAD)
        self._num_threads = min(num_threads or torch.get_num_threads(), useful)
        self._threads_set = False
        self._model = model
        self.device = _input_device(model)
        parameters = inspect.signature(model.forward).parameters
        self._cache_name = next((name for name in ("past_key_values", "cache_params") if name in parameters), None)
        # Logits of a whole prompt would take more memory than the model.
        self._options: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}
        self.prefill_tokens = self._choose_prefill_tokens()

    def new_sequence(self, capacity: int) -> TorchSequence:
        """An empty text. Its cache grows as needed, whatever the capacity."""
        return TorchSequence(self._new_cache())

    def step(self, rows: Sequence[TorchRow], repeatable: bool = False) -> list[Sampled | None]:
        """Append each row's tokens; where the row has a sampler, draw the token that follows. Where it fails, the
        sequences are as before, or have the length -1. torch cannot promise to be `repeatable`: it is left aside."""
        if not self._threads_set:  # here, as it counts for the thread that computes
            self._threads_set = True
            if self.device.type == "cpu":
                self._torch.set_num_threads(self._num_threads)
        with self._torch.inference_mode():
            logits: list[torch.Tensor | None] = []
            try:
                for row in rows:
                    logits.append(self._forward(row))
            except BaseException:
                for number, row in enumerate(rows):
                    row.sequence.rewind(len(row.tokens) if number < len(logits) else 0)
                raise
            for row in rows:
                row.sequence.length += len(row.tokens)
                if self._cache_name is None:
                    row.sequence.tokens += row.tokens
            return [_draw(row, values) for row, values in zip(rows, logits, strict=True)]

    def close(self) -> None:
        """Let go of the weights. Safe to call twice."""
        self._model = None
        if self.device.type == "cuda":
            self._torch.cuda.empty_cache()

    def _forward(self, row: TorchRow) -> torch.Tensor | None:
        sequence = row.sequence
        tokens = [*row.tokens] if self._cache_name else [*sequence.tokens, *row.tokens]
        ids = self._torch.tensor([tokens], device=self.device)
        options = dict(self._options)
        if self._cache_name:
            options |= {self._cache_name: sequence.cache, "use_cache": True}
        output = self._model(input_ids=ids, return_dict=True, **options)
        if self._cache_name and output.get(self._cache_name) is not None:
            sequence.cache = output[self._cache_name]
        if row.sampler is None:
            return None
        logits: torch.Tensor = output.logits[0, -1].float().clone()
        if not bool(logits.isfinite().any()) or bool(logits.isnan().any()):
            raise FloatingPointError("the model's logits are not finite")
        return logits

    def _new_cache(self) -> Any:
        from transformers import DynamicCache

        return DynamicCache(config=self._model.config) if self._cache_name else None

    def _choose_prefill_tokens(self) -> int:
        """How many tokens of prompts go into a step. Only plain attention is known to take a text in pieces."""
        plain = {"DynamicLayer", "DynamicSlidingWindowLayer"}
        layers = getattr(self._new_cache(), "layers", None)
        if layers is None or not {type(layer).__name__ for layer in layers} <= plain:
            return WHOLE_PROMPTS
        return PREFILL_TOKENS


def _draw(row: TorchRow, logits: torch.Tensor | None) -> Sampled | None:
    return None if row.sampler is None or logits is None else row.sampler.sample(logits, row.mask)


def _input_device(model: Any) -> torch.device:
    """Where token ids go: to the embedding, wherever the rest of a model that is spread out is."""
    device: torch.device = model.get_input_embeddings().weight.device
    return device
