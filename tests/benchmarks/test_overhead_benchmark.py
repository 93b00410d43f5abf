"""The benchmark of the overhead runs to its end."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "overhead.py"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARK), "--words", "4", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_hosts_are_compared(tmp_path: Path) -> None:
    """benchmarks/overhead.py measures every way to call both adapters and draws its plot."""
    picture = tmp_path / "plot.png"
    done = run("--only", "hosts", "--rounds", "2", "--plot", str(picture))
    for kind in ("invoke", "ainvoke", "stream", "astream"):
        assert f"LangChain {kind}" in done.stdout
    for kind in ("complete", "acomplete", "stream", "astream", "chat", "achat", "stream_chat", "astream_chat"):
        assert f"LlamaIndex {kind}" in done.stdout
    assert "FrameworkChatModel.invoke adds" in done.stdout
    assert picture.stat().st_size > 0


def test_clients_are_compared(tmp_path: Path) -> None:
    """benchmarks/overhead.py measures the clients that are installed in turn, writes a row for each and draws its
    plot; the others are named."""
    pytest.importorskip("openai")
    rows, picture = tmp_path / "rows.json", tmp_path / "plot.png"
    clients = ("--clients", "llm-framework,httpx,litellm", "--protocols", "openai", "--envs", str(tmp_path / "none"))
    done = run("--only", "clients", *clients, "--rounds", "1", "--json", str(rows), "--plot", str(picture))
    found = {row["client"]: row for row in json.loads(rows.read_text())}
    assert {"llm-framework", "httpx"} <= set(found)
    for row in found.values():
        assert row["protocol"] == "openai"
        assert min(row[field] for field in ("p50_us", "rps64", "chunks_per_s", "chunks_per_s64")) > 0
    if "litellm" not in found:
        assert "litellm: not measured" in done.stderr
    assert picture.stat().st_size > 0


@pytest.mark.parametrize(
    ("protocol", "module"), [("openai", "openai"), ("anthropic", "anthropic"), ("google", "google.genai")]
)
def test_sdks_understand_the_server(protocol: str, module: str, tmp_path: Path) -> None:
    """Each provider's SDK reads the answers of the benchmark's server, whole and streamed."""
    if importlib.util.find_spec(module.partition(".")[0]) is None or importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    rows = tmp_path / "rows.json"
    run("--only", "clients", "--clients", "sdk", "--protocols", protocol, "--rounds", "1", "--json", str(rows))
    assert [(row["client"], row["protocol"]) for row in json.loads(rows.read_text())] == [("sdk", protocol)]
