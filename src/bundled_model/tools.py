"""Chats with tools: declarations, a request, calls, results, an answer that holds the result.

The right tool is to be found by its description, so tools stand among others of the
same domain, names are sometimes replaced by invented ones, and requests are put
together from many frames, forms and small remarks around them.
"""
from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .context import two_sentences
from .dialect import Arg, Tool, call, declare, result_turn
from .made_kinds import made_kind, sibling
from .seed_tools import SeedKind, groups_of, related
from .tool_kinds import KINDS, Kind, alike, kind_split
from .values import result, shown, value
from .words import Words, first_turn, sample

NP_FRAMES = """What is {}?|What's {}?|What is {}?|What's {}?|Tell me {}.|Give me {}.|Show me {}.|Can you tell me {}?|Could you tell me {}?|I'd like to know {}.|I need {}.|I want to know {}.|
Please tell me {}.|Find {}.|Get {}.|Find out {}.|Do you know {}?|Could you find {} for me?|Please look up {}.|I would like to have {}.|Let me know {}.|Look up {}, please.|What would be {}?|
Can you get {}?|Can you check {}?|Check {}.|I was wondering what {} is.|Do you happen to know {}?|I wonder what {} is.|Any idea what {} is?|May I know {}?|Would you tell me {}?|Can I get {}?|
Could I have {}?|I have to know {}.|I am looking for {}.|Please give me {}.|{}?|{} please|{}|I'm curious about {}.|Quick question: what's {}?|Help me find {}.|Fetch {}.|We need {}.|
My boss wants to know {}.|Someone asked me for {}.|What can you say about {}?|Mind telling me {}?|Say what {} is.|And what is {}?|So what's {} now?|Compute {}.|Report {}.""".replace("\n", "").split("|")
VP_FRAMES = """{}.|{}.|{}|Please {}.|Can you {}?|Could you {}?|Could you please {}?|I want to {}.|I'd like to {}.|I need to {}.|I want you to {}.|Would you {}?|Will you {}?|Go ahead and {}.|{}, please.|
Can you {} for me?|Please {} for me.|Let's {}.|I would like you to {}.|You should {}.|It's time to {}.|I have to {}.|We need to {}.|Hey, {}!|Now {}.|Just {}.|{} now.|Kindly {}.|Could you quickly {}?|
Help me {}.|Is it possible to {}?|Is there a way to {}?|We should {}.|My wife asked me to {}.|I've been told to {}.|I was asked to {}.|Next, {}.|Try to {}.|Would you be so kind and {}?|Your job is to {}.""".replace("\n", "").split("|")
BEFORE = """Hi!|Hello!|Good morning!|Hey there.|I'm planning a trip.|I'm going there next week.|My friend asked me.|I have a question.|I'm at work.|We have guests tonight.|I'm in a hurry.|Sorry to bother you.|
I don't have much time.|I forgot again.|It is important.|I'm a bit lost.|My colleague is waiting for this.|I promised it to a friend.|This is for school.|I can't find it anywhere.|I'm not sure about this.|
Thanks for the help before.|One more thing.|OK.|Right.|Listen.|I hope you can help.|I need your help.|Something is wrong.|The customer is waiting.|The boss is asking.|I'm writing a letter.|I'm new here.|
We talked about it yesterday.|It has been a long day.|I'm getting ready.|I just came home.|I'm on the phone with somebody.|Let me think.|So.|Well,|Actually,|By the way,|Quick one:""".replace("\n", "").split("|")
AFTER = "Thanks!|Thank you.|It's urgent.|Please hurry.|I really need it.|I'm waiting.|Thanks a lot.|That would be great.|Cheers.|No rush.|It is for a friend.".split("|")
REASONS = ", it is urgent.|, the customer is unhappy.|, it hangs again.|, it is too old.|, I need it today.|, the boss is waiting.|, it is broken.|, we have guests.|, I forgot it yesterday.|, it looks wrong.|, my friend asked for it.|, as always.".split("|")
EXTRA = [("limit", "integer"), ("language", "string"), ("verbose", "boolean"), ("max_results", "integer"), ("format", "string"), ("timeout", "number"), ("debug", "boolean"), ("lang", '"en" | "de"')]
SUFFIX = ["_tool", "_api", "_v2", "_function", "_service", "1", "_x"]


def frames(items: list[str], split: str) -> list[str]:
    """Some request frames are kept for the evaluation."""
    mine = [f for f in items if (zlib.crc32(("f" + f).encode()) % 10 == 0) == (split == "eval")]
    return mine or items


FRAMES: dict[tuple[str, str], list[str]] = {(f, s): frames(x, s) for f, x in (("np", NP_FRAMES), ("vp", VP_FRAMES)) for s in ("train", "eval")}
SEEN = [k for k in KINDS if kind_split(k) == "train"]
UNSEEN = [k for k in KINDS if kind_split(k) == "eval"]
BY_DOMAIN: dict[str, list[Kind]] = {}
BY_VALUES: dict[tuple[str, ...], list[Kind]] = {}  # kinds that take the same arguments


def takes(kind: Kind) -> tuple[str, ...]:
    return tuple(p.maker for p in kind.params if not p.optional)


for _k in SEEN:
    BY_DOMAIN.setdefault(_k.domain, []).append(_k)
    BY_VALUES.setdefault(takes(_k), []).append(_k)


GROUP_OF = {id(k): ks for split in ("train", "eval") for ks in groups_of(split) for k in ks}


@dataclass
class Use:
    """A kind as it stands in one prompt."""
    kind: Kind
    tool: Tool
    types: list[str]


@dataclass
class Ask:
    text: str
    args: dict[str, Any]
    subject: str  # what the answer says the result is; empty: "The result"


def camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(t.capitalize() for t in tail)


def tool_name(w: Words, kind: Kind) -> tuple[str, bool]:
    """(name, whether it says nothing)"""
    k = w.r.random()
    if k < .05:
        return w.one((w.invented(1, 2), "tool_" + w.one("abcdxyz123"), "tool" + str(w.num(1)), "t" + str(w.num(1)), "function_" + str(w.num(1)))), True
    name = w.one(kind.names)
    if k < .17:
        return camel(name), False
    return (name + w.one(SUFFIX) if k < .23 else name), False


def note(w: Words, name: str, kind_type: str) -> str:
    words = name.replace("_", " ")
    return w.one(("The {}.", "The {} to use.", "{} to look at.", "Which {}.", "The {}, as a " + ("text" if kind_type == "string" else "number") + ".", "Name of the {}.", "The {} of the request.",
                  "A {}.")).format(words)


HOLE = re.compile(r"\{(\d)(?::([^/}]+)/([^}]+))?\}")
TELLS = ["Get {}.", "Returns {}.", "Tells you {}.", "Useful to find {}.", "Find {}.", "Look up {}.", "Use this to get {}.", "Use this when the user asks for {}.", "Tool for {}.", "Gives {}.", "Provides {}.", "Fetch {}.", "Useful for when you need to know {}."]
DOES = ["{}.", "{}.", "Use this to {}.", "Lets you {}.", "Tool to {}.", "Useful when you need to {}.", "Call this to {}.", "Can {}.", "A function to {}."]


def described(w: Words, kind: Kind) -> str:
    """A description: one of the table's, or a phrase of the kind with its parameters named."""
    if isinstance(kind, SeedKind):
        return w.one(kind.descs)
    forms = [f for f in ("np", "vp") if getattr(kind, f)]
    if w.chance(.7) or not forms or "{N}" in "".join(kind.np + kind.vp):
        return w.one(kind.descs)
    form = w.one(forms)
    phrase = HOLE.sub(lambda m: w.one(("a ", "a ", "the ", "the given ")) + kind.params[int(m.group(1))].names[0].replace("_", " "), w.one(getattr(kind, form)))
    text = w.one(TELLS if form == "np" else DOES).replace("{}", phrase.replace('"', ""))
    return text[0].upper() + text[1:]


def docstring(w: Words, desc: str, args: list[Arg]) -> str:
    """Docstrings often list the parameters; white space is folded in the prompt."""
    if args and w.chance(.06):
        desc += w.one((" Args: ", " Parameters: ", " Args: ")) + " ".join(f"{a.name}{w.one((':', ':', ' (str):'))} {note(w, a.name, 'string')}" for a in args)
    return desc + w.one((" Returns: str", " Returns: The result.", " Returns the result as text.")) if w.chance(.04) else desc


def make_use(w: Words, kind: Kind) -> Use:
    name, blank = tool_name(w, kind)
    desc = "" if not blank and w.chance(.05) else described(w, kind)
    if desc and w.chance(.1):
        desc = desc.rstrip(".") if w.chance(.6) else desc[0].lower() + desc[1:]
    args: list[Arg] = []
    types: list[str] = []
    noted = w.chance(.25)
    for p in kind.params:
        t = p.type
        if t == "integer" and w.chance(.25):
            t = w.one(("number", "string", "number"))
        elif t == "number" and w.chance(.15):
            t = "string"
        text = " | ".join(f'"{o}"' for o in p.options) if p.options and w.chance(.8) else t
        name_ = w.one(p.names) if w.chance(.97) else w.invented(1, 1)
        while name_ in [a.name for a in args]:
            name_ += "_2"
        optional = p.optional and w.chance(.9)
        text += " | null" if optional and w.chance(.4) else ""
        args.append(Arg(name_, text, optional, note(w, name_, t) if noted and w.chance(.8) else ""))
        types.append(t)
    if w.chance(.07):
        n, t = w.one(EXTRA)
        if n not in [a.name for a in args]:
            args.append(Arg(n, t, True, note(w, n, t) if noted else ""))
    desc = docstring(w, desc, args) if desc else ""
    if desc and w.chance(.1):  # LlamaIndex puts the signature before the docstring
        python = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
        desc = f"{name}({', '.join(f'{a.name}: ' + python.get(a.type, 'str') + (' = None' if a.optional else '') for a in args)}) -> {w.one(('str', 'str', 'str', 'float', 'int', 'dict'))} {desc}"
    return Use(kind, Tool(name, desc, args), types)


def typed(v: Any, kind_type: str) -> Any:
    """The JSON value of what the request says."""
    return str(v) if kind_type == "string" and not isinstance(v, (bool, list)) else v


def fill_ask(w: Words, use: Use, form: str, template: str) -> Ask | None:
    """A request from a template; none when the template leaves a required parameter out."""
    kind = use.kind
    named = {int(m.group(1)) for m in HOLE.finditer(template)}
    if any(not a.optional and i not in named for i, a in enumerate(use.tool.args)):
        return None
    vals = {i: value(w, kind.params[i].maker, kind.params[i].options) for i in named}
    if len({str(v) for v in vals.values()}) < len(vals):
        return None
    quote = w.one(("'", '"')) if w.chance(.05) else ""

    def put(m: re.Match[str]) -> str:
        v = vals[int(m.group(1))]
        if m.group(2):
            return m.group(2) if v else m.group(3)
        return quote + v + quote if isinstance(v, str) and form != "q" else shown(v)

    if w.chance(.06):  # all in small letters, values too
        vals = {i: v.lower() if isinstance(v, str) and not kind.params[i].options else v for i, v in vals.items()}
    body = HOLE.sub(put, template).replace("{N}", use.tool.name)
    subject = ""
    nps = [template] if form == "np" else [t for t in kind.np if {int(m.group(1)) for m in HOLE.finditer(t)} <= named]
    if nps:
        quote = ""
        subject = HOLE.sub(put, nps[0]).replace("{N}", use.tool.name)
    args = {use.tool.args[i].name: typed(vals[i], use.types[i]) for i in sorted(vals)}
    return Ask(body, args, subject)


def dress(w: Words, form: str, body: str, around: bool = True) -> str:
    """The frame around a phrase, and remarks around that."""
    if form != "q":
        text = w.one(FRAMES[form, w.split]).replace("{}", body)
        text = text[0].upper() + text[1:] if w.chance(.85) else text
    else:
        text = body
    if w.chance(.12):
        text = text[0].lower() + text[1:]
    text = text.replace("..", ".").replace("?.", "?").replace("!.", "!").replace("??", "?")
    k = w.r.random()
    if k < .12:
        text = text.rstrip(".?!") if len(text) > 6 else text
    elif k < .17 and text.endswith("."):
        text = text[:-1] + "!"
    if not around:
        return text
    if w.chance(.13):
        text = w.one(BEFORE) + " " + text
    elif w.chance(.03):
        text = w.one((f"{w.first()} here.", f"I am {w.first()}.", f"I'm with {w.first()}.", f"{w.first()} told me to ask you.", f"My name is {w.first()}.")) + " " + text
    if w.chance(.05) and text[-1] != "?":
        text = text.rstrip(".!") + w.one(REASONS)
    if w.chance(.07):
        text = text + ("" if text[-1] in ".?!" else ".") + " " + w.one(AFTER)
    return text


def explicit(w: Words, use: Use) -> Ask:
    """Requests that name the tool and its parameters."""
    if isinstance(use.kind, SeedKind):
        vals = use.kind.ask(w)[1]
    else:
        vals = {i: value(w, p.maker, p.options) for i, p in enumerate(use.kind.params) if not use.tool.args[i].optional or w.chance(.4)}
    params = sorted(vals)
    args = {use.tool.args[i].name: typed(vals[i], use.types[i]) for i in params}
    name, n = use.tool.name, use.tool.args
    if not params:
        return Ask(w.one(("Use {}.", "Call {}.", "Run {}.", "Please call {}.", "What does {} say?", "{}()")).format(name), args, "")
    style = w.one(("{k} {v}", "{k} {v}", "{k}={v}", "{k} = {v}", "{k}: {v}", "{v} as {k}"))
    pairs = [style.format(k=n[i].name, v=str(vals[i]).lower() if isinstance(vals[i], bool) else shown(vals[i])) for i in params]
    tail = (", ".join(pairs[:-1]) + " and " if len(pairs) > 1 else "") + pairs[-1]
    return Ask(w.one(("Use {} with {}.", "Call {} with {}.", "Run {} with {}.", "Please use {} with {}.", "Call the tool {} with {}.", "Use the {} tool with {}.", "I want you to call {} with {}.")).format(name, tail), args, "")


def seed_ask(w: Words, use: Use, dressed: bool) -> Ask:
    assert isinstance(use.kind, SeedKind)
    text, vals = use.kind.ask(w)
    args = {use.tool.args[i].name: typed(vals[i], use.types[i]) for i in sorted(vals)}
    return Ask(dress(w, "q", text) if dressed and w.chance(.6) else text, args, "")


def make_ask(w: Words, use: Use, dressed: bool = True, forms: tuple[str, ...] = ()) -> Ask:
    if not forms and w.chance(.05):
        return explicit(w, use)
    if isinstance(use.kind, SeedKind):
        return seed_ask(w, use, dressed)
    options = [t for t in use.kind.templates(w.split) if not forms or t[0] in forms]
    if not options:
        options = [(f, t) for f in forms for t in getattr(use.kind, f)]
    for _ in range(12):
        form = w.one(sorted({f for f, _ in options}, reverse=True)) if options and w.chance(.5) else ""
        form, template = w.one([o for o in options if not form or o[0] == form])
        pair = two_sentences(w, use.kind.params[0].maker, template) if dressed and form == "np" and use.kind.params and w.chance(.15) else None
        ask = fill_ask(w, use, form, template)
        if ask is not None:
            if pair:  # the value in a sentence of its own, then the request
                name = use.tool.args[0].name
                ask.text = pair[0].replace("{0}", shown(ask.args[name])) + " " + dress(w, form, pair[1], around=False)
            elif dressed:
                ask.text = dress(w, form, ask.text)
            ask.text = ask.text.strip()
            return ask
    return explicit(w, use)


def answer(subject: str, res: str) -> str:
    """One uniform sentence that holds the result word for word."""
    if res.startswith("Error:"):
        return "Sorry, that did not work. " + res
    if res.endswith((".", "!")) and " " in res:
        return res
    head = subject[0].upper() + subject[1:] if subject else "The result"
    return f"{head} is:\n{res}" if "\n" in res else f"{head} is {res}" + ("" if res.endswith((".", "!", "?")) else ".")


def conflicts(a: Kind, b: Kind) -> bool:
    return alike(a, b) or bool(set(a.np + a.vp + a.q) & set(b.np + b.vp + b.q)) or bool(set(a.descs) & set(b.descs))


def beside_seed(w: Words, kind: SeedKind) -> Kind:
    """Mostly one of its group, whose requests are told apart by meaning only; else one that has nothing to do with it."""
    if w.chance(.7):
        return w.one(GROUP_OF[id(kind)])
    while True:
        other: Kind = w.one(w.one(groups_of("train"))) if w.chance(.6) else w.one(SEEN) if w.chance(.7) else made_kind(w)
        if not related(kind, other):
            return other


def other_kind(w: Words, kind: Kind) -> Kind:
    """A tool to stand beside the right one."""
    k = w.r.random()
    if isinstance(kind, SeedKind):
        return beside_seed(w, kind)
    if kind.about[0] and k < (.92 if kind.about[0] == "word" else .75):
        return sibling(w, kind)
    if k < .3 and len(BY_VALUES.get(takes(kind), ())) > 2:
        return w.one(BY_VALUES[takes(kind)])
    if k < .58 and len(BY_DOMAIN.get(kind.domain, ())) > 3:
        return w.one(BY_DOMAIN[kind.domain])
    return w.one(SEEN) if k < .82 else made_kind(w)


def make_tools(w: Words, kind: Kind, n: int) -> list[Use]:
    uses = [make_use(w, kind)]
    for _ in range(20):
        if len(uses) >= n:
            break
        other = other_kind(w, kind)
        use = make_use(w, other)
        if not any(conflicts(u.kind, other) or u.tool.name == use.tool.name for u in uses):
            uses.append(use)
    w.r.shuffle(uses)
    return uses


def choose_kind(w: Words) -> Kind:
    if w.chance(.5):
        return w.one(w.one(groups_of(w.split)))
    return made_kind(w) if w.chance(.4) else w.one(SEEN)


def head(w: Words, uses: list[Use], text: str) -> str:
    return first_turn(w.system(), declare([u.tool for u in uses]), text)


def meta(uses: list[Use], calls: list[tuple[str, dict[str, Any]]], results: list[str], final: str) -> dict[str, Any]:
    return {"tools": [u.tool.line() for u in uses], "calls": [[n, a] for n, a in calls], "results": results, "answer": final}


def turn(w: Words, use: Use, ask: Ask) -> tuple[str, str, str]:
    """(call, result, answer)"""
    res = result_of(w, use.kind)
    return call(use.tool.name, ask.args), res, answer(ask.subject, res)


def result_of(w: Words, kind: Kind) -> str:
    if isinstance(kind, SeedKind) and kind.results and w.chance(.7):
        return w.one(kind.results).fill(w, {})
    return result(w, kind.result)


def one_call(w: Words, kind: Kind | None = None, n: int | None = None, forms: tuple[str, ...] = ()) -> dict[str, Any]:
    kind = kind or choose_kind(w)
    uses = make_tools(w, kind, n or w.one((1, 2, 2, 2, 2, 3, 3, 3, 4, 5)))
    use = next(u for u in uses if u.kind is kind)
    ask = make_ask(w, use, forms=forms)
    made, res, final = turn(w, use, ask)
    turns = [["user", head(w, uses, ask.text)], ["model", made], ["user", result_turn([res])], ["model", final]]
    info = meta(uses, [(use.tool.name, ask.args)], [res], final)
    if w.split == "train":
        for _ in range(w.one((0, 0, 0, 1, 1, 2, 3, 4))):  # further requests in the same chat: cheap, the declarations are there
            more = w.one(uses)
            ask = make_ask(w, more)
            made, res, final = turn(w, more, ask)
            turns += [["user", ask.text], ["model", made], ["user", result_turn([res])], ["model", final]]
    return sample("tool", turns, **info)


def two_parts(w: Words) -> tuple[list[Use], list[tuple[Use, Ask]]]:
    """Tools and two requests for them, as bare phrases of the same form."""
    while True:
        kind = choose_kind(w)
        uses = make_tools(w, kind, w.one((1, 2, 2, 3, 3)))
        pair = [w.one(uses), w.one(uses)] if w.chance(.6) else [w.one(uses)] * 2
        forms = {f for f in ("np", "vp") if all(getattr(u.kind, f) for u in pair)}
        if not forms:
            continue
        form = w.one(sorted(forms))
        asks = [make_ask(w, u, dressed=False, forms=(form,)) for u in pair]
        if asks[0].text != asks[1].text and (pair[0] is not pair[1] or asks[0].args != asks[1].args):
            return uses, list(zip(pair, asks, strict=True))


def form_of(w: Words, asks: list[Ask], joint: str) -> str:
    body = asks[0].text + joint + asks[1].text
    is_np = asks[0].text.lower() == asks[0].subject.lower() or asks[0].text.startswith(("the ", "a "))
    text = w.one(FRAMES["np" if is_np else "vp", w.split]).replace("{}", body)
    return text[0].upper() + text[1:]


def parallel(w: Words) -> dict[str, Any]:
    """Two calls in one turn."""
    uses, pairs = two_parts(w)
    asks = [a for _, a in pairs]
    text = form_of(w, asks, w.one((" and ", " and ", " and also ", ", and ")))
    results = [result_of(w, u.kind) for u, _ in pairs]
    final = " ".join(answer(a.subject, r) for a, r in zip(asks, results, strict=True))
    calls = [(u.tool.name, a.args) for u, a in pairs]
    return sample("parallel", [["user", head(w, uses, text)], ["model", "\n".join(call(*c) for c in calls)], ["user", result_turn(results)], ["model", final]],
                  **meta(uses, calls, results, final))


def sequence(w: Words) -> dict[str, Any]:
    """A call, its result, another call, its result, an answer."""
    uses, pairs = two_parts(w)
    asks = [a for _, a in pairs]
    text = w.one(("First {a}, then {b}.", "{A}, then {b}.", "{A} and then {b}.", "{A}. After that {b}.", "Please {a} and after that {b}.")).format(
        a=asks[0].text, b=asks[1].text, A=asks[0].text[0].upper() + asks[0].text[1:])
    results = [result_of(w, u.kind) for u, _ in pairs]
    final = " ".join(answer(a.subject, r) for a, r in zip(asks, results, strict=True))
    calls = [(u.tool.name, a.args) for u, a in pairs]
    turns = [["user", head(w, uses, text)]]
    for c, r in zip(calls, results, strict=True):
        turns += [["model", call(*c)], ["user", result_turn([r])]]
    return sample("sequence", [*turns, ["model", final]], **meta(uses, calls, results, final))


def no_tool(w: Words) -> dict[str, Any]:
    """Small talk while tools are declared: a plain answer."""
    from .smalltalk import small_talk
    uses = make_tools(w, choose_kind(w), w.one((1, 2, 2, 3)))
    while any(u.kind.names[0] in ("joke", "quote_of_the_day", "now", "today", "search", "wikipedia", "search_docs") for u in uses):
        uses = make_tools(w, choose_kind(w), w.one((1, 2, 2, 3)))
    q, a = small_talk(w)
    return sample("no_tool", [["user", head(w, uses, q)], ["model", a]], **meta(uses, [], [], a))


def new_phrasing(w: Words) -> dict[str, Any]:
    """Evaluation: requests in words that training does not have, two or three tools."""
    return one_call(w, w.one(SEEN), w.one((2, 3)))


def new_kind(w: Words) -> dict[str, Any]:
    """Evaluation: a kind of tool that training does not have."""
    return one_call(w, w.one(UNSEEN), 2)


def new_group(w: Words) -> dict[str, Any]:
    """Evaluation: groups of tools that training does not have, the choice among the tools of the group."""
    return one_call(w, w.one(w.one(groups_of("eval"))), w.one((2, 3, 4)))


def drill(w: Words) -> dict[str, Any]:
    """Request after request to the same tools, the results left out: the densest way to practise the choice."""
    uses = make_tools(w, made_kind(w) if w.chance(.45) else choose_kind(w), w.one((2, 3, 3, 4, 4, 5)))
    turns: list[list[str]] = []
    last = None
    for n in range(w.one((4, 5, 6, 7, 8))):
        use = w.one([u for u in uses if u is not last or w.chance(.3)] or uses)
        ask, last = make_ask(w, use), use
        turns += [["user", ask.text if n else head(w, uses, ask.text)], ["model", call(use.tool.name, ask.args)]]
    return sample("drill", turns)


def choice(w: Words) -> dict[str, Any]:
    """Many tools, short of values: choosing is the task."""
    return one_call(w, None, w.one((3, 4, 5)))


SKILLS: dict[str, Callable[[Words], dict[str, Any]]] = {"tool": one_call, "choice": choice, "parallel": parallel, "sequence": sequence, "no_tool": no_tool, "drill": drill}
EVAL_ONLY: dict[str, Callable[[Words], dict[str, Any]]] = {"tool_new_phrasing": new_phrasing, "tool_new_kind": new_kind, "tool_new_group": new_group}
