"""The interpreter's switch interval while requests run."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from llm_framework.native.interval import QuickTurns


@pytest.fixture(autouse=True)
def interval() -> Iterator[None]:
    """A known interval, and the old one afterwards."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(before)


def test_it_is_short_while_anyone_is_inside() -> None:
    """The first one in shortens it, the last one out puts it back."""
    turns = QuickTurns(0.001)
    turns.enter()
    turns.enter()
    assert sys.getswitchinterval() == pytest.approx(0.001)
    turns.leave()
    assert sys.getswitchinterval() == pytest.approx(0.001)
    turns.leave()
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_what_others_set_stays() -> None:
    """A shorter interval, or one that was set meanwhile, is not touched."""
    turns = QuickTurns(0.001)
    sys.setswitchinterval(0.0005)
    turns.enter()
    turns.leave()
    assert sys.getswitchinterval() == pytest.approx(0.0005)
    sys.setswitchinterval(0.005)
    turns.enter()
    sys.setswitchinterval(0.002)
    turns.leave()
    assert sys.getswitchinterval() == pytest.approx(0.002)
