"""OpenTelemetry's GenAI semantic conventions: what a request and its answer are called there. Data in, attributes out.

The names are those of `opentelemetry-semantic-conventions` 0.66b2 (schema 1.44.0), the last release that holds them.
Their status there is "development". What they have no name for begins with `llm_framework.`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .. import redaction
from ..embedding import EmbeddingRequest
from ..registry.model_info import ModelInfo
from ..types import (
    DocumentPart,
    ImagePart,
    InferenceRequest,
    InferenceResponse,
    Message,
    Part,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    Usage,
)

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
CHAT, EMBEDDINGS = "chat", "embeddings"  # operations

# Providers that the conventions call otherwise than we do. Others keep their names.
_PROVIDERS = {"google": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai", "native": "llm_framework.native"}
_REASONS = {"tool_calls": "tool_call"}
_SETTINGS = ("temperature", "top_p", "top_k", "max_tokens", "seed", "presence_penalty", "frequency_penalty")

Attributes = dict[str, Any]


def of_model(info: ModelInfo | None, request: InferenceRequest, endpoints: Mapping[str, str]) -> Attributes:
    """What every span and metric of a request to the model carries. `info` is None where nobody knows the model that
    is asked for; `endpoints` says whose dialect further endpoints speak."""
    operation = EMBEDDINGS if isinstance(request, EmbeddingRequest) else CHAT
    if info is None:
        return {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "unknown",
            "gen_ai.request.model": request.model_name or "default",
        }
    named = str(info.metadata.get("provider") or info.backend_type)
    provider = endpoints.get(named, named)
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": str(info.metadata.get("model_id") or info.name),
    }


def of_server(backend: Any) -> Attributes:
    """Where the backend's server is; nothing for a model in this process."""
    url = getattr(backend, "base_url", None)
    host = getattr(url, "host", None)
    if not host:
        return {}
    port = getattr(url, "port", None) or (80 if getattr(url, "scheme", "") == "http" else 443)
    return {"server.address": host, "server.port": port}


def of_request(request: InferenceRequest) -> Attributes:
    """How the answer is to be made."""
    found: Attributes = {"llm_framework.request.id": request.request_id}
    if isinstance(request, EmbeddingRequest):
        if request.dimensions is not None:
            found["gen_ai.embeddings.dimension.count"] = request.dimensions
        return found
    for name in _SETTINGS:
        if (value := getattr(request.config, name)) is not None:
            found[f"gen_ai.request.{name}"] = value
    if request.config.stop:
        found["gen_ai.request.stop_sequences"] = [redaction.redact(text) for text in request.config.stop]
    if request.streaming:
        found["gen_ai.request.stream"] = True
    form = request.response_format
    if form is not None:
        found["gen_ai.output.type"] = "text" if form.regex is not None or form.lark is not None else "json"
    return found


def of_usage(usage: Usage, provider_data: Mapping[str, Any]) -> Attributes:
    """Tokens, where somebody counted them."""
    if usage.estimated:
        return {}
    found: Attributes = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
    }
    if usage.cached_tokens:
        found["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
    if usage.reasoning_tokens:
        found["gen_ai.usage.reasoning.output_tokens"] = usage.reasoning_tokens
    if written := provider_data.get("cache_creation_tokens"):
        found["gen_ai.usage.cache_creation.input_tokens"] = written
    return found


def of_response(response: InferenceResponse) -> Attributes:
    """What came back, without what it says."""
    reason = response.finish_reason
    found: Attributes = {"gen_ai.response.finish_reasons": [_REASONS.get(reason, reason)]}
    if id := response.provider_data.get("id"):
        found["gen_ai.response.id"] = str(id)
    if response.tool_calls:
        found["llm_framework.response.tool_calls"] = [call.name for call in response.tool_calls]
    if response.cost is not None:
        found["llm_framework.response.cost"] = response.cost
    return found


# ------------------------------------------------------------------------------------------------ content, if wanted
def of_input(request: InferenceRequest) -> Attributes:
    """The messages and tools, as JSON, without keys. Images and documents are named, not copied."""
    messages = [{"role": message.role, "parts": _parts(message.parts)} for message in request.messages]
    found = {"gen_ai.input.messages": _json(messages)}
    if request.tools:
        tools = [
            {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in request.tools
        ]
        found["gen_ai.tool.definitions"] = _json(tools)
    return found


def of_output(message: Message, finish_reason: str) -> Attributes:
    """The answer, as JSON, without keys."""
    reason = _REASONS.get(finish_reason, finish_reason)
    said = {"role": "assistant", "parts": _parts(message.parts), "finish_reason": reason}
    return {"gen_ai.output.messages": _json([said])}


def _parts(parts: Sequence[Part]) -> list[dict[str, Any]]:
    return [_part(part) for part in parts]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "content": part.text}
    if isinstance(part, ThinkingPart):
        return {"type": "reasoning", "content": part.text}
    if isinstance(part, ToolCall):
        arguments = part.raw_arguments if part.arguments is None else part.arguments
        return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": arguments}
    if isinstance(part, ToolResult):
        return {"type": "tool_call_response", "id": part.call_id, "response": _result(part)}
    modality = "image" if isinstance(part, ImagePart) else "document"
    return _file(part, modality)


def _result(part: ToolResult) -> Any:
    content: Any = part.content
    return content if isinstance(content, str) else _parts(content)


def _file(part: ImagePart | DocumentPart, modality: str) -> dict[str, Any]:
    if part.url is not None and not part.url.startswith("data:"):
        return {"type": "uri", "modality": modality, "mime_type": part.media_type, "uri": part.url}
    return {"type": modality, "mime_type": part.media_type}


def _json(value: Any) -> str:
    return redaction.redact(json.dumps(value, ensure_ascii=False, default=str))
