"""`Tokenizer`: text to token ids and back, the same over SentencePiece models and Hugging Face's tokenizer.json."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from ..errors import InvalidRequestError, ModelLoadError
from .reading.view import fault, read_bytes

MAX_TOKENIZER_BYTES = 128 << 20  # Gemma 3's tokenizer.json has 33 MB
END_PIECES = ("<eos>", "<end_of_turn>")

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_MARKER = re.compile(r"<[^\s<>]+>|\[[^\s\[\]]+\]")
_SILENT = re.compile(r"<(bos|eos|pad|unk|mask|unused\d+|(start|end)_of_\w+|image_soft_token)>|\[multimodal\]")
# SentencePiece does not tell a chat's markers from the HTML tags that Gemma also keeps whole; those stay plain text.
_HTML = re.compile(
    r"</?(table|caption|thead|tbody|tfoot|tr|th|td|h[1-6]|blockquote|strong|em|b|i|u|s|sub|sup|code|pre|ul|ol|li|p|a|"
    r"br|hr|img|div|span|del|ins|small|big|q|dl|dt|dd|kbd|tt|var|samp|cite)/?>"
)


class Codec(Protocol):
    """What differs between tokenizer libraries."""

    vocab_size: int  # one more than the largest id
    specials: Mapping[str, int]  # the markers that steer the model and that no plain text may produce
    control: frozenset[int]  # those of them that the library itself counts as no text

    def piece(self, id: int) -> str:
        """The piece of an id as the vocabulary writes it; "" where there is none."""

    def id_of(self, piece: str) -> int | None:
        """The id of a piece, or None."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text in which no special stands."""


class Tokenizer:
    """Text to token ids and back.

    *Specials* are the pieces that steer the model and that a user's text must not produce. The *silent* ones of them
    (`<bos>`, `<start_of_turn>`, `<end_of_turn>`, `<unused0>` ...) are no part of any text; others (`<tool_call>`) are
    text that the model writes on purpose. `bos_id` is the id that begins a text, or None; `eos_ids` the ids that end
    an answer; `vocab_size` one more than the largest id.
    """

    def __init__(self, codec: Codec, *, bos_id: int | None = None, eos_ids: Iterable[int] = ()) -> None:
        self._codec = codec
        self._specials = dict(codec.specials)
        self._special_ids = frozenset(self._specials.values())
        by_name = (id for name, id in self._specials.items() if _SILENT.fullmatch(name))
        self._silent_ids = codec.control | frozenset(by_name)
        self._bytes: dict[int, bytes] = {}
        self._pattern = _any_of(self._specials)
        self.vocab_size = codec.vocab_size
        begin = codec.id_of("<bos>")
        self.bos_id = bos_id if begin is None else begin
        ends = map(codec.id_of, END_PIECES)
        self.eos_ids = frozenset(eos_ids) | frozenset(id for id in ends if id is not None)

    @property
    def specials(self) -> Mapping[str, int]:
        """The special pieces and their ids."""
        return dict(self._specials)

    def encode(self, text: str, *, add_bos: bool = False, parse_special: bool = True) -> list[int]:
        """The ids of `text`, after `bos_id` with `add_bos`.

        With `parse_special` a special's name in the text becomes its id: for text from a chat template. Without, it is
        spelt out like any other text: for what a user wrote, who must not be able to close a turn.
        """
        text = _without_surrogates(text)
        ids = [self.bos_id] if add_bos and self.bos_id is not None else []
        for part in self._parsed(text) if parse_special else self._spelt_out(text):
            ids += [part] if isinstance(part, int) else self._codec.encode(part)
        return ids

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """The text of `ids`; bytes that are no UTF-8 become U+FFFD. Silent specials are left out, or written by
        name without `skip_special`."""
        kept = (id for id in ids if not (skip_special and id in self._silent_ids))
        return b"".join(map(self.token_bytes, kept)).decode("utf-8", "replace")

    def token_bytes(self, id: int) -> bytes:
        """The UTF-8 bytes that a token stands for, perhaps only a part of a character; a special's are its name. An
        id without a piece (a vocabulary may be padded) stands for nothing."""
        known = self._bytes.get(id)
        if known is None:
            known = self._bytes[id] = self._spell(id)
        return known

    def id_of(self, piece: str) -> int | None:
        """The id of a piece as the vocabulary writes it (a space is "▁"), or None."""
        return self._codec.id_of(piece)

    def is_special(self, id: int) -> bool:
        """Whether the id is a special's."""
        return id in self._special_ids

    def is_silent(self, id: int) -> bool:
        """Whether the id is a special that is no part of a text."""
        return id in self._silent_ids

    def _spell(self, id: int) -> bytes:
        piece = self._codec.piece(id)
        if id in self._special_ids:
            return piece.encode()
        byte = _BYTE_PIECE.fullmatch(piece)
        return bytes([int(byte[1], 16)]) if byte else piece.replace("▁", " ").encode()

    def _parsed(self, text: str) -> Iterator[str | int]:
        """The text cut at the specials: their ids, and what is between them."""
        reached = 0
        for match in self._pattern.finditer(text):
            if match.start() > reached:
                yield text[reached : match.start()]
            yield self._specials[match[0]]
            reached = match.end()
        if reached < len(text):
            yield text[reached:]

    def _spelt_out(self, text: str) -> Iterator[str]:
        """The text cut inside every special's name, after its first character, so that no part holds a whole one:
        tokenizers themselves recognise some names wherever they stand."""
        reached = position = 0
        while match := self._pattern.search(text, position):
            position = match.start() + 1
            yield text[reached:position]
            reached = position
        if reached < len(text):
            yield text[reached:]


def load_tokenizer(
    source: str | Path | bytes, path: Path, *, bos_id: int | None = None, eos_ids: Iterable[int] = ()
) -> Tokenizer:
    """A tokenizer from a tokenizer.json, a SentencePiece model, or a folder that holds one; or from the bytes of a
    SentencePiece model that lie in the file `path`. Raises `ModelLoadError`."""
    if not isinstance(source, bytes):
        path = _tokenizer_file(Path(source).expanduser())
        source = read_bytes(path, MAX_TOKENIZER_BYTES, "tokenizer")
    is_json = source.lstrip()[:1] == b"{"
    codec: Codec = _HuggingFaceCodec(source, path) if is_json else _SentencePieceCodec(source, path)
    return Tokenizer(codec, bos_id=bos_id, eos_ids=eos_ids)


def _tokenizer_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in ("tokenizer.json", "tokenizer.model"):
        if (path / name).exists():
            return path / name
    raise fault(path, "this folder has neither a tokenizer.json nor a tokenizer.model")


class _SentencePieceCodec:
    """A SentencePiece model (tokenizer.model, .spm, or inside an .sbs file)."""

    def __init__(self, model: bytes, path: Path) -> None:
        from sentencepiece import SentencePieceProcessor

        self._processor: Any = SentencePieceProcessor()
        try:
            loaded = self._processor.LoadFromSerializedProto(model) if model else False
            self.vocab_size: int = self._processor.vocab_size() if loaded else 0
            self._processor.id_to_piece(list(range(self.vocab_size)))  # a piece that is no UTF-8 is a ValueError
        except (RuntimeError, OSError, ValueError, TypeError, IndexError):
            self.vocab_size = 0
        if not self.vocab_size:
            raise _corrupt(path, "a SentencePiece model")
        # Asking each of 262,144 pieces what it is would take as long as all the rest of opening a model.
        control = {id for text in _texts_of_kinds(model, (2, 3)) if (id := self.id_of(text)) is not None}
        self.control = frozenset({*filter(self._is_control, control), self._processor.unk_id()})
        defined = (self.id_of(text) for text in _user_defined_markers(model))
        ids = self.control.union(id for id in defined if id is not None)
        self.specials: Mapping[str, int] = {self.piece(id): id for id in sorted(ids)}

    def _is_control(self, id: int) -> bool:
        return bool(self._processor.is_control(id))

    def piece(self, id: int) -> str:
        return str(self._processor.id_to_piece(id)) if 0 <= id < self.vocab_size else ""

    def id_of(self, piece: str) -> int | None:
        id: int = self._processor.piece_to_id(piece)
        return id if self.piece(id) == piece else None  # what is unknown gets the unknown piece's id

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._processor.encode(text)
        return ids


class _HuggingFaceCodec:
    """A tokenizer.json."""

    def __init__(self, source: bytes, path: Path) -> None:
        import tokenizers

        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_buffer(source)
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            added = self._tokenizer.get_added_tokens_decoder()
            vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        except BaseException as error:  # a panic of the Rust library is no Exception
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            raise _corrupt(path, f"a tokenizer.json ({str(error)[:120]})") from None
        if type(self._tokenizer.decoder).__name__ == "ByteLevel":
            raise fault(path, "this tokenizer.json writes bytes as GPT-2 does, which is not supported")
        self._ids: Mapping[str, int] = vocabulary
        self._pieces = {id: piece for piece, id in vocabulary.items()}
        self.vocab_size = max(self._pieces, default=-1) + 1
        self.specials: Mapping[str, int] = {
            token.content: id for id, token in added.items() if is_added_special(token.content, token.special)
        }
        self.control = frozenset(id for id, token in added.items() if token.special)

    def piece(self, id: int) -> str:
        return self._pieces.get(id, "")

    def id_of(self, piece: str) -> int | None:
        return self._ids.get(piece)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


# A piece of the serialised model: its text, its score, and 4 (user-defined) as its kind. The library does not tell the
# last from a learned piece of the same look.
_DEFINED = re.compile(rb"\n(.)(<[^\s<>]+>|\[[^\s\[\]]+\])(?:\x15.{4})?\x18\x04", re.DOTALL)


def _texts_of_kinds(model: bytes, kinds: Iterable[int]) -> Iterator[str]:
    """The texts of what looks like pieces of these kinds in the serialised model: their length and text, a score where
    there is one, the kind. Some that are found may be none."""
    for kind in kinds:
        for match in re.finditer(re.escape(bytes((0x18, kind))), model):
            for end in (match.start(), match.start() - 5):
                for length in range(1, min(128, end - 1)):
                    begin = end - length
                    if model[begin - 1] == length and model[begin - 2] == 0x0A:
                        yield model[begin:end].decode("utf-8", "replace")


def _user_defined_markers(model: bytes) -> frozenset[str]:
    texts = (match[2] for match in _DEFINED.finditer(model) if match[1][0] == len(match[2]))
    return frozenset(text for raw in texts if not _HTML.fullmatch(text := raw.decode("utf-8", "replace")))


def is_added_special(content: str, special: bool) -> bool:
    return bool(content) and (special or (bool(_MARKER.fullmatch(content)) and not _HTML.fullmatch(content)))


def _corrupt(path: Path, what: str) -> ModelLoadError:
    return fault(path, f"the tokenizer cannot be read as {what}; pass tokenizer= with a good one to do without it")


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Matches any of the texts, the longest first; nothing where there are none."""
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _without_surrogates(text: str) -> str:
    """The text with lone surrogates (which no encoding holds) as U+FFFD."""
    if not isinstance(text, str):
        raise InvalidRequestError(f"a tokenizer encodes a str, not {type(text).__name__}")
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
