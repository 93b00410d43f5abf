"""OpenAI's SDK as the source of configuration: what it makes of keys, addresses, organisations, Azure and its own
environment variables holds here too, though the requests go over our own transport."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import anyio.to_thread
import openai

from ..errors import AuthenticationError, ConfigurationError

_ALSO_TAKEN = ("organization", "project", "default_query")
_AZURE = ("azure_endpoint", "azure_deployment", "api_version", "azure_ad_token", "azure_ad_token_provider")
_OF_DEPLOYMENTS = ("/chat/completions", "/embeddings")
_OURS = ("accept", "content-type", "user-agent")  # set by the transport; the SDK's say that the SDK is at work

TokenProvider = Callable[[], Any]


def is_azure(settings: Mapping[str, Any]) -> bool:
    """Whether the settings lead to Azure's endpoints of the form `/openai/deployments/…?api-version=…`; those below
    `/openai/v1` are like OpenAI's own."""
    return bool(settings.get("azure_endpoint")) and settings.get("api_version") not in (None, "v1")


def make_client(settings: Mapping[str, Any], key: str | None, who: str) -> openai.AsyncOpenAI:
    """The SDK's own client, with these settings. Raises `AuthenticationError` without a key, `ConfigurationError` for
    what the SDK does not take."""
    options: dict[str, Any] = {name: settings[name] for name in _ALSO_TAKEN if settings.get(name) is not None}
    token = settings.get("azure_ad_token") or settings.get("azure_ad_token_provider")
    if not key and not token:
        variable = "AZURE_OPENAI_API_KEY" if settings.get("azure_endpoint") else "OPENAI_API_KEY"
        message = f"no key for {who}: set api_key in api_credentials, or the variable {variable}"
        raise AuthenticationError(message, provider=who)
    try:
        if is_azure(settings):
            options.update({name: settings[name] for name in _AZURE if settings.get(name) is not None})
            return openai.AsyncAzureOpenAI(api_key=None if token else key, max_retries=0, **options)
        return openai.AsyncOpenAI(api_key=key or "token", base_url=_base_url(settings), max_retries=0, **options)
    except (openai.OpenAIError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"the openai SDK does not take the settings of {who!r}: {error}", provider=who
        ) from None


def _base_url(settings: Mapping[str, Any]) -> str | None:
    if settings.get("azure_endpoint"):
        return str(settings["azure_endpoint"]).rstrip("/") + "/openai/v1"
    base = settings.get("base_url")
    return None if base is None else str(base)


def fixed_headers(client: openai.AsyncOpenAI, settings: Mapping[str, Any], key: str | None) -> dict[str, str]:
    """The headers that the SDK would send with every request, but for those that name the SDK. Without the credential
    where `token_provider` gives one for each request."""
    headers = {**client.auth_headers, **client.default_headers}
    found = {name: value for name, value in headers.items() if isinstance(value, str) and not _names_sdk(name)}
    token = settings.get("azure_ad_token")
    if is_azure(settings) or token or token_provider(settings):  # the lowest SDK writes Azure's key only when it sends
        given = {name.lower() for name in settings.get("headers") or {}}
        found = {name: value for name, value in found.items() if name.lower() not in ("authorization", "api-key")}
        if token:
            found["Authorization"] = f"Bearer {token}"
        elif key and not token_provider(settings) and "api-key" not in given:
            found["api-key"] = key
    return found


def path_of(path: str, base: str, settings: Mapping[str, Any], model: str) -> str:
    """The path of an endpoint below the base. On Azure some belong to a deployment (named like the model, where the
    settings name none), and the others do not."""
    base = base.rstrip("/")
    if is_azure(settings):
        root = base.partition("/deployments/")[0]
        if path not in _OF_DEPLOYMENTS:
            return root + path
        if root == base:
            return f"{root}/deployments/{model}{path}"
    return base + path


def _names_sdk(name: str) -> bool:
    return name.lower().startswith("x-stainless-") or name.lower() in _OURS


def token_provider(settings: Mapping[str, Any]) -> TokenProvider | None:
    """What gives the token for each request, where one was configured."""
    provider = settings.get("azure_ad_token_provider")
    return provider if callable(provider) else None


async def token_from(provider: TokenProvider, who: str) -> str:
    """The token for a request. A plain function is called in a thread: it may ask a server."""
    if inspect.iscoroutinefunction(provider):
        token = await provider()
    else:
        token = await anyio.to_thread.run_sync(provider)
        token = await token if inspect.isawaitable(token) else token
    if not isinstance(token, str) or not token:
        raise AuthenticationError(f"azure_ad_token_provider of {who!r} gave no token", provider=who)
    return token
