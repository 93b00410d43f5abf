"""What lines of an input file may hold, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm_framework import LLMFramework
from llm_framework.jobs import generate_file
from llm_framework.testing import FakeBackend


async def test_forms_of_lines(framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path) -> None:
    """A line is a string, or an object with a prompt or messages, a system prompt and options of its own."""
    source = files.write(
        tmp_path / "in.jsonl",
        "plain",
        {"prompt": "own", "system": "mine", "max_tokens": 2, "seed": 5, "top_k": 3, "stop": ["x"], "id": "own"},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                      {"role": "user", "content": "c"}], "max_tokens": None},
        {"messages": [{"role": "system", "content": "theirs"}, {"role": "user", "content": "d"}]},
        {"prompt": "biased", "logit_bias": {"3": 1.5}, "timeout": 20, "max_retries": 1, "metadata": {"a": 1}},
    )  # fmt: skip
    summary = await generate_file(
        framework, source, tmp_path / "out", system="all", max_concurrency=1, max_tokens=9, temperature=0
    )
    assert (summary.total, summary.answered, summary.failed) == (5, 5, 0)
    plain, own, talk, theirs, biased = backend.requests
    assert [(message.role, message.text) for message in plain.messages] == [("system", "all"), ("user", "plain")]
    assert (plain.config.max_tokens, plain.config.temperature) == (9, 0)
    assert own.messages[0].text == "mine"
    assert (own.config.max_tokens, own.config.seed, own.config.top_k, own.config.stop) == (2, 5, 3, ("x",))
    assert own.config.temperature == 0
    assert [message.text for message in talk.messages] == ["all", "a", "b", "c"]
    assert talk.config.max_tokens == 9
    assert [message.text for message in theirs.messages] == ["theirs", "d"]
    assert biased.config.logit_bias == {3: 1.5}
    found = files.read(tmp_path / "out")
    assert found[2]["id"] == "own"
    assert (found[2]["text"], found[2]["finish_reason"]) == ("one two", "length")
    assert "id" not in found[1]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"not json", ["not JSON", "column 1", ".txt"]),
        (b'{"prompt": "a"', ["not JSON"]),
        (b'{"prompt": "a"} {}', ["not JSON"]),
        (b'{"prompt": "a", "prompt": "b"}', ["'prompt'", "twice"]),
        (b'{"prompt": "a", "temperature": NaN}', ["NaN"]),
        (b'{"prompt": "a", "seed": ' + b"9" * 5000 + b"}", []),
        (b"[" * 100_000, ["JSON"]),
        (b'"caf\xe9"', ["UTF-8"]),
        (b"[]", ["string or an object"]),
        (b"12", ["string or an object"]),
        (b"{}", ["neither"]),
        ({"prompt": None}, ["neither"]),
        ({"prompt": "a", "messages": []}, ["both"]),
        ({"prompt": 12}, ["prompt", "string", "12"]),
        ({"prompt": ""}, ["empty"]),
        ("", ["empty"]),
        ({"messages": []}, ["no message"]),
        ({"messages": "a"}, ["messages", "list"]),
        ({"messages": [{"content": "a"}]}, ["role"]),
        ({"messages": [{"role": "king", "content": "a"}]}, ["king"]),
        ({"prompt": "a", "system": 1}, ["system", "string"]),
        ({"messages": [{"role": "system", "content": "a"}], "system": "b"}, ["system"]),
        ({"prompt": "a", "id": [1]}, ["id"]),
        ({"prompt": "a", "id": True}, ["id"]),
        ({"prompt": "a", "max_token": 4}, ["max_token", "did you mean 'max_tokens'"]),
        ({"prompt": "a", "stream": True}, ["unknown key 'stream'"]),
        ({"prompt": "a", "max_tokens": 0}, ["max_tokens"]),
        ({"prompt": "a", "max_tokens": 1.5}, ["max_tokens"]),
        ({"prompt": "a", "max_tokens": True}, ["max_tokens"]),
        ({"prompt": "a", "temperature": "hot"}, ["temperature", "number"]),
        ({"prompt": "a", "stop": [1]}, ["stop"]),
        ({"prompt": "a", "model": 3}, ["model", "string"]),
        ({"prompt": "a", "model": "mm"}, ["no model", "mm"]),
        ({"prompt": "a", "timeout": "1"}, ["timeout", "number"]),
        ({"prompt": "a", "schema": "x"}, ["schema"]),
        ({"prompt": "a", "schema": {}, "response_format": {}}, ["schema", "response_format"]),
        ({"prompt": "a", "response_format": "("}, ["regular expression"]),
        ({"prompt": "a", "tools": [1]}, ["tool"]),
        ({"prompt": "a", "tools": {"name": "x"}}, ["tools", "list"]),
        ({"prompt": "a", "tool_choice": "any"}, ["tool_choice"]),
        ({"prompt": "a", "fallbacks": "m"}, ["fallbacks", "list"]),
        ({"prompt": "a", "max_retries": -1}, ["max_retries"]),
        ({"prompt": "a", "strict_parameters": 1}, ["strict_parameters"]),
        ({"prompt": "a", "logit_bias": {"x": 1}}, ["logit_bias", "x"]),
    ],
    ids=lambda value: repr(value)[:50],
)
async def test_a_wrong_line_is_an_error_of_its_own(
    line: Any, words: list[str], framework: LLMFramework, files: Any, tmp_path: Path
) -> None:
    """What is wrong with a line stands in its record, which says what; the other lines are answered."""
    source = files.write(tmp_path / "in.jsonl", "before", line, "after")
    summary = await generate_file(framework, source, tmp_path / "out")
    found = files.read(tmp_path / "out")
    assert (summary.answered, summary.failed) == (2, 1)
    assert found[2]["error"]["type"] in ("InvalidRequestError", "ModelNotFoundError"), found[2]
    for word in words:
        assert word in found[2]["error"]["message"]
    assert found[1]["text"] == found[3]["text"] == "one two three"


async def test_plain_text(framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path) -> None:
    """In a .txt file, or with the format said, each line is a prompt as it stands."""
    for name, form in (("in.txt", "auto"), ("in.dat", "text")):
        (tmp_path / name).write_text('"quoted"\n\n{"prompt": "x"}\n', encoding="utf-8")
        await generate_file(framework, tmp_path / name, tmp_path / f"{name}.out", input_format=form)
        assert sorted(files.read(tmp_path / f"{name}.out")) == [1, 3]
    assert {request.messages[0].text for request in backend.requests} == {'"quoted"', '{"prompt": "x"}'}
