"""LangChain's own integration tests of a chat model, through the OpenAI-compatible backend and real HTTP. The server's
answers are made from the request's own words: what is tested is the way there and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from servers import small_model
from servers.chat_server import ChatServer
from standard_suite import StandardIntegrationTests


class TestOpenAICompatible(StandardIntegrationTests):
    """Everything is on but images, which these tests would fetch from the network, documents, sound and video."""

    server: ChatServer

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def running_server(cls) -> Iterator[None]:
        """The server, as long as the tests run."""
        with ChatServer(handler=small_model.answer) as server:
            cls.server = server
            yield

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "small", "base_url": self.server.url, "api_key": "sk-standard-tests"}

    @property
    def model_override_value(self) -> str:
        return "small-too"
