from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from llm_framework import (
    Chunk,
    ConfigurationError,
    ConnectionFailedError,
    ContentFilterError,
    GenerationConfig,
    InferenceEngine,
    InferenceRequest,
    InvalidRequestError,
    LLMConfig,
    LLMFrameworkError,
    ModelBackend,
    ModelInfo,
    ModelLoadError,
    ModelNotFoundError,
    ModelRegistry,
    ProviderUnavailableError,
    QueueFullError,
    QuotaExceededError,
    RateLimitError,
    RequestCancelledError,
    RequestTimeoutError,
    StreamInterruptedError,
    UnsupportedFeatureError,
    Usage,
)
from llm_framework.testing import Answer, FakeBackend, Gate


class Bench:
    """An engine with one fake model, "m"."""

    def __init__(self, folder: Path, *answers: Answer, load_error: Exception | None = None, **config: Any) -> None:
        info = ModelInfo("m", backend_type="fake")
        self.load_gate: Gate | None = config.pop("load_gate", None)
        self.backend = FakeBackend(info, answers=answers, load_error=load_error, load_gate=self.load_gate)
        self.engine = InferenceEngine(ModelRegistry(folder / "models", folder / "cache.json"), LLMConfig(**config))
        self.backend.install(self.engine)

    async def ask(self, prompt: str = "hi", **fields: Any) -> Any:
        return await self.engine.generate_text(request(prompt, **fields))

    async def collect(self, **fields: Any) -> list[Chunk]:
        return [chunk async for chunk in self.engine.generate_stream(request(**fields))]

    def stats(self) -> dict[str, Any]:
        return self.engine.get_performance_stats()


async def read_into(texts: list[str], stream: AsyncIterator[Chunk]) -> None:
    async for chunk in stream:
        texts.append(str(chunk))


def request(prompt: str = "hi", **fields: Any) -> InferenceRequest:
    return InferenceRequest(prompt, model_name="m", **fields)


# ------------------------------------------------------------------------------------------------------------ streams
async def test_the_last_chunk_holds_everything(tmp_path: Path) -> None:
    """Text comes in pieces; usage, finish reason and the whole response come on the last chunk alone."""
    bench = Bench(tmp_path, "a b c")
    *pieces, last = await bench.collect(request_id="r1")
    assert [str(chunk) for chunk in pieces] == ["a", " b", " c"]
    assert all(chunk.usage is None and chunk.finish_reason is None for chunk in pieces)
    assert (last.text, last.finish_reason, last.usage) == ("", "stop", Usage(1, 3))
    assert last.response is not None
    assert (last.response.text, last.response.model, last.response.request_id) == ("a b c", "m", "r1")
    assert [attempt.error for attempt in last.response.attempts] == [None]
    assert last.response.timings.total >= last.response.timings.first_token > 0


class Plain(ModelBackend):
    """Overrides the simplest method only."""

    async def generate_text(self, prompt: str, config: GenerationConfig = GenerationConfig()) -> str:
        return f"you said {prompt}"


class Strings(ModelBackend):
    """Yields strings and no end."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        yield "a"
        yield "b"


class Silent(ModelBackend):
    """Yields nothing but an end."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:  # type: ignore[override]
        yield Chunk(finish_reason="stop", usage=Usage(1, 0))


class Odd(ModelBackend):
    """Yields what is no chunk."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Any]:  # type: ignore[override]
        yield 3


def use(bench: Bench, backend_class: type[ModelBackend]) -> None:
    backend = backend_class(bench.backend.model_info)

    async def create(info: ModelInfo) -> ModelBackend:
        return backend

    plugin = bench.engine.plugin_manager.get_plugin_for_model(bench.backend.model_info)
    plugin.create_backend = create  # type: ignore[method-assign,union-attr,assignment]


@pytest.mark.parametrize(("backend_class", "text"), [(Plain, "you said hi"), (Strings, "ab"), (Silent, "")])
async def test_simple_backends_are_completed(tmp_path: Path, backend_class: type[ModelBackend], text: str) -> None:
    """A backend that gives text only gets a finish reason, and usage marked as estimated."""
    bench = Bench(tmp_path)
    use(bench, backend_class)
    response = await bench.ask()
    assert (response.text, response.finish_reason) == (text, "stop")
    assert response.usage.estimated is (backend_class is not Silent)


async def test_a_plain_backend_refuses_tools_and_formats(tmp_path: Path) -> None:
    """A backend that takes prompts only says so where a format is asked for."""
    from llm_framework import ResponseFormat

    bench = Bench(tmp_path)
    use(bench, Plain)
    with pytest.raises(UnsupportedFeatureError, match="response_format"):
        await bench.ask(response_format=ResponseFormat(regex="a"))


async def test_a_backend_that_yields_nonsense_is_told_so(tmp_path: Path) -> None:
    """What is neither chunk nor str is an error that names the model."""
    bench = Bench(tmp_path, max_retries=0)
    use(bench, Odd)
    with pytest.raises(LLMFrameworkError, match="'m' yielded int"):
        await bench.ask()


# ------------------------------------------------------------------------------------------------------------ defaults
async def test_configured_defaults_fill_what_the_request_leaves_open(tmp_path: Path) -> None:
    """The backend sees the defaults, and which values the caller gave himself."""
    bench = Bench(tmp_path, default_max_tokens=99, default_temperature=0.3)
    await bench.ask(config=GenerationConfig(temperature=0.0, stop=("x",)))
    seen = bench.backend.requests[0]
    assert (seen.config.max_tokens, seen.config.temperature) == (99, 0.0)
    assert seen.explicit == {"temperature", "stop"}


async def test_a_response_format_may_be_a_class(tmp_path: Path) -> None:
    """What the facade takes as a response format, the engine takes too."""
    assert (await Bench(tmp_path, "[1, 2]").ask(response_format=list[int])).parsed == [1, 2]


# ------------------------------------------------------------------------------------------------------------- retries
@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_framework.engine.retry.FIRST_WAIT", 0.0)


async def test_a_passing_error_is_tried_again(tmp_path: Path, no_waits: None) -> None:
    """The answer of the second attempt is given, both attempts are told."""
    bench = Bench(tmp_path, ProviderUnavailableError("busy"), "ok")
    response = await bench.ask()
    assert response.text == "ok"
    assert [attempt.error_type for attempt in response.attempts] == ["ProviderUnavailableError", None]


async def test_attempts_are_retries_plus_one(tmp_path: Path, no_waits: None) -> None:
    """With two retries, three attempts are made and told in the error."""
    bench = Bench(tmp_path, ConnectionFailedError("no route"))
    with pytest.raises(ConnectionFailedError, match="no route") as caught:
        await bench.ask()
    assert len(bench.backend.requests) == 3
    assert len(caught.value.attempts) == 3  # type: ignore[attr-defined]
    assert caught.value.model == "m"


async def test_nothing_is_tried_again_after_the_first_visible_chunk(tmp_path: Path, no_waits: None) -> None:
    """What was shown is not shown twice: the stream is interrupted, with what had come."""
    bench = Bench(tmp_path, ["one two", ConnectionFailedError("reset")], "never")
    shown: list[str] = []
    with pytest.raises(StreamInterruptedError, match="reset") as caught:
        await read_into(shown, bench.engine.generate_stream(request()))
    assert shown == ["one", " two"]
    assert caught.value.response.text == "one two"
    assert len(bench.backend.requests) == 1


async def test_invisible_chunks_do_not_stop_a_retry(tmp_path: Path, no_waits: None) -> None:
    """A chunk without text, thinking or tool call commits to nothing."""
    bench = Bench(tmp_path, [Chunk(usage=Usage(5, 0)), ConnectionFailedError("reset")], "ok")
    assert (await bench.ask()).text == "ok"


async def test_a_wait_beyond_the_deadline_fails_at_once(tmp_path: Path) -> None:
    """A Retry-After that the deadline cannot hold gives the rate-limit error, not a timeout."""
    bench = Bench(tmp_path, RateLimitError("slow down", retry_after=1000))
    with pytest.raises(RateLimitError):
        await bench.ask(timeout=5)


async def test_a_stream_that_broke_before_it_showed_anything_is_tried_again(tmp_path: Path, no_waits: None) -> None:
    """What a backend calls interrupted has not begun for a reader who saw nothing of it."""
    bench = Bench(tmp_path, [Chunk(usage=Usage(5, 0)), StreamInterruptedError("broke off")], "ok")
    response = await bench.ask()
    assert (response.text, response.attempts[0].error_type) == ("ok", "ConnectionFailedError")


async def test_a_spent_quota_is_not_tried_again(tmp_path: Path) -> None:
    """Waiting does not fill an account."""
    bench = Bench(tmp_path, QuotaExceededError("spent", retry_after=0.0), max_retries=5)
    with pytest.raises(QuotaExceededError):
        await bench.ask()
    assert len(bench.backend.requests) == 1


async def test_a_filter_in_mid_stream_keeps_its_type(tmp_path: Path) -> None:
    """A content filter is no interruption; the error holds what had come."""
    bench = Bench(tmp_path, ["one", ContentFilterError("no")])
    with pytest.raises(ContentFilterError) as caught:
        await bench.ask()
    assert caught.value.response.text == "one"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("bad"), LLMFrameworkError), (ConnectionResetError("x"), ConnectionFailedError),
        (TimeoutError(), RequestTimeoutError), (InvalidRequestError("x"), InvalidRequestError),
    ],
)  # fmt: skip
async def test_foreign_errors_become_ours(tmp_path: Path, error: Exception, expected: type[Exception]) -> None:
    """Whatever a backend raises reaches the caller as one of our errors, with the cause attached."""
    bench = Bench(tmp_path, error, max_retries=0)
    with pytest.raises(expected) as caught:
        await bench.ask()
    assert isinstance(caught.value, LLMFrameworkError)
    assert caught.value.model == "m"


async def test_keys_are_taken_out_of_errors(tmp_path: Path) -> None:
    """A provider that echoes the key does not leak it through us."""
    from llm_framework.secrets import remember

    remember("sk-echoed-key")
    bench = Bench(tmp_path, ValueError("bad key sk-echoed-key"))
    with pytest.raises(LLMFrameworkError) as caught:
        await bench.ask()
    assert "echoed" not in f"{caught.value} {caught.value.args} {caught.value.attempts}"  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------------------ timeouts
@pytest.mark.parametrize(
    ("answer", "config", "limit"),
    [
        ([Gate()], {"default_timeout": 0.05}, "total"),
        (["one", Gate()], {"default_timeout": 1.0}, "total"),
        ([Gate()], {"first_token_timeout": 0.05, "max_retries": 0}, "first_token"),
        (["one", Gate()], {"idle_timeout": 0.05}, "idle"),
        (["one", Gate()], {"attempt_timeout": 1.0}, "attempt"),
    ],
)
async def test_each_limit_ends_the_request_and_is_named(
    tmp_path: Path, answer: Answer, config: dict[str, Any], limit: str
) -> None:
    """A limit that passes is an error that names it, holds what had come, and frees the backend and the slot."""
    bench = Bench(tmp_path, answer, **config)
    with pytest.raises(RequestTimeoutError) as caught:
        await bench.ask()
    assert (caught.value.limit, caught.value.seconds) == (limit, next(iter(config.values())))
    if "one" in list(answer):  # type: ignore[arg-type]
        assert caught.value.response.text == "one"  # type: ignore[attr-defined]
    assert (bench.backend.active, bench.engine.get_active_requests()) == (0, [])


async def test_the_deadline_holds_over_the_queue(tmp_path: Path) -> None:
    """A request that waits too long for a slot is told that it was the queue."""
    gate = Gate()
    bench = Bench(tmp_path, ["a", gate], max_concurrent_requests=1)
    first = asyncio.ensure_future(bench.ask())
    await gate.reached()
    with pytest.raises(RequestTimeoutError) as caught:
        await bench.ask(timeout=0.5)
    assert caught.value.limit == "queue"
    gate.open()
    assert (await first).text == "a"


async def test_the_deadline_holds_over_loading(tmp_path: Path) -> None:
    """A model that loads for too long is given up, and may be tried again."""
    bench = Bench(tmp_path, "ok", load_gate=Gate())
    assert bench.load_gate is not None
    with pytest.raises(RequestTimeoutError) as caught:
        await bench.ask(timeout=0.05)
    assert caught.value.limit == "total"
    bench.load_gate.open()
    assert (await bench.ask()).text == "ok"


class StuckBackend(ModelBackend):
    """Shows nothing, and cannot be closed."""

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[Chunk, None]:
        try:
            await asyncio.Event().wait()
            yield Chunk()
        finally:
            await asyncio.Event().wait()


class StuckStream:
    """A stream that shows one word and cannot be closed."""

    def __init__(self) -> None:
        self.shown = False

    def __aiter__(self) -> StuckStream:
        return self

    async def __anext__(self) -> Chunk:
        if self.shown:
            await asyncio.Event().wait()
        self.shown = True
        return Chunk("word")

    async def aclose(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("stream", [None, StuckStream])
async def test_a_backend_that_cannot_be_closed_does_not_hold_the_deadline_up(
    tmp_path: Path, stream: type[StuckStream] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing may take a tenth of the deadline, and is then given up."""
    monkeypatch.setattr("llm_framework.engine.running.LONGEST_OVERTIME", 1e6)
    bench = Bench(tmp_path)
    stuck = StuckBackend(bench.backend.model_info)
    monkeypatch.setattr(bench.backend, "stream", (lambda _: stream()) if stream else stuck.stream)
    with pytest.raises(RequestTimeoutError):
        await asyncio.wait_for(bench.ask(timeout=0.2), 60)


async def test_a_deadline_that_has_passed_fails_at_once(tmp_path: Path) -> None:
    """A timeout of zero never reaches the backend."""
    bench = Bench(tmp_path)
    with pytest.raises(RequestTimeoutError):
        await bench.ask(timeout=0)
    assert bench.backend.requests == []


async def test_one_stream_may_be_read_by_two_tasks(tmp_path: Path) -> None:
    """No time limit is held over a yield: each chunk may be pulled by another task."""
    bench = Bench(tmp_path, "a b c")
    stream = bench.engine.generate_stream(request())
    texts = []
    while True:
        try:
            texts.append(str(await asyncio.ensure_future(anext(stream))))
        except StopAsyncIteration:
            break
    assert "".join(texts) == "a b c"


# --------------------------------------------------------------------------------------------------------- concurrency
async def test_no_more_than_the_limit_run(tmp_path: Path) -> None:
    """Twenty requests through two slots: never more than two at the backend, all answered."""
    bench = Bench(tmp_path, "a b c", max_concurrent_requests=2)
    answers = await asyncio.gather(*(bench.ask() for _ in range(20)))
    assert {answer.text for answer in answers} == {"a b c"}
    assert bench.backend.peak == 2


def test_the_limit_holds_over_threads_and_loops(tmp_path: Path) -> None:
    """Four event loops in four threads share the slots, the backend and its one load."""
    bench = Bench(tmp_path, "a b c", max_concurrent_requests=2)

    async def main() -> None:
        await asyncio.gather(*(bench.ask() for _ in range(10)))

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(bench.backend.requests), bench.backend.peak, bench.backend.loads) == (40, 2, 1)
    assert bench.stats()["total_requests"] == 40


async def test_a_full_queue_refuses(tmp_path: Path) -> None:
    """Beyond max_queue, requests are refused and not retried."""
    gate = Gate()
    bench = Bench(tmp_path, [gate, "a"], max_concurrent_requests=1, max_queue=0)
    first = asyncio.ensure_future(bench.ask())
    await gate.reached()
    with pytest.raises(QueueFullError):
        await bench.ask()
    gate.open()
    await first


async def test_a_batch_keeps_its_order(tmp_path: Path) -> None:
    """The answers stand in the order of the requests, however many run at a time."""
    bench = Bench(tmp_path, *[f"answer {number}" for number in range(30)], max_queue=5)
    answers = await bench.engine.generate_batch([request(str(number)) for number in range(30)], max_concurrency=1)
    assert [answer.text for answer in answers] == [f"answer {number}" for number in range(30)]


async def test_a_batch_ends_with_its_first_error_or_returns_it(tmp_path: Path) -> None:
    """The first error cancels the rest, or stands in its answer's place."""
    bench = Bench(tmp_path, "a", InvalidRequestError("no"), "c")
    requests = [request() for _ in range(3)]
    a, b, c = await bench.engine.generate_batch(requests, max_concurrency=1, return_exceptions=True)
    assert (a.text, type(b), c.text) == ("a", InvalidRequestError, "c")
    with pytest.raises(InvalidRequestError):
        await bench.engine.generate_batch(requests, max_concurrency=1)
    assert bench.engine.get_active_requests() == []


# -------------------------------------------------------------------------------------------------------- cancellation
async def test_cancel_ends_a_stream_with_what_had_come(tmp_path: Path) -> None:
    """The reader gets RequestCancelledError with the partial response; the backend's stream is closed."""
    gate = Gate()
    bench = Bench(tmp_path, ["one two", gate])
    task = asyncio.ensure_future(bench.ask(request_id="r1"))
    await gate.reached()
    (active,) = bench.engine.get_active_requests()
    assert (active["request_id"], active["model_name"], active["tokens"]) == ("r1", "m", 2)
    assert await bench.engine.cancel("r1")
    with pytest.raises(RequestCancelledError) as caught:
        await task
    assert (caught.value.response.text, caught.value.response.finish_reason) == ("one two", "cancelled")
    assert (bench.backend.active, bench.backend.closed, bench.engine.get_active_requests()) == (0, 1, [])
    assert not await bench.engine.cancel("r1")
    assert bench.stats()["models"]["m"]["cancelled_requests"] == 1


async def test_cancel_between_two_chunks_is_seen_at_the_next(tmp_path: Path) -> None:
    """A reader that is busy elsewhere gets the error when it comes back."""
    bench = Bench(tmp_path, "one two")
    stream = bench.engine.generate_stream(request(request_id="r1"))
    await anext(stream)
    assert await bench.engine.cancel("r1")
    with pytest.raises(RequestCancelledError):
        await anext(stream)


async def test_cancel_reaches_a_waiting_request_from_another_thread(tmp_path: Path) -> None:
    """A request in the queue is cancelled too, from wherever."""
    gate = Gate()
    bench = Bench(tmp_path, [gate, "a"], max_concurrent_requests=1)
    first = asyncio.ensure_future(bench.ask())
    await gate.reached()
    second = asyncio.ensure_future(bench.ask(request_id="r2"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await asyncio.to_thread(lambda: asyncio.run(bench.engine.cancel("r2")))
    with pytest.raises(RequestCancelledError):
        await second
    gate.open()
    assert (await first).text == "a"


async def test_a_cancelled_task_closes_the_stream_and_frees_the_slot(tmp_path: Path) -> None:
    """Cancelling the reader's own task stops the backend before the task has ended."""
    gate = Gate()
    bench = Bench(tmp_path, ["one", gate], "next", max_concurrent_requests=1)
    task = asyncio.ensure_future(bench.ask())
    await gate.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (bench.backend.active, bench.backend.closed) == (0, 1)
    assert (await bench.ask()).text == "next"


async def test_closing_a_stream_early_frees_everything(tmp_path: Path) -> None:
    """A reader that stops reading and closes leaves nothing behind."""
    bench = Bench(tmp_path, "a b c d e", max_concurrent_requests=1)
    async with aclosing(bench.engine.generate_stream(request())) as stream:
        assert str(await anext(stream)) == "a"
    assert (bench.backend.active, bench.backend.closed, bench.engine.get_active_requests()) == (0, 1, [])
    assert (await bench.ask()).text == "a b c d e"


async def test_random_cancels_lose_no_slot(tmp_path: Path) -> None:
    """After many requests cancelled at any point, all slots are free and nothing is left open."""
    bench = Bench(tmp_path, "a b c d e f", max_concurrent_requests=3)

    async def ask_and_cancel(number: int) -> None:
        task = asyncio.ensure_future(bench.ask())
        for _ in range(number % 23):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await asyncio.gather(*(ask_and_cancel(number) for number in range(200)))
    assert (bench.backend.active, bench.engine.get_active_requests()) == (0, [])
    assert [limiter.in_use for limiter in bench.engine._limiters.values()] == [0]
    assert (await bench.ask()).text == "a b c d e f"


# ------------------------------------------------------------------------------------------------------------- loading
async def test_a_model_is_loaded_once_for_all_who_ask(tmp_path: Path) -> None:
    """Ten requests at the same time wait for one load."""
    bench = Bench(tmp_path, "a", load_gate=Gate())
    assert bench.load_gate is not None
    tasks = [asyncio.ensure_future(bench.ask()) for _ in range(10)]
    await bench.load_gate.reached()
    bench.load_gate.open()
    await asyncio.gather(*tasks)
    assert bench.backend.loads == 1


async def test_a_model_that_does_not_load_is_an_error(tmp_path: Path) -> None:
    """A foreign error while loading becomes a ModelLoadError that names the model."""
    bench = Bench(tmp_path, load_error=OSError("disk"))
    with pytest.raises(ModelLoadError, match="'m' cannot be loaded: OSError: disk"):
        await bench.ask()
    assert bench.stats()["loaded_models"] == 0


async def test_unloading_waits_for_the_last_user(tmp_path: Path) -> None:
    """A model in use is freed when its last request ends; the next request loads it anew."""
    gate = Gate()
    bench = Bench(tmp_path, ["a", gate], "b")
    task = asyncio.ensure_future(bench.ask())
    await gate.reached()
    assert await bench.engine.unload_model("m")
    assert (bench.backend.unloads, bench.stats()["loaded_models"]) == (0, 0)
    gate.open()
    await task
    assert bench.backend.unloads == 1
    assert (await bench.ask()).text == "b"
    assert bench.backend.loads == 2


async def test_load_and_unload_by_name(tmp_path: Path) -> None:
    """A model can be loaded before its first request, and freed after."""
    bench = Bench(tmp_path)
    await bench.engine.load_model("m")
    assert (bench.backend.loads, bench.stats()["loaded_models"]) == (1, 1)
    assert await bench.engine.unload_model("m")
    assert not await bench.engine.unload_model("m")
    assert bench.backend.unloads == 1


async def test_unknown_models_and_backends_are_errors(tmp_path: Path) -> None:
    """A name that is nobody's, and a backend that is not there, are told with what there is."""
    bench = Bench(tmp_path)
    with pytest.raises(ModelNotFoundError):
        await bench.engine.generate_text(InferenceRequest("hi", model_name="nobody"))
    bench.engine.registry.register_model(ModelInfo("x", backend_type="acme"), persist=False)
    with pytest.raises(ConfigurationError, match=r"'acme'; it has .*native"):
        await bench.engine.generate_text(InferenceRequest("hi", model_name="x"))
    assert bench.stats()["failed_requests"] == 2


async def test_closing_cancels_and_frees(tmp_path: Path) -> None:
    """Closing the engine ends what runs and unloads every model; it may be used again."""
    gate = Gate()
    bench = Bench(tmp_path, ["a", gate], "b")
    task = asyncio.ensure_future(bench.ask())
    await gate.reached()
    await bench.engine.close()
    with pytest.raises(RequestCancelledError):
        await task
    assert bench.backend.unloads == 1
    assert (await bench.ask()).text == "b"
