"""Broken and malicious files: one for each invariant, then many at random. All of them are a ModelLoadError."""

from __future__ import annotations

import json
import os
import random
import resource
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_framework.errors import ModelLoadError
from llm_framework.native import open_model
from llm_framework.native.formats.safetensors import read_file
from llm_framework.native.header import inspect_model


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """A file that claims to be huge must not make us allocate: beyond 2 GB more than now, allocating fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (2 << 30), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def refused(path: Path, word: str) -> None:
    """Opening and inspecting both fail with an error that names the file and the fault in a sentence."""
    for use in (inspect_model, open_model):
        with pytest.raises(ModelLoadError, match=word) as error:
            use(path)
        message = str(error.value)
        assert str(path) in message
        assert "\n" not in message
        assert len(message) < 500 + 2 * len(str(path))


# -------------------------------------------------------------------------------------------------------------- paths
def test_no_such_path(tmp_path: Path) -> None:
    """A path that does not exist, or cannot, is said to be missing."""
    refused(tmp_path / "nothing.sbs", "cannot be opened")
    refused(tmp_path / "nothing", "cannot be opened")
    with pytest.raises(ModelLoadError):
        open_model("nul\0byte")


def test_folder_without_a_model(tmp_path: Path) -> None:
    """A folder that is no Hugging Face model says so."""
    refused(tmp_path, "no config.json")


def test_empty_and_foreign_files(tmp_path: Path) -> None:
    """Empty files, text files and GGUF files are told apart."""
    for name, content, word in (("a.sbs", b"", "empty"), ("b", b"hello", "neither"), ("c.gguf", b"GGUF" * 9, "GGUF")):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, word)


def test_a_wrong_beginning_is_named(tmp_path: Path) -> None:
    """A file that is not what its name says is described by how it begins."""
    for name, kind in (("a.gguf", "GGUF"), ("a.sbs", "SBS")):
        (tmp_path / name).write_bytes(b"PK\x03\x04 and so on")
        refused(tmp_path / name, f"no {kind} file: it begins with b'PK")


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 9460176\n"


@pytest.mark.parametrize(("content", "word"), [(LFS_POINTER, "git lfs pull"), (b"\n<!DOCTYPE html><html>", "web page")])
def test_what_a_download_left_in_the_place_of_a_file(
    hf_folder: Callable[..., Path], tmp_path: Path, content: bytes, word: str
) -> None:
    """Pointers of Git LFS and web pages are told for what they are, in weights and configs."""
    folder = hf_folder()
    for name in ("model.safetensors", "config.json"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(content)
        refused(folder, word)
        (folder / name).write_bytes(whole)
    for name in ("a.gguf", "a.sbs"):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, word)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe is refused at once instead of being read for ever."""
    os.mkfifo(tmp_path / "model.sbs")
    refused(tmp_path / "model.sbs", "not a regular file")


def test_unreadable_files(tmp_path: Path, hf_folder: Callable[..., Path]) -> None:
    """A file without read permission is a load error."""
    folder = hf_folder()
    (folder / "model.safetensors").chmod(0)
    if os.access(folder / "model.safetensors", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(ModelLoadError, match="cannot be read"):
        open_model(folder)


def test_folder_instead_of_weights(hf_folder: Callable[..., Path]) -> None:
    """A folder named like the weight file is not mistaken for it."""
    folder = hf_folder()
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()
    with pytest.raises(ModelLoadError, match="this is a folder"):
        open_model(folder)


# -------------------------------------------------------------------------------------------------------- safetensors
F4 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
HEADERS: list[tuple[str, Any, bytes, str]] = [
    ("not JSON", b"{]", b"", "not valid JSON"),
    ("not UTF-8", b'{"\xff": 1}', b"", "not UTF-8"),
    ("not an object", [], b"", "not a JSON object"),
    ("bottomless", b"[" * 100_000, b"", "nested too deeply"),
    ("NaN", b'{"a": NaN}', b"", "NaN"),
    ("endless number", b'{"a": ' + b"9" * 10_000 + b"}", b"", "not valid JSON"),
    ("a name twice", b'{"a": %b, "a": %b}' % ((json.dumps(F4).encode(),) * 2), b"\0" * 4, "twice"),
    ("no fields", {"a": {}}, b"", "lacks"),
    ("no object", {"a": 1}, b"", "lacks"),
    ("a dtype of no kind", {"a": {**F4, "dtype": "F31"}}, b"\0" * 4, "unknown dtype"),
    ("a dtype that is a list", {"a": {**F4, "dtype": ["F32"]}}, b"\0" * 4, "unknown dtype"),
    ("a shape that is none", {"a": {**F4, "shape": "1"}}, b"\0" * 4, "shape"),
    ("a negative size", {"a": {**F4, "shape": [-1, -1]}}, b"\0" * 4, "shape"),
    ("a size that is true", {"a": {**F4, "shape": [True]}}, b"\0" * 4, "shape"),
    ("a broken size", {"a": {**F4, "shape": [1.0]}}, b"\0" * 4, "shape"),
    ("many dimensions", {"a": {**F4, "shape": [1] * 9}}, b"\0" * 4, "shape"),
    ("a product that overflows", {"a": {**F4, "shape": [2**32, 2**32]}}, b"\0" * 4, "large shape"),
    ("a product that overflows to 1", {"a": {**F4, "shape": [2**63 - 1, 2**63 - 1]}}, b"\0" * 4, "large shape"),
    ("a zero beside a huge size", {"a": {**F4, "shape": [0, 2**62], "data_offsets": [0, 0]}}, b"", "large shape"),
    ("offsets in reverse", {"a": {**F4, "data_offsets": [4, 0]}}, b"\0" * 4, "begin and an end"),
    ("one offset", {"a": {**F4, "data_offsets": [0]}}, b"\0" * 4, "begin and an end"),
    ("negative offsets", {"a": {**F4, "data_offsets": [-4, 0]}}, b"\0" * 4, "begin and an end"),
    ("offsets past 64 bits", {"a": {**F4, "data_offsets": [2**64, 2**64 + 4]}}, b"\0" * 4, "begin and an end"),
    ("bytes that do not match", {"a": {**F4, "shape": [2]}}, b"\0" * 4, "is 8 bytes, but has 4"),
    ("a tensor past the end", {"a": F4}, b"\0" * 3, "cut short"),
    ("an overlap", {"a": F4, "b": F4}, b"\0" * 4, "overlaps"),
    ("a gap", {"a": F4, "b": {**F4, "data_offsets": [5, 9]}}, b"\0" * 9, "gap"),
    ("hidden bytes at the start", {"a": {**F4, "data_offsets": [4, 8]}}, b"\0" * 8, "gap"),
    ("hidden bytes at the end", {"a": F4}, b"\0" * 5, "behind its last tensor"),
]  # fmt: skip


@pytest.mark.parametrize(("header", "data", "word"), [case[1:] for case in HEADERS], ids=[case[0] for case in HEADERS])
def test_malicious_safetensors(tmp_path: Path, safetensors_writer: Any, header: Any, data: bytes, word: str) -> None:
    """Each broken invariant of a header is named."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_writer.file(header, data))
    with pytest.raises(ModelLoadError, match=word) as error:
        read_file(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("length", [0, 1, 5, 1000, 2**31, 2**40, 2**63, 2**64 - 1])
def test_header_lengths_that_lie(tmp_path: Path, safetensors_writer: Any, length: int) -> None:
    """A header length that is too short, past the file or beyond belief is refused before anything is allocated."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_writer.file({"a": F4}, b"\0" * 4, length))
    with pytest.raises(ModelLoadError):
        read_file(path)


@pytest.mark.parametrize("size", range(8))
def test_files_shorter_than_a_header_length(tmp_path: Path, size: int) -> None:
    """A file of 0 to 7 bytes is no safetensors file."""
    (tmp_path / "model.safetensors").write_bytes(bytes(size))
    with pytest.raises(ModelLoadError, match="8 bytes"):
        read_file(tmp_path / "model.safetensors")


def test_missing_and_misshapen_tensors(hf_folder: Callable[..., Path], hf_tensors: Callable[..., Any]) -> None:
    """Every tensor the config implies must be there, in its shape, in a type the engine computes with."""
    tensors = hf_tensors("gemma3_text")
    for number, name in enumerate(tensors):
        without = {n: values for n, values in tensors.items() if n != name}
        refused(hf_folder(tensors=without, name=f"without{number}"), "is missing")
        reshaped = {**tensors, name: np.concatenate([tensors[name]] * 2)}
        refused(hf_folder(tensors=reshaped, name=f"reshaped{number}"), "config makes it")
        break_type = {**tensors, name: tensors[name].T[None] if tensors[name].ndim == 2 else tensors[name][None, None]}
        refused(hf_folder(tensors=break_type, name=f"rank{number}"), "config makes it")


def test_a_type_the_engine_cannot_compute_with(hf_folder: Callable[..., Path], safetensors_writer: Any) -> None:
    """A needed tensor of integers is refused by its name and type."""
    folder = hf_folder()
    found, _ = read_file(folder / "model.safetensors")
    packed = {name: ("F32", view.shape, bytes(view.data)) for name, view in found.items()}
    packed["model.norm.weight"] = ("I32", (32,), bytes(128))
    (folder / "model.safetensors").write_bytes(safetensors_writer.pack(packed))
    refused(folder, "model.norm.weight has the type I32")


CONFIGS = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"model_type": "gemma3_text", "model_type": "gemma2"}',
    b"[" * 50_000,
    b"null",
]


@pytest.mark.parametrize("content", CONFIGS)
def test_broken_config_json(hf_folder: Callable[..., Path], content: bytes) -> None:
    """A config.json that cannot be read is named itself."""
    folder = hf_folder()
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ModelLoadError, match=r"config\.json"):
        open_model(folder)


def test_oversized_config_json(hf_folder: Callable[..., Path]) -> None:
    """A config.json of a gigabyte (a sparse file) is refused by its size."""
    folder = hf_folder()
    with open(folder / "config.json", "wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ModelLoadError, match="not believable"):
        open_model(folder)


@pytest.mark.parametrize(
    "name", ["generation_config.json", "tokenizer_config.json", "tokenizer.json", "tokenizer.model"]
)
def test_broken_side_files(hf_folder: Callable[..., Path], name: str) -> None:
    """A broken file beside the weights is named, never passed over."""
    folder = hf_folder()
    (folder / name).write_bytes(b"\x0abroken")
    with pytest.raises(ModelLoadError, match=name):
        open_model(folder)


# ------------------------------------------------------------------------------------------------------------- shards
@pytest.mark.parametrize(
    "name",
    ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", "x.bin", ".safetensors", "a\0.safetensors",
     "C:\\x.safetensors", None, 5, ["a.safetensors"]],
)  # fmt: skip
def test_an_index_cannot_lead_out_of_its_folder(hf_folder: Callable[..., Path], name: Any) -> None:
    """The names of an index's files are plain names."""
    folder = hf_folder()
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    index = {"weight_map": {"model.norm.weight": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelLoadError, match=r"plain \.safetensors name"):
        open_model(folder)


def test_broken_indexes(hf_folder: Callable[..., Path], safetensors_writer: Any) -> None:
    """An index without a map, with a missing file or a missing tensor, or with a tensor in two files, is refused."""
    folder = hf_folder()
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    one = safetensors_writer.pack({"model.norm.weight": ("F32", (32,), bytes(128))})
    (folder / "one.safetensors").write_bytes(one)
    (folder / "whole.safetensors").write_bytes(whole)
    cases: list[tuple[Any, str]] = [
        ({}, "no weight_map"),
        ({"weight_map": []}, "no weight_map"),
        ({"weight_map": {"a": "gone.safetensors"}}, "cannot be opened"),
        ({"weight_map": {"a": "one.safetensors"}}, "promises the tensor 'a'"),
        ({"weight_map": {"model.norm.weight": "one.safetensors", "lm": "whole.safetensors"}}, "another file"),
        ({"weight_map": {f"t{i}": f"{i}.safetensors" for i in range(2000)}}, "more than 1024"),
    ]
    for content, word in cases:
        index.write_text(json.dumps(content))
        with pytest.raises(ModelLoadError, match=word):
            open_model(folder)
    index.unlink()
    refused(folder, "2 .safetensors files")


def test_pickles_are_not_touched(hf_folder: Callable[..., Path]) -> None:
    """A folder of pickled weights is refused with the reason."""
    folder = hf_folder()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, "pickled")


# ---------------------------------------------------------------------------------------------------------------- sbs
def patched(data: bytearray, at: int, fmt: str, *values: int) -> bytearray:
    struct.pack_into(fmt, data, at % len(data), *values)
    return data


def directory(data: bytearray, blobs: int) -> int:
    return len(data) - 16 - 32 * blobs


@pytest.fixture(scope="module")
def whole(sbs_writer: Any) -> tuple[bytes, int]:
    """A right file and the number of its blobs."""
    blobs = sbs_writer.blobs()
    return bytes(sbs_writer.container(blobs)), len(blobs)


def test_malicious_containers(whole: tuple[bytes, int], tmp_path: Path) -> None:
    """Each broken invariant of the container is an error."""
    data, n = whole
    d = directory(bytearray(data), n)
    ranges = d + 16 * n
    cases: dict[str, bytearray] = {
        "cut short or broken": patched(bytearray(data), -16, "<4s", b"XXXX"),
        "more than fit": patched(bytearray(data), -12, "<I", 16384),
        "claims 4294967295": patched(bytearray(data), -12, "<I", 2**32 - 1),
        "0 blobs": patched(bytearray(data), -12, "<I", 0),
        "header says": patched(bytearray(data), -8, "<Q", len(data) + 65536),
        "which is no name": patched(bytearray(data), d, "16s", b"\0" * 16),
        "no name": patched(bytearray(data), d, "16s", b"a\0b" + bytes(13)),
        "twice": patched(bytearray(data), d, "16s", bytes(data[d + 16 : d + 32])),
        "misaligned": patched(bytearray(data), ranges, "<Q", 257),
        "is empty": patched(bytearray(data), ranges + 8, "<Q", 0),
        "overlaps": patched(bytearray(data), ranges + 16, "<Q", 256),
        "ends behind": patched(bytearray(data), ranges + 8, "<Q", len(data)),
        "behind the file": patched(bytearray(data), ranges + 8, "<Q", 2**64 - 256),
        "'c_embedding' ends": patched(bytearray(data), ranges, "<Q", 2**64 - 256),
    }
    for number, (word, broken) in enumerate(cases.items()):
        path = tmp_path / f"{number}.sbs"
        path.write_bytes(broken)
        refused(path, word)


@pytest.mark.parametrize("version", [1, 2])
def test_every_truncation_of_a_container(sbs_writer: Any, tmp_path: Path, version: int) -> None:
    """A file cut anywhere is an error."""
    data = bytes(sbs_writer.container(sbs_writer.blobs(), version))
    path = tmp_path / "m.sbs"
    for size in [*range(0, 300, 7), 1024, len(data) // 2, len(data) - 65536 + 1, len(data) - 16, len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(ModelLoadError):
            open_model(path)


def test_missing_blobs(sbs_writer: Any, tmp_path: Path) -> None:
    """A file without its config, its table, or a tensor that the table lists, names what is missing."""
    for name in ("config", "toc", "qkv_ein_1"):
        blobs = sbs_writer.blobs()
        del blobs[name]
        path = tmp_path / f"{name}.sbs"
        path.write_bytes(sbs_writer.container(blobs))
        refused(path, name)


def test_missing_and_misshapen_sbs_tensors(sbs_writer: Any, tmp_path: Path) -> None:
    """Every tensor the config implies must be in the table, in its shape."""
    for name, (kind, rows, cols, raw) in sbs_writer.small_tensors().items():
        tensors = sbs_writer.small_tensors()
        del tensors[name]
        path = tmp_path / "m.sbs"
        path.write_bytes(sbs_writer.container(sbs_writer.blobs(tensors)))
        refused(path, "is missing")
        path.write_bytes(sbs_writer.container(sbs_writer.blobs({**tensors, name: (kind, rows * 2, cols, raw * 2)})))
        refused(path, "config makes it")


LIES = [
    {"type": 0}, {"type": 5}, {"type": 99}, {"type": 2}, {"type": 4}, {"element_bytes": 0}, {"element_bytes": 2},
    {"num": 0}, {"num": 2**32 - 1}, {"rows": 0}, {"rows": 2**32 - 1}, {"cols": 2**32 - 1},
    {"rows": 2**16, "cols": 2**16},
]  # fmt: skip


@pytest.mark.parametrize("lies", LIES, ids=str)
def test_table_records_that_lie(sbs_writer: Any, tmp_path: Path, lies: dict[str, int]) -> None:
    """A record whose type, counts or shape do not fit its blob is refused."""
    blobs = sbs_writer.blobs()
    fields = sbs_writer.small_tensors()["linear_w_0"]
    blobs["toc"] += sbs_writer.tensor("linear_w_0", *fields)
    path = tmp_path / "m.sbs"
    path.write_bytes(sbs_writer.container(blobs))
    refused(path, "twice")
    tensors = sbs_writer.small_tensors()
    records = [sbs_writer.tensor(n, *f, lies=lies if n == "linear_w_0" else {}) for n, f in tensors.items()]
    path.write_bytes(sbs_writer.container({**blobs, "toc": b"".join(records)}))
    refused(path, "linear_w_0")


def test_records_that_lie_about_their_length(sbs_writer: Any, tmp_path: Path) -> None:
    """Records, strings and lists that claim more than there is are refused; so are odd blobs."""
    path = tmp_path / "m.sbs"
    good = sbs_writer.config()
    cases = {
        "config": [
            b"\0" * 3, struct.pack("<I", 2**32 - 1) + good[4:], good[:8] + struct.pack("<I", 65) + good[12:],
            good[:8] + struct.pack("<I", 2**31) + good[12:], good[: len(good) // 2 // 4 * 4],
            good.replace(struct.pack("<II", 2, 15), struct.pack("<II", 2**20, 15), 1),
        ],
        "toc": [b"\0" * 5, b"\xff" * 8, b"\1\0\0\0\1\0\0\0", sbs_writer.record(b"\0" * 4)],
    }  # fmt: skip
    for name, contents in cases.items():
        for content in contents:
            path.write_bytes(sbs_writer.container({**sbs_writer.blobs(), name: content}))
            with pytest.raises(ModelLoadError):
                open_model(path)


def test_nan_and_infinite_scales(sbs_writer: Any, tmp_path: Path) -> None:
    """A tensor's scale must be a number."""
    tensors = sbs_writer.small_tensors()
    for bad in (float("nan"), float("inf")):
        toc = b"".join(sbs_writer.tensor(name, *fields, scale=bad) for name, fields in tensors.items())
        path = tmp_path / "m.sbs"
        path.write_bytes(sbs_writer.container({**sbs_writer.blobs(), "toc": toc}))
        refused(path, "number")


def test_a_corrupt_tokenizer_blob(sbs_writer: Any, tmp_path: Path) -> None:
    """A tokenizer blob that is neither a model nor the word for none is an error that says how to go on."""
    path = tmp_path / "m.sbs"
    path.write_bytes(sbs_writer.container(sbs_writer.blobs(tokenizer=b"garbage")))
    with pytest.raises(ModelLoadError, match="tokenizer="):
        open_model(path)


# ------------------------------------------------------------------------------------------------------------- chance
def mutations(data: bytes, header: list[range], count: int, seed: int) -> Iterator[bytes]:
    """Copies with one to three bits flipped in the header's regions, or cut off."""
    chance = random.Random(seed)
    for _ in range(count):
        if chance.random() < 0.15:
            yield data[: chance.randrange(len(data))]
            continue
        broken = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            region = chance.choice(header)
            broken[chance.choice(region)] ^= 1 << chance.randrange(8)
        yield bytes(broken)


def loads_or_is_refused(path: Path) -> bool:
    """Whether the file loads; anything but a model that runs or a ModelLoadError fails the test."""
    try:
        with open_model(path, num_threads=1) as model:
            model.logits([1, 2, 3])
        return True
    except ModelLoadError:
        return False


def test_random_damage_to_safetensors(hf_folder: Callable[..., Path]) -> None:
    """300 damaged headers either load or are refused."""
    folder = hf_folder()
    path = folder / "model.safetensors"
    data = path.read_bytes()
    header = [range(8), range(8, 8 + int.from_bytes(data[:8], "little"))]
    outcomes = []
    for broken in mutations(data, header, 300, 1):
        path.write_bytes(broken)
        outcomes.append(loads_or_is_refused(folder))
    assert outcomes.count(False) > 150


@pytest.mark.parametrize("version", [1, 2])
def test_random_damage_to_sbs(sbs_writer: Any, tmp_path: Path, version: int) -> None:
    """300 damaged containers, configs and tables either load or are refused."""
    blobs = sbs_writer.blobs()
    data = bytes(sbs_writer.container(blobs, version))
    start = 16 if version == 1 else len(data) - 16 - 32 * len(blobs)
    config, toc = data.index(blobs["config"]), data.index(blobs["toc"])
    header = [
        range(16), range(start, start + 32 * len(blobs)), range(config, config + len(blobs["config"])),
        range(toc, toc + len(blobs["toc"])), range(len(data) - 16, len(data)),
    ]  # fmt: skip
    path = tmp_path / "m.sbs"
    outcomes = []
    for broken in mutations(data, header, 300, version):
        path.write_bytes(broken)
        outcomes.append(loads_or_is_refused(path))
    assert outcomes.count(False) > 100


def test_random_damage_to_config_json(hf_folder: Callable[..., Path]) -> None:
    """300 damaged config.json files either load or are refused."""
    folder = hf_folder()
    path = folder / "config.json"
    data = path.read_bytes()
    for broken in mutations(data, [range(len(data))], 300, 3):
        path.write_bytes(broken)
        loads_or_is_refused(folder)
