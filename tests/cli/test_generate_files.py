"""`generate --input --output`, as processes: killed, interrupted, in pipes and in a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "llm_framework.cli", "generate"]
TIMEOUT = 120

ECHO_PLUGIN = """
from llm_framework import BaseModelPlugin, ModelBackend, PluginMetadata


class EchoBackend(ModelBackend):
    async def load_model(self):
        pass

    async def unload_model(self):
        pass

    async def stream(self, request):
        yield request.messages[-1].text


class EchoPlugin(BaseModelPlugin):
    metadata = PluginMetadata("echo", "1", supported_backends=("echo",))

    def supports_model(self, info):
        return info.name == "echo:model"

    async def create_backend(self, info):
        return EchoBackend(info)
"""


def run(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def start(*arguments: str | Path, **streams: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, *map(str, arguments)], **streams)


def write_prompts(path: Path, count: int) -> Path:
    lines = [json.dumps({"id": f"p{number}", "prompt": f"Hello number {number}"}) for number in range(1, count + 1)]
    path.write_text("\n".join(lines) + "\n")
    return path


def records_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Nothing tells that a file has grown: so look again and again, while the process lives."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert process.poll() is None, "the process ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.002)


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_killed_again_and_again(tmp_path: Path) -> None:
    """Killed by SIGKILL several times in the middle and started again, every line is answered once, in the right
    place, as if nothing had been."""
    source, target = write_prompts(tmp_path / "in.jsonl", 60), tmp_path / "out.jsonl"
    command = ("-i", source, "-o", target, "-t", "0", "-n", "12", "--max-concurrency", "3")
    for kills in range(1, 5):
        process = start(*command, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda kills=kills: lines_in(target) >= kills * 10, process)
        finally:
            process.kill()
            process.wait()
        if kills % 2:  # as a kill in the middle of a long write would leave it
            os.truncate(target, target.stat().st_size - 20)
        assert lines_in(target) < 60
    done = run(*command)
    assert (done.returncode, done.stdout) == (0, "")
    found = {record["line"]: record for record in records_of(target)}
    assert len(records_of(target)) == 60
    assert sorted(found) == list(range(1, 61))
    assert all(record["id"] == f"p{line}" for line, record in found.items())
    alone = run("Hello number 33", "-t", "0", "-n", "12").stdout
    assert found[33]["text"].strip() == alone.strip()


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends it with exit code 130, whole lines in the output, and a word on how to go on."""
    source, target = write_prompts(tmp_path / "in.jsonl", 200), tmp_path / "out.jsonl"
    process = start("-i", source, "-o", target, "-n", "12", "--max-concurrency", "2", stderr=subprocess.PIPE)
    try:
        wait_until(lambda: lines_in(target) >= 5, process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert b"Traceback" not in said
    count = len(records_of(target))
    assert f"Stopped: {count} of 200 lines done" in said.decode()
    assert b"same command goes on" in said


def test_exit_code_says_that_some_lines_failed(tmp_path: Path) -> None:
    """With errors in the output the exit code is 3, with how to try again; once they are mended it is 0."""
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('"Hello"\n{"prompt": "Hello", "model": "later"}\n')
    first = run("--input", source, "--output", target, "-n", "3")
    assert first.returncode == 3
    assert first.stderr == "1 of 2 results are errors. The same command with --retry-errors asks those lines again.\n"
    assert run("--input", source, "--output", target, "-n", "3").returncode == 3
    config = tmp_path / "config.yaml"
    config.write_text(f"models_dir: {tmp_path / 'models'}\nfallback_models: [tiny-chat]\n")
    done = run("-i", source, "-o", target, "-n", "3", "--retry-errors", "-c", config)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert sorted(record["line"] for record in records_of(target)) == [1, 2]


def test_pipes() -> None:
    """'-' reads standard input and writes standard output, each answer as soon as it is there."""
    process = start("-i", "-", "--input-format", "text", "-n", "3", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for number, prompt in enumerate((b"Hello\n", b"Hi\n"), start=1):
            process.stdin.write(prompt)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["line"] == number
        rest, _ = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
        process.wait()
    assert (rest, process.returncode) == (b"", 0)


def test_closed_pipe_is_silent(tmp_path: Path) -> None:
    """A reader that goes away (`| head -n 1`) causes no complaint."""
    source = write_prompts(tmp_path / "in.jsonl", 30)
    command = " ".join([*COMMAND, "-i", str(source), "-n", "8", "--max-concurrency", "1", "|", "head", "-n", "1"])
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["Hello", "-i", "x"], 2, ["--input"]),
        (["--json", "-i", "x"], 2, ["--json"]),
        (["Hello", "-o", "x"], 2, ["--input"]),
        (["Hello", "--retry-errors"], 2, ["--input"]),
        (["-i", "/nowhere/in.jsonl", "-o", "/nowhere/out"], 1, ["/nowhere/in.jsonl", "No such file"]),
        (["-i", "/dev/null", "-o", "/nowhere/out"], 1, ["/nowhere/out", "cannot be written"]),
        (["-i", "/dev/null", "--input-format", "csv"], 1, ["csv", "jsonl"]),
        (["-i", "/dev/null", "--max-concurrency", "0"], 1, ["max_concurrency"]),
        (["-i", "/dev/null", "-t", "-1"], 1, ["temperature"]),
    ],
)
def test_wrong_calls(arguments: list[str], code: int, words: list[str]) -> None:
    """What cannot be meant or done is said in a sentence, with the exit code of wrong usage or of a failure."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_nothing_to_do(tmp_path: Path) -> None:
    """An empty input is no error."""
    done = run("-i", "/dev/null", "-o", tmp_path / "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    """A terminal shows how many of how many lines are done, and at the end what was done."""
    source = write_prompts(tmp_path / "in.jsonl", 20)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = start("-i", source, "-o", tmp_path / "out", "-n", "8", stderr=theirs, env=environment)
    os.close(theirs)
    screen = ""
    try:
        while select.select([ours], [], [], TIMEOUT)[0]:
            try:
                screen += os.read(ours, 65536).decode(errors="replace")
            except OSError:  # how Linux says that the other side has closed the terminal
                break
        assert process.wait(TIMEOUT) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert "/20" in screen
    assert "20 of 20 lines done" in screen


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty thousand lines more, first answered and then gone on with, take no more than a few megabytes more."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "echo.py").write_text(ECHO_PLUGIN)
    monkeypatch.setenv("LLM_FRAMEWORK_PLUGIN_DIRS", str(plugins))
    few, many = (peak_of(tmp_path, count) for count in (1000, 31000))
    assert many - few < 20, f"{few:.0f} MB with a thousand lines, {many:.0f} MB with thirty-one thousand"


def peak_of(folder: Path, count: int) -> float:
    """MB of memory that the command took at most, in a first run over half of the lines or a second over the rest."""
    source, target = folder / f"{count}.jsonl", folder / f"{count}.out"
    peak = 0.0
    for lines in (count // 2, count):
        source.write_text("".join(f'"{number} {"word " * 100}"\n' for number in range(lines)))
        process = start("-i", source, "-o", target, "-m", "echo:model")
        while process.poll() is None:
            peak = max(peak, high_water(process.pid))
            time.sleep(0.02)
        assert process.returncode == 0
        assert lines_in(target) == lines
    return peak


def high_water(pid: int) -> float:
    """MB; the rusage of a child would count what this process had when it was forked."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        if found:
            return int(found[1]) / 1024
    return 0.0
