"""What the models of the Messages API take and refuse, by family. Data, as Anthropic's documents had it on 2026-11-22;
what is missing or has changed since is learnt from the server's refusals (`learnt`). No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

ThinkingMode = Literal["none", "budget", "both", "adaptive"]
"""How a model is told to think: not at all, by a budget of tokens, by the effort alone, or by either."""
ThinkingOff = Literal["omit", "disabled", "between_tools", "never"]
"""How it is told not to: by saying nothing, by one of two words, or not at all."""


@dataclass(frozen=True, slots=True)
class Claude:
    """A family of models.

    `effort`: takes `output_config.effort`. `asks_for_summary`: shows its thinking only where `display` asks for it.
    `refused` are parameters of ours that it does not take unless they are neutral; `one_of_two`: temperature or top_p,
    not both. `forced_tools`: may be made to call a tool; `forced_while_thinking`: even where it was told to think.
    `schemas`: holds its answer to a JSON schema. `late_system`: takes system messages in the middle of a chat.
    """

    thinking: ThinkingMode = "adaptive"
    off: ThinkingOff = "omit"
    effort: bool = True
    asks_for_summary: bool = True
    refused: frozenset[str] = frozenset()
    one_of_two: bool = False
    forced_tools: bool = True
    forced_while_thinking: bool = True
    schemas: bool = True
    late_system: bool = False
    max_output: int = 128_000

    @property
    def thinks_unasked(self) -> bool:
        """Whether it thinks where nothing is said of it."""
        return self.off != "omit"

    @property
    def takes_newest(self) -> bool:
        """Whether cloud platforms take requests of the API's newest version for it."""
        return self.refused >= _SAMPLING


_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
_BUDGET = Claude(
    "budget", effort=False, asks_for_summary=False, forced_while_thinking=False, schemas=False, max_output=64_000
)
_ADAPTIVE = Claude(refused=_SAMPLING)
_ALWAYS = replace(_ADAPTIVE, off="never")

# The first pattern found in the name counts: newer families stand before those whose names they begin with.
_FAMILIES: tuple[tuple[re.Pattern[str], Claude], ...] = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"claude-opus-5-5", replace(_ALWAYS, forced_tools=False, late_system=True)),
        (r"claude-sonnet-5-5", replace(_ADAPTIVE, off="between_tools", forced_tools=False, late_system=True)),
        (r"claude-haiku-5-5", replace(_ADAPTIVE, off="disabled", late_system=True)),
        (r"claude-(fable|mythos)-5-\d", replace(_ALWAYS, forced_tools=False)),
        (r"claude-(fable|mythos)", _ALWAYS),
        (r"claude-(opus|sonnet)-5", replace(_ADAPTIVE, off="disabled")),
        (r"claude-opus-4-[78]", _ADAPTIVE),
        (r"claude-opus-4-6", Claude("both", asks_for_summary=False, forced_while_thinking=False)),
        (r"claude-sonnet-4-6", Claude("both", asks_for_summary=False, forced_while_thinking=False, max_output=64_000)),
        (r"claude-opus-4-5", replace(_BUDGET, effort=True, one_of_two=True, schemas=True)),
        (r"claude-(sonnet|haiku)-4-5", replace(_BUDGET, one_of_two=True, schemas=True)),
        (r"claude-opus-4-1(?!\d)", replace(_BUDGET, one_of_two=True, max_output=32_000)),
        (r"claude-(opus-4|4-opus)", replace(_BUDGET, max_output=32_000)),
        (r"claude-(sonnet-4|4-sonnet|3-7)", _BUDGET),
        (r"claude-3-5", replace(_BUDGET, thinking="none", max_output=8192)),
        (r"claude-(3|2|instant|1)", replace(_BUDGET, thinking="none", max_output=4096)),
        (r"claude", _ADAPTIVE),  # newer than this table: as the newest ones
    )
)
OTHER = replace(_BUDGET, forced_while_thinking=True)
"""Any other model behind the same protocol: what most servers that speak it understand."""


def family_of(model: str) -> Claude:
    """What is known of a model; its name may be one of a cloud platform's (`us.anthropic.claude-…-v1:0`)."""
    name = model.lower().replace(".", "-")
    return next((family for pattern, family in _FAMILIES if pattern.search(name)), OTHER)


# ------------------------------------------------------------------------------------------------------------- learning
_NOT_TAKEN = re.compile(
    r"not (supported|allowed|permitted|available)|unsupported|deprecated|does not support|cannot|may not|extra inputs|"
    r"unexpected|only|must be|should match|unknown",
    re.IGNORECASE,
)
_MAX_OUTPUT = re.compile(r"max_tokens: \d+ > (\d+)")


def learnt(family: Claude, refusal: str) -> Claude:
    """The family as a refusal shows it to be; the same one where it tells nothing new."""
    if match := _MAX_OUTPUT.search(refusal):
        return replace(family, max_output=min(family.max_output, int(match.group(1))))
    if not _NOT_TAKEN.search(refusal):
        return family
    if "temperature" in refusal and "top_p" in refusal:
        return replace(family, one_of_two=True)
    if "tool_choice" in refusal or "forces tool use" in refusal:
        if "hinking" in refusal and family.forced_while_thinking:
            return replace(family, forced_while_thinking=False)
        return replace(family, forced_tools=False)
    if "thinking" in refusal:
        return _other_thinking(family, refusal)
    if "effort" in refusal:
        return replace(family, effort=False)
    if "output_config" in refusal or "output_format" in refusal or "structured output" in refusal:
        return replace(family, schemas=False, effort=family.effort and "output_config" not in refusal)
    named = {name for name in _SAMPLING if re.search(rf"(?<!\w){name}(?!\w)", refusal)}
    return replace(family, refused=family.refused | named)


def _other_thinking(family: Claude, refusal: str) -> Claude:
    named = re.search(r"temperature|top_p|top_k", refusal)
    if named:  # sampling while it thinks
        return replace(family, refused=family.refused | {named.group()})
    if "thinking.type.disabled" in refusal or "between_tools" in refusal:
        return replace(family, off="between_tools" if "between_tools" in refusal else "never")
    if "thinking.type.enabled" in refusal:
        return replace(family, thinking="adaptive")
    if "display" in refusal:
        return replace(family, asks_for_summary=False)
    if "adaptive" in refusal:
        return replace(family, thinking="budget", effort=False)
    return replace(family, thinking="none")
