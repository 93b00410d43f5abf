"""What both adapters share: which framework answers for a model, and with which credentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llm_framework import LLMFramework, adapters
from llm_framework.errors import ConfigurationError, InvalidRequestError
from llm_framework.types import InferenceRequest

Make = Callable[..., Any]


def test_one_framework_is_shared() -> None:
    """Adapters that name no framework share one in the process."""
    assert adapters.resolve(None)[0] is adapters.resolve("m")[0]


def test_a_given_framework_answers(scripted: Make) -> None:
    """A framework that is given is taken as it is, with the model's name."""
    framework, _ = scripted("x")
    assert adapters.resolve("m", framework=framework) == (framework, "m")
    assert adapters.resolve(None, framework=framework) == (framework, None)


@pytest.mark.parametrize(
    ("model", "base_url", "provider", "name"),
    [
        ("openai:gpt-x", None, "openai", "openai:gpt-x"),
        ("gpt-4o", None, "openai", "openai:gpt-4o"),
        ("claude-opus-4", None, "anthropic", "anthropic:claude-opus-4"),
        ("gemini-2.5-pro", None, "google", "google:gemini-2.5-pro"),
        ("my-model", "http://a.b/v1", "openai_compatible", "openai_compatible:my-model"),
        ("gpt-4o", "http://a.b/v1", "openai_compatible", "openai_compatible:gpt-4o"),
        ("llama3.2:1b", "http://a.b/v1", "openai_compatible", "openai_compatible:llama3.2:1b"),
        ("org/model:free", "http://a.b/v1", "openai_compatible", "openai_compatible:org/model:free"),
        ("ollama:llama3.2:1b", "http://a.b/v1", "ollama", "ollama:llama3.2:1b"),
        ("anthropic:claude-x", "http://a.b", "anthropic", "anthropic:claude-x"),
        ("provider:org/model:tag", None, "provider", "provider:org/model:tag"),
    ],
)
def test_credentials_belong_to_the_models_provider(model: str, base_url: str | None, provider: str, name: str) -> None:
    """A key and a URL go to the provider that the model's name says, without one to an OpenAI-compatible endpoint."""
    framework, resolved = adapters.resolve(model, api_key="sekrit", base_url=base_url)
    credentials = framework.config.api_credentials[provider]
    assert resolved == name
    assert credentials.base_url == base_url
    assert credentials.api_key is not None
    assert credentials.api_key.get_secret_value() == "sekrit"
    assert "sekrit" not in repr(framework.config)


def test_equal_credentials_share_a_framework() -> None:
    """Adapters with the same credentials share connections; others do not; and the number kept is bounded."""
    first = adapters.resolve("openai:a", api_key="k")[0]
    assert adapters.resolve("openai:b", api_key="k")[0] is first
    assert adapters.resolve("openai:a", api_key="l")[0] is not first
    assert adapters.resolve("google:a", api_key="k")[0] is not first
    for number in range(40):
        adapters.resolve("openai:a", api_key=f"k{number}")
    assert len(adapters._frameworks) <= 32


def test_credentials_need_a_model_and_no_framework(scripted: Make) -> None:
    """Credentials without a model's name, or beside a framework, cannot be meant so."""
    with pytest.raises(ConfigurationError, match="model name"):
        adapters.resolve(None, api_key="k")
    with pytest.raises(ConfigurationError, match="api_credentials"):
        adapters.resolve("openai:x", base_url="http://a.b", framework=scripted("x").framework)


def test_options_are_checked_by_name() -> None:
    """An unknown option is named; those of the adapter itself are let through."""
    adapters.check_options({"temperature": 0, "tools": [], "own": 1}, frozenset({"own"}))
    with pytest.raises(InvalidRequestError, match="'temprature'"):
        adapters.check_options({"temprature": 0})


def test_local_tokens(scripted: Make) -> None:
    """A local model counts its tokens; one that has no vocabulary gives no ids; one elsewhere is not asked."""
    framework, backend = scripted("x")
    assert adapters.count_tokens(framework, None, InferenceRequest("three words here")) == 3
    assert adapters.token_ids(framework, None, "three words here") is None
    assert backend.requests == []
    cloud = LLMFramework({"api_credentials": {"openai": {"api_key": "k"}}})
    assert adapters.count_tokens(cloud, "openai:gpt-x", InferenceRequest("hi")) is None
    assert adapters.token_ids(cloud, "nonesuch", "hi") is None
    bundled = adapters.token_ids(LLMFramework(), "tiny-chat", "hello there")
    assert bundled
    assert all(isinstance(token, int) for token in bundled)
