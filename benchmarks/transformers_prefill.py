"""Reading a prompt with BF16 weights: the native engine against Transformers, on the same Hugging Face folder.

    python benchmarks/transformers_prefill.py [--shape 1b] [--prompt 512] [--threads 4] [--rounds 5] [--json FILE]

Makes a folder of a Gemma shape with random weights. Both read the same prompt in turns, in one process; each rests
while the other is measured. Figures are medians over the rounds. Needs the `transformers` extra.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from rich.console import Console
from shapes import GEMMA3_1B, GEMMA3_270M, write_huggingface

from llm_framework.native import open_model
from llm_framework.native._native import Row, Sampler

SHAPES = {"270m": GEMMA3_270M, "1b": GEMMA3_1B}
REST = 0.3  # seconds, in which the other's threads fall asleep


def ours(folder: Path, prompt: list[int], threads: int) -> Callable[[], object]:
    """Reads the prompt and draws one token."""
    engine = open_model(folder, num_threads=threads).engine
    return lambda: engine.step([Row(engine.new_sequence(len(prompt) + 1), prompt, Sampler(0, temperature=0.0))])


def theirs(folder: Path, prompt: list[int], threads: int) -> Callable[[], object]:
    """The same, with the logits of the last position only, as `generate` does it."""
    torch.set_num_threads(threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    ids = torch.tensor([prompt])

    def read() -> object:
        with torch.inference_mode():
            return model(ids, use_cache=True, logits_to_keep=1).logits.argmax()

    return read


def seconds(work: Callable[[], object]) -> float:
    """Of one run, after a rest."""
    time.sleep(REST)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Make the folder, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    parser.add_argument("--prompt", type=int, default=512, help="tokens")
    parser.add_argument("--threads", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    prompt = [2, *(300 + i % 1000 for i in range(arguments.prompt - 1))]
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_huggingface(SHAPES[arguments.shape], Path(temporary) / "model")
        both = [make(folder, prompt, arguments.threads) for make in (ours, theirs)]
        for work in both:
            work()
        times = [[seconds(work) for work in both] for _ in range(arguments.rounds)]
    speeds = [len(prompt) / statistics.median(column) for column in zip(*times, strict=True)]
    ratio = statistics.median(b / a for a, b in times)
    Console().print(
        f"{arguments.shape}, BF16, {len(prompt)} tokens, {arguments.threads} threads: {speeds[0]:.0f} tokens a second, "
        f"Transformers {speeds[1]:.0f}, ratio {ratio:.2f}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps({"ours": speeds[0], "transformers": speeds[1], "ratio": ratio}))


if __name__ == "__main__":
    main()
