"""`HttpBackend`: the way of one request to a provider over HTTP and back, the same for every protocol."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import httpx
from pydantic import SecretStr

from ... import redaction, secrets
from ..._version import __version__
from ...errors import (
    AuthenticationError,
    BadResponseError,
    ConfigurationError,
    ConnectionFailedError,
    LLMFrameworkError,
    StreamInterruptedError,
    UnsupportedFeatureError,
)
from ...types import Chunk, InferenceRequest
from ..base import ModelBackend
from ..protocols import http_errors, rate_limit_headers
from ..protocols.answer_reader import AnswerReader
from ..protocols.http_errors import ErrorBody
from ..protocols.sse import SSEDecoder
from .client import (
    LARGEST_ANSWER,
    LARGEST_LIST,
    HttpClient,
    LoopClients,
    checked_headers,
    connect_error,
    read_at_most,
    read_whole,
    tls_context,
)

if TYPE_CHECKING:
    from ...registry import ModelInfo

WHOLE_UP_TO = 2048  # tokens; a longer answer is streamed: gateways cut connections that stay silent for too long
DRAIN_TIME = (
    0.5  # seconds to wait for the end of a body whose end mark has come, so that its connection can serve again
)
DEFAULT_CONNECTIONS = 10


@dataclass(slots=True)
class HttpCall:
    """One request on its way to the server. `sent` are the parameters in the body, with their fields there;
    `streamed` says that the answer was asked for as a stream."""

    request: InferenceRequest
    url: httpx.URL
    body: dict[str, Any]
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)
    streamed: bool = False
    dropped: list[str] = field(default_factory=list)

    def may_drop(self, parameter: str) -> bool:
        """Whether the parameter may be left out: it is a configured default, or the caller said so."""
        strict = self.request.metadata.get("strict_parameters", True)
        return not strict or parameter not in self.request.explicit

    def drop(self, parameter: str) -> None:
        """Leave a parameter out, and say so in the answer."""
        for name in self.sent.pop(parameter, ()):
            self.body.pop(name, None)
        self.dropped.append(parameter)


class HttpBackend(ModelBackend):
    """One model at a server. A subclass knows the protocol: how a request is written (`prepared`), how an answer is
    read (`new_reader`), where the key goes (`key_headers`), and what may be changed where the server refuses
    (`yields_to`).

    Settings: `base_url`, `api_key`, `headers` (sent with every request), `connect_timeout` in seconds, `ca_bundle` (a
    file or folder of the authorities to trust instead of the usual ones).
    """

    def __init__(self, model_info: ModelInfo, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(model_info, settings)
        self.who = str(model_info.metadata.get("provider") or self.settings.get("provider") or model_info.backend_type)
        self.model = str(model_info.metadata.get("model_id") or model_info.name)
        self._connect_timeout: float | None = self.settings.get("connect_timeout", 10.0)
        self._ca_bundle: str | None = self.settings.get("ca_bundle")
        self._clients = LoopClients(self._new_client)
        self._headers: httpx.Headers | None = None

    # ------------------------------------------------------------------------------------------------ for subclasses
    @property
    @abstractmethod
    def base_url(self) -> httpx.URL:
        """The server's address, as its SDK takes it."""

    @abstractmethod
    async def prepared(self, request: InferenceRequest) -> HttpCall:
        """The request as the server takes it. Raises `UnsupportedFeatureError` for what it cannot say."""

    @abstractmethod
    def new_reader(self, call: HttpCall) -> AnswerReader:
        """What reads the answer to that call."""

    def key_headers(self, key: str | None) -> Mapping[str, str]:
        """The headers that carry the key, and what else the protocol wants in every request."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    async def yields_to(self, status: int, refusal: ErrorBody, call: HttpCall) -> bool:
        """Whether the call was changed to what the server said that it does not take, and may be sent again."""
        return False

    def as_whole(self, call: HttpCall) -> HttpCall | None:
        """The call, its answer asked for in one piece; None where nothing is to be gained by that."""
        return None

    async def headers(self) -> httpx.Headers:
        """The headers of every request."""
        if self._headers is None:
            self._headers = self._fixed_headers()
        return self._headers

    # ------------------------------------------------------------------------------------------------------- the way
    async def load_model(self) -> None:
        """Read the certificates. Nothing is sent: the first request tells whether the server is there."""
        await anyio.to_thread.run_sync(tls_context, self._ca_bundle)

    async def unload_model(self) -> None:
        """Close the connections, on every event loop."""
        await self._clients.close()

    async def stream(self, request: InferenceRequest) -> AsyncGenerator[Chunk, None]:
        """The answer. Raises the typed error that the server's status or the broken connection stands for; one
        without its end mark is `ConnectionFailedError` before the first piece, `StreamInterruptedError` after it."""
        call = await self.prepared(request)
        reader = self.new_reader(call)
        data: dict[str, Any] = {}
        try:
            async with aclosing(self.answer(call, reader, data)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except httpx.HTTPError as error:
            raise self._explained(error, reader.shown) from None
        yield reader.last(tuple(call.dropped), data)

    async def answer(self, call: HttpCall, reader: AnswerReader, data: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Send the call, and read what comes. `data` takes what else the server said, such as its rate limits."""
        fell_silent = False
        async with self._answered(call) as response:
            if limits := rate_limit_headers.read(response.headers):
                data["rate_limits"] = limits
            if _is_event_stream(call, response):
                async for chunk in self._read_stream(response, reader):
                    yield chunk
                fell_silent = not reader.begun and _began_to_stream(response)
            else:
                for chunk in reader.body(await self._read_whole(response)):
                    yield chunk
                reader.begun = True
        if fell_silent and (whole := self.as_whole(call)) is not None:
            for chunk in reader.body(await self._whole_instead(whole)):
                yield chunk

    # ------------------------------------------------------------------------------------------------------- sending
    def leave_out(self, call: HttpCall, parameter: str, hint: str = "") -> None:
        """Drop a parameter that this server does not take, or raise where the caller asked for it."""
        if not call.may_drop(parameter):
            message = f"{self.model!r} at {self.who} takes no {parameter}{hint}"
            raise UnsupportedFeatureError(message, feature=parameter, provider=self.who, model=self.model)
        call.drop(parameter)

    @asynccontextmanager
    async def _answered(self, call: HttpCall, client: HttpClient | None = None) -> AsyncIterator[httpx.Response]:
        """The response to the call, its body still to be read. What the server refuses and may be left out is left
        out, and the call sent again."""
        while True:
            response = await self._send(call, client)
            try:
                if response.status_code == 200:
                    yield response
                    return
                refusal = http_errors.read_body(await read_at_most(response))
                error = self._refusal(response, refusal)
                status = response.status_code
                if not http_errors.is_refusal(status, refusal) or not await self.yields_to(status, refusal, call):
                    raise error
            finally:
                await response.aclose()

    async def _whole_instead(self, call: HttpCall) -> Any:
        """The body of the answer whose stream ended without a word: what was wrong with it is said to one who asks for
        the whole. Goes over a connection of its own, since the server may close the one on which it fell silent."""
        client = self._new_client()
        try:
            async with self._answered(call, client) as response:
                return await self._read_whole(response)
        finally:
            await client.aclose()

    async def fetch(
        self,
        method: str,
        url: httpx.URL,
        body: Mapping[str, Any] | None = None,
        data: dict[str, Any] | None = None,
    ) -> Any:
        """What the server answers to anything but a request for an answer, decoded from JSON: its list of models, a
        count of tokens, embeddings. `data` takes what else it said, such as its rate limits. Raises as `stream` does.
        """
        client = await self._clients.get()
        try:
            response = await client.send(method, url, await self.headers(), None if body is None else encoded(body))
            try:
                if response.status_code != 200:
                    raise self._refusal(response, http_errors.read_body(await read_at_most(response)))
                if data is not None and (limits := rate_limit_headers.read(response.headers)):
                    data["rate_limits"] = limits
                return await self._read_whole(response, LARGEST_LIST)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise self._explained(error, False) from None

    async def _send(self, call: HttpCall, client: HttpClient | None) -> httpx.Response:
        client = client or await self._clients.get()
        return await client.post(call.url, await self.headers(), encoded(call.body))

    def _new_client(self) -> HttpClient:
        idle = int(self.settings.get("max_concurrent_requests") or DEFAULT_CONNECTIONS)
        return HttpClient(
            self.base_url, connect_timeout=self._connect_timeout, max_idle=idle, ca_bundle=self._ca_bundle
        )

    def _fixed_headers(self) -> httpx.Headers:
        headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # a compressed stream may be held back until a block is full
            "User-Agent": f"llm-framework/{__version__}",
        }
        headers.update(self.key_headers(self._plain_key()))
        headers.update(dict(self.settings.get("headers") or {}))
        return checked_headers(headers, who=self.who)

    def _plain_key(self) -> str | None:
        key = self.settings.get("api_key")
        plain: str | None = key.get_secret_value() if isinstance(key, SecretStr) else key
        if not plain:
            return None
        secrets.remember(plain)
        if not (plain.isascii() and plain.isprintable()):  # the error of the HTTP library would repeat it
            message = f"the key for {self.who} holds characters that no header can carry; was it copied whole?"
            raise AuthenticationError(message, provider=self.who)
        return plain

    def checked_url(self, base: str | httpx.URL | None, path: str, example: str) -> httpx.URL:
        """`base` and `path` as one address. Raises `ConfigurationError` for what is none."""
        if not base:
            message = f"{self.who!r} needs a base_url in api_credentials, such as {example}"
            raise ConfigurationError(message, provider=self.who)
        try:
            url = httpx.URL(str(base).rstrip("/") + path)
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"base_url of {self.who!r} is no URL: {error}", provider=self.who) from None
        if url.scheme not in ("http", "https") or not url.host:
            message = f"base_url of {self.who!r} must begin with http:// or https:// and name a host"
            raise ConfigurationError(message, provider=self.who)
        return url

    # ------------------------------------------------------------------------------------------------------- reading
    async def _read_stream(self, response: httpx.Response, reader: AnswerReader) -> AsyncGenerator[Chunk, None]:
        decoder = SSEDecoder()
        pieces = response.aiter_bytes()
        async for data in pieces:
            for event in decoder.feed(data):
                for chunk in reader.event(event):
                    yield chunk
                if reader.ended:
                    break
            if reader.ended:
                break
        if reader.ended:
            await self._drain(pieces, reader)
        elif reader.begun and not self.ends_well(reader):
            raise self.broken("the stream ended without its end mark", reader.shown)

    def ends_well(self, reader: AnswerReader) -> bool:
        """Whether a stream that ended without its end mark is whole all the same."""
        return False

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

    async def _read_whole(self, response: httpx.Response, limit: int = LARGEST_ANSWER) -> Any:
        content = await read_whole(response, limit)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            start = " ".join(redaction.cut(content[:1000].decode(errors="replace"), 200).split())
            raise self.bad(f"an answer that is not JSON: {start!r}; is base_url right?") from None

    # -------------------------------------------------------------------------------------------------------- errors
    def _refusal(self, response: httpx.Response, body: ErrorBody) -> LLMFrameworkError:
        """The error that a response other than 200 stands for."""
        status = response.status_code
        if 300 <= status < 400:
            message = f"{self.who} redirects to another address, which is not followed; set base_url to that"
            return ConfigurationError(message, provider=self.who, model=self.model, status=status)
        return http_errors.error_of(status, body, who=self.who, model=self.model, headers=response.headers)

    def _explained(self, error: httpx.HTTPError, shown: bool) -> LLMFrameworkError:
        """An error of httpx as ours. Its own text is kept out where it could hold what was sent."""
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return connect_error(
                error, url=self.base_url, who=self.who, model=self.model, connect_timeout=self._connect_timeout
            )
        if isinstance(error, httpx.DecodingError):
            return BadResponseError(f"{self.who} sent a body that cannot be decoded", provider=self.who)
        return self.broken(f"the connection broke ({type(error).__name__})", shown)

    def broken(self, what: str, shown: bool) -> LLMFrameworkError:
        """The error for an answer that broke off."""
        kind = StreamInterruptedError if shown else ConnectionFailedError
        return kind(f"{what}, while {self.who} was answering", provider=self.who, model=self.model)

    def bad(self, what: str) -> BadResponseError:
        """The error for an answer that cannot be read."""
        return BadResponseError(f"{self.who} sent {what}", provider=self.who, model=self.model)


def encoded(body: Mapping[str, Any]) -> bytes:
    """A body as JSON."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair: JSON can say it escaped
        return json.dumps(body).encode()


def is_short(request: InferenceRequest) -> bool:
    """Whether the answer may be asked for in one piece."""
    config = request.config
    return config.max_tokens is not None and config.max_tokens <= WHOLE_UP_TO and config.thinking in (None, "off", 0)


def _began_to_stream(response: httpx.Response) -> bool:
    """Whether the head promised a stream: what a page or an empty body is, the body itself says."""
    headers = response.headers
    return "text/event-stream" in headers.get("content-type", "") and "content-length" not in headers


def _is_event_stream(call: HttpCall, response: httpx.Response) -> bool:
    """Whether a body is a stream: called so, or asked for and not called JSON."""
    kind = response.headers.get("content-type", "")
    return "text/event-stream" in kind or (call.streamed and "json" not in (kind or "text/html"))
