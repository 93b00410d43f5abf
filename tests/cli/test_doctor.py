"""`llm-framework doctor`, run as a process on real folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run, terminal

from llm_framework import doctor
from llm_framework.native import _native

BROKEN_PLUGIN = "raise RuntimeError('made wrong')\n"


def examine(*arguments: str) -> tuple[int, Any]:
    done = run("doctor", "--json", "--no-measure", *arguments)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_whole_installation() -> None:
    """Where nothing is broken it says so, with exit code 0, and what the machine can do as measured."""
    done = run("doctor", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["faults"]) == (0, [])
    machine = report["machine"]
    assert machine["isas"] == _native.cpu_isas()
    assert machine["isa"] == _native.default_isa()
    assert machine["cores"] >= 1
    assert machine["memory_gb"] > 0
    assert machine["memory_bandwidth_gb_per_s"] > 0
    assert all(peak > 0 for peak in machine["dot_peak_giga_multiply_adds_per_s"].values())
    assert report["models"]["default"] == "tiny-chat"
    assert report["caches"]["packed"]["bytes"] >= 0


def test_on_a_terminal_and_in_a_pipe() -> None:
    """People get topics and sentences, without codes for colours in a pipe."""
    text = run("doctor", "--no-measure").stdout
    for topic in (
        "Installation",
        "Machine",
        "Configuration",
        "Keys",
        "Models",
        "Plugins",
        "Caches",
        "Nothing is broken.",
    ):
        assert topic in text
    assert "\x1b" not in text
    with terminal("doctor") as screen:
        screen.wait_for("Nothing is broken.", screen.wait_for("GB/s"))
        assert screen.process.wait(60) == 0


def test_keys_are_found_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each provider's key is found where it is, commands are not run, and no key is part of what is said."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    path = tmp_path / "settings.yaml"
    path.write_text(
        "api_credentials:\n"
        "  google: {api_key: also-not-to-be-seen}\n"
        f"  groq: {{api_key_command: [touch, {tmp_path}/was-run]}}\n"
    )
    code, report = examine("-c", str(path))
    found = {key["provider"]: key["origin"] for key in report["keys"] if key["found"]}
    assert found == {
        "openai": "environment variable OPENAI_API_KEY",
        "google": "api_key in the configuration",
        "groq": "the command touch",
    }
    assert code == 0
    assert "not-to-be-seen" not in json.dumps(report)
    assert "not-to-be-seen" not in run("doctor", "--no-measure", "-c", str(path)).stdout
    assert not (tmp_path / "was-run").exists()


def test_what_is_broken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken models, plugins, keys and names are faults, each with its place, and the exit code is 1."""
    models, plugins = tmp_path / "models", tmp_path / "plugins"
    (models / "damaged").mkdir(parents=True)
    (models / "damaged" / "config.json").write_text("{")
    (models / "damaged" / "model.safetensors").write_bytes(b"\xff" * 64)
    (models / "cut.gguf").write_bytes(b"GGUF")
    plugins.mkdir(mode=0o700)
    (plugins / "wrong.py").write_text(BROKEN_PLUGIN)
    monkeypatch.setenv("LLM_FRAMEWORK_MODELS_DIR", str(models))
    monkeypatch.setenv("LLM_FRAMEWORK_PLUGIN_DIRS", str(plugins))
    monkeypatch.setenv("LLM_FRAMEWORK_DEFAULT_MODEL", "nobody")
    monkeypatch.setenv("LLM_FRAMEWORK_API_CREDENTIALS", '{"xai": {"api_key_env": "NO_SUCH_VARIABLE"}}')
    code, report = examine()
    assert code == 1
    assert {broken["name"] for broken in report["models"]["broken"]} == {"damaged", "cut"}
    assert report["models"]["found"] == ["tiny-chat"]
    for word in ("damaged", "cut.gguf", "wrong.py", "made wrong", "'nobody'", "NO_SUCH_VARIABLE"):
        assert any(word in fault for fault in report["faults"]), word
    assert "Broken" in run("doctor", "--no-measure").stdout


def test_a_broken_configuration_hides_nothing_else(tmp_path: Path) -> None:
    """A fault in the configuration file is told, and the machine is examined all the same."""
    path = tmp_path / "broken.yaml"
    path.write_text("max_retries: two\n")
    code, report = examine("-c", str(path))
    assert code == 1
    assert report["configuration"]["file"] == str(path)
    assert f"{path}, line 1" in report["faults"][0]
    assert report["machine"]["isas"]


def test_an_instruction_set_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel table that this processor does not run is a fault."""
    monkeypatch.setenv("LLM_FRAMEWORK_ISA", "none-such")
    code, report = examine()
    assert code == 1
    assert any("LLM_FRAMEWORK_ISA" in fault for fault in report["faults"])


def test_the_bytes_of_the_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What packed weights take on disk is added up, without the lock files beside them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "llm-framework" / "packed"
    folder.mkdir(parents=True)
    (folder / "a.packed").write_bytes(bytes(1000))
    (folder / "b.packed").write_bytes(bytes(500))
    (folder / "b.lock").write_bytes(bytes(7))
    assert doctor.caches()["packed"] == {"path": str(folder), "files": 2, "bytes": 1500}


def test_extras_are_told_by_what_they_lack() -> None:
    """An extra whose packages are all there lacks nothing; others lack those missing or too old."""
    requirements = [
        "numpy>=1.26",
        'numpy>=1; extra == "fine"',
        'no-such-package>=2; extra == "missing"',
        'numpy>=9999; extra == "old"',
        'numpy>=1; python_version < "3" and extra == "elsewhere"',
        'llm-framework[missing,fine]; extra == "both"',
        'pytest; extra == "test"',
    ]
    found = doctor.extras(requirements)
    assert found["fine"] == found["elsewhere"] == []
    assert found["missing"] == found["both"] == ["no-such-package"]
    assert "numpy>=9999 (installed: " in found["old"][0]
    assert "test" not in found
