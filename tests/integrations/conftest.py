"""What the adapters' tests share: frameworks whose model plays a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from llm_framework import BaseModelPlugin, LLMFramework, ModelInfo, PluginMetadata
from llm_framework.backends.base import ModelBackend
from llm_framework.testing import Answer, FakeBackend


class Scripted(NamedTuple):
    """A framework, and the backend of its model "scripted"."""

    framework: LLMFramework
    backend: FakeBackend


class ScriptPlugin(BaseModelPlugin):
    """Serves one backend under the name "scripted"."""

    def __init__(self, backend: FakeBackend) -> None:
        self.backend = backend

    @property
    def metadata(self) -> PluginMetadata:
        return PluginMetadata("script", "1")

    def supports_model(self, info: ModelInfo) -> bool:
        return info.name == "scripted"

    async def create_backend(self, info: ModelInfo) -> ModelBackend:
        return self.backend


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[..., Scripted]]:
    """Makes a framework whose default model gives these answers, one after the other."""
    opened: list[LLMFramework] = []

    def make(*answers: Answer) -> Scripted:
        framework = LLMFramework({"models_dir": str(tmp_path), "default_model": "scripted", "max_retries": 0})
        info = ModelInfo("scripted", backend_type="fake", context_length=1000, is_local=True)
        framework.registry.register_model(info, persist=False)
        backend = FakeBackend(info, answers=answers)
        framework.plugin_manager.register_plugin(ScriptPlugin(backend))
        opened.append(framework.__enter__())
        return Scripted(framework, backend)

    yield make
    for framework in opened:
        framework.__exit__(None, None, None)
