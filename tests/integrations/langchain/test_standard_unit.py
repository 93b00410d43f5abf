"""LangChain's own unit tests of a chat model."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_llm_framework import FrameworkChatModel


class TestFrameworkChatModel(ChatModelUnitTests):
    """Every capability that the class has is on: tools, tool choice, structured output, JSON mode, model override.
    It reads no key from the environment (the framework's configuration does), so test_init_from_env has no case."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return FrameworkChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "tiny-chat"

    @pytest.mark.xfail(
        reason="the suite loads classes of LangChain's own packages only; test_chat_model.py has our round trip",
        raises=ValueError,
    )
    def test_serdes(self, model: BaseChatModel) -> None:  # type: ignore[override]
        from langchain_core.load import dumpd, load

        load(dumpd(model), valid_namespaces=model.get_lc_namespace()[:1], allowed_objects="all")
