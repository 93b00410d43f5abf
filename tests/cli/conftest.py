"""What the tests of the command line share."""

from __future__ import annotations

import pytest

LONG = 1000  # tokens: some seconds of decoding


@pytest.fixture(scope="session")
def long_answer() -> tuple[str, ...]:
    """Options with which the bundled model's answer to "Hello there" goes on for seconds.

    Which seed leads into one changes with every training, and the same seed gives the same answer: so it is looked for.
    """
    from llm_framework import LLMFramework

    with LLMFramework() as framework:
        for seed in range(200):
            response = framework.sync.generate("Hello there", temperature=2.5, seed=seed, max_tokens=LONG)
            if response.finish_reason == "length":
                return ("-t", "2.5", "--seed", str(seed), "-n", "1900")
    raise AssertionError("no seed leads into a long answer")
