"""Embedding through the engine: what is asked of a backend, in which parts, and what comes of its faults."""

from __future__ import annotations

import asyncio
import math
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from llm_framework import (
    BaseModelPlugin,
    EmbeddingRequest,
    Embeddings,
    LLMFramework,
    ModelInfo,
    ModelType,
    PluginMetadata,
    Usage,
)
from llm_framework.backends.base import ModelBackend
from llm_framework.embedding import EmbeddingLimits
from llm_framework.errors import (
    BadResponseError,
    ConnectionFailedError,
    InvalidRequestError,
    LLMFrameworkError,
    ModelNotFoundError,
    ProviderUnavailableError,
    QueueFullError,
    RateLimitError,
    RequestCancelledError,
    RequestTimeoutError,
    UnsupportedFeatureError,
)
from llm_framework.testing import FakeBackend, Gate

Step = Any


class Lengths(ModelBackend):
    """Makes [length, 1] of a text, or what the script has for the call: an error, vectors, a gate to wait at."""

    def __init__(self, info: ModelInfo, script: Sequence[Step] = (), limits: EmbeddingLimits | None = None) -> None:
        super().__init__(info)
        self.script = list(script)
        self.asked: list[EmbeddingRequest] = []
        self.active = self.peak = 0
        if limits is not None:
            self.embedding_limits = limits

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        self.asked.append(request)
        self.active += 1
        self.peak = max(self.peak, self.active)
        try:
            await asyncio.sleep(0)
            step = self.script.pop(0) if self.script else None
            if isinstance(step, Gate):
                await step.pass_through()
            elif isinstance(step, Exception):
                raise step
            elif step is not None:
                return step  # type: ignore[no-any-return]
            return Embeddings([[float(len(text)), 1.0] for text in request.texts], Usage(len(request.texts)))
        finally:
            self.active -= 1


class Served(BaseModelPlugin):
    """Serves one backend, and changes every prompt and answer."""

    def __init__(self, backend: ModelBackend) -> None:
        self.backend = backend

    @property
    def metadata(self) -> PluginMetadata:
        return PluginMetadata("served", "1")

    def supports_model(self, info: ModelInfo) -> bool:
        return info.name == self.backend.model_info.name

    async def create_backend(self, info: ModelInfo) -> ModelBackend:
        return self.backend

    async def pre_generate_hook(self, prompt: str, config: Any) -> tuple[str, Any]:
        return f"changed {prompt}", config

    async def post_generate_hook(self, prompt: str, response: str, config: Any) -> str:
        return "changed"


Make = Callable[..., tuple[LLMFramework, Lengths]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a framework whose model "v" is a scripted backend."""

    def made(*script: Step, limits: EmbeddingLimits | None = None, **config: Any) -> tuple[LLMFramework, Lengths]:
        framework = LLMFramework({"models_dir": str(tmp_path), "max_retries": 1, **config})
        info = ModelInfo("v", ModelType.EMBEDDING, "acme", metadata={"provider": "acme"}, is_local=False)
        backend = Lengths(info, script, limits)
        framework.registry.register_model(info, persist=False)
        framework.plugin_manager.register_plugin(Served(backend))
        return framework, backend

    return made


# ------------------------------------------------------------------------------------------------------ what is asked
async def test_texts_come_back_in_their_order(make: Make) -> None:
    """A vector for each text, in the order given; equal texts are asked for once; hooks, which change prompts, leave
    texts as they are."""
    framework, backend = make()
    async with framework:
        assert await framework.embed(["aaa", "a", "aaa", "aa"]) == [[3, 1], [1, 1], [3, 1], [2, 1]]
        assert backend.asked[0].texts == ("aaa", "a", "aa")
        assert await framework.embed("abcd") == [[4, 1]]
        assert framework.sync.embed(["ab"], model_name="v") == [[2, 1]]


async def test_equal_texts_have_vectors_of_their_own(make: Make) -> None:
    """Who changes one vector does not change another."""
    framework, _ = make()
    async with framework:
        first, second = await framework.embed(["a", "a"])
        first[0] = 7.0
        assert second == [1, 1]


async def test_no_texts(make: Make) -> None:
    """No texts are no vectors, and nobody is asked; the model's name must be right all the same."""
    framework, backend = make()
    async with framework:
        assert await framework.embed([]) == []
        assert backend.asked == []
        with pytest.raises(ModelNotFoundError):
            await framework.embed([], model_name="nobody")


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (None, "texts must be a list of strings, not NoneType"),
        (7, "texts must be a list of strings, not int"),
        (b"a", "texts must be a list of strings, not bytes"),
        ({"a": 1}, "texts must be a list of strings, not dict"),
        (["a", None], r"texts\[1\] must be a str, not NoneType"),
        ([["a"]], r"texts\[0\] must be a str, not list"),
    ],
)
async def test_what_is_no_text(make: Make, texts: Any, said: str) -> None:
    """What is no list of strings is told with its place, before anything is asked."""
    framework, backend = make()
    with pytest.raises(InvalidRequestError, match=said):
        await framework.embed(texts)
    assert backend.asked == []


async def test_options_travel(make: Make) -> None:
    """The task and the dimensions reach the backend; wrong ones are told."""
    framework, backend = make()
    async with framework:
        await framework.embed(["a"], task="query", dimensions=2, timeout=9)
        asked = backend.asked[0]
        assert (asked.task, asked.dimensions, asked.timeout) == ("query", 2, 9)
        with pytest.raises(InvalidRequestError, match="task is 'search'; it is 'query', 'document' or None"):
            await framework.embed(["a"], task="search")  # type: ignore[arg-type]
        for wrong in (0, -1, 1.5, True):
            with pytest.raises(InvalidRequestError, match="dimensions must be a positive integer"):
                await framework.embed(["a"], dimensions=wrong)  # type: ignore[arg-type]


async def test_long_lists_go_in_parts(make: Make) -> None:
    """A list is cut to what the backend takes at once, in texts and in bytes; parts run side by side as the limits
    allow, and the answer is in order. A text longer than a part goes alone."""
    framework, backend = make(limits=EmbeddingLimits(texts=3), max_concurrent_requests=4)
    async with framework:
        texts = ["x" * number for number in range(1, 30)]
        assert await framework.embed(texts) == [[float(number), 1] for number in range(1, 30)]
        assert [len(asked.texts) for asked in backend.asked] == [3] * 9 + [2]
        assert {position for asked in backend.asked for position in asked.positions} == set(range(29))
        assert backend.peak == 4
        assert len({asked.deadline for asked in backend.asked}) == 1

        backend.embedding_limits = EmbeddingLimits(texts=100, bytes=10)
        backend.asked.clear()
        await framework.embed(["ééé", "aaaa", "a", "b" * 50, "c"])
        assert [asked.texts for asked in backend.asked] == [("ééé", "aaaa"), ("a",), ("b" * 50,), ("c",)]


async def test_the_answer_tells_all(make: Make) -> None:
    """The engine's answer adds the tokens of all parts up, and tells the model, the attempts and the times."""
    framework, _ = make(ProviderUnavailableError("down", retry_after=0), limits=EmbeddingLimits(texts=2))
    async with framework:
        answer = await framework.inference_engine.embed(EmbeddingRequest(texts=("a", "b", "c"), model_name="v"))
        assert answer.usage == Usage(3)
        assert answer.model == "v"
        assert sorted(attempt.error_type or "" for attempt in answer.attempts) == ["", "", "ProviderUnavailableError"]
        assert answer.timings.total > 0
        stats = framework.get_performance_stats()
        assert stats["models"]["v"]["input_tokens"] == 3
        assert (stats["total_requests"], stats["failed_requests"], stats["active_requests"]) == (2, 0, 0)


async def test_uncounted_tokens_are_estimated(make: Make) -> None:
    """Where the backend counts no tokens, usage is a guess that says so."""
    framework, _ = make(Embeddings([[1.0]]), [[1.0]])
    async with framework:
        for _ in range(2):
            answer = await framework.inference_engine.embed(EmbeddingRequest(texts=("a" * 40,), model_name="v"))
            assert answer.usage == Usage(10, estimated=True)


# ------------------------------------------------------------------------------------------------------ what goes wrong
@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ([[1.0]], "1 vectors came for 2 texts"),
        ([[1.0], [1.0], [1.0]], "3 vectors came for 2 texts"),
        ([[1.0], [1.0, 2.0]], r"vectors of different lengths, or of none, came: \[1, 2\]"),
        ([[], []], "vectors of different lengths, or of none"),
        ([[1.0, 2.0], [1.0, math.nan]], r"the vector of texts\[1\] holds a number that is not finite"),
        ([[1.0, math.inf], [1.0, 1.0]], r"texts\[0\] holds a number that is not finite"),
    ],
)
async def test_unsound_vectors(make: Make, vectors: list[list[float]], said: str) -> None:
    """Vectors that cannot be right are never handed on: they are asked for again, and then a `BadResponseError`."""
    framework, backend = make(Embeddings(vectors), Embeddings(vectors))
    async with framework:
        with pytest.raises(BadResponseError, match=said) as caught:
            await framework.embed(["a", "b"], model_name="v")
        assert len(caught.value.attempts) == 2
        assert await framework.embed(["a", "b"]) == [[1, 1], [1, 1]]
        assert len(backend.asked) == 3


async def test_other_dimensions_than_asked_for(make: Make) -> None:
    """A model that pays no heed to the dimensions asked for is told of, and not asked again."""
    framework, backend = make()
    async with framework:
        with pytest.raises(BadResponseError, match="vectors of 2 dimensions came, where 8 were asked for"):
            await framework.embed(["a"], dimensions=8)
        assert len(backend.asked) == 1


async def test_retries(make: Make) -> None:
    """What may pass is tried again, as often as the call says; what will not is told at once."""
    framework, backend = make(RateLimitError("slow", retry_after=0), ConnectionFailedError("cut"), max_retries=2)
    async with framework:
        assert await framework.embed(["a"]) == [[1, 1]]
        backend.script = [RateLimitError("slow", retry_after=0)]
        with pytest.raises(RateLimitError):
            await framework.embed(["a"], max_retries=0)
        backend.asked.clear()
        backend.script = [InvalidRequestError("no")]
        with pytest.raises(InvalidRequestError):
            await framework.embed(["a"])
        assert len(backend.asked) == 1
        backend.script = [ValueError("oops")]
        with pytest.raises(LLMFrameworkError, match="the backend of 'v' failed: ValueError: oops"):
            await framework.embed(["a"])


async def test_a_failed_part_ends_the_others(make: Make) -> None:
    """The first part that fails is the call's error; those that run are cancelled, and their slots are free again."""
    gate = Gate()
    framework, backend = make(gate, InvalidRequestError("no"), limits=EmbeddingLimits(texts=1))
    async with framework:
        with pytest.raises(InvalidRequestError, match="no"):
            await framework.embed(["a", "b", "c"])
        assert backend.active == 0
        assert framework.inference_engine.get_active_requests() == []
        assert await framework.embed(["a", "b"]) == [[1, 1], [1, 1]]


async def test_one_deadline(make: Make) -> None:
    """The timeout is the whole call's: with its retries, waits and parts."""
    framework, backend = make(Gate())
    async with framework:
        with pytest.raises(RequestTimeoutError) as caught:
            await framework.embed(["a"], timeout=0.05)
        assert caught.value.limit == "total"
        backend.script = [ProviderUnavailableError("down", retry_after=60)]
        with pytest.raises(ProviderUnavailableError):  # a wait that the deadline cannot hold is not begun
            await framework.embed(["a"], timeout=5)


async def test_the_models_slots_hold(make: Make) -> None:
    """Calls share the model's slots and its queue with each other."""
    gates = [Gate(), Gate()]
    framework, backend = make(*gates, max_concurrent_requests=2, max_queue=1)
    async with framework:
        calls = [asyncio.ensure_future(framework.embed([text])) for text in "ab"]
        for gate in gates:
            await gate.reached()
        waiting = asyncio.ensure_future(framework.embed(["c"]))
        while not framework.inference_engine._limiter_of(backend.model_info).waiting:  # noqa: ASYNC110
            await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await framework.embed(["d"], max_retries=0)
        for gate in gates:
            gate.open()
        assert await asyncio.gather(*calls, waiting) == [[[1, 1]]] * 3
        assert backend.peak == 2


async def test_cancelling(make: Make) -> None:
    """A call is listed while it runs, and `cancel` ends all of its parts."""
    gates = [Gate(), Gate()]
    framework, _ = make(*gates, limits=EmbeddingLimits(texts=1))
    async with framework:
        request = EmbeddingRequest(texts=("a", "b"), model_name="v")
        call = asyncio.ensure_future(framework.inference_engine.embed(request))
        for gate in gates:
            await gate.reached()
        active = framework.inference_engine.get_active_requests()
        assert [one["request_id"] for one in active] == [request.request_id] * 2
        assert await framework.inference_engine.cancel(request.request_id)
        with pytest.raises(RequestCancelledError):
            await call


async def test_breaker(make: Make) -> None:
    """An endpoint that fails again and again is left alone for a while, for embeddings as for answers."""
    framework, backend = make(*[ProviderUnavailableError("down")] * 3, breaker_failures=3, max_retries=0)
    async with framework:
        for _ in range(3):
            with pytest.raises(ProviderUnavailableError, match="down"):
                await framework.embed(["a"])
        with pytest.raises(ProviderUnavailableError):
            await framework.embed(["a"])
        assert len(backend.asked) == 3
        assert framework.get_performance_stats()["models"]["v"]["breaker"] == "open"


async def test_rate_limits(make: Make) -> None:
    """The configured tokens a minute are reckoned with by the texts alone, and corrected by what was counted; a wait
    that the deadline cannot hold is told at once."""
    framework, backend = make(api_credentials={"acme": {"provider": "acme", "tokens_per_minute": 100}})
    async with framework:
        await framework.embed(["a" * 200])  # 50 tokens by estimate, 1 as counted
        await framework.embed(["a" * 380])  # 95: would not fit beside 50
        assert len(backend.asked) == 2
        backend.script = [Embeddings([[1.0]], Usage(90))]
        await framework.embed(["a"])
        with pytest.raises(RateLimitError):
            await framework.embed(["a" * 380], timeout=1)
        assert len(backend.asked) == 3


async def test_a_backend_that_cannot_be_loaded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What loading raises is the call's error, and the call counts as failed."""
    framework, backend = make()

    async def load() -> None:
        raise ConnectionFailedError("no way", retryable=False)

    monkeypatch.setattr(backend, "load_model", load)
    async with framework:
        with pytest.raises(ConnectionFailedError, match="no way"):
            await framework.embed(["a", "b"])
        assert framework.get_performance_stats()["failed_requests"] == 1


async def test_models_without_embeddings(tmp_path: Path) -> None:
    """The bundled model and a provider without embeddings say so, and what to name instead."""
    async with LLMFramework({"models_dir": str(tmp_path)}) as framework:
        with pytest.raises(UnsupportedFeatureError, match=r"makes no embeddings; .* openai:text-embedding-3-small"):
            await framework.embed(["a", "b"], model_name="tiny-chat")


async def test_the_default_model(make: Make) -> None:
    """Without a name it is the configured default where that makes embeddings, else an embedding model that there
    is."""
    framework, _ = make(default_model="tiny-chat")
    framework.registry.register_model(ModelInfo("a", ModelType.EMBEDDING, "fake"), persist=False)
    async with framework:
        assert len((await framework.embed(["a"]))[0]) == 64
    framework, _ = make(default_model="v")
    framework.registry.register_model(ModelInfo("a", ModelType.EMBEDDING, "fake"), persist=False)
    async with framework:
        assert await framework.embed(["a"]) == [[1, 1]]


@pytest.mark.parametrize(
    "name",
    [
        "text-embedding-3-small",
        "openai:text-embedding-3-large",
        "google:gemini-embedding-001",
        "ollama:nomic-embed-text",
    ],
)
async def test_embedding_models_of_providers(tmp_path: Path, name: str) -> None:
    """A provider's embedding model is known by its name, and is the default one where it is configured so."""
    framework = LLMFramework({"models_dir": str(tmp_path), "default_model": name})
    assert framework.get_model_info(name).model_type is ModelType.EMBEDDING
    assert await framework.embed([]) == []
    assert [info.name for info in framework.list_models(model_type="embedding")] == [name]


# ------------------------------------------------------------------------------------------------------ for tests
async def test_the_fake_backend_makes_vectors() -> None:
    """`FakeBackend` makes vectors by words, the same in every process, so that what shares words is near."""
    backend = FakeBackend()
    texts = ("The sky is blue.", "the sky, is it blue?", "Cats chase mice", "")
    made = await backend.embed(EmbeddingRequest(texts=texts, dimensions=32))
    first, near, far, empty = made.vectors
    assert len(first) == 32
    assert all(math.isclose(math.hypot(*vector), 1) for vector in (first, near, far, empty))
    assert math.sumprod(first, near) > math.sumprod(first, far) if hasattr(math, "sumprod") else True
    assert (await FakeBackend().embed(EmbeddingRequest(texts=texts, dimensions=32))).vectors == made.vectors


def test_requests_travel() -> None:
    """A request can be pickled, and is equal to itself."""
    request = EmbeddingRequest(texts=("a", "b"), task="query", dimensions=3)
    assert pickle.loads(pickle.dumps(request)) == request
