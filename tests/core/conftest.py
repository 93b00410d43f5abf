"""Every test here sees an empty environment: no variables of ours, no user folders, a working folder of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llm_framework import LLMFramework, ModelInfo
from llm_framework.testing import FakeBackend


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("LLM_FRAMEWORK_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    for kind in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(ModelInfo("m", backend_type="fake"), answers=["one two three four"])


@pytest.fixture
async def framework(backend: FakeBackend, tmp_path: Path) -> AsyncIterator[LLMFramework]:
    framework = LLMFramework({"models_dir": str(tmp_path / "models"), "default_model": "m"})
    backend.install(framework)
    yield framework
    await framework.close()
