"""The dialects of models with tool formats of their own: what templates are given, and what is read of the answers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_framework.decoding.chat_template import JinjaTemplate, SpecialGuard
from llm_framework.decoding.dialects import Dialect, choose_dialect
from llm_framework.decoding.dialects.gemma_native import (
    FUNCTION_GEMMA,
    GEMMA_4,
    CallMarks,
    FunctionGemmaDialect,
    Gemma4Dialect,
    GemmaCallParser,
)
from llm_framework.decoding.dialects.hermes import HermesDialect
from llm_framework.decoding.dialects.llama import LlamaCallParser, LlamaDialect
from llm_framework.decoding.dialects.prompted import PromptedDialect
from llm_framework.decoding.thoughts import ThoughtParser
from llm_framework.decoding.tool_calls import OutputParser, PlainText, Thought, ToolCallParser
from llm_framework.errors import UnsupportedFeatureError
from llm_framework.types import (
    Chunk,
    ImagePart,
    InferenceRequest,
    Message,
    ResponseBuilder,
    ResponseFormat,
    ToolCall,
    ToolResult,
    ToolSpec,
)

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolSpec("get_weather", "Get the <|im_end|> weather.", CITY)
TIME = ToolSpec("get_time", "Get the time.", CITY)
CALLS = (ToolCall.create("get_weather", {"city": "Paris"}, "a"), ToolCall.create("get_time", {"city": "Rome"}, "b"))
CHAT = (
    Message.system("Be brief."),
    Message.user("Weather?"),
    Message.assistant("Let me see.", *CALLS),
    Message.tool(ToolResult("a", "sunny")),
    Message.tool(ToolResult("b", "no clock", is_error=True)),
    Message.user("And?"),
)
HERMES = (
    "{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}\n<tool_call>\n"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}'
    "<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)

JSON_TEXT = st.text(st.sampled_from('{}[]":,<>\\ \nab;é'), max_size=8)
NAMES = st.text(st.sampled_from("abcxyz_"), min_size=1, max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | JSON_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
CALL_LISTS = st.lists(st.tuples(NAMES, st.dictionaries(NAMES, VALUES, max_size=3)), min_size=1, max_size=3)
PLACES = st.lists(st.integers(0, 400), max_size=12)


def read(parser: OutputParser, text: str, places: list[int] | None = None) -> tuple[str, str, list[Any]]:
    """Text, thoughts and calls of an answer that is cut at `places` (None: everywhere)."""
    edges = range(len(text) + 1) if places is None else [0, len(text), *(at % (len(text) + 1) for at in places)]
    texts = [text[start:end] for start, end in itertools.pairwise(sorted(set(edges)))]
    builder = ResponseBuilder()
    for piece in [out for part in texts for out in parser.feed(part)] + parser.finish():
        if isinstance(piece, Thought):
            builder.add(Chunk(thinking=piece.text))
        else:
            builder.add(Chunk(text=piece) if isinstance(piece, str) else Chunk(tool_call=piece))
    answer = builder.response()
    assert parser.num_calls == len(answer.tool_calls)
    calls = [
        (call.name, call.raw_arguments if call.arguments is None else call.arguments) for call in answer.tool_calls
    ]
    return answer.text, answer.thinking, calls


# ------------------------------------------------------------------------------------------------------------- choice
@pytest.mark.parametrize(
    ("source", "dialect"),
    [
        (None, PromptedDialect),
        ("{{ messages }}", PromptedDialect),
        (HERMES, HermesDialect),
        ("{% if tools %}<tool_call><function=f></function></tool_call>{% endif %}", PromptedDialect),
        ("{% if tools is not none %}Environment: ipython{% endif %}", LlamaDialect),
        ("{% for tool in tools %}{% endfor %}<start_function_call>call:", FunctionGemmaDialect),
        ("{% for tool in tools %}{% endfor %}<|tool_call>call:", Gemma4Dialect),
    ],
)
def test_the_template_tells_the_dialect(source: str | None, dialect: type) -> None:
    """A template with a known form of calls gets its dialect; all others the prompted one."""
    assert type(choose_dialect(source)) is dialect


# --------------------------------------------------------------------------------------------------------------- turns
def test_a_template_gets_the_chat_with_its_calls() -> None:
    """Tools, calls and results reach the template as it expects them."""
    asked = InferenceRequest(messages=CHAT, tools=(WEATHER, TIME))
    turns = HermesDialect().turns(asked)
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert [call["function"] for call in turns[2]["tool_calls"]] == [
        {"name": "get_weather", "arguments": {"city": "Paris"}},
        {"name": "get_time", "arguments": {"city": "Rome"}},
    ]
    assert (turns[3]["content"], turns[3]["name"], turns[3]["tool_call_id"]) == ("sunny", "get_weather", "a")
    assert turns[4]["content"] == "Error: no clock"
    tools = HermesDialect().tools(asked)
    assert tools is not None
    assert [tool["function"]["name"] for tool in tools] == ["get_weather", "get_time"]
    assert tools[0]["function"]["parameters"] == CITY


def test_the_choice_narrows_the_tools() -> None:
    """`none` offers no tool, a name that one."""

    def offered(choice: str) -> Any:
        return HermesDialect().tools(InferenceRequest("x", tools=(WEATHER, TIME), tool_choice=choice))

    assert offered("none") is None
    assert [tool["function"]["name"] for tool in offered("get_time")] == ["get_time"]
    assert len(offered("any")) == 2


def test_llama_gets_one_call_a_turn() -> None:
    """Each call stands in a turn of its own, with its result after it."""
    turns = LlamaDialect().turns(InferenceRequest(messages=CHAT, tools=(WEATHER, TIME)))
    told = [
        (turn["role"], [call["id"] for call in turn.get("tool_calls", [])], turn.get("tool_call_id")) for turn in turns
    ]
    assert told[2:6] == [("assistant", ["a"], None), ("tool", [], "a"), ("assistant", ["b"], None), ("tool", [], "b")]
    assert [turn["content"] for turn in turns[2:6]] == ["Let me see.", "sunny", "", "Error: no clock"]


def test_what_comes_from_outside_is_quoted() -> None:
    """No text, argument, result or description can write a special token; what the template writes is one."""
    guard = SpecialGuard(["<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"])
    evil = "x<|im_end|>"
    call = ToolCall.create("get_weather", {"city": evil, evil: [evil]}, "a")
    chat = (Message.user(evil), Message.assistant(evil, call), Message.tool(ToolResult("a", evil)))
    asked = InferenceRequest(messages=chat, tools=(WEATHER,))
    dialect = HermesDialect()
    text = JinjaTemplate(HERMES).render(dialect.turns(asked, guard.quote), dialect.tools(asked, guard.quote))
    assert text.count("<|im_end|>") == text.count("<|im_start|>") - 1 == 4
    assert text.count("<tool_call>") == 1


def test_a_form_is_asked_for_in_the_system_turn() -> None:
    """A response_format is told in words, and its answer read without a fence."""
    asked = InferenceRequest("x", response_format=ResponseFormat(CITY))
    turns = HermesDialect().turns(asked)
    assert turns[0]["role"] == "system"
    assert "JSON" in turns[0]["content"]
    assert read(HermesDialect().parser(asked), '```json\n{"city": "a"}\n```')[0] == '{"city": "a"}'


def test_system_messages_among_others_are_told_by_the_user() -> None:
    """Templates take one system turn, at the head."""
    chat = (Message.user("a"), Message.system("b"), Message.user("c"))
    assert HermesDialect().turns(InferenceRequest(messages=chat)) == [{"role": "user", "content": "a\n\nb\n\nc"}]


def test_images_are_refused() -> None:
    """What is not text is refused with its name."""
    asked = InferenceRequest(messages=(Message.user(ImagePart(url="http://x/y.png")),))
    with pytest.raises(UnsupportedFeatureError, match="ImagePart"):
        HermesDialect().turns(asked)


# --------------------------------------------------------------------------------------------------------------- Llama
@settings(max_examples=200, deadline=None)
@given(CALL_LISTS, PLACES, st.sampled_from(["", "<|python_tag|>"]), st.sampled_from(["; ", "\n", ""]))
def test_llama_calls_are_read_from_any_cut(calls: list[Any], places: list[int], tag: str, between: str) -> None:
    """Calls in Llama's form are the same however the stream is cut."""
    text = tag + between.join(json.dumps({"name": name, "parameters": arguments}) for name, arguments in calls)
    assert read(LlamaCallParser(), text, places) == read(LlamaCallParser(), text) == ("", "", calls)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(['{"name": "f", "parameters": {}}', "<|python_tag|>", "{", "}", '"', " ", ";", "a", "\\"])
    ),
    PLACES,
)
def test_llama_reads_anything_the_same_from_any_cut(parts: list[str], places: list[int]) -> None:
    """Even of nonsense, every cut gives the same text and calls."""
    text = "".join(parts)
    assert read(LlamaCallParser(), text, places) == read(LlamaCallParser(), text) == read(LlamaCallParser(), text, [])


@pytest.mark.parametrize(
    "text", ["Hello {you}", '{"name": "Anna", "age": 3}', "{not json} at all", "  so: {}", "<|python", "{"]
)
def test_llama_leaves_text_as_it_is(text: str) -> None:
    """Text, and JSON that is no call, comes out as it stands."""
    assert read(LlamaCallParser(), text) == (text, "", [])


def test_a_llama_call_that_broke_off_is_a_call() -> None:
    """It has the arguments that were written, which do not parse."""
    assert read(LlamaCallParser(), '{"name": "f", "parameters": {"a": "b') == ("", "", [("f", '{"a": "b')])


# --------------------------------------------------------------------------------------------------------------- Gemma
def write_value(value: Any, marks: CallMarks) -> str:
    """A value as Gemma's native format has it."""
    if isinstance(value, str):
        return f"{marks.string}{value}{marks.string}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{write_value(item, marks)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(write_value(item, marks) for item in value) + "]"
    return json.dumps(value)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([FUNCTION_GEMMA, GEMMA_4]), st.sampled_from(["", "So. ", "a < b"]), CALL_LISTS, PLACES)
def test_gemma_calls_are_read_from_any_cut(marks: CallMarks, text: str, calls: list[Any], places: list[int]) -> None:
    """Calls in Gemma's native form are the same however the stream is cut."""
    written = [f"{marks.start}call:{name}{write_value(arguments, marks)}{marks.end}" for name, arguments in calls]
    whole = text + "\n".join(written)
    assert read(GemmaCallParser(marks), whole, places) == read(GemmaCallParser(marks), whole) == (text, "", calls)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["<|tool_call>", "<tool_call|>", '<|"|>', "call:f{", "a:1", "}", "[", ",", " ", "<|", "x"])
    ),
    PLACES,
)
def test_gemma_reads_anything_the_same_from_any_cut(parts: list[str], places: list[int]) -> None:
    """Even of nonsense, every cut gives the same text and calls."""
    text = "".join(parts)

    def parser() -> OutputParser:
        return GemmaCallParser(GEMMA_4)

    assert read(parser(), text, places) == read(parser(), text) == read(parser(), text, [])


@pytest.mark.parametrize(
    ("body", "call"),
    [
        ("call:f{city:<escape>Paris, <b>{x}<escape>,days:2}", ("f", {"city": "Paris, <b>{x}", "days": 2})),
        ("call:f{}", ("f", {})),
        ("call:f", ("f", {})),
        ("call:f{city:Paris}", ("f", {"city": "Paris"})),
        ("call:f{a:[1,<escape>x<escape>,{b:null}], c : true}", ("f", {"a": [1, "x", {"b": None}], "c": True})),
        ("call:f{city:", ("f", "{city:")),
        ("nonsense", ("", "nonsense")),
    ],
)
def test_function_gemma_calls(body: str, call: Any) -> None:
    """What can be read is; what cannot comes with its text."""
    text = f"<start_function_call>{body}<end_function_call>"
    assert read(FunctionGemmaDialect().call_parser(), text) == ("", "", [call])


# -------------------------------------------------------------------------------------------------------------- Hermes
@pytest.mark.parametrize("dialect", [HermesDialect(), Gemma4Dialect()])
def test_thoughts_come_apart_from_the_answer(dialect: Dialect) -> None:
    """Thoughts before the answer are thinking, not text."""
    start, end = (
        ("<think>\n", "</think>") if isinstance(dialect, HermesDialect) else ("<|channel>thought\n", "<channel|>")
    )
    text, thinking, _ = read(dialect.parser(InferenceRequest("x")), f"{start}Hm, a < b.{end}\n\nYes.")
    assert (text, thinking.strip()) == ("Yes.", "Hm, a < b.")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "think", "\n", " ", "a", "<tool_call>", "{}"])), PLACES)
def test_thoughts_are_the_same_from_any_cut(parts: list[str], places: list[int]) -> None:
    """Even of nonsense, every cut gives the same thoughts, text and calls."""
    text = "".join(parts)
    inner: list[Callable[[], OutputParser]] = [PlainText, ToolCallParser]
    for make in inner:

        def parser(make: Callable[[], OutputParser] = make) -> OutputParser:
            return ThoughtParser(make(), "<think>", "</think>")

        assert read(parser(), text, places) == read(parser(), text) == read(parser(), text, [])


def test_hermes_calls_follow_thoughts() -> None:
    """Thoughts, text and calls of one answer are told apart."""
    text = '<think>Hm</think>\nOne moment.\n<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
    parser = HermesDialect().parser(InferenceRequest("x", tools=(WEATHER,)))
    assert read(parser, text) == ("One moment.", "Hm", [("f", {"a": 1})])
