"""The script that measures discovery runs to its end on a few models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "discovery.py"


def test_discovery_benchmark_runs(tmp_path: Path) -> None:
    """It writes models of the three formats, some broken, finds all of them each time, and says how long it took."""
    command = [sys.executable, str(BENCHMARK), "--models", "60", "--rounds", "2", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "(2 with a fault)" in done.stdout
    assert "nothing changed" in done.stdout
    assert list(tmp_path.iterdir()) == []
