"""Clients when loops, processes and programs end, seen from outside: Python's development mode has nothing to say."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from servers.chat_server import HANG, ChatServer, Reply, delta, json_reply, text_stream
from servers.tls import make_certificate

import llm_framework

SOURCE = str(Path(llm_framework.__file__).parents[1])
START = """
import asyncio, gc, logging, os, sys, threading
import httpx
from llm_framework import LLMFramework
from llm_framework.backends.http import client as http_client
from llm_framework.backends.http.client import HttpClient, LoopClients

logging.getLogger("asyncio").setLevel("ERROR")  # not how long a step took on a busy machine
base_url, *more = sys.argv[1:]
url = httpx.URL(base_url)
bundle = more[0] if more else None
clients = LoopClients(lambda: HttpClient(url, connect_timeout=30.0, max_idle=10, ca_bundle=bundle))
framework = LLMFramework({
    "default_model": "local:m", "auto_discover_models": False, "default_max_tokens": 4096,
    "api_credentials": {"local": {"provider": "openai_compatible", "base_url": base_url, "api_key": "sk-key-123456"}},
})

async def ask():
    client = await clients.get()
    response = await client.post(url, httpx.Headers({}), b"{}")
    return await http_client.read_whole(response)
"""


def program(server: ChatServer, code: str, *arguments: str) -> str:
    """What the program printed. It must end well, and say nothing on its standard error."""
    command = [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-W", "ignore::DeprecationWarning", "-c"]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run(
        [*command, START + textwrap.dedent(code), server.url, *arguments],
        capture_output=True, text=True, env=environment, timeout=240, check=False,
    )  # fmt: skip
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout.strip()


def connections(server: ChatServer) -> list[int]:
    return [request.connection for request in server.requests]


# ---------------------------------------------------------------------------------------------------------------- fork
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("leave", ["os._exit(0)", "os.close(2); sys.exit(0)"])  # Python finds the parent's loop open
def test_a_forked_child_has_connections_of_its_own(leave: str) -> None:
    """The child neither uses nor breaks what the parent has: the parent goes on over its first connection."""
    code = f"""
        loop = asyncio.new_event_loop()
        print(loop.run_until_complete(ask()))
        sys.stdout.flush()
        child = os.fork()
        if not child:
            assert asyncio.run(ask()) == b"{{}}"
            assert asyncio.run(ask()) == b"{{}}"
            {leave}
        assert os.waitpid(child, 0)[1] == 0
        print(loop.run_until_complete(ask()))
        loop.run_until_complete(clients.close())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    """
    with ChatServer(json_reply({})) as server:
        assert program(server, code).count("b'{}'") == 2
        assert connections(server) == [1, 2, 3, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_framework_goes_on_in_a_forked_child() -> None:
    """Blocking calls work before the fork, in the child, and in the parent afterwards, each over its own connection."""
    code = """
        assert framework.sync.generate_text("hi") == "yes"
        child = os.fork()
        if not child:
            assert framework.sync.generate_text("hi") == "yes"
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert framework.sync.generate_text("hi") == "yes"
        framework.sync.close()
    """
    with ChatServer(text_stream("yes")) as server:
        program(server, code)
        assert connections(server) == [1, 2, 1]


# ---------------------------------------------------------------------------------------------------- ends of all kinds
def test_a_loop_that_ends_with_an_open_stream() -> None:
    """The connection is closed with the loop; the server sees it, and nobody complains."""
    code = """
        async def begin():
            client = await clients.get()
            response = await client.post(url, httpx.Headers({}), b"{}")
            pieces = response.aiter_bytes()
            print(len(await anext(pieces)) > 0)
            kept.append((response, pieces))

        kept = []
        asyncio.run(begin())
        asyncio.run(begin())
        gc.collect()
    """
    with ChatServer(Reply([delta(content="a"), HANG])) as server:
        assert program(server, code).split() == ["True", "True"]
        assert all(request.disconnected.wait(30) for request in server.requests)


@pytest.mark.parametrize("close", ["framework.sync.close()", "pass"])
def test_a_program_that_ends_while_a_stream_is_open(close: str) -> None:
    """A stream that nobody reads to its end does not keep a program from ending quietly."""
    code = f"""
        chunks = iter(framework.sync.stream("hi"))
        print(next(chunks).text)
        {close}
    """
    with ChatServer(Reply([delta(content="a"), HANG])) as server:
        assert program(server, code) == "a"
        assert server.requests[0].disconnected.wait(30)


def test_threads_loops_and_blocking_calls_at_once() -> None:
    """One framework, used from threads with loops of their own and without: no loop, socket or task is left over."""
    code = """
        def blocking():
            for _ in range(3):
                answers.append(framework.sync.generate_text("hi"))

        async def several():
            answers.extend(await asyncio.gather(*(framework.generate_text("hi") for _ in range(3))))

        answers = []
        threads = [threading.Thread(target=target) for target in (blocking, lambda: asyncio.run(several())) * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asyncio.run(framework.close())
        gc.collect()
        print(len(answers), set(answers))
    """
    with ChatServer(text_stream("yes")) as server:
        assert program(server, code) == "18 {'yes'}"


def test_cancelled_requests_close_their_connections() -> None:
    """Cancelled while it waits for the head or reads the body, a request's connection is closed at once."""
    code = """
        async def read():
            response = await (await clients.get()).post(url, httpx.Headers({}), b"{}")
            begun.set()
            try:
                await response.aread()
            finally:
                await response.aclose()

        async def cancel_twice():
            global begun
            for wait_for_head in (True, False):
                begun = asyncio.Event()
                task = asyncio.create_task(read())
                if wait_for_head:
                    await begun.wait()
                else:
                    await asyncio.sleep(0.2)  # somewhere on its way
                task.cancel()
                print(await asyncio.gather(task, return_exceptions=True))

        asyncio.run(cancel_twice())
    """
    with ChatServer(Reply([delta(content="a"), HANG])) as server:
        assert program(server, code).count("CancelledError") == 2
        assert all(request.disconnected.wait(30) for request in server.requests)


def test_encrypted_connections_end_as_quietly(tmp_path: Path) -> None:
    """With TLS too: used again, left open by a loop that ends, and closed by hand."""
    file, context = make_certificate(tmp_path)
    code = """
        async def twice():
            print(await ask(), await ask())

        async def by_hand():
            await twice()
            await clients.close()

        asyncio.run(twice())
        asyncio.run(by_hand())
        gc.collect()
    """
    with ChatServer(json_reply({}), tls=context) as server:
        assert program(server, code, str(file)).count("b'{}'") == 4
        assert connections(server) == [1, 1, 2, 2]
