"""A backend under test, used as people will use it: through `LLMFramework.sync`."""

from __future__ import annotations

from ..backends.base import ModelBackend
from ..framework import LLMFramework
from ..plugins import BaseModelPlugin, PluginMetadata
from ..registry.model_info import ModelInfo
from ..types import InferenceRequest, InferenceResponse
from .subject import Subject


def answer_through_framework(subject: Subject, request: InferenceRequest) -> tuple[InferenceResponse, str]:
    """The whole response to the request, and the joined text of its stream. Loads a backend of its own."""
    name = subject.model_info.name
    config = {"auto_discover_models": False, "max_retries": 0, "default_timeout": subject.patience}
    with LLMFramework(config) as framework:
        framework.registry.register_model(subject.model_info, persist=False)
        framework.plugin_manager.register_plugin(_Serving(subject))
        options = {"model_name": name, "config": request.config}
        response = framework.sync.generate(subject.prompt, **options)  # type: ignore[arg-type]
        chunks = framework.sync.stream(subject.prompt, **options)  # type: ignore[arg-type]
        return response, "".join(map(str, chunks))


class _Serving(BaseModelPlugin):
    """Serves the model with the class under test."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @property
    def metadata(self) -> PluginMetadata:
        return PluginMetadata("backend under test", "1")

    def supports_model(self, info: ModelInfo) -> bool:
        return info.name == self._subject.model_info.name

    async def create_backend(self, info: ModelInfo) -> ModelBackend:
        return self._subject.new()
