"""Anthropic's SDK: where the server is and how to sign in, and the way of a request where only the SDK can sign or
frame it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import anthropic
import httpx2
from pydantic import SecretStr

from .. import secrets
from ..errors import (
    AuthenticationError,
    ConfigurationError,
    LLMFrameworkError,
    MissingDependencyError,
    RequestTimeoutError,
)
from ..types import Chunk
from .http.client import LoopClients
from .protocols import http_errors
from .protocols.messages_request import SAMPLING_VERSION, samples
from .protocols.messages_response import MessagesReader

if TYPE_CHECKING:
    from .anthropic import AnthropicBackend
    from .http.backend import HttpCall

_BEDROCK = ("aws_region", "aws_profile", "aws_access_key", "aws_secret_key", "aws_session_token")
_VERTEX = ("region", "project_id", "access_token", "credentials")
# The version of the API that a platform takes for its older models: the SDK always says the newest.
_OLD_VERSIONS = {"bedrock": "bedrock-2023-05-31", "vertex": "vertex-2023-10-16"}
_SECRET = ("aws_secret_key", "aws_session_token", "access_token", "auth_token")
_ALSO_TAKEN = ("credentials", "config", "profile")  # of the plain client: where tokens that it renews come from
# Headers that describe the SDK or the connection, which are ours to say.
_NOT_TAKEN = ("x-stainless-", "user-agent", "accept", "content-type", "connection")
_OWN_ARGUMENTS = ("model", "max_tokens", "messages")


@dataclass(frozen=True, slots=True)
class Account:
    """How to reach the server: by `headers` at `base_url`, or `through_sdk` by the clients that `make` makes."""

    base_url: str
    headers: Mapping[str, str]
    is_signed: bool
    through_sdk: bool
    make: Callable[[], Any]
    platform: str | None = None
    keep_open: bool = False
    """The client is the caller's own, who closes it."""


def account(settings: Mapping[str, Any], key: str | None, who: str) -> Account:
    """What the SDK makes of the settings, and of its own variables. Raises `ConfigurationError` for what it refuses."""
    plain = {name: _plain(settings[name]) for name in settings}
    for name in _SECRET:
        if isinstance(plain.get(name), str):
            secrets.remember(plain[name])
    if (client := plain.get("client")) is not None:
        return Account(str(client.base_url), {}, True, True, lambda: client, _platform_of(client), True)
    if (platform := _platform(plain)) is not None:
        return _on_platform(platform, plain, key, who)
    return _plain_account(plain, key, who)


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _platform(settings: Mapping[str, Any]) -> str | None:
    named = settings.get("platform")
    if named is not None and named not in ("bedrock", "vertex", "anthropic"):
        raise ConfigurationError(f"platform is {named!r}; it can be 'anthropic', 'bedrock' or 'vertex'")
    if named is None and any(settings.get(name) for name in _BEDROCK):
        return "bedrock"
    if named is None and any(settings.get(name) for name in ("region", "project_id")):
        return "vertex"
    return None if named == "anthropic" else named


def _platform_of(client: Any) -> str | None:
    if isinstance(client, anthropic.AsyncAnthropicBedrock):
        return "bedrock"
    return "vertex" if isinstance(client, anthropic.AsyncAnthropicVertex) else None


def _plain_account(settings: Mapping[str, Any], key: str | None, who: str) -> Account:
    options: dict[str, Any] = {"base_url": settings.get("base_url"), "max_retries": 0}
    credential = "auth_token" if settings.get("auth_token") else next((n for n in _ALSO_TAKEN if settings.get(n)), None)
    if credential is not None:
        options[credential] = settings[credential]
    else:
        options["api_key"] = key
    with _explained(who), anthropic.Anthropic(**options) as client:
        headers = {
            name: value
            for name, value in client.default_headers.items()
            if isinstance(value, str) and not name.lower().startswith(_NOT_TAKEN)
        }
        for secret in (client.api_key, client.auth_token):
            if secret:
                secrets.remember(secret)
        signed = bool(client.api_key or client.auth_token)
        renewed = not signed and client.credentials is not None
        base_url = str(client.base_url)

    def make() -> Any:
        with _explained(who):
            return anthropic.AsyncAnthropic(
                **options, http_client=_http_client(settings), default_headers=_given(settings)
            )

    return Account(base_url, headers, signed, renewed, make)


def _on_platform(platform: str, settings: Mapping[str, Any], key: str | None, who: str) -> Account:
    names: tuple[str, ...] = _VERTEX if platform == "vertex" else _BEDROCK
    kind: Any = anthropic.AsyncAnthropicVertex if platform == "vertex" else anthropic.AsyncAnthropicBedrock
    options: dict[str, Any] = {name: settings[name] for name in names if settings.get(name) is not None}
    options |= {"base_url": settings.get("base_url"), "max_retries": 0}
    if platform == "bedrock" and key and not key.startswith("sk-ant-"):  # that one is for Anthropic's own servers
        options["api_key"] = key

    def make() -> Any:
        with _explained(who):
            return kind(**options, http_client=_http_client(settings), default_headers=_given(settings))

    first = make()
    return Account(str(first.base_url), {}, True, True, make, platform)


def _given(settings: Mapping[str, Any]) -> dict[str, str]:
    """The headers of the settings, as the SDK takes them."""
    headers = {str(name): str(value) for name, value in dict(settings.get("headers") or {}).items()}
    if betas := settings.get("betas"):
        headers["anthropic-beta"] = betas if isinstance(betas, str) else ",".join(betas)
    return headers


def _http_client(settings: Mapping[str, Any]) -> Any:
    """A client that follows no redirect, which could carry what was signed elsewhere, and leaves time to the engine."""
    timeout = anthropic.Timeout(None, connect=settings.get("connect_timeout", 10.0))
    return anthropic.DefaultAsyncHttpxClient(timeout=timeout, follow_redirects=False)


class _explained:
    """Turns what the SDK says while it is being set up into errors of ours."""

    def __init__(self, who: str) -> None:
        self.who = who

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, LLMFrameworkError) or not isinstance(error, Exception):
            return
        raise _setup_error(error, self.who) from None


def _setup_error(error: Exception, who: str) -> LLMFrameworkError:
    if isinstance(error, ImportError):
        extra = "anthropic-vertex" if "google" in str(error) else "anthropic-bedrock"
        return MissingDependencyError(f"{who} on this platform", extra, provider=who)
    return ConfigurationError(f"the settings of {who!r} do not do: {error}", provider=who)


class _LoopClient:
    """A client of the SDK as `LoopClients` holds them."""

    def __init__(self, sdk: Any, keep_open: bool) -> None:
        self.sdk = sdk
        self.is_closed = False
        self._keep_open = keep_open

    async def aclose(self) -> None:
        self.is_closed = True
        if not self._keep_open:
            await self.sdk.close()


class SdkClients:
    """Asks through the SDK: its events go through the same reader, its errors become those of their status."""

    def __init__(self, account: Account, backend: AnthropicBackend) -> None:
        self._account = account
        self._backend = backend
        self._clients: Any = LoopClients(cast(Any, lambda: _LoopClient(account.make(), account.keep_open)))

    async def close(self) -> None:
        """Close the clients, each on its own loop."""
        await self._clients.close()

    async def answer(self, call: HttpCall, reader: MessagesReader) -> AsyncGenerator[Chunk, None]:
        """The chunks of the answer. Raises as the framework's own way does."""
        while True:
            try:
                async with self._stream(call.body) as events:
                    async for event in events:
                        for chunk in reader.value(event.to_dict(mode="json")):
                            yield chunk
                        if reader.ended:
                            return
            except LLMFrameworkError:
                raise
            except Exception as error:
                if not await self._may_go_on(error, call, reader):
                    raise self._explained(error, reader) from None
            else:
                raise self._backend.broken("the stream ended without its end mark", reader.shown)

    @asynccontextmanager
    async def _stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        sdk = (await self._clients.get()).sdk
        own, rest = _arguments(body)
        rest.pop("stream", None)
        headers: dict[str, str] = {}
        if self._account.platform is None and samples(body):
            headers["anthropic-version"] = SAMPLING_VERSION
        elif self._account.platform is not None and not self._backend.family.takes_newest:
            rest.setdefault("anthropic_version", _OLD_VERSIONS[self._account.platform])
        stream = await sdk.messages.create(**own, stream=True, extra_body=rest, extra_headers=headers)
        try:
            yield stream
        finally:
            await stream.close()

    async def _may_go_on(self, error: Exception, call: HttpCall, reader: MessagesReader) -> bool:
        """Whether the server refused something that the request can do without."""
        if not isinstance(error, anthropic.APIStatusError) or reader.begun:
            return False
        body = _body_of(error)
        refusal = http_errors.is_refusal(error.status_code, body)
        return refusal and await self._backend.yields_to(error.status_code, body, call)

    async def count_tokens(self, body: dict[str, Any]) -> int | None:
        """The tokens of a prompt; None where the platform does not count."""
        sdk = (await self._clients.get()).sdk
        own, rest = _arguments(body)
        try:
            counted = await sdk.messages.count_tokens(**own, extra_body=rest)
        except (anthropic.APIStatusError, anthropic.APIConnectionError) as error:
            raise self._explained(error, None) from None
        except anthropic.AnthropicError:  # Bedrock: the SDK knows no way to ask
            return None
        return int(counted.input_tokens)

    def _explained(self, error: Exception, reader: MessagesReader | None) -> LLMFrameworkError:
        backend = self._backend
        shown = reader is not None and reader.shown
        if isinstance(error, anthropic.APIStatusError):
            body = _body_of(error)
            if reader is not None and error.status_code == 200:  # an event of a stream that had begun
                return reader.error_in({"error": {"type": body.type, "message": body.message, "code": body.code}})
            return backend.refused(error.status_code, body, error.response.headers)
        if isinstance(error, anthropic.APITimeoutError):
            message = f"no answer from {backend.who} within the time to connect; raise connect_timeout"
            return RequestTimeoutError(message, limit="connect", provider=backend.who, model=backend.model)
        if isinstance(error, (anthropic.APIConnectionError, httpx2.HTTPError, OSError, asyncio.IncompleteReadError)):
            return backend.broken(f"the connection broke ({type(error).__name__})", shown)
        if isinstance(error, ImportError):
            return _setup_error(error, backend.who)
        if isinstance(error, ValueError) and reader is not None and reader.begun:
            return backend.bad("a frame that cannot be read")
        message = f"{backend.who} cannot be signed in to: {type(error).__name__}: {error}"
        return AuthenticationError(message, provider=backend.who, model=backend.model)


def _arguments(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that the SDK's method wants by name, and the rest, of which its version may not know all."""
    own = {name: body[name] for name in _OWN_ARGUMENTS if name in body}
    return own, {name: value for name, value in body.items() if name not in own}


def _body_of(error: anthropic.APIStatusError) -> http_errors.ErrorBody:
    body = error.body
    if isinstance(body, (Mapping, list)):
        return http_errors.from_json(body)
    return http_errors.read_body(str(body or error.message))
