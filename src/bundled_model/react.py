"""The Thought / Action / Observation text loop, in LangChain's and LlamaIndex's shapes."""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .prompts import LANGCHAIN_REACT, LLAMA_HEADER
from .tools import Ask, Use, answer, choose_kind, make_ask, make_tools, result_of
from .words import Words, first_turn, sample

NEED = "The current language of the user is: English. I need to use a tool to help me answer the question."
KNOW = "I can answer without using any more tools. I'll use the user's language to answer"
JSON_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}


def schema(use: Use) -> str:
    """What LlamaIndex prints as `Tool Args`."""
    props: dict[str, Any] = {}
    for a, t in zip(use.tool.args, [*use.types, *["string"] * 9], strict=False):
        kind = a.type if a.type in JSON_TYPES else t
        props[a.name] = {**({"default": None} if a.optional else {}), **({"description": a.note} if a.note else {}), "title": a.name.replace("_", " ").title(), "type": kind}
    return json.dumps({"properties": props, "required": [a.name for a in use.tool.args if not a.optional], "type": "object"}, ensure_ascii=False)


def signature(use: Use) -> str:
    args = ", ".join(f"{a.name}: {JSON_TYPES.get(a.type, 'str')}" + (" = None" if a.optional else "") for a in use.tool.args)
    return f"{use.tool.name}({args}) -> str"


def llama_index(w: Words, uses: list[Use], use: Use, ask: Ask) -> list[list[str]]:
    described = "\n".join(f"> Tool Name: {u.tool.name}\nTool Description: {signature(u) + chr(10) if w.chance(.7) else ''}{u.tool.desc}\nTool Args: {schema(u)}\n" for u in uses)
    header = LLAMA_HEADER.replace("{{", "{").replace("}}", "}").replace("{context_prompt}", "").replace("{tool_names}", ", ".join(u.tool.name for u in uses)).replace("{tool_desc}", described)
    turns = [["user", header.strip() + "\n\n" + ask.text]]
    res = result_of(w, use.kind)
    turns.append(["model", f"Thought: {NEED}\nAction: {use.tool.name}\nAction Input: {json.dumps(ask.args, ensure_ascii=False)}"])
    turns += [["user", f"Observation: {res}"], ["model", f"Thought: {KNOW}\nAnswer: {answer(ask.subject, res)}"]]
    return turns


def llama(w: Words) -> dict[str, Any]:
    kind = choose_kind(w)
    uses = make_tools(w, kind, w.one((1, 1, 2, 2, 3)))
    use = next(u for u in uses if u.kind is kind)
    ask = make_ask(w, use)
    turns = llama_index(w, uses, use, ask)
    if w.chance(.5):  # the answer is due; the framework wrote the call back as a Python dict, which is not to be learnt
        turns[1][1] = turns[1][1].replace(json.dumps(ask.args, ensure_ascii=False), str(ask.args))
        return sample("react_llama", turns, learn_last=True, final=turns[-1][1])
    return sample("react_llama", turns[:2], final=turns[1][1])


def chain_input(args: dict[str, Any]) -> str:
    return str(next(iter(args.values()))) if len(args) == 1 else json.dumps(args, ensure_ascii=False) if args else ""


def langchain(w: Words) -> dict[str, Any]:
    kind = choose_kind(w)
    uses = make_tools(w, kind, w.one((1, 2, 2, 3)))
    use = next(u for u in uses if u.kind is kind)
    ask = make_ask(w, use)
    typed = len(ask.args) > 1 or w.chance(.5)
    tools = "\n".join((signature(u) if typed else u.tool.name) + (" - " if typed else ": ") + u.tool.desc for u in uses)
    prompt = LANGCHAIN_REACT.replace("{tools}", tools).replace("{tool_names}", ", ".join(u.tool.name for u in uses)).replace("{question}", ask.text)
    step = f"I need to use {use.tool.name}.\nAction: {use.tool.name}\nAction Input: {chain_input(ask.args)}"
    system = w.system()
    if w.chance(.5):
        return sample("react_chain", [["user", first_turn(system, "", prompt.replace("{scratchpad}", "").strip())], ["model", step]], final=step)
    res = result_of(w, use.kind)
    final = f"I now know the final answer\nFinal Answer: {answer(ask.subject, res)}"
    text = prompt.replace("{scratchpad}", f" {step}\nObservation: {res}\nThought:")
    return sample("react_chain", [["user", first_turn(system, "", text.strip())], ["model", final]], final=final)


SKILLS: dict[str, Callable[[Words], dict[str, Any]]] = {"react_llama": llama, "react_chain": langchain}
WEIGHTS: dict[str, float] = {"react_llama": 1, "react_chain": 2}
