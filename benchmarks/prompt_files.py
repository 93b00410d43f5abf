"""Memory and time of `generate_file` over a long file of prompts: begun, killed in the middle, and gone on with.

    python benchmarks/prompt_files.py                      # a million lines, without the engine: the files alone
    python benchmarks/prompt_files.py --engine --lines 100000    # every line a whole request to a model that echoes

Each run is a process of its own; its peak memory is what the kernel says of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from llm_framework import (
    BaseModelPlugin,
    InferenceRequest,
    InferenceResponse,
    LLMFramework,
    Message,
    ModelBackend,
    ModelInfo,
    PluginMetadata,
)
from llm_framework.jobs import generate_file

WORDS = 30  # of a prompt and of its answer


class Echo(ModelBackend):
    """Answers with the prompt."""

    async def load_model(self) -> None:
        pass

    async def unload_model(self) -> None:
        pass

    async def stream(self, request: InferenceRequest) -> AsyncIterator[str]:
        yield request.messages[-1].text


class EchoPlugin(BaseModelPlugin):
    """Serves the model of these measurements."""

    metadata = PluginMetadata("echo", "1")  # type: ignore[assignment]

    def supports_model(self, info: ModelInfo) -> bool:
        return info.backend_type == "echo"

    async def create_backend(self, info: ModelInfo) -> ModelBackend:
        return Echo(info)


class WithoutEngine(LLMFramework):
    """Answers at once, so that what is left is the reading and writing of files."""

    async def generate(self, prompt: Any, **options: Any) -> InferenceResponse:
        await asyncio.sleep(0)
        return InferenceResponse(Message.assistant(prompt[-1].text), model="echo")


async def answer(source: str, target: str, with_engine: bool) -> None:
    """What the measured process does."""
    kind = LLMFramework if with_engine else WithoutEngine
    async with kind({"auto_discover_models": False, "default_model": "echo"}) as framework:
        framework.plugin_manager.register_plugin(EchoPlugin())
        framework.registry.register_model(ModelInfo("echo", backend_type="echo"), persist=False)
        await generate_file(framework, source, target, max_concurrency=64)


def write_prompts(path: Path, count: int) -> None:
    """So many lines, of which the one in ten is an object with options."""
    with path.open("w") as file:
        for number in range(count):
            prompt = f"{number} " + "word " * WORDS
            line = {"id": number, "prompt": prompt, "temperature": 0.5} if number % 10 == 0 else prompt
            file.write(json.dumps(line) + "\n")


class LineCount:
    """Whole lines of a file that grows, counted from where it was looked at last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = self.end = 0

    def now(self) -> int:
        """So many lines there are now."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self.end)
                while block := file.read(1 << 20):
                    self.lines += block.count(b"\n")
                    self.end += len(block)
        return self.lines


def run(source: Path, target: Path, with_engine: bool, kill_at: int | None = None) -> tuple[float, float]:
    """Seconds and MB at most of a process that answers the file, or is killed once so many lines are there."""
    command = [sys.executable, __file__, "--answer", str(source), str(target)] + ["--engine"] * with_engine
    started = time.monotonic()
    process = subprocess.Popen(command)
    count = LineCount(target)
    while kill_at is not None and count.now() < kill_at:
        time.sleep(0.2)
    if kill_at is not None:
        process.send_signal(signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == (0 if kill_at is None else -signal.SIGKILL)
    return time.monotonic() - started, usage.ru_maxrss / 1024


def measure(count: int, with_engine: bool) -> None:
    """Two runs over the file, the first killed half-way, and what came of it; beside them a short file's memory."""
    with tempfile.TemporaryDirectory() as folder:
        source, target, short = (Path(folder) / name for name in ("in.jsonl", "out.jsonl", "short.jsonl"))
        write_prompts(short, 1000)
        _, least = run(short, Path(folder) / "short.out", with_engine)
        print(f"{1000:>9,} lines: {least:.0f} MB")
        write_prompts(source, count)
        seconds, peak = run(source, target, with_engine, kill_at=count // 2)
        done = LineCount(target).now()
        print(
            f"{done:>9,} of {count:,} lines, then killed: {seconds:.1f} s, {done / seconds:,.0f} lines/s, {peak:.0f} MB"
        )
        seconds, peak = run(source, target, with_engine)
        print(f"{count - done:>9,} lines more: {seconds:.1f} s, {(count - done) / seconds:,.0f} lines/s, {peak:.0f} MB")
        numbers = bytearray(count + 1)
        with target.open("rb") as file:
            for line in file:
                numbers[json.loads(line)["line"]] += 1
        assert set(numbers[1:]) == {1}
        print(f"every one of {count:,} lines has one result; {target.stat().st_size / 1e6:.0f} MB of results")


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--engine", action="store_true", help="each line is a whole request")
    parser.add_argument("--answer", nargs=2, metavar=("IN", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.answer:
        asyncio.run(answer(*arguments.answer, arguments.engine))
    else:
        measure(arguments.lines, arguments.engine)


if __name__ == "__main__":
    main()
