"""The backend under test: asked, waited for with patience, and its answers looked over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..backends.base import ModelBackend
from ..registry.model_info import ModelInfo
from ..types import Chunk, GenerationConfig, InferenceRequest, InferenceResponse, ResponseBuilder

T = TypeVar("T")

LENGTH = 64  # tokens of an ordinary answer


@dataclass
class Subject:
    """What the checks share. `text` is the answer to the prompt; `repeats` says that it is always the same."""

    backend_class: type[ModelBackend]
    model_info: ModelInfo
    settings: Mapping[str, Any] | None
    prompt: str
    tools: bool
    response_format: bool
    patience: float
    failing_info: ModelInfo | None = None
    failing_settings: Mapping[str, Any] | None = None
    backend: ModelBackend | None = None
    text: str = ""
    repeats: bool = False

    @property
    def is_simple(self) -> bool:
        """Whether the backend overrides only `generate_text` or `generate_stream`: then nobody counts its tokens, and
        it does not say why an answer ended."""
        return self.backend_class.stream is ModelBackend.stream

    @property
    def loaded(self) -> ModelBackend:
        """The backend, once it was made."""
        assert self.backend is not None
        return self.backend

    def new(self) -> ModelBackend:
        """One more backend of the same kind, not loaded."""
        return self.backend_class(self.model_info, self.settings)

    async def close(self) -> None:
        """Free what the checks loaded, whatever became of them."""
        if self.backend is not None:
            try:
                await self.patiently(self.backend.unload_model(), "unload_model")
            except Exception:  # a check has said so
                pass

    # ---------------------------------------------------------------------------------------------------------- asking
    def request(self, prompt: str | None = None, /, **fields: Any) -> InferenceRequest:
        """A request for a short answer, always the same one. What is not a field of requests is one of
        `GenerationConfig`."""
        given = {"max_tokens": LENGTH, "temperature": 0.0, **fields}
        outer = {name: given.pop(name) for name in tuple(given) if name in _OF_REQUESTS}
        if "messages" not in outer:
            outer["prompt"] = self.prompt if prompt is None else prompt
        return InferenceRequest(config=GenerationConfig(**given), explicit=frozenset(given), **outer)

    async def answer(self, request: InferenceRequest, backend: ModelBackend | None = None) -> InferenceResponse:
        """The whole answer, its chunks looked over."""
        backend = backend or self.loaded

        async def collect() -> list[Any]:
            return [item async for item in backend.stream(request)]

        return self.look_over(await self.patiently(collect(), "a whole answer"))

    def look_over(self, items: list[Any]) -> InferenceResponse:
        """The response that the items add up to; an `AssertionError` where they are no proper stream."""
        builder = ResponseBuilder()
        is_over = False
        for item in items:
            assert isinstance(item, (Chunk, str)), f"a stream yields Chunk or str, not {type(item).__name__}"
            chunk = Chunk(text=item) if isinstance(item, str) else item
            _check_text(chunk)
            shows = bool(chunk.text or chunk.thinking or chunk.tool_call)
            assert not (is_over and shows), "nothing visible comes after the chunk with the finish_reason"
            assert not (is_over and chunk.finish_reason), "a stream gives its finish_reason once"
            is_over = is_over or chunk.finish_reason is not None
            builder.add(chunk)
        assert is_over, "a stream ends with a chunk that has a finish_reason"
        assert builder.usage is not None or self.is_simple, (
            "a stream gives its usage, with the finish_reason at the latest"
        )
        return builder.response()

    async def patiently(self, awaitable: Awaitable[T], what: str) -> T:
        """The result, if it comes in time."""
        try:
            return await asyncio.wait_for(awaitable, self.patience)
        except (asyncio.TimeoutError, TimeoutError) as error:
            if type(error).__module__ not in ("builtins", "asyncio.exceptions"):  # the backend's own
                raise
            raise AssertionError(f"{what} took more than {self.patience:g} s") from None


_OF_REQUESTS = ("messages", "tools", "tool_choice", "response_format", "streaming")


def _check_text(chunk: Chunk) -> None:
    for text in (chunk.text, chunk.thinking):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise AssertionError(f"a piece of text holds half a character: {text!r}") from None
