"""For people's own tests: a backend that plays a script, and the contract that every backend should pass."""

from __future__ import annotations

from .contract import CHECKS, check_backend
from .fake import Answer, FakeBackend, Gate, Step

__all__ = ["CHECKS", "Answer", "FakeBackend", "Gate", "Step", "check_backend"]
