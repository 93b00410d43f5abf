"""The tokenizer of a GGUF file: the ids of the SentencePiece model it was made from, and built once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native.gguf_files import array, container, entry, text
from servers.gguf_file import write_gguf

from llm_framework.errors import ModelLoadError
from llm_framework.native import open_model
from llm_framework.native.disk_cache import DiskCache
from llm_framework.native.formats.gguf import read_gguf
from llm_framework.native.formats.gguf_tokenizer import GgufTokenizer, tokenizer_source
from llm_framework.native.tokenizer import Tokenizer, load_tokenizer

pytest.importorskip("gguf")

NORMAL, UNKNOWN, CONTROL, DEFINED, UNUSED, BYTE = range(1, 7)
STRING, FLOAT, INT, BOOL = 8, 6, 5, 7
PIECES: list[tuple[str, int]] = [
    ("<pad>", CONTROL), ("<eos>", CONTROL), ("<bos>", CONTROL), ("<unk>", UNKNOWN), ("<start_of_turn>", CONTROL),
    ("<end_of_turn>", CONTROL), *((f"<0x{byte:02X}>", BYTE) for byte in range(256)), ("▁", NORMAL), ("a", NORMAL),
    ("b", NORMAL), ("ab", NORMAL), ("▁ab", NORMAL), ("x" * 200, NORMAL), ("[PAD0]", UNUSED),
]  # fmt: skip


def written(path: Path, pieces: Sequence[tuple[str | bytes, int]], **changes: bytes) -> GgufTokenizer:
    """The tokenizer of a file with these pieces, in the order in which they merge; `changes` replace entries."""
    import numpy as np

    entries = {
        "model": entry("tokenizer.ggml.model", STRING, text("llama")),
        "tokens": array("tokenizer.ggml.tokens", STRING, len(pieces), b"".join(text(piece) for piece, _ in pieces)),
        "scores": array("tokenizer.ggml.scores", FLOAT, len(pieces), (-np.arange(len(pieces), dtype="<f4")).tobytes()),
        "types": array("tokenizer.ggml.token_type", INT, len(pieces), np.int32([kind for _, kind in pieces]).tobytes()),
        **changes,
    }
    path.write_bytes(container([raw for raw in entries.values() if raw]))
    source = tokenizer_source(read_gguf(path).metadata)
    assert source is not None
    return source


def built(path: Path, pieces: Sequence[tuple[str | bytes, int]], **changes: bytes) -> Tokenizer:
    return load_tokenizer(written(path, pieces, **changes).sentencepiece_model(), path)


# ----------------------------------------------------------------------------------------------- equal to the original
@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, bundled_path: Path) -> tuple[Tokenizer, Tokenizer]:
    """The bundled model's tokenizer from its GGUF file, and the original."""
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    write_gguf(bundled_path, path)
    source = tokenizer_source(read_gguf(path).metadata)
    assert source is not None
    return load_tokenizer(source.sentencepiece_model(), path), load_tokenizer(bundled_path / "tokenizer.model", path)


def test_the_whole_vocabulary_is_the_originals(both: tuple[Tokenizer, Tokenizer]) -> None:
    """Ids, bytes, specials, begin and end are the same."""
    ours, theirs = both
    assert ours.vocab_size == theirs.vocab_size
    assert ours.specials == theirs.specials
    assert (ours.bos_id, ours.eos_ids) == (theirs.bos_id, theirs.eos_ids)
    for id in range(ours.vocab_size):
        assert ours.token_bytes(id) == theirs.token_bytes(id)
        assert ours.is_silent(id) == theirs.is_silent(id)


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(["<bos>", "<end_of_turn>", "<tool_call>", " ", "  ", "\n", "ab", "é", "the ", "😀"])
    ).map("".join)
)
def test_any_text_gives_the_originals_ids(both: tuple[Tokenizer, Tokenizer], value: str) -> None:
    """Any text is encoded to the same ids, with the specials' names recognised or not."""
    ours, theirs = both
    for parse_special in (True, False):
        assert ours.encode(value, parse_special=parse_special) == theirs.encode(value, parse_special=parse_special)


# -------------------------------------------------------------------------------------------------- what converters do
def test_pieces_of_every_kind(tmp_path: Path) -> None:
    """Merges follow the scores, unknown characters become bytes, long and unused pieces are taken as they are."""
    tokenizer = built(tmp_path / "m.gguf", PIECES)
    ids = {piece: index for index, (piece, _) in enumerate(PIECES)}
    assert tokenizer.encode("ab ab") == [ids["ab"], ids["▁ab"]]
    assert tokenizer.encode("é") == [ids["<0xC3>"], ids["<0xA9>"]]
    assert tokenizer.decode(tokenizer.encode("  é a")) == "  é a"
    assert tokenizer.id_of("x" * 200) == ids["x" * 200]


def test_user_defined_spaces(tmp_path: Path) -> None:
    """Pieces of several spaces, which converters write as plain spaces, are kept whole as in the original."""
    tokenizer = built(tmp_path / "m.gguf", [*PIECES, ("  ", DEFINED), ("\n\n", DEFINED), ("<table>", DEFINED)])
    first = len(PIECES)
    assert tokenizer.encode("a  b\n\n<table>") == [263, first, 264, first + 1, first + 2]
    assert tokenizer.token_bytes(first) == b"  "


def test_turn_markers_with_the_wrong_kind(tmp_path: Path) -> None:
    """Files that call the markers of turns ordinary pieces are read as what they mean."""
    pieces = [(piece, NORMAL if "turn" in piece else kind) for piece, kind in PIECES]
    tokenizer = built(tmp_path / "m.gguf", pieces)
    assert tokenizer.encode("<start_of_turn>ab<end_of_turn>") == [4, 265, 5]
    assert not {4, 5} & set(tokenizer.encode("<start_of_turn>ab<end_of_turn>", parse_special=False))
    assert tokenizer.eos_ids == {1, 5}


def test_a_space_before_a_text_where_the_file_says_so(tmp_path: Path) -> None:
    """No space is put before a text unless the file asks for it."""
    flag = entry("tokenizer.ggml.add_space_prefix", BOOL, b"\1")
    assert built(tmp_path / "a.gguf", PIECES).encode("ab") == [265]
    assert built(tmp_path / "b.gguf", PIECES, flag=flag).encode("ab") == [266]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"model": entry("tokenizer.ggml.model", STRING, text("gpt2"))}, "'gpt2'.*tokenizer="),
        ({"scores": b""}, "lacks its tokens, scores or token_type"),
        ({"types": b""}, "lacks its tokens, scores or token_type"),
        ({"scores": array("tokenizer.ggml.scores", FLOAT, 1, bytes(4))}, "1 scores"),
        ({"scores": array("tokenizer.ggml.scores", INT, len(PIECES), bytes(4 * len(PIECES)))}, "not strings, floats"),
        ({"types": array("tokenizer.ggml.token_type", INT, len(PIECES), bytes(4 * len(PIECES)))}, "the type 0"),
    ],
)
def test_broken_tokenizers(tmp_path: Path, changes: dict[str, bytes], word: str) -> None:
    """What is missing or makes no sense is a load error that names the file."""
    source = written(tmp_path / "m.gguf", PIECES, **changes)
    with pytest.raises(ModelLoadError, match=word) as error:
        source.sentencepiece_model()
    assert "m.gguf" in str(error.value)


@pytest.mark.parametrize("pieces", [[("a", NORMAL)], [*PIECES, ("ab", NORMAL)], [*PIECES, (b"\xff", NORMAL)]])
def test_vocabularies_that_the_library_refuses(tmp_path: Path, pieces: list[tuple[str | bytes, int]]) -> None:
    """A vocabulary without an unknown piece, with a piece twice, or that is not UTF-8 is a load error."""
    with pytest.raises(ModelLoadError, match="tokenizer="):
        built(tmp_path / "m.gguf", pieces)


def test_files_without_a_tokenizer(tmp_path: Path) -> None:
    """A file without a vocabulary, or with none on purpose, has no tokenizer."""
    (tmp_path / "a.gguf").write_bytes(container())
    assert tokenizer_source(read_gguf(tmp_path / "a.gguf").metadata) is None
    (tmp_path / "b.gguf").write_bytes(container([entry("tokenizer.ggml.model", STRING, text("none"))]))
    assert tokenizer_source(read_gguf(tmp_path / "b.gguf").metadata) is None


# -------------------------------------------------------------------------------------------------------- built once
@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "llm-framework" / "tokenizers"


def test_the_built_tokenizer_is_kept(
    tmp_path: Path, bundled_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second load takes the tokenizer that the first one built; a file with the same vocabulary does too."""
    write_gguf(bundled_path, tmp_path / "m.gguf")
    with open_model(tmp_path / "m.gguf", num_threads=1) as model:
        ids = model.require_tokenizer().encode("Hello there")
    assert len(list(cache.iterdir())) == 1

    def never(self: GgufTokenizer) -> bytes:
        raise AssertionError("built again")

    monkeypatch.setattr(GgufTokenizer, "sentencepiece_model", never)
    (tmp_path / "m.gguf").rename(tmp_path / "other.gguf")
    with open_model(tmp_path / "other.gguf", num_threads=1) as model:
        assert model.require_tokenizer().encode("Hello there") == ids


def test_keys_follow_the_content(tmp_path: Path) -> None:
    """The same vocabulary has the same key, another kind, order or setting another one."""
    turned = [PIECES[1], PIECES[0], *PIECES[2:]]
    other = [(PIECES[0][0], NORMAL), *PIECES[1:]]
    flag = entry("tokenizer.ggml.add_space_prefix", BOOL, b"\1")
    keys = [written(tmp_path / "m.gguf", pieces).key() for pieces in (PIECES, PIECES, turned, other)]
    keys.append(written(tmp_path / "m.gguf", PIECES, flag=flag).key())
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_a_damaged_entry_is_made_anew(cache: Path) -> None:
    """An entry that was cut short or changed on disk is not used."""
    kept = DiskCache("tokenizers", 1000)
    assert kept.get("k", lambda: b"content") == b"content"
    assert kept.get("k", lambda: b"other") == b"content"
    for damage in (b"", (cache / "k").read_bytes()[:-1], b"x" + (cache / "k").read_bytes()):
        (cache / "k").write_bytes(damage)
        assert kept.get("k", lambda: b"again") == b"again"


def test_the_cache_is_limited_in_size(cache: Path) -> None:
    """Above its limit, what was not asked for longest goes; the newest entry stays, however large."""
    kept = DiskCache("tokenizers", 300)
    for age, key in enumerate("abc"):
        kept.get(key, lambda: bytes(60))
        os.utime(cache / key, (1000 + age, 1000 + age))
    kept.get("a", lambda: b"")  # asked for again
    kept.get("d", lambda: bytes(100))
    assert sorted(path.name for path in cache.iterdir()) == ["a", "c", "d"]
    kept.get("e", lambda: bytes(5000))
    assert [path.name for path in cache.iterdir()] == ["e"]


def test_a_cache_that_cannot_be_used_is_done_without(cache: Path) -> None:
    """Where the folder cannot be made, content is made each time."""
    cache.parent.parent.mkdir(parents=True)
    cache.parent.write_text("a file in the way")
    kept: Any = DiskCache("tokenizers", 300)
    assert [kept.get("k", lambda: b"1"), kept.get("k", lambda: b"2")] == [b"1", b"2"]
