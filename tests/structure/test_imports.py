"""What importing the package costs and loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import llm_framework

SOURCE = str(Path(llm_framework.__file__).parents[1])
BUDGET = 0.100  # seconds of CPU time
HEAVY = ("numpy", "pydantic", "langchain_core", "llama_index", "torch", "openai", "anthropic", "google", "tenacity",
         "anyio", "yaml", "rich", "transformers", "llm_framework._native", "llm_framework.native")  # fmt: skip


def run(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    return done.stdout.strip()


def test_importing_loads_nothing_heavy() -> None:
    """`import llm_framework` loads no SDK, no LangChain, no numpy, and not even pydantic."""
    code = f"import sys, llm_framework; print([name for name in {HEAVY} if name in sys.modules])"
    assert run(code) == "[]"


def test_using_the_core_loads_no_numpy_and_no_host_library() -> None:
    """A framework with a backend that needs nothing loads neither numpy nor LangChain nor torch."""
    code = """
import sys, llm_framework
framework = llm_framework.LLMFramework({"default_model": "fake:x", "auto_discover_models": False})
assert framework.sync.generate_text("hi")
print([name for name in ("numpy", "langchain_core", "llama_index", "torch", "openai") if name in sys.modules])
"""
    assert run(code) == "[]"


def test_importing_stays_in_its_budget() -> None:
    """`import llm_framework` takes at most 100 ms of CPU time."""
    code = """
import os
before = os.times()
import llm_framework
after = os.times()
print(after.user + after.system - before.user - before.system)
"""
    assert min(float(run(code)) for _ in range(5)) <= BUDGET
