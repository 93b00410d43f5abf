"""`llm-framework plugins`, as a process, in pipes and in a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from plugin_files import install, write

COMMAND = [sys.executable, "-m", "llm_framework.cli", "plugins"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One plugin in a folder, one that is broken, an installed one, and an installed backend."""
    site = tmp_path / "site"
    site.mkdir()
    write(tmp_path / "plugins", name="from-folder")
    (tmp_path / "plugins" / "broken.py").write_text("1/0")
    install(site, "installed", "raise SystemExit(1)")
    backend = "from llm_framework.testing import FakeBackend as Acme"
    install(site, "bare", backend, group="llm_framework.backends")
    path = os.pathsep.join([str(site), *sys.path])
    return {**os.environ, "PYTHONPATH": path, "LLM_FRAMEWORK_PLUGIN_DIRS": str(tmp_path / "plugins")}


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=environment, timeout=120)


def test_piped_it_is_a_line_each(environment: dict[str, str]) -> None:
    """Name, state, what it serves and the fault, with tabs between; nothing is imported."""
    done = run(environment)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[:3] for row in rows] == [
        ["acme", "found", "acme"],
        ["broken", "found", "broken"],
        ["installed", "found", "installed"],
        ["bare", "found", "bare"],
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_load_says_what_can_be_used(environment: dict[str, str]) -> None:
    """--load imports them all; the exit code is 1 where one cannot be used."""
    done = run(environment, "--load")
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in done.stdout.splitlines()}
    assert rows["from-folder"] == ["loaded", "acme,from-folder", ""]
    assert rows["bare"] == ["loaded", "bare", ""]
    assert rows["broken"][0] == "broken"
    assert "ZeroDivisionError: division by zero" in rows["broken"][2]
    assert rows["installed"][2].startswith("SystemExit: 1")
    assert (done.returncode, done.stderr) == (1, "")


def test_json(environment: dict[str, str]) -> None:
    """--json prints one list of objects."""
    (first, *_) = json.loads(run(environment, "--json", "--load").stdout)
    assert (first["name"], first["state"], first["version"], first["serves"], first["error"]) == (
        "from-folder",
        "loaded",
        "1.2",
        ["acme", "from-folder"],
        None,
    )


def test_a_terminal_gets_a_table(environment: dict[str, str]) -> None:
    """In a terminal there are headings and colours, and each fault has a line of its own."""
    reader, writer = pty.openpty()
    wide = {**environment, "COLUMNS": "200", "TERM": "xterm-256color"}
    with subprocess.Popen([*COMMAND, "--load"], stdout=writer, stdin=subprocess.DEVNULL, env=wide) as process:
        os.close(writer)
        shown = b""
        try:
            while piece := os.read(reader, 65536):
                shown += piece
        except OSError:  # Linux says so when the other end is closed
            pass
    os.close(reader)
    assert process.returncode == 1
    text = shown.decode()
    assert "Plugin" in text
    assert "Serves" in text
    assert "\x1b[32mloaded\x1b[0m" in text
    assert "broken:\x1b[0m ZeroDivisionError" in text


def test_without_plugins_it_says_how_to_get_some(environment: dict[str, str]) -> None:
    """Nothing found: piped, nothing is printed."""
    environment = {**environment, "PYTHONPATH": os.pathsep.join(sys.path), "LLM_FRAMEWORK_PLUGIN_DIRS": ""}
    assert run(environment).stdout == ""


def test_generate_names_a_plugins_model(environment: dict[str, str]) -> None:
    """A plugin's model is used by name like any other; a broken plugin's fault is one sentence on standard error."""
    command = [*COMMAND[:-1], "generate", "hi", "-m"]
    done = subprocess.run([*command, "acme:x"], capture_output=True, text=True, env=environment, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("hello\n", "", 0)
    done = subprocess.run([*command, "broken:x"], capture_output=True, text=True, env=environment, timeout=120)
    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.startswith("Error: 'broken:x' needs the plugin 'broken' (")
    assert "which cannot be used: ZeroDivisionError: division by zero" in done.stderr
    assert "Traceback" not in done.stderr
