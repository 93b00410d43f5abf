"""What a call costs beyond the model, on a server of this machine that does not think.

    python benchmarks/overhead.py --setup                     # once: makes the other clients' environments
    python benchmarks/overhead.py [--rounds 10] [--words 64] [--json FILE] [--plot FILE]
    python benchmarks/overhead.py --clients llm-framework,sdk --protocols openai
    python benchmarks/overhead.py --only hosts [--rounds 200]

First the clients: the whole path through the framework (limits, deadline, retries, metrics, redaction) beside raw HTTP
clients, each provider's own SDK, LiteLLM and any-llm, in three protocols; whole answers and streams, one at a time and
64 at once. Each client has a process, and where its dependencies need it an environment, of its own; they take turns in
each round, so that what disturbs the machine disturbs all alike. Then the hosts: our adapters for LangChain and
LlamaIndex beside the usual ones.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import overhead_hosts
from overhead_clients import CLIENTS
from overhead_envs import FOLDER, python_of, set_up, variables_of
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from zero_server import words, zero_server

PROTOCOLS = ("openai", "anthropic", "google")
AT_ONCE = 64
BASE = "sdk"  # what the others are compared with
WORKER = Path(__file__).with_name("overhead_clients.py")
notes = Console(stderr=True, soft_wrap=True, highlight=False)


class Job(NamedTuple):
    """A burst of calls. `field` of a row is what comes of it."""

    field: str
    streamed: bool
    calls: int
    concurrency: int


JOBS = (
    Job("p50_us", False, 50, 1),
    Job("rps64", False, 4 * AT_ONCE, AT_ONCE),
    Job("chunks_per_s", True, 10, 1),
    Job("chunks_per_s64", True, AT_ONCE, AT_ONCE),
)
HEADINGS = {
    "p50_us": "µs a call",
    "rps64": f"calls/s, {AT_ONCE} at once",
    "chunks_per_s": "chunks/s",
    "chunks_per_s64": f"chunks/s, {AT_ONCE} at once",
    "processor_us": "µs of processor a call",
}
Results = dict[tuple[str, str], dict[str, list[float]]]  # by client and protocol, then by a row's field
Row = dict[str, Any]


class JobError(Exception):
    """A client did not do its job."""


class Worker:
    """A client in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.versions: dict[str, str] = self._reply()["versions"]

    def run(self, protocol: str, job: Job, num_words: int) -> dict[str, Any]:
        """The burst's `seconds`, `processor` and `latencies`. Raises `JobError`, for a wrong answer too."""
        assert self._process.stdin is not None
        asked = {"protocol": protocol, "streamed": job.streamed, "calls": job.calls, "concurrency": job.concurrency}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        reply = self._reply()
        if "error" in reply:
            raise JobError(reply["error"])
        if reply["characters"] != [len("".join(words(num_words)))]:
            raise JobError(f"answers of {reply['characters']} characters")
        return reply

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise JobError(f"its process ended with status {self._process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        return reply


@contextmanager
def worker(client: str, python: Path, url: str) -> Iterator[Worker]:
    """The client's process."""
    command = [str(python), str(WORKER), client, url]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, env=variables_of(python), **pipes) as process:
        try:
            yield Worker(process)
        finally:
            process.communicate()


# ---------------------------------------------------------------------------------------------------------- measuring
def compare(clients: list[str], protocols: list[str], rounds: int, num_words: int, folder: Path) -> list[Row]:
    """Measure the clients, in turn, and give a row for each client and protocol."""
    with zero_server(num_words) as url, ExitStack() as stack:
        workers = {}
        for client in clients:
            python = python_of(client, folder)
            if python is None:
                notes.print(
                    f"{client}: not measured, not installed (--setup makes an environment for it)", markup=False
                )
                continue
            workers[client] = stack.enter_context(worker(client, python, url))
        some = _usable(workers, protocols, num_words)
        return [_row(*key, values) for key, values in _measure(workers, some, rounds, num_words).items()]


def _usable(workers: dict[str, Worker], protocols: list[str], num_words: int) -> list[tuple[str, str]]:
    """The clients and protocols that work; the others are noted."""
    found = []
    for client, one in workers.items():
        notes.print(f"{client}: {', '.join(f'{name} {number}' for name, number in one.versions.items())}")
        for protocol in protocols:
            try:
                for job in JOBS:
                    one.run(protocol, job._replace(calls=job.concurrency), num_words)
            except JobError as error:
                notes.print(f"{client}, {protocol}: not measured, {error}", markup=False)
            else:
                found.append((client, protocol))
    return found


def _measure(workers: dict[str, Worker], some: list[tuple[str, str]], rounds: int, num_words: int) -> Results:
    """What each burst gave."""
    results: Results = {key: {field: [] for field in HEADINGS} for key in some}
    order = random.Random(0)
    with Progress(console=notes) as progress:
        task = progress.add_task("measuring", total=rounds * len(JOBS) * len(some))
        for _ in range(rounds):
            for job in JOBS:
                for client, protocol in order.sample(some, len(some)):
                    reply = workers[client].run(protocol, job, num_words)
                    results[client, protocol][job.field] += _figures(job, reply, num_words)
                    if job.field == "p50_us":  # what a busy machine disturbs less
                        results[client, protocol]["processor_us"].append(1e6 * reply["processor"] / job.calls)
                    progress.advance(task)
    return results


def _figures(job: Job, reply: dict[str, Any], num_words: int) -> list[float]:
    if job.field == "p50_us":
        return [1e6 * seconds for seconds in reply["latencies"]]
    return [job.calls * (num_words if job.streamed else 1) / reply["seconds"]]


def _row(client: str, protocol: str, values: dict[str, list[float]]) -> Row:
    figures = {field: round(statistics.median(some), 1) for field, some in values.items()}
    return {"client": client, "protocol": protocol, **figures}


# ------------------------------------------------------------------------------------------------------------ showing
def table(rows: list[Row]) -> Table:
    """The rows by protocol, each figure with what part of the SDK's it is."""
    shown = Table("protocol", "client", title=f"medians; in brackets: in relation to the provider's SDK ({BASE})")
    for heading in HEADINGS.values():
        shown.add_column(heading, justify="right")
    for row in sorted(rows, key=lambda row: (PROTOCOLS.index(row["protocol"]), row["p50_us"])):
        base = next((other for other in rows if (other["client"], other["protocol"]) == (BASE, row["protocol"])), None)
        shown.add_row(row["protocol"], row["client"], *(_cell(row, base, field) for field in HEADINGS))
    return shown


def _cell(row: Row, base: Row | None, field: str) -> str:
    return f"{row[field]:,.0f}" + (f" ({row[field] / base[field]:.2f})" if base else "")


def plot(rows: list[Row], file: Path) -> None:
    """A panel for each figure, a group of bars for each protocol."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    clients = list(dict.fromkeys(row["client"] for row in rows))
    protocols = [protocol for protocol in PROTOCOLS if any(row["protocol"] == protocol for row in rows)]
    figure, panels = pyplot.subplots(2, 2, figsize=(11, 7))
    for axes, job in zip(panels.flat, JOBS, strict=True):
        for number, client in enumerate(clients):
            found = {row["protocol"]: row[job.field] for row in rows if row["client"] == client}
            places = [index + (number - len(clients) / 2) * 0.8 / len(clients) for index in range(len(protocols))]
            axes.bar(places, [found.get(name, 0.0) for name in protocols], width=0.8 / len(clients), label=client)
        axes.set_xticks(range(len(protocols)), protocols)
        axes.set_title(HEADINGS[job.field])
        axes.set_yscale("log")
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.legend(*panels.flat[0].get_legend_handles_labels(), loc="lower center", ncols=len(clients))
    figure.savefig(file, dpi=150)


# --------------------------------------------------------------------------------------------------------- the program
def arguments() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("clients", "hosts"), help="one of the two parts")
    parser.add_argument("--clients", type=_names(tuple(CLIENTS)), default=list(CLIENTS), help=", ".join(CLIENTS))
    parser.add_argument("--protocols", type=_names(PROTOCOLS), default=list(PROTOCOLS), help=", ".join(PROTOCOLS))
    parser.add_argument(
        "--rounds", type=int, help="default: 10 of the clients, whose rounds are long, 200 of the hosts"
    )
    parser.add_argument("--words", type=int, default=64, help="of the answer; a stream has an event for each")
    parser.add_argument("--json", type=Path, help="write the clients' figures here")
    parser.add_argument("--plot", type=Path, help="write a picture here; that of the hosts beside it, as NAME-hosts")
    parser.add_argument("--envs", type=Path, default=FOLDER, help=f"the environments' folder, {FOLDER} by default")
    parser.add_argument("--setup", action="store_true", help="make the clients' environments with pip, and end")
    return parser.parse_args()


def _names(known: tuple[str, ...]) -> Any:
    def names(text: str) -> list[str]:
        given = text.split(",")
        if unknown := set(given) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not among {', '.join(known)}")
        return given

    return names


def main() -> None:
    """Measure what is asked for, and show it."""
    given = arguments()
    if given.setup:
        set_up(given.clients, given.envs)
        return
    if given.only != "hosts":
        rows = compare(given.clients, given.protocols, given.rounds or 10, given.words, given.envs)
        Console(width=None if sys.stdout.isatty() else 120).print(table(rows))
        if given.json:
            given.json.write_text(json.dumps(rows, indent=1) + "\n")
        if given.plot:
            plot(rows, given.plot)
    if given.only != "clients":
        picture = given.plot and (given.plot if given.only else given.plot.with_stem(given.plot.stem + "-hosts"))
        overhead_hosts.compare(given.rounds or 200, given.words, picture)


if __name__ == "__main__":
    main()
