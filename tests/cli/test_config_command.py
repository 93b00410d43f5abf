"""`llm-framework config`, run as a process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run, terminal

YAML = """\
generation:
  default_temperature: 0.3
api_credentials:
  openai: {api_key: sk-not-to-be-seen, organization: acme}
plugins:
  acme: {token: plugin-not-to-be-seen}
"""


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(YAML)
    return path


def test_each_value_and_its_origin(yaml_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting is shown with its value and the file, variable or default that it came from."""
    monkeypatch.setenv("LLM_FRAMEWORK_MAX_RETRIES", "7")
    shown = {line.split()[0]: line for line in run("config", "-c", str(yaml_file)).stdout.splitlines()}
    assert f"YAML file {yaml_file}, line 2" in shown["default_temperature"]
    assert " 7 " in shown["max_retries"]
    assert "environment variable LLM_FRAMEWORK_MAX_RETRIES" in shown["max_retries"]
    assert shown["default_max_tokens"].split()[1:] == ["512", "default"]
    assert f"{yaml_file}, line 4" in shown["api_credentials.openai.organization"]


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_keys_are_masked(arguments: tuple[str, ...], yaml_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is shown, be it from the file or the environment, nor what looks like one among a plugin's settings."""
    done = run("config", "-c", str(yaml_file), *arguments)
    assert "not-to-be-seen" not in done.stdout + done.stderr
    assert "***" in done.stdout
    monkeypatch.setenv("LLM_FRAMEWORK_API_CREDENTIALS", '{"openai": {"api_key": "sk-not-to-be-seen"}}')
    done = run("config", *arguments)
    assert "api_credentials.openai.api_key" in done.stdout
    assert "not-to-be-seen" not in done.stdout + done.stderr


def test_json(yaml_file: Path) -> None:
    """--json has value and origin of each setting, also before a subcommand's place."""
    shown = json.loads(run("config", "--json", "--config", str(yaml_file)).stdout)
    assert shown["default_temperature"] == {"value": 0.3, "origin": f"YAML file {yaml_file}, line 2"}
    assert shown["default_model"] == {"value": None, "origin": "default"}


def test_a_table_on_a_terminal(yaml_file: Path) -> None:
    """On a terminal the settings stand in their sections."""
    with terminal("config", "-c", str(yaml_file)) as screen:
        at = screen.wait_for("reliability")
        screen.wait_for("log_level", at)
        assert screen.screen.index("generation") < screen.screen.index("default_temperature")
        assert "not-to-be-seen" not in screen.screen
        assert screen.process.wait(60) == 0


def test_the_path_of_the_file(yaml_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`config path` prints the file in use; without one it says where one would be looked for."""
    assert run("config", "path", "-c", str(yaml_file)).stdout == f"{yaml_file}\n"
    monkeypatch.setenv("LLM_FRAMEWORK_CONFIG", str(yaml_file))
    assert run("config", "path").stdout == f"{yaml_file}\n"
    monkeypatch.delenv("LLM_FRAMEWORK_CONFIG")
    monkeypatch.chdir(tmp_path)
    done = run("config", "path")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("framework_config.yaml") == 2


def test_the_schema_is_printed() -> None:
    """`config schema` prints the JSON schema that the documentation has."""
    docs = Path(__file__).parents[2] / "docs" / "configuration.schema.json"
    assert run("config", "schema").stdout == docs.read_text(encoding="utf-8")


def test_a_broken_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    """A fault in the file ends the command with 1, and names the file and the line."""
    path = tmp_path / "broken.yaml"
    path.write_text("generation:\n  default_temprature: 1\n")
    done = run("config", "-c", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{path}, line 2" in done.stderr
    assert "default_temperature" in done.stderr
