"""Measure a checkpoint on held-out values, phrasings and kinds of tools.

Everything comes from the "eval" split, which shares no value words and no request
templates with training, or from `paraphrases.yaml`, which is written by hand. Decoding is
greedy, free and batched: the model's own call goes into the history, and its own answer counts.
"""
from __future__ import annotations

import argparse
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from llm_framework.decoding.dialects.prompted import framed_tools

from . import card
from .dialect import result_turn
from .mixture import skills
from .network import Gemma3
from .tokenizer import Codec
from .words import Words

CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.S)
LAST = Path(__file__).parent / "paraphrases_last.yaml"
Calls = list[tuple[str, dict[str, Any]]]
Turns = list[list[str]]


class Runner:
    def __init__(self, folder: Path) -> None:
        self.model = Gemma3.load(folder).eval()
        self.codec = Codec(folder / "tokenizer.model")

    @torch.inference_mode()
    def batch(self, prompts: list[list[int]], limit: int) -> list[list[int]]:
        width = max(map(len, prompts))
        lefts = torch.tensor([width - len(p) for p in prompts])
        ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
        pasts: list[list[torch.Tensor | None]] = [[None, None] for _ in self.model.model.layers]
        out: list[list[int]] = [[] for _ in prompts]
        live = [True] * len(prompts)
        for _ in range(limit):
            last = self.model.logits(self.model.hidden(ids, pasts, lefts)[:, -1])
            ids = last.argmax(-1, keepdim=True)
            for n, t in enumerate(ids[:, 0].tolist()):
                live[n] = live[n] and t not in (1, self.codec.end)
                if live[n]:
                    out[n].append(t)
            if not any(live):
                break
        return out

    def answers(self, chats: list[Turns], limit: int = 160, size: int = 24) -> list[str]:
        """The model's next turn for each chat."""
        prompts = [self.codec.prompt(c) for c in chats]
        order = sorted(range(len(chats)), key=lambda i: len(prompts[i]))
        done = [""] * len(chats)
        for k in range(0, len(order), size):
            part = order[k:k + size]
            for i, ids in zip(part, self.batch([prompts[i] for i in part], limit), strict=True):
                done[i] = self.codec.decode(ids)
        return done


class Score:
    def __init__(self) -> None:
        self.rows: dict[str, list[float]] = defaultdict(list)
        self.bad: dict[str, list[tuple[str, str, str]]] = defaultdict(list)

    def mark(self, key: str, ok: bool, ask: str = "", want: str = "", got: str = "") -> None:
        self.rows[key].append(float(ok))
        if not ok and ask:
            self.bad[key].append((ask, want, got))

    def counts(self) -> dict[str, tuple[int, int]]:
        return {key: (int(sum(v)), len(v)) for key, v in self.rows.items()}

    def report(self, show: int) -> None:
        for key, v in self.rows.items():
            print(f"{key:42s} {100 * sum(v) / len(v):5.1f} %  n {len(v)}")
        for key, rows in self.bad.items():
            for ask, want, got in rows[:show]:
                print(f"-- {key}\n   ask  {ask[-180:]!r}\n   want {want[:200]!r}\n   got  {got[:200]!r}")


def guided_name(run: Runner, chat: Turns, lines: list[str]) -> str:
    """The tool when only declared names may be written, as with constrained decoding: the likeliest next token at every fork."""
    sp = run.codec.sp
    start = run.codec.prompt(chat) + run.codec.call
    names = {n: [*sp.encode(n), -1] for n in (line.split("(")[0] for line in lines)}
    k = 0
    while len(names) > 1:
        allowed = {ids[k] for ids in names.values()}
        if len(allowed) > 1:
            done = next(iter(names.values()))[:k]
            with torch.inference_mode():
                logits = run.model.logits(run.model.hidden(torch.tensor([start + done]))[:, -1])[0]
            end = sp.encode('", "')[0]
            best = max(allowed, key=lambda t: float(logits[end if t < 0 else t]))
            names = {n: ids for n, ids in names.items() if ids[k] == best}
        k += 1
    return next(iter(names))


def guided(run: Runner, score: Score, name: str, samples: list[dict[str, Any]]) -> None:
    """As `tool_loop`, the name chosen among the declared ones; the arguments are free."""
    for s in samples:
        lines = [x.split("\n")[0] for x in s["meta"]["tools"]]
        chosen = guided_name(run, s["turns"][:1], lines)
        score.mark(f"{name}: right tool, names constrained", chosen == s["meta"]["calls"][0][0])
        head = f'<tool_call>{{"name": "{chosen}", "arguments": '
        # the blank after the colon belongs to the token before it
        ids = run.codec.prompt(s["turns"][:1]) + run.codec.sp.encode(head)
        rest = run.codec.decode(run.batch([ids], 120)[0])
        score.mark(f"{name}: right call, names constrained", same_calls(read_calls(head + rest), s["meta"]["calls"]))


def read_calls(text: str) -> Calls:
    out = []
    for m in CALL.finditer(text):
        try:
            d = json.loads(m.group(1))
            out.append((d["name"], d["arguments"]))
        except (ValueError, KeyError, TypeError):
            return []
    return out


def same_calls(got: Calls, want: list[Any]) -> bool:
    return [(n, a) for n, a in got] == [(n, a) for n, a in want]


def tool_loop(run: Runner, score: Score, name: str, samples: list[dict[str, Any]]) -> None:
    """Call, the given results, answer: every step is the model's own."""
    chats: list[Turns] = [[s["turns"][0]] for s in samples]
    texts = run.answers(chats)
    finals: list[tuple[int, Turns]] = []
    for n, (s, text) in enumerate(zip(samples, texts, strict=True)):
        want, got = s["meta"]["calls"], read_calls(text)
        ask = s["turns"][0][1].rsplit("\n\n", 1)[-1]
        score.mark(f"{name}: right tool", [g for g, _ in got] == [g for g, _ in want])
        ok = same_calls(got, want)
        score.mark(f"{name}: right call", ok, ask, json.dumps(want, ensure_ascii=False), text)
        if s["meta"]["results"]:
            finals.append((n, [s["turns"][0], ["model", text], ["user", result_turn(s["meta"]["results"])]]))
    for (n, chat), text in zip(finals, run.answers([c for _, c in finals]), strict=True):
        s = samples[n]
        holds = all(r in text for r in s["meta"]["results"]) and "<tool_call>" not in text
        score.mark(f"{name}: answer holds the result", holds, chat[-1][1], s["meta"]["answer"], text)
        score.mark(f"{name}: whole exchange", holds and same_calls(read_calls(chat[1][1]), s["meta"]["calls"]))


def paraphrases(file: Path | None = None) -> list[dict[str, Any]]:
    rows = yaml.safe_load((file or Path(__file__).parent / "paraphrases.yaml").read_text())
    return [{"skill": "paraphrase", "turns": [["user", framed_tools(r["tools"]) + "\n\n" + r["ask"]]],
             "meta": {"calls": [[r["call"], r["args"]]], "results": [r["result"]], "answer": r["result"], "tools": r["tools"]}} for r in rows]


def draw(make: Callable[[Words], dict[str, Any]], n: int, seed: int = 4099) -> list[dict[str, Any]]:
    w = Words(seed, "eval")
    return [make(w) for _ in range(n)]


def sequences(run: Runner, score: Score, samples: list[dict[str, Any]]) -> None:
    """Two calls one after the other; the right history is fed."""
    for step, name in ((0, "first call"), (1, "second call"), (2, "answer")):
        chats = [s["turns"][:1 + 2 * step] for s in samples]
        for s, text in zip(samples, run.answers(chats), strict=True):
            if step < 2:
                score.mark(f"sequence: {name}", same_calls(read_calls(text), s["meta"]["calls"][step:step + 1]), s["turns"][0][1].rsplit("\n\n", 1)[-1], s["turns"][1 + 2 * step][1], text)
            else:
                score.mark("sequence: answer holds both results", all(r in text for r in s["meta"]["results"]))


def last_turns(run: Runner, score: Score, skill: str, samples: list[dict[str, Any]]) -> None:
    """The last model turn, word for word."""
    for s, text in zip(samples, run.answers([s["turns"][:-1] for s in samples]), strict=True):
        want = s["turns"][-1][1].strip()
        ok = text.strip() == want
        if skill.startswith("json") or skill in ("schema",):
            try:
                ok = json.loads(text) == json.loads(want)
            except ValueError:
                ok = False
        score.mark(skill, ok, s["turns"][-2][1], want, text)


def evaluate(run: Runner, n: int, show: int, quick: bool = False, only: str = "") -> Score:
    from . import tools
    score = Score()

    def wanted(key: str) -> bool:
        return not only or only in key

    if wanted("paraphrase"):
        tool_loop(run, score, "paraphrases by hand", paraphrases())
        if not quick:
            tool_loop(run, score, "paraphrases by hand, last", paraphrases(LAST))
    if wanted("tool"):
        tool_loop(run, score, "tools, new phrasing", draw(tools.new_phrasing, n))
        tool_loop(run, score, "tools, new kind", draw(tools.new_kind, n))
        tool_loop(run, score, "tools, new group", draw(tools.new_group, n))
    if wanted("guided"):
        guided(run, score, "paraphrases by hand", paraphrases())
        guided(run, score, "paraphrases by hand, last", paraphrases(LAST))
        guided(run, score, "tools, new phrasing", draw(tools.new_phrasing, n))
    if quick:
        return score
    if wanted("tool"):
        tool_loop(run, score, "tools, mixed", draw(tools.one_call, n))
        tool_loop(run, score, "tools, 3 to 5", draw(tools.choice, n))
        tool_loop(run, score, "two calls in one turn", draw(tools.parallel, n))
        sequences(run, score, draw(tools.sequence, n // 2))
        tool_loop(run, score, "structured output as a tool", draw(skills("structured")["structured"], n))
    idle = draw(tools.no_tool, n // 2) if wanted("no tool") else []
    for s, text in zip(idle, run.answers([s["turns"][:1] for s in idle]), strict=True):
        score.mark("no tool wanted: no call", "<tool_call>" not in text, s["turns"][0][1], s["turns"][1][1], text)
    for module in ("structured", "react", "extraction", "passages", "related", "talk"):
        for skill, make in skills(module).items():
            if skill != "structured" and wanted(skill):
                last_turns(run, score, skill, draw(make, n if skill in ("passage", "json") else n // 2))
    return score


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--show", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="only the tool skills")
    parser.add_argument("--card", default="", help="put the figures into this card's table")
    parser.add_argument("--only", default="", help="skills whose name holds this")


def run(a: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    start = time.time()
    score = evaluate(Runner(Path(a.folder)), a.n, a.show, a.quick, a.only)
    score.report(a.show)
    if a.card:
        card.update(Path(a.card), score.counts())
    print(f"{time.time() - start:.0f} s", flush=True)
