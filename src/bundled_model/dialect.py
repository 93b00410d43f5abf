"""The text of tools, calls and results: the framework's own prompted dialect, from the data's own kinds of tools."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llm_framework.decoding.dialects.prompted import call_text, framed_tools, result_text
from llm_framework.types import ToolCall, ToolResult


@dataclass
class Arg:
    name: str
    type: str  # as written in the declaration
    optional: bool = False
    note: str = ""


@dataclass
class Tool:
    name: str
    desc: str
    args: list[Arg]

    def line(self) -> str:
        args = ", ".join(f"{a.name}{'?' if a.optional else ''}: {a.type}" for a in self.args)
        lines = [f"{self.name}({args})" + (f" - {self.desc}" if self.desc else "")]
        return "\n".join(lines + [f"  {a.name}: {a.note}" for a in self.args if a.note])


def declare(tools: list[Tool]) -> str:
    return framed_tools(t.line() for t in tools)


def call(name: str, args: dict[str, Any]) -> str:
    return call_text(ToolCall(id="", name=name, arguments=args))


def result_turn(results: list[str]) -> str:
    return "\n".join(result_text(ToolResult(call_id="", content=r)) for r in results)
