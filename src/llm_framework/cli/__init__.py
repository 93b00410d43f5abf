"""The command `llm-framework`: one file per command.

A terminal gets colour, streaming and progress; piped output is plain text and nothing else. Exit codes: 0 all well,
1 the request failed (the reason is on standard error), 2 wrong usage, 3 a file of prompts is done but some of its
results are errors, 130 interrupted.
"""

from __future__ import annotations

# The commands register themselves.
from . import (
    bench,
    chat,
    config,
    doctor,
    generate,
    models,
    plugins,
    pull,
)
from .app import app, main

__all__ = [
    "app",
    "bench",
    "chat",
    "config",
    "doctor",
    "generate",
    "main",
    "models",
    "plugins",
    "pull",
]
