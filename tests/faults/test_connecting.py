"""Servers that cannot be reached at all: the row of the table that no server can play."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llm_framework.errors import ConnectionFailedError, LLMFrameworkError, RequestTimeoutError

from .leaks import leaks_of_error
from .playing import Seen, Target, play
from .server import FullBacklog, free_port
from .stage import STREAM, TRIES, WHOLE
from .targets import each_target

MODES = (STREAM, WHOLE, "sync")


@pytest.fixture
def nobody() -> Iterator[FullBacklog]:
    """A port that answers nobody."""
    with FullBacklog() as port:
        if not port.is_full():
            pytest.skip("this system answers although the queue is full")
        yield port


@pytest.mark.parametrize("mode", MODES)
@each_target
def test_nobody_listens(target: Target, mode: str) -> None:
    """A refused connection is tried as often as configured."""
    seen = play(target, f"http://127.0.0.1:{free_port()}", mode, {}, {})
    check(seen, ConnectionFailedError, TRIES)


@pytest.mark.parametrize("mode", MODES)
@each_target
def test_hang_at_connect(target: Target, mode: str, nobody: FullBacklog) -> None:
    """A connection that nobody answers costs the limit for connecting, each time."""
    seen = play(target, nobody.origin, mode, {"connect_timeout": 0.2}, {})
    error = check(seen, RequestTimeoutError, TRIES)
    assert error.limit == "connect"
    assert seen.seconds < 6


@pytest.mark.parametrize("mode", MODES)
@each_target
def test_hang_at_connect_until_the_deadline(target: Target, mode: str, nobody: FullBacklog) -> None:
    """The deadline holds while a connection is being made."""
    seen = play(target, nobody.origin, mode, {"connect_timeout": 30.0, "default_timeout": 0.5}, {})
    error = check(seen, RequestTimeoutError, 1, retryable=False)
    assert error.limit == "total"
    assert seen.seconds < 0.5 * 1.1 + 2


def check(seen: Seen, kind: type[LLMFrameworkError], attempts: int, *, retryable: bool = True) -> LLMFrameworkError:
    """The error of the call, after it was looked at from all sides."""
    error = seen.error
    assert type(error) is kind, repr(error)
    assert "".join(seen.texts) == ""
    assert len(error.attempts) == attempts
    assert error.retryable is retryable
    assert not list(leaks_of_error(error))
    return error
