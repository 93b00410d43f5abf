"""`framework.sync`: the methods of `LLMFramework`, blocking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from typing_extensions import Unpack

from .inputs import GenerateOptions, Prompt
from .sync import SyncStream, iterate, run
from .types import Chunk, InferenceResponse, Usage

if TYPE_CHECKING:
    from .config import LLMConfig
    from .engine import InferenceEngine
    from .framework import LLMFramework
    from .plugins import PluginManager
    from .registry import ModelInfo, ModelRegistry


class SyncView:
    """A blocking view of a framework: same names, same arguments, same errors. Streams are plain iterators; closing or
    dropping one stops the work. Ctrl-C cancels what runs."""

    def __init__(self, framework: LLMFramework) -> None:
        self._framework = framework

    @overload
    def generate_text(
        self, prompt: Prompt, *, stream: Literal[False] = False, **options: Unpack[GenerateOptions]
    ) -> str: ...
    @overload
    def generate_text(
        self, prompt: Prompt, *, stream: Literal[True], **options: Unpack[GenerateOptions]
    ) -> SyncStream[Chunk]: ...
    def generate_text(
        self, prompt: Prompt, *, stream: bool = False, **options: Unpack[GenerateOptions]
    ) -> str | SyncStream[Chunk]:
        """The answer's text; with `stream=True`, an iterator of its chunks."""
        if stream:
            return self.stream(prompt, **options)
        return run(self._framework.generate_text, prompt, **options)

    def generate(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> InferenceResponse:
        """The whole response."""
        return run(self._framework.generate, prompt, **options)

    def stream(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> SyncStream[Chunk]:
        """The answer as an iterator of chunks."""
        # Made here, so that a wrong option raises in the caller's line; it runs only on the background loop.
        stream = self._framework.stream(prompt, **options)
        return iterate(lambda: stream)

    def generate_batch(self, prompts: Sequence[Prompt], **options: Any) -> list[Any]:
        """The texts, in the order of the prompts."""
        return run(self._framework.generate_batch, prompts, **options)

    def embed(self, texts: Sequence[str] | str, **options: Any) -> list[list[float]]:
        """A vector for each text."""
        return run(self._framework.embed, texts, **options)

    def count_tokens(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> Usage:
        """The tokens that a prompt costs."""
        return run(self._framework.count_tokens, prompt, **options)

    def available_models(self, provider: str) -> list[ModelInfo]:
        """The models that a provider offers now."""
        return run(self._framework.available_models, provider)

    def load_model(self, name: str) -> ModelInfo:
        """Load a model now."""
        return run(self._framework.load_model, name)

    def unload_model(self, name: str) -> bool:
        """Free a model."""
        return run(self._framework.unload_model, name)

    def cancel(self, request_id: str) -> bool:
        """Cancel a running request."""
        return run(self._framework.inference_engine.cancel, request_id)

    def start(self) -> None:
        """Load plugins, look for models."""
        run(self._framework.start)

    def close(self) -> None:
        """Cancel what runs and free every model."""
        run(self._framework.close)

    def list_models(self, **filters: Any) -> list[ModelInfo]:
        """The models there are."""
        return self._framework.list_models(**filters)

    def get_model_info(self, name: str) -> ModelInfo:
        """What is known of a model."""
        return self._framework.get_model_info(name)

    def get_performance_stats(self) -> dict[str, Any]:
        """Counters and latencies."""
        return self._framework.get_performance_stats()

    @property
    def config(self) -> LLMConfig:
        """The framework's configuration."""
        return self._framework.config

    @property
    def registry(self) -> ModelRegistry:
        """The framework's registry."""
        return self._framework.registry

    @property
    def inference_engine(self) -> InferenceEngine:
        """The framework's engine (asynchronous)."""
        return self._framework.inference_engine

    @property
    def plugin_manager(self) -> PluginManager:
        """The framework's plugins."""
        return self._framework.plugin_manager
