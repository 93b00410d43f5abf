"""Keys: where they come from, and how they are held. The only reader of key variables.

A key is a pydantic `SecretStr` from the moment it is read, so no repr of ours shows it, and `redaction` knows it from
then on, which takes it out of every error and log record.
"""

from __future__ import annotations

import copy
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from . import logs, redaction
from .errors import ConfigurationError
from .gateways import GATEWAYS
from .redaction import redact

__all__ = ["Hidden", "redact", "remember", "remember_settings", "resolve_api_key"]

# The variables that each provider's own documents name, first one first.
USUAL_VARIABLES: dict[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "azure": ("AZURE_OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "google": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    **{name: (gateway.key_variable,) for name, gateway in GATEWAYS.items() if gateway.key_variable},
}
COMMAND_TIMEOUT = 30.0  # seconds; a password manager may ask for a touch or a PIN


def resolve_api_key(provider: str, credentials: Mapping[str, Any] | None = None) -> SecretStr | None:
    """The key for `provider`, or None where there is none.

    Looked for in `credentials`: `api_key`, then the variable that `api_key_env` names, then what `api_key_command`
    prints; then in the provider's usual variable. Raises `ConfigurationError` where a named variable is not set or a
    command fails: what was asked for explicitly is never silently replaced.
    """
    credentials = credentials or {}
    key: str | None
    if credentials.get("api_key") is not None:
        key = _plain(credentials["api_key"])
    elif credentials.get("api_key_env"):
        key = _from_variable(provider, str(credentials["api_key_env"]))
    elif credentials.get("api_key_command"):
        key = _from_command(provider, credentials["api_key_command"])
    else:
        names = _usual_variables(provider, credentials)
        key = next((os.environ[name].strip() for name in names if os.environ.get(name, "").strip()), None)
    return remember(key) if key else None


def origin_of_key(provider: str, credentials: Mapping[str, Any] | None = None) -> str | None:
    """Where `resolve_api_key` would take the key from, in words; None where there is none. A command is named and not
    run. Raises `ConfigurationError` where a named variable is not set."""
    credentials = credentials or {}
    if credentials.get("api_key") is not None:
        return "api_key in the configuration"
    if credentials.get("api_key_env"):
        _from_variable(provider, str(credentials["api_key_env"]))
        return f"environment variable {credentials['api_key_env']}"
    if credentials.get("api_key_command"):
        return f"the command {_words_of(credentials['api_key_command'])[0]}"
    found = next((name for name in _usual_variables(provider, credentials) if os.environ.get(name, "").strip()), None)
    return None if found is None else f"environment variable {found}"


def remember(key: str) -> SecretStr:
    """Wrap a key and have `redact` know it."""
    redaction.remember(key)
    logs.watch_dependencies()
    return SecretStr(key)


def remember_settings(settings: Mapping[str, Any]) -> None:
    """Have `redact` know every secret among a backend's or plugin's settings: keys, headers that carry one, and what
    stands in URLs."""
    for value in settings.values():
        if isinstance(value, SecretStr):
            remember(value.get_secret_value())
        elif isinstance(value, str) and "://" in value:
            redaction.remember_url(value)
    redaction.remember_named(settings)
    logs.watch_dependencies()


class Hidden(dict[str, Any]):
    """A dict that shows no key when it is printed or pickled. Copies hold what it holds."""

    def __repr__(self) -> str:
        return redact(super().__repr__())

    def __reduce__(self) -> tuple[Any, ...]:
        kept = {name: value for name, value in self.items() if not isinstance(value, SecretStr)}
        return type(self), (redaction.redact_value(kept),)

    def __copy__(self) -> Hidden:
        return Hidden(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Hidden:
        return Hidden(copy.deepcopy(dict(self), memo))


def _plain(value: Any) -> str:
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value).strip()


def _from_variable(provider: str, name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        message = f"api_key_env of {provider!r} names the environment variable {name}, which is not set"
        raise ConfigurationError(message, provider=provider)
    return value


def _usual_variables(provider: str, credentials: Mapping[str, Any]) -> tuple[str, ...]:
    usual = "azure" if credentials.get("azure_endpoint") else credentials.get("provider") or provider
    return USUAL_VARIABLES.get(str(usual), ())


def _words_of(command: str | Sequence[str]) -> list[str]:
    words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    return words or ["(empty)"]


def _from_command(provider: str, command: str | Sequence[str]) -> str:
    words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        late = isinstance(error, subprocess.TimeoutExpired)
        reason = f"took longer than {COMMAND_TIMEOUT:g} s" if late else str(error)
        message = f"api_key_command of {provider!r} ({words[0] if words else 'empty'}) failed: {reason}"
        raise ConfigurationError(message, provider=provider) from None
    key = done.stdout.strip()
    if done.returncode or not key:
        what = f"ended with status {done.returncode}" if done.returncode else "printed nothing"
        raise ConfigurationError(f"api_key_command of {provider!r} ({words[0]}) {what}", provider=provider)
    return key.splitlines()[0].strip()
