"""The benchmark of the adapters' overhead runs to its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "overhead.py"


def test_overhead_benchmark_runs(tmp_path: Path) -> None:
    """benchmarks/overhead.py measures every way to call both adapters and draws its plot."""
    picture = tmp_path / "plot.png"
    command = [sys.executable, str(BENCHMARK), "--rounds", "2", "--words", "4", "--plot", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    for kind in ("invoke", "ainvoke", "stream", "astream"):
        assert f"LangChain {kind}" in done.stdout
    for kind in ("complete", "acomplete", "stream", "astream", "chat", "achat", "stream_chat", "astream_chat"):
        assert f"LlamaIndex {kind}" in done.stdout
    assert "FrameworkChatModel.invoke adds" in done.stdout
    assert picture.stat().st_size > 0
