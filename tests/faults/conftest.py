"""What the fault suite shares: short waits between attempts, and a second server that nobody should ever reach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llm_framework.engine import retry

from .playing import warm_up
from .server import FaultServer, json_reply


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that names no wait is tried again soon."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.02)


@pytest.fixture(autouse=True)
def warm(request: pytest.FixtureRequest) -> None:
    """The test's backend is imported before its clock runs."""
    if "target" in request.fixturenames:
        warm_up(request.getfixturevalue("target"))


@pytest.fixture(scope="session")
def _second_server() -> Iterator[FaultServer]:
    with FaultServer([json_reply({})]) as server:
        yield server


@pytest.fixture
def elsewhere(_second_server: FaultServer) -> Iterator[str]:
    """The origin of another server, to which nothing may be sent."""
    yield _second_server.origin
    assert not _second_server.requests, "a request went to another host"
