"""What constrained decoding costs: to start, and for each token; for the bundled model's vocabulary and a large one.

    python benchmarks/constrained.py                  the cost of masks, by themselves
    python benchmarks/constrained.py --decode         tokens a second of the bundled model, free and constrained

The large vocabulary has the size of Gemma 3's (262,144): the bundled one and made-up words. Answers are drawn at random
from the tokens that the masks allow.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import llm_framework
from llm_framework.decoding.constraints import ConstraintCompiler
from llm_framework.native.backend import GemmaNativeBackend
from llm_framework.native.tokenizer import Tokenizer, load_tokenizer
from llm_framework.registry import ModelInfo
from llm_framework.types import Chunk, GenerationConfig, InferenceRequest, ResponseFormat, ToolSpec

BUNDLED = Path(llm_framework.__file__).parent / "bundled" / "tiny-chat"
LARGE = 262_144
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
TOOLS = tuple(ToolSpec(name, "Does it.", SCHEMA) for name in ("store", "look_up", "cite"))


class LargeVocabulary:
    """The bundled vocabulary, made as large as Gemma 3's with words that are made up."""

    def __init__(self, tokenizer: Tokenizer) -> None:
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
        """As the bundled one does."""
        return self._tokenizer.encode(text, add_bos=add_bos, parse_special=parse_special)

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


async def measure_decoding(rounds: int) -> None:
    """Tokens a second of the bundled model, the rounds of both kinds in turn."""
    backend = GemmaNativeBackend(ModelInfo("tiny-chat", path=BUNDLED), {"num_threads": 2})
    long_text = ResponseFormat(schema={"type": "array", "items": SCHEMA, "minItems": 2})
    speeds: dict[str, list[float]] = {"free": [], "constrained": []}
    for seed in range(rounds):
        for kind, values in speeds.items():
            form = long_text if kind == "constrained" else None
            bias = {} if form else {1: -1e9, 5: -1e9}
            config = GenerationConfig(max_tokens=500, temperature=1.0, seed=seed, logit_bias=bias)
            last = [
                chunk async for chunk in backend.stream(InferenceRequest("Go on.", config=config, response_format=form))
            ][-1]
            assert isinstance(last, Chunk)
            assert last.usage is not None
            assert last.timings is not None
            values.append((last.usage.output_tokens - 1) / last.timings.decode)
    for kind, values in speeds.items():
        print(f"bundled model, {kind}: {statistics.median(values):.0f} tokens a second")
    await backend.unload_model()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--decode", action="store_true", help="measure the bundled model's speed instead")
    arguments = parser.parse_args()
    if arguments.decode:
        asyncio.run(measure_decoding(arguments.rounds))
        return
    tokenizer = load_tokenizer(BUNDLED, BUNDLED)
    measure_masks("bundled", tokenizer, tokenizer.vocab_size, tokenizer.eos_ids, arguments.rounds)
    measure_masks("large", LargeVocabulary(tokenizer), LARGE, tokenizer.eos_ids, arguments.rounds)


if __name__ == "__main__":
    main()
