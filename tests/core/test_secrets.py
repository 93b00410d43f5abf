from __future__ import annotations

import sys

import pytest

from llm_framework import ConfigurationError
from llm_framework.secrets import redact, resolve_api_key


def plain(provider: str, credentials: dict[str, object] | None = None) -> str | None:
    key = resolve_api_key(provider, credentials)
    return key.get_secret_value() if key else None


def test_a_key_is_found_in_each_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key comes as itself, from a named variable, from a command, or from the provider's usual variable."""
    monkeypatch.setenv("MY_KEY", "from-variable")
    monkeypatch.setenv("GEMINI_API_KEY", "from-usual")
    assert plain("openai", {"api_key": "given"}) == "given"
    assert plain("openai", {"api_key_env": "MY_KEY"}) == "from-variable"
    assert plain("openai", {"api_key_command": [sys.executable, "-c", "print('from-command')"]}) == "from-command"
    assert plain("google") == "from-usual"
    assert plain("backup", {"provider": "google"}) == "from-usual"
    assert plain("openai") is None


@pytest.mark.parametrize(
    "credentials",
    [
        {"api_key_env": "NOT_SET"},
        {"api_key_command": "no-such-program"},
        {"api_key_command": [sys.executable, "-c", ""]},
    ],
)
def test_a_named_source_that_gives_no_key_is_an_error(
    credentials: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked for explicitly is not replaced by the usual variable."""
    monkeypatch.setenv("OPENAI_API_KEY", "usual")
    with pytest.raises(ConfigurationError, match="openai"):
        resolve_api_key("openai", credentials)


def test_known_keys_are_taken_out_of_texts() -> None:
    """A key that was resolved once is redacted wherever it appears."""
    key = resolve_api_key("openai", {"api_key": "sk-very-secret"})
    assert "very-secret" not in repr(key)
    assert redact("url?key=sk-very-secret&x") == "url?key=***&x"
