"""What shares one fate: a model at an endpoint. Its circuit breaker and its rate limits, for all who call it.

The endpoint is a provider's name, or a section of `api_credentials`: one address with one key. Two names of one model
there are one target. A model that runs in this process has no breaker: it does not go away for a while and come back,
and an error of it (a broken file, too little memory) says nothing about the next request.
"""

from __future__ import annotations

import threading

from ..config import LLMConfig
from ..errors import LLMFrameworkError
from ..registry.model_info import ModelInfo
from .breaker import CircuitBreaker, State
from .rate_limit import RateLimiter


class Target:
    """A model at an endpoint. `breaker` is None for one in this process."""

    def __init__(self, provider: str, model: str, config: LLMConfig, *, is_local: bool) -> None:
        who = repr(model) if is_local else f"{model!r} at {provider!r}"
        credentials = config.api_credentials.get(provider)
        requests = credentials.requests_per_minute if credentials else None
        tokens = credentials.tokens_per_minute if credentials else None
        self.rates = RateLimiter(who, requests, tokens)
        self.breaker = None if is_local else CircuitBreaker(who, config.breaker_failures, config.breaker_cooldown)

    def check(self) -> None:
        """Raise `ProviderUnavailableError` where a call would be refused now."""
        if self.breaker is not None:
            self.breaker.check()

    def admit(self) -> int:
        """Let a call through, as the breaker does: 0, or the number of the probe that it is."""
        return 0 if self.breaker is None else self.breaker.admit()

    def release(self, probe: int) -> None:
        """The probe is over."""
        if self.breaker is not None:
            self.breaker.release(probe)

    def succeeded(self) -> None:
        """An attempt was answered."""
        if self.breaker is not None:
            self.breaker.succeeded()

    def failed(self, error: LLMFrameworkError, probe: int) -> None:
        """An attempt failed before its answer began."""
        if self.breaker is not None:
            self.breaker.failed(error, probe)


class Targets:
    """The targets that were called so far, by thread-safe look-up."""

    def __init__(self, config: LLMConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._by_key: dict[tuple[str, str], Target] = {}
        self._by_name: dict[str, Target] = {}

    def of(self, info: ModelInfo) -> Target:
        """The target that the model is."""
        provider = str(info.metadata.get("provider") or info.backend_type)
        key = (provider, str(info.metadata.get("model_id") or info.name))
        target = self._by_key.get(key)
        if target is None or self._by_name.get(info.name) is not target:
            with self._lock:
                target = self._by_key.setdefault(key, Target(*key, self._config, is_local=bool(info.is_local)))
                self._by_name[info.name] = target
        return target

    def breaker_state(self, name: str) -> State | None:
        """The state of the breaker of the model of that name; None where it has none."""
        target = self._by_name.get(name)
        return None if target is None or target.breaker is None else target.breaker.state
