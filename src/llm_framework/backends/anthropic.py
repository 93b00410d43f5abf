"""`AnthropicBackend`: Claude, and any other server that speaks Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio.to_thread
import httpx

from ..errors import (
    AuthenticationError,
    ConfigurationError,
    LLMFrameworkError,
    ModelNotFoundError,
    UnsupportedFeatureError,
)
from ..types import Chunk, InferenceRequest
from . import anthropic_sdk
from .http.backend import WHOLE_UP_TO, HttpBackend, HttpCall, encoded
from .http.client import HttpClient
from .protocols import http_errors, media, messages_models, messages_request
from .protocols.answer_reader import AnswerReader
from .protocols.http_errors import ErrorBody
from .protocols.messages_response import MessagesReader

if TYPE_CHECKING:
    from ..registry import ModelInfo

OFFICIAL_HOST = "api.anthropic.com"
PAGE = 1000  # models asked for at a time
MAX_PAGES = 20
MAX_CHANGES = 5  # of one request, after refusals
_TOLD = ("display_name", "max_tokens", "lifecycle", "retires_at")  # of a model that is listed


@dataclass(slots=True)
class MessagesCall(HttpCall):
    """A request of the Messages API; `form_tool` is the tool whose arguments are the answer, where there is one;
    `changes` counts how often it was written anew."""

    form_tool: str | None = None
    changes: int = 0


class AnthropicBackend(HttpBackend):
    """One model of the Messages API.

    Anthropic's SDK says where the server is and how to sign in; what it is sent goes over the framework's own
    connections, except where only the SDK can sign or frame a request: on Amazon Bedrock, on Google's Vertex AI, with
    credentials that it renews, and with a client of the caller's own.

    Settings: `api_key` or `auth_token`, `base_url` (without `/v1`), `headers`, `betas` (names for `anthropic-beta`),
    `cache` (True, "5m" or "1h": prompts are cached up to the system prompt's and the last message's end),
    `extra_body` (sent with every request), `connect_timeout` in seconds. For Bedrock `aws_region`, `aws_profile`,
    `aws_access_key`, `aws_secret_key`, `aws_session_token`; for Vertex `region` and `project_id`; `platform`
    ("bedrock", "vertex") where none of these is set; in code, `client`: a ready client of the SDK.
    """

    def __init__(self, model_info: ModelInfo, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(model_info, settings)
        self.family = messages_models.family_of(self.model)
        given = self.settings.get("base_url")
        if given:
            self.checked_url(given, "", f"https://{OFFICIAL_HOST}")
        self._account = anthropic_sdk.account(self.settings, self._plain_key(), self.who)
        base = self._account.base_url.rstrip("/").removesuffix("/v1")
        self._url = self.checked_url(base, "/v1/messages", f"https://{OFFICIAL_HOST}")
        self._own_headers = {str(name).lower() for name in self.settings.get("headers") or {}}
        self._sdk = anthropic_sdk.SdkClients(self._account, self) if self._account.through_sdk else None

    @property
    def base_url(self) -> httpx.URL:
        """The server's address."""
        return self._url

    def key_headers(self, key: str | None) -> Mapping[str, str]:
        """What the SDK would send: the version, the key, and the betas that were asked for."""
        headers = dict(self._account.headers)
        if betas := self._betas():
            headers["anthropic-beta"] = betas
        return headers

    def _betas(self) -> str:
        betas = self.settings.get("betas") or ()
        return ",".join([betas] if isinstance(betas, str) else betas)

    async def unload_model(self) -> None:
        """Close the connections, on every event loop."""
        await super().unload_model()
        if self._sdk is not None:
            await self._sdk.close()

    # ------------------------------------------------------------------------------------------------- before sending
    async def prepared(self, request: InferenceRequest) -> HttpCall:
        """The request as the Messages API wants it, without what this model is known not to take."""
        self._check_key()
        call = MessagesCall(request, self._url, {})
        await self._write(call)
        return call

    async def _send(self, call: HttpCall, client: HttpClient | None) -> httpx.Response:
        """As every backend. Newer versions of the API than one refuse sampling parameters, of all models."""
        headers = await self.headers()
        if messages_request.samples(call.body) and "anthropic-version" not in self._own_headers:
            headers = headers.copy()
            headers["anthropic-version"] = messages_request.SAMPLING_VERSION
        client = client or await self._clients.get()
        return await client.post(call.url, headers, encoded(call.body))

    def _check_key(self) -> None:
        if self._sdk is None and not self._account.is_signed and self._url.host == OFFICIAL_HOST:
            message = f"{self.who} needs a key: set ANTHROPIC_API_KEY, or api_key in api_credentials"
            raise AuthenticationError(message, provider=self.who, model=self.model)

    async def _write(self, call: MessagesCall) -> None:
        """Write the body, anew where something was learnt of the model."""
        written = await self._written(call.request)
        call.body, call.sent, call.form_tool = written.body, written.sent, written.form_tool
        call.dropped.clear()
        for name, hint in written.refused.items():
            self.leave_out(call, name, hint)
        if call.request.streaming or call.body["max_tokens"] > WHOLE_UP_TO:
            call.body["stream"] = True
        call.body.update(self.settings.get("extra_body") or {})
        call.streamed = bool(call.body.get("stream"))

    async def _written(self, request: InferenceRequest) -> messages_request.Written:
        arguments = (request, self.model, self.family, self.settings.get("cache"))
        if media.needs_files(request):
            return await anyio.to_thread.run_sync(messages_request.write, *arguments)
        return messages_request.write(*arguments)

    def new_reader(self, call: HttpCall) -> AnswerReader:
        """What reads the Messages API."""
        form_tool = call.form_tool if isinstance(call, MessagesCall) else None
        return MessagesReader(self.who, self.model, call.request.config.stop, form_tool)

    async def answer(self, call: HttpCall, reader: AnswerReader, data: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        """As every backend's, or through the SDK."""
        if self._sdk is None or not isinstance(reader, MessagesReader):
            async for chunk in super().answer(call, reader, data):
                yield chunk
            return
        async for chunk in self._sdk.answer(call, reader):
            yield chunk

    # ------------------------------------------------------------------------------------------------ after an answer
    async def yields_to(self, status: int, refusal: ErrorBody, call: HttpCall) -> bool:
        """Whether the server said something new of what its model takes, and the request can be said so."""
        if not isinstance(call, MessagesCall) or call.changes == MAX_CHANGES:
            return False
        call.changes += 1
        self.family = messages_models.learnt(self.family, refusal.message)
        before = call.body
        await self._write(call)
        return before != call.body  # another call may have learnt it first

    def refused(self, status: int, body: ErrorBody, headers: Mapping[str, str]) -> LLMFrameworkError:
        """The error for a status and what came with it."""
        return http_errors.error_of(status, body, who=self.who, model=self.model, headers=headers)

    # ------------------------------------------------------------------------------------------------- other questions
    async def count_tokens(self, request: InferenceRequest) -> int | None:
        """The tokens of the prompt as the server counts them; None where it cannot be asked."""
        self._check_key()
        body = messages_request.counted((await self._written(request)).body)
        if self._sdk is not None:
            return await self._sdk.count_tokens(body)
        url = self._url.copy_with(path=self._url.path + "/count_tokens")
        try:
            answer = await self.fetch("POST", url, body)
        except (ConfigurationError, ModelNotFoundError):  # no such address: a server of another maker
            return None
        tokens = answer.get("input_tokens") if isinstance(answer, Mapping) else None
        return tokens if isinstance(tokens, int) else None

    async def available_models(self) -> list[ModelInfo]:
        """The models that the key may use, with their context lengths."""
        if self._sdk is not None:
            message = f"{self.who} cannot list its models; see the platform's own catalogue"
            raise UnsupportedFeatureError(message, feature="available_models", provider=self.who)
        self._check_key()
        found: list[ModelInfo] = []
        after = ""
        for _ in range(MAX_PAGES):
            page = await self.fetch("GET", self._models_url(after))
            if not isinstance(page, Mapping) or not isinstance(page.get("data"), list):
                raise self.bad("a list of models that is none")
            found.extend(self._model(item) for item in page["data"] if isinstance(item, Mapping) and item.get("id"))
            after = str(page.get("last_id") or "")
            if not page.get("has_more") or not after:
                break
        return found

    def _models_url(self, after: str) -> httpx.URL:
        path = self._url.path.removesuffix("/messages") + "/models"
        query = f"limit={PAGE}" + (f"&after_id={quote(after, safe='')}" if after else "")
        return self._url.copy_with(path=path, query=query.encode())

    def _model(self, item: Mapping[str, Any]) -> ModelInfo:
        from ..registry import ModelInfo

        context = item.get("max_input_tokens")
        told = {
            name: item[name] for name in ("display_name", "max_tokens", "lifecycle", "retires_at") if item.get(name)
        }
        return ModelInfo(
            str(item["id"]),
            backend_type=self.model_info.backend_type,
            context_length=context if isinstance(context, int) else None,
            capabilities=frozenset(_capabilities(item.get("capabilities"))),
            is_local=False,
            metadata={"provider": self.who, "model_id": str(item["id"]), **told},
        )


def _capabilities(listed: Any) -> set[str]:
    """What a model can do, in our words; all of them chat, stream and call tools."""
    names = {"image_input": "images", "pdf_input": "documents", "thinking": "thinking"}
    names["structured_outputs"] = "structured_output"
    found = {"chat", "streaming", "tools"}
    for name, ours in names.items() if isinstance(listed, Mapping) else ():
        support = listed.get(name)
        if isinstance(support, Mapping) and support.get("supported"):
            found.add(ours)
    return found
