"""LangChain's own integration tests of a chat model, on the bundled model and the native engine."""

from __future__ import annotations

from typing import Any

from standard_suite import StandardIntegrationTests


class TestBundledModel(StandardIntegrationTests):
    """Everything the class can do is on; the bundled model reads text only, so images, documents and sound are off."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 128}

    @property
    def model_override_value(self) -> str:
        return "tiny-chat"
