"""The soak, small: many requests with faults, from threads and event loops at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.mark.timeout(600)  # on a machine that does much else
def test_small_soak_passes() -> None:
    """Two hundred requests, a fifth of them with faults, from threads and loops: nothing is lost, doubled or
    leaked."""
    command = [sys.executable, str(SOAK), "--requests", "200"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("passed")
