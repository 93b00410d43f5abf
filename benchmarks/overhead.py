"""What a call costs beyond the model: our adapters beside the usual ones, on a server that does not think.

    python benchmarks/overhead.py [--rounds 200] [--words 64] [--plot FILE]

Each measured thing is one whole call, from the prompt to the whole answer: `invoke` and `stream` of LangChain's models,
`complete` and `stream_complete` of LlamaIndex's, blocking and asynchronous. The calls are interleaved in one run, so
that what disturbs the machine disturbs all alike; figures are medians. langchain-openai and
llama-index-llms-openai-like are measured where they are installed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

PROMPT = "Say some words."
KEY = "sk-benchmark"
WARM_UP = 5


class Case(NamedTuple):
    """One way to call one library. `call` gives the length of the answer."""

    kind: str
    library: str
    call: Callable[[], int] | None = None
    acall: Callable[[], Awaitable[int]] | None = None


@contextmanager
def zero_server(num_words: int) -> Iterator[str]:
    """The server in a process of its own; gives its base_url."""
    command = [sys.executable, str(Path(__file__).with_name("zero_server.py")), str(num_words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        process.communicate()


def langchain_cases(library: str, model: Any) -> list[Case]:
    """The four ways to call a LangChain model."""

    async def astream() -> int:
        return sum([len(chunk.text) async for chunk in model.astream(PROMPT)])

    async def ainvoke() -> int:
        return len((await model.ainvoke(PROMPT)).text)

    return [
        Case("LangChain invoke", library, lambda: len(model.invoke(PROMPT).text)),
        Case("LangChain stream", library, lambda: sum(len(chunk.text) for chunk in model.stream(PROMPT))),
        Case("LangChain ainvoke", library, acall=ainvoke),
        Case("LangChain astream", library, acall=astream),
    ]


def llama_index_cases(library: str, model: Any) -> list[Case]:
    """The four ways to call a LlamaIndex model."""

    async def astream() -> int:
        return sum([len(piece.delta or "") async for piece in await model.astream_complete(PROMPT)])

    async def acomplete() -> int:
        return len((await model.acomplete(PROMPT)).text)

    return [
        Case("LlamaIndex complete", library, lambda: len(model.complete(PROMPT).text)),
        Case("LlamaIndex stream", library, lambda: sum(len(p.delta or "") for p in model.stream_complete(PROMPT))),
        Case("LlamaIndex acomplete", library, acall=acomplete),
        Case("LlamaIndex astream", library, acall=astream),
    ]


def cases(url: str) -> list[Case]:
    """Every case that the installed libraries allow, ours first."""
    from langchain_llm_framework import FrameworkChatModel
    from llama_index.llms.llm_framework import FrameworkLLM

    ours: dict[str, Any] = {"model": "zero", "base_url": url, "api_key": KEY, "max_tokens": 512}
    found = langchain_cases("ours", FrameworkChatModel(**ours)) + llama_index_cases("ours", FrameworkLLM(**ours))
    try:
        from langchain_openai import ChatOpenAI

        found += langchain_cases("ChatOpenAI", ChatOpenAI(**ours, stream_usage=True))
    except ImportError:
        print("langchain-openai is not installed: not measured")
    try:
        from llama_index.llms.openai_like import OpenAILike

        theirs = {"model": "zero", "api_base": url, "api_key": KEY, "max_tokens": 512, "is_chat_model": True}
        found += llama_index_cases("OpenAILike", OpenAILike(**theirs))
    except ImportError:
        print("llama-index-llms-openai-like is not installed: not measured")
    return found


class Times(NamedTuple):
    """What each call took, in seconds: by the clock, and of this process's processor time, which a busy machine
    disturbs less."""

    clock: list[float]
    processor: list[float]

    def add(self, clock: float, processor: float) -> None:
        """One more call, by the readings of both clocks before it."""
        self.clock.append(time.perf_counter() - clock)
        self.processor.append(time.process_time() - processor)


def measure(some: list[Case], rounds: int) -> dict[Case, Times]:
    """Time the calls in turn, in another order each round; the asynchronous ones all on one event loop."""
    times = {case: Times([], []) for case in some}
    gc.collect()
    gc.freeze()  # what the imports left is not searched again during the calls
    for turn in _turns([case for case in some if case.call is not None], rounds):
        for case, record in turn:
            assert case.call is not None
            before = time.perf_counter(), time.process_time()
            assert case.call() > 0
            if record:
                times[case].add(*before)
    asyncio.run(_measure_async([case for case in some if case.acall is not None], rounds, times))
    return times


async def _measure_async(some: list[Case], rounds: int, times: dict[Case, Times]) -> None:
    for turn in _turns(some, rounds):
        for case, record in turn:
            assert case.acall is not None
            before = time.perf_counter(), time.process_time()
            assert await case.acall() > 0
            if record:
                times[case].add(*before)


def _turns(some: list[Case], rounds: int) -> Iterator[list[tuple[Case, bool]]]:
    """The cases of each round, shuffled, and whether the round counts or only warms up."""
    order = random.Random(0)
    for number in range(rounds + WARM_UP):
        yield [(case, number >= WARM_UP) for case in order.sample(some, len(some))]


def table(times: dict[Case, Times]) -> str:
    """A line for each kind of call: medians in milliseconds, and ours as a part of the other's."""
    lines = [f"{'':22s} {'milliseconds':>24s}   {'of processor time':>24s}", f"{'call':22s}" + _HEAD + "  " + _HEAD]
    for case, ours in times.items():
        if case.library == "ours":
            other = next((c for c in times if c.kind == case.kind and c.library != "ours"), None)
            theirs = times[other] if other else None
            columns = [
                _columns(ours.clock, theirs and theirs.clock),
                _columns(ours.processor, theirs and theirs.processor),
            ]
            lines.append(f"{case.kind:22s}" + "  ".join(columns) + (f"  {other.library}" if other else ""))
    return "\n".join(lines)


_HEAD = f" {'ours':>7s} {'other':>7s} {'ratio':>7s}"


def _columns(ours: list[float], others: list[float] | None) -> str:
    mine = 1e3 * statistics.median(ours)
    if not others:
        return f" {mine:7.2f} {'':7s} {'':7s}"
    other = 1e3 * statistics.median(others)
    return f" {mine:7.2f} {other:7.2f} {mine / other:7.2f}"


def plot(times: dict[Case, Times], file: Path) -> None:
    """The medians side by side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    kinds = list(dict.fromkeys(case.kind for case in times))
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for offset, ours in ((0.2, True), (-0.2, False)):
        some = {case.kind: values.clock for case, values in times.items() if (case.library == "ours") is ours}
        widths = [1e3 * statistics.median(some[kind]) if kind in some else 0.0 for kind in kinds]
        places = [number + offset for number in range(len(kinds))]
        label = "llm-framework" if ours else "ChatOpenAI, OpenAILike"
        axes.barh(places, widths, height=0.4, label=label, color="#3366cc" if ours else "#bbbbbb")
    axes.set_yticks(range(len(kinds)), kinds)
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds a call (median), on a server that answers at once")
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=150)


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--words", type=int, default=64, help="of the answer; a stream has an event for each")
    parser.add_argument("--plot", type=Path, help="write a picture here")
    arguments = parser.parse_args()
    with zero_server(arguments.words) as url:
        times = measure(cases(url), arguments.rounds)
    print(f"{arguments.rounds} rounds, answers of {arguments.words} words")
    print(table(times))
    if arguments.plot:
        plot(times, arguments.plot)


if __name__ == "__main__":
    main()
