"""What all tests share: an environment in which only the bundled model and nothing of the user's is found."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

BUNDLED = "tiny-chat"


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No configuration file, key, models folder or cache of the person who runs the tests has a say in them."""
    patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if (name.startswith("LLM_FRAMEWORK_") and name != "LLM_FRAMEWORK_ISA") or name.endswith("_API_KEY"):
            patch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        patch.setenv(name, str(home / name.lower()))
    patch.setenv("LLM_FRAMEWORK_MODELS_DIR", str(tmp_path_factory.mktemp("models")))
    patch.setenv("HF_HUB_OFFLINE", "1")
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def heard_interrupts() -> None:
    """A runner in the background may hand down an ignored Ctrl-C, and what a test ran may put that back: the programs
    that the next one starts would inherit it."""
    if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def bundled_path() -> Path:
    """The folder of the model that ships in the package."""
    import llm_framework

    return Path(llm_framework.__file__).parent / "bundled" / BUNDLED
