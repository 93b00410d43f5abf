"""HTTP clients of one backend: one for each event loop that uses it, closed with the backend or with the loop."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import lru_cache
from types import TracebackType

import anyio
import httpcore
import httpx

from .asyncio_network import AsyncioNetwork

CLOSE_TIME = 5.0  # seconds that another loop may take to close its client
KEEPALIVE = 30.0  # seconds that an unused connection is kept


class LoopClients:
    """A client belongs to the event loop whose sockets it holds, so each loop gets its own.

    It is held by an asynchronous generator of that loop: a loop closes its generators before it ends (`asyncio.run`
    and anyio see to that), and with it goes the client, on the loop where it belongs.
    """

    def __init__(self, make: Callable[[], HttpClient]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._held: dict[asyncio.AbstractEventLoop, tuple[HttpClient, AsyncGenerator[None, None]]] = {}

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


async def _keep(client: HttpClient) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await client.aclose()


async def _close(keeper: AsyncGenerator[None, None]) -> None:
    await keeper.aclose()


class HttpClient:
    """The connections to one server. Made of httpcore's pool and httpx's responses: what httpx's own client adds
    (cookies, redirects that could carry the key to another host, its own authentication) is not wanted here and costs
    as much as the rest."""

    def __init__(self, url: httpx.URL, *, connect_timeout: float | None, max_idle: int) -> None:
        proxy = _proxy_for(url)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls_context(),
            proxy=None if proxy is None else _as_httpcore(httpx.Proxy(proxy)),
            max_connections=None,
            max_keepalive_connections=max_idle,
            keepalive_expiry=KEEPALIVE,
            network_backend=_network(proxy),
        )
        # Limits of time other than that for connecting are the engine's.
        self._extensions = {"timeout": {"connect": connect_timeout}}
        self.is_closed = False

    async def post(self, url: httpx.URL, headers: httpx.Headers, content: bytes) -> httpx.Response:
        """Send, and return the response when its headers have come; its body is still to be read, or closed. Raises
        httpx's errors."""
        own = [(b"Host", url.netloc), (b"Content-Length", b"%d" % len(content))]
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        request = httpcore.Request(
            "POST", target, headers=own + headers.raw, content=content, extensions=self._extensions
        )
        with _httpx_errors:
            response = await self._pool.handle_async_request(request)
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    async def aclose(self) -> None:
        """Close the connections."""
        self.is_closed = True
        await self._pool.aclose()


def _network(proxy: str | None) -> AsyncioNetwork | None:
    """None is httpcore's own: for proxies, whose tunnels may be TLS within TLS, and for loops that are not asyncio's,
    which cannot try a host's addresses side by side."""
    plain = proxy is None and isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop)
    return AsyncioNetwork() if plain else None


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors:
            async for data in self._response.aiter_stream():
                yield data

    async def aclose(self) -> None:
        with _httpx_errors:
            await self._response.aclose()


class _HttpxErrors:
    """A context in which httpcore's errors become httpx's, which have the same names."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, _HTTPCORE_ERRORS):
            raise getattr(httpx, type(error).__name__)(str(error)) from error


_httpx_errors = _HttpxErrors()
_HTTPCORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


def _as_httpcore(proxy: httpx.Proxy) -> httpcore.Proxy:
    url = proxy.url
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return httpcore.Proxy(target, auth=proxy.raw_auth, headers=proxy.headers.raw)


def _proxy_for(url: httpx.URL) -> str | None:
    """The proxy that the environment names for this address. None for this machine: a proxy would look for 127.0.0.1
    on its own."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or _is_loopback(url.host) or urllib.request.proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """The context that all clients share: reading the certificates takes longer than a request."""
    return httpx.create_ssl_context()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
