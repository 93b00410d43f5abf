"""For people's own tests: a backend that plays a script, and the contract that every backend should pass."""

from __future__ import annotations

import asyncio
import copy
import math
import random
import threading
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Union

from .backends.base import ModelBackend
from .embedding import EmbeddingRequest, Embeddings
from .plugins import BaseModelPlugin, PluginMetadata
from .registry.model_info import ModelInfo
from .types import (
    Chunk,
    GenerationConfig,
    InferenceRequest,
    Message,
    ResponseBuilder,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Usage,
)

if TYPE_CHECKING:
    from .engine import InferenceEngine
    from .framework import LLMFramework

__all__ = ["FakeBackend", "Gate", "check_backend"]

Step = Union[str, float, int, Chunk, ToolCall, Exception, "Gate"]
Answer = Union[Step, Sequence[Step]]

DEFAULT_ANSWER = "This is a scripted answer."
FAKE_DIMENSIONS = 64  # of the vectors that FakeBackend makes
PATIENCE = 60.0  # seconds that the contract waits for any one thing


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
        return PluginMetadata(f"fake {self._backend.model_info.name}", "1")

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


# ----------------------------------------------------------------------------------------------------------- contract
async def check_backend(
    backend_class: type[ModelBackend],
    model_info: ModelInfo,
    settings: Mapping[str, Any] | None = None,
    *,
    prompt: str = "Count from one to twenty in words.",
    tools: bool = False,
) -> None:
    """Raise `AssertionError`, saying what is wrong, where a backend does not keep the contract of `ModelBackend`.

    Checked: it loads; it answers with text; a stream ends with one finish reason and with usage; max_tokens ends it
    with "length"; a stop string is not part of the text; a whole chat is taken; a stream may be closed in the middle,
    and a task that reads one cancelled, and the backend answers afterwards; two streams at a time; it unloads, twice.
    With `tools`, also that a history with a tool call and its result is taken.
    """
    backend = backend_class(model_info, settings)
    await _patiently(backend.load_model(), "load_model")
    try:
        text = await _check_answer(backend, prompt)
        await _check_limits(backend, prompt, text)
        await _check_chat(backend, prompt, tools)
        await _check_interruptions(backend, prompt)
        await _check_two_at_a_time(backend, prompt)
    finally:
        await _patiently(backend.unload_model(), "unload_model")
        await _patiently(backend.unload_model(), "unload_model, the second time")


async def _check_answer(backend: ModelBackend, prompt: str) -> str:
    request = InferenceRequest(prompt, config=GenerationConfig(max_tokens=64, temperature=0.0))
    chunks = await _collect(backend, request)
    reasons = [chunk.finish_reason for chunk in chunks if chunk.finish_reason]
    assert len(reasons) == 1, f"a stream gives its finish_reason once, not {reasons}"
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert usages, "a stream gives its usage"
    assert usages[-1].output_tokens > 0, "usage counts the output tokens"
    text = "".join(chunk.text for chunk in chunks)
    assert text, "a plain prompt is answered with text"
    whole = await _patiently(backend.generate_text(prompt, GenerationConfig(max_tokens=64)), "generate_text")
    assert isinstance(whole, str), "generate_text returns a str"
    assert whole, "generate_text returns the text"
    return text


async def _check_limits(backend: ModelBackend, prompt: str, text: str) -> None:
    short = await _collect(backend, InferenceRequest(prompt, config=GenerationConfig(max_tokens=1, temperature=0.0)))
    reason = next(chunk.finish_reason for chunk in short if chunk.finish_reason)
    if len(text.split()) > 4:
        assert reason == "length", f"max_tokens ends a stream with 'length', not {reason!r}"
    stop = text.split()[1] if len(text.split()) > 1 else text
    config = GenerationConfig(max_tokens=64, temperature=0.0, stop=(stop,))
    stopped = "".join(chunk.text for chunk in await _collect(backend, InferenceRequest(prompt, config=config)))
    assert stop not in stopped, f"the text ends before the stop string {stop!r}, but it is {stopped!r}"


async def _check_chat(backend: ModelBackend, prompt: str, tools: bool) -> None:
    messages = [Message.system("Be brief."), Message.user("Hello"), Message.assistant("Hello!"), Message.user(prompt)]
    if tools:
        call = ToolCall.create("get_time", {"city": "Paris"})
        answer = Message.assistant(ThinkingPart("Which city?"), TextPart("One moment."), call)
        result = Message.tool(ToolResult(call.id, "noon"))
        messages[1:1] = [Message.user("Time?"), answer, result, Message.assistant("12")]
    await _collect(backend, InferenceRequest(messages=tuple(messages), config=GenerationConfig(max_tokens=8)))


async def _check_interruptions(backend: ModelBackend, prompt: str) -> None:
    request = InferenceRequest(prompt, config=GenerationConfig(max_tokens=64))
    stream = aiter(backend.stream(request))
    await _patiently(anext(stream), "the first chunk")
    await _patiently(stream.aclose(), "closing a stream in the middle")  # type: ignore[attr-defined]

    started = asyncio.Event()

    async def read() -> None:
        async for _ in backend.stream(request):
            started.set()
            await asyncio.sleep(0)

    task = asyncio.ensure_future(read())
    await asyncio.wait({task, asyncio.ensure_future(started.wait())}, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=PATIENCE)
    assert done, "a task that reads a stream can be cancelled"
    await _collect(backend, request)


async def _check_two_at_a_time(backend: ModelBackend, prompt: str) -> None:
    request = InferenceRequest(prompt, config=GenerationConfig(max_tokens=16))
    await asyncio.gather(_collect(backend, request), _collect(backend, request))


async def _collect(backend: ModelBackend, request: InferenceRequest) -> list[Chunk]:
    async def collect() -> list[Chunk]:
        items = [item async for item in backend.stream(request)]
        return [Chunk(text=item) if isinstance(item, str) else item for item in items]

    chunks: list[Chunk] = await _patiently(collect(), "a whole answer")
    builder = ResponseBuilder()
    for chunk in chunks:
        assert isinstance(chunk, Chunk), f"a stream yields Chunk or str, not {type(chunk).__name__}"
        builder.add(chunk)
    builder.response()
    return chunks


async def _patiently(awaitable: Any, what: str) -> Any:
    try:
        return await asyncio.wait_for(awaitable, PATIENCE)
    except asyncio.TimeoutError:
        raise AssertionError(f"{what} took more than {PATIENCE:g} s") from None
    except (NotImplementedError, TypeError, AttributeError) as error:
        raise AssertionError(f"{what} failed: {type(error).__name__}: {error}") from error
