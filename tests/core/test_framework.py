from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import llm_framework
from llm_framework import (
    Chunk,
    InvalidRequestError,
    LLMConfig,
    LLMFramework,
    Message,
    ModelInfo,
    ModelNotFoundError,
    ModelType,
    StructuredOutputError,
    ToolCall,
    UnsupportedFeatureError,
    Usage,
    quick_generate,
)
from llm_framework import (
    framework as framework_module,
)
from llm_framework.backends.base import ModelBackend
from llm_framework.embedding import EmbeddingRequest, Embeddings
from llm_framework.testing import FakeBackend


class City(BaseModel):
    name: str


def get_weather(city: str) -> str:
    """Get the weather."""
    return city


# --------------------------------------------------------------------------------------------------------- generation
async def test_text_comes_from_each_form_of_prompt(framework: LLMFramework, backend: FakeBackend) -> None:
    """A text, messages and dicts are answered alike."""
    for prompt in ("hi", [Message.user("hi")], [{"role": "user", "content": "hi"}]):
        assert await framework.generate_text(prompt) == "one two three four"
    assert {request.messages for request in backend.requests} == {(Message.user("hi"),)}


async def test_stream_true_gives_an_iterator_of_chunks(framework: LLMFramework) -> None:
    """`async for chunk in await generate_text(..., stream=True)` reads the answer in pieces."""
    texts = []
    async for chunk in await framework.generate_text("hi", stream=True):
        assert isinstance(chunk, Chunk)
        texts.append(str(chunk))
    assert texts == ["one", " two", " three", " four", ""]


async def test_every_generation_setting_reaches_the_backend(framework: LLMFramework, backend: FakeBackend) -> None:
    """Settings are keyword arguments; what is None counts as not given."""
    settings: dict[str, Any] = {
        "max_tokens": 3, "temperature": 0.1, "top_p": 0.5, "top_k": 4, "min_p": 0.1, "stop": "x", "seed": 7,
        "presence_penalty": 0.1, "frequency_penalty": 0.2, "repetition_penalty": 1.1, "logit_bias": {1: 2.0},
        "logprobs": 0, "thinking": "low",
    }  # fmt: skip
    assert await framework.generate_text("hi", **settings) == "one two three"
    seen = backend.requests[0]
    assert {name: getattr(seen.config, name) for name in settings} == {**settings, "stop": ("x",)}
    assert seen.explicit == set(settings)
    await framework.generate_text("hi", seed=None)
    assert "seed" not in backend.requests[1].explicit


async def test_generate_gives_the_whole_response(framework: LLMFramework) -> None:
    """The response holds text, model, usage, finish reason and timings."""
    response = await framework.generate("hi there", max_tokens=2)
    assert (response.text, response.model, response.finish_reason) == ("one two", "m", "length")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (2, 2)


async def test_tools_and_calls(tmp_path: Path) -> None:
    """A function is offered as a tool; the model's call comes back with its arguments."""
    framework = LLMFramework({"models_dir": str(tmp_path), "default_model": "m"})
    backend = FakeBackend(
        ModelInfo("m", backend_type="fake"), answers=[ToolCall.create("get_weather", {"city": "Rome"})]
    )
    backend.install(framework)
    response = await framework.generate("Weather?", tools=[get_weather], tool_choice="any")
    assert (response.finish_reason, response.tool_calls[0].arguments) == ("tool_calls", {"city": "Rome"})
    assert (backend.requests[0].tools[0].name, backend.requests[0].tool_choice) == ("get_weather", "any")
    await framework.close()


async def test_a_response_format_is_parsed_or_an_error(tmp_path: Path) -> None:
    """With a pydantic class, `parsed` is its instance; an answer of another form is an error."""
    framework = LLMFramework({"models_dir": str(tmp_path), "default_model": "m"})
    FakeBackend(ModelInfo("m", backend_type="fake"), answers=['{"name": "Rome"}', "Rome"]).install(framework)
    assert (await framework.generate("City?", response_format=City)).parsed == City(name="Rome")
    with pytest.raises(StructuredOutputError):
        await framework.generate("City?", response_format=City)
    await framework.close()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"temprature": 1}, InvalidRequestError), ({"temperature": -1}, InvalidRequestError),
        ({"max_tokens": 0}, InvalidRequestError), ({"max_concurrency": 3}, InvalidRequestError),
        ({"tool_choice": "any"}, InvalidRequestError), ({"timeout": -1}, InvalidRequestError),
        ({"response_format": "("}, InvalidRequestError), ({"model_name": "nobody"}, ModelNotFoundError),
    ],
)  # fmt: skip
async def test_wrong_options_are_errors(
    framework: LLMFramework, options: dict[str, Any], error: type[Exception]
) -> None:
    """What cannot be meant so is refused, before any model is asked."""
    with pytest.raises(error):
        await framework.generate_text("hi", **options)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("stop", [5, ["a", 5], [""]]), ("fallbacks", [5, "m", [5], [""]]), ("metadata", [5]), ("request_id", [5]),
        ("tools", [5, "f", [5]]), ("tool_choice", [5]), ("max_retries", ["2", -1, 1.5, True]), ("config", [5, {}]),
        ("strict_parameters", ["no", 1]), ("response_format", [5, []]), ("model_name", [5]), ("seed", [1.5, "a"]),
        ("logit_bias", [5, {"a": 1}, {1: "b"}, {1: float("nan")}, {1: float("inf")}, {True: 1}]),
    ],
)  # fmt: skip
async def test_options_of_a_wrong_kind_are_named(framework: LLMFramework, name: str, values: list[Any]) -> None:
    """The error says which option it is, in one line."""
    for value in values:
        with pytest.raises(
            InvalidRequestError, match="a tool is" if value == [5] and name == "tools" else name
        ) as caught:
            await framework.generate_text("hi", **{name: value})
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("prompt", ["", [], [{"role": "system", "content": "x"}], None])
async def test_empty_prompts_are_errors(framework: LLMFramework, prompt: Any) -> None:
    """A prompt without content is refused."""
    with pytest.raises(InvalidRequestError):
        await framework.generate_text(prompt)


async def test_a_batch_keeps_its_order(framework: LLMFramework, backend: FakeBackend) -> None:
    """Texts stand in the order of the prompts; max_concurrency is kept; a bar may be shown."""
    backend.answers = [f"answer {number}" for number in range(20)]
    prompts = [str(number) for number in range(20)]
    texts = await framework.generate_batch(prompts, max_concurrency=1, progress=True)
    assert texts == backend.answers
    backend.requests.clear()
    await framework.generate_batch(prompts, max_concurrency=3)
    assert backend.peak == 3
    assert await framework.generate_batch([]) == []


async def test_a_batch_larger_than_the_queue_is_no_trouble(tmp_path: Path) -> None:
    """A batch waits in itself, not in the model's queue."""
    config = {"models_dir": str(tmp_path), "default_model": "fake:x", "max_queue": 1, "max_concurrent_requests": 2}
    async with LLMFramework(config) as framework:
        assert len(await framework.generate_batch(["hi"] * 50)) == 50


async def test_a_batch_may_return_its_errors(framework: LLMFramework, backend: FakeBackend) -> None:
    """With return_exceptions an error stands in its text's place; a wrong prompt is told before anything runs."""
    backend.answers = ["a", InvalidRequestError("no")]
    a, error = await framework.generate_batch(["1", "2"], max_concurrency=1, return_exceptions=True)
    assert (a, type(error)) == ("a", InvalidRequestError)
    backend.requests.clear()
    with pytest.raises(InvalidRequestError):
        await framework.generate_batch(["ok", ""])
    with pytest.raises(InvalidRequestError):
        await framework.generate_batch("one prompt")
    with pytest.raises(InvalidRequestError):
        await framework.generate_batch(["a"], max_concurrency=-1)
    assert backend.requests == []


class Vectors(ModelBackend):
    """Embeds a text as its length."""

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        return Embeddings([[float(len(text))] for text in request.texts])


async def test_embed_needs_a_model_that_can(framework: LLMFramework, backend: FakeBackend) -> None:
    """A backend with `embed` is asked; one without is an error that says so."""
    with pytest.raises(UnsupportedFeatureError, match="no embedding model was found"):
        await framework.embed(["a"])
    with pytest.raises(UnsupportedFeatureError, match=r"'tiny-chat' \(native\) makes no embeddings; name a model that"):
        await framework.embed(["a"], model_name="tiny-chat")
    plugin = framework.plugin_manager.plugins_for_model(backend.model_info)[0]

    async def create(info: ModelInfo) -> ModelBackend:
        return Vectors(info)

    plugin.create_backend = create  # type: ignore[method-assign]
    await framework.unload_model("m")
    assert await framework.embed(["a", "bb"], model_name="m") == [[1.0], [2.0]]


# ------------------------------------------------------------------------------------------------------------- models
async def test_models_are_listed_with_those_the_configuration_names(tmp_path: Path) -> None:
    """The list holds the bundled model, registered ones and the cloud models of the configuration, and is filtered."""
    framework = LLMFramework(LLMConfig(models_dir=str(tmp_path), fallback_models=["gpt-4o", "nobody"]))
    framework.registry.register_model(ModelInfo("v", ModelType.EMBEDDING, "fake"), persist=False)
    assert [info.name for info in framework.list_models()] == ["gpt-4o", "tiny-chat", "v"]
    assert [info.name for info in framework.list_models(local_only=True)] == ["tiny-chat", "v"]
    assert [info.name for info in framework.list_models(model_type="embedding")] == ["v"]
    assert [info.name for info in framework.list_models(backend_type="openai")] == ["gpt-4o"]
    assert framework.get_model_info("claude-x").backend_type == "anthropic"
    with pytest.raises(ModelNotFoundError, match="tiny-chat"):
        framework.get_model_info("tiny-chta")


async def test_without_a_name_the_bundled_model_is_chosen_last(tmp_path: Path) -> None:
    """The configured default goes before the models folder, that before the bundled model."""
    assert LLMFramework({"models_dir": str(tmp_path)}).default_model_name() == "tiny-chat"
    assert LLMFramework({"models_dir": str(tmp_path), "default_model": "m"}).default_model_name() == "m"


async def test_endpoints_and_backends_are_prefixes(tmp_path: Path) -> None:
    """A further endpoint of the configuration stands before a colon, as do installed backends."""
    credentials = {"backup": {"provider": "openai", "base_url": "http://localhost:1"}, "stub": {"provider": "fake"}}
    async with LLMFramework({"models_dir": str(tmp_path), "api_credentials": credentials}) as framework:
        assert framework.get_model_info("backup:x").backend_type == "openai"
        assert await framework.generate_text("hi", model_name="stub:x") == "This is a scripted answer."


async def test_loading_and_unloading(framework: LLMFramework, backend: FakeBackend) -> None:
    """A model can be loaded ahead and freed, and the stats say how many are."""
    await framework.load_model("m")
    assert framework.get_performance_stats()["loaded_models"] == 1
    await framework.unload_model("m")
    assert (backend.loads, backend.unloads) == (1, 1)


async def test_stats_have_the_promised_keys(framework: LLMFramework) -> None:
    """Counts are ints, times floats, and each model has its own summary."""
    stats = framework.get_performance_stats()
    assert stats["average_generation_time"] == stats["total_generation_time"] == 0.0
    await framework.generate_text("hi")
    stats = framework.get_performance_stats()
    assert (stats["total_requests"], stats["failed_requests"], stats["active_requests"], stats["loaded_models"]) == (
        1,
        0,
        0,
        1,
    )
    assert stats["total_generation_time"] >= stats["average_generation_time"] > 0.0
    assert {
        "requests",
        "input_tokens",
        "output_tokens",
        "tokens_per_second",
        "time_to_first_token",
        "p50",
        "p95",
        "p99",
    } <= set(stats["models"]["m"])


# ---------------------------------------------------------------------------------------------------- start and close
async def test_leaving_the_block_frees_the_models(backend: FakeBackend, tmp_path: Path) -> None:
    """`async with` starts and closes; afterwards the framework starts itself again."""
    framework = LLMFramework({"models_dir": str(tmp_path), "default_model": "m"})
    backend.install(framework)
    async with framework:
        await framework.generate_text("hi")
    assert backend.unloads == 1
    assert await framework.generate_text("hi") == "one two three four"
    await framework.close()


async def test_it_starts_itself_once_for_all_who_ask(framework: LLMFramework, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many first requests at the same time look for models once."""
    calls: list[int] = []
    discover = framework.registry.discover_models
    monkeypatch.setattr(framework.registry, "discover_models", lambda: (calls.append(1), discover())[1])
    await asyncio.gather(*(framework.generate_text("hi") for _ in range(10)))
    assert len(calls) == 1


async def test_a_yaml_file_configures_it(tmp_path: Path) -> None:
    """A path is a YAML file, also as a str."""
    path = tmp_path / "c.yaml"
    path.write_text(f"models: {{models_dir: {tmp_path}, default_model: 'fake:x'}}\n")
    for given in (path, str(path)):
        async with LLMFramework(given) as framework:
            assert await framework.generate_text("hi") == "This is a scripted answer."


async def test_quick_generate_shares_one_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls are answered by the same framework."""
    monkeypatch.setattr(framework_module, "_shared", None)
    monkeypatch.setenv("LLM_FRAMEWORK_DEFAULT_MODEL", "fake:x")
    assert await quick_generate("hi", max_tokens=2) == "This is"
    assert await quick_generate("hi", max_tokens=1) == "This"
    shared = framework_module.shared_framework()
    assert shared.get_performance_stats()["total_requests"] == 2
    await shared.close()


def test_every_public_name_is_there() -> None:
    """Each name of `__all__` can be imported, and an unknown one is an AttributeError."""
    for name in llm_framework.__all__:
        assert getattr(llm_framework, name) is not None
    assert set(llm_framework.__all__) <= set(dir(llm_framework))
    with pytest.raises(AttributeError):
        llm_framework.Nothing  # noqa: B018


async def test_a_batch_returns_the_fault_of_a_wrong_prompt_in_its_place() -> None:
    """With return_exceptions, a prompt that cannot be meant so takes none of the others' answers away."""
    async with LLMFramework() as framework:
        texts = await framework.generate_batch(["Hello", "", "Hi"], return_exceptions=True, max_tokens=2)
    assert isinstance(texts[1], InvalidRequestError)
    assert all(isinstance(text, str) for text in (texts[0], texts[2]))


async def test_tokens_of_a_prompt() -> None:
    """A local model counts a prompt's tokens, tools included, as its answer's usage does; of one that cannot count they
    are an estimate that says so."""
    async with LLMFramework() as framework:
        counted = await framework.count_tokens("What is the weather?", model_name="tiny-chat")
        answer = await framework.generate("What is the weather?", model_name="tiny-chat", max_tokens=1)
        assert counted == Usage(answer.usage.input_tokens)
        tool = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {}}}
        with_tool = await framework.count_tokens("What is the weather?", model_name="tiny-chat", tools=[tool])
        assert with_tool.input_tokens > counted.input_tokens
        place = {"provider": "openai_compatible", "base_url": "http://127.0.0.1:9/v1"}
    async with LLMFramework({"api_credentials": {"far": place}}) as framework:
        estimated = framework.sync.count_tokens("a prompt of 24 letters..", model_name="far:m")
        assert estimated == Usage(6, estimated=True)
