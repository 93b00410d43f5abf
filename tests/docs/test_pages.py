"""What the pages show runs, and what they point to exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"<!-- runs -->\n```python\n(.*?)```", page.read_text(), re.DOTALL))
]
PROGRAMS = sorted((ROOT / "cookbook").glob("*.py"))


def run_python(*arguments: str, folder: Path | None = None) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("block", BLOCKS)
def test_code_on_a_page_runs(block: str, tmp_path: Path) -> None:
    """A block that a page marks as running runs as it stands, in any folder, and prints something."""
    assert run_python("-c", block, folder=tmp_path).strip()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_cookbook_runs(program: Path) -> None:
    """Every program of the cookbook is short, and runs offline on the bundled model."""
    assert len(program.read_text().splitlines()) <= 60
    assert run_python(str(program)).strip()


def test_there_is_a_cookbook() -> None:
    """The cookbook has programs (or the test above would pass on nothing)."""
    assert len(PROGRAMS) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_point_to_something(page: Path) -> None:
    """Every relative link of a page leads to a file or folder of the repository."""
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target
