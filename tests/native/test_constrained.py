"""Constrained decoding on the bundled model: whatever the temperature, answers have the form that was asked for."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llm_framework.native._native")

import jsonschema
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from llm_framework.decoding import lark
from llm_framework.errors import InvalidRequestError, UnsupportedFeatureError
from llm_framework.native.backend import GemmaNativeBackend, LoadedModel
from llm_framework.registry import ModelInfo
from llm_framework.types import (
    Chunk,
    GenerationConfig,
    InferenceRequest,
    InferenceResponse,
    ResponseBuilder,
    ResponseFormat,
    ToolSpec,
)

# ------------------------------------------------------------------------------------------------------ random schemas
names = st.text("abcdefgh_", min_size=1, max_size=8)
literals = st.one_of(st.text(max_size=6), st.integers(-99, 99), st.booleans(), st.none())


def _bounded(kind: str, low: str, high: str, largest: int) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.tuples(st.integers(0, largest), st.integers(0, largest)).map(sorted)
    return pairs.map(lambda pair: {"type": kind, low: pair[0], high: pair[1]})


leaves: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["string", "integer", "number", "boolean", "null"]).map(lambda kind: {"type": kind}),
    st.lists(literals, min_size=1, max_size=4, unique_by=repr).map(lambda values: {"enum": values}),
    literals.map(lambda value: {"const": value}),
    _bounded("string", "minLength", "maxLength", 12),
    _bounded("integer", "minimum", "maximum", 500),
    _bounded("number", "minimum", "maximum", 50),
    st.sampled_from(["^[a-z]{2,5}$", "^\\d{3}-\\d{4}$", "^(yes|no)$", "^[A-Z][a-z]*$"]).map(
        lambda pattern: {"type": "string", "pattern": pattern}
    ),
    st.sampled_from(["date", "time", "date-time", "uuid", "ipv4", "password"]).map(
        lambda name: {"type": "string", "format": name}
    ),
    st.just({"type": ["string", "null"]}),
)


@st.composite
def objects(draw: Any, children: st.SearchStrategy[Any]) -> dict[str, Any]:
    """An object schema with some of its properties required."""
    properties = draw(st.dictionaries(names, children, max_size=4))
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if properties:
        schema["required"] = draw(st.lists(st.sampled_from(list(properties)), unique=True, max_size=4))
    if draw(st.booleans()):
        schema["additionalProperties"] = draw(st.sampled_from([False, True, {"type": "integer"}]))
    return schema


def _grown(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    arrays = st.builds(
        lambda items, pair: {"type": "array", "items": items, "minItems": min(pair), "maxItems": max(pair)},
        children,
        st.tuples(st.integers(0, 3), st.integers(0, 4)),
    )
    unions = st.lists(children, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts})
    return st.one_of(objects(children), arrays, unions)


schemas = st.recursive(leaves, _grown, max_leaves=8)
tool_lists = st.lists(
    st.builds(ToolSpec, names, st.just("Does it."), objects(st.recursive(leaves, _grown, max_leaves=4))),
    min_size=1, max_size=4, unique_by=lambda tool: tool.name,
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- helpers
@pytest.fixture(scope="module")
def backend(bundled_path: Path) -> Iterator[GemmaNativeBackend]:
    """The bundled model, loaded; it serves any event loop."""
    opened = GemmaNativeBackend(ModelInfo("tiny-chat", path=bundled_path), {"num_threads": 2})
    asyncio.run(opened.load_model())
    yield opened
    asyncio.run(opened.unload_model())


async def answer(backend: GemmaNativeBackend, prompt: str = "Hello!", **values: Any) -> InferenceResponse:
    """The answer; `values` that are no field of a request are its config's."""
    fields = {key: values.pop(key) for key in ("tools", "tool_choice", "response_format") if key in values}
    config = GenerationConfig(**{"max_tokens": 200, "seed": 1, **values})
    builder = ResponseBuilder()
    async for chunk in backend.stream(InferenceRequest(prompt, config=config, **fields)):
        assert isinstance(chunk, Chunk)
        builder.add(chunk)
    return builder.response()


def check_calls(got: InferenceResponse, tools: list[ToolSpec]) -> None:
    """All calls are of declared tools and valid, and there is nothing but calls."""
    by_name = {tool.name: tool for tool in tools}
    assert got.tool_calls
    assert not got.text
    assert got.finish_reason == "tool_calls"
    for call in got.tool_calls:
        jsonschema.validate(call.arguments, by_name[call.name].parameters)


# RANDOM_SCHEMAS=10000 pytest --timeout 0 -k test_an_answer_validates: the long run.
many = settings(
    max_examples=int(os.environ.get("RANDOM_SCHEMAS", "300")), deadline=None, phases=[Phase.generate],
    derandomize=True, database=None, suppress_health_check=list(HealthCheck),
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- schemas
@many
@given(schema=schemas, seed=st.integers(0, 1000))
async def test_an_answer_validates(backend: GemmaNativeBackend, schema: dict[str, Any], seed: int) -> None:
    """Whatever the schema, the answer is valid JSON of it, or the request is refused before anything is generated."""
    try:
        got = await answer(backend, response_format=ResponseFormat(schema=schema), temperature=2.0, seed=seed)
    except InvalidRequestError:
        return
    jsonschema.validate(json.loads(got.text), schema)
    assert got.finish_reason == "stop"


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array"}},
    "required": ["name", "age"],
}


@pytest.mark.parametrize("temperature", [0, 2.0])
async def test_json_is_written_as_json_dumps_writes_it(backend: GemmaNativeBackend, temperature: float) -> None:
    """One line, with `, ` and `: ` between its parts."""
    got = await answer(backend, response_format=ResponseFormat(schema=PERSON), temperature=temperature)
    outside_strings = re.sub(r'"(?:[^"\\]|\\.)*"', '""', got.text)
    assert not re.search(r"[,:](?! )|\s\s|\n", outside_strings)


@pytest.mark.parametrize("regex", ["(yes|no)", "[A-Z]{3}-[0-9]{2,4}", "^a*b$", "\\d+(/\\d+)?", "(ab){3,}c"])
async def test_an_answer_matches_a_regular_expression(backend: GemmaNativeBackend, regex: str) -> None:
    """The whole answer matches, even where the tokens run out."""
    for seed in range(4):
        got = await answer(
            backend, response_format=ResponseFormat(regex=regex), temperature=2.0, seed=seed, max_tokens=12
        )
        assert re.fullmatch(regex, got.text)
        assert got.finish_reason == "stop"


async def test_an_answer_keeps_to_a_grammar(backend: GemmaNativeBackend) -> None:
    """A Lark grammar holds whatever the temperature, and where the tokens run out."""
    source = 'start: item (", " item)*\nitem: NAME "(" [item] ")"\nNAME: /[a-z]+/'
    for seed in range(6):
        form = ResponseFormat(lark=source)
        got = await answer(backend, response_format=form, temperature=2.0, seed=seed, max_tokens=10 + 5 * seed)
        assert lark.matches(source, got.text)
        assert got.finish_reason == "stop"


@pytest.mark.parametrize(
    "schema",
    [{"not": {}}, {"type": "array", "uniqueItems": True}, {"type": "frob"}, {"$ref": "#/nowhere"}, {"enum": []}],
)
async def test_a_schema_that_cannot_be_enforced_is_refused(backend: GemmaNativeBackend, schema: Any) -> None:
    """It is refused with the reason, before anything is generated."""
    steps = _loaded(backend).scheduler.num_steps
    with pytest.raises(UnsupportedFeatureError, match="response_format cannot be enforced: ") as caught:
        await answer(backend, response_format=ResponseFormat(schema=schema))
    assert (caught.value.feature, caught.value.model) == ("response_format", "tiny-chat")
    assert _loaded(backend).scheduler.num_steps == steps


# -------------------------------------------------------------------------------------------------------------- budget
@pytest.mark.parametrize("schema", [PERSON, {"type": "string", "minLength": 30}, {"const": "a long constant text"}])
async def test_the_smallest_budget_that_fits_suffices(backend: GemmaNativeBackend, schema: Any) -> None:
    """Below the shortest answer's length a request is refused with that length; with exactly so many it is valid."""
    form = ResponseFormat(schema=schema)
    with pytest.raises(InvalidRequestError, match="max_tokens leaves room for 1 tokens") as caught:
        await answer(backend, response_format=form, max_tokens=1)
    num_needed = int(caught.value.message.split()[-1])
    with pytest.raises(InvalidRequestError):
        await answer(backend, response_format=form, max_tokens=num_needed - 1)
    for extra in range(4):
        got = await answer(backend, response_format=form, max_tokens=num_needed + extra, temperature=2.0)
        jsonschema.validate(json.loads(got.text), schema)


async def test_a_long_answer_uses_its_budget(backend: GemmaNativeBackend) -> None:
    """An answer that would go on is closed at the end of its budget, and not long before."""
    lists = {"type": "array", "items": {"type": "string", "minLength": 8}, "minItems": 2}
    sizes = []
    for seed in range(6):
        got = await answer(
            backend, response_format=ResponseFormat(schema=lists), max_tokens=60, temperature=2.0, seed=seed
        )
        jsonschema.validate(json.loads(got.text), lists)
        sizes.append(got.usage.output_tokens)
    assert 55 <= max(sizes) <= 60


# --------------------------------------------------------------------------------------------------------------- tools
@settings(many, max_examples=60)
@given(tools=tool_lists, temperature=st.sampled_from([0.0, 1.5]), seed=st.integers(0, 1000))
async def test_a_forced_call_is_valid(
    backend: GemmaNativeBackend, tools: list[ToolSpec], temperature: float, seed: int
) -> None:
    """With tool_choice "any" every answer is calls of the tools, with arguments that their schemas allow."""
    try:
        got = await answer(backend, tools=tuple(tools), tool_choice="any", temperature=temperature, seed=seed)
    except InvalidRequestError:
        return
    check_calls(got, tools)


async def test_a_tool_can_be_forced_by_name(backend: GemmaNativeBackend) -> None:
    """With a tool's name as tool_choice only that tool is called."""
    tools = [ToolSpec(name, "", PERSON) for name in ("first", "second", "third")]
    for choice in ("second", "third"):
        got = await answer(backend, tools=tuple(tools), tool_choice=choice, temperature=1.5)
        check_calls(got, tools)
        assert {call.name for call in got.tool_calls} == {choice}


async def test_a_call_that_the_model_begins_is_valid(backend: GemmaNativeBackend) -> None:
    """Nobody forces a call, but once one begins it is of a declared tool and valid; text before it is free."""
    tools = [ToolSpec("get_weather", "Get the weather in a city.", {**PERSON, "additionalProperties": False})]
    marker = _loaded(backend).tokenizer.specials["<tool_call>"]
    num_calls = 0
    for seed in range(20):
        got = await answer(
            backend, "What is the weather in Paris?", tools=tuple(tools), temperature=1.5, seed=seed, max_tokens=90,
            logit_bias={marker: 6.0},
        )  # fmt: skip
        num_calls += len(got.tool_calls)
        for call in got.tool_calls:
            assert call.name == "get_weather"
            jsonschema.validate(call.arguments, tools[0].parameters)
    assert num_calls > 5


async def test_a_form_and_tools_can_be_asked_for_together(backend: GemmaNativeBackend) -> None:
    """With both, an answer is either JSON of the schema or calls."""
    tools = [ToolSpec("look_up", "Look something up.", PERSON)]
    form = ResponseFormat(schema=PERSON)
    for seed in range(8):
        got = await answer(backend, tools=tuple(tools), response_format=form, temperature=2.0, seed=seed)
        if got.tool_calls:
            check_calls(got, tools)
        else:
            jsonschema.validate(json.loads(got.text), PERSON)


# ------------------------------------------------------------------------------------------------------------- batches
async def test_constrained_and_free_requests_share_a_batch(backend: GemmaNativeBackend) -> None:
    """Each keeps its own form, and a free answer is the same as alone."""
    tools = (ToolSpec("look_up", "Look something up.", PERSON),)
    alone = await answer(backend, "Hello, who are you?", temperature=1.0, seed=3)
    asked: list[dict[str, Any]] = [
        {"response_format": ResponseFormat(schema=PERSON), "temperature": 2.0},
        {"prompt": "Hello, who are you?", "temperature": 1.0, "seed": 3},
        {"tools": tools, "tool_choice": "any", "temperature": 1.5},
        {"response_format": ResponseFormat(regex="[ab]{4,9}"), "temperature": 2.0},
    ]
    schema, free, calls, regex = await asyncio.gather(*(answer(backend, **values) for values in asked))
    jsonschema.validate(json.loads(schema.text), PERSON)
    assert free.text == alone.text
    check_calls(calls, list(tools))
    assert re.fullmatch("[ab]{4,9}", regex.text)


async def test_a_constrained_answer_can_be_cancelled(backend: GemmaNativeBackend) -> None:
    """Closing the stream in the middle takes the request out of the batch."""
    form = ResponseFormat(schema={"type": "string", "minLength": 400})
    config = GenerationConfig(max_tokens=900, temperature=2.0)
    async with aclosing(backend.stream(InferenceRequest("Go", config=config, response_format=form))) as stream:
        await anext(stream)
    assert await asyncio.to_thread(_loaded(backend).scheduler.wait_idle, 20)


def _loaded(backend: GemmaNativeBackend) -> LoadedModel:
    assert backend._loaded is not None
    return backend._loaded
