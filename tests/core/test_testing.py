"""The fake backend, and the contract: what passes it, and what it says of those that do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from llm_framework import (
    Chunk,
    GenerationConfig,
    InferenceRequest,
    ModelBackend,
    ModelInfo,
    UnsupportedFeatureError,
    Usage,
)
from llm_framework.testing import CHECKS, FakeBackend, check_backend
from llm_framework.types import ToolCallDelta

TEXT = "one two three four five six seven"
LONG = ModelInfo("x", backend_type="fake", metadata={"answers": [TEXT]})


class Good(FakeBackend):
    """Keeps the contract; what stands below breaks it in one place each."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        self.refuse(request, "tools", "response_format", "images")
        async for chunk in super().stream(request):
            yield chunk


class Simple(ModelBackend):
    """Overrides generate_text only."""

    async def generate_text(self, prompt: str, config: GenerationConfig = GenerationConfig()) -> str:
        end = min([TEXT.find(stop) for stop in config.stop if stop in TEXT], default=len(TEXT))
        return " ".join(TEXT[:end].split()[: config.max_tokens])


async def test_the_fake_keeps_the_contract() -> None:
    """FakeBackend passes the tests that every backend should."""
    await check_backend(FakeBackend, LONG, tools=True, response_format=True)


@pytest.mark.parametrize("backend_class", [Good, Simple])
async def test_a_backend_may_be_simple(backend_class: type[ModelBackend]) -> None:
    """What refuses tools and forms passes, and what overrides only generate_text."""
    await check_backend(backend_class, LONG)


async def faults_of(backend_class: type[ModelBackend], **options: Any) -> dict[str, str]:
    """What the contract says, by the name of the check."""
    with pytest.raises(AssertionError) as caught:
        await check_backend(backend_class, LONG, **options)
    heading, *faults = str(caught.value).splitlines()
    assert heading.startswith(f"{backend_class.__name__} breaks the contract of ModelBackend, {len(faults)} of ")
    return {name.strip(): text for name, _, text in (line.partition(": ") for line in faults)}


def playing(*chunks: Chunk | str | Callable[[InferenceRequest], Any], end: bool = True) -> type[ModelBackend]:
    """A backend that answers everything with these chunks."""

    class Playing(ModelBackend):
        async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:
            for chunk in chunks:
                yield chunk(request) if callable(chunk) else chunk
            if end:
                yield Chunk(finish_reason="stop", usage=Usage(1, 6))

    return Playing


def shown(what: str) -> Callable[[InferenceRequest], Any]:
    def raising(request: InferenceRequest) -> Any:
        raise ValueError(what)

    return raising


@pytest.mark.parametrize(
    ("backend_class", "check", "says"),
    [
        (playing("text", end=False), "answer", "a stream ends with a chunk that has a finish_reason"),
        (playing(Chunk(text="text", finish_reason="stop"), end=False), "answer", "a stream gives its usage"),
        (playing("a", Chunk(finish_reason="stop")), "answer", "a stream gives its finish_reason once"),
        (playing("a", Chunk(finish_reason="stop"), "b", end=False), "answer", "nothing visible comes after"),
        (playing(), "answer", "a plain prompt is answered with text"),
        (playing(Chunk(text="x", usage=Usage(0, 0), finish_reason="stop"), end=False), "answer", "the prompt's tokens"),
        (playing(7), "answer", "a stream yields Chunk or str, not int"),  # type: ignore[arg-type]
        (playing("\ud83d"), "answer", "half a character"),
        (playing(shown("oops")), "answer", "no LLMFrameworkError came out: ValueError: oops (", ),
        (playing("one two three four five six"), "max_tokens", "max_tokens=1 cuts the answer, but it is 'one two"),
        (playing("one two three four five six"), "stop", "ends before the stop string 'four'"),
        (playing("one two three four five six"), "tools", "not left out in silence"),
        (playing("one two three four five six"), "response_format", "not left out in silence"),
        (playing("x", Chunk(tool_call=ToolCallDelta(0, "1", "get_weather", "{"))), "tools", "of a call are JSON"),
        (playing("x", Chunk(tool_call=ToolCallDelta(0, "1", "other", "{}"))), "tools", "those given, not 'other'"),
    ],
)  # fmt: skip
async def test_a_stream_that_breaks_the_contract_is_told_how(
    backend_class: type[ModelBackend], check: str, says: str
) -> None:
    """Each fault is a line that names the check and says what a backend has to do."""
    assert says in (await faults_of(backend_class))[check]


class Endless(Good):
    """Gives max_tokens back as another reason, and does not load."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        async for chunk in super().stream(request):
            ended = isinstance(chunk, Chunk) and chunk.finish_reason
            yield Chunk(finish_reason="stop", usage=Usage(1, 9)) if ended else chunk


class Unloadable(Good):
    async def load_model(self) -> None:
        raise OSError("no such file")


class Twice(Good):
    """Falls over its second load, and its second unload."""

    async def unload_model(self) -> None:
        self.unloads += 1
        if self.unloads > 1:
            raise AttributeError("'NoneType' object has no attribute 'close'")


class Swallowing(Good):
    """Takes a cancellation for an end."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        try:
            async for chunk in super().stream(request):
                yield chunk
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass


class Deaf(Good):
    """Does not hear that it is cancelled while it waits."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        async for chunk in super().stream(request):
            for _ in range(3):
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    pass
            yield chunk


class Mixing(ModelBackend):
    """Keeps an answer's state in the backend."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:
        self.left = TEXT.split()
        while self.left:
            yield f" {self.left.pop(0)}"
            await asyncio.sleep(0)
        yield Chunk(finish_reason="stop", usage=Usage(1, 7))


class OneLoop(Good):
    """Its lock belongs to the first event loop that has to wait for it."""

    async def load_model(self) -> None:
        self.queue: asyncio.Queue[int] = asyncio.Queue(1)
        self.home = asyncio.get_running_loop()

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        if asyncio.get_running_loop() is not self.home:
            raise RuntimeError("attached to a different loop")
        async for chunk in super().stream(request):
            yield chunk


class Telling(Good):
    """Shows its key."""

    def __repr__(self) -> str:
        return f"Telling({dict(self.settings)})"


class Picky(Good):
    """Refuses a parameter with an error of its own."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        if request.config.min_p is not None:
            raise KeyError("min_p")
        async for chunk in super().stream(request):
            yield chunk


class Miscounting(Good):
    async def count_tokens(self, request: InferenceRequest) -> int:
        return -1


class Differing(Good):
    """Answers something else where nobody reads the pieces."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        async for chunk in super().stream(request):
            yield chunk if request.streaming or (isinstance(chunk, Chunk) and chunk.finish_reason) else "x"


@pytest.mark.parametrize(
    ("backend_class", "check", "says"),
    [
        (Endless, "max_tokens", "is 'length', not 'stop'"),
        (Unloadable, "load", "no LLMFrameworkError came out: OSError: no such file"),
        (Twice, "unload", "AttributeError: 'NoneType' object has no attribute 'close'"),
        (Swallowing, "cancel", "a stream lets CancelledError through"),
        (Deaf, "cancel", "no more pieces come after the cancellation"),
        (Mixing, "concurrency", "one of several streams at once is"),
        (OneLoop, "event_loops", "RuntimeError: attached to a different loop"),
        (Telling, "secrets", "repr() of the backend shows the key"),
        (Picky, "parameters", "no LLMFrameworkError came out: KeyError: 'min_p'"),
        (Miscounting, "count_tokens", "gives a number of tokens or None, not -1"),
        (Differing, "forms", "streaming=False gives 'xxxxxxx', the stream 'one two"),
    ],
)
async def test_a_backend_that_breaks_the_contract_is_told_how(
    backend_class: type[ModelBackend], check: str, says: str
) -> None:
    """Faults of loading, cancelling, sharing and counting are found, each by the check of that name."""
    assert says in (await faults_of(backend_class, settings={"api_key": "sk-testing-7"}))[check]


async def test_a_backend_that_hangs_is_told() -> None:
    """Nothing is waited for longer than the test's patience."""

    class Hanging(ModelBackend):
        async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:
            await asyncio.Event().wait()
            yield "never"

    assert await faults_of(Hanging, patience=0.2) == {"answer": "a whole answer took more than 0.2 s"}


async def test_what_should_fail_has_to_fail_well() -> None:
    """Where the test says that something cannot work, a typed error is wanted, with no key in it."""

    class Failing(Good):
        async def load_model(self) -> None:
            if not self.model_info.name:
                return
            if self.settings.get("how") == "raw":
                raise OSError("gone")
            if self.settings.get("how") == "typed":
                raise UnsupportedFeatureError("nothing here")

    await check_backend(Failing, LONG, failing_settings={"how": "typed"})
    assert (
        "no LLMFrameworkError came out: OSError"
        in (await faults_of(Failing, failing_settings={"how": "raw"}))["errors"]
    )
    assert "was answered" in (await faults_of(Failing, failing_settings={}))["errors"]


async def test_checks_have_names() -> None:
    """Each check says in a sentence what a backend does, and can be left out by its name; a wrong name is an error."""
    assert all(text.endswith(".") for text in CHECKS.values())
    broken = playing("one two three four five six")
    names = set(await faults_of(broken))
    await check_backend(broken, LONG, skip=names)
    with pytest.raises(ValueError, match="no check is named speed; there are load, answer"):
        await check_backend(broken, LONG, skip=["speed"])


async def test_all_faults_are_told_at_once() -> None:
    """A backend with several faults is told all of them, so that an author need not run the tests for each."""
    faults = await faults_of(playing("one two three four five six"))
    assert {"max_tokens", "stop", "tools", "response_format"} <= set(faults)


async def test_scripts_are_cut_at_stop_strings_and_max_tokens() -> None:
    """The fake ends as a real model does."""
    backend = FakeBackend(LONG)
    assert await backend.generate_text("hi", GenerationConfig(max_tokens=2)) == "one two"
    assert await backend.generate_text("hi", GenerationConfig(stop=("three",))) == "one two "
