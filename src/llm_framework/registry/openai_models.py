"""What is known of OpenAI's models, a row for each family: which endpoint they want, which parameters they refuse.

Data only, as OpenAI's model pages and API reference had it in November 2026. A model that no row fits is taken to have
no peculiarities; what it refuses all the same is learnt from its refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

Api = Literal["chat", "responses"]
Sampling = Literal["always", "not thinking", "thinking off", "never"]
"""When a model takes a temperature, top_p and logprobs: always; while it does not think, which it does only when told
to; when it is told not to think; never."""

SAMPLING = frozenset(("temperature", "top_p", "logprobs"))
NEVER_OF_REASONERS = frozenset(("presence_penalty", "frequency_penalty", "logit_bias"))
NEUTRAL = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}
"""Values that say what a model does anyway."""


@dataclass(frozen=True, slots=True)
class Family:
    """`reasons`: it may think before it answers. `off`: the effort that stops it, None where nothing does. `efforts`
    False: its effort cannot be chosen. `api`: where it is asked when the settings do not say. `context` and `output`
    are in tokens."""

    pattern: str
    reasons: bool = True
    off: str | None = None
    efforts: bool = True
    sampling: Sampling = "never"
    api: Api = "responses"
    context: int | None = None
    output: int | None = None
    images: bool = True

    @property
    def surely_chat(self) -> bool:
        """Whether Chat Completions serves every request that the model takes."""
        return bool(self.pattern) and self.api == "chat" and not self.reasons

    def thinks(self, thinking: str | int | None) -> bool:
        """Whether the model thinks when it is told this."""
        if not self.reasons:
            return False
        return self.sampling != "not thinking" if thinking is None else thinking not in ("off", 0)

    def refused(self, thinking: str | int | None) -> frozenset[str]:
        """The parameters that it refuses when it is told to think that much."""
        if not self.reasons:
            return frozenset(("thinking",)) if self.pattern else frozenset()
        names = NEVER_OF_REASONERS
        if self.sampling != "always" and (self.sampling == "never" or self.thinks(thinking)):
            names |= SAMPLING
        cannot_stop = thinking in ("off", 0) and self.off is None
        return names | {"thinking"} if cannot_stop or not self.efforts else names


_M = 1_050_000
# The first one that fits counts.
FAMILIES = (
    Family(r"gpt-6(\.\d+)?-(astra|sol|cyber|rosalind)", context=_M, output=128_000),
    Family(r"gpt-[6-9]", off="none", sampling="thinking off", context=_M, output=128_000),
    Family(r"gpt-5-pro", efforts=False, context=400_000, output=272_000),
    Family(r"gpt-5\.[45]-pro", context=_M, output=128_000),
    Family(r"gpt-5(\.\d+)?-pro", context=400_000, output=128_000),
    Family(r"(gpt-5(\.\d+)?|gpt)-codex", context=400_000, output=128_000),
    Family(r"gpt-5-chat", reasons=False, sampling="always", api="chat", context=128_000, output=16_384),
    Family(r"gpt-5\.\d+-chat", efforts=False, api="chat", context=128_000, output=16_384),
    Family(r"gpt-5(-mini|-nano)?(-\d|$)", off="minimal", api="chat", context=400_000, output=128_000),
    Family(r"gpt-5\.[123](-|$)", off="none", sampling="not thinking", api="chat", context=400_000, output=128_000),
    Family(r"gpt-5\.4-(mini|nano)", off="none", sampling="not thinking", context=400_000, output=128_000),
    Family(r"gpt-5\.4", off="none", sampling="not thinking", context=_M, output=128_000),
    Family(r"gpt-5\.", off="none", sampling="thinking off", context=_M, output=128_000),
    Family(r"o\d(-mini)?-deep-research", efforts=False, context=200_000, output=100_000),
    Family(r"o\d-pro", context=200_000, output=100_000),
    Family(r"o3-mini", api="chat", context=200_000, output=100_000, images=False),
    Family(r"o\d", api="chat", context=200_000, output=100_000),
    Family(r"codex-mini", context=200_000, output=100_000),
    Family(r"computer-use", efforts=False, context=8_192, output=1_024),
    Family(r"gpt-4\.1", reasons=False, sampling="always", api="chat", context=1_047_576, output=32_768),
    Family(r"(chat)?gpt-4o", reasons=False, sampling="always", api="chat", context=128_000, output=16_384),
    Family(r"gpt-4-(turbo|\d{4}-preview)", reasons=False, sampling="always", api="chat", context=128_000, output=4_096),
    Family(r"gpt-4-32k", reasons=False, sampling="always", api="chat", context=32_768, images=False),
    Family(r"gpt-4(-\d|$)", reasons=False, sampling="always", api="chat", context=8_192, images=False),
    Family(r"gpt-3\.5", reasons=False, sampling="always", api="chat", context=16_385, output=4_096, images=False),
)  # fmt: skip


UNKNOWN = Family("", reasons=False, sampling="always", api="chat", images=False)
"""A model that no row fits, such as a deployment with a name of its own."""

_OTHER_THINGS = re.compile(
    r"whisper|tts|dall-e|image|sora|moderation|realtime|transcribe|audio|babbage|davinci|gpt-live|-instruct",
    re.IGNORECASE,
)


@lru_cache(maxsize=256)
def family_of(model: str) -> Family:
    """The row that fits, also for a fine-tuned model (`ft:gpt-4o:…`) and one with its maker's name before it."""
    name = model.lower().removeprefix("ft:").rpartition("/")[2]
    return next((family for family in FAMILIES if re.match(family.pattern, name)), UNKNOWN)


def is_text(model: str) -> bool:
    """Whether a model of OpenAI's list answers in text or makes vectors, as against speech, pictures, verdicts."""
    return _OTHER_THINGS.search(model) is None


def facts(model: str) -> dict[str, Any]:
    """What is known of a model beforehand, as fields of `ModelInfo`."""
    family = family_of(model)
    if family is UNKNOWN:
        return {}
    names = {"chat", "streaming", "tools"}
    names |= {name for name, has in (("images", family.images), ("thinking", family.reasons)) if has}
    return {"context_length": family.context, "capabilities": frozenset(names)}
