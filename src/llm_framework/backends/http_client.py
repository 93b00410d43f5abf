"""HTTP clients of one backend: one for each event loop that uses it, closed with the backend or with the loop."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import AsyncGenerator, Callable
from functools import lru_cache

import anyio
import httpx

CLOSE_TIME = 5.0  # seconds that another loop may take to close its client
KEEPALIVE = 30.0  # seconds that an unused connection is kept


class LoopClients:
    """A client belongs to the event loop whose sockets it holds, so each loop gets its own.

    It is held by an asynchronous generator of that loop: a loop closes its generators before it ends (`asyncio.run`
    and anyio see to that), and with it goes the client, on the loop where it belongs.
    """

    def __init__(self, make: Callable[[], httpx.AsyncClient]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._held: dict[asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, AsyncGenerator[None, None]]] = {}

    async def get(self) -> httpx.AsyncClient:
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


async def _keep(client: httpx.AsyncClient) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await client.aclose()


async def _close(keeper: AsyncGenerator[None, None]) -> None:
    await keeper.aclose()


def make_client(url: httpx.URL, *, connect_timeout: float | None, max_idle: int) -> httpx.AsyncClient:
    """A client for one server. It follows no redirect: that could carry the key to another host. Limits of time other
    than that for connecting are the engine's."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(None, connect=connect_timeout),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=max_idle, keepalive_expiry=KEEPALIVE),
        follow_redirects=False,
        verify=tls_context(),
        trust_env=not _is_loopback(url.host),  # a proxy would look for 127.0.0.1 on its own machine
    )


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """The context that all clients share: reading the certificates takes longer than a request."""
    return httpx.create_ssl_context()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
