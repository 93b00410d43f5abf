"""`OpenAIBackend`: OpenAI's own models, also at Azure, by Chat Completions or by Responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from .. import secrets
from ..gateways import OPENAI, Gateway
from ..types import InferenceRequest
from . import openai_sdk
from .http.backend import HttpCall
from .openai_compatible import EXAMPLE_URL, OpenAICompatibleBackend
from .openai_models import NEUTRAL, Family, family_of

if TYPE_CHECKING:
    from ..registry import ModelInfo

_UNKNOWN = Family("", reasons=False, sampling="always", api="chat")


class OpenAIBackend(OpenAICompatibleBackend):
    """One model at OpenAI or Azure.

    Settings: those of `OpenAICompatibleBackend`, and of the SDK's clients `organization`, `project`, `default_query`
    and, for Azure, `azure_endpoint`, `api_version`, `azure_deployment`, `azure_ad_token`, `azure_ad_token_provider`.
    """

    def __init__(self, model_info: ModelInfo, settings: Mapping[str, Any] | None = None) -> None:
        model = str(model_info.metadata.get("model_id") or model_info.name)
        self.family = family_of(model) or _UNKNOWN
        self.held_here = frozenset(("stop",)) if self.family.reasons else frozenset()
        super().__init__(model_info, settings)

    def find_gateway(self) -> Gateway:
        """What is known of OpenAI's servers, and of this model there."""
        role = "developer" if self.family.reasons else "system"
        return replace(OPENAI, system_role=role, thinking_off=self.family.off or "none")

    def find_base_url(self) -> httpx.URL:
        """The address that the SDK makes of the settings."""
        self._sdk = openai_sdk.make_client(self.settings, self._plain_key(), self.who)
        base = self.checked_url(str(self._sdk.base_url), "", EXAMPLE_URL)
        return base.copy_merge_params(dict(self._sdk.default_query))

    def key_headers(self, key: str | None) -> Mapping[str, str]:
        """The headers that the SDK sends."""
        if token := self.settings.get("azure_ad_token"):
            secrets.remember(str(token))
        return openai_sdk.fixed_headers(self._sdk, self.settings, key)

    async def unload_model(self) -> None:
        """Close the connections, and the SDK's client, which never had any."""
        await super().unload_model()
        await self._sdk.close()

    # ------------------------------------------------------------------------------------------------- before sending
    async def prepared(self, request: InferenceRequest) -> HttpCall:
        """The request as Chat Completions wants it, without what this model is known not to take."""
        return await super().prepared(self._plain(request))

    def _plain(self, request: InferenceRequest) -> InferenceRequest:
        """The request without the values that say what the model does anyway."""
        refused = self.family.refused(request.config.thinking)
        neutral: dict[str, Any] = {n: None for n, value in NEUTRAL.items() if getattr(request.config, n) == value}
        if request.config.thinking in ("off", 0) and not self.family.reasons and self.family is not _UNKNOWN:
            neutral["thinking"] = None
        dropped: dict[str, Any] = {name: None for name in neutral if name in refused}
        return replace(request, config=replace(request.config, **dropped)) if dropped else request

    def refused_by_model(self, request: InferenceRequest) -> set[str]:
        """What the model's family refuses; and the limit of tokens that nobody chose, since the thinking would use it
        up."""
        if self.family is _UNKNOWN:
            return set()
        thinking = request.config.thinking
        refused = set(self.family.refused(thinking))
        if "max_tokens" in request.assumed and self.family.thinks(thinking):
            refused.add("max_tokens")
        return refused

    def may_come_whole(self, request: InferenceRequest) -> bool:
        """A model that thinks is silent for too long."""
        return super().may_come_whole(request) and not self.family.thinks(request.config.thinking)
