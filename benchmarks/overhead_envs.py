"""The environments of the overhead benchmark's clients: what they require cannot all be installed side by side."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "build" / "bench-envs"

ENVIRONMENTS = {
    "raw": ["aiohttp", "httpx", "httpx2"],
    "sdk": ["openai", "anthropic", "google-genai"],
    "litellm": ["litellm"],
    "any-llm": ["any-llm-sdk[openai,anthropic,gemini]"],
}
"""What is installed in each. The SDKs are by themselves since Google's takes aiohttp where it finds it."""

ENVIRONMENT_OF = {
    "llm-framework": None,
    "aiohttp": "raw",
    "httpx": "raw",
    "httpx2": "raw",
    "sdk": "sdk",
    "litellm": "litellm",
    "any-llm": "any-llm",
}
"""Where each client lives; None is the environment that the benchmark runs in."""

_MODULES = {"sdk": ("openai", "anthropic", "google.genai"), "any-llm": ("any_llm",)}


def python_of(client: str, folder: Path) -> Path | None:
    """The interpreter that runs the client: of its environment, else this one where it has the client; else None."""
    python = folder / (ENVIRONMENT_OF[client] or "") / "bin" / "python"
    if ENVIRONMENT_OF[client] is not None and python.exists():
        return python
    modules = _MODULES.get(client, (client.replace("-", "_"),))
    return Path(sys.executable) if any(map(_is_installed, modules)) else None


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent
        return False


def variables_of(python: Path) -> dict[str, str]:
    """The variables of the client's process: another environment must not find the packages of this one."""
    hidden = () if python == Path(sys.executable) else ("PYTHONPATH",)
    return {name: value for name, value in os.environ.items() if name not in hidden}


def set_up(clients: list[str], folder: Path) -> None:
    """Make the environments of these clients, or bring them up to date."""
    for name in dict.fromkeys(ENVIRONMENT_OF[client] for client in clients):
        if name is not None:
            print(f"{folder / name}: {', '.join(ENVIRONMENTS[name])}", flush=True)
            venv.create(folder / name, with_pip=True)
            command = [str(folder / name / "bin" / "python"), "-m", "pip", "install", "--quiet", "--upgrade"]
            subprocess.run([*command, *ENVIRONMENTS[name]], check=True)
