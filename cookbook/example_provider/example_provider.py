"""A whole provider: `example:parrot` says the prompt again. Install it, and its models are used by name everywhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from llm_framework import BaseModelPlugin, Chunk, InferenceRequest, ModelBackend, ModelInfo, PluginMetadata, Usage


class ExampleBackend(ModelBackend):
    """One model. In earnest `load_model` connects or reads weights, and `stream` asks for the next piece."""

    async def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk]:
        """The last user text, word by word; a word is a token."""
        self.refuse(request, "tools", "response_format", "images")  # what is not done is refused, never left out
        text = self.settings.get("greeting", "") + request.last_user_text
        end = min([text.find(stop) for stop in request.config.stop if stop in text], default=len(text))
        words = re.findall(r"\s*\S+", text[:end])
        shown = words[: request.config.max_tokens]
        for word in shown:
            await asyncio.sleep(0)  # here a request that was cancelled, or closed, ends
            yield Chunk(text=word)
        reason = "length" if len(shown) < len(words) else "stop"
        yield Chunk(finish_reason=reason, usage=Usage(await self.count_tokens(request), len(shown)))

    async def count_tokens(self, request: InferenceRequest) -> int:
        """The words of the prompt."""
        return sum(len(message.text.split()) for message in request.messages)


class ExamplePlugin(BaseModelPlugin):
    """What the entry point names. Its settings are those under `plugins: example:` of the configuration."""

    settings: Mapping[str, Any] = {}

    @property
    def metadata(self) -> PluginMetadata:
        """`supported_backends` may stand before the colon of a model's name."""
        return PluginMetadata("example", "0.1.0", "says the prompt again", supported_backends=("example",))

    async def initialize(self, config: Mapping[str, Any]) -> None:
        """Called once, before the first model is asked for."""
        self.settings = config

    async def create_backend(self, info: ModelInfo) -> ModelBackend:
        """A backend for `info.metadata["model_id"]`, which is what stands after the colon."""
        return ExampleBackend(info, self.settings)
