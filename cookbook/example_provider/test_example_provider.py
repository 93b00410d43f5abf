"""The contract that every backend keeps, ours and yours. Run it with pytest."""

import asyncio

from example_provider import ExampleBackend

from llm_framework import ModelInfo
from llm_framework.testing import check_backend


def test_the_backend_keeps_the_contract() -> None:
    """Streams, limits, cancellation, event loops, refusals: `llm_framework.testing.CHECKS` lists what is checked."""
    asyncio.run(
        check_backend(ExampleBackend, ModelInfo("example:parrot", backend_type="example"), {"greeting": "Hm. "})
    )
