"""How fast the native engine is on this machine, against the only limit decode has: memory bandwidth.

    python benchmarks/native.py [--shape 1b|270m|small] [--rounds 5] [--threads N] [--plot FILE]

Makes a model of Gemma 3's shape with random weights (BF16 safetensors, and .sbs with 8-bit SFP weights), then measures
in turn, in one run: the memory's read bandwidth, decode, prefill and load. The machine may be shared and noisy, so each
figure is a median and decode is given as a share of the bandwidth measured beside it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from shapes import GEMMA3_1B, GEMMA3_270M, SMALL, Shape, write_huggingface, write_sbs

from llm_framework.native import open_model
from llm_framework.native._native import Row, Sampler, read_bandwidth

SHAPES = {"1b": GEMMA3_1B, "270m": GEMMA3_270M, "small": SMALL}
BANDWIDTH_BYTES = 1 << 30


@dataclass
class Figures:
    """What was measured of one file, a value a round."""

    name: str
    weight_bytes: int
    load: list[float] = field(default_factory=list)  # seconds
    decode: list[float] = field(default_factory=list)  # tokens a second
    share: list[float] = field(default_factory=list)  # of the bandwidth measured beside it
    prefill: list[float] = field(default_factory=list)  # tokens a second

    def row(self) -> str:
        """One line of the table."""
        median = statistics.median
        return (
            f"{self.name:12s} {self.weight_bytes / 1e9:6.2f} {median(self.load):8.3f} {median(self.decode):10.1f}"
            f" {100 * median(self.share):10.0f}% {median(self.prefill):10.0f}"
        )


def measure(path: Path, figures: Figures, shape: Shape, threads: int, tokens: int, prompt: int) -> float:
    """One round: load, prefill, decode with the bandwidth read before and after. Returns the bandwidth, bytes/s."""
    started = time.perf_counter()
    model = open_model(path, num_threads=threads or None)
    figures.load.append(time.perf_counter() - started)
    engine = model.engine
    sequence = engine.new_sequence(prompt + tokens + 8)
    sampler = Sampler(seed=1, temperature=0.0)
    ids = [5 + i % (shape.vocab - 10) for i in range(prompt)]
    engine.step([Row(engine.new_sequence(8), [2, 3], sampler)])  # touches every page once
    started = time.perf_counter()
    token = engine.step([Row(sequence, ids, sampler)])[0].token
    figures.prefill.append(prompt / (time.perf_counter() - started))
    before = read_bandwidth(BANDWIDTH_BYTES, threads)
    times = []
    for _ in range(tokens):
        started = time.perf_counter()
        token = engine.step([Row(sequence, [token], sampler)])[0].token
        times.append(time.perf_counter() - started)
    bandwidth = (before + read_bandwidth(BANDWIDTH_BYTES, threads)) / 2
    step = statistics.median(times)
    figures.decode.append(1 / step)
    figures.share.append(figures.weight_bytes / step / bandwidth)
    model.close()
    return bandwidth


def plot(rows: list[Figures], bandwidth: float, file: Path) -> None:
    """Decode speed against the speed that the bandwidth allows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.2))
    limits = [bandwidth / row.weight_bytes for row in rows]
    axes.barh([row.name for row in rows], limits, color="#dddddd", label="memory bandwidth allows")
    axes.barh(
        [row.name for row in rows],
        [statistics.median(row.decode) for row in rows],
        color="#3366cc",
        height=0.5,
        label="decode",
    )
    axes.set_xlabel("tokens per second")
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=150)


def main() -> None:
    """Parse the arguments, write the models, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0: one a core")
    parser.add_argument("--tokens", type=int, default=24, help="decoded a round")
    parser.add_argument("--prompt", type=int, default=512, help="tokens of prefill")
    parser.add_argument(
        "--folder", type=Path, help="where the models are written and kept (default: a temporary folder)"
    )
    parser.add_argument("--plot", type=Path, help="write a picture here")
    arguments = parser.parse_args()
    shape = SHAPES[arguments.shape]
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        print(f"writing models of {shape.parameters / 1e6:.0f}M parameters ...", flush=True)
        files = {
            "BF16": (
                _once(folder / f"{arguments.shape}-bf16", lambda p: write_huggingface(shape, p)),
                2 * shape.parameters,
            ),
            "SFP": (_once(folder / f"{arguments.shape}-sfp.sbs", lambda p: write_sbs(shape, p)), shape.parameters),
        }
        rows = {name: Figures(name, size) for name, (_, size) in files.items()}
        bandwidths = []
        for _ in range(arguments.rounds):
            for name, (path, _) in files.items():
                bandwidths.append(
                    measure(path, rows[name], shape, arguments.threads, arguments.tokens, arguments.prompt)
                )
    bandwidth = statistics.median(bandwidths)
    print(f"memory read bandwidth {bandwidth / 1e9:.1f} GB/s (median of {len(bandwidths)})")
    print(f"{'weights':12s} {'GB':>6s} {'load s':>8s} {'decode t/s':>10s} {'of bandw.':>11s} {'prefill t/s':>10s}")
    for row in rows.values():
        print(row.row())
    if arguments.plot:
        plot(list(rows.values()), bandwidth, arguments.plot)


def _once(path: Path, write: Callable[[Path], Path]) -> Path:
    return path if path.exists() else write(path)


if __name__ == "__main__":
    main()
