"""llguidance's matchers, over a model's vocabulary and over single bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any


def matcher(tokenizer: Any, source: str) -> Any:
    """A matcher for a Lark grammar, at its start. Where the grammar makes no sense, its `is_error` says so."""
    from llguidance import LLMatcher

    return LLMatcher(tokenizer, LLMatcher.grammar_from_lark(source), log_level=0)


@lru_cache(maxsize=1)
def byte_tokenizer() -> Any:
    """The vocabulary whose tokens are the bytes, and the end, which is 256."""
    return llguidance_tokenizer([bytes([byte]) for byte in range(256)] + [b"<end>"], [256], [256], list)


def llguidance_tokenizer(
    words: list[bytes], specials: list[int], eos_ids: list[int], encode: Callable[[bytes], list[int]]
) -> Any:
    """llguidance's view of a vocabulary: what its tokens stand for, and which are special or end an answer. Takes
    microseconds for each token."""
    from llguidance import LLTokenizer, TokenizerWrapper

    wrapper = TokenizerWrapper(_Words(words, specials, eos_ids[0], encode))
    return LLTokenizer(wrapper, n_vocab=len(words), eos_token=eos_ids)


class _Words:
    """A vocabulary in the form that llguidance reads."""

    def __init__(
        self, words: list[bytes], specials: list[int], eos_id: int, encode: Callable[[bytes], list[int]]
    ) -> None:
        self.tokens = words
        self.special_token_ids = specials
        self.eos_token_id = eos_id
        self.bos_token_id = None
        self._encode = encode

    def __call__(self, text: bytes) -> list[int]:
        """The ids of a text in which no special token stands. Where only one text may follow, the model gets to choose
        its first token alone, so these have to be the tokens that it was trained on."""
        return self._encode(text)
