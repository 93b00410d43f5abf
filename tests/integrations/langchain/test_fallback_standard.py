"""LangChain's own integration tests on a `FallbackChatModel` whose first member is missing: everything survives."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel
from standard_suite import StandardIntegrationTests

from langchain_llm_framework import FallbackChatModel


class TestFallback(StandardIntegrationTests):
    """The bundled model answers for one that does not exist; it reads text only."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return FallbackChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"models": ["a-model-that-is-not-here", "tiny-chat"], "temperature": 0, "max_tokens": 128}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"stop": []}

    @property
    def model_override_value(self) -> str:
        return "tiny-chat"
