"""The backends that the suite is run against, as far as their SDKs are installed."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

from .playing import TARGETS, Target

_SDKS = {"openai": "openai", "anthropic": "anthropic", "google": "google.genai"}


def target_marks(target: Target) -> list[Any]:
    """What skips a target whose SDK is not installed."""
    sdk = _SDKS.get(target.backend)
    return [] if sdk is None or _is_installed(sdk) else [pytest.mark.skip(reason=f"{sdk} is not installed")]


@cache
def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # nor is its parent
        return False


each_target = pytest.mark.parametrize(
    "target", [pytest.param(target, id=target.backend, marks=target_marks(target)) for target in TARGETS]
)
"""Runs a test against each target."""
