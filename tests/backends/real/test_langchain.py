"""LangChain's own integration tests of a chat model over llama-cpp-python's server.

What cannot pass there is marked with what the server does; nothing is skipped for the model's sake alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from servers.real_server import need_llama_cpp_python
from standard_suite import StandardIntegrationTests

from llm_framework import LLMFramework, errors

from .conftest import KEY, StartServer

need_llama_cpp_python()

RAMBLES = "the server holds the model to the form, but not the small model, which was not shown the tool, to an end"


class TestLlamaCppPython(StandardIntegrationTests):
    """Everything is on but images, documents, sound and video."""

    framework: LLMFramework

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def running_server(cls, start_llama: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        """The server, which lets one request wait for another."""
        with start_llama(n_ctx=2048, interrupt_requests=False) as server:
            credentials = {"local": {"provider": "llama_cpp_python", "base_url": server.url, "api_key": KEY}}
            models = str(tmp_path_factory.mktemp("none"))
            with LLMFramework({"models_dir": models, "api_credentials": credentials}) as framework:
                cls.framework = framework
                yield

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "local:tiny-chat", "framework": self.framework, "temperature": 0}

    @property
    def model_override_value(self) -> str:
        return "local:other"

    @pytest.mark.xfail(reason="the server calls no tool that it is not made to call", raises=AssertionError)
    @pytest.mark.parametrize("model", [{}, {"output_version": "v1"}], indirect=True)
    def test_agent_loop(self, model: BaseChatModel) -> None:  # type: ignore[override]
        super().test_agent_loop(model)

    @pytest.mark.xfail(
        reason='the server ignores "required": any of several tools is refused', raises=errors.UnsupportedFeatureError
    )
    def test_tool_choice(self, model: BaseChatModel) -> None:  # type: ignore[override]
        super().test_tool_choice(model)

    @pytest.mark.xfail(reason=RAMBLES, raises=AssertionError, strict=False)
    def test_bind_runnables_as_tools(self, model: BaseChatModel) -> None:  # type: ignore[override]
        super().test_bind_runnables_as_tools(model)

    @pytest.mark.xfail(reason=RAMBLES, raises=AssertionError, strict=False)
    def test_unicode_tool_call_integration(self, model: BaseChatModel) -> None:  # type: ignore[override]
        super().test_unicode_tool_call_integration(model)
