"""LangChain's messages and ours, both ways.

Pure functions: nothing here calls a model, or opens a file or connection.
"""

from __future__ import annotations

from .reading import to_framework
from .streaming import to_ai_chunk, with_broken_calls_marked
from .writing import PROVIDER, response_metadata, to_ai_message, to_langchain, to_usage

__all__ = [
    "PROVIDER",
    "response_metadata",
    "to_ai_chunk",
    "to_ai_message",
    "to_framework",
    "to_langchain",
    "to_usage",
    "with_broken_calls_marked",
]
