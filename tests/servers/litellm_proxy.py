"""The LiteLLM proxy, which speaks three protocols to its clients and OpenAI's to the servers behind it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from .chat_server import (
    CUT,
    DONE,
    Piece,
    Reply,
    Request,
    call_delta,
    delta,
    error_reply,
    json_reply,
    text_stream,
    usage,
)
from .real_server import RealServer

ENVIRONMENT = Path(__file__).parents[2] / "build" / "litellm-env"
TEXT = ("Oslo is", " in Norway.\u2028", "Så!")  # a line separator, and a character of two bytes
CALLS = (("get_weather", {"city": "Oslo"}), ("get_time", {"zone": "CET"}))
FORMED = {"name": "Ada"}
FAULTS = ("limited", "failing", "overflowing", "locked", "cut")
cut_now = threading.Event()  # until then the model `cut` goes on
CUT_TIME = 30.0  # seconds; it goes on no longer in any case


# ------------------------------------------------------------------------------------------------------------ the proxy
def litellm_python() -> Path:
    """The Python that has the proxy: an environment of its own, since it wants SDKs older than ours. Another one is
    named by LITELLM_PYTHON."""
    return Path(os.environ.get("LITELLM_PYTHON") or ENVIRONMENT / "bin" / "python")


def need_litellm_proxy() -> None:
    """Skip the module that calls this where the proxy is not installed."""
    if not litellm_python().exists():
        pytest.skip("the LiteLLM proxy is not installed: make test-gateways", allow_module_level=True)


def start_proxy(home: Path, key: str, upstreams: Mapping[str, str], upstream_key: str) -> RealServer:
    """The proxy, to be entered: takes this key, and serves the models in `upstreams`, each at the base URL of an
    OpenAI-compatible server that takes the other key. It tries nothing a second time by itself."""
    file = home / "proxy.yaml"
    file.write_text(yaml.safe_dump(_configuration(key, upstreams, upstream_key)))
    # `litellm` as a module has no main; this is what its command calls.
    call = "import sys; from litellm import run_server; sys.exit(run_server())"
    return RealServer("-c", call, "--config", str(file), "--telemetry", "False", home=home, python=litellm_python())


def _configuration(key: str, upstreams: Mapping[str, str], upstream_key: str) -> dict[str, Any]:
    models = [
        {
            "model_name": model,
            "litellm_params": {"model": f"openai/{model}", "api_base": url, "api_key": upstream_key},
            "model_info": {"mode": "chat"},
        }
        for model, url in upstreams.items()
    ]
    return {
        "model_list": models,
        "general_settings": {"master_key": key, "always_include_stream_usage": True},
        "litellm_settings": {"use_chat_completions_url_for_anthropic_messages": True, "num_retries": 0},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }


# ------------------------------------------------------------------------------------------- the scripted server behind
def scripted_answer(request: Request) -> Reply:
    """What the server behind the proxy says: `TEXT`; `CALLS` where there are tools and no result yet; `FORMED` where a
    form is wanted; for a model named as one of `FAULTS`, that fault."""
    body = request.body or {}
    model, streamed = body.get("model", ""), bool(body.get("stream"))
    if model in FAULTS:
        return _fault(model)
    if body.get("tools") and not any(message["role"] == "tool" for message in body["messages"]):
        return _calls(_wanted(body), streamed)
    texts = (_json(FORMED),) if body.get("response_format") else TEXT
    return text_stream(*texts) if streamed else _whole({"content": "".join(texts)}, "stop")


def _wanted(body: Mapping[str, Any]) -> list[tuple[str, dict[str, str]]]:
    choice = body.get("tool_choice")
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    offered = [tool["function"]["name"] for tool in body["tools"]]
    return [call for call in CALLS if call[0] in offered and named in (None, call[0])]


def _calls(calls: list[tuple[str, dict[str, str]]], streamed: bool) -> Reply:
    if not streamed:
        whole = [
            {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": _json(arguments)}}
            for name, arguments in calls
        ]
        return _whole({"content": None, "tool_calls": whole}, "tool_calls")
    events = [delta(role="assistant", content=None)]
    for index, (name, arguments) in enumerate(calls):
        text = _json(arguments)
        events.append(delta(tool_calls=[call_delta(index, f"call_{name}", name, "")]))
        events += [delta(tool_calls=[call_delta(index, None, None, part)]) for part in (text[:5], text[5:])]
    return Reply([*events, delta("tool_calls"), usage(3, 3), DONE])


def _whole(message: Mapping[str, Any], finish: str) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    counts = {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": counts}
    return json_reply(answer)


def _fault(kind: str) -> Reply:
    if kind == "limited":
        return json_reply({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, 429, retry_after="2")
    if kind == "cut":
        return Reply(_cut_when_told())
    if kind == "overflowing":
        return error_reply(400, "This model's maximum context length is 512 tokens.", "context_length_exceeded")
    return error_reply(401, "Incorrect API key", "invalid_api_key") if kind == "locked" else error_reply(500, "broken")


def _cut_when_told() -> Iterator[Piece]:
    yield delta(content=TEXT[0])
    cut_now.wait(CUT_TIME)  # holds the whole server, which has nothing else to do then
    yield CUT


def _json(value: Mapping[str, str]) -> str:
    return json.dumps(value)
