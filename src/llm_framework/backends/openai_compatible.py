"""`OpenAICompatibleBackend`: any server that speaks OpenAI's Chat Completions, over httpx."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
import anyio.to_thread
import httpx
from pydantic import SecretStr

from .. import secrets
from .._version import __version__
from ..errors import (
    AuthenticationError,
    BadResponseError,
    ConfigurationError,
    ConnectionFailedError,
    LLMFrameworkError,
    RequestTimeoutError,
    StreamInterruptedError,
    UnsupportedFeatureError,
)
from ..gateways import GATEWAYS, GENERIC, Gateway
from ..types import Chunk, InferenceRequest
from . import chat_request, http_errors
from .base import ModelBackend
from .chat_response import AnswerReader
from .http_client import HttpClient, LoopClients, tls_context
from .sse import SSEDecoder

if TYPE_CHECKING:
    from ..registry import ModelInfo

WHOLE_UP_TO = 2048  # tokens; a longer answer is streamed: gateways cut connections that stay silent for too long
DRAIN_TIME = (
    0.5  # seconds to wait for the end of a body whose end mark has come, so that its connection can serve again
)
DEFAULT_CONNECTIONS = 10


@dataclass(slots=True)
class _Call:
    """One request on its way to the server. `sent` are the parameters in the body, with their fields there."""

    request: InferenceRequest
    body: dict[str, Any]
    sent: dict[str, dict[str, Any]]
    dropped: list[str] = field(default_factory=list)

    def may_drop(self, parameter: str) -> bool:
        """Whether the parameter may be left out: it is a configured default, or the caller said so."""
        strict = self.request.metadata.get("strict_parameters", True)
        return not strict or parameter not in self.request.explicit

    def whole(self) -> _Call:
        """The same, its answer asked for in one piece."""
        self.body.pop("stream", None)
        self.body.pop("stream_options", None)
        return self

    def drop(self, parameter: str) -> None:
        for name in self.sent.pop(parameter, ()):
            self.body.pop(name, None)
        self.dropped.append(parameter)


class OpenAICompatibleBackend(ModelBackend):
    """One model at a server that speaks Chat Completions.

    Settings: `base_url` as OpenAI's SDK takes it (ending before `/chat/completions`), `api_key`, `provider` (a name of
    `gateways`, where the server is of that kind), `headers` and `extra_body` (sent with every request),
    `connect_timeout` in seconds.
    """

    def __init__(self, model_info: ModelInfo, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(model_info, settings)
        self._who = str(model_info.metadata.get("provider") or self.settings.get("provider") or model_info.backend_type)
        self._model = str(model_info.metadata.get("model_id") or model_info.name)
        self._gateway = _gateway_of(str(self.settings.get("provider") or self._who))
        self._url = self._chat_url()
        self._headers = self._request_headers()
        self._connect_timeout: float | None = self.settings.get("connect_timeout", 10.0)
        self._clients = LoopClients(self._new_client)
        self._refused: set[str] = set()  # parameters, and "stream_options", that the server turned out not to take
        self._max_tokens_field = self._gateway.field_of("max_tokens")

    def _new_client(self) -> HttpClient:
        idle = int(self.settings.get("max_concurrent_requests") or DEFAULT_CONNECTIONS)
        return HttpClient(self._url, connect_timeout=self._connect_timeout, max_idle=idle)

    async def load_model(self) -> None:
        """Read the certificates. Nothing is sent: the first request tells whether the server is there."""
        await anyio.to_thread.run_sync(tls_context)

    async def unload_model(self) -> None:
        """Close the connections, on every event loop."""
        await self._clients.close()

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[Chunk, None]:
        """The answer. Raises the typed error that the server's status or the broken connection stands for; one
        without its end mark is `ConnectionFailedError` before the first piece, `StreamInterruptedError` after it."""
        call = await self._prepared(request)
        reader = AnswerReader(self._who, self._model, request.config.stop)
        try:
            async with self._answered(call) as response:
                if "text/event-stream" in response.headers.get("content-type", "") or _is_streamed(call, response):
                    async for chunk in self._read_stream(response, reader):
                        yield chunk
                else:
                    for chunk in reader.body(await self._read_whole(response)):
                        yield chunk
                    reader.begun = True
            if not reader.begun:
                for chunk in reader.body(await self._whole_instead(call)):
                    yield chunk
        except httpx.HTTPError as error:
            raise self._explained(error, reader.shown) from None
        except LLMFrameworkError as error:
            error.message = secrets.redact(error.message)  # a server may repeat the key that it was sent
            error.args = (error.message,)
            raise
        yield reader.last(tuple(call.dropped))

    async def embed(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text, from the server's `/embeddings`."""
        url = self._url.copy_with(path=self._url.path.removesuffix("/chat/completions") + "/embeddings")
        content = json.dumps({"model": self._model, "input": texts}).encode()
        client = await self._clients.get()
        try:
            response = await client.post(url, self._headers, content)
            await response.aread()
        except httpx.HTTPError as error:
            raise self._explained(error, False) from None
        if response.status_code != 200:
            raise self._refusal(response)
        try:
            items = sorted(response.json()["data"], key=lambda item: item.get("index", 0))
            vectors = [[float(number) for number in item["embedding"]] for item in items]
        except (ValueError, KeyError, TypeError, AttributeError):
            self._bad("an answer without embeddings")
        if len(vectors) != len(texts):
            self._bad(f"{len(vectors)} embeddings for {len(texts)} texts")
        return vectors

    # ------------------------------------------------------------------------------------------------- before sending
    def _chat_url(self) -> httpx.URL:
        base = self.settings.get("base_url") or self._gateway.base_url
        if not base:
            message = f"{self._who!r} needs a base_url in api_credentials, such as http://127.0.0.1:8000/v1"
            raise ConfigurationError(message, provider=self._who)
        try:
            url = httpx.URL(str(base).rstrip("/") + "/chat/completions")
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"base_url of {self._who!r} is no URL: {error}", provider=self._who) from None
        if url.scheme not in ("http", "https") or not url.host:
            message = f"base_url of {self._who!r} must begin with http:// or https:// and name a host"
            raise ConfigurationError(message, provider=self._who)
        return url

    def _request_headers(self) -> httpx.Headers:
        headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # a compressed stream may be held back until a block is full
            "User-Agent": f"llm-framework/{__version__}",
        }
        key = self.settings.get("api_key")
        plain = key.get_secret_value() if isinstance(key, SecretStr) else key
        if plain:
            secrets.remember(plain)
            if not (plain.isascii() and plain.isprintable()):  # the error of the HTTP library would repeat it
                message = f"the key for {self._who} holds characters that no header can carry; was it copied whole?"
                raise AuthenticationError(message, provider=self._who)
            headers["Authorization"] = f"Bearer {plain}"
        headers.update({str(name): str(value) for name, value in dict(self.settings.get("headers") or {}).items()})
        return httpx.Headers(headers)

    async def _prepared(self, request: InferenceRequest) -> _Call:
        body = await self._body(request)
        sent, unknown = chat_request.parameters(request.config, self._gateway)
        call = _Call(request, body, sent)
        for name in unknown:
            self._leave_out(call, name)
        for name in self._refused & set(sent):
            if call.may_drop(name):
                call.drop(name)
        for fields in call.sent.values():
            body.update(fields)
        self._rename_max_tokens(call)
        if request.streaming or not _is_short(request):
            body["stream"] = True
            if self._gateway.stream_usage and "stream_options" not in self._refused:
                body["stream_options"] = {"include_usage": True}
        body.update(self.settings.get("extra_body") or {})
        return call

    async def _body(self, request: InferenceRequest) -> dict[str, Any]:
        if chat_request.needs_files(request):
            return await anyio.to_thread.run_sync(chat_request.request_body, request, self._model, self._gateway)
        return chat_request.request_body(request, self._model, self._gateway)

    def _leave_out(self, call: _Call, parameter: str) -> None:
        """Drop a parameter that this server does not take, or raise where the caller asked for it."""
        if not call.may_drop(parameter):
            hint = "; if it is one of them, name its kind as provider in api_credentials (vllm, llamacpp, …)"
            message = f"{self._model!r} at {self._who} takes no {parameter}"
            message += (
                hint if self._gateway is GENERIC and parameter in ("top_k", "min_p", "repetition_penalty") else ""
            )
            raise UnsupportedFeatureError(message, feature=parameter, provider=self._who, model=self._model)
        call.drop(parameter)

    def _rename_max_tokens(self, call: _Call) -> None:
        fields = call.sent.get("max_tokens")
        if fields and self._max_tokens_field and self._max_tokens_field not in fields:
            for name in fields:
                call.body.pop(name, None)
            fields = call.sent["max_tokens"] = {self._max_tokens_field: call.request.config.max_tokens}
            call.body.update(fields)

    # ------------------------------------------------------------------------------------------------------- sending
    @asynccontextmanager
    async def _answered(self, call: _Call, client: HttpClient | None = None) -> AsyncIterator[httpx.Response]:
        """The response to the call, its body still to be read. What the server refuses and may be left out is left
        out, and the call sent again."""
        while True:
            response = await self._send(call.body, client)
            try:
                if response.status_code == 200:
                    yield response
                    return
                await response.aread()
                error = self._refusal(response)
                if not await self._yields_to(response, call):
                    raise error
            finally:
                await response.aclose()

    async def _whole_instead(self, call: _Call) -> Any:
        """The body of the answer whose stream ended without a word: what was wrong with it is said to one who asks for
        the whole. Goes over a connection of its own, since the server may close the one on which it fell silent."""
        client = self._new_client()
        try:
            async with self._answered(call.whole(), client) as response:
                return await self._read_whole(response)
        finally:
            await client.aclose()

    async def _send(self, body: Mapping[str, Any], client: HttpClient | None) -> httpx.Response:
        try:
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:  # half of a surrogate pair: JSON can say it escaped
            content = json.dumps(body).encode()
        client = client or await self._clients.get()
        return await client.post(self._url, self._headers, content)

    async def _yields_to(self, response: httpx.Response, call: _Call) -> bool:
        """Whether the call was changed to what the server said it does not take."""
        body = http_errors.read_body(response.content)
        if not http_errors.is_refusal(response.status_code, body):
            return False
        if (gateway := chat_request.restated(call.body, body.message, self._gateway)) is not None:
            self._gateway = gateway
            call.body.update({**await self._body(call.request), **(self.settings.get("extra_body") or {})})
            return True
        if "stream_options" in call.body and body.refuses("stream_options"):
            self._refused.add("stream_options")
            del call.body["stream_options"]
            return True
        if "max_tokens" in call.body and "max_completion_tokens" in body.message:
            self._max_tokens_field = "max_completion_tokens"
            self._rename_max_tokens(call)
            return True
        for name, fields in call.sent.items():
            if any(body.refuses(field) for field in fields):
                self._leave_out(call, name)
                self._refused.add(name)
                return True
        return False

    # ------------------------------------------------------------------------------------------------------- reading
    async def _read_stream(self, response: httpx.Response, reader: AnswerReader) -> AsyncGenerator[Chunk, None]:
        decoder = SSEDecoder()
        pieces = response.aiter_bytes()
        async for data in pieces:
            for event in decoder.feed(data):
                for chunk in reader.frame(event.data):
                    yield chunk
                if reader.ended:
                    break
            if reader.ended:
                break
        if reader.ended:
            await self._drain(pieces, reader)
        elif reader.finish_reason is None and reader.begun:
            raise self._broken("the stream ended without its end mark", reader.shown)

    async def _drain(self, pieces: AsyncIterator[bytes], reader: AnswerReader) -> None:
        """Read to the end of a body whose end mark has come. One that breaks now was cut short if it gave no reason
        to finish: so does a server that drops one answer to begin another."""
        try:
            with anyio.move_on_after(DRAIN_TIME):
                async for _ in pieces:
                    pass
        except httpx.HTTPError:
            if reader.finish_reason is None:
                raise

    async def _read_whole(self, response: httpx.Response) -> Any:
        content = await response.aread()
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            start = " ".join(content[:200].decode(errors="replace").split())
            self._bad(f"an answer that is not JSON: {start!r}; is base_url right?")

    # -------------------------------------------------------------------------------------------------------- errors
    def _refusal(self, response: httpx.Response) -> LLMFrameworkError:
        """The error that a response other than 200 stands for."""
        status = response.status_code
        if 300 <= status < 400:
            message = f"{self._who} redirects to another address, which is not followed; set base_url to that"
            return ConfigurationError(message, provider=self._who, model=self._model, status=status)
        body = http_errors.read_body(response.content)
        error = http_errors.error_of(status, body, who=self._who, model=self._model, headers=response.headers)
        error.message = secrets.redact(error.message)
        error.args = (error.message,)
        return error

    def _explained(self, error: httpx.HTTPError, shown: bool) -> LLMFrameworkError:
        """An error of httpx as ours. Its own text is kept out where it could hold what was sent."""
        if isinstance(error, httpx.ConnectTimeout):
            seconds = self._connect_timeout
            message = f"no connection to {self._origin} within {seconds:g} s; raise connect_timeout if it is that slow"
            return RequestTimeoutError(message, limit="connect", seconds=seconds, provider=self._who, model=self._model)
        if isinstance(error, httpx.ConnectError):
            return ConnectionFailedError(
                f"no connection to {self._origin}: {error or 'refused'}; is the server running, and base_url right?",
                provider=self._who,
                model=self._model,
            )
        if isinstance(error, httpx.DecodingError):
            return BadResponseError(f"{self._who} sent a body that cannot be decoded", provider=self._who)
        return self._broken(f"the connection broke ({type(error).__name__})", shown)

    def _broken(self, what: str, shown: bool) -> LLMFrameworkError:
        kind = StreamInterruptedError if shown else ConnectionFailedError
        return kind(f"{what}, while {self._who} was answering", provider=self._who, model=self._model)

    def _bad(self, what: str) -> NoReturn:
        raise BadResponseError(f"{self._who} sent {what}", provider=self._who, model=self._model)

    @property
    def _origin(self) -> str:
        port = f":{self._url.port}" if self._url.port else ""
        return f"{self._url.scheme}://{self._url.host}{port}"


def _gateway_of(name: str) -> Gateway:
    return GATEWAYS.get(name, GENERIC)


def _is_short(request: InferenceRequest) -> bool:
    config = request.config
    return config.max_tokens is not None and config.max_tokens <= WHOLE_UP_TO and config.thinking in (None, "off", 0)


def _is_streamed(call: _Call, response: httpx.Response) -> bool:
    """Whether a body that is not called a stream is one: asked for, and not called JSON."""
    return bool(call.body.get("stream")) and "json" not in response.headers.get("content-type", "text/html")
