"""Every line that is logged of a request says which request it is, and none holds a key."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from faults.playing import Target
from faults.protocols import MODEL
from faults.server import FaultServer
from faults.stage import KEY, Stage
from faults.targets import each_target

from llm_framework import LLMFramework, ModelInfo
from llm_framework.logs import get_logger
from llm_framework.testing import FakeBackend
from llm_framework.types import InferenceRequest


@each_target
async def test_retries_and_fallbacks(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    """With everything logged, down to the HTTP library, all lines between start and end of a request name it."""
    stage = Stage(target.protocol)
    with FaultServer([stage.refusal("overloaded")]) as first, FaultServer([stage.answer("Hello")]) as second:
        values = target.config(first.origin, {"max_retries": 1, "log_level": "DEBUG"})
        section = {"provider": target.backend, "api_key": KEY, "base_url": target.protocol.base_url(second.origin)}
        values["api_credentials"]["backup"] = section
        async with LLMFramework({**values, "fallback_models": [f"backup:{MODEL}"]}) as framework:
            with caplog.at_level(logging.DEBUG):
                caplog.clear()
                await framework.generate("hi", model_name=target.model, request_id="req-one")
                ours = [record for record in caplog.records if record.name.startswith(("llm_framework", "httpcore"))]
    texts = [record.getMessage() for record in ours]
    assert any("trying again" in text for text in texts)
    assert any("failed" in text for text in texts)
    assert any(f"backup:{MODEL}: ok" in text for text in texts)
    assert [text for text in texts if "req-one" not in text] == []
    assert KEY not in caplog.text


class Chatty(FakeBackend):
    """A backend that logs."""

    async def stream(self, request: InferenceRequest) -> Any:
        logger = get_logger("llm_framework.chatty")
        logger.warning("before")
        yield "one"
        logger.warning("between")
        yield "two"


async def test_what_a_backend_logs_while_streams_take_turns(caplog: pytest.LogCaptureFixture) -> None:
    """Two streams that are read in turn keep their lines apart, and the reader's own lines belong to neither."""
    framework = LLMFramework({"default_model": "m", "auto_discover_models": False})
    Chatty(ModelInfo("m", backend_type="fake")).install(framework)
    mine = get_logger("llm_framework.mine")
    async with framework:
        streams = [framework.stream("hi", request_id=f"req-{name}") for name in "ab"]
        for _ in range(2):
            for stream in streams:
                await anext(stream)
                mine.warning("mine")
        for stream in streams:
            await stream.aclose()
    found = [(record.getMessage(), record.request_id) for record in caplog.records]  # type: ignore[attr-defined]
    expected = [("req-a: before", "req-a"), ("mine", ""), ("req-b: before", "req-b"), ("mine", ""),
                ("req-a: between", "req-a"), ("mine", ""), ("req-b: between", "req-b"), ("mine", "")]  # fmt: skip
    assert [one for one in found if one[0].endswith(("before", "between", "mine"))] == expected
