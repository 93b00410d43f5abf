"""LangChain's own integration tests of a chat model, on the bundled model and the native engine."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_llm_framework import FrameworkChatModel


class TestBundledModel(ChatModelIntegrationTests):
    """Everything the class can do is on; the bundled model reads text only, so images, documents and sound are off."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return FrameworkChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 128}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "tiny-chat"
