"""HTTP clients of one backend: one for each event loop that uses it, closed with the backend or with the loop.

A forked child has clients of its own: it neither uses nor closes its parent's connections. Certificates are checked
against those that the environment names (`SSL_CERT_FILE`, `SSL_CERT_DIR`), else certifi's, else those of `ca_bundle`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import ssl
import threading
import urllib.request
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import lru_cache
from typing import Any

import anyio
import httpx

from ... import redaction
from ...errors import (
    BadResponseError,
    ConfigurationError,
    ConnectionFailedError,
    LLMFrameworkError,
    RequestTimeoutError,
)
from ..protocols.http_errors import MAX_BODY
from .direct import DirectTransport

# Bytes of a body that is read whole, an answer's and that of lists and vectors; a longer one is an error.
LARGEST_ANSWER = 32 * 1024 * 1024
LARGEST_LIST = 256 * 1024 * 1024
CLOSE_TIME = 5.0  # seconds that another loop may take to close its client
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
KEEPALIVE = 30.0  # seconds that an unused connection is kept


class LoopClients:
    """A client belongs to the event loop whose sockets it holds, so each loop gets its own.

    It is held by an asynchronous generator of that loop: a loop closes its generators before it ends (`asyncio.run`
    and anyio see to that), and with it goes the client, on the loop where it belongs.
    """

    def __init__(self, make: Callable[[], HttpClient]) -> None:
        self._make = make
        self._before_fork: list[Any] = []
        self._reset()
        _all_clients.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[asyncio.AbstractEventLoop, tuple[HttpClient, AsyncGenerator[None, None]]] = {}

    def _after_fork(self) -> None:
        # The lock may be held. What the parent had is kept alive: closing it would end the parent's connections.
        self._before_fork.append(self._held)
        self._reset()

    async def get(self) -> HttpClient:
        """The running loop's client."""
        loop = asyncio.get_running_loop()
        held = self._held.get(loop)
        if held is not None and not held[0].is_closed:
            return held[0]
        client = self._make()
        keeper = _keep(client)
        await anext(keeper)
        with self._lock:
            for other in [other for other in self._held if other.is_closed()]:
                del self._held[other]
            self._held[loop] = client, keeper
        return client

    async def close(self) -> None:
        """Close every client, each on its own loop. Safe to call twice."""
        with self._lock:
            held, self._held = self._held, {}
        for loop, (_, keeper) in held.items():
            if loop is asyncio.get_running_loop():
                await keeper.aclose()
            elif loop.is_running():
                closing = asyncio.run_coroutine_threadsafe(_close(keeper), loop)
                with anyio.move_on_after(CLOSE_TIME):
                    await asyncio.wrap_future(closing)
            # A loop that stands still closes it when it ends.

    def __len__(self) -> int:
        return len(self._held)


_all_clients: weakref.WeakSet[LoopClients] = weakref.WeakSet()


def _after_fork() -> None:
    for clients in list(_all_clients):
        clients._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


async def _keep(client: HttpClient) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await client.aclose()


async def _close(keeper: AsyncGenerator[None, None]) -> None:
    await keeper.aclose()


class HttpClient:
    """The connections to one server. Made of a transport alone: what httpx's client adds (cookies, redirects that
    could carry the key to another host, its own authentication) is not wanted here and costs as much as the rest."""

    def __init__(
        self, url: httpx.URL, *, connect_timeout: float | None, max_idle: int, ca_bundle: str | None = None
    ) -> None:
        self._transport = _transport(url, tls_context(ca_bundle), connect_timeout, max_idle)
        # Limits of time other than that for connecting are the engine's.
        self._extensions = {"timeout": httpx.Timeout(None, connect=connect_timeout).as_dict()}
        self.is_closed = False

    async def post(self, url: httpx.URL, headers: httpx.Headers, content: bytes) -> httpx.Response:
        """Send, and return the response when its headers have come; its body is still to be read, or closed. Raises
        httpx's errors."""
        return await self.send("POST", url, headers, content)

    async def send(
        self, method: str, url: httpx.URL, headers: httpx.Headers, content: bytes | None = None
    ) -> httpx.Response:
        """As `post`, by any method."""
        request = httpx.Request(method, url, headers=headers, content=content, extensions=self._extensions)
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        self.is_closed = True
        await self._transport.aclose()


def _transport(
    url: httpx.URL, tls: ssl.SSLContext, connect_timeout: float | None, max_idle: int
) -> httpx.AsyncBaseTransport:
    """Ours, which is quick; httpx's through a proxy, and on loops that cannot try a host's addresses side by side."""
    proxy = _proxy_for(url)
    if proxy is None and isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        return DirectTransport(url, tls, connect_timeout=connect_timeout, max_idle=max_idle, keepalive=KEEPALIVE)
    if proxy is not None:
        redaction.remember_url(proxy)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=max_idle, keepalive_expiry=KEEPALIVE)
    return httpx.AsyncHTTPTransport(verify=tls, limits=limits, proxy=proxy)


def _proxy_for(url: httpx.URL) -> str | None:
    """The proxy that the environment names for this address. None for this machine: a proxy would look for 127.0.0.1
    on its own."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or _is_loopback(url.host) or urllib.request.proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


@lru_cache(maxsize=16)
def tls_context(ca_bundle: str | None = None) -> ssl.SSLContext:
    """The context that all clients share: reading the certificates takes longer than a request. `ca_bundle` is a file
    or folder of the authorities to trust instead of the usual ones. Raises `ConfigurationError` where it is none."""
    if ca_bundle is None:
        return httpx.create_ssl_context()
    path = os.path.expanduser(ca_bundle)
    try:
        if os.path.isdir(path):
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # an SSLError is one
        raise ConfigurationError(f"ca_bundle {ca_bundle!r} cannot be used: {error.strerror or error}") from None


# ------------------------------------------------------------------------------------------------- headers and bodies
def checked_headers(values: Mapping[str, Any], *, who: str) -> httpx.Headers:
    """The headers for requests to `who`. Raises `ConfigurationError` for what no header can carry: it names the header
    and not its value, which may be a key."""
    headers: dict[str, str] = {}
    for name, value in values.items():
        text = str(value).strip()
        if not _HEADER_NAME.fullmatch(str(name)) or not (text.isascii() and text.isprintable()):
            message = f"the header {str(name)!r} for {who} holds characters that no header can carry"
            raise ConfigurationError(message, provider=who)
        headers[str(name)] = text
    return httpx.Headers(headers)


async def read_at_most(response: httpx.Response, limit: int = MAX_BODY) -> bytes:
    """The first `limit` bytes of a body, such as an error's. The rest is not read: its connection is closed."""
    pieces: list[bytes] = []
    size = 0
    try:
        async with aclosing(response.aiter_bytes()) as body:  # type: ignore[type-var]
            async for piece in body:
                pieces.append(piece)
                size += len(piece)
                if size >= limit:
                    break
    finally:
        await response.aclose()
    return b"".join(pieces)[:limit]


async def read_whole(response: httpx.Response, limit: int = LARGEST_ANSWER) -> bytes:
    """The whole body. One longer than `limit` bytes is a `BadResponseError` that is not retried, and is not read to its
    end."""
    announced = response.headers.get("content-length", "")
    if not (announced.isdigit() and int(announced) > limit):
        content = await read_at_most(response, limit + 1)
        if len(content) <= limit:
            return content
    await response.aclose()
    raise BadResponseError(f"an answer longer than {limit / 1e6:.0f} MB came; it was not read", retryable=False)


# ------------------------------------------------------------------------------------------------------------- errors
def connect_error(
    error: httpx.ConnectError | httpx.ConnectTimeout,
    *,
    url: httpx.URL,
    who: str,
    model: str | None = None,
    connect_timeout: float | None = None,
) -> LLMFrameworkError:
    """Why there is no connection to `url`, and what to do about it. A certificate that is not trusted is not tried
    again."""
    address = origin(url)
    named: dict[str, Any] = {"provider": who, "model": model}
    if isinstance(error, httpx.ConnectTimeout):
        within = "in time" if connect_timeout is None else f"within {connect_timeout:g} s"
        message = f"no connection to {address} {within}; raise connect_timeout if it is that slow"
        return RequestTimeoutError(message, limit="connect", seconds=connect_timeout, **named)
    refused = _certificate_error(error)
    if refused is None:
        message = f"no connection to {address}: {error or 'refused'}; is the server running, and base_url right?"
        return ConnectionFailedError(message, **named)
    reason = refused.verify_message.rstrip(".")
    if "mismatch" in reason.lower() or "doesn't match" in reason.lower():
        hint = "is base_url the name that the certificate is for?"
    else:
        hint = "if you trust its authority, name the authority's certificate in ca_bundle or SSL_CERT_FILE"
    message = f"the certificate of {address} is not accepted ({reason}); {hint}"
    return ConnectionFailedError(message, retryable=False, **named)


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    for _ in range(8):
        if error is None or isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def origin(url: httpx.URL) -> str:
    """The URL's scheme, host and port: what an error may show, since the rest can hold a password or a key."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}" + (f":{url.port}" if url.port else "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
