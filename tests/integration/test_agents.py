"""Programs for the older agent classes, with nothing but their import changed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_framework import LLMFramework, ModelInfo, errors
from llm_framework.integration import (
    AgentMode,
    FrameworkAgent,
    LegacyAgentWrapper,
    UnifiedGemmaAgent,
    create_gemma_agent,
    upgrade_to_framework,
)
from llm_framework.testing import FakeBackend

MODEL = "tiny-chat"


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(ModelInfo("m", backend_type="fake"), answers=["one two three four"])


@pytest.fixture
def framework(backend: FakeBackend) -> Iterator[LLMFramework]:
    with LLMFramework({"auto_discover_models": False, "default_model": "m"}) as framework:
        backend.install(framework)
        yield framework


def said(record: list[warnings.WarningMessage]) -> list[str]:
    """The texts of the warnings, all of which must point into this file."""
    assert all(item.filename == __file__ for item in record), [item.filename for item in record]
    assert all(issubclass(item.category, DeprecationWarning) for item in record)
    return [str(item.message) for item in record]


# -------------------------------------------------------------------------------------------------------- the settings
def test_every_older_parameter_is_mapped() -> None:
    """Each older parameter has become a setting of the agent's framework, and is still an attribute."""
    with pytest.warns(DeprecationWarning, match="older interface") as record:
        agent = UnifiedGemmaAgent(
            MODEL, AgentMode.LIGHTWEIGHT, max_new_tokens=7, temperature=0.25, top_p=0.5, verbose=True, device="cuda",
            use_8bit=True, max_iterations=3, tool_registry="tools", system_prompt="Be brief.",
        )  # fmt: skip
    config = agent.framework.config
    assert (config.default_model, config.default_max_tokens) == (MODEL, 7)
    assert (config.default_temperature, config.default_top_p) == (0.25, 0.5)
    assert (config.log_level, config.quantization) == ("DEBUG", "q8")
    assert (agent.model_name, agent.max_new_tokens, agent.temperature, agent.top_p) == (MODEL, 7, 0.25, 0.5)
    assert (agent.verbose, agent.device, agent.mode) == (True, "cuda", AgentMode.LIGHTWEIGHT)
    assert (agent.max_iterations, agent.tool_registry, agent.system_prompt) == (3, "tools", "Be brief.")
    (text,) = said(list(record))
    assert "FrameworkAgent('tiny-chat', default_max_tokens=7, default_temperature=0.25, default_top_p=0.5" in text
    for word in ("log_level='DEBUG'", "device is detected", "tools=[…]", "max_iterations"):
        assert word in text


@pytest.mark.parametrize(
    ("parameters", "now"),
    [
        ({"max_new_tokens": 9}, "default_max_tokens=9"),
        ({"temperature": 0.5}, "default_temperature=0.5"),
        ({"top_p": 0.5}, "default_top_p=0.5"),
        ({"verbose": True}, "log_level='DEBUG'"),
        ({"device": "cpu"}, "detected"),
    ],
)
def test_each_older_name_says_what_to_write(parameters: dict[str, Any], now: str) -> None:
    """An older name warns once, at the line that uses it, and names its successor."""
    with pytest.warns(DeprecationWarning, match="older interface") as record:
        FrameworkAgent(MODEL, **parameters)
    (text,) = said(list(record))
    assert next(iter(parameters)) in text
    assert now in text


def test_what_is_of_today_is_silent(framework: LLMFramework) -> None:
    """Nothing warns where no older name is used, and None for an older parameter is as if it were left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FrameworkAgent(MODEL, default_max_tokens=5, system_prompt="Be brief.")
        FrameworkAgent(framework=framework)
        FrameworkAgent(MODEL, max_new_tokens=None, temperature=None, top_p=None, verbose=False, device=None)
        LegacyAgentWrapper(framework)("Hello", max_tokens=3)
        upgrade_to_framework(SimpleNamespace(model_name=MODEL, max_new_tokens=5, temperature=0.5, device="cpu"))
        upgrade_to_framework()


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: FrameworkAgent(MODEL, temprature=1), errors.InvalidRequestError, ["temprature", "'temperature'"]),
        (lambda: FrameworkAgent(MODEL, temperature="hot"), errors.ConfigurationError, ["default_temperature", "hot"]),
        (lambda: UnifiedGemmaAgent(MODEL, "half"), errors.InvalidRequestError, ["AgentMode.FULL", "half"]),
        (lambda: FrameworkAgent(LLMFramework()), errors.InvalidRequestError, ["framework="]),  # type: ignore[arg-type]
        (lambda: FrameworkAgent(MODEL, framework="x"), errors.InvalidRequestError, ["framework="]),  # type: ignore[arg-type]
        (lambda: FrameworkAgent(framework=LLMFramework(), num_threads=2), errors.InvalidRequestError, ["num_threads"]),
        (lambda: upgrade_to_framework(config={"max_tokens": 1}), errors.InvalidRequestError, ["max_tokens"]),
        (lambda: upgrade_to_framework(config=[1]), errors.InvalidRequestError, ["list"]),  # type: ignore[arg-type]
        (lambda: upgrade_to_framework({"temperature": 1}), errors.InvalidRequestError, ["config="]),
        (lambda: LegacyAgentWrapper("x"), errors.InvalidRequestError, ["LLMFramework"]),  # type: ignore[arg-type]
    ],
)
def test_wrong_parameters(make: Any, kind: type[Exception], words: list[str]) -> None:
    """A parameter that is unknown or wrong is a typed error that names it."""
    with pytest.raises(kind) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


def test_older_mode_names() -> None:
    """The two modes are there, by name and by value, and the third is another name for the first."""
    assert [mode.name for mode in AgentMode] == ["FULL", "LIGHTWEIGHT"]
    assert AgentMode("full") is AgentMode.FULL
    assert AgentMode("native") is AgentMode.NATIVE is AgentMode.FULL
    with pytest.raises(ValueError, match="half"):
        AgentMode("half")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "expected"),
    [("google/gemma-2b-it", "gemma-2b-it"), ("openai:gpt-5.4", "openai:gpt-5.4"), ("gemma-2b-it", "gemma-2b-it")],
)
def test_older_model_names(name: str, expected: str) -> None:
    """A hub's name stands for the model of that name here; a provider's stays as it is."""
    assert FrameworkAgent(name).model_name == expected
    assert UnifiedGemmaAgent(name).model_name == expected
    assert upgrade_to_framework(SimpleNamespace(model_name=name)).config.default_model == expected


def test_a_model_by_its_folder(bundled_path: Path) -> None:
    """A folder's path is a model's name, as it was."""
    with FrameworkAgent(str(bundled_path), default_temperature=0, default_max_tokens=5) as agent:
        assert agent.generate_response("Hello")


# ---------------------------------------------------------------------------------------------------------- generation
async def test_the_agent_answers(framework: LLMFramework, backend: FakeBackend) -> None:
    """Both forms give the answer's text, the blocking one inside a running event loop too; the system prompt goes
    first."""
    agent = FrameworkAgent("m", framework, system_prompt="Be brief.")
    assert await agent.generate_response_async("Hello") == "one two three four"
    assert agent.generate_response("Hello") == "one two three four"
    assert [message.text for message in backend.requests[-1].messages] == ["Be brief.", "Hello"]
    assert await agent.generate_response_async("Hello", max_tokens=2) == "one two"


async def test_settings_of_a_shared_framework(framework: LLMFramework, backend: FakeBackend) -> None:
    """With a framework that is shared, an agent's settings are its own, and may be changed as attributes."""
    with pytest.warns(
        DeprecationWarning, match=r"FrameworkAgent\('m', framework=LLMFramework\(\{'default_max_tokens': 2"
    ):
        agent = FrameworkAgent("m", framework, max_new_tokens=2, temperature=0.1)
    other = FrameworkAgent("m", framework)
    assert await agent.generate_response_async("Hello") == "one two"
    assert backend.requests[-1].config.temperature == 0.1
    agent.max_new_tokens, agent.temperature, agent.top_p = 3, None, 0.3
    assert await agent.generate_response_async("Hello") == "one two three"
    assert (backend.requests[-1].config.temperature, backend.requests[-1].config.top_p) == (0.7, 0.3)
    assert (other.max_new_tokens, other.temperature, other.top_p) == (512, 0.7, None)
    assert await other.generate_response_async("Hello") == "one two three four"


async def test_a_shared_framework_stays_open(framework: LLMFramework, backend: FakeBackend) -> None:
    """An agent closes its own framework and nobody else's."""
    async with FrameworkAgent("m", framework) as agent:
        await agent.generate_response_async("Hello")
    agent.close()
    assert backend.unloads == 0
    own = FrameworkAgent("m", default_max_tokens=3)
    backend.install(own.framework)
    async with own:
        await own.generate_response_async("Hello")
    assert backend.unloads == 1
    with own:
        own.generate_response("Hello")
    assert backend.unloads == 2


def test_agents_in_threads(framework: LLMFramework) -> None:
    """One agent may be asked from many threads."""
    agent = FrameworkAgent("m", framework)
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(agent.generate_response("Hello"))) for _ in range(8)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["one two three four"] * 8


# ------------------------------------------------------------------------------------------------------ missing weights
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_missing_weights_are_explained() -> None:
    """Where the older default's weights are not on the machine, the error says where to put them and how to use the
    bundled model: in create_gemma_agent at once, else at the first use."""
    agent = UnifiedGemmaAgent()
    models = str(agent.framework.config.models_dir)
    for ask in (
        lambda: create_gemma_agent(),
        lambda: create_gemma_agent("google/gemma-2b-it", mode=AgentMode.FULL),
        lambda: agent.generate_response_async("Hello"),
        lambda: asyncio.to_thread(agent.generate_response, "Hello"),
    ):
        with pytest.raises(errors.ModelNotFoundError) as caught:
            await ask()
        for word in ("'gemma-2b-it'", models, "gemma-2b-it/", "gemma-2b-it.sbs", "gemma-2b-it.gguf", "'tiny-chat'"):
            assert word in str(caught.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_weights_that_are_there_are_found(
    bundled_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weights of that name in the models folder, the older defaults answer."""
    (tmp_path / "gemma-2b-it").symlink_to(bundled_path)
    monkeypatch.setenv("LLM_FRAMEWORK_MODELS_DIR", str(tmp_path))
    async with await create_gemma_agent(temperature=0, max_new_tokens=5) as agent:
        assert isinstance(agent, FrameworkAgent)
        assert agent.model_name == "gemma-2b-it"
        assert await agent.generate_response_async("Hello")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_configured_fallback_takes_over() -> None:
    """Where fallbacks are configured, a missing model is no error."""
    async with await create_gemma_agent(fallback_models=[MODEL], max_new_tokens=5) as agent:
        assert await agent.generate_response_async("Hello")


# ----------------------------------------------------------------------------------------------------- lines of callers
async def make_later() -> FrameworkAgent:
    return await create_gemma_agent(MODEL, temperature=0)


async def test_warnings_point_to_the_caller() -> None:
    """From plain and asynchronous code, tasks and subclasses, a warning stands at the line that used the older name."""

    class Mine(UnifiedGemmaAgent):
        def __init__(self) -> None:
            super().__init__(MODEL, temperature=0)

    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        UnifiedGemmaAgent(MODEL)
        agents = [await create_gemma_agent(MODEL), await asyncio.create_task(create_gemma_agent(MODEL))]
        agents.append(await asyncio.create_task(make_later()))
        Mine()
        upgrade_to_framework(config={"max_new_tokens": 5})
    for agent in agents:
        await agent.aclose()
    assert len(said(list(record))) == 6


PROGRAM = """
import asyncio
from llm_framework.integration import UnifiedGemmaAgent, create_gemma_agent

for attempt in range(3):
    agent = UnifiedGemmaAgent(model_name="tiny-chat", max_new_tokens=5, temperature=0.0)  # the agent's line
    print(agent.generate_response("Hello"))


async def main():
    agent = await create_gemma_agent("tiny-chat", max_new_tokens=5, temperature=0.0)  # the function's line
    print(agent.generate_response("Hello"))
    print(await agent.generate_response_async("Hello"))


asyncio.run(main())
"""


def test_a_program_says_it_once(tmp_path: Path) -> None:
    """An older program runs as it stands, closes nothing, ends well, and warns once a line."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.splitlines()
    assert len(answers) == 5
    assert len(set(answers)) == 1
    assert done.stderr.count("DeprecationWarning") == 2
    assert "# the agent's line" in done.stderr
    assert "# the function's line" in done.stderr


# ------------------------------------------------------------------------------------------------- upgrade and wrapper
def test_upgrade_from_an_object_with_some_attributes() -> None:
    """Any object will do; what it lacks is a default, what has no counterpart is left."""
    config = upgrade_to_framework(SimpleNamespace(max_new_tokens=33, verbose=True, device="cuda", other=1)).config
    assert (config.default_max_tokens, config.log_level) == (33, "DEBUG")
    assert (config.default_temperature, config.default_model) == (0.7, None)
    assert upgrade_to_framework().config.default_max_tokens == 512


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_upgrade_from_an_agent_of_ours() -> None:
    """An agent under the older name upgrades to a framework with its settings, also those set later."""
    agent = UnifiedGemmaAgent(MODEL, max_new_tokens=5, temperature=0.5)
    agent.temperature = 0.0
    with upgrade_to_framework(agent) as framework:
        assert (framework.config.default_model, framework.config.default_temperature) == (MODEL, 0.0)
        assert framework.sync.generate_text("Hello") == agent.generate_response("Hello")
    agent.close()


def test_upgrade_from_settings() -> None:
    """A dict of older settings, mixed with those of today, goes before what an agent has, and warns of its names."""
    with pytest.warns(DeprecationWarning, match="older interface") as record:
        framework = upgrade_to_framework(
            SimpleNamespace(temperature=0.1, top_p=0.2),
            config={"temperature": 0.9, "max_new_tokens": 5, "num_threads": 2, "device": "cpu", "system_prompt": "x"},
        )
    config = framework.config
    assert (config.default_temperature, config.default_top_p, config.default_max_tokens) == (0.9, 0.2, 5)
    assert config.num_threads == 2
    (text,) = said(list(record))
    assert "LLMFramework({'default_temperature': 0.9, 'default_top_p': 0.2, 'default_max_tokens': 5})" in text


async def test_wrapper(framework: LLMFramework, backend: FakeBackend) -> None:
    """The wrapper is called with a prompt or many, blocking, here inside a running event loop."""
    wrapper = LegacyAgentWrapper(framework, model_name="m")
    assert wrapper("Hello") == wrapper.generate("Hello") == "one two three four"
    backend.answers = ["a b c", "d e f"]
    backend.requests.clear()
    assert wrapper.batch_generate(["x", "y"], max_concurrency=1) == ["a b c", "d e f"]
    assert wrapper.batch_generate([]) == []
    with pytest.warns(DeprecationWarning, match="max_tokens=1") as record:
        assert wrapper("x", max_new_tokens=1) == "a"
    said(list(record))
    with pytest.raises(errors.ModelNotFoundError):
        LegacyAgentWrapper(framework, "nobody")("Hello")
