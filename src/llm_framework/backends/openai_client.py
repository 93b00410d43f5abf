"""A ready client of OpenAI's SDK as the transport, for what only it knows: certificates, proxies, identities.

The bytes that come are read by us all the same, since the SDK takes a stream that was cut for a whole one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai

from ..errors import UnsupportedFeatureError
from .http.client import HttpClient


class SdkClient(HttpClient):
    """Sends by the public methods of an SDK's client, which belongs to whoever made it and is not closed."""

    def __init__(self, client: Any) -> None:
        self._client = client.with_options(max_retries=0)
        self.is_closed = False

    async def send(
        self, method: str, url: httpx.URL, headers: httpx.Headers, content: bytes | None = None
    ) -> httpx.Response:
        """The response when its headers have come. `headers` are left to the SDK. Raises httpx's errors."""
        manager = self._call(url.path, json.loads(content) if content else {})
        try:
            response = await manager.__aenter__()
        except openai.APIStatusError as error:
            status = error.response
            return httpx.Response(status.status_code, headers=_plain(status.headers), content=status.content)
        except openai.APIConnectionError as error:
            kind = httpx.ConnectTimeout if isinstance(error, openai.APITimeoutError) else httpx.ConnectError
            raise kind(str(error.__cause__ or error)) from None
        stream = _Bytes(manager, response)
        return httpx.Response(response.status_code, headers=_plain(response.headers), stream=stream)

    def _call(self, path: str, body: dict[str, Any]) -> Any:
        """The SDK's method for that endpoint, about to be called; what it does not know by name goes along as it is."""
        client = self._client
        if path.endswith("/chat/completions"):
            create = client.chat.completions.with_streaming_response.create
            return create(model=body["model"], messages=body["messages"], extra_body=body)
        if path.endswith("/responses"):
            return client.responses.with_streaming_response.create(model=body["model"], extra_body=body)
        if path.endswith("/embeddings"):
            create = client.embeddings.with_streaming_response.create
            return create(model=body["model"], input=body["input"], encoding_format="float")
        if path.endswith("/models"):
            return client.models.with_streaming_response.list()
        if path.endswith("/input_tokens") and hasattr(client.responses, "input_tokens"):
            return client.responses.input_tokens.with_streaming_response.count(extra_body=body)
        raise UnsupportedFeatureError(f"the openai SDK that is installed has no method for {path}", feature=path)

    async def aclose(self) -> None:
        """Forget the client."""
        self.is_closed = True


class _Bytes(httpx.AsyncByteStream):
    """The body of an SDK's response. Errors of whichever HTTP library the SDK sits on become those of httpx."""

    def __init__(self, manager: Any, response: Any) -> None:
        self._manager = manager
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._response.iter_bytes():
                yield data
        except httpx.HTTPError:
            raise
        except Exception as error:
            raise httpx.ReadError(type(error).__name__) from None

    async def aclose(self) -> None:
        await self._manager.__aexit__(None, None, None)


def _plain(headers: Any) -> list[tuple[str, str]]:
    """The headers without those of an encoding that the SDK has undone."""
    undone = ("content-encoding", "content-length", "transfer-encoding")
    return [(name, value) for name, value in headers.items() if name.lower() not in undone]
