"""`OpenAICompatibleBackend`: any server that speaks OpenAI's Chat Completions, over httpx."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import httpx

from ..embedding import EmbeddingLimits, EmbeddingRequest, Embeddings
from ..gateways import GATEWAYS, GENERIC, Gateway
from ..types import InferenceRequest
from .http.backend import HttpBackend, HttpCall, is_short
from .protocols import chat_request, embeddings, media, model_list
from .protocols.answer_reader import AnswerReader
from .protocols.chat_response import ChatReader
from .protocols.http_errors import ErrorBody

if TYPE_CHECKING:
    from ..registry import ModelInfo

EXAMPLE_URL = "http://127.0.0.1:8000/v1"
LARGEST_BATCH = 300_000  # bytes of texts in one request for embeddings: OpenAI takes as many tokens


class OpenAICompatibleBackend(HttpBackend):
    """One model at a server that speaks Chat Completions.

    Settings: `base_url` as OpenAI's SDK takes it (ending before `/chat/completions`), `api_key`, `provider` (a name of
    `gateways`, where the server is of that kind), `headers` (sent with every request) and `extra_body` (with every
    request for an answer), `connect_timeout` in seconds; for embeddings `embedding_batch` (texts in one request) and
    `embedding_tasks` (by "query" and "document", the fields that tell the server which it is).
    """

    def __init__(self, model_info: ModelInfo, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(model_info, settings)
        self.gateway = self.find_gateway()
        self._base = self.find_base_url()
        self._url = self.url_of("/chat/completions")
        self._headers = self._fixed_headers()
        self._refused: set[str] = set()  # parameters, and "stream_options", that the server turned out not to take
        self._max_tokens_field = self.gateway.field_of("max_tokens")
        batch = int(self.settings.get("embedding_batch") or self.gateway.embedding_batch)
        self.embedding_limits = EmbeddingLimits(batch, bytes=LARGEST_BATCH)

    def find_gateway(self) -> Gateway:
        """What is known of the server."""
        return GATEWAYS.get(str(self.settings.get("provider") or self.who), GENERIC)

    def find_base_url(self) -> httpx.URL:
        """The server's address, as the settings have it."""
        return self.checked_url(self.settings.get("base_url") or self.gateway.base_url, "", EXAMPLE_URL)

    @property
    def base_url(self) -> httpx.URL:
        """The server's address."""
        return self._base

    def url_of(self, path: str) -> httpx.URL:
        """The address of one of its endpoints, such as `/models`."""
        return self._base.copy_with(path=self._base.path.rstrip("/") + path)

    def new_reader(self, call: HttpCall) -> AnswerReader:
        """What reads Chat Completions."""
        return ChatReader(self.who, self.model, call.request.config.stop)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """A vector for each text, from the server's `/embeddings`."""
        if self.gateway.refuses_empty:
            request.refuse_empty(self.who)
        tasks = self.settings.get("embedding_tasks") or self.gateway.embedding_tasks
        body = embeddings.openai_body(request, self.model, tasks, self.gateway.embedding_encoding)
        data: dict[str, Any] = {}
        answer = await self.fetch("POST", self.url_of("/embeddings"), body, data)
        try:
            return Embeddings(embeddings.openai_vectors(answer), embeddings.openai_usage(answer), data)
        except embeddings.UNREADABLE:
            raise self.bad("an answer without embeddings") from None

    async def available_models(self) -> list[ModelInfo]:
        """The models in the server's `/models`, with what it says of them."""
        listed = model_list.entries(await self.fetch("GET", self.url_of("/models")))
        if listed is None:
            raise self.bad("an answer that lists no models")
        return [self.describe_model(entry) for entry in listed]

    def describe_model(self, entry: model_list.ListedModel) -> ModelInfo:
        """A model of the list as the registry describes models."""
        from ..registry.model_info import ModelInfo, ModelType

        return ModelInfo(
            entry.id,
            model_type=ModelType.EMBEDDING if entry.embeds else ModelType.CHAT,
            backend_type=self.model_info.backend_type,
            context_length=entry.context_length,
            metadata={"provider": self.who, "model_id": entry.id},
        )

    # ------------------------------------------------------------------------------------------------- before sending
    held_here: frozenset[str] = frozenset()
    """Parameters that are not sent, since the reader of the answer sees to them."""

    def refused_by_model(self, request: InferenceRequest) -> set[str]:
        """The parameters of this request that the model is known to refuse."""
        return set()

    def may_come_whole(self, request: InferenceRequest) -> bool:
        """Whether an answer of which nobody reads the pieces may be asked for in one piece."""
        return is_short(request)

    async def prepared(self, request: InferenceRequest) -> HttpCall:
        """The request as Chat Completions wants it, without what this server is known not to take."""
        sent, unknown = self.parameters_of(request)
        call = HttpCall(request, self._url, await self._body(request), sent)
        if "parallel_tool_calls" in call.body:  # learnt like a parameter where a server does not take it
            call.sent["parallel_tool_calls"] = {"parallel_tool_calls": call.body["parallel_tool_calls"]}
        for name in (name for name in unknown if name not in self.held_here):
            self._leave_out(call, name)
        for name in self._refused & set(sent):
            if call.may_drop(name):
                call.drop(name)
        for name in self.refused_by_model(request) & set(call.sent):
            self.leave_out(call, name)
        for name in self.held_here & set(call.sent):
            del call.sent[name]
        for fields in call.sent.values():
            call.body.update(fields)
        self._rename_max_tokens(call)
        if request.streaming or not self.may_come_whole(request):
            self._ask_for_stream(call)
        call.body.update(self.settings.get("extra_body") or {})
        call.streamed = bool(call.body.get("stream"))
        return call

    async def _body(self, request: InferenceRequest) -> dict[str, Any]:
        if media.needs_files(request):
            return await anyio.to_thread.run_sync(self.body_of, request)
        return self.body_of(request)

    def body_of(self, request: InferenceRequest) -> dict[str, Any]:
        """Everything of the body but the parameters of generation and `stream`. May read files."""
        return chat_request.request_body(request, self.model, self.gateway)

    def parameters_of(self, request: InferenceRequest) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """The parameters that are set: those that have a field, each with the fields that say it, and the others."""
        return chat_request.parameters(request.config, self.gateway)

    def _ask_for_stream(self, call: HttpCall) -> None:
        call.body["stream"] = True
        if self.gateway.stream_usage and "stream_options" not in self._refused:
            call.body["stream_options"] = {"include_usage": True}

    def as_whole(self, call: HttpCall) -> HttpCall | None:
        """The same without streaming."""
        call.body.pop("stream", None)
        call.body.pop("stream_options", None)
        call.streamed = False
        return call

    def _leave_out(self, call: HttpCall, parameter: str) -> None:
        unsure = self.gateway is GENERIC and parameter in ("top_k", "min_p", "repetition_penalty")
        hint = "; if it is one of them, name its kind as provider in api_credentials (vllm, llamacpp, …)"
        self.leave_out(call, parameter, hint if unsure else "")

    def _rename_max_tokens(self, call: HttpCall) -> None:
        fields = call.sent.get("max_tokens")
        if fields and self._max_tokens_field and self._max_tokens_field not in fields:
            for name in fields:
                call.body.pop(name, None)
            fields = call.sent["max_tokens"] = {self._max_tokens_field: call.request.config.max_tokens}
            call.body.update(fields)

    # ------------------------------------------------------------------------------------------------ after an answer
    async def yields_to(self, status: int, refusal: ErrorBody, call: HttpCall) -> bool:
        """Whether the server said what it does not take, and the call can do without."""
        if (gateway := self.restated(call, refusal)) is not None:
            self.gateway = gateway
            call.body.update({**await self._body(call.request), **(self.settings.get("extra_body") or {})})
            return True
        if "stream_options" in call.body and refusal.refuses("stream_options"):
            self._refused.add("stream_options")
            del call.body["stream_options"]
            return True
        if "max_tokens" in call.body and "max_completion_tokens" in refusal.message:
            self._max_tokens_field = "max_completion_tokens"
            self._rename_max_tokens(call)
            return True
        for name, fields in call.sent.items():
            if any(refusal.refuses(field) for field in fields):
                self._leave_out(call, name)
                self._refused.add(name)
                return True
        return False

    def restated(self, call: HttpCall, refusal: ErrorBody) -> Gateway | None:
        """The gateway as its refusal shows it to be, where the same can be said in the way it takes."""
        return chat_request.restated(call.body, refusal.message, self.gateway)

    def ends_well(self, reader: AnswerReader) -> bool:
        """Some servers never send the end mark; an answer that says why it ended is whole with those."""
        return reader.finish_reason is not None and not self.gateway.end_mark
