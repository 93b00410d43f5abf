"""The part of the overhead benchmark about hosts: our adapters for LangChain and LlamaIndex beside the usual ones.

Each measured thing is one whole call, from the prompt to the whole answer: `invoke` and `stream` of LangChain's models,
`complete`, `chat` and their streams of LlamaIndex's, blocking and asynchronous. The calls are interleaved in one run,
so that what disturbs the machine disturbs all alike; figures are medians. langchain-openai and llama-index-llms-openai
are measured where they are installed. At the end, what FrameworkChatModel adds to the engine's own answer of one token
by the bundled model.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from zero_server import zero_server

from llm_framework.registry import BUNDLED_MODEL
from llm_framework.sync import run

if TYPE_CHECKING:
    from llm_framework import LLMFramework

PROMPT = "Say some words."
KEY = "sk-benchmark"
WARM_UP = 5


class Case(NamedTuple):
    """One way to call one library. `call` gives the length of the answer, in whatever is at hand."""

    kind: str
    library: str
    call: Callable[[], int] | None = None
    acall: Callable[[], Awaitable[int]] | None = None


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
    """The eight ways to call a LlamaIndex model."""
    from llama_index.core.llms import ChatMessage

    messages = [ChatMessage(content=PROMPT)]

    async def astream_complete() -> int:
        return sum([len(piece.delta or "") async for piece in await model.astream_complete(PROMPT)])

    async def astream_chat() -> int:
        return sum([len(piece.delta or "") async for piece in await model.astream_chat(messages)])

    async def acomplete() -> int:
        return len((await model.acomplete(PROMPT)).text)

    async def achat() -> int:
        return len((await model.achat(messages)).message.content)

    return [
        Case("LlamaIndex complete", library, lambda: len(model.complete(PROMPT).text)),
        Case("LlamaIndex stream", library, lambda: sum(len(p.delta or "") for p in model.stream_complete(PROMPT))),
        Case("LlamaIndex chat", library, lambda: len(model.chat(messages).message.content)),
        Case("LlamaIndex stream_chat", library, lambda: sum(len(p.delta or "") for p in model.stream_chat(messages))),
        Case("LlamaIndex acomplete", library, acall=acomplete),
        Case("LlamaIndex astream", library, acall=astream_complete),
        Case("LlamaIndex achat", library, acall=achat),
        Case("LlamaIndex astream_chat", library, acall=astream_chat),
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
        from llama_index.llms.openai import OpenAI

        # It looks its model up in a table of its own, so it must be given one of OpenAI's; the server does not mind.
        theirs = {"model": "gpt-4o-mini", "api_base": url, "api_key": KEY, "max_tokens": 512}
        found += llama_index_cases("OpenAI", OpenAI(**theirs))
    except ImportError:
        print("llama-index-llms-openai is not installed: not measured")
    return found


def local_cases(framework: LLMFramework) -> list[Case]:
    """The bundled model's answer of one token, by the adapter and by the engine alone."""
    from langchain_llm_framework import FrameworkChatModel
    from llm_framework.types import GenerationConfig, InferenceRequest

    config = GenerationConfig(max_tokens=1, temperature=0)
    model = FrameworkChatModel.from_framework(framework, BUNDLED_MODEL, max_tokens=1, temperature=0)
    engine = framework.inference_engine

    async def generate() -> int:
        request = InferenceRequest(PROMPT, model_name=BUNDLED_MODEL, config=config)
        return (await engine.generate_text(request)).usage.output_tokens

    return [
        Case("bundled model", "invoke", lambda: model.invoke(PROMPT).usage_metadata["output_tokens"]),
        Case("bundled model", "engine", lambda: run(generate)),
    ]


def local_line(rounds: int) -> str:
    """What the adapter adds to the engine, in microseconds a call."""
    from llm_framework import LLMFramework

    with LLMFramework() as framework:
        ours, engine = measure(local_cases(framework), rounds).values()
    added = [1e6 * (statistics.median(a) - statistics.median(b)) for a, b in zip(ours, engine, strict=True)]
    whole = 1e6 * statistics.median(engine.clock)
    return (
        f"bundled model, one token: the engine takes {whole:.0f} us, blocking FrameworkChatModel.invoke adds "
        f"{added[0]:.0f} us a call ({added[1]:.0f} us of processor time)"
    )


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
    figure, axes = pyplot.subplots(figsize=(7, 5))
    for offset, ours in ((0.2, True), (-0.2, False)):
        some = {case.kind: values.clock for case, values in times.items() if (case.library == "ours") is ours}
        widths = [1e3 * statistics.median(some[kind]) if kind in some else 0.0 for kind in kinds]
        places = [number + offset for number in range(len(kinds))]
        label = "llm-framework" if ours else "ChatOpenAI, LlamaIndex's OpenAI"
        axes.barh(places, widths, height=0.4, label=label, color="#3366cc" if ours else "#bbbbbb")
    axes.set_yticks(range(len(kinds)), kinds)
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds a call (median), on a server that answers at once")
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=150)


def compare(rounds: int, num_words: int, picture: Path | None) -> None:
    """Measure, print, draw."""
    with zero_server(num_words) as url:
        times = measure(cases(f"{url}/v1"), rounds)
    print(f"{rounds} rounds, answers of {num_words} words")
    print(table(times))
    print(local_line(rounds))
    if picture:
        plot(times, picture)
