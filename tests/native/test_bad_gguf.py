"""Broken and malicious GGUF files: one for each invariant, then many at random. All of them are a ModelLoadError."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native.gguf_files import array, container, entry, info, text, write_model

from llm_framework.errors import ModelLoadError
from llm_framework.native import open_model
from llm_framework.native.formats.gguf import read_gguf
from llm_framework.native.header import inspect_model

pytest.importorskip("gguf")

HUGE = 2**63
U8, STRING = 0, 8
ONE = [info("a", (4,), 0, 0)]
BROKEN: list[tuple[str, bytes, str]] = [
    ("nothing but the magic", b"GGUF", "ends within"),
    ("half a version", b"GGUF\3\0", "ends within"),
    ("no counts", b"GGUF\3\0\0\0", "ends within"),
    ("another magic", container(magic=b"GGML"), "does not begin with GGUF"),
    ("version 1", container(version=1), "GGUF version 1"),
    ("a later version", container(version=4), "GGUF version 4"),
    ("big-endian", container(version=3 << 24), "big-endian"),
    ("entries past the end", container(num_entries=3), "ends within|metadata entries"),
    ("a huge number of entries", container(num_entries=HUGE), "metadata entries"),
    ("a huge number of tensors", container(num_tensors=HUGE), "tensors"),
    ("a key of no length", container([entry("", U8, b"\0")]), "a key of 0 bytes"),
    ("a huge key", container([struct.pack("<Q", HUGE) + b"a"], data=bytes(99)), "a key of"),
    ("a key that is not UTF-8", container([entry(b"\xff", U8, b"\0")]), "not UTF-8"),
    ("a key with a line break", container([entry("a\nb", U8, b"\0")]), "not printable"),
    ("a key twice", container([entry("a", U8, b"\0")] * 2), "'a' twice"),
    ("an unknown type", container([entry("a", 13, bytes(16))]), "unknown type 13"),
    ("a string past the end", container([entry("a", STRING, struct.pack("<Q", 1000))]), "ends within"),
    ("a huge string", container([entry("a", STRING, struct.pack("<Q", 2**64 - 1))]), "ends within"),
    ("an array of arrays", container([array("a", 9, 1, bytes(16))]), "unsupported type 9"),
    ("numbers past the end", container([array("a", 4, 1000, b"")]), "ends within"),
    ("a huge number of numbers", container([array("a", 4, 2**62, b"")]), "ends within"),
    ("strings past the end", container([array("a", STRING, 2, text("b"))]), "strings|cut short"),
    ("a huge number of strings", container([array("a", STRING, HUGE, text("b"))]), "strings"),
    ("a huge string in an array", container([array("a", STRING, 2, b"\xff" * 8 + bytes(99))]), "behind"),
    ("a long string in an array", container([array("a", STRING, 1, struct.pack("<Q", 999))], data=bytes(64)), "behind"),
    ("an alignment of 0", container([entry("general.alignment", 4, bytes(4))]), "alignment is 0"),
    ("an odd alignment", container([entry("general.alignment", 4, b"\x18\0\0\0")]), "alignment is 24"),
    ("a huge alignment", container([entry("general.alignment", 4, b"\0\0\0\x80")]), "alignment is 2147483648"),
    ("an alignment of text", container([entry("general.alignment", STRING, text("32"))]), "alignment is not"),
    ("a tensor without a name", container([], [info("", (4,), 0, 0)], bytes(32)), "tensor name of 0 bytes"),
    ("a tensor's name of 300 bytes", container([], [info("a" * 300, (4,), 0, 0)], bytes(32)), "tensor name of 300"),
    ("five dimensions", container([], [info("a", (1,) * 5, 0, 0)], bytes(32)), "5 dimensions"),
    ("a huge number of dimensions", container([], [info("a", (1,), 0, 0, rank=2**32 - 1)], bytes(32)), "dimensions"),
    ("no values", container([], [info("a", (0,), 0, 0)], bytes(32)), "empty or unbelievably"),
    ("a product that overflows", container([], [info("a", (2**32, 2**32), 0, 0)], bytes(32)), "unbelievably"),
    ("a product that overflows to 1", container([], [info("a", (2**64 - 1,) * 2, 0, 0)], bytes(32)), "unbelievably"),
    ("a zero beside a huge size", container([], [info("a", (0, 2**62), 0, 0)], bytes(32)), "unbelievably"),
    ("an unknown tensor type", container([], [info("a", (4,), 99, 0)], bytes(32)), "type 99, which is unknown"),
    ("a removed tensor type", container([], [info("a", (4,), 4, 0)], bytes(32)), "type 4, which is unknown"),
    ("a broken block", container([], [info("a", (33,), 8, 0)], bytes(64)), "no multiple of 32"),
    ("a broken large block", container([], [info("a", (32, 8), 12, 0)], bytes(256)), "no multiple of 256"),
    ("a misaligned tensor", container([], [info("a", (4,), 0, 8)], bytes(32)), "misaligned"),
    ("a tensor past the end", container([], [info("a", (4,), 0, 32)], bytes(32)), "cut short"),
    ("a tensor far past the end", container([], [info("a", (4,), 0, 2**64 - 32)], bytes(32)), "cut short"),
    ("a tensor that is cut short", container([], [info("a", (9,), 0, 0)], bytes(32)), "cut short"),
    ("no data at all", container([], ONE), "cut short"),
    ("an overlap", container([], [info("a", (16,), 0, 0), info("b", (4,), 0, 32)], bytes(64)), "overlaps"),
    ("a tensor twice", container([], [info("a", (4,), 0, 0), info("a", (4,), 0, 32)], bytes(64)), "twice"),
    ("more tensors than records", container([], ONE, bytes(64), num_tensors=2), "header|tensor"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "word"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_malicious_gguf(tmp_path: Path, raw: bytes, word: str) -> None:
    """Each broken invariant of a header is named, in a sentence that names the file."""
    path = tmp_path / "m.gguf"
    path.write_bytes(raw)
    with pytest.raises(ModelLoadError, match=word) as error:
        read_gguf(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    if raw[:4] == b"GGUF":
        for use in (inspect_model, open_model):
            with pytest.raises(ModelLoadError):
                use(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("block_count", 0), ("block_count", 2**32 - 1), ("block_count", 4), ("embedding_length", 0),
        ("embedding_length", 64), ("attention.head_count", 0), ("attention.head_count", 3),
        ("attention.head_count_kv", 0), ("attention.head_count_kv", 3), ("attention.key_length", 15),
        ("attention.key_length", 0), ("feed_forward_length", 2**31), ("context_length", 0),
    ],
)  # fmt: skip
def test_sizes_that_make_no_sense(tmp_path: Path, hf_config: Any, hf_tensors: Any, key: str, value: int) -> None:
    """Sizes that contradict the tensors, or themselves, are refused before anything is computed."""
    path = tmp_path / "m.gguf"
    write_model(path, hf_config("gemma3_text"), hf_tensors("gemma3_text"))
    raw = path.read_bytes()
    begin = raw.index(f"gemma3.{key}".encode()) + len(f"gemma3.{key}") + 4
    path.write_bytes(raw[:begin] + value.to_bytes(4, "little") + raw[begin + 4 :])
    for use in (inspect_model, open_model):
        with pytest.raises(ModelLoadError):
            use(path)


def test_cut_anywhere(tmp_path: Path, hf_config: Any, hf_tensors: Any) -> None:
    """A file cut at any byte of its header, or in its data, is refused."""
    path = tmp_path / "m.gguf"
    write_model(path, hf_config("gemma"), hf_tensors("gemma"))
    raw = path.read_bytes()
    sizes = [*range(0, 2000, 7), *range(2000, len(raw) - 1, 4001), len(raw) - 64]
    for size in sizes:
        path.write_bytes(raw[:size])
        with pytest.raises(ModelLoadError):
            inspect_model(path)


def test_random_damage(tmp_path: Path, hf_config: Any, hf_tensors: Any) -> None:
    """300 damaged headers either load or are refused."""
    path = tmp_path / "m.gguf"
    write_model(path, hf_config("gemma3_text"), hf_tensors("gemma3_text"))
    raw, chance = path.read_bytes(), random.Random(5)
    header = raw.index(np.float32(hf_tensors("gemma3_text")["model.embed_tokens.weight"][0, :2]).tobytes())
    refused = 0
    for _ in range(300):
        broken = bytearray(raw)
        for _ in range(chance.randint(1, 3)):
            broken[chance.randrange(header)] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        try:
            with open_model(path, num_threads=1) as model:
                model.logits([1, 2, 3])
        except ModelLoadError:
            refused += 1
    assert refused > 100


def test_a_large_vocabulary_is_not_built(tmp_path: Path) -> None:
    """Reading the header of a file with 262,144 tokens and as many merges takes no memory for them."""
    words = b"".join(text(f"word{number}") for number in range(262_144))
    entries = [
        array("tokenizer.ggml.tokens", STRING, 262_144, words),
        array("tokenizer.ggml.merges", STRING, 262_144, words),
    ]
    path = tmp_path / "m.gguf"
    path.write_bytes(container(entries, ONE, bytes(32)))
    tracemalloc.start()
    try:
        part = read_gguf(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000
    tokens = part.metadata.array("tokenizer.ggml.tokens")
    assert tokens is not None
    assert next(tokens.strings()) == b"word0"
