"""The table of faults: each row in each protocol, streamed and whole, asynchronous and blocking."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from . import cases_answers, cases_odd, cases_refusals, cases_tools, cases_transport
from .leaks import leaks_in, leaks_of_logs
from .playing import TARGETS, Target, check, play, stage_of
from .server import FaultServer
from .stage import Case
from .targets import target_marks
from .unfixed import reason_of

CASES = (
    *cases_refusals.CASES, *cases_transport.CASES, *cases_answers.CASES, *cases_tools.CASES, *cases_odd.CASES,
)  # fmt: skip
SYNC = {"stream": "sync-stream", "whole": "sync"}


def _rows() -> Iterator[Any]:
    for case in CASES:
        modes = (*case.forms, *(SYNC[form] for form in case.forms if case.sync))
        for target in TARGETS:
            for mode in modes if target.protocol.name in case.protocols else ():
                yield pytest.param(
                    case, target, mode, marks=_marks(case, target, mode),
                    id=f"{target.backend}-{mode}-{case.name}",
                )  # fmt: skip


def _marks(case: Case, target: Target, mode: str) -> list[pytest.MarkDecorator]:
    reason = reason_of(target.backend, mode, case.name)
    known = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
    return [*target_marks(target), *known]


@pytest.mark.parametrize(("case", "target", "mode"), list(_rows()))
def test_fault(
    case: Case,
    target: Target,
    mode: str,
    elsewhere: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What the row says comes of it: requests, error, time, what was shown; and the key appears nowhere."""
    caplog.set_level(logging.DEBUG)
    with FaultServer(case.script(stage_of(target, elsewhere))) as server:
        seen = play(target, server.origin, mode, case.config, case.options)
        check(case, target, mode, seen, server)
    output = capfd.readouterr()
    assert not list(leaks_in("output", output.out + output.err))
    assert not list(leaks_of_logs(caplog.records))
