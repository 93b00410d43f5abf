"""A server that repeats the key in every way it can does not make us show it: a whole framework, asked over HTTP."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from servers.chat_server import CUT, ChatServer, Reply, delta, error_reply, frame, json_reply

from llm_framework import LLMFramework, errors

KEY = "sk-Echoed/Qwxz+Jkvb=Yh"
HTML = f"<!DOCTYPE html><html><head><title>{KEY}</title></head><body><h1>401</h1>{KEY}</body></html>"
BASIC = base64.b64encode(f"user:{KEY}".encode()).decode()

REPLIES = {
    "json": error_reply(401, f"Incorrect API key provided: {KEY}.", code=KEY, param=KEY),
    "escaped": Reply([json.dumps({"error": {"message": KEY}}).replace("/", "\\/")], 403, "application/json"),
    "html": Reply([HTML], 502, "text/html"),
    "plain": Reply([f"Authorization: Bearer {KEY}"], 500, "text/plain"),
    "basic": Reply([f"Authorization: Basic {BASIC}"], 400, "text/plain"),
    "url": Reply([f"GET /v1?key={quote(KEY, safe='')} failed"], 404, "text/plain"),
    "at the cut": Reply(["x" * 490 + KEY], 500, "text/plain"),
    "far behind": Reply([" " * 65530 + KEY], 500, "text/plain"),
    "headers": Reply([], 429, headers={"x-request-id": KEY, "retry-after": KEY, "www-authenticate": f"Bearer {KEY}"}),
    "type": Reply([KEY], 200, f"text/{KEY}"),
    "redirect": Reply([], 307, headers={"Location": f"http://127.0.0.1:9/?key={KEY}"}),
    "no json": Reply([f"{{{KEY}"], 200, "application/json"),
    "error in 200": json_reply({"error": {"message": f"bad {KEY}", "code": KEY}}),
    "error in a stream": Reply([frame({"error": {"message": f"bad {KEY}", "type": KEY}})]),
    "nonsense in a stream": Reply([frame(f"{{{KEY}")]),
    "error after text": Reply([delta(content="a"), frame({"error": {"message": KEY}})]),
    "cut after text": Reply([delta(content="a"), frame({"x": KEY}), CUT]),
    "bad header": Reply([], 200, headers={"x\0y": KEY}),
}


def shown_of(error: BaseException) -> str:
    """All that can be seen of an error."""
    own = f"{error!r} {error} {error.args} {vars(error)} {pickle.dumps(error)!r}"
    return own + "".join(traceback.format_exception(error))


async def ask(framework: LLMFramework, stream: bool) -> None:
    if not stream:
        await framework.generate("hi", max_tokens=5)
        return
    async for _ in framework.stream("hi"):
        pass


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", REPLIES)
async def test_the_key_is_nowhere(name: str, stream: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the error, what led to it, its attempts or its pickle, and not in any log record at the finest level."""
    caplog.set_level(logging.DEBUG)
    with ChatServer(REPLIES[name]) as server:
        settings = {"provider": "openai_compatible", "base_url": server.url, "api_key": KEY}
        config = {
            "default_model": "local:m", "models_dir": str(tmp_path), "api_credentials": {"local": settings},
            "max_retries": 1, "log_level": "DEBUG",
        }  # fmt: skip
        async with LLMFramework(config) as framework:
            caplog.set_level(logging.DEBUG, "llm_framework")
            with pytest.raises(errors.LLMFrameworkError) as caught:
                await ask(framework, stream)
            shown = shown_of(caught.value) + f"{framework.config!r} {framework.get_performance_stats()}"
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    logging.getLogger("llm_framework").exception("it failed", exc_info=caught.value)
    for text in (shown, caplog.text):
        assert "Qwxz" not in text
        assert "Echoed" not in text
        assert BASIC[12:24] not in text


async def test_a_key_that_no_header_can_carry(tmp_path: Path) -> None:
    """It is told without being repeated, wherever it stands."""
    for settings in ({"api_key": f"{KEY}\nsecond"}, {"headers": {"x-api-key": f"{KEY}é"}}):
        endpoint = {"provider": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", **settings}
        config = {"default_model": "local:m", "models_dir": str(tmp_path), "api_credentials": {"local": endpoint}}
        async with LLMFramework(config) as framework:
            with pytest.raises((errors.AuthenticationError, errors.ConfigurationError)) as caught:
                await framework.generate("hi")
        assert "Qwxz" not in shown_of(caught.value)
