"""The table of held-out figures in the model's card, made from an evaluation."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

BEGIN, END = "<!-- figures: made by evaluate --card -->", "<!-- end of figures -->"
TOOLS = ("right tool", "right call", "whole exchange")
Counts = Mapping[str, tuple[int, int]]  # skill -> (right, tried)


def _tools(name: str, *ends: str) -> tuple[str, ...]:
    return tuple(f"{name}: {end}" for end in ends or TOOLS)


NAMED = ("right tool, names constrained", "right call, names constrained")
HAND, LAST = "paraphrases by hand", "paraphrases by hand, last"
ROWS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("tool call, by hand, 2-3 tools: right tool / whole call / call and answer", _tools(HAND)),
    ("the same, only declared names allowed: right tool / whole call", _tools(HAND, *NAMED)),
    ("tool call, by hand, last: right tool / whole call / call and answer", _tools(LAST)),
    ("the same, only declared names allowed: right tool / whole call", _tools(LAST, *NAMED)),
    ("tool call, new phrasing, 2-3 tools: right tool / whole call / call and answer", _tools("tools, new phrasing")),
    ("tool call, new kind of tool, 2 tools", _tools("tools, new kind")),
    ("tool call, new group of tools, 2-4 alike: right tool / whole call / call and answer", _tools("tools, new group")),
    ("tool call, the mixed data, 1-5 tools", _tools("tools, mixed")),
    ("tool call, 3 to 5 tools", _tools("tools, 3 to 5")),
    ("the answer holds the tool's result word for word (by hand / last / new phrasing / new kind)",
     tuple(f"{name}: answer holds the result" for name in (HAND, LAST, "tools, new phrasing", "tools, new kind"))),
    ("two calls in one turn: both calls / calls and answer", _tools("two calls in one turn", "right call", "whole exchange")),
    ("two calls in sequence: first / second / answer holds both results",
     _tools("sequence", "first call", "second call", "answer holds both results")),
    ("no tool wanted: no call made", ("no tool wanted: no call",)),
    ("structured output as a tool: whole object", ("structured output as a tool: right call",)),
    ("JSON for a form in the prompt / frameworks' schema text / schema / free wording", ("json", "json_schema", "schema", "json_free")),
    ("question on a passage / follow-up in a chat / yes or no / refine", ("passage", "passage_chat", "passage_yesno", "passage_refine")),
    ("question on one of a few documents, new documents", ("document",)),
    ("copying / look-up by key / cell of a table / classification", ("copy", "lookup", "table", "classify")),
    ("Thought/Action text, LlamaIndex / LangChain, one step", ("react_llama", "react_chain")),
    ("memory over turns / persona", ("memory", "persona")),
    ("small talk / greeting / framework / says it does not know (known wordings, varied)", ("talk", "greeting", "framework", "unknown")),
)


def table(counts: Counts) -> str:
    lines = ["| skill | right, % | n |", "|---|---|---|"]
    for label, names in ROWS:
        shares = " / ".join(str(round(100 * counts[name][0] / counts[name][1])) for name in names)
        tried = " / ".join(dict.fromkeys(str(counts[name][1]) for name in names))
        lines.append(f"| {label} | {shares} | {tried} |")
    return "\n".join(lines)


def update(card: Path, counts: Counts) -> None:
    """Put the figures in place of those that stand in the card."""
    text = card.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    card.write_text(before + BEGIN + "\n" + table(counts) + "\n" + END + rest.split(END)[1], encoding="utf-8")
