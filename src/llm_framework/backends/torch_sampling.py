"""From logits to a token with torch, on whatever device the logits are: the same rules as our own engine's sampler.

The order: log-probabilities are those of the model, before anything below. Then penalties and bias, the mask, the end
tokens, temperature, top-k, top-p, min-p. The n-th draw uses the n-th number of the seed's own sequence, so it depends
on nothing but the seed, the settings, the tokens so far and the logits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Sampled:
    """A token that was drawn; `logprob` and `top` (id, log-probability; likeliest first) are the model's own."""

    token: int
    logprob: float = math.nan
    top: list[tuple[int, float]] = field(default_factory=list)


class TorchSampler:
    """Draws tokens. Arguments as `_native.Sampler`'s; raises ValueError where one makes no sense."""

    def __init__(
        self,
        seed: int,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        num_logprobs: int = -1,
        repetition_penalty: float = 1.0,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        logit_bias: Mapping[int, float] | None = None,
        min_tokens: int = 0,
        end_tokens: Iterable[int] = (),
    ) -> None:
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p is {top_p}; it must be above 0, at most 1")
        self._temperature, self._top_k, self._top_p, self._min_p = temperature, top_k, top_p, min_p
        self._num_logprobs = num_logprobs
        self._repetition, self._presence, self._frequency = repetition_penalty, presence_penalty, frequency_penalty
        self._bias = dict(logit_bias or {})
        self._min_tokens, self._end_tokens = min_tokens, list(end_tokens)
        self._uniform = np.random.Generator(np.random.Philox(seed))
        self._seen: set[int] = set()
        self._drawn: Counter[int] = Counter()

    def observe(self, tokens: Iterable[int]) -> None:
        """Count these tokens (the prompt's) for the repetition penalty. The others count drawn tokens only."""
        self._seen.update(tokens)

    def sample(self, logits: torch.Tensor, mask: NDArray[np.uint32] | None = None) -> Sampled:
        """Draw from float32 `logits` [V], which may be changed. `mask` has a bit a token (uint32 words, lowest bit
        first): only tokens whose bit is set are drawn. Raises ValueError where none is left."""
        logprobs = logits.log_softmax(-1) if self._num_logprobs >= 0 else None
        self._adjust(logits)
        if mask is not None:
            logits.masked_fill_(~allowed_tokens(mask, logits), -math.inf)
        if self._drawn.total() < self._min_tokens:
            self._forbid_ends(logits)
        token = self._draw(logits)
        self._drawn[token] += 1
        if logprobs is None:
            return Sampled(token)
        return Sampled(token, float(logprobs[token]), _top(logprobs, self._num_logprobs))

    def _adjust(self, logits: torch.Tensor) -> None:
        seen = [token for token in self._seen | self._drawn.keys() if token < len(logits)]
        if seen and self._repetition != 1.0:
            values = logits[seen]
            logits[seen] = (values * self._repetition).where(values < 0, values / self._repetition)
        drawn = {
            token: self._presence + self._frequency * count
            for token, count in self._drawn.items()
            if self._presence or self._frequency
        }
        if drawn:
            logits[list(drawn)] -= logits.new_tensor(list(drawn.values()))
        if self._bias:
            logits[list(self._bias)] += logits.new_tensor(list(self._bias.values()))

    def _forbid_ends(self, logits: torch.Tensor) -> None:
        ends = [token for token in self._end_tokens if token < len(logits)]
        before = logits[ends]
        logits[ends] = -math.inf
        if not math.isfinite(float(logits.max())):  # nothing else may be drawn
            logits[ends] = before

    def _draw(self, logits: torch.Tensor) -> int:
        if not math.isfinite(float(logits.max())):
            raise ValueError("no token is left to draw")
        if self._temperature == 0 or self._top_k == 1:
            return int(logits.argmax())
        probabilities, tokens = self._likeliest(((logits - logits.max()) / self._temperature).softmax(-1))
        cumulative = probabilities.double().cumsum(-1)
        point = self._uniform.random() * float(cumulative[-1])
        place = min(int((cumulative <= point).sum()), len(probabilities) - 1)
        return place if tokens is None else int(tokens[place])

    def _likeliest(self, probabilities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What top-k, top-p and min-p leave: probabilities and their tokens, likeliest first; all tokens in their own
        order (None) where nothing is cut."""
        if not self._top_k and self._top_p >= 1 and not self._min_p:
            return probabilities, None
        if 0 < self._top_k < len(probabilities):
            values, tokens = probabilities.topk(self._top_k)
            values = values / values.sum()
        else:
            values, tokens = probabilities.sort(descending=True, stable=True)
        kept = len(values)
        if self._top_p < 1:
            before = values.double().cumsum(-1) - values.double()
            kept = max(1, int((before < self._top_p).sum()))
        if self._min_p:
            kept = min(kept, max(1, int((values >= self._min_p * values[0]).sum())))
        return values[:kept], tokens[:kept]


def allowed_tokens(mask: NDArray[np.uint32], logits: torch.Tensor) -> torch.Tensor:
    """A mask's bits as booleans [V], on the device of the logits."""
    import torch

    bits = np.unpackbits(np.ascontiguousarray(mask, dtype="<u4").view(np.uint8), bitorder="little")
    allowed = np.zeros(len(logits), dtype=bool)
    num = min(len(bits), len(logits))
    allowed[:num] = bits[:num]
    return torch.from_numpy(allowed).to(logits.device)


def _top(logprobs: torch.Tensor, num: int) -> list[tuple[int, float]]:
    if num == 0:
        return []
    values: Any
    values, tokens = logprobs.topk(min(num, len(logprobs)))
    return list(zip(tokens.tolist(), values.tolist(), strict=True))
