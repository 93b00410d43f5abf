"""The script that measures constrained decoding runs to its end on a small shape."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "constrained.py"


def test_constrained_benchmark_runs(tmp_path: Path) -> None:
    """It compares free and constrained decoding and draws its plot."""
    picture = tmp_path / "plot.png"
    command = [
        sys.executable,
        str(BENCHMARK),
        "--shape",
        "small",
        "--rounds",
        "1",
        "--tokens",
        "400",
        "--batch",
        "1",
        "2",
    ]
    done = subprocess.run([*command, "--plot", str(picture)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "cached" in done.stdout
    assert "constrained t/s" in done.stdout
    assert picture.stat().st_size > 0


def test_masks_are_measured_by_themselves() -> None:
    """It reports starts, masks and commits for a small and a large vocabulary."""
    command = [sys.executable, str(BENCHMARK), "--masks", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "262144 tokens" in done.stdout
    assert "forced call: commit" in done.stdout
