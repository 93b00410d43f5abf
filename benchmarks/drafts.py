"""What prompt-lookup drafts bring: the bundled model with and without, on tasks that copy and on tasks that do not.

    python benchmarks/drafts.py [--rounds 7] [--threads N]

Both ways run in turn, in one process, and say the same (greedy). What is printed for each task: tokens drawn for each
pass over the weights, and tokens a second with drafts as a multiple of those without, the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from dataclasses import dataclass, field
from pathlib import Path

import llm_framework
from llm_framework.native.backend import GemmaNativeBackend
from llm_framework.registry import ModelInfo
from llm_framework.types import GenerationConfig, InferenceRequest, Message

BUNDLED = Path(llm_framework.__file__).parent / "bundled" / "tiny-chat"
LONG_ENOUGH = 10  # tokens
RECORDS = '[{"name": "Ada Stone", "city": "Turin", "age": 34}, {"name": "Ben Hill", "city": "Rome", "age": 29}]'
LETTER = (
    "Dear Mrs Miller, thank you for your order of 12 March. The green lamp, number 4471, will be sent on Monday to "
    "18 Garden Street in Leeds. If anything is missing, write to help@lamps.example or call 0113 555 0142."
)
TASKS = {
    "copy JSON": f"Repeat this exactly: {RECORDS}",
    "copy text": f"Repeat this exactly: {LETTER}",
    "extract": f"Which address, which e-mail and which telephone number does this letter name?\n\n{LETTER}",
    "extract JSON": f"Write the names and the cities as JSON with the keys name and city.\n\n{RECORDS}",
    "correct": "Correct the spelling: The childrens plaied in the gardin untill the sun went down behind the hous.",
    "open question": "What is a river, and why do people live beside it?",
    "story": "Tell me a short story about a fox who wants to see the sea.",
}


@dataclass
class Figures:
    """What was measured of one task."""

    tokens: int = 0
    steps: int = 0
    same: bool = True
    ratios: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        """One line of the table."""
        # The first token comes with the prompt: of a very short answer there is nothing to measure.
        ratio = f"{statistics.median(self.ratios):.2f} x" if self.tokens >= LONG_ENOUGH else "-"
        per_step = self.tokens / max(1, self.steps)
        return f"{name:14s} {self.tokens:7d} {per_step:12.2f} {ratio:>12s}   {'same' if self.same else 'DIFFERENT'}"


@dataclass(frozen=True)
class Run:
    """One answer: its text, tokens, passes over the weights, and tokens a second."""

    text: str
    tokens: int
    steps: int
    speed: float


async def ask(backend: GemmaNativeBackend, prompt: str) -> Run:
    """The greedy answer."""
    request = InferenceRequest(messages=(Message.user(prompt),), config=GenerationConfig(temperature=0, max_tokens=200))
    await backend.load_model()
    assert backend._loaded is not None
    scheduler = backend._loaded.scheduler
    before, text = scheduler.num_steps, ""
    tokens, seconds = 0, 0.0
    async for chunk in backend.stream(request):
        text += chunk.text
        if chunk.usage is not None and chunk.timings is not None:
            tokens, seconds = chunk.usage.output_tokens, chunk.timings.decode
    return Run(text, tokens, scheduler.num_steps - before, tokens / max(seconds, 1e-9))


async def measure(rounds: int, threads: int | None) -> dict[str, Figures]:
    """All tasks, both ways in turn."""
    info = ModelInfo("tiny-chat", path=BUNDLED)
    ways = [
        GemmaNativeBackend(info, {"num_threads": threads, "prefix_cache_gb": 0, "drafts": drafts})
        for drafts in (True, False)
    ]
    figures = {name: Figures() for name in TASKS}
    for round_ in range(rounds + 1):
        for name, prompt in TASKS.items():
            drafted, plain = [await ask(backend, prompt) for backend in ways]
            found = figures[name]
            found.tokens, found.steps = drafted.tokens, drafted.steps
            found.same &= drafted.text == plain.text
            if round_:  # the first round warms up
                found.ratios.append(drafted.speed / plain.speed)
    for backend in ways:
        await backend.unload_model()
    return figures


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    figures = asyncio.run(measure(arguments.rounds, arguments.threads))
    print(f"{'task':14s} {'tokens':>7s} {'per step':>12s} {'with drafts':>12s}")
    for name, found in figures.items():
        print(found.row(name))


if __name__ == "__main__":
    main()
