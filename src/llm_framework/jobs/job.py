"""`generate_file`: the answers to a file of prompts."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from typing_extensions import Unpack

from ..engine.batch import gather_in_order
from ..errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    LLMFrameworkError,
    ModelLoadError,
    ModelNotFoundError,
    PluginError,
    QuotaExceededError,
)
from ..inputs import GenerateOptions
from ..logs import get_logger
from ..sync import run
from . import prompts, records
from .lines import Line, LineReader
from .results import ResultsFile, open_results

if TYPE_CHECKING:
    from ..framework import LLMFramework

logger = get_logger(__name__)

# What every line would meet too, unless it names a model of its own.
_ENDS_THE_JOB = (
    AuthenticationError, ConfigurationError, ModelLoadError, ModelNotFoundError, PluginError, QuotaExceededError,
)  # fmt: skip
_PATIENCE = 86400.0  # seconds for one line: nobody waits for it, and `idle_timeout` still finds what hangs
_FAILURES_IN_A_ROW = 100  # errors that may pass by themselves, without one answer between: the provider is down


@dataclass
class JobSummary:
    """How far a job is. `total`: lines of the input that are not blank (None while that is not known: a pipe);
    `skipped`: lines that had a result before this run; `answered` and `failed`: lines of this run; `failed_before`:
    those of the skipped ones whose result is an error; tokens of this run, and its `seconds`."""

    total: int | None = None
    skipped: int = 0
    answered: int = 0
    failed: int = 0
    failed_before: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Lines that have a result now."""
        return self.skipped + self.answered + self.failed

    @property
    def all_failed(self) -> int:
        """Results that are errors, of this run and earlier ones."""
        return self.failed + self.failed_before


async def generate_file(
    framework: LLMFramework,
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    input_format: str = "auto",
    system: str | None = None,
    max_concurrency: int | None = None,
    retry_errors: bool = False,
    on_progress: Callable[[JobSummary], None] | None = None,
    **options: Unpack[GenerateOptions],
) -> JobSummary:
    """Ask each line of the file `input`, and append each answer or error to the file `output` as it comes.

    Input lines are JSON strings or objects with "prompt" or "messages", an "id" and options of their own, or plain text
    (`input_format` "text"; "auto": in a file named *.txt). "-" is standard input or output. `options` are those of
    `LLMFramework.generate`, for lines that say nothing else; so is `system`. At most `max_concurrency` lines are under
    way (default: as many as the model takes). A line has a day, unless `timeout` or the configuration says otherwise.

    Results stand in the order in which they came; "line" (from 1) and "id" say whose they are. Lines that have one
    already are not asked again: the same call goes on where an earlier one was stopped, however that was. With
    `retry_errors`, lines whose result is an error are. `on_progress` is called at the start and after each line.

    A line's error is its result. Raises what every line would meet (no such model, no key, …), `InvalidRequestError`
    for files that cannot be used, that do not belong together, or that another process is writing, and
    `LLMFrameworkError` where the output cannot be written. What was done until then stays done.
    """
    job = _Job(framework, str(os.fspath(input)), system, dict(options), on_progress)
    job.form = prompts.format_of(job.reader.path, input_format)
    framework.stream("-", **options)  # never begun: only a wrong option raises, before any file is touched
    async with job.reader, _results(str(os.fspath(output)), retry_errors) as job.results:
        await job.run(max_concurrency)
    return job.summary


def generate_file_sync(
    framework: LLMFramework, input: str | os.PathLike[str], output: str | os.PathLike[str], **options: Any
) -> JobSummary:
    """`generate_file`, blocking. Ctrl-C stops it and leaves whole results."""
    return run(generate_file, framework, input, output, **options)


@asynccontextmanager
async def _results(path: str, retry_errors: bool) -> AsyncGenerator[ResultsFile, None]:
    opened: list[ResultsFile] = []  # filled in the thread: a cancelled call must not lose what it opened, and locked
    try:
        await anyio.to_thread.run_sync(lambda: opened.append(open_results(path, drop_errors=retry_errors)))
        yield opened[0]
    finally:
        with anyio.CancelScope(shield=True):
            for results in opened:
                await anyio.to_thread.run_sync(results.close)


class _Job:
    """One run over the input."""

    results: ResultsFile
    form: str

    def __init__(
        self,
        framework: LLMFramework,
        input: str,
        system: str | None,
        options: dict[str, Any],
        on_progress: Callable[[JobSummary], None] | None,
    ) -> None:
        self.framework = framework
        self.reader = LineReader(input)
        self.system = system
        self.options = options
        if options.get("timeout") is None and framework.config.origin("default_timeout") == "default":
            options["timeout"] = _PATIENCE
        self.summary = JobSummary()
        self.on_progress = on_progress or (lambda summary: None)
        self._lines: AsyncGenerator[Line, None]
        self._reading = asyncio.Lock()
        self._failures_in_a_row = 0

    async def run(self, max_concurrency: int | None) -> None:
        """Check what is there, then ask what is not."""
        if self.reader.identity == self.results.identity and self.results.is_regular:
            raise InvalidRequestError(f"{self.reader.name} is given as input and as output")
        started = time.monotonic()
        await self.framework.start()
        self.summary.failed_before = self.results.num_errors
        if self.reader.is_regular:
            await self._check_input()
        self.on_progress(self.summary)
        limit = self._limit(max_concurrency)
        async with aclosing(self.reader.lines()) as self._lines:
            try:
                await gather_in_order([self._work] * max(limit, 0), max_concurrency=limit)
            finally:
                self.summary.seconds = time.monotonic() - started
        if not self.reader.is_regular:
            self.summary.total = self.summary.done
            self._check_end(self.summary.skipped)

    def _limit(self, given: int | None) -> int:
        taken = self.framework.inference_engine.concurrency_of([self.options.get("model_name")])
        # More would find the queue full, and be errors.
        return taken if given is None else min(given, taken + self.framework.config.max_queue)

    async def _check_input(self) -> None:
        """Count the lines of the input, and compare those that are done with what they were: before anything is
        asked."""
        total = skipped = 0
        async with aclosing(self.reader.lines()) as lines:
            async for line in lines:
                total += 1
                skipped += self._is_done(line)
        self._check_end(skipped)
        self.summary.total = total
        self.summary.skipped = skipped
        self.reader.rewind()

    def _is_done(self, line: Line) -> bool:
        """Whether the line has a result. Raises `InvalidRequestError` where that is the result of another line."""
        done = self.results.done
        if line.number not in done:
            return False
        if not done.fits(line.number, records.hash_of(line.data)):
            raise self._changed(f"line {line.number} of {self.reader.name} is not the one that was answered")
        return True

    def _check_end(self, skipped: int) -> None:
        if skipped < self.results.done.count:
            last = self.results.done.last
            raise self._changed(f"{self.reader.name} has fewer lines than were answered (up to line {last})")

    def _changed(self, what: str) -> InvalidRequestError:
        return InvalidRequestError(
            f"the input has changed since {self.results.name} was begun: {what}. Give the input as it was (lines "
            "may be added at its end), or another output"
        )

    async def _work(self) -> None:
        while (line := await self._next()) is not None:
            record = await self._answer(line)
            await self.results.append(records.encode(record))
            self._count(record)

    async def _next(self) -> Line | None:
        """The next line that has no result."""
        async with self._reading:
            async for line in self._lines:
                if not self._is_done(line):
                    return line
                if not self.reader.is_regular:
                    self.summary.skipped += 1
            return None

    async def _answer(self, line: Line) -> dict[str, Any]:
        """The line's record."""
        record: dict[str, Any] = {"line": line.number, "input_hash": records.hash_of(line.data)}
        options = self.options
        try:
            document = prompts.load(line, self.form)
            if (id := prompts.id_of(document)) is not None:
                record["id"] = id
            own = prompts.options_of(document)
            options = {**self.options, **own}
            response = await self.framework.generate(prompts.prompt_of(document, self.system), **options)
        except _ENDS_THE_JOB as error:
            if options.get("model_name") == self.options.get("model_name"):
                raise
            return {**record, "error": records.error_as_dict(error)}
        except LLMFrameworkError as error:
            self._look_for_an_end(error)
            return {**record, "error": records.error_as_dict(error)}
        except Exception as error:
            logger.exception("%s, line %d", self.reader.name, line.number)
            return {**record, "error": records.error_as_dict(error)}
        self._failures_in_a_row = 0
        return {**record, **records.response_as_dict(response)}

    def _look_for_an_end(self, error: LLMFrameworkError) -> None:
        """Raises the error where so many have come in a row that going on would only write more of them."""
        if not error.retryable:
            return
        self._failures_in_a_row += 1
        if self._failures_in_a_row > _FAILURES_IN_A_ROW:
            raise error

    def _count(self, record: dict[str, Any]) -> None:
        summary = self.summary
        if "error" in record:
            summary.failed += 1
        else:
            summary.answered += 1
            summary.input_tokens += record["usage"]["input_tokens"]
            summary.output_tokens += record["usage"]["output_tokens"]
        self.on_progress(summary)
