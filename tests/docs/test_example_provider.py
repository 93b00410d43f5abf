"""The cookbook's provider, installed as a user installs it, and used by name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

import llm_framework

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "cookbook" / "example_provider"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the framework and the example in it, and no other plugin."""
    folder = tmp_path_factory.mktemp("clean")
    shutil.copytree(EXAMPLE, folder / "example")  # building leaves files behind
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True, timeout=120)
    python = folder / "venv" / "bin" / "python"
    wheel = next((ROOT / "dist").glob(f"llm_framework-{llm_framework.__version__}-*.whl"), None)
    if wheel is None or not pip(python, str(wheel), str(folder / "example")):
        use_framework_of_this_python(python)
        alone = ("--no-deps", str(folder / "example"))
        assert pip(python, "--no-index", "--no-build-isolation", *alone) or pip(python, *alone)
    return python


def pip(python: Path, *arguments: str) -> bool:
    """Install; whether it went well."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", *arguments]
    return subprocess.run(command, timeout=280, check=False, env=clean()).returncode == 0


def use_framework_of_this_python(python: Path) -> None:
    """Where no wheel was built, or no registry can be reached: the framework and what it needs, as they are here."""
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    paths = [Path(llm_framework.__file__).parents[1], *map(sysconfig.get_path, ("purelib", "platlib"))]
    Path(site, "framework.pth").write_text("\n".join(dict.fromkeys(map(str, paths))) + "\n")


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@pytest.fixture
def run(python: Path, tmp_path: Path) -> Run:
    """Run that Python, away from the repository; its standard output."""

    def run(*arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [str(python), *arguments], cwd=tmp_path, env={**clean(), **environment}, timeout=240,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return run


def test_it_is_short() -> None:
    """The whole provider is less than 60 lines."""
    assert len((EXAMPLE / "example_provider.py").read_text().splitlines()) < 60


def test_it_is_used_by_name_from_the_library(run: Run) -> None:
    """Nothing but its name leads to it: no import, no registration."""
    code = """
from llm_framework import LLMFramework
with LLMFramework({"plugins": {"example": {"greeting": "You said: "}}}) as framework:
    print(framework.sync.generate_text("good day", model_name="example:parrot"))
    print(framework.sync.generate("one two three", model_name="example:parrot", max_tokens=3).finish_reason)
"""
    assert run("-c", code) == "You said: good day\nlength\n"


def test_it_is_used_by_name_from_the_command_line(run: Run) -> None:
    """`generate -m example:…` answers, and `plugins` lists it before and after it was imported."""
    command = ("-m", "llm_framework.cli")
    assert run(*command, "generate", "-m", "example:parrot", "good day") == "good day\n"
    for state, options in (("found", ()), ("loaded", ("--load",))):
        listed = json.loads(run(*command, "plugins", "--json", *options))
        (example,) = [status for status in listed if status["name"] == "example"]
        assert example["state"] == state
        assert (example["version"], example["serves"]) == ("0.1.0", ["example"])


def test_it_is_used_by_name_in_langchain(run: Run) -> None:
    """A plugin's model is one of the adapters' too, where LangChain is installed."""
    code = """
import importlib.util
answer = "good day"
if importlib.util.find_spec("langchain_core") and importlib.util.find_spec("langchain_llm_framework"):
    from langchain_llm_framework import FrameworkChatModel
    answer = FrameworkChatModel("example:parrot").invoke("good day").text
print(answer)
"""
    integrations = str(ROOT / "integrations" / "langchain")
    assert run("-c", code, PYTHONPATH=integrations) == "good day\n"


def test_it_keeps_the_contract(run: Run) -> None:
    """check_backend passes, as its own test says."""
    code = "import test_example_provider; test_example_provider.test_the_backend_keeps_the_contract()"
    assert run("-c", code, PYTHONPATH=str(EXAMPLE)) == ""
