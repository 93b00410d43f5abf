"""HTTP clients of one backend: one for each event loop that uses it, closed with the backend or with the loop."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
import urllib.request
from collections.abc import AsyncGenerator, Callable
from functools import lru_cache

import anyio
import httpx

from .direct import DirectTransport

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
    """The connections to one server. Made of a transport alone: what httpx's client adds (cookies, redirects that
    could carry the key to another host, its own authentication) is not wanted here and costs as much as the rest."""

    def __init__(self, url: httpx.URL, *, connect_timeout: float | None, max_idle: int) -> None:
        self._transport = _transport(url, connect_timeout, max_idle)
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


def _transport(url: httpx.URL, connect_timeout: float | None, max_idle: int) -> httpx.AsyncBaseTransport:
    """Ours, which is quick; httpx's through a proxy, and on loops that cannot try a host's addresses side by side."""
    proxy = _proxy_for(url)
    if proxy is None and isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        return DirectTransport(
            url, tls_context(), connect_timeout=connect_timeout, max_idle=max_idle, keepalive=KEEPALIVE
        )
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=max_idle, keepalive_expiry=KEEPALIVE)
    return httpx.AsyncHTTPTransport(verify=tls_context(), limits=limits, proxy=proxy)


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
