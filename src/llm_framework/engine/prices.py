"""What an answer cost, by the list prices of the package `genai-prices`. Optional: without it no cost is known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from ..registry.model_info import ModelInfo
from ..types import Usage

PACKAGE = "genai_prices"
# Names of providers that differ there from ours.
_PROVIDERS = {"xai": "x-ai", "huggingface": ""}


class Prices:
    """Prices answers. `endpoints` maps the names of further endpoints to the providers whose models they offer."""

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        self._endpoints = endpoints
        self._is_installed: bool | None = None
        self._calculate: Callable[..., float | None] | None = None

    def must_load(self, info: ModelInfo) -> bool:
        """Whether `load` should be called, away from the event loop, before the model's answers are priced."""
        if info.is_local or self._calculate is not None:
            return False
        if self._is_installed is None:
            self._is_installed = PACKAGE in sys.modules or find_spec(PACKAGE) is not None
        return self._is_installed

    def load(self) -> None:
        """Read the price list: a tenth of a second or two."""
        try:
            self._calculate = _calculator()
        except Exception:  # a version that is not what we know: no prices rather than no answers
            self._is_installed = False

    def cost_of(self, info: ModelInfo, usage: Usage, provider_data: Mapping[str, Any]) -> float | None:
        """US dollars; None where the price, or the number of tokens, is not known. A provider's own discounts and
        surcharges are not."""
        if self._calculate is None or info.is_local or usage.estimated:
            return None
        named = str(info.metadata.get("provider") or info.backend_type)
        provider = self._endpoints.get(named, named)
        written = provider_data.get("cache_creation_tokens")
        model = str(info.metadata.get("model_id") or info.name)
        return self._calculate(_PROVIDERS.get(provider, provider), model, usage, written if written else 0)


def _calculator() -> Callable[[str, str, Usage, int], float | None]:
    from genai_prices import Usage as Counts
    from genai_prices import calc_price

    def calculate(provider: str, model: str, usage: Usage, written: int) -> float | None:
        counts = {
            "input_tokens": usage.input_tokens,
            "cache_read_tokens": usage.cached_tokens,
            "cache_write_tokens": written,
            "output_tokens": usage.output_tokens,
        }
        try:
            return float(calc_price(Counts(**counts), model, provider_id=provider).total_price)
        except (LookupError, ValueError):  # a model that it does not list; counts that contradict each other
            return None

    calculate("openai", "gpt-4o", Usage(1, 1), 0)  # the list itself is read by the first look-up
    return calculate
