"""The page of the command line shows what runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import COMMAND

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_first_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of the page's shell block ends with 0 and prints something."""
    program = tmp_path / "llm-framework"
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (block,) = re.findall(r"<!-- runs -->\n```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines():
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip(), line
