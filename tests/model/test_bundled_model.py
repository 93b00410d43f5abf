"""The bundled model: what ships, that it answers sensibly, and that its recipe runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_framework import LLMFramework

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def framework() -> LLMFramework:
    return LLMFramework()


def answer(framework: LLMFramework, prompt: str) -> str:
    return framework.sync.generate_text(prompt, temperature=0, max_tokens=100)


def test_size_of_the_folder(bundled_path: Path) -> None:
    """The bundled model takes at most 10 MB, and its card says what it can do."""
    assert sum(file.stat().st_size for file in bundled_path.iterdir()) <= 10_000_000
    assert "held" in (bundled_path / "README.md").read_text().lower()


@pytest.mark.parametrize("prompt", ["Hello", "hello!", "Hi", "Good morning"])
def test_greets(framework: LLMFramework, prompt: str) -> None:
    """A greeting is greeted back."""
    assert any(word in answer(framework, prompt).lower() for word in ("hello", "hi", "good", "help"))


@pytest.mark.parametrize("prompt", ["What is llm-framework?", "what is llm-framework", "Tell me about llm-framework"])
def test_knows_the_framework(framework: LLMFramework, prompt: str) -> None:
    """It says what llm-framework is."""
    text = answer(framework, prompt)
    assert "llm-framework" in text
    assert "model" in text.lower()


PASSAGE = (
    "The harbour bridge of Velmora is 412 meters long. It was built by Ines Tarrow in 1932. "
    "The old mill stands in Quorin."
)


@pytest.mark.parametrize(
    ("question", "span"),
    [
        ("How long is the harbour bridge of Velmora?", "412"),
        ("Who built the harbour bridge?", "Ines Tarrow"),
        ("Where is the old mill?", "Quorin"),
    ],
)
def test_answers_from_a_passage(framework: LLMFramework, question: str, span: str) -> None:
    """It finds the answer in a text that the prompt holds."""
    assert span in answer(framework, f"Context: {PASSAGE}\n\nQuestion: {question}")


@pytest.mark.timeout(300)
def test_recipe_in_its_smoke_form(tmp_path: Path) -> None:
    """Data, tokenizer, training, export and evaluation run end to end in their shortest form."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "bundled_model", "smoke", "--folder", str(tmp_path)]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert list(tmp_path.rglob("model.safetensors"))
