"""The benchmark script runs to its end on a small shape."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "native.py"


def test_native_benchmark_runs(tmp_path: Path) -> None:
    """benchmarks/native.py measures both kinds of weights and draws its plot."""
    picture = tmp_path / "plot.png"
    command = [sys.executable, str(BENCHMARK), "--shape", "small", "--rounds", "1", "--tokens", "4", "--prompt", "40"]
    done = subprocess.run([*command, "--plot", str(picture)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "BF16" in done.stdout
    assert "SFP" in done.stdout
    assert picture.stat().st_size > 0
