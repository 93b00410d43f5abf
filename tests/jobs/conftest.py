"""A framework with a scripted model, and files of prompts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from llm_framework import LLMFramework, ModelInfo
from llm_framework.testing import FakeBackend


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(ModelInfo("m", backend_type="fake"), answers=["one two three"])


@pytest.fixture
async def framework(backend: FakeBackend) -> AsyncIterator[LLMFramework]:
    async with LLMFramework({"auto_discover_models": False, "default_model": "m", "max_retries": 0}) as framework:
        backend.install(framework)
        yield framework


def write_lines(path: Path, *lines: Any) -> Path:
    """A file of JSON lines; bytes are written as they are."""
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"".join(line + b"\n" for line in encoded))
    return path


def read_records(path: Path) -> dict[int, dict[str, Any]]:
    """The records by line number; each line has one at most."""
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    numbers = [record["line"] for record in records]
    assert len(set(numbers)) == len(numbers)
    return {record["line"]: record for record in records}


class Files:
    """The helpers above, as test modules cannot import from one another."""

    write = staticmethod(write_lines)
    read = staticmethod(read_records)


@pytest.fixture
def files() -> type[Files]:
    return Files
