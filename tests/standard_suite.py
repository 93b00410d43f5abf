"""What LangChain's standard suites on our chat models have in common."""

from __future__ import annotations

from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests

from langchain_llm_framework import FrameworkChatModel


class StandardIntegrationTests(ChatModelIntegrationTests):
    """Everything the class can do is on; images, documents, sound and video are off."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return FrameworkChatModel

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True
