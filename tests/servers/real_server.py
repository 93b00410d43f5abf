"""Other people's servers, run as a process of their own on a port of this machine that is free."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

START_TIME = 180.0  # seconds; a busy machine imports PyTorch slowly
_ADDRESS = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


_LLAMA_CPP_PYTHON = ("llama_cpp", "gguf", "fastapi", "uvicorn", "sse_starlette", "starlette_context")


def need_llama_cpp_python() -> None:
    """Skip the module that calls this where llama-cpp-python's server is not installed."""
    _need("llama-cpp-python[server]", *_LLAMA_CPP_PYTHON)


def has_llama_cpp_python() -> bool:
    """Whether llama-cpp-python's server is installed."""
    return not _missing(_LLAMA_CPP_PYTHON)


def need_transformers_serve() -> None:
    """Skip the module that calls this where `transformers serve` is not installed."""
    _need("transformers[serving]", "transformers", "torch", "fastapi", "uvicorn", "openai")


def _need(package: str, *modules: str) -> None:
    if missing := _missing(modules):
        reason = f"{package} is not installed (no {', '.join(missing)}): make test-servers"
        pytest.skip(reason, allow_module_level=True)


def _missing(modules: Sequence[str]) -> list[str]:
    return [module for module in modules if find_spec(module) is None]


class RealServer:
    """Runs this Python, or that of another environment, with these arguments, an address and a port until the `with`
    block ends. The server must say on its output where it listens, as uvicorn does."""

    def __init__(self, *arguments: str, home: Path, python: str | Path = sys.executable) -> None:
        self._command: Sequence[str] = (str(python), *arguments, "--host", "127.0.0.1", "--port", "0")
        cache = home / "hub"
        cache.mkdir(exist_ok=True)
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "PORT"},
            "HF_HUB_CACHE": str(cache),
            "HF_HUB_OFFLINE": "1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # it asks the network for one at its start
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self.origin = ""

    def __enter__(self) -> RealServer:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, name="real-server-log", daemon=True)
        self._reader.start()
        try:
            found = _ADDRESS.search(self.wait_for("running on http://"))
            assert found is not None, "the server names its address"
        except BaseException:
            self.__exit__()
            raise
        self.origin = found.group(1)
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def url(self) -> str:
        """What `base_url` must be."""
        return f"{self.origin}/v1"

    def kill(self) -> None:
        """End the process at once, as a machine that loses its power does. Safe to call twice."""
        self._process.kill()
        self._process.wait()

    def wait_for(self, text: str, since: int = 0) -> str:
        """The first line of its output, from the line `since` on, that holds the text, once it has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._line_with(text, since) is not None, START_TIME)
            line = self._line_with(text, since)
            assert line is not None, f"the server never said {text!r}, but: {''.join(self._lines[-30:])}"
            return line

    @property
    def lines(self) -> int:
        """How many lines it has written."""
        with self._changed:
            return len(self._lines)

    def _line_with(self, text: str, since: int) -> str | None:
        return next((line for line in self._lines[since:] if text in line), None)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
