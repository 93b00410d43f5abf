"""`llm-framework models` in pipes and in a real terminal: what there is, what is broken, what comes from a hub."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
from command_line import run, terminal
from servers.hub_server import Repo, hub_server

from llm_framework.registry import BUNDLED_MODEL


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder, and a cache, of the test's own."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("LLM_FRAMEWORK_MODELS_DIR", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def broken(models: Path) -> Path:
    """A file that is no model."""
    path = models / "gemma-9b-it-q4_0.gguf"
    path.write_bytes(b"GGUF, or not")
    return path


def test_a_broken_file_is_told_apart(broken: Path, models: Path, bundled_path: Path) -> None:
    """Piped, names stand on standard output and faults on standard error; JSON has both."""
    shutil.copytree(bundled_path, models / "mine-it")
    done = run("models", "list")
    assert done.stdout.splitlines() == ["gemma-9b-it", "mine-it", BUNDLED_MODEL]
    assert done.stderr.startswith(f"gemma-9b-it cannot be used: {broken}: ")
    found = {info["name"]: info for info in json.loads(run("models", "list", "--json").stdout)}
    assert found["gemma-9b-it"]["error"].startswith(str(broken))
    mine = found["mine-it"]
    assert "error" not in mine
    assert mine["size_bytes"] == (models / "mine-it" / "model.safetensors").stat().st_size
    assert mine["capabilities"] == ["chat", "streaming", "tools"]
    assert (mine["family"], mine["format"], mine["type"]) == ("gemma3", "safetensors", "chat")


def test_the_list_in_a_terminal(broken: Path, models: Path, bundled_path: Path) -> None:
    """A terminal shows a table of what can be used, and below it what cannot, each with its fault."""
    shutil.copytree(bundled_path, models / "mine-it")
    with terminal("models", "list") as screen:
        at = 0
        for word in ("name", "parameters", "on disk", "mine-it", "native", "4.7M", "9.5 MB", "2048", "bf16", "chat"):
            at = screen.wait_for(word, at)
        at = screen.wait_for("cannot be used", at)
        at = screen.wait_for("gemma-9b-it", at)
        screen.wait_for(str(broken), at)


def test_info_for_people_and_programs(broken: Path) -> None:
    """info shows sizes as people read them, --json as programs do; a broken model shows its fault."""
    shown = run("models", "info", BUNDLED_MODEL).stdout
    for text in ("9460176  (9.5 MB)", "4725760  (4.7M)", "chat, streaming, tools"):
        assert text in shown
    assert json.loads(run("models", "info", BUNDLED_MODEL, "--json").stdout)["parameters"] == 4725760
    assert str(broken) in json.loads(run("models", "info", "gemma-9b-it", "--json").stdout)["error"]


def test_a_download_in_a_terminal(bundled_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal shows a bar while the files come, and then how to use the model."""
    with hub_server() as hub:
        hub.repos["acme/tiny-it"] = Repo()
        hub.repos["acme/tiny-it"].commit({path.name: path.read_bytes() for path in bundled_path.iterdir()})
        hub.faults.hold = threading.Event()
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        with terminal("models", "pull", "acme/tiny-it", term="xterm") as screen:
            at = screen.wait_for("Downloading")
            screen.wait_for("MB", at)
            hub.faults.hold.set()
            at = screen.wait_for("tiny-it  ", at)
            screen.wait_for("llm-framework chat tiny-it", at)
            assert screen.process.wait(60) == 0
