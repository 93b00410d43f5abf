"""The sockets under httpcore's connections, on asyncio alone.

httpcore's own stands on anyio, which turns the event loop once or more for each read and write; here the loop turns
once, when the answer comes. What is written waits for the next read, so that a request's head and body leave together.
"""

# ruff: noqa: ASYNC109 - the signatures are httpcore's

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections.abc import Iterable
from typing import Any

import anyio
import httpcore

NEXT_ADDRESS = 0.25  # seconds until a host's next address is tried beside the first, as RFC 8305 advises
MOST_UNREAD = 256 * 1024  # bytes that may lie here unread before the sender is made to wait


class AsyncioNetwork(httpcore.AsyncNetworkBackend):
    """Opens connections on the running asyncio loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Connection:
        """Raises `httpcore.ConnectTimeout`, `httpcore.ConnectError`."""
        local = None if local_address is None else (local_address, 0)
        connection = Connection()
        loop = asyncio.get_running_loop()
        try:
            with anyio.fail_after(timeout):
                await loop.create_connection(
                    lambda: connection, host, port, happy_eyeballs_delay=NEXT_ADDRESS, local_addr=local
                )
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for option in socket_options or ():
            connection.get_extra_info("socket").setsockopt(*option)
        return connection

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Connection(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection. One task at a time reads or writes it; httpcore sees to that."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._unread = bytearray()
        self._unsent: list[bytes] = []
        self._reader: asyncio.Future[None] | None = None  # the task that waits for bytes
        self._ended = False
        self._error: Exception | None = None

    # ------------------------------------------------------------------------------------------ what asyncio tells us
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a socket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._unread += data
        if len(self._unread) > MOST_UNREAD:
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> None:
        """The other side sends no more; the transport closes."""
        self._ended = True
        self._wake_reader()

    def connection_lost(self, error: Exception | None) -> None:
        """The socket is gone."""
        self._ended = True
        self._error = error
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # ----------------------------------------------------------------------------------------- what httpcore asks of us
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Keep the bytes for the next read, which sends them: no time passes, so `timeout` has no say."""
        self._unsent.append(buffer)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Send what was written, and wait for bytes: b"" says that there will be none any more.

        Raises `httpcore.ReadError` where the connection broke, `httpcore.ReadTimeout`.
        """
        self._send()
        if not self._unread and not self._ended:
            await self._wait(timeout)
        if self._error is not None and not self._unread:
            raise httpcore.ReadError(str(self._error)) from self._error
        data = bytes(self._unread[:max_bytes])
        del self._unread[:max_bytes]
        if len(self._unread) <= MOST_UNREAD and not self._transport.is_closing():
            self._transport.resume_reading()
        return data

    def _send(self) -> None:
        if self._unsent:
            data, self._unsent = b"".join(self._unsent), []
            if not self._transport.is_closing():
                self._transport.write(data)

    async def _wait(self, timeout: float | None) -> None:
        self._reader = asyncio.get_running_loop().create_future()
        try:
            if timeout is None:
                await self._reader
            else:
                with anyio.fail_after(timeout):
                    await self._reader
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        finally:
            self._reader = None

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Connection:
        """This connection, encrypted from now on. Raises `httpcore.ConnectTimeout`, `httpcore.ConnectError`."""
        loop = asyncio.get_running_loop()
        self._send()
        try:
            with anyio.fail_after(timeout):
                encrypted = await loop.start_tls(self._transport, self, ssl_context, server_hostname=server_hostname)
        except BaseException as error:
            self._transport.abort()
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout(str(error)) from error
            if isinstance(error, OSError):  # an SSLError is one
                raise httpcore.ConnectError(str(error)) from error
            raise
        assert encrypted is not None
        self._transport = encrypted
        return self

    async def aclose(self) -> None:
        """Say goodbye, and go without waiting for the other side's."""
        self._transport.close()
        await asyncio.sleep(0)
        self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        """What httpcore wants to know: the socket, the TLS object, whether an idle connection has something to say."""
        if info == "is_readable":
            return self._ended or bool(self._unread) or _is_readable(self._transport.get_extra_info("socket"))
        return self._transport.get_extra_info(_NAMES.get(info, info))


_NAMES = {"client_addr": "sockname", "server_addr": "peername"}


def _is_readable(connected: socket.socket) -> bool:
    """Whether bytes or the end have come that the loop has not read yet. A lost socket counts as ended."""
    number = connected.fileno()
    if number < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))
