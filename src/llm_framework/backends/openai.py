"""`OpenAIBackend`: OpenAI's own models, also at Azure, by Chat Completions or by Responses."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from .. import secrets
from ..errors import ConfigurationError, LLMFrameworkError
from ..gateways import OPENAI, Gateway
from ..registry import openai_models
from ..registry.openai_models import Api
from ..types import Chunk, InferenceRequest
from . import openai_sdk
from .http.backend import HttpCall
from .http.client import HttpClient
from .openai_client import SdkClient
from .openai_compatible import EXAMPLE_URL, OpenAICompatibleBackend
from .protocols import responses_request
from .protocols.answer_reader import AnswerReader
from .protocols.http_errors import ErrorBody
from .protocols.model_list import ListedModel
from .protocols.responses_response import ResponsesReader

if TYPE_CHECKING:
    from ..registry import ModelInfo

_SUMMARY = "reasoning.summary"
# Of the fields of a request, those that count as its prompt.
_COUNTED = ("model", "input", "instructions", "tools", "tool_choice", "text", "reasoning")


class OpenAIBackend(OpenAICompatibleBackend):
    """One model at OpenAI or Azure.

    Settings: those of `OpenAICompatibleBackend`; `api` ("chat" or "responses"; by default what the model's family
    wants); `reasoning_summary` ("auto", "concise", "detailed", or None: what the model thinks is not told); of the
    SDK's clients `organization`, `project`, `default_query`; for Azure `azure_endpoint`, `api_version` (without it, or
    "v1": the endpoints below `/openai/v1`), `azure_deployment`, `azure_ad_token`, `azure_ad_token_provider`.
    `client`: a client of the SDK that is ready, which then sends the requests.
    """

    def __init__(self, model_info: ModelInfo, settings: Mapping[str, Any] | None = None) -> None:
        model = str(model_info.metadata.get("model_id") or model_info.name)
        self.family = openai_models.family_of(model)
        self.api: Api = self.family.api
        self._last_token = ""
        super().__init__(model_info, settings)
        if self.settings.get("azure_endpoint"):  # there a model is asked for by its deployment's name
            self.model = str(self.settings.get("azure_deployment") or self.model)
        self._use(self._chosen_api() or self.family.api)

    def _chosen_api(self) -> Api | None:
        chosen: Api | None = self.settings.get("api")
        if chosen not in (None, "chat", "responses"):
            message = f"api of {self.who!r} in api_credentials is {chosen!r}; it is 'chat' or 'responses'"
            raise ConfigurationError(message, provider=self.who)
        return chosen

    def _use(self, api: Api) -> None:
        self.api = api
        self.gateway = self.find_gateway()
        self._url = self.url_of("/responses" if api == "responses" else "/chat/completions")
        self._max_tokens_field = self.gateway.field_of("max_tokens")
        stops_here = api == "responses" or self.family.reasons
        self.held_here = frozenset(("stop",)) if stops_here else frozenset()

    def find_gateway(self) -> Gateway:
        """What is known of OpenAI's servers, and of this model there."""
        role = "developer" if self.family.reasons else "system"
        gateway = replace(OPENAI, system_role=role, thinking_off=self.family.off or "none")
        if self.api == "responses":
            return replace(gateway, parameters=dict(responses_request.FIELDS), stream_usage=False)
        return gateway

    # ---------------------------------------------------------------------------------------------- the SDK's settings
    def find_base_url(self) -> httpx.URL:
        """The address that the SDK makes of the settings."""
        given = self.settings.get("client")
        self._sdk = given or openai_sdk.make_client(self.settings, self._plain_key(), self.who)
        base = self.checked_url(str(self._sdk.base_url), "", EXAMPLE_URL)
        query = {name: str(value) for name, value in self._sdk.default_query.items()}
        return base.copy_merge_params(query)

    def url_of(self, path: str) -> httpx.URL:
        """The address of one of the endpoints; on Azure, that of the deployment where the endpoint is one of its."""
        return self._base.copy_with(path=openai_sdk.path_of(path, self._base.path, self.settings, self.model))

    def key_headers(self, key: str | None) -> Mapping[str, str]:
        """The headers that the SDK sends."""
        headers = openai_sdk.fixed_headers(self._sdk, self.settings, key)
        for name in headers:
            if name.lower() in ("authorization", "api-key"):  # they may come from elsewhere than our own settings
                secrets.remember(headers[name].removeprefix("Bearer "))
        return headers

    async def headers(self) -> httpx.Headers:
        """The headers of every request, with a new token where one was configured to be asked for."""
        headers = await super().headers()
        provider = openai_sdk.token_provider(self.settings)
        if provider is None:
            return headers
        token = await openai_sdk.token_from(provider, self.who)
        if token != self._last_token:
            secrets.remember(token)
            self._last_token = token
        headers = headers.copy()
        headers["Authorization"] = f"Bearer {token}"
        return headers

    async def unload_model(self) -> None:
        """Close the connections, and the SDK's client, which never had any."""
        await super().unload_model()
        if self._sdk is not self.settings.get("client"):
            await self._sdk.close()

    def _new_client(self) -> HttpClient:
        given = self.settings.get("client")
        return SdkClient(given) if given is not None else super()._new_client()

    # ------------------------------------------------------------------------------------------------------- the way
    def stream(self, request: InferenceRequest) -> AsyncGenerator[Chunk, None]:
        """The answer. A model that Chat Completions turns out not to serve is asked by Responses, from then on."""
        certain = self.api == "responses" or self._chosen_api() is not None or self.family.surely_chat
        return super().stream(request) if certain else self._by_chat_first(request)

    async def _by_chat_first(self, request: InferenceRequest) -> AsyncGenerator[Chunk, None]:
        try:
            async with aclosing(super().stream(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except LLMFrameworkError as error:
            if error.status not in (400, 404) or "v1/responses" not in error.message:
                raise
        else:
            return
        self._use("responses")
        async with aclosing(super().stream(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    def new_reader(self, call: HttpCall) -> AnswerReader:
        """What reads the answers of the endpoint that was asked."""
        if call.url.path.endswith("/responses"):
            return ResponsesReader(self.who, self.model, call.request.config.stop)
        return super().new_reader(call)

    async def count_tokens(self, request: InferenceRequest) -> int | None:
        """The tokens of the prompt, as OpenAI counts them; None where the endpoint is not there or does not answer."""
        request = self._plain(request)
        body = {**self._responses_body(request), **self._responses_parameters(request)[0].get("thinking", {})}
        counted = {name: body[name] for name in _COUNTED if name in body}
        try:
            answer = await self.fetch("POST", self.url_of("/responses/input_tokens"), counted)
            return int(answer["input_tokens"])
        except (LLMFrameworkError, KeyError, TypeError, ValueError):
            return None

    def describe_model(self, entry: ListedModel) -> ModelInfo:
        """A model of the list, with what is known of its family."""
        info = super().describe_model(entry)
        return replace(info, **openai_models.facts(entry.id))

    async def available_models(self) -> list[ModelInfo]:
        """The models that answer in text or make vectors."""
        return [info for info in await super().available_models() if openai_models.is_text(info.name)]

    # ------------------------------------------------------------------------------------------------- before sending
    async def prepared(self, request: InferenceRequest) -> HttpCall:
        """The request as the endpoint wants it, without what this model is known not to take."""
        api = self.api
        call = await super().prepared(self._plain(request))
        return call if api == self.api else await self.prepared(request)  # it turned out while files were read

    def body_of(self, request: InferenceRequest) -> dict[str, Any]:
        """Everything of the body but the parameters of generation and `stream`. May read files."""
        return self._responses_body(request) if self.api == "responses" else super().body_of(request)

    def _responses_body(self, request: InferenceRequest) -> dict[str, Any]:
        role = self.gateway.system_role
        return responses_request.request_body(request, self.model, self.who, role=role, reasons=self.family.reasons)

    def parameters_of(self, request: InferenceRequest) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """The parameters that are set, as the endpoint has them."""
        return self._responses_parameters(request) if self.api == "responses" else super().parameters_of(request)

    def _responses_parameters(self, request: InferenceRequest) -> tuple[dict[str, dict[str, Any]], list[str]]:
        wanted = self.family.reasons and _SUMMARY not in self._refused
        return responses_request.parameters(
            request.config,
            off=self.gateway.thinking_off,
            summary=self.settings.get("reasoning_summary", "auto") if wanted else None,
            include=[responses_request.ENCRYPTED] if self.family.reasons else [],
        )

    def _plain(self, request: InferenceRequest) -> InferenceRequest:
        """The request without the values that say what the model does anyway."""
        config = request.config
        refused = self.family.refused(config.thinking)
        same: dict[str, Any] = {n: None for n, v in openai_models.NEUTRAL.items() if getattr(config, n) == v}
        if config.thinking in ("off", 0) and not self.family.reasons:
            same["thinking"] = None
        dropped: dict[str, Any] = {name: None for name in same if name in refused}
        return replace(request, config=replace(config, **dropped)) if dropped else request

    def refused_by_model(self, request: InferenceRequest) -> set[str]:
        """What the model's family refuses; and the limit of tokens that nobody chose, since the thinking would use it
        up."""
        thinking = request.config.thinking
        refused = set(self.family.refused(thinking))
        if "max_tokens" in request.assumed and self.family.thinks(thinking):
            refused.add("max_tokens")
        if thinking is None:
            refused.discard("thinking")  # what stands there is the summary alone
        return refused

    def may_come_whole(self, request: InferenceRequest) -> bool:
        """A model that thinks is silent for too long."""
        return super().may_come_whole(request) and not self.family.thinks(request.config.thinking)

    # ------------------------------------------------------------------------------------------------ after an answer
    async def yields_to(self, status: int, refusal: ErrorBody, call: HttpCall) -> bool:
        """Whether the server said what it does not take, and the call can do without."""
        reasoning = call.body.get("reasoning")
        if isinstance(reasoning, dict) and "summary" in reasoning and _refuses_summary(refusal):
            self._refused.add(_SUMMARY)  # to some models, and to organisations that have not proved who they are
            del reasoning["summary"]
            return True
        return await super().yields_to(status, refusal, call)

    def restated(self, call: HttpCall, refusal: ErrorBody) -> Gateway | None:
        """Responses can be said in one way only."""
        return None if "input" in call.body else super().restated(call, refusal)


def _refuses_summary(refusal: ErrorBody) -> bool:
    return refusal.refuses(_SUMMARY) or "reasoning summar" in refusal.message.lower()
