"""`llm-framework bench`, run as a process on the bundled model and on a server."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import run, terminal
from servers.chat_server import ChatServer, Reply, delta, error_reply, frame, usage

from llm_framework.bench import METRICS

QUICK = ("--rounds", "2", "--prompt", "64", "--tokens", "8")


def test_the_bundled_model(tmp_path: Path) -> None:
    """Every metric is measured in every round, the table has the medians, the file the samples."""
    file = tmp_path / "figures.json"
    done = run("bench", *QUICK, "--json", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    figures = json.loads(file.read_text())
    assert (figures["model"], figures["backend"], figures["output_tokens"]) == ("tiny-chat", "native", 8)
    assert 40 <= figures["prompt_tokens"] <= 90
    assert figures["load_seconds"] > 0
    for name, unit in METRICS.items():
        metric = figures["metrics"][name]
        assert metric["unit"] == unit
        assert len(metric["samples"]) == 2
        assert metric["median"] == statistics.median(metric["samples"]) > 0
        assert name in done.stdout
    assert "tiny-chat" in done.stdout.splitlines()[0]


def test_json_on_standard_output() -> None:
    """`--json -` prints the figures and nothing else."""
    assert json.loads(run("bench", *QUICK, "--json", "-").stdout)["model"] == "tiny-chat"


def test_the_model_may_be_named_either_way() -> None:
    """As an argument and by `--model`, but not two of them."""
    assert "no model is named 'nosuch'" in run("bench", "--model", "nosuch").stderr
    assert "no model is named 'nosuch'" in run("chat", "-m", "nosuch", stdin="hello").stderr
    both = run("bench", "nosuch", "--model", "tiny-chat")
    assert (both.returncode, "two models are named" in " ".join(both.stderr.split())) == (2, True)


def test_lengths_are_cut_to_the_context() -> None:
    """A prompt that is longer than the model's context is made to fit."""
    figures = json.loads(run("bench", "-r", "1", "--prompt", "100000", "--tokens", "4", "--json", "-").stdout)
    assert 1000 <= figures["prompt_tokens"] <= 2044


def test_the_plot(tmp_path: Path) -> None:
    """`--plot` draws a picture of the kind that the file's name says."""
    png, svg = tmp_path / "figures.png", tmp_path / "figures.svg"
    assert run("bench", *QUICK, "--plot", str(png)).returncode == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    assert run("bench", *QUICK, "--plot", str(svg)).returncode == 0
    assert "<svg" in svg.read_text()


def test_a_table_on_a_terminal() -> None:
    """A terminal gets a table."""
    with terminal("bench", *QUICK) as screen:
        at = screen.wait_for("median")
        screen.wait_for("batch of 4", at)
        assert screen.process.wait(120) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tiny-chatt"], ["tiny-chatt"]),
        (["--plot", "figures.txt"], ["figures.txt", ".png"]),
        (["--plot", "/nowhere/figures.png"], ["/nowhere"]),
        (["--json", "/nowhere/figures.json"], ["/nowhere"]),
        (["desk:m"], ["desk"]),
    ],
)
def test_what_cannot_be_measured_or_written(arguments: list[str], words: list[str]) -> None:
    """A wrong model or file is told before anything is measured."""
    done = run("bench", *QUICK, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words)


def test_without_matplotlib_the_extra_is_named(tmp_path: Path) -> None:
    """A plot without matplotlib is refused at once, with the extra that brings it."""
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.argv = ['x', 'bench', '--plot', 'a.png']\n"
        "from llm_framework.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "llm-framework[bench]" in done.stderr


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    words = [delta(content=f"word{number} ") for number in range(6)]
    answer = Reply([delta(role="assistant"), *words, delta("stop"), usage(50, 6), frame("[DONE]")])
    with ChatServer(answer) as server:
        place = {"desk": {"provider": "openai_compatible", "base_url": server.url, "api_key": "sk-none"}}
        monkeypatch.setenv("LLM_FRAMEWORK_API_CREDENTIALS", json.dumps(place))
        yield server


def test_a_model_elsewhere(server: ChatServer) -> None:
    """A cloud model is measured by what it streams and counts; each round asks six times, and never alike."""
    done = run("bench", "desk:m", "--rounds", "2", "--json", "-")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["backend"], figures["load_seconds"]) == ("openai_compatible", None)
    assert (figures["prompt_tokens"], figures["output_tokens"]) == (50, 6)
    assert all(figures["metrics"][name]["median"] > 0 for name in METRICS)
    prompts = {request.body["messages"][-1]["content"] for request in server.requests}
    assert len(server.requests) == len(prompts) == 3 * 6  # one round does not count


def test_a_request_that_fails_ends_the_measuring(server: ChatServer) -> None:
    """No figures are made up where a request fails, and it is not tried again."""
    server.replies[:] = [error_reply(500, "out of order")]
    done = run("bench", "desk:m")
    assert (done.returncode, done.stdout) == (1, "")
    assert "out of order" in done.stderr
    assert len(server.requests) == 1
