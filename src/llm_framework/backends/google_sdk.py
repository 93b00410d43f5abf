"""Where Google's models are, and how one shows who one is there: what the official SDK makes of the settings.

The SDK is asked, not used for the way itself: its own reading of a stream cuts lines at U+2028, it follows redirects
with the key, and it costs more than the rest of a call. It is handed a transport that sends nothing and only looks at
the request: so the address, the version of the API, and the headers are those that the SDK would have used.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx

from ..errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    LLMFrameworkError,
    MissingDependencyError,
)
from .http.client import tls_context

# Of the connection, or of who sends it: ours are our own.
_NOT_TAKEN = frozenset(
    {"host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent",
     "x-goog-api-client"}
)  # fmt: skip
NO_KEY = "none"  # the SDK wants one even for a server of one's own that wants none
_ASKED = ":countTokens"


@dataclass(frozen=True, slots=True)
class Place:
    """The address of a model, before the colon and the method, and the headers that open it."""

    url: httpx.URL
    headers: Mapping[str, str] = field(repr=False)

    def method(self, name: str, **query: str) -> httpx.URL:
        """The address of one of its methods."""
        url = self.url.copy_with(path=f"{self.url.path}:{name}")
        return url.copy_merge_params(query) if query else url

    @property
    def resource(self) -> str:
        """The model's name in bodies: `models/…`."""
        return "/".join(self.url.path.rsplit("/", 2)[1:])

    @property
    def models(self) -> httpx.URL:
        """The address of the list that the model stands in."""
        return self.url.copy_with(path=self.url.path.rsplit("/", 2)[0] + "/models")


class _Seen(Exception):
    """Carries a request out of the SDK."""

    def __init__(self, request: Any) -> None:
        super().__init__("not sent")
        self.request = request


class _Eye:
    """A transport, of httpx and httpx2 alike, that looks at a request instead of sending it."""

    def handle_request(self, request: Any) -> Any:
        raise _Seen(request)

    def __enter__(self) -> _Eye:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def close(self) -> None:
        pass


def is_vertex(settings: Mapping[str, Any]) -> bool:
    """Whether the settings mean Vertex AI rather than the Gemini API."""
    if settings.get("vertexai") is not None:
        return bool(settings["vertexai"])
    return any(settings.get(name) for name in ("project", "location", "credentials"))


class Locator:
    """Tells the place of one model. Blocking: the SDK is imported at first use, and may fetch a token."""

    def __init__(self, settings: Mapping[str, Any], key: str | None, who: str) -> None:
        self._settings = settings
        self._key = key
        self._who = who
        self._client: Any = None

    def place(self, model: str) -> Place:
        """The place now; a token in its headers lasts for some minutes at least. Raises `MissingDependencyError`,
        `ConfigurationError`, `AuthenticationError`, and `ConnectionFailedError` where no token could be fetched."""
        if self._client is None:
            self._client = self._checked(self._new_client)
        seen = self._checked(lambda: self._look(model))
        url, headers = httpx.URL(str(seen.url)), dict(seen.headers)
        if headers.get("x-goog-api-key") == NO_KEY:
            del headers["x-goog-api-key"]
        taken = {name: text for name, text in headers.items() if name.lower() not in _NOT_TAKEN}
        return Place(url.copy_with(path=url.path.removesuffix(_ASKED)), taken)

    def close(self) -> None:
        """Let go of what the SDK holds."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _new_client(self) -> Any:
        try:
            from google import genai
        except ImportError as error:
            raise MissingDependencyError("the backend 'google'", "google", provider=self._who) from error
        settings = self._settings
        tls = tls_context(
            settings.get("ca_bundle")
        )  # for what is never used: else it would read the certificates three times
        options: dict[str, Any] = {
            "client_args": {"transport": _Eye(), "verify": tls},
            "async_client_args": {"verify": tls, "ssl": tls},
        }
        options.update({name: settings[name] for name in ("base_url", "api_version") if settings.get(name)})
        if not is_vertex(settings):
            return genai.Client(vertexai=False, api_key=self._key or NO_KEY, http_options=options)
        given = {name: settings[name] for name in ("project", "location", "credentials") if settings.get(name)}
        if not given and self._key:  # a key alone is Vertex's express mode
            given["api_key"] = self._key
        return genai.Client(vertexai=True, http_options=options, **given)

    def _look(self, model: str) -> Any:
        try:
            self._client.models.count_tokens(model=model, contents="x")
        except _Seen as seen:
            return seen.request
        raise ConfigurationError("this version of google-genai is not understood", provider=self._who)

    def _checked(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (LLMFrameworkError, _Seen):
            raise
        except Exception as error:
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> LLMFrameworkError:
        from google.auth import exceptions  # comes with the SDK

        if isinstance(error, exceptions.TransportError):
            message = f"no token for {self._who} could be fetched: {error}"
            return ConnectionFailedError(message, provider=self._who)
        if isinstance(error, exceptions.GoogleAuthError):
            message = f"{self._who} has no usable credentials: {error}"
            return AuthenticationError(message, provider=self._who)
        message = f"the settings of {self._who} are refused by google-genai: {error}"
        return ConfigurationError(message, provider=self._who)


# ----------------------------------------------------------------------------------------------- a client given in code
class RefusedError(Exception):
    """What the SDK makes of an answer that is no success: its status, and the decoded body."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


async def frames_of(client: Any, model: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
    """The answer to a body through the SDK's own client, frame by frame as the protocol has them. Raises
    `RefusedError`, and the errors of the SDK's HTTP library."""
    from google.genai import errors, types

    fields = {name: value for name, value in body.items() if name not in ("contents", "generationConfig")}
    config = {**body["generationConfig"], **fields, "automaticFunctionCalling": {"disable": True}}
    asked = {
        # As JSON: only so are bytes taken as the base64 that they are.
        "contents": [types.Content.model_validate_json(json.dumps(content)) for content in body["contents"]],
        "config": types.GenerateContentConfig.model_validate_json(json.dumps(config)),
    }
    try:
        async with aclosing(await client.aio.models.generate_content_stream(model=model, **asked)) as chunks:
            async for chunk in chunks:
                yield chunk.model_dump(mode="json", by_alias=True, exclude_none=True)
    except errors.APIError as error:
        raise RefusedError(int(error.code), error.details) from None
