"""Damaged model files: whole ones to begin with, ways to damage them, and what must hold whatever the damage.

The tests draw damage with hypothesis. For as long as one likes, guided by coverage, with atheris:
`python tests/native/fuzzing.py FORMAT` (see CONTRIBUTING.md).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import struct
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_framework.errors import ModelLoadError

FORMATS = ("safetensors", "config", "index", "sbs1", "sbs2", "bare", "gguf", "tokenizer", "gguf_tokenizer")
VOCABULARY = "vocabulary.gguf"  # a file of which only the tokenizer is loaded
SMALL_CHANGE = 2 << 20  # bytes that Python's own objects for a header may take, whatever the file's size

# Numbers at which counts, sizes and offsets go wrong.
EDGES = (0, 1, 2, 3, 7, 8, 31, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)


@dataclass(frozen=True)
class Seed:
    """A whole model: `path` is the file that is damaged, `model` what is opened, `hot` where damage says most."""

    path: Path
    model: Path
    data: bytes
    hot: list[range]
    config: dict[str, Any] | None = None


def make_seed(name: str, folder: Path, makers: Makers) -> Seed:
    """A small whole model of the format in the folder, loaded once: modules take memory when they are imported."""
    folder.mkdir(parents=True, exist_ok=True)
    seed = _make_seed(name, folder, makers)
    seed.path.write_bytes(seed.data)
    with contextlib.suppress(ModelLoadError):
        _load(seed)
    return seed


def _make_seed(name: str, folder: Path, makers: Makers) -> Seed:
    if name in ("safetensors", "config", "index"):
        return _folder_seed(name, folder, makers)
    if name in ("sbs1", "sbs2", "bare"):
        return _sbs_seed(name, folder, makers)
    if name == "tokenizer":
        path = folder / "tokenizer.model"
        data = makers.tokenizer.read_bytes()
        return Seed(path, path, data, [range(300), range(len(data) - 300, len(data))])
    return _gguf_seed(name, folder, makers)


@dataclass(frozen=True)
class Makers:
    """What makes whole files: the tests' writers of safetensors and .sbs, and the bundled model's tokenizer."""

    safetensors: Any
    sbs: Any
    config: Callable[[str], dict[str, Any]]
    tensors: Callable[[str], dict[str, Any]]
    tokenizer: Path


def _folder_seed(name: str, folder: Path, makers: Makers) -> Seed:
    tensors = makers.tensors("gemma3_text")
    packed = {key: ("F32", values.shape, values.tobytes()) for key, values in tensors.items()}
    weights = makers.safetensors.pack(packed)
    index = {"weight_map": dict.fromkeys(packed, "model-1.safetensors")}
    files = {
        "config.json": json.dumps(makers.config("gemma3_text")).encode(),
        "model-1.safetensors": weights,
        "model.safetensors.index.json": json.dumps(index).encode(),
    }
    for file, data in files.items():
        (folder / file).write_bytes(data)
    broken = {"safetensors": "model-1.safetensors", "config": "config.json", "index": "model.safetensors.index.json"}
    path, data = folder / broken[name], files[broken[name]]
    hot = [range(8), range(8 + struct.unpack_from("<Q", data)[0])] if name == "safetensors" else [range(len(data))]
    return Seed(path, folder, data, hot)


def _sbs_seed(name: str, folder: Path, makers: Makers) -> Seed:
    path = folder / "m.sbs"
    blobs = makers.sbs.blobs()
    if name == "bare":
        letters = {"f32": "F", "bf16": "B", "sfp": "$"}
        kinds = {tensor: fields[0] for tensor, fields in makers.sbs.small_tensors().items()}
        blobs = {letters[kinds[key]] + key: blob for key, blob in blobs.items() if key in kinds}
        blobs["Fscales"] = struct.pack("<8f", *[1.0] * 8)
    data = bytes(makers.sbs.container(blobs, 2 if name == "sbs2" else 1))
    directory = 32 * len(blobs)
    hot = [range(16), range(16, 16 + directory) if name != "sbs2" else range(len(data) - 16 - directory, len(data))]
    for key in ("config", "toc"):
        if key in blobs:
            begin = data.index(blobs[key])
            hot.append(range(begin, begin + len(blobs[key])))
    config = {**makers.config("gemma3_text"), "num_hidden_layers": 2, "query_pre_attn_scalar": 16}
    return Seed(path, path, data, hot, config if name == "bare" else None)


def _gguf_seed(name: str, folder: Path, makers: Makers) -> Seed:
    from native.gguf_files import write_model

    if name == "gguf_tokenizer":
        return _vocabulary_seed(folder / VOCABULARY)
    path = folder / "m.gguf"
    write_model(path, makers.config("gemma3_text"), makers.tensors("gemma3_text"))
    data = path.read_bytes()
    return Seed(path, path, data, [range(24), range(data.index(b"blk.0")), range(data.rindex(b"blk.2") + 60)])


def _vocabulary_seed(path: Path) -> Seed:
    """A GGUF file of metadata alone: some pieces of every kind."""
    from native.gguf_files import array, container, entry, text

    pieces = [("<pad>", 3), ("<unk>", 2), ("<end_of_turn>", 1), ("  ", 4), ("[PAD]", 5), ("▁", 1), ("é", 1)]
    pieces += [(f"<0x{byte:02X}>", 6) for byte in range(256)] + [(letter, 1) for letter in "abcdefghij"] + [("ab", 1)]
    scores = struct.pack(f"<{len(pieces)}f", *(-float(rank) for rank in range(len(pieces))))
    entries = [
        entry("tokenizer.ggml.model", 8, text("llama")),
        array("tokenizer.ggml.tokens", 8, len(pieces), b"".join(text(piece) for piece, _ in pieces)),
        array("tokenizer.ggml.scores", 6, len(pieces), scores),
        array("tokenizer.ggml.token_type", 5, len(pieces), struct.pack(f"<{len(pieces)}i", *(k for _, k in pieces))),
        entry("tokenizer.ggml.add_space_prefix", 7, b"\0"),
    ]
    data = container(entries)
    return Seed(path, path, data, [range(300), range(len(data))])


# ------------------------------------------------------------------------------------------------------------- damage
Damage = tuple[str, int, int]  # what, where (an index into the hot bytes), and with which number


def damaged(seed: Seed, damages: list[Damage]) -> bytes:
    """The seed's data after these damages, each where the one before it left off."""
    data = bytearray(seed.data)
    for what, where, number in damages:
        at = min(_position(seed.hot, where), max(len(data) - 1, 0))
        edge = EDGES[number % len(EDGES)]
        if what == "flip" and data:
            data[at] ^= 1 << number % 8
        elif what == "byte" and data:
            data[at] = number % 256
        elif what == "word":
            data[at : at + 4] = struct.pack("<I", edge & 0xFFFFFFFF)
        elif what == "long":
            data[at : at + 8] = struct.pack("<Q", edge)
        elif what == "cut":
            del data[at:]
        elif what == "remove":
            del data[at : at + 1 + number % 64]
        elif what == "insert":
            data[at:at] = bytes([number % 256]) * (1 + number % 40)
        elif what == "copy":
            data[at:at] = data[at : at + number % 300]
    return bytes(data)


KINDS = ("flip", "byte", "word", "long", "cut", "remove", "insert", "copy")


def _position(hot: list[range], where: int) -> int:
    """One region is as likely as another, however small."""
    region = hot[where % len(hot)]
    return region[(where // len(hot)) % len(region)] if region else 0


# --------------------------------------------------------------------------------------------------------- must hold
def is_refused_or_loads(seed: Seed, data: bytes) -> bool:
    """Whether the damaged model loads as far as its header says. Anything but that or a `ModelLoadError`, and an
    allocation beyond twice the file's size, is an error."""
    seed.path.write_bytes(data)
    is_traced = tracemalloc.is_tracing()
    if not is_traced:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        _load(seed)
        return True
    except ModelLoadError:
        return False
    finally:
        peak = tracemalloc.get_traced_memory()[1] - before
        if not is_traced:
            tracemalloc.stop()
        assert peak < 2 * len(data) + SMALL_CHANGE, f"{peak} bytes allocated for a file of {len(data)}"


def _load(seed: Seed) -> None:
    """All that happens to a file before its weights are used."""
    from llm_framework.native.config import read_config
    from llm_framework.native.formats import open_model_file
    from llm_framework.native.formats.gguf_tokenizer import GgufTokenizer
    from llm_framework.native.tokenizer import load_tokenizer
    from llm_framework.native.weights import engine_tensors

    if seed.path.name == "tokenizer.model":
        load_tokenizer(seed.path, seed.path).encode("Hello, wörld")
        return
    file = open_model_file(seed.model, seed.config)
    try:
        if isinstance(file.tokenizer, GgufTokenizer):
            file.tokenizer.key()
            load_tokenizer(file.tokenizer.sentencepiece_model(), file.path).encode("Hello, wörld")
        if file.path.name != VOCABULARY:
            engine_tensors(file, read_config(file))
    finally:
        file.close()


# ------------------------------------------------------------------------------------------------------------ atheris
def main(arguments: list[str]) -> None:
    """Fuzz one format until stopped: FORMAT, then libFuzzer's own arguments (-max_total_time=600 and so on)."""
    if not arguments or arguments[0] not in FORMATS:
        sys.exit(f"usage: fuzzing.py FORMAT [libFuzzer arguments]; formats: {', '.join(FORMATS)}")
    import atheris

    with atheris.instrument_imports(include=["llm_framework.native"]):
        import llm_framework.native.config
        import llm_framework.native.convert
        import llm_framework.native.formats.gguf
        import llm_framework.native.formats.safetensors
        import llm_framework.native.formats.sbs
        import llm_framework.native.gguf_config
        import llm_framework.native.weights  # noqa: F401
    seed = make_seed(arguments[0], Path(tempfile.mkdtemp(dir=_memory_folder())), _makers())

    def mutate(data: bytes, max_size: int, number: int) -> bytes:
        """One more of our damages, or libFuzzer's own."""
        chance = random.Random(number)
        if chance.random() < 0.5:
            return atheris.Mutate(data, max_size)
        damage = (chance.choice(KINDS), chance.randrange(1 << 30), chance.randrange(1 << 16))
        return damaged(Seed(seed.path, seed.model, data, seed.hot), [damage])[:max_size]

    corpus = Path(tempfile.mkdtemp())
    (corpus / "whole").write_bytes(seed.data)
    limit = f"-max_len={2 * len(seed.data)}"
    atheris.Setup(
        [sys.argv[0], str(corpus), limit, *arguments[1:]],
        lambda data: is_refused_or_loads(seed, data),
        custom_mutator=mutate,
    )
    tracemalloc.start()  # once: each start and stop loses some kilobytes
    atheris.Fuzz()


def _memory_folder() -> str | None:
    """A folder that is no disk, where the system has one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _makers() -> Makers:
    import importlib.util

    import llm_framework

    spec = importlib.util.spec_from_file_location("native_conftest", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    bundled = Path(llm_framework.__file__).parent / "bundled" / "tiny-chat" / "tokenizer.model"
    return Makers(conftest.Safetensors, conftest.Sbs, conftest.small_config, conftest.small_tensors, bundled)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main(sys.argv[1:])
