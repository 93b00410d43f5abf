"""The tokenizer of a Hugging Face folder, of whatever family, under the interface of our own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from ..native.tokenizer import Codec, Tokenizer, is_added_special

_ANCHOR = "a"


class HubTokenizer(Tokenizer):
    """Text to token ids and back. The specials are those that the folder declares, and those that look like markers
    (`<tool_call>`); only the declared ones are no part of a text."""

    def __init__(self, tokenizer: Any, *, eos_ids: Iterable[int] = ()) -> None:
        self._hub = _HubCodec(tokenizer)
        super().__init__(self._hub, bos_id=_bos_id(tokenizer), eos_ids=eos_ids)
        self._silent_ids = self._hub.control

    def _spell(self, id: int) -> bytes:
        return self._hub.spell(id)


class _HubCodec(Codec):
    """What Transformers' tokenizers of all kinds have in common."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: Mapping[str, int] = tokenizer.get_vocab()
        self._pieces: dict[int, str] = {id: piece for piece, id in self._ids.items()}
        self.vocab_size = max(self._pieces, default=-1) + 1
        added = tokenizer.added_tokens_decoder
        self._added: dict[int, str] = {id: token.content for id, token in added.items()}
        self.specials: Mapping[str, int] = {
            token.content: id for id, token in added.items() if is_added_special(token.content, token.special)
        }
        self.control = frozenset(id for id, token in added.items() if token.special)
        self._kind = _decoder_kind(tokenizer)

    def piece(self, id: int) -> str:
        """The piece of an id as the vocabulary writes it; "" where there is none."""
        return self._pieces.get(id, "")

    def id_of(self, piece: str) -> int | None:
        """The id of a piece, or None."""
        return self._ids.get(piece)

    def encode(self, text: str) -> list[int]:
        """The ids of a text in which no special stands."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def spell(self, id: int) -> bytes:
        """The bytes of a token."""
        if id in self._added:
            return self._added[id].encode()
        piece = self._pieces.get(id)
        if piece is None:
            return b""
        if self._kind == "bytes":
            return b"".join(map(_byte_of, piece))
        if self._kind == "sentencepiece":
            if len(piece) == 6 and piece.startswith("<0x"):
                return bytes([int(piece[3:5], 16)])
            return piece.replace("▁", " ").encode()
        return self._decoded(id).encode()

    def _decoded(self, id: int) -> str:
        """What the token adds to a text: for vocabularies that only their own decoder understands."""
        anchor = self.encode(_ANCHOR)
        before = self._tokenizer.decode(anchor, clean_up_tokenization_spaces=False)
        after = self._tokenizer.decode([*anchor, id], clean_up_tokenization_spaces=False)
        return str(after[len(before) :])


def _decoder_kind(tokenizer: Any) -> str:
    """How pieces stand for bytes: "bytes" as in GPT-2, "sentencepiece" with "▁" for blanks, else "other"."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return "other"
    types = set(_types(json.loads(backend.to_str()).get("decoder")))
    if "ByteLevel" in types:
        return "bytes"
    return "sentencepiece" if types & {"Metaspace", "ByteFallback", "Replace"} else "other"


def _types(decoder: Any) -> Iterator[str]:
    if isinstance(decoder, dict):
        yield str(decoder.get("type"))
        for inner in decoder.get("decoders", ()):
            yield from _types(inner)


def _byte_of(char: str) -> bytes:
    byte = _byte_letters().get(char)
    return char.encode() if byte is None else bytes([byte])


@lru_cache(maxsize=1)
def _byte_letters() -> dict[str, int]:
    """The letters that GPT-2's vocabularies write bytes with: printable bytes are themselves, the others letters from
    U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(0x100 + number): byte for number, byte in enumerate(others)}


def _bos_id(tokenizer: Any) -> int | None:
    """The token that begins a text, if this tokenizer puts one there."""
    ids: list[int] = tokenizer.encode("a")
    bos: int | None = tokenizer.bos_token_id
    return bos if bos is not None and ids[:1] == [bos] else None
