"""Calls of Google's backend, and the answers that Gemini gives, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llm_framework import InferenceRequest, LLMFramework, ModelInfo
from llm_framework.backends.google import GoogleBackend
from llm_framework.types import (
    InferenceResponse,
    ResponseBuilder,
    ToolSpec,
)

from .chat_server import ChatServer, Reply, frame, json_reply

KEY = "AIza-secret-0123456789"
PNG = b"\x89PNG\r\n\x1a\n0000"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolSpec("get_weather", "Weather", CITY)
CLOCK = ToolSpec("get_time", "The time")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}


# ------------------------------------------------------------------------------------------------------------- replies
def candidate(*parts: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A piece of an answer."""
    written: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish:
        written["finishReason"] = finish
    return {"candidates": [{**written, **more}], "modelVersion": "gemini-x-001"}


def counts(prompt: int = 3, answer: int = 2, **more: Any) -> dict[str, Any]:
    """The count of tokens."""
    return {"usageMetadata": {"promptTokenCount": prompt, "candidatesTokenCount": answer, **more}}


def stream(*parts: dict[str, Any], finish: str = "STOP", answer: int = 2) -> Reply:
    """A stream of these parts, one a frame."""
    frames = [candidate(part) for part in parts[:-1]]
    frames.append({**candidate(*parts[-1:], finish=finish), **counts(answer=answer)})
    return Reply([frame(value) for value in frames])


def text(text: str, **more: Any) -> dict[str, Any]:
    """A part."""
    return {"text": text, **more}


def call(name: str, args: Any, **more: Any) -> dict[str, Any]:
    """A part that calls a function."""
    id = {"id": more.pop("id")} if "id" in more else {}
    return {"functionCall": {"name": name, "args": args, **id}, **more}


def google_error(code: int, status: str, message: str, *details: dict[str, Any], http: int | None = None) -> Reply:
    """An error as Google writes it."""
    return json_reply({"error": {"code": code, "status": status, "message": message, "details": details}}, http or code)


def quota(*ids: str, delay: str | None = "36.5s") -> Reply:
    """The error for a quota that was passed, as Google words it for all of them."""
    message = "You exceeded your current quota, please check your plan and billing details."
    failure = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id} for id in ids]}
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return google_error(429, "RESOURCE_EXHAUSTED", message, failure, *([info] if delay else []))


# ------------------------------------------------------------------------------------------------------------- callers
def info(model: str = "gemini-2.5-flash") -> ModelInfo:
    return ModelInfo(f"google:{model}", backend_type="google", metadata={"provider": "google", "model_id": model})


def backend_of(server: ChatServer, model: str = "gemini-2.5-flash", **more: Any) -> GoogleBackend:
    settings = {"base_url": f"http://127.0.0.1:{server.port}", "api_key": KEY, "api_version": "v1beta", **more}
    return GoogleBackend(info(model), settings)


async def collect(backend: GoogleBackend, request: InferenceRequest | str = "hi") -> InferenceResponse:
    builder = ResponseBuilder()
    async for chunk in backend.stream(InferenceRequest(request) if isinstance(request, str) else request):
        builder.add(chunk)
    return builder.response()


async def answer(server: ChatServer, request: InferenceRequest | str = "hi", **more: Any) -> InferenceResponse:
    """The whole answer of a backend of its own."""
    backend = backend_of(server, **more)
    try:
        return await collect(backend, request)
    finally:
        await backend.unload_model()


def framework_of(server: ChatServer, tmp_path: Path, model: str = "gemini-2.5-flash", **more: Any) -> LLMFramework:
    credentials = {"base_url": f"http://127.0.0.1:{server.port}", "api_key": KEY, **more.pop("google", {})}
    values = {"models_dir": str(tmp_path), "api_credentials": {"google": credentials}, "default_model": model}
    return LLMFramework({**values, "max_retries": 0, **more})
