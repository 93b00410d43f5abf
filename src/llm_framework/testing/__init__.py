"""For people's own tests: a backend that plays a script, and the contract that every backend should pass."""

from __future__ import annotations

from .contract import CHECKS, check_backend
from .fake import Answer, FakeBackend, Gate

__all__ = ["CHECKS", "Answer", "FakeBackend", "Gate", "check_backend"]
