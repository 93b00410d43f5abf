"""The way of a request to one model and back: slot, deadline, attempts, chunks, figures.

`engine` walks it; each other module holds one concern of it.
"""

from .engine import InferenceEngine
from .running import CallOptions

__all__ = ["CallOptions", "InferenceEngine"]
