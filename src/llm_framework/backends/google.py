"""`GoogleBackend`: Gemini, by Google's own API or on Vertex AI."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import httpx

from .. import secrets
from ..embedding import EmbeddingLimits, EmbeddingRequest, Embeddings
from ..errors import AuthenticationError, LLMFrameworkError, UnsupportedFeatureError
from ..types import Chunk, InferenceRequest
from .google_sdk import Locator, Place, RefusedError, frames_of, is_vertex
from .http.backend import DRAIN_TIME, HttpBackend, HttpCall, is_short
from .protocols import embeddings, gemini_errors, gemini_models, gemini_request, http_errors, media
from .protocols.answer_reader import AnswerReader
from .protocols.gemini_response import GeminiReader
from .protocols.http_errors import ErrorBody
from .protocols.sse import SSEDecoder

if TYPE_CHECKING:
    from ..registry import ModelInfo

EXAMPLE_URL = "https://generativelanguage.googleapis.com"
TOKEN_TIME = 60.0  # seconds for which a token of Vertex is kept: the SDK renews it minutes before its end


@dataclass(slots=True)
class GeminiCall(HttpCall):
    """One request to Gemini, whose parameters stand in `generationConfig`."""

    def drop(self, parameter: str) -> None:
        """Leave a parameter out, and say so in the answer."""
        for name in self.sent.pop(parameter, ()):
            self.body["generationConfig"].pop(name, None)
        self.dropped.append(parameter)


class GoogleBackend(HttpBackend):
    """One Gemini model.

    Settings: `api_key`; `base_url` and `api_version` as Google's SDK takes them in `http_options` (without them, the
    SDK's own); `headers` and `extra_body` (sent with every request, such as `safetySettings` or `cachedContent`);
    `connect_timeout` in seconds. For Vertex AI: `vertexai: true`, `project`, `location`, and `credentials` (of
    `google.auth`, given in code) where the machine's own are not meant. `client`: a `google.genai.Client` of one's
    own, given in code, through which everything then goes.
    """

    def __init__(self, model_info: ModelInfo, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(model_info, settings)
        self._is_vertex = is_vertex(self.settings)
        if self.settings.get("base_url"):
            self.checked_url(self.settings["base_url"], "", EXAMPLE_URL)
        self._locator: Locator | None = None
        self._place: Place | None = None
        self._place_ends = 0.0
        self._locating = threading.Lock()
        self._client: Any = self.settings.get("client")
        self.dialect = gemini_request.dialect_of(self.model)
        self._refused: set[str] = set()  # parameters that the server turned out not to take

    # ------------------------------------------------------------------------------------------------------ the place
    @property
    def base_url(self) -> httpx.URL:
        """The model's address; known when the first request has been prepared."""
        return self._place.url if self._place is not None else httpx.URL(self.settings.get("base_url") or EXAMPLE_URL)

    async def load_model(self) -> None:
        """Read the certificates, and have the SDK say where the model is. Raises `MissingDependencyError`,
        `ConfigurationError` and `AuthenticationError`; nothing is sent but for a token of Vertex."""
        await super().load_model()
        if self._client is None:
            await self._located()

    async def unload_model(self) -> None:
        """Close the connections, on every event loop."""
        await super().unload_model()
        locator, self._locator, self._place = self._locator, None, None
        if locator is not None:
            await anyio.to_thread.run_sync(locator.close)

    async def _located(self) -> Place:
        place = self._place
        if place is None or (self._is_vertex and time.monotonic() > self._place_ends):
            # Where fetching a token hangs, the request's deadline ends the wait for it.
            place = await anyio.to_thread.run_sync(self._locate, abandon_on_cancel=True)
        return place

    def _locate(self) -> Place:
        with self._locating:
            return self._locate_alone()

    def _locate_alone(self) -> Place:
        if self._locator is None:
            key = self._plain_key()
            if key is None and not self._is_vertex and not self.settings.get("base_url"):
                message = f"no key for {self.who}: set api_key in api_credentials, or GOOGLE_API_KEY in the environment"
                raise AuthenticationError(message, provider=self.who, model=self.model)
            self._locator = Locator(self.settings, key, self.who)
        place = self._locator.place(self.model)
        token = place.headers.get("authorization", "").removeprefix("Bearer ")
        if token:
            secrets.remember(token)
        self._place, self._place_ends = place, time.monotonic() + TOKEN_TIME
        self._headers = self._fixed_headers()
        return place

    def key_headers(self, key: str | None) -> Mapping[str, str]:
        """What the SDK puts into the headers: the key, or Vertex's token."""
        return self._place.headers if self._place is not None else {}

    async def headers(self) -> httpx.Headers:
        """The headers of every request."""
        await self._located()
        return await super().headers()

    # ------------------------------------------------------------------------------------------------- before sending
    async def prepared(self, request: InferenceRequest) -> HttpCall:
        """The request as Gemini wants it, without what this model is known not to take."""
        streamed = request.streaming or not is_short(request)
        url = self.base_url
        if self._client is None:
            place = await self._located()
            url = place.method("streamGenerateContent", alt="sse") if streamed else place.method("generateContent")
        call = GeminiCall(request, url, {}, streamed=streamed)
        await self._write(call)
        return call

    async def _write(self, call: HttpCall) -> None:
        """The body, as the model's dialect has it now."""
        call.body = await self._body(call.request)
        call.sent, unknown = gemini_request.parameters(call.request.config, self.dialect)
        call.dropped.clear()
        for name in unknown:
            self.leave_out(call, name)
        for name in self._refused & set(call.sent):
            if call.may_drop(name):
                call.drop(name)
        for fields in call.sent.values():
            call.body["generationConfig"].update(fields)
        _merge(call.body, self.settings.get("extra_body") or {})

    async def _body(self, request: InferenceRequest) -> dict[str, Any]:
        if media.needs_files(request):
            return await anyio.to_thread.run_sync(gemini_request.request_body, request, self.dialect)
        return gemini_request.request_body(request, self.dialect)

    async def yields_to(self, status: int, refusal: ErrorBody, call: HttpCall) -> bool:
        """Whether the server said what it does not take, and the call can be said otherwise or do without."""
        dialect = gemini_request.restated(refusal.message, self.dialect)
        if dialect is not None:
            self.dialect = dialect
            await self._write(call)
            return True
        name = gemini_request.refused_parameter(refusal.message, call.sent)
        if name is None:
            return False
        self.leave_out(call, name, f": {secrets.redact(refusal.message)}")
        self._refused.add(name)
        return True

    # ------------------------------------------------------------------------------------------------ after an answer
    def new_reader(self, call: HttpCall) -> AnswerReader:
        """What reads Gemini's answers."""
        return GeminiReader(self.who, self.model, [tool.name for tool in call.request.tools])

    def answer(self, call: HttpCall, reader: AnswerReader, data: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Send the call, and read what comes: by our own way, or through the client that was given."""
        return super().answer(call, reader, data) if self._client is None else self._through_client(call, reader)

    async def _through_client(self, call: HttpCall, reader: AnswerReader) -> AsyncGenerator[Chunk, None]:
        assert isinstance(reader, GeminiReader)
        while True:
            try:
                async with aclosing(frames_of(self._client, self.model, call.body)) as frames:
                    async for value in frames:
                        for chunk in reader.frame(value):
                            yield chunk
                break
            except RefusedError as refused:
                refusal = http_errors.from_json(refused.body)
                retried = not reader.begun and http_errors.is_refusal(refused.status, refusal)
                if not retried or not await self.yields_to(refused.status, refusal, call):
                    error = gemini_errors.error_of(refused.status, refused.body, who=self.who, model=self.model)
                    raise error from None
            except (LLMFrameworkError, httpx.HTTPError):
                raise
            except Exception as error:  # of the HTTP library that the client was made with
                raise self.broken(f"the client's connection broke ({type(error).__name__})", reader.shown) from None
        self._check_end(reader)

    def _check_end(self, reader: AnswerReader) -> None:
        if reader.begun and reader.finish_reason is None:
            raise self.broken("the stream ended without its end mark", reader.shown)

    async def _read_stream(self, response: httpx.Response, reader: AnswerReader) -> AsyncGenerator[Chunk, None]:
        """The protocol has no end mark but the reason to finish, after which more may come: the count of tokens, a
        signature. So it is read to its end, which then need not be orderly any more."""
        decoder = SSEDecoder()
        pieces = response.aiter_bytes()
        while (data := await _next(pieces, reader)) is not None:
            for event in decoder.feed(data):
                for chunk in reader.event(event):
                    yield chunk
        self._check_end(reader)

    def _refusal(self, response: httpx.Response, body: ErrorBody) -> LLMFrameworkError:
        return gemini_errors.refined(super()._refusal(response, body), body.value)

    # --------------------------------------------------------------------------------------------------- other wishes
    async def count_tokens(self, request: InferenceRequest) -> int | None:
        """The tokens of the prompt, tools and instructions included, as Google counts them; None where a client was
        given, which counts less than that."""
        if self._client is not None:
            return None
        place = await self._located()
        body = gemini_request.count_body(await self._body(request), None if self._is_vertex else place.resource)
        counted = await self.fetch("POST", place.method("countTokens"), body)
        total = counted.get("totalTokens") if isinstance(counted, Mapping) else None
        if not isinstance(total, int):
            raise self.bad("an answer without a count of tokens")
        return total

    async def available_models(self) -> list[ModelInfo]:
        """The models that this key may use."""
        self._need_gemini_api("available_models")
        place = await self._located()
        found: list[ModelInfo] = []
        query = {"pageSize": "1000"}
        while True:
            page = await self.fetch("GET", place.models.copy_merge_params(query))
            if not isinstance(page, Mapping) or not isinstance(page.get("models", []), list):
                raise self.bad("an answer without a list of models")
            found.extend(gemini_models.infos(page.get("models", []), self.who))
            if not page.get("nextPageToken") or query.get("pageToken") == page["nextPageToken"]:
                return found
            query["pageToken"] = str(page["nextPageToken"])

    embedding_limits = EmbeddingLimits(texts=100, bytes=300_000)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """A vector for each text."""
        self._need_gemini_api("embed")
        request.refuse_empty(self.who)
        place = await self._located()
        data: dict[str, Any] = {}
        body = embeddings.google_body(request, place.resource)
        answer = await self.fetch("POST", place.method("batchEmbedContents"), body, data)
        try:
            return Embeddings(embeddings.google_vectors(answer), embeddings.google_usage(answer), data)
        except embeddings.UNREADABLE:
            raise self.bad("an answer without embeddings") from None

    def _need_gemini_api(self, feature: str) -> None:
        if self._is_vertex or self._client is not None:
            message = f"{feature} is asked of the Gemini API with a key, not of Vertex AI or through a given client"
            raise UnsupportedFeatureError(message, feature=feature, provider=self.who, model=self.model)


async def _next(pieces: AsyncIterator[bytes], reader: AnswerReader) -> bytes | None:
    """The next bytes of a body; None at its end, and where an answer that is whole is not followed by more soon."""
    if reader.finish_reason is None:
        return await anext(pieces, None)
    try:
        with anyio.move_on_after(DRAIN_TIME):
            return await anext(pieces, None)
    except httpx.HTTPError:
        pass
    return None


def _merge(body: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Put `more` into the body, object into object."""
    for name, value in more.items():
        if isinstance(value, Mapping) and isinstance(body.get(name), dict):
            _merge(body[name], value)
        else:
            body[name] = value
