"""The tokenizer: a small SentencePiece BPE with byte fallback, and the same thing as tokenizer.json.

No learnt piece crosses a blank: a word is cut the same way after a blank, a quote or a
bracket, so that copying a value is copying the same ids. Frequent words of prose then
get a "blank + word" piece of the lowest rank, which shortens the text.
"""
from __future__ import annotations

import collections
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import sentencepiece as spm

TAGS = ["<start_of_turn>", "<end_of_turn>", "<tool_call>", "</tool_call>", "<tool_result>", "</tool_result>"]
NORMAL = 1  # the type of an ordinary piece
BLANK = "\u2581"
JOINTS = [BLANK, "\n", BLANK * 2, BLANK * 4, BLANK + '"', '":' + BLANK, '",' + BLANK, '":' + BLANK + '"', '",' + BLANK + '"', "," + BLANK, "." + BLANK]


def train(texts: Sequence[str], vocab: int = 2560, spaced: int = 288) -> bytes:
    """The serialised model."""
    words: collections.Counter[str] = collections.Counter()
    after_blank: collections.Counter[str] = collections.Counter()
    for text in texts:
        after_blank.update(re.findall(r"(?<= )[A-Za-z]+(?![A-Za-z])", text))
        for tag in TAGS:
            text = text.replace(tag, " ")
        words.update(x for x in text.split() if max(x) < "\u0250")  # other scripts are spelt in bytes
    rows = [w for w, n in words.items() for _ in range(min(n, 2000))]
    buffer = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(rows), model_writer=buffer, model_type="bpe", vocab_size=vocab - spaced, byte_fallback=True, split_digits=True,
        add_dummy_prefix=False, remove_extra_whitespaces=False, normalization_rule_name="identity", character_coverage=1.0, num_threads=1,
        max_sentencepiece_length=12, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", unk_piece="<unk>",
        user_defined_symbols=TAGS, required_chars="".join(map(chr, range(33, 127))), minloglevel=2)
    return with_spaced(buffer.getvalue(), after_blank, spaced)


def with_spaced(model: bytes, after_blank: collections.Counter[str], spaced: int) -> bytes:
    from sentencepiece import sentencepiece_model_pb2 as pb
    m = pb.ModelProto()  # type: ignore[attr-defined]
    m.ParseFromString(model)
    have = {p.piece for p in m.pieces}
    low = min(p.score for p in m.pieces)
    extra = [j for j in JOINTS if j not in have]
    for word, n in after_blank.most_common():
        # names stay without: a value must look alike wherever it stands
        if word in have and len(word) > 1 and not (word[0].isupper() and n < len(after_blank) // 4):
            extra.append(BLANK + word)
        if len(extra) >= spaced:
            break
    for piece in extra[:spaced]:
        low -= 1.0
        p = m.pieces.add()
        p.piece, p.score, p.type = piece, low, NORMAL
    m.trainer_spec.vocab_size = len(m.pieces)
    out: bytes = m.SerializeToString()
    return out


class Codec:
    """Chats as ids."""

    def __init__(self, file: Path) -> None:
        self.sp = spm.SentencePieceProcessor(model_file=str(file))
        self.start, self.end, self.newline = (self.sp.piece_to_id(p) for p in ("<start_of_turn>", "<end_of_turn>", "\n"))
        self.roles = {r: [self.start, *self.sp.encode(r), self.newline] for r in ("user", "model")}
        self.size = self.sp.vocab_size()
        self.quotes = {i for i in range(self.size) if self.sp.id_to_piece(i).startswith('"')}
        pieces = [self.sp.id_to_piece(i) for i in range(self.size)]
        self.opening = {i for i, p in enumerate(pieces) if p in ('":' + BLANK, '":' + BLANK + '"')}
        self.call = self.sp.encode('<tool_call>{"name": "')

    def weights(self, body: list[int]) -> list[float]:
        """How much each token of a model turn counts. Which tool, where an answer or a value starts, and where a value
        ends is decided by one or two tokens among many easy ones, so these count several times."""
        out = [1.0] * len(body)
        for i, t in enumerate(body[:-1]):
            if t in self.opening:
                out[i + 1] = 2.5
            elif t in self.quotes:
                out[i] = max(out[i], 1.5)
        if body[0] != self.call[0]:
            out[0] = 3.0 if len(body) < 24 else 2.0
        for i, t in enumerate(body):
            if t == self.call[0]:
                k = i + len(self.call)
                while k < len(body) and body[k] not in self.quotes:
                    out[k] = 4.0
                    k += 1
        return out

    def encode(self, turns: Sequence[Sequence[str]], last_only: bool = False) -> tuple[list[int], list[float]]:
        """(ids, the weight of each in the loss) of a chat; only the model's turns count, or only the last turn."""
        ids: list[int] = [2]
        learn: list[float] = [0.0]
        for n, (role, text) in enumerate(turns, 1):
            body = [*self.sp.encode(text.strip()), self.end]
            mine = role == "model" and (not last_only or n == len(turns))
            ids += self.roles[role] + body + [self.newline]
            learn += [0.0] * len(self.roles[role]) + (self.weights(body) if mine else [0.0] * len(body)) + [0.0]
        return ids, learn

    def prompt(self, turns: Sequence[Sequence[str]]) -> list[int]:
        return self.encode(turns)[0] + self.roles["model"]

    def decode(self, ids: list[int]) -> str:
        text: str = self.sp.decode(ids)
        return text


def fast_json(model: bytes) -> dict[str, object]:
    """tokenizer.json for the `tokenizers` library, equal to the SentencePiece model."""
    from sentencepiece import sentencepiece_model_pb2 as pb
    m = pb.ModelProto()  # type: ignore[attr-defined]
    m.ParseFromString(model)
    pieces = [(p.piece, p.score, p.type) for p in m.pieces]
    vocab = {piece: i for i, (piece, _, _) in enumerate(pieces)}
    normal = {piece: score for piece, score, kind in pieces if kind == NORMAL}
    merges = []
    for piece, score in normal.items():
        for cut in range(1, len(piece)):
            if piece[:cut] in normal and piece[cut:] in normal:
                merges.append((-score, vocab[piece[:cut]], vocab[piece[cut:]], piece[:cut], piece[cut:]))
    merges.sort()
    added = [{"id": vocab[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": t in ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")} for t in ["<pad>", "<eos>", "<bos>", "<unk>", *TAGS]]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}, "pre_tokenizer": None,
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<bos>", "type_id": 1}},
                                    {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<bos>": {"id": "<bos>", "ids": [2], "tokens": ["<bos>"]}}},
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": BLANK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
                  "byte_fallback": True, "ignore_merges": False, "vocab": vocab, "merges": [[a, b] for _, _, _, a, b in merges]},
    }


def write_fast(folder: Path, template: str) -> None:
    """tokenizer.json and tokenizer_config.json beside tokenizer.model."""
    (folder / "tokenizer.json").write_text(json.dumps(fast_json((folder / "tokenizer.model").read_bytes()), ensure_ascii=False, indent=1), encoding="utf-8")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>", "add_bos_token": True,
              "add_eos_token": False, "clean_up_tokenization_spaces": False, "model_max_length": 2048, "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
