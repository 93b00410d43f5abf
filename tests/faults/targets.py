"""The backends that the suite is run against, as far as there are any."""

from __future__ import annotations

from typing import Any

import pytest

from llm_framework.backends import backend_names

from .playing import TARGETS, Target

_AVAILABLE = frozenset(backend_names())


def target_marks(target: Target) -> list[Any]:
    """What skips a target whose backend is not there."""
    if target.backend in _AVAILABLE:
        return []
    return [pytest.mark.skip(reason=f"there is no backend {target.backend} yet")]


each_target = pytest.mark.parametrize(
    "target", [pytest.param(target, id=target.backend, marks=target_marks(target)) for target in TARGETS]
)
"""Runs a test against each target."""
