"""Calls of OpenAI's backend, and the events that OpenAI's Responses sends, for tests."""

from __future__ import annotations

from typing import Any

from llm_framework import InferenceRequest, ModelInfo
from llm_framework.types import InferenceResponse, ResponseBuilder, ToolSpec

from .chat_server import ChatServer, Piece, Reply

KEY = "sk-secret-0123456789"
WEATHER = ToolSpec("get_weather", "Weather", {"type": "object", "properties": {"city": {"type": "string"}}})
VARIABLES = (
    "OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL", "OPENAI_CUSTOM_HEADERS",
    "OPENAI_API_VERSION", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT",
)  # fmt: skip
"""What the SDK reads of the environment, which a machine may have set."""


def info_of(model: str, provider: str = "openai") -> ModelInfo:
    return ModelInfo(f"{provider}:{model}", backend_type="openai", metadata={"provider": provider, "model_id": model})


def backend_of(server: ChatServer, model: str = "gpt-4o", provider: str = "openai", **settings: Any) -> Any:
    """The backend at that server."""
    from llm_framework.backends.openai import OpenAIBackend

    at = {} if "azure_endpoint" in settings else {"base_url": server.url}
    return OpenAIBackend(info_of(model, provider), {**at, "api_key": KEY, **settings})


async def answer(
    server: ChatServer, request: InferenceRequest | str = "hi", model: str = "gpt-4o", **settings: Any
) -> InferenceResponse:
    """The whole answer of a backend of its own."""
    backend = backend_of(server, model, **settings)
    try:
        return await answer_of(backend, request)
    finally:
        await backend.unload_model()


async def answer_of(backend: Any, request: InferenceRequest | str = "hi") -> InferenceResponse:
    """The whole answer."""
    builder = ResponseBuilder()
    async for chunk in backend.stream(InferenceRequest(request) if isinstance(request, str) else request):
        builder.add(chunk)
    return builder.response()


# -------------------------------------------------------------------------------------------------------------- events
def event(kind: str, **fields: Any) -> str:
    """One event of Responses."""
    import json

    value = {"type": kind, "sequence_number": 0, **fields}
    return f"event: {kind}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"


def response(status: str = "completed", output: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The object that the last event holds, and that a whole answer is."""
    counts = {
        "input_tokens": 5, "output_tokens": 7, "total_tokens": 12,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 3},
    }  # fmt: skip
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status, "output": output or [],
        "usage": counts, "error": None, "incomplete_details": None, "instructions": None, "metadata": {},
        "parallel_tool_calls": True, "temperature": 1, "tool_choice": "auto", "tools": [], "top_p": 1, **fields,
    }  # fmt: skip


def end(status: str = "completed", **fields: Any) -> str:
    """The end mark."""
    return event(f"response.{status}", response=response(status, **fields))


def text_delta(text: str, index: int = 0, **fields: Any) -> str:
    """A piece of the text."""
    more = {"item_id": "msg_1", "output_index": index, "content_index": 0, "logprobs": []}
    return event("response.output_text.delta", delta=text, **{**more, **fields})


def message_item(text: str, **fields: Any) -> dict[str, Any]:
    """A message that is complete."""
    part = {"type": "output_text", "text": text, "annotations": []}
    return {
        "type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part], **fields
    }  # fmt: skip


def reasoning_item(text: str = "hm", id: str = "rs_1", encrypted: str | None = "SECRET==") -> dict[str, Any]:
    """An item of reasoning that is complete."""
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"type": "reasoning", "id": id, "summary": summary, "encrypted_content": encrypted}


def call_item(id: str, name: str, arguments: str) -> dict[str, Any]:
    """A tool call."""
    return {
        "type": "function_call", "id": f"fc_{id}", "call_id": id, "name": name, "arguments": arguments,
        "status": "completed",
    }  # fmt: skip


def added(index: int, item: dict[str, Any]) -> str:
    """An item begins."""
    return event("response.output_item.added", output_index=index, item=item)


def done(index: int, item: dict[str, Any]) -> str:
    """An item is complete."""
    return event("response.output_item.done", output_index=index, item=item)


def arguments_delta(index: int, text: str) -> str:
    """A piece of a call's arguments."""
    return event("response.function_call_arguments.delta", output_index=index, item_id=f"fc_{index}", delta=text)


def thinking_events(text: str, index: int = 0, **item: Any) -> list[Piece]:
    """Reasoning, told in two pieces."""
    middle = len(text) // 2
    where = {"item_id": "rs_1", "output_index": index, "summary_index": 0}
    pieces = [
        event("response.reasoning_summary_text.delta", delta=part, **where) for part in (text[:middle], text[middle:])
    ]
    return [added(index, reasoning_item("", encrypted=None)), *pieces, done(index, reasoning_item(text, **item))]


def answer_stream(*texts: str) -> Reply:
    """A stream of these pieces of text."""
    item = message_item("".join(texts))
    begin = event("response.created", response=response("in_progress"))
    return Reply([begin, added(0, {**item, "content": []}), *map(text_delta, texts), done(0, item), end()])
