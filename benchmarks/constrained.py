"""What constrained decoding costs: to start, for each token, and of the speed of a model of Gemma 3's shape.

    python benchmarks/constrained.py [--shape 1b|270m|small] [--rounds 5] [--batch 1 8] [--plot FILE]
    python benchmarks/constrained.py --masks          the cost of masks and commits, by themselves

The model has random weights and the shape's vocabulary (Gemma 3's is of 262,144): the bundled one and made-up words.
Decoding is measured free and constrained in turn, in one run, through the scheduler that requests go through; both draw
with the same sampler. What it costs is the median of the rounds' own comparisons, as the machine may be shared.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shapes import GEMMA3_1B, GEMMA3_270M, SMALL, Shape, write_sbs

import llm_framework
from llm_framework.decoding.constraints import ConstraintCompiler
from llm_framework.native import open_model
from llm_framework.native._native import Row, Sampler
from llm_framework.native.generation import Generation
from llm_framework.native.scheduler import Scheduler
from llm_framework.native.tokenizer import Tokenizer, load_tokenizer
from llm_framework.types import InferenceRequest, ResponseFormat, ToolSpec

BUNDLED = Path(llm_framework.__file__).parent / "bundled" / "tiny-chat"
LARGE = 262_144
SHAPES = {"1b": GEMMA3_1B, "270m": GEMMA3_270M, "small": SMALL}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "year": {"type": "integer", "minimum": 1800, "maximum": 2100},
        "kind": {"enum": ["book", "article", "thesis"]},
        "authors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "email": {"type": ["string", "null"]}},
                "required": ["name", "email"],
            },
            "minItems": 1,
        },
        "abstract": {"type": "string"},
    },
    "required": ["title", "year", "kind", "authors", "abstract"],
}
RECORDS = {"type": "array", "items": SCHEMA, "minItems": 3}  # random answers would end soon without a minimum
TOOLS = tuple(ToolSpec(name, "Does it.", SCHEMA) for name in ("store", "look_up", "cite"))


class LargeVocabulary:
    """The bundled vocabulary, made as large as Gemma 3's with words that are made up, or cut to `size` tokens."""

    def __init__(self, tokenizer: Tokenizer, size: int = LARGE) -> None:
        self._size = size
        self._single = {tokenizer.token_bytes(id): id for id in range(min(size, tokenizer.vocab_size))}
        draw = random.Random(1)
        letters = "etaoinshrdlucmfwypvbgkqjxz"
        self._tokenizer = tokenizer
        known = {tokenizer.token_bytes(id) for id in range(tokenizer.vocab_size)}
        words = (" " * draw.randint(0, 1) + "".join(draw.choices(letters, k=draw.randint(3, 9))) for _ in range(LARGE))
        self._more = [word.encode() for word in words if word.encode() not in known]

    @property
    def specials(self) -> Mapping[str, int]:
        """Those of the bundled one."""
        return self._tokenizer.specials

    def encode(self, text: str, *, add_bos: bool = False, parse_special: bool = True) -> list[int]:
        """As the bundled one does, or byte by byte where it would use a token that is not there."""
        ids = self._tokenizer.encode(text, add_bos=add_bos, parse_special=parse_special)
        return ids if max(ids, default=0) < self._size else [self._single[bytes([byte])] for byte in text.encode()]

    def token_bytes(self, id: int) -> bytes:
        """A known piece, or a made-up one."""
        size = self._tokenizer.vocab_size
        return self._tokenizer.token_bytes(id) if id < size else self._more[(id - size) % len(self._more)]

    def is_special(self, id: int) -> bool:
        """As the bundled one says."""
        return self._tokenizer.is_special(id)


def report(name: str, seconds: Iterable[float]) -> None:
    """Print the median, the 99th percentile and the mean, in microseconds."""
    values = sorted(1e6 * value for value in seconds)
    p99 = values[min(len(values) - 1, int(0.99 * len(values)))]
    print(
        f"  {name:32} median {statistics.median(values):8.0f} us   p99 {p99:8.0f} us   "
        f"mean {statistics.fmean(values):8.0f} us   ({len(values)})"
    )


def measure_masks(name: str, vocabulary: Any, vocab_size: int, eos_ids: Iterable[int], rounds: int) -> None:
    """The costs for one vocabulary."""
    import numpy as np

    print(f"{name}: {vocab_size} tokens")
    compiler = ConstraintCompiler(vocabulary, vocab_size, eos_ids)
    requests = {
        "schema": InferenceRequest("x", response_format=ResponseFormat(schema=SCHEMA)),
        "forced call": InferenceRequest("x", tools=TOOLS, tool_choice="any"),
    }
    for kind, request in requests.items():
        tools = request.tools
        begun = time.perf_counter()
        compiler.for_request(request, tools, 512)
        print(f"  {kind}: first start {1e3 * (time.perf_counter() - begun):.1f} ms")
        starts, masks, commits = [], [], []
        draw = np.random.default_rng(5)
        for _ in range(rounds):
            begun = time.perf_counter()
            constraint = compiler.for_request(request, tools, 512)
            starts.append(time.perf_counter() - begun)
            assert constraint is not None
            for left in range(199, -1, -1):
                begun = time.perf_counter()
                mask = constraint.mask()
                masks.append(time.perf_counter() - begun)
                assert mask is not None
                allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))
                allowed = allowed[~np.isin(allowed, list(eos_ids))]
                if not len(allowed):
                    break
                begun = time.perf_counter()
                constraint.commit(int(draw.choice(allowed)), left)
                commits.append(time.perf_counter() - begun)
                if constraint.is_done():
                    break
        report(f"{kind}: start, cached", starts)
        report(f"{kind}: mask", masks)
        report(f"{kind}: commit", commits)


@dataclass
class Figures:
    """What was measured with so many requests at once, a value a round."""

    batch: int
    free: list[float] = field(default_factory=list)  # tokens a second, of all together
    constrained: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """Which part of the speed a constraint takes."""
        rounds = zip(self.free, self.constrained, strict=True)
        return statistics.median(1 - constrained / free for free, constrained in rounds)

    def row(self) -> str:
        """One line of the table."""
        free, constrained = statistics.median(self.free), statistics.median(self.constrained)
        return f"{self.batch:8d} {free:12.1f} {constrained:16.1f} {100 * self.cost:9.1f}%"


class Bench:
    """A model of `shape` with a scheduler, and the constraints of its vocabulary."""

    def __init__(self, path: Path, shape: Shape, threads: int) -> None:
        tokenizer = load_tokenizer(BUNDLED, BUNDLED)
        self._model = open_model(path, num_threads=threads or None)
        self._scheduler = Scheduler(self._model.engine, Row)
        self._compiler = ConstraintCompiler(LargeVocabulary(tokenizer, shape.vocab), shape.vocab, tokenizer.eos_ids)
        self._request = InferenceRequest("x", response_format=ResponseFormat(schema=RECORDS))

    def start(self, max_tokens: int) -> tuple[Any, float]:
        """A constraint, and how many seconds it took."""
        begun = time.perf_counter()
        constraint = self._compiler.for_request(self._request, (), max_tokens)
        return constraint, time.perf_counter() - begun

    async def speed(self, batch: int, tokens: int, constrained: bool, seed: int) -> float:
        """Tokens a second while `batch` requests decode up to `tokens` tokens each."""
        generations = [
            self._scheduler.submit(
                [2, 100 + number],
                Sampler(1000 * seed + number, temperature=1.0, top_k=64),
                max_tokens=tokens,
                constraint=self.start(tokens)[0] if constrained else None,
            )
            for number in range(batch)
        ]
        counts = await asyncio.gather(*map(count_tokens, generations))
        begun = min(generation.times.first_token for generation in generations)
        ended = max(generation.times.finished for generation in generations)
        return (sum(counts) - batch) / (ended - begun)

    def close(self) -> None:
        """Free the model."""
        self._scheduler.close()
        self._model.close()


async def count_tokens(generation: Generation) -> int:
    """How many tokens come."""
    return len([event async for event in generation])


async def measure_shape(bench: Bench, batches: list[int], rounds: int, tokens: int) -> list[Figures]:
    """Free and constrained in turn, for each number of requests."""
    rows = [Figures(batch) for batch in batches]
    _, first = bench.start(4096)
    starts = [bench.start(4096)[1] for _ in range(50)]
    print(f"start of a constraint: the first {1e3 * first:.0f} ms, once its schema is cached:")
    report("", starts)
    await bench.speed(1, 4, constrained=False, seed=0)  # touches every page once
    for round_ in range(rounds):
        for row in rows:
            for constrained in (False, True) if round_ % 2 else (True, False):
                speed = await bench.speed(row.batch, tokens, constrained, round_)
                (row.constrained if constrained else row.free).append(speed)
    return rows


def plot(rows: list[Figures], name: str, file: Path) -> None:
    """Speeds side by side, and what the constraint takes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.2))
    places = range(len(rows))
    free = [statistics.median(row.free) for row in rows]
    axes.bar([place - 0.2 for place in places], free, width=0.4, color="#dddddd", label="free")
    constrained = [statistics.median(row.constrained) for row in rows]
    axes.bar([place + 0.2 for place in places], constrained, width=0.4, color="#3366cc", label="held to a schema")
    for place, row in zip(places, rows, strict=True):
        axes.annotate(f"-{100 * row.cost:.1f} %", (place + 0.2, constrained[place]), ha="center", va="bottom")
    axes.set_xticks(list(places), [f"{row.batch} at once" for row in rows])
    axes.set_ylabel("tokens per second")
    axes.set_title(f"random weights of the shape {name}")
    axes.margins(y=0.15)
    axes.legend(loc="upper left")
    figure.tight_layout()
    figure.savefig(file, dpi=150)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=200, help="decoded at most, for each request")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8], help="requests at once")
    parser.add_argument("--threads", type=int, default=0, help="0: one a core")
    parser.add_argument("--folder", type=Path, help="where the model is written and kept (default: a temporary folder)")
    parser.add_argument("--plot", type=Path, help="write a picture here")
    parser.add_argument("--masks", action="store_true", help="measure masks and commits by themselves instead")
    arguments = parser.parse_args()
    if arguments.masks:
        tokenizer = load_tokenizer(BUNDLED, BUNDLED)
        measure_masks("bundled", tokenizer, tokenizer.vocab_size, tokenizer.eos_ids, arguments.rounds)
        measure_masks("large", LargeVocabulary(tokenizer), LARGE, tokenizer.eos_ids, arguments.rounds)
        return
    shape = SHAPES[arguments.shape]
    with tempfile.TemporaryDirectory() as temporary:
        path = (arguments.folder or Path(temporary)) / f"{arguments.shape}-sfp.sbs"
        bench = Bench(path if path.exists() else write_sbs(shape, path), shape, arguments.threads)
        rows = asyncio.run(measure_shape(bench, arguments.batch, arguments.rounds, arguments.tokens))
        bench.close()
    print(f"{'at once':>8s} {'free t/s':>12s} {'constrained t/s':>16s} {'cost':>10s}")
    for row in rows:
        print(row.row())
    if arguments.plot:
        plot(rows, arguments.shape, arguments.plot)


if __name__ == "__main__":
    main()
