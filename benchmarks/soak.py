"""Many requests, a fifth of them with faults, from threads and several event loops at once, through one framework.

    python benchmarks/soak.py [--requests 20000] [--protocols openai,anthropic]

The server (soak_server.py) numbers its answers. What must hold, else the exit status is 1: each request ends in one
answer or one of our errors; each answer, also one that broke off, is what the server sent for it, and no answer of the
server reaches two callers; after a warm-up, resident memory stays within 5 %; once the framework is closed there are no
more sockets, tasks or threads than before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import Progress
from soak_server import answer_words

from llm_framework import LLMFramework, LLMFrameworkError, StreamInterruptedError
from llm_framework import sync as sync_bridge
from llm_framework.backends import backend_names

SERVER = Path(__file__).with_name("soak_server.py")
BACKENDS = {"openai_compatible": "/v1", "openai": "/v1", "anthropic": "", "google": ""}  # with what their base_url ends
NUM_THREADS, NUM_LOOPS, TASKS_A_LOOP = 8, 3, 8
MAX_RETRIES = 3
ATTEMPT_TIMEOUT = 15.0  # seconds; an answer takes milliseconds, unless the server was told to hang
MEMORY_LIMIT = 1.05
MEMORY_FROM = 4000  # requests: with fewer, caches that fill weigh more than anything that leaks
FIRST = 1_000_000  # numbers of requests that only try whether a backend works
console = Console(soft_wrap=True, highlight=False)
SERIAL = re.compile(r"#(\d+) to (\d+):")


@contextlib.contextmanager
def soak_server() -> Iterator[str]:
    """The server in a process of its own; gives the address without a path."""
    with subprocess.Popen([sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.communicate()


def framework_for(url: str) -> LLMFramework:
    """The framework under test. No more than attempts and the breaker is set apart from the defaults."""
    names = [name for name in BACKENDS if name in backend_names()]
    credentials = {name: {"base_url": url + BACKENDS[name], "api_key": f"sk-soak-{name}"} for name in names}
    return LLMFramework(
        {
            "api_credentials": credentials,
            "auto_discover_models": False,
            "max_retries": MAX_RETRIES,
            "attempt_timeout": ATTEMPT_TIMEOUT,
            "breaker_failures": 100,  # every fault here is meant, and none lasts
        }
    )


# ---------------------------------------------------------------------------------------------------- what was received
class Ledger:
    """What became of each request. Its size is fixed from the start, so that it adds nothing to the memory measured."""

    def __init__(self, requests: int) -> None:
        self.requests = requests
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._ended = bytearray(requests)
        self._attempts = bytearray(requests)
        self._served = bytearray(requests * (MAX_RETRIES + 2))  # by the server's number of the answer
        self._lock = threading.Lock()

    @property
    def num_ended(self) -> int:
        """Requests that have ended."""
        return self.outcomes.total()

    def end(self, number: int, outcome: str, attempts: int) -> None:
        """A request has ended, so."""
        with self._lock:
            self.outcomes[outcome] += 1
            self._ended[number] += 1
            self._attempts[number] = attempts

    def check_text(self, number: int, text: str, *, whole: bool) -> None:
        """The text must be what the server sent for this request, whole or the beginning of it, and only once."""
        found = SERIAL.match(text)
        if found is None:
            if whole or not "".join(answer_words(0, number)).startswith(text[:1]):
                self.complain(f"request {number}: {text[:80]!r}")
            return
        serial = int(found[1])
        sent = "".join(answer_words(serial, number))
        if text != sent if whole else not sent.startswith(text):
            self.complain(f"request {number}: {text[:200]!r} where {sent[:200]!r} was sent")
        with self._lock:
            if serial < len(self._served):
                if self._served[serial]:
                    self.complain(f"request {number}: answer {serial} had another reader before")
                self._served[serial] = 1

    def complain(self, what: str) -> None:
        """Something that must not be."""
        if len(self.wrong) < 20:
            self.wrong.append(what)

    def check_all(self, seen: dict[str, int]) -> None:
        """Each request ended once, and the server was never asked more often than the attempts say."""
        for number in range(self.requests):
            if self._ended[number] != 1:
                self.complain(f"request {number} ended {self._ended[number]} times")
            asked = seen.get(str(number), 0)
            if asked > self._attempts[number] > 0:  # 0: its reader left; fewer: an attempt ended before it was sent
                self.complain(f"request {number}: {self._attempts[number]} attempts, the server saw {asked}")


# -------------------------------------------------------------------------------------------------------------- callers
class Caller:
    """Makes requests until there are none left, in one of the ways there are."""

    def __init__(self, framework: LLMFramework, models: list[str], ledger: Ledger) -> None:
        self._framework = framework
        self._models = models
        self._ledger = ledger
        self._numbers = iter(range(ledger.requests))  # `next` of a range's iterator is one step for all threads

    def work(self) -> None:
        """In a thread, blocking."""
        for number in self._numbers:
            with self._told(number):
                self._in_thread(number)

    async def work_in_task(self) -> None:
        """In a task of an event loop."""
        for number in self._numbers:
            with self._told(number):
                await self._in_task(number)

    @contextlib.contextmanager
    def _told(self, number: int) -> Iterator[None]:
        """Enters the errors. What is no error of ours ends the request all the same."""
        try:
            yield
        except LLMFrameworkError as error:
            if isinstance(error, StreamInterruptedError):
                self._ledger.check_text(number, error.response.text, whole=False)
            self._ledger.end(number, type(error).__name__, len(getattr(error, "attempts", ())))
        except Exception as error:
            self._ledger.complain(f"request {number}: {type(error).__name__}: {error}"[:300])
            self._ledger.end(number, type(error).__name__, 0)

    def _asked(self, number: int) -> dict[str, Any]:
        model = self._models[number % len(self._models)]
        return {"prompt": f"request {number}", "model_name": model, "max_tokens": 256}

    def _in_thread(self, number: int) -> None:
        if number % 2:
            self._answered(number, self._framework.sync.generate(**self._asked(number)))
            return
        text, response = "", None
        with self._framework.sync.stream(**self._asked(number)) as stream:
            for chunk in stream:
                text, response = text + chunk.text, chunk.response
                if number % 100 == 0 and text:
                    self._left(number, text)
                    return
        self._answered(number, response, text)

    async def _in_task(self, number: int) -> None:
        if number % 2:
            self._answered(number, await self._framework.generate(**self._asked(number)))
            return
        text, response = "", None
        async with contextlib.aclosing(self._framework.stream(**self._asked(number))) as stream:
            async for chunk in stream:
                text, response = text + chunk.text, chunk.response
                if number % 100 == 0 and text:
                    self._left(number, text)
                    return
        self._answered(number, response, text)

    def _answered(self, number: int, response: Any, streamed: str | None = None) -> None:
        self._ledger.check_text(number, response.text, whole=True)
        if streamed is not None and streamed != response.text:
            self._ledger.complain(f"request {number}: pieces {streamed[:200]!r}, response {response.text[:200]!r}")
        self._ledger.end(number, "answered", len(response.attempts))

    def _left(self, number: int, text: str) -> None:
        """The reader goes after the first piece."""
        self._ledger.check_text(number, text, whole=False)
        self._ledger.end(number, "left by its reader", 0)


async def _one_loop(caller: Caller, left_over: list[int]) -> None:
    await asyncio.gather(*(caller.work_in_task() for _ in range(TASKS_A_LOOP)))
    await asyncio.sleep(0)
    left_over.append(len(asyncio.all_tasks()) - 1)


def start_callers(caller: Caller, left_over: list[int]) -> list[threading.Thread]:
    """Threads that block, and threads with an event loop each. `left_over`: tasks left on each loop."""
    threads = [threading.Thread(target=caller.work) for _ in range(NUM_THREADS)]
    for _ in range(NUM_LOOPS):
        threads.append(threading.Thread(target=lambda: asyncio.run(_one_loop(caller, left_over))))
    for thread in threads:
        thread.start()
    return threads


# ------------------------------------------------------------------------------------------------------ what is counted
class Held(NamedTuple):
    """What this process holds."""

    files: int
    tasks: int
    threads: int


def held_now() -> Held:
    """Counted when what is only waiting for the collector is gone."""
    gc.collect()

    async def num_tasks() -> int:
        await asyncio.sleep(0.05)  # in which sockets are closed and tasks end that were told to
        return len(asyncio.all_tasks()) - 1

    tasks = sync_bridge.run(num_tasks)
    workers = sum("AnyIO worker" in thread.name for thread in threading.enumerate())  # kept for the next who needs one
    return Held(len(os.listdir("/proc/self/fd")), tasks, threading.active_count() - workers)


def resident_bytes() -> int:
    """Resident memory of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def watch(ledger: Ledger, threads: list[threading.Thread]) -> list[int]:
    """Show the progress until the callers are done; resident memory at each twentieth of the way."""
    samples: list[int] = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("requests", total=ledger.requests)
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.1)
            progress.update(task, completed=ledger.num_ended)
            if ledger.num_ended * 20 >= (len(samples) + 1) * ledger.requests:
                samples.append(resident_bytes())
    return samples


# --------------------------------------------------------------------------------------------------------- the program
def usable_models(framework: LLMFramework, wanted: list[str] | None) -> list[str]:
    """A model of each backend that is installed and wanted."""
    found = []
    for number, name in enumerate(framework.config.api_credentials):
        if wanted is not None and name not in wanted:
            continue
        try:
            framework.sync.generate(f"request {FIRST + number}", model_name=f"{name}:m", max_retries=10)
        except LLMFrameworkError as error:
            console.print(f"{name}: left out, {error}", markup=False)
        else:
            found.append(f"{name}:m")
    return found


def judge_memory(samples: list[int], requests: int) -> Iterator[str]:
    """Growth after the first quarter."""
    if len(samples) < 8:
        return
    quarter = len(samples) // 4
    first, last = samples[quarter], max(samples[-quarter:])
    console.print(f"resident memory: {first / 1e6:.1f} MB after the warm-up, {last / 1e6:.1f} MB at most at the end")
    if requests >= MEMORY_FROM and last > MEMORY_LIMIT * first:
        yield f"resident memory grew by {100 * (last / first - 1):.1f} %"


def soak(requests: int, wanted: list[str] | None = None) -> list[str]:
    """Run it, print what happened, and give what is wrong."""
    with soak_server() as url:
        framework = framework_for(url)
        models = usable_models(framework, wanted)
        if not models:
            return ["no backend to test"]
        framework.sync.close()
        before, began = held_now(), time.monotonic()
        ledger = Ledger(requests)
        left_over: list[int] = []
        samples = watch(ledger, start_callers(Caller(framework, models, ledger), left_over))
        seconds = time.monotonic() - began
        framework.sync.close()
        after = held_now()
        with urllib.request.urlopen(f"{url}/tally") as answer:
            tally = json.load(answer)
    ledger.check_all(tally["seen"])
    console.print(
        f"{requests} requests to {', '.join(models)} in {seconds:.1f} s: {dict(ledger.outcomes)}", markup=False
    )
    console.print(f"faults played: {tally['played']}; held before {before}, after {after}", markup=False)
    wrong = [*ledger.wrong, *judge_memory(samples, requests)]
    if any(left_over):
        wrong.append(f"tasks left on the event loops: {left_over}")
    held = zip(Held._fields, before, after, strict=True)
    wrong += [f"{name}: {now}, before {was}" for name, was, now in held if now > was]
    return wrong


def main() -> int:
    """Parse the arguments, run, say what is wrong; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--protocols", help=f"backends, with commas: {', '.join(BACKENDS)} (default: those installed)")
    arguments = parser.parse_args()
    wrong = soak(arguments.requests, arguments.protocols and arguments.protocols.split(","))
    for what in wrong:
        console.print(f"WRONG: {what}", markup=False)
    console.print("failed" if wrong else "passed")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
