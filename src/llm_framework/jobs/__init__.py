"""Files of prompts: `generate_file` asks a model each line of one file and appends each answer to another, in memory
that does not grow with the files, and goes on where it was stopped."""

from __future__ import annotations

from .job import JobSummary, generate_file, generate_file_sync

__all__ = ["JobSummary", "generate_file", "generate_file_sync"]
