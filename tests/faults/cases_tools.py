"""Rows: tool calls, however they are cut, mixed, repeated or broken."""

from __future__ import annotations

from llm_framework import ToolSpec
from llm_framework.errors import StreamInterruptedError

from .protocols import Answer, Call, OpenAI
from .server import CLOSE, RESET, Piece, Step, bytewise
from .stage import STREAM, Case, Expected, Stage, fails, stream, succeeds

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = {"tools": [ToolSpec("get_weather", "Weather", PARAMETERS), ToolSpec("get_time", "Time", PARAMETERS)]}
OSLO = Call("call_1", "get_weather", '{"city": "Oslo"}')
ROME = Call("call_2", "get_time", '{"city": "Röm \u2028\\"x\\""}')
NONE = Call("call_3", "get_time", "{}")


def _called(*calls: Call, text: str = "") -> Expected:
    """These calls, decoded."""
    return succeeds(text=text, finish="tool_calls", calls=tuple((c.id, c.name, c.value) for c in calls))


def _invalid(call: Call) -> Expected:
    """The call, marked as one whose arguments cannot be used."""
    return succeeds(text="", finish="tool_calls", calls=((call.id, call.name, None),))


def _interleaved(stage: Stage, *calls: Call) -> Step:
    said = Answer(("Let me see.",), calls, "tool_calls")
    events = [*stage.begun(*said.texts), *stage.protocol.calls(said, interleaved=True), *stage.protocol.closing(said)]
    return stage.either(events, stage.protocol.body(said))


def _openai_stream(*events: str) -> Step:
    protocol, said = OpenAI(), Answer(reason="tool_calls")
    return stream([*protocol.opening(said), *events, *protocol.closing(said)])


def _broken_call(stage: Stage, end: Piece) -> Step:
    """A stream that ends within the arguments of a call."""
    said = Answer(calls=(OSLO,), reason="tool_calls")
    events = [*stage.protocol.opening(said), *stage.protocol.calls(said)]
    kept = events[: -2 if stage.protocol.name == "anthropic" else -1]
    return stream([*kept, end])


ROWS = (
    Case("a tool call", lambda s: [s.answer(calls=[OSLO])], _called(OSLO), sync=True),
    Case("a tool call after text", lambda s: [s.answer("Let me", " see.", calls=[OSLO])],
         _called(OSLO, text="Let me see.")),
    Case("parallel tool calls", lambda s: [s.answer(calls=[OSLO, ROME, NONE])], _called(OSLO, ROME, NONE)),
    Case("parallel tool calls, mixed", lambda s: [_interleaved(s, OSLO, ROME)],
         _called(OSLO, ROME, text="Let me see.")),
    Case("tool calls, a byte at a time",
         lambda s: [stream(bytewise(s.protocol.events(Answer((), (OSLO, ROME), "tool_calls"))))],
         _called(OSLO, ROME), forms=(STREAM,)),
    Case("the same tool twice", lambda s: [s.answer(calls=[OSLO, Call("call_9", "get_weather", "{}")])],
         _called(OSLO, Call("call_9", "get_weather", "{}"))),
    Case("id and name in each piece", lambda s: [_openai_stream(*OpenAI().repeating(OSLO))], _called(OSLO),
         protocols=("openai",), forms=(STREAM,)),
    Case("id and name in each piece of parallel calls",
         lambda s: [_openai_stream(*OpenAI().repeating(OSLO), *OpenAI().repeating(ROME, 1))], _called(OSLO, ROME),
         protocols=("openai",), forms=(STREAM,)),
    Case("no arguments", lambda s: [s.answer(calls=[NONE])], _called(NONE)),
    Case("no arguments, not even empty ones", lambda s: [s.answer(calls=[Call("call_4", "get_time", "")])],
         succeeds(text="", finish="tool_calls", calls=(("call_4", "get_time", {}),)), protocols=("openai",)),
    Case("arguments that are cut short", lambda s: [s.answer(calls=[Call("call_5", "get_time", '{"city": "Os')])],
         _invalid(Call("call_5", "get_time", ""))),
    Case("arguments that are no object", lambda s: [s.answer(calls=[Call("call_6", "get_time", '["Oslo"]')])],
         _invalid(Call("call_6", "get_time", ""))),
    Case("arguments that are a word", lambda s: [s.answer(calls=[Call("call_7", "get_time", "Oslo")])],
         _invalid(Call("call_7", "get_time", ""))),
    Case("invalid arguments beside valid ones",
         lambda s: [s.answer(calls=[OSLO, Call("call_8", "get_time", '{"city": "Os'), ROME])],
         succeeds(text="", finish="tool_calls", calls=(
             ("call_1", "get_weather", OSLO.value), ("call_8", "get_time", None), ("call_2", "get_time", ROME.value)))),
    Case("an error, then a tool call", lambda s: [s.refusal("overloaded"), s.answer(calls=[OSLO])],
         Expected(2, "", finish="tool_calls", calls=_called(OSLO).calls)),
    *(
        Case(f"a tool call that is {name}", lambda s, end=end: [_broken_call(s, end)],
             fails(StreamInterruptedError, calls=((OSLO.id, OSLO.name, None),)),
             protocols=("openai", "anthropic"), forms=(STREAM,))
        for end, name in ((RESET, "reset"), (CLOSE, "closed"))
    ),
)  # fmt: skip

CASES = tuple(row.but(options={**TOOLS, **row.options}) for row in ROWS)
