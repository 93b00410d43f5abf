"""The tokenizer in a GGUF file's metadata, as the SentencePiece model that it was made from.

llama.cpp keeps a SentencePiece vocabulary as three arrays: texts, scores and kinds. Put back into a SentencePiece
model, the library itself encodes with it, which is equal to the original on any text.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import blake2b

from ..reading.view import fault
from .gguf_metadata import GgufArray, GgufMetadata

MAX_PIECES = 1 << 20
MAX_PIECE_BYTES = 1 << 12
NORMAL, CONTROL, USER_DEFINED, BYTE = 1, 3, 4, 6
KINDS = range(1, 7)  # the same numbers in both formats
FORM = b"1"  # of what is built here: another one makes kept results void

# Some files (Gemma 3's QAT releases among them) call these ordinary pieces, which no template could then write.
_CONTROL = frozenset(
    b"<pad> <eos> <bos> <mask> <start_of_turn> <end_of_turn> <start_of_image> <end_of_image> <image_soft_token>".split()
)

_BPE = 2  # SentencePiece's model type: pairs are merged by score, which is also what llama.cpp does


class GgufTokenizer:
    """A tokenizer that is built when it is first asked for."""

    def __init__(self, metadata: GgufMetadata) -> None:
        self._metadata = metadata

    def key(self) -> str:
        """A name for the content: the same arrays and settings give the same one."""
        digest = blake2b(digest_size=16)
        for array in self._arrays():
            digest.update(struct.pack("<IQ", array.code, array.count))
            digest.update(array.data)
        digest.update(self._settings() + FORM)
        return digest.hexdigest()

    def sentencepiece_model(self) -> bytes:
        """The serialized SentencePiece model. Raises `ModelLoadError`."""
        model = self._metadata.text("tokenizer.ggml.model")
        if model != "llama":
            what = f"the tokenizer is of the kind {str(model)[:40]!r}, and 'llama' is supported"
            raise fault(self._metadata.path, f"{what}; pass tokenizer= with the original")
        pieces = list(_pieces(*self._arrays()))
        return b"".join(pieces) + self._settings()

    def _arrays(self) -> tuple[GgufArray, GgufArray, GgufArray]:
        """Texts, scores and kinds, of one length and of the right types."""
        path = self._metadata.path
        found = [self._metadata.array(f"tokenizer.ggml.{name}") for name in ("tokens", "scores", "token_type")]
        tokens, scores, kinds = found
        if tokens is None or scores is None or kinds is None:
            raise fault(path, "the tokenizer lacks its tokens, scores or token_type; pass tokenizer= with the original")
        if not 0 < tokens.count == scores.count == kinds.count <= MAX_PIECES:
            raise fault(path, f"the tokenizer has {tokens.count} tokens, {scores.count} scores, {kinds.count} types")
        if tokens.code != 8 or scores.code != 6 or kinds.code not in (4, 5):
            raise fault(path, "the tokenizer's tokens, scores and token_type are not strings, floats and integers")
        return tokens, scores, kinds

    def _settings(self) -> bytes:
        """The trainer's and the normalizer's part of the model. Gemma takes text as it is: spaces become "▁", none is
        added or dropped."""
        metadata = self._metadata
        kinds = metadata.array("tokenizer.ggml.token_type")
        has_bytes = kinds is not None and kinds.data[::4].tobytes().count(BYTE) == 256
        trainer = _varint_field(3, _BPE) + _varint_field(35, int(has_bytes))
        trainer += _varint_field(24, 0)  # no token is added before a text
        add_space = bool(metadata.flag("tokenizer.ggml.add_space_prefix"))
        remove = bool(metadata.flag("tokenizer.ggml.remove_extra_whitespaces"))
        normalizer = _bytes_field(1, b"identity") + _varint_field(3, int(add_space)) + _varint_field(4, int(remove))
        return _bytes_field(2, trainer) + _bytes_field(3, normalizer)


def tokenizer_source(metadata: GgufMetadata) -> GgufTokenizer | None:
    """The file's tokenizer, not yet built, or None where it has none."""
    has_one = "tokenizer.ggml.tokens" in metadata and metadata.text("tokenizer.ggml.model") not in (None, "none")
    return GgufTokenizer(metadata) if has_one else None


def _pieces(tokens: GgufArray, scores: GgufArray, kinds: GgufArray) -> Iterator[bytes]:
    """Each piece as a field of the model: text, score, kind."""
    floats, codes = bytes(scores.data), kinds.numbers()
    for index, text in enumerate(tokens.strings()):
        size, kind = len(text), int(codes[index])
        if not 0 < size <= MAX_PIECE_BYTES or kind not in KINDS:
            raise fault(tokens.path, f"the tokenizer's token {index} has {size} bytes and the type {kind}")
        if kind == USER_DEFINED:  # converters write these with plain spaces
            text = text.replace(b" ", "▁".encode())
            size = len(text)
        elif kind == NORMAL and text in _CONTROL:
            kind = CONTROL
        score = floats[4 * index : 4 * index + 4]
        if size < 0x70:  # lengths below 128 are one byte
            yield b"\n%c\n%c%b\x15%b\x18%c" % (size + 9, size, text, score, kind)
        else:
            yield _bytes_field(1, b"%b\x15%b\x18%c" % (_bytes_field(1, text), score, kind))


# ---------------------------------------------------------------------------------------------------- protocol buffers
def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value
