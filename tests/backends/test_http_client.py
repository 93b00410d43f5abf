"""Clients of a server: whom they trust, how much they read, where they do not go, and whose connections they are."""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers.chat_server import CUT, HANG, ChatServer, Reply, json_reply, text_stream
from servers.tls import make_certificate

from llm_framework import errors
from llm_framework.backends.http import client as http_client
from llm_framework.backends.http.client import HttpClient, LoopClients, checked_headers, connect_error, tls_context
from llm_framework.secrets import remember

KEY = "sk-client-0123456789"
HEADERS = httpx.Headers({"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"})


def client_of(url: httpx.URL, **options: Any) -> HttpClient:
    return HttpClient(url, **{"connect_timeout": 10.0, "max_idle": 10, **options})


@asynccontextmanager
async def opened(url: httpx.URL, **options: Any) -> AsyncIterator[HttpClient]:
    client = client_of(url, **options)
    try:
        yield client
    finally:
        await client.aclose()


async def post(client: HttpClient, url: httpx.URL) -> httpx.Response:
    return await client.post(url, HEADERS, b"{}")


async def failed(url: httpx.URL, **options: Any) -> errors.LLMFrameworkError:
    """The error that a backend would raise where there is no connection."""
    async with opened(url, **options) as client:
        with pytest.raises((httpx.ConnectError, httpx.ConnectTimeout)) as caught:
            await post(client, url)
    return connect_error(caught.value, url=url, who="acme", model="m", connect_timeout=options.get("connect_timeout"))


# ---------------------------------------------------------------------------------------------------- whom they trust
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One answer to each request."""
    try:
        while await reader.readuntil(b"\r\n\r\n{}"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        writer.close()


@asynccontextmanager
async def tls_server(context: ssl.SSLContext | None, answer: Answer = greet) -> AsyncIterator[httpx.URL]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    yield httpx.URL(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    server.close()


async def test_a_certificate_that_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private authority is trusted where `ca_bundle` or the environment names it, as file."""
    file, context = make_certificate(tmp_path)
    async with tls_server(context) as url:
        for options, variable in (({"ca_bundle": str(file)}, None), ({}, str(file))):
            if variable:
                monkeypatch.setenv("SSL_CERT_FILE", variable)
            tls_context.cache_clear()
            async with opened(url, **options) as client:
                for _ in range(2):
                    response = await post(client, url)
                    assert await response.aread() == b"hi"
    tls_context.cache_clear()


async def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    """The error says what is wrong with the certificate and what to do, and that trying again does not help."""
    _, context = make_certificate(tmp_path)
    async with tls_server(context) as url:
        error = await failed(url)
    assert isinstance(error, errors.ConnectionFailedError)
    assert not error.retryable
    for part in (f"https://127.0.0.1:{url.port}", "self", "ca_bundle", "SSL_CERT_FILE"):
        assert part in str(error)
    assert "_ssl.c" not in str(error)


async def test_a_certificate_for_another_host(tmp_path: Path) -> None:
    """A name that does not fit is told as such."""
    file, context = make_certificate(tmp_path, "DNS:elsewhere.test")
    async with tls_server(context) as url:
        error = await failed(url, ca_bundle=str(file))
    assert isinstance(error, errors.ConnectionFailedError)
    assert "mismatch" in str(error)
    assert "base_url" in str(error)


async def test_a_server_without_encryption() -> None:
    """Speaking TLS to a server that does not is a failed connection."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with tls_server(None, plain) as url:
        error = await failed(url)
    assert isinstance(error, errors.ConnectionFailedError)


async def test_a_handshake_that_never_ends() -> None:
    """A server that accepts and says nothing is given up by connect_timeout, and sees the connection end."""
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    async with tls_server(None, silent) as url:
        error = await failed(url, connect_timeout=0.1)
        await gone.wait()
    assert isinstance(error, errors.RequestTimeoutError)
    assert (error.limit, error.seconds) == ("connect", 0.1)


@pytest.mark.parametrize("bundle", ["nowhere.pem", "empty.pem"])
def test_a_bundle_that_is_none(bundle: str, tmp_path: Path) -> None:
    """A file that is not there, or holds no certificate, is told before anything is sent."""
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(errors.ConfigurationError, match="ca_bundle"):
        tls_context(str(tmp_path / bundle))


async def test_what_a_url_holds_is_not_told() -> None:
    """The error names host and port, and neither password nor parameters."""
    with ChatServer() as server:
        port = server.port
    error = await failed(httpx.URL(f"http://user:pa55word@127.0.0.1:{port}/v1?key={KEY}"))
    assert f"http://127.0.0.1:{port}:" in str(error)
    assert "pa55" not in str(error)
    assert KEY not in str(error)
    assert http_client.origin(httpx.URL("https://[::1]:8443/x")) == "https://[::1]:8443"


# -------------------------------------------------------------------------------------------------- where they don't go
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    """Whatever the redirect, the other host hears nothing: neither request nor key."""
    with ChatServer(text_stream("stolen")) as other:
        reply = Reply([], status, headers={"Location": f"{other.url}/chat/completions"})
        with ChatServer(reply) as server:
            url = httpx.URL(f"{server.url}/chat/completions")
            async with opened(url) as client:
                response = await post(client, url)
                assert (response.status_code, await http_client.read_at_most(response)) == (status, b"")
            assert len(server.requests) == 1
        assert (other.requests, other.connections) == ([], 0)


# --------------------------------------------------------------------------------------------------- how much they read
@asynccontextmanager
async def answered(reply: Reply) -> AsyncIterator[tuple[ChatServer, httpx.Response]]:
    with ChatServer(reply) as server:
        url = httpx.URL(server.url)
        async with opened(url) as client:
            yield server, await post(client, url)


async def test_a_long_body_is_cut() -> None:
    """Of an endless body only the beginning is read, and the server sees the connection end."""

    def endless() -> Any:
        while True:
            yield b"x" * 65536

    async with answered(Reply(endless(), 500, "text/plain")) as (server, response):
        assert await http_client.read_at_most(response, 1000) == b"x" * 1000
        assert response.is_closed
        del server


async def test_a_body_that_fits_is_read_whole() -> None:
    """A short body comes whole, and its connection is used again."""
    with ChatServer(json_reply({"a": 1})) as server:
        url = httpx.URL(server.url)
        async with opened(url) as client:
            for _ in range(3):
                assert await http_client.read_at_most(await post(client, url)) == b'{"a": 1}'
                assert await http_client.read_whole(await post(client, url)) == b'{"a": 1}'
        assert server.connections == 1


@pytest.mark.parametrize(
    "reply", [Reply([b"x" * 101, HANG]), Reply([b"x" * 50, HANG], length=101), Reply([b"x" * 101], length=101)]
)
async def test_an_answer_that_is_too_long(reply: Reply) -> None:
    """It is an error that is not tried again, said before the rest is read."""
    async with answered(reply) as (_, response):
        with pytest.raises(errors.BadResponseError, match="longer than") as caught:
            await http_client.read_whole(response, 100)
        assert not caught.value.retryable
        assert response.is_closed


async def test_an_answer_that_breaks_off() -> None:
    """The error is httpx's, which the backends explain."""
    async with answered(Reply([b"x", CUT], length=10)) as (_, response):
        with pytest.raises(httpx.RemoteProtocolError):
            await http_client.read_whole(response)
        assert response.is_closed


# -------------------------------------------------------------------------------------------------------------- headers
@pytest.mark.parametrize(
    "headers",
    [{"x": f"{KEY}\r\nevil: 1"}, {"x": f"{KEY}é"}, {"x": f"{KEY}\0"}, {"x\r\ny": KEY}, {"": KEY}, {"a b": KEY}],
)
def test_headers_that_cannot_be_sent(headers: dict[str, str]) -> None:
    """What no header can carry is told by the header's name, without its value."""
    remember(KEY)
    with pytest.raises(errors.ConfigurationError, match="the header") as caught:
        checked_headers(headers, who="acme")
    assert KEY not in str(caught.value)


def test_headers_that_can() -> None:
    """Names and values of every ordinary kind pass."""
    given = {"X-Api_Key": " k ", "x": "", "Accept": "text/event-stream; q=0.5, */*", "n": 5}
    assert dict(checked_headers(given, who="acme")) == {"x-api_key": "k", "x": "", "accept": given["Accept"], "n": "5"}


# ---------------------------------------------------------------------------------------------------- loops and threads
def test_sync_and_async_at_once() -> None:
    """Many loops in many threads share one object, and each has its own connections; none is left."""
    with ChatServer(json_reply({})) as server:
        url = httpx.URL(server.url)
        clients = LoopClients(lambda: client_of(url))
        used: list[HttpClient] = []

        async def ask() -> None:
            for _ in range(5):
                client = await clients.get()
                used.append(client)
                assert await http_client.read_whole(await post(client, url)) == b"{}"

        async def several() -> None:
            await asyncio.gather(*(ask() for _ in range(4)))

        threads = [threading.Thread(target=asyncio.run, args=(several(),)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(map(id, used))) == 6
        assert all(client.is_closed for client in used)
        assert len(server.requests) == 6 * 4 * 5


def test_a_loop_that_ends_without_closing() -> None:
    """A loop that is closed by hand, its generators not, leaves nothing that harms the next."""
    with ChatServer(json_reply({})) as server:
        url = httpx.URL(server.url)
        clients = LoopClients(lambda: client_of(url))

        async def ask() -> bytes:
            return await http_client.read_whole(await post(await clients.get(), url))

        for _ in range(3):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(ask()) == b"{}"
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
        assert asyncio.run(ask()) == b"{}"
        asyncio.run(clients.close())
        gc.collect()
        assert len(clients) == 0
