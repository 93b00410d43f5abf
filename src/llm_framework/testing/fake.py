"""A backend that plays a script."""

from __future__ import annotations

import asyncio
import copy
import math
import random
import threading
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Union

from ..backends.base import ModelBackend
from ..embedding import EmbeddingRequest, Embeddings
from ..plugins import BaseModelPlugin, PluginMetadata
from ..registry.model_info import ModelInfo
from ..types import (
    Chunk,
    InferenceRequest,
    ToolCall,
    ToolCallDelta,
    Usage,
)

if TYPE_CHECKING:
    from ..engine import InferenceEngine
    from ..framework import LLMFramework

Step = Union[str, float, int, Chunk, ToolCall, Exception, "Gate"]
Answer = Union[Step, Sequence[Step]]

DEFAULT_ANSWER = "This is a scripted answer."
FAKE_DIMENSIONS = 64  # of the vectors that FakeBackend makes


class Gate:
    """A point in a script where the answer waits until the test opens it. Works over threads and event loops."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._reached = threading.Event()

    def open(self) -> None:
        """Let the answer go on."""
        self._opened.set()

    async def reached(self) -> None:
        """Wait until an answer has come to the gate."""
        await _until(self._reached)

    async def pass_through(self) -> None:
        """What the script does at the gate."""
        self._reached.set()
        await _until(self._opened)


async def _until(event: Any) -> None:
    while not event.is_set():  # noqa: ASYNC110 - polling, so that no thread is left waiting when the task is cancelled
        await asyncio.sleep(0.001)


class FakeBackend(ModelBackend):
    """Plays scripted answers, one a request; after the last it starts again from the first.

    An answer is a text (streamed word by word), an exception (raised), a `ToolCall`, a `Chunk`, a number (a delay in
    seconds), a `Gate`, or a list of these. Where a script yields no finish reason, one is added, and usage in words.

    Scripts come as `answers`, or from `settings["answers"]` or `model_info.metadata["answers"]`, so that
    `ModelInfo("m", backend_type="fake", metadata={"answers": ["hi"]})` is a model of any framework. `requests` are
    those that came; `loads`, `unloads`, `closed` count the calls of `load_model` and `unload_model` and the streams
    that were closed before their end; `active` and `peak` are streams open now and at most. With `load_error`,
    `load_model` raises it; `load_gate` holds it up.
    """

    def __init__(
        self,
        model_info: ModelInfo | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        answers: Iterable[Answer] | str | None = None,
        load_error: Exception | None = None,
        load_gate: Gate | None = None,
    ) -> None:
        super().__init__(model_info or ModelInfo("fake", backend_type="fake"), settings)
        script = answers
        for source in (self.settings, self.model_info.metadata):
            script = source.get("answers") if script is None else script
        self.answers: list[Answer] = [script] if isinstance(script, str) else list(script or [DEFAULT_ANSWER])
        self.load_error = load_error
        self.load_gate = load_gate
        self.requests: list[InferenceRequest] = []
        self.loads = self.unloads = self.closed = self.active = self.peak = 0

    def install(self, target: LLMFramework | InferenceEngine) -> ModelInfo:
        """Make this very object the backend of its model in a framework or engine, in this process only."""
        target.registry.register_model(self.model_info, persist=False)
        target.plugin_manager.register_plugin(_FakePlugin(self))
        return self.model_info

    async def load_model(self) -> None:
        """Count, wait, fail, as scripted."""
        self.loads += 1
        if self.load_gate is not None:
            await self.load_gate.pass_through()
        if self.load_error is not None:
            raise self.load_error

    async def unload_model(self) -> None:
        """Count."""
        self.unloads += 1

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Vectors that are alike where texts share words, the same on every machine, of length 1."""
        self.requests.append(request)
        vectors = [_vector_of(text, request.dimensions or FAKE_DIMENSIONS) for text in request.texts]
        return Embeddings(vectors, Usage(sum(len(text.split()) for text in request.texts)))

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[Chunk | str, None]:
        """The next scripted answer, cut at the request's stop strings and max_tokens (a word is a token)."""
        answer = self.answers[len(self.requests) % len(self.answers)]
        self.requests.append(request)
        self.active += 1
        self.peak = max(self.peak, self.active)
        finished = False
        try:
            async with aclosing(_Player(request).play(answer)) as chunks:
                async for chunk in chunks:
                    yield chunk
            finished = True
        finally:
            self.active -= 1
            self.closed += not finished

    async def count_tokens(self, request: InferenceRequest) -> int:
        """The words of the prompt."""
        return _num_words(request)


class _FakePlugin(BaseModelPlugin):
    """Serves one model with one backend object."""

    def __init__(self, backend: FakeBackend) -> None:
        self._backend = backend

    @property
    def metadata(self) -> PluginMetadata:
        return PluginMetadata(f"fake {self._backend.model_info.name}".replace(":", " "), "1")

    def supports_model(self, info: ModelInfo) -> bool:
        return info.name == self._backend.model_info.name

    async def create_backend(self, info: ModelInfo) -> ModelBackend:
        return self._backend


class _Player:
    """One answer being played."""

    def __init__(self, request: InferenceRequest) -> None:
        self.request = request
        self.num_tokens = 0
        self.num_calls = 0
        self.text = ""
        self.finish: Any = None
        self.usage: Usage | None = None

    async def play(self, answer: Answer) -> AsyncGenerator[Chunk, None]:
        steps = list(answer) if isinstance(answer, (list, tuple)) else [answer]
        for step in steps:
            if self.finish is not None:
                break
            async with aclosing(self._step(step)) as chunks:
                async for chunk in chunks:
                    yield chunk
        if not any(isinstance(step, Chunk) and step.finish_reason for step in steps):
            reason: Any = self.finish or ("tool_calls" if self.num_calls else "stop")
            usage = self.usage or Usage(_num_words(self.request), self.num_tokens)
            yield Chunk(finish_reason=reason, usage=usage)

    async def _step(self, step: Any) -> AsyncGenerator[Chunk, None]:
        if isinstance(step, (Exception, asyncio.CancelledError)):
            raise copy.copy(step)  # the engine adds to an error what it knows; the script stays as it is
        if isinstance(step, Gate):
            await step.pass_through()
        elif isinstance(step, (int, float)):
            await asyncio.sleep(step)
        elif isinstance(step, Chunk):
            self.usage = step.usage or self.usage
            yield step
        elif isinstance(step, ToolCall):
            yield Chunk(tool_call=ToolCallDelta(self.num_calls, step.id, step.name, step.raw_arguments))
            self.num_calls += 1
            self.num_tokens += 1
        else:
            for word in _words(str(step)):
                for chunk in self._say(word):
                    yield chunk
                await asyncio.sleep(0)  # let others run, as a real model does
                if self.finish is not None:
                    break

    def _say(self, word: str) -> list[Chunk]:
        shown = len(self.text)
        self.text += word
        self.num_tokens += 1
        cut = min((at for stop in self.request.config.stop if (at := self.text.find(stop)) >= 0), default=None)
        if cut is not None:
            self.finish = "stop"
            return [Chunk(text=self.text[shown:cut])] if cut > shown else []
        limit = self.request.config.max_tokens
        if limit is not None and self.num_tokens >= limit:
            self.finish = "length"
        return [Chunk(text=word)]


def _words(text: str) -> list[str]:
    """The words, each with the blank before it, so that they join to the text."""
    words: list[str] = []
    for piece in text.split(" "):
        words.append(f" {piece}" if words else piece)
    return words if text else []


def _vector_of(text: str, size: int) -> list[float]:
    """The sum of a direction for each word."""
    vector = [0.0] * size
    for word in text.lower().split() or [""]:
        numbers = random.Random(word.strip(".,;:!?\"'()"))
        vector = [value + numbers.gauss(0, 1) for value in vector]
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def _num_words(request: InferenceRequest) -> int:
    return sum(len(message.text.split()) for message in request.messages)
