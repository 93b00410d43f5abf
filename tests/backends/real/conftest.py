"""The servers, each started once for all tests that only ask it something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from servers.gguf_file import write_gguf
from servers.real_server import RealServer

KEY = "sk-real-server-0123456789"
CONTEXT = 512

StartServer = Callable[..., AbstractContextManager[RealServer]]


@pytest.fixture(scope="session")
def start_llama(tmp_path_factory: pytest.TempPathFactory, bundled_path: Path) -> StartServer:
    """Starts llama-cpp-python's server with the bundled model: `with start_llama(n_ctx=2048) as server`."""
    home = tmp_path_factory.mktemp("llama")
    file = home / "tiny-chat.gguf"
    write_gguf(bundled_path, file)

    def start(**options: object) -> RealServer:
        given = {
            "model": file, "model_alias": "tiny-chat", "n_ctx": CONTEXT, "n_threads": 1, "n_threads_batch": 1,
            "api_key": KEY, "verbose": False, **options,
        }  # fmt: skip
        arguments = [word for name, value in given.items() for word in (f"--{name}", str(value))]
        return RealServer("-m", "llama_cpp.server", *arguments, home=home)

    return start


@pytest.fixture(scope="session")
def llama(start_llama: StartServer) -> Iterator[RealServer]:
    """llama-cpp-python's server, in its own settings but for the key and a context of 512 tokens."""
    with start_llama() as server:
        yield server


@pytest.fixture(scope="session")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory, bundled_path: Path) -> Iterator[RealServer]:
    """`transformers serve` with the bundled folder."""
    home = tmp_path_factory.mktemp("serve")
    arguments = ("-m", "transformers.cli.transformers", "serve", str(bundled_path), "--device", "cpu")
    with RealServer(*arguments, home=home) as server:
        yield server
