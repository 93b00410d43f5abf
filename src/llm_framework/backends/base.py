"""`ModelBackend`: what every backend is, ours and a stranger's alike.

A backend turns one `InferenceRequest` into a stream of `Chunk`s. Retries, deadlines, limits, fallbacks, hooks and
metrics are the engine's; a backend only does the work and raises the typed errors of `llm_framework.errors`.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from .. import secrets
from ..embedding import EmbeddingLimits, EmbeddingRequest, Embeddings
from ..errors import UnsupportedFeatureError
from ..types import Chunk, GenerationConfig, ImagePart, InferenceRequest, Message

if TYPE_CHECKING:
    from ..registry import ModelInfo


class ModelBackend(ABC):  # noqa: B024 - which of three methods to override is the subclass's choice
    """One loaded or reachable model.

    A subclass overrides `stream` (or, for the simplest ones, only `generate_text` or `generate_stream`: then it is
    adapted, and tools or a response_format raise `UnsupportedFeatureError`). `settings` is what the configuration
    holds for this backend (credentials, device, threads); a backend reads no environment variable itself.
    """

    def __init__(self, model_info: ModelInfo, settings: Mapping[str, Any] | None = None) -> None:
        self.model_info = model_info
        self.settings: Mapping[str, Any] = secrets.Hidden(settings or {})
        secrets.remember_settings(self.settings)

    async def load_model(self) -> None:  # noqa: B027 - optional
        """Make ready to answer: read weights, check a key. Called once, before the first `stream`; may be called again.

        Raises `ModelLoadError`, `ConfigurationError` or `AuthenticationError`.
        """

    async def unload_model(self) -> None:  # noqa: B027 - optional
        """Free what `load_model` took: memory, threads, connections. Safe to call twice."""

    def stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:
        """Answer `request`: text, thinking and tool-call pieces as they come, then one chunk with `finish_reason` and
        `usage`. Closing the iterator (or cancelling the task) stops the work underneath. A str counts as text."""
        return self._adapted_stream(request)

    async def generate_text(self, prompt: str, config: GenerationConfig = GenerationConfig()) -> str:
        """The answer's text to a plain prompt."""
        stream = self.stream(InferenceRequest(prompt, config=config))
        return "".join([str(chunk) async for chunk in stream])

    def generate_stream(self, prompt: str, config: GenerationConfig = GenerationConfig()) -> AsyncIterator[Chunk | str]:
        """The answer to a plain prompt, in pieces."""
        return self.stream(InferenceRequest(prompt, config=config))

    async def count_tokens(self, request: InferenceRequest) -> int | None:
        """The tokens of the request's prompt as this model counts them, or None where it cannot be known."""
        return None

    embedding_limits = EmbeddingLimits()
    """What one call of `embed` may hold; the engine cuts longer requests."""

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """A vector for each of the request's texts. Raises `UnsupportedFeatureError` where the model makes none."""
        message = (
            f"{self.model_info.name!r} ({self.model_info.backend_type}) makes no embeddings; name a model that does, "
            "such as openai:text-embedding-3-small or transformers:/folder/of/an/embedding/model"
        )
        raise UnsupportedFeatureError(message, feature="embeddings", model=self.model_info.name)

    async def available_models(self) -> list[ModelInfo]:
        """The models that the provider offers now, named as they are asked for after `provider:`. Raises
        `UnsupportedFeatureError` where it cannot be asked."""
        message = f"{type(self).__name__} cannot list the models there are"
        raise UnsupportedFeatureError(message, feature="available_models", model=self.model_info.name)

    def refuse(self, request: InferenceRequest, *features: Literal["tools", "response_format", "images"]) -> None:
        """Raise `UnsupportedFeatureError` where the request asks for one of these: what a backend cannot do it has to
        refuse, never to leave out in silence."""
        parts = (part for message in request.messages for part in message.parts)
        asked = {
            "tools": bool(request.tools),
            "response_format": request.response_format is not None,
            "images": any(isinstance(part, ImagePart) for part in parts),
        }
        for feature in features:
            if asked[feature]:
                message = f"{type(self).__name__} cannot take {feature}; use another model for that"
                raise UnsupportedFeatureError(message, feature=feature, model=self.model_info.name)

    async def _adapted_stream(self, request: InferenceRequest) -> AsyncIterator[Chunk | str]:
        overridden = _overrides(self)
        if not overridden:
            raise NotImplementedError(f"{type(self).__name__} overrides none of stream, generate_stream, generate_text")
        self.refuse(request, "tools", "response_format", "images")
        prompt = as_plain_prompt(request.messages)
        if "generate_stream" in overridden:
            async for chunk in self.generate_stream(prompt, request.config):
                yield chunk
        else:
            yield await self.generate_text(prompt, request.config)
        yield Chunk(finish_reason="stop")


def _overrides(backend: ModelBackend) -> set[str]:
    names = ("generate_stream", "generate_text")
    return {name for name in names if getattr(type(backend), name) is not getattr(ModelBackend, name)}


def as_plain_prompt(messages: tuple[Message, ...]) -> str:
    """A chat as one text, for backends that take no messages: a single user message is its text alone, more are
    written with their roles."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].text
    return "\n\n".join(f"{message.role}: {message.text}" for message in messages) + "\n\nassistant:"
