"""The text of tools, calls and results, as docs/prompted-dialect.md lays it down."""
from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

CALL_HELP = 'To call a tool, reply with <tool_call>{"name": "NAME", "arguments": {...}}</tool_call>'


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
    return declare_lines([t.line() for t in tools])


def declare_lines(lines: list[str]) -> str:
    return "\n".join(["You can call these tools:", *lines, CALL_HELP])


def call(name: str, args: dict[str, Any]) -> str:
    return "<tool_call>" + json.dumps({"name": name, "arguments": args}, ensure_ascii=False) + "</tool_call>"


def result_turn(results: list[str]) -> str:
    return "\n".join(f"<tool_result>{r}</tool_result>" for r in results)
