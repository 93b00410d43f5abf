"""The native engine against llama.cpp and against what this machine can do, side by side, in one run.

    python benchmarks/native.py [--shape 1b 2b] [--format q8_0 q4_0 bf16] [--threads 4] [--quick] [--json FILE]
    python benchmarks/native.py --model gemma.gguf

Makes GGUF files of Gemma shapes with random weights (or takes yours), which both engines read. Each runs in a process
of its own and rests while the other is measured; they take turns, metric by metric, and the memory bandwidth and the
dot product peak are measured in the same rounds, because those of a shared machine change from minute to minute.
Figures are medians over the rounds. llama.cpp comes with `pip install llama-cpp-python`; without it only ours are
printed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gguf_shapes import weight_bytes, write_gguf
from native_plot import draw
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from shapes import GEMMA2_2B, GEMMA3_1B, GEMMA3_270M, SMALL

from llm_framework.native._native import dot_peak, read_bandwidth

HERE = Path(__file__).parent
SHAPES = {"270m": GEMMA3_270M, "1b": GEMMA3_1B, "2b": GEMMA2_2B, "small": SMALL}
FORMATS = ("q8_0", "q4_0", "bf16")
METRICS = ("load", "decode", "prefill", "batch2", "batch4", "batch8", "batch16", "prefix_ttft")
SECONDS = {"load", "prefix_ttft"}  # the others are tokens a second
BANDWIDTH_BYTES = 1 << 29


@dataclass(frozen=True)
class Row:
    """One line of the result. `ratio` is above 1 where we are faster; `bound_fraction` is the share of the memory
    bandwidth (decode, batches) or of the dot product peak (prefill) that we reach; None where it says nothing."""

    shape: str
    format: str
    threads: int
    metric: str
    ours: float
    peer: float | None
    ratio: float | None
    bound_fraction: float | None


@dataclass
class Case:
    """A file and how it is run; `samples[metric]` are (ours, peer, share of the bound), one a round."""

    shape: str
    format: str
    threads: int
    path: Path
    bytes_per_token: float | None
    products_per_token: float | None
    samples: dict[str, list[tuple[float, float | None, float | None]]] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """The medians."""
        for metric, samples in self.samples.items():
            ours, peers, shares = zip(*samples, strict=True)
            peer = _median(peers)
            pairs = [_ratio(metric, a, b) for a, b in zip(ours, peers, strict=True) if b is not None]
            yield Row(
                self.shape, self.format, self.threads, metric, statistics.median(ours), peer, _median(pairs),
                _median(shares),
            )  # fmt: skip


class Engine:
    """A worker process: native_ours.py or native_peer.py."""

    def __init__(self, script: str, python: str) -> None:
        self._process = subprocess.Popen(
            [python, str(HERE / script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )

    def measure(self, **command: Any) -> float:
        """One metric; the process has the model loaded from its last "load" on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"a worker of the benchmark ended with code {self._process.wait()}")
        return float(json.loads(answer)["value"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def run_round(case: Case, engines: Sequence[Engine | None], metrics: Sequence[str], tokens: int, prompt: int) -> None:
    """Every metric once, by both engines in turn; who begins changes from round to round."""
    for metric in ("load", *(m for m in metrics if m != "load")):
        command = {"metric": metric, "tokens": prompt if metric == "prefill" else tokens}
        command |= {"path": str(case.path), "threads": case.threads}
        bound = _bound(case, metric)
        order = list(range(len(engines)))
        if len(case.samples.get(metric, ())) % 2:
            order.reverse()
        values: list[float | None] = [None, None]
        for index in order:
            engine = engines[index]
            values[index] = None if engine is None else engine.measure(**command)
        ours, peer = values
        assert ours is not None
        case.samples.setdefault(metric, []).append(
            (ours, peer, None if bound is None else _steps(metric, ours) / bound)
        )


def _bound(case: Case, metric: str) -> float | None:
    """The steps (tokens, for prefill) a second that the machine would allow right now."""
    if metric == "prefill" and case.products_per_token:
        peak = dot_peak("bf16" if case.format == "bf16" else "int8", case.threads)
        return peak / case.products_per_token if peak else None
    if metric in SECONDS or metric == "prefill" or not case.bytes_per_token:
        return None
    return read_bandwidth(BANDWIDTH_BYTES, case.threads) / case.bytes_per_token


def _steps(metric: str, value: float) -> float:
    return value / int(metric.removeprefix("batch")) if metric.startswith("batch") else value


def _ratio(metric: str, ours: float, peer: float) -> float:
    return peer / ours if metric in SECONDS else ours / peer


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


# --------------------------------------------------------------------------------------------------------------- cases
def make_cases(arguments: argparse.Namespace, folder: Path, console: Console) -> list[Case]:
    """The files to measure, written where they are not there yet."""
    if arguments.model:
        return [Case(arguments.model.stem, "file", t, arguments.model, None, None) for t in arguments.threads]
    cases = []
    for name in arguments.shape:
        shape = SHAPES[name]
        for weights in arguments.format:
            path = folder / f"{name}-{weights}.gguf"
            if not path.exists():
                console.print(f"writing {path.name} ({weight_bytes(shape, weights) / 1e9:.2f} GB)")
                write_gguf(shape, path, weights)
            products = shape.parameters - shape.vocab * shape.dim
            for threads in arguments.threads:
                cases.append(Case(name, weights, threads, path, weight_bytes(shape, weights), products))
    return cases


def measure(cases: Sequence[Case], arguments: argparse.Namespace, console: Console) -> None:
    """All rounds of all cases."""
    peer = importlib.util.find_spec("llama_cpp") is not None if arguments.peer_python is None else True
    if not peer:
        console.print("llama-cpp-python is not installed (pip install llama-cpp-python): no peer to compare with")
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("measuring", total=len(cases) * arguments.rounds)
        for case in cases:
            progress.update(task, description=f"{case.shape} {case.format}, {case.threads} threads")
            ours = Engine("native_ours.py", sys.executable)
            theirs = Engine("native_peer.py", arguments.peer_python or sys.executable) if peer else None
            engines = [engine for engine in (ours, theirs) if engine is not None]
            for engine in engines:  # "load" means the second and later ones: the first packs and hashes a new file
                engine.measure(metric="load", path=str(case.path), threads=case.threads)
            for _ in range(arguments.rounds):
                run_round(case, (ours, theirs), arguments.metric, arguments.tokens, arguments.prompt)
                progress.advance(task)
            for engine in engines:
                engine.close()


def print_rows(rows: Sequence[Row], console: Console) -> None:
    """The table."""
    table = Table(title="tokens a second (load, prefix_ttft: seconds); medians")
    for column in ("shape", "format", "threads", "metric"):
        table.add_column(column)
    for column in ("ours", "llama.cpp", "ratio", "of the bound"):
        table.add_column(column, justify="right")
    for row in rows:
        digits = 3 if row.metric in SECONDS else 1
        table.add_row(
            row.shape, row.format, str(row.threads), row.metric, f"{row.ours:.{digits}f}",
            "" if row.peer is None else f"{row.peer:.{digits}f}", "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.bound_fraction is None else f"{100 * row.bound_fraction:.0f} %",
        )  # fmt: skip
    console.print(table)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, nargs="+")
    parser.add_argument("--format", choices=FORMATS, nargs="+", default=list(FORMATS))
    parser.add_argument("--threads", type=int, nargs="+", default=[min(4, os.cpu_count() or 1)])
    parser.add_argument("--metric", choices=METRICS, nargs="+", default=list(METRICS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=24, help="decoded a round")
    parser.add_argument("--prompt", type=int, default=512, help="tokens of prefill")
    parser.add_argument("--model", type=Path, help="a GGUF file of your own instead")
    parser.add_argument("--folder", type=Path, help="where the files are kept (default: a temporary one)")
    parser.add_argument("--peer-python", help="the Python that has llama-cpp-python (default: this one)")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--plot", type=Path, help="draw the rows here (PNG, SVG)")
    parser.add_argument("--quick", action="store_true", help="1B shape, fewer rounds: three minutes at most")
    arguments = parser.parse_args(argv)
    if arguments.quick:
        arguments.rounds, arguments.tokens, arguments.format = 2, 12, arguments.format[:2]
    arguments.shape = arguments.shape or (["1b"] if arguments.quick else ["270m", "1b", "2b"])
    return arguments


def main() -> None:
    """Write the models, measure, print."""
    arguments, console = parse(), Console()
    with tempfile.TemporaryDirectory() as temporary:
        cases = make_cases(arguments, arguments.folder or Path(temporary), console)
        measure(cases, arguments, console)
    rows = [row for case in cases for row in case.rows()]
    print_rows(rows, console)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    if arguments.plot:
        draw([asdict(row) for row in rows], arguments.plot)


if __name__ == "__main__":
    main()
