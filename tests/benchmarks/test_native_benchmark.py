"""The benchmark script runs to its end on a small shape."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "native.py"


def test_native_benchmark_runs(tmp_path: Path) -> None:
    """benchmarks/native.py measures every metric of a format, writes its rows and draws its plot."""
    picture, rows = tmp_path / "plot.png", tmp_path / "rows.json"
    command = [sys.executable, str(BENCHMARK), "--shape", "small", "--rounds", "1", "--tokens", "4", "--prompt", "40"]
    command += ["--format", "q8_0", "--threads", "2", "--plot", str(picture), "--json", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    written = json.loads(rows.read_text())
    assert {row["metric"] for row in written} == {
        "load", "decode", "prefill", "batch2", "batch4", "batch8", "batch16", "prefix_ttft",
    }  # fmt: skip
    assert all(row["ours"] > 0 and row["format"] == "q8_0" and row["threads"] == 2 for row in written)
    assert picture.stat().st_size > 0
