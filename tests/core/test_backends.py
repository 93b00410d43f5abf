from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from llm_framework import ConfigurationError, MissingDependencyError, ModelInfo, backends
from llm_framework.backends import backend_names, create_backend
from llm_framework.testing import FakeBackend


def offer(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, code: str) -> None:
    """Install a backend as another package would: an entry point and a module."""
    (folder / f"module_{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    point = EntryPoint(name, f"module_{name}:Backend", backends.GROUP)
    monkeypatch.setattr(backends, "_entry_points", lambda: {name: point})


def test_a_backend_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package's backend is created by its name, with the settings given."""
    offer(monkeypatch, tmp_path, "acme", "from llm_framework.testing import FakeBackend as Backend")
    backend = create_backend(ModelInfo("m", backend_type="acme"), {"answers": ["x"]})
    assert isinstance(backend, FakeBackend)
    assert backend.answers == ["x"]
    assert "acme" in backend_names()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import no_such_module_at_all", "no_such_module_at_all"),
        ("Backends = 1", "Backend"),
        ("Backend = int", "subclass"),
    ],
)
def test_a_broken_backend_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, says: str
) -> None:
    """Whatever is wrong with a backend's module is told with its name."""
    offer(monkeypatch, tmp_path, f"broken{len(code)}", code)
    with pytest.raises(ConfigurationError, match=f"broken.*{says}"):
        create_backend(ModelInfo("m", backend_type=f"broken{len(code)}"))


def test_a_missing_sdk_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a built-in backend's SDK is not installed, the error says what to install."""
    point = EntryPoint("openai", "llm_framework.testing:FakeBackend", backends.GROUP)
    monkeypatch.setattr(backends, "_entry_points", lambda: {"openai": point})

    def fail(self: EntryPoint) -> None:
        raise ModuleNotFoundError("No module named 'openai'", name="openai")

    monkeypatch.setattr(EntryPoint, "load", fail)
    with pytest.raises(MissingDependencyError, match=r"pip install 'llm-framework\[openai\]'"):
        create_backend(ModelInfo("m", backend_type="openai"))


def test_an_unknown_backend_is_answered_with_those_there_are() -> None:
    """The error lists the backends that can be had."""
    with pytest.raises(ConfigurationError, match=r"'acme'; it has .*native"):
        create_backend(ModelInfo("m", backend_type="acme"))


def test_listing_backends_imports_none() -> None:
    """The names are known without importing any backend's module."""
    modules = ("llm_framework.native.backend", "llm_framework.testing", "numpy")
    code = "import sys; from llm_framework.backends import backend_names; backend_names(); " + (
        f"print([name for name in {modules} if name in sys.modules])"
    )
    source = str(Path(backends.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": source})
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
