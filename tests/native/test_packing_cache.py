"""The cache of packed weights: what is kept, found again, made anew and let go; processes that meet, or are killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native.gguf_files import write_model

pytest.importorskip("llm_framework.native._native")

from llm_framework.native import _native, open_model, packing
from llm_framework.native.content import content_digest
from llm_framework.native.formats.encode import to_bf16

IDS = [2, 5, 7, 11, 3]

# A process that opens a model, quantised: says so before it packs, waits for a line where it is told to, then prints
# how many tensors it packed and the sum of the logits.
OPEN = """
import contextlib, sys
from pathlib import Path
from llm_framework.native import model, packing

packing.MIN_CACHED_BYTES = 0
packed = 0

def report(done, total):
    global packed
    packed += 1
    if packed == 3 and sys.argv[2] == "wait":
        print("packing", flush=True)
        sys.stdin.readline()

@contextlib.contextmanager
def progress(path):
    yield report

model.pack_progress = progress
if sys.argv[2] == "together":
    print("ready", flush=True)
    sys.stdin.readline()
with model.open_model(sys.argv[1], quantization="q8", num_threads=1) as opened:
    print(packed, float(opened.logits([2, 5, 7, 11, 3]).sum()), flush=True)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache that keeps small models too; gives its folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(packing, "MIN_CACHED_BYTES", 0)
    folder = packing.cache_folder()
    assert tmp_path in folder.parents
    return folder


@pytest.fixture
def packs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The forms of all tensors that are packed, as they are."""
    done: list[str] = []
    pack_tensor = _native.pack_tensor

    def counted(tensor: Any, form: str, *rest: Any) -> Any:
        done.append(form)
        return pack_tensor(tensor, form, *rest)

    monkeypatch.setattr(_native, "pack_tensor", counted)
    return done


def logits(path: Path, quantization: str | None = "q8", **options: Any) -> np.ndarray:
    with open_model(path, quantization=quantization, num_threads=1, **options) as model:
        return np.array(model.logits(IDS))


def kept(folder: Path, pattern: str = "*.packed") -> list[Path]:
    return sorted(folder.glob(pattern))


@pytest.mark.parametrize("quantization", ["q8", "q4"])
@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
def test_the_second_load_finds_what_the_first_made(
    hf_folder: Any, cache: Path, packs: list[str], quantization: str, dtype: str
) -> None:
    """A folder is quantised once, and computes the same from the cache; the embedding keeps 8 bits."""
    folder = hf_folder(dtype=dtype)
    first = logits(folder, quantization)
    assert packs.count("q8p") == (22 if quantization == "q8" else 1)
    assert len(packs) == 22
    np.testing.assert_array_equal(logits(folder, quantization), first)
    assert len(packs) == 22
    assert len(kept(cache)) == 1
    assert not kept(cache, "*.part")


def test_each_way_of_packing_is_kept_for_itself(hf_folder: Any, cache: Path, packs: list[str]) -> None:
    """8 and 4 bits of one file are two entries, and differ."""
    folder = hf_folder(dtype="BF16")
    eight, four = logits(folder, "q8"), logits(folder, "q4")
    assert not np.array_equal(eight, four)
    assert len(kept(cache)) == 2
    np.testing.assert_array_equal(logits(folder, "q8"), eight)
    assert len(packs) == 44


def test_sfp_files_are_packed(golden: Path, cache: Path, packs: list[str]) -> None:
    """An .sbs file of SFP weights is taken to 8 bits and computes nearly the same; BF16 norms stay."""
    path = golden / "sbs" / "g2_sfp.sbs"
    if not path.exists():
        path = golden / "sbs" / "g2_sfp_v1.sbs"
    plain, eight = logits(path, None), logits(path, "q8")
    assert 0 < np.sqrt(np.mean((eight - plain) ** 2)) < 0.05 * plain.std()
    count = len(packs)
    assert count
    np.testing.assert_array_equal(logits(path, "q8"), eight)
    assert len(packs) == count


@pytest.mark.skipif(_native.default_isa() == "scalar", reason="these kernels read the file's own blocks")
def test_gguf_files_are_packed_unasked(
    tmp_path: Path, hf_config: Any, hf_tensors: Any, cache: Path, packs: list[str]
) -> None:
    """Where it loses nothing and the kernels want it, a file's blocks are packed without being asked, and kept."""
    config = {**hf_config("gemma"), "intermediate_size": 64}
    write_model(tmp_path / "a.gguf", config, hf_tensors("gemma", intermediate_size=64), "Q8_0")
    first = logits(tmp_path / "a.gguf", None)
    assert set(packs) == {"q8p"}
    count = len(packs)
    np.testing.assert_array_equal(logits(tmp_path / "a.gguf", None), first)
    assert len(packs) == count
    assert len(kept(cache)) == 1


def test_another_name_is_the_same_content(hf_folder: Any, cache: Path, packs: list[str], tmp_path: Path) -> None:
    """A model that was moved, renamed or copied finds what was packed of it."""
    folder = hf_folder()
    first = logits(folder)
    folder.rename(tmp_path / "other")
    np.testing.assert_array_equal(logits(tmp_path / "other"), first)
    shutil.copytree(tmp_path / "other", tmp_path / "copy")
    np.testing.assert_array_equal(logits(tmp_path / "copy"), first)
    assert len(packs) == 22
    assert len(kept(cache)) == 1


def test_other_content_of_the_same_size_is_noticed(hf_folder: Any, cache: Path, packs: list[str]) -> None:
    """Weights that were written over in place are packed anew."""
    folder = hf_folder(dtype="BF16")
    first = logits(folder)
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-2:] = to_bf16(np.array([3.0], np.float32)).tobytes()
    path.write_bytes(data)
    assert not np.array_equal(logits(folder), first)
    assert len(packs) == 44
    assert len(kept(cache)) == 2


@pytest.mark.parametrize("damage", ["empty", "cut", "longer", "header", "length", "none"])
def test_a_damaged_file_is_made_anew(hf_folder: Any, cache: Path, packs: list[str], damage: str) -> None:
    """A packed file that is cut short, overlong, or laid out otherwise is not used, and is replaced."""
    folder = hf_folder()
    first = logits(folder)
    [path] = kept(cache)
    whole = path.read_bytes()
    damaged = {
        "empty": b"", "cut": whole[:-1], "longer": whole + b"x", "header": b"X" + whole[1:],
        "length": whole[:8] + b"\xff" * 8 + whole[16:], "none": whole,
    }[damage]  # fmt: skip
    path.write_bytes(damaged)
    np.testing.assert_array_equal(logits(folder), first)
    assert len(packs) == (22 if damage == "none" else 44)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("memory", ["", "[]", "not json", '{"PATH": [1]}', '{"PATH": ["LOOKS", 5]}', '{"PATH": "zz"}'])
def test_a_damaged_memory_of_digests_is_read_over(tmp_path: Path, cache: Path, memory: str) -> None:
    """The digest of a file is right whatever stands in the list of those known."""
    file = tmp_path / "weights"
    file.write_bytes(b"some weights")
    wanted = content_digest((file,))
    status = file.stat()
    looks = [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]
    known = memory.replace("PATH", str(file)).replace('"LOOKS"', ", ".join(map(str, looks)))
    (cache.parent / "digests.json").write_text(known)
    assert content_digest((file,)) == wanted


def test_digests_depend_on_every_file_and_their_order(tmp_path: Path) -> None:
    """Split models are known by all their parts; what is made of them is part of the name."""
    files = [tmp_path / name for name in "ab"]
    for file in files:
        file.write_bytes(file.name.encode() * 100)
    one, other = files
    digests = {content_digest((one, other)), content_digest((other, one)), content_digest((one,))}
    digests |= {content_digest((one, other), b"x")}
    assert len(digests) == 4


def test_where_nothing_can_be_written(
    hf_folder: Any, cache: Path, packs: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Where the cache's folder cannot be made, weights are packed in memory at each load, with a warning."""
    folder = hf_folder()
    first = logits(folder)
    shutil.rmtree(cache.parent)
    cache.parent.write_text("a file where the folder would be")
    np.testing.assert_array_equal(logits(folder), first)
    assert "packed in memory" in caplog.text
    assert len(packs) == 44


def test_a_full_disk(
    hf_folder: Any, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the disk has no room, weights are packed in memory, and nothing is left behind."""
    folder = hf_folder()
    first = logits(folder)
    shutil.rmtree(cache)
    monkeypatch.setattr(packing, "FREE_SHARE", 0.0)
    np.testing.assert_array_equal(logits(folder), first)
    assert "free space" in caplog.text
    assert not kept(cache) + kept(cache, "*.part")


def test_what_can_only_be_read_is_used(
    hf_folder: Any, cache: Path, packs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A packed file in a folder that cannot be written is found as any other."""
    folder = hf_folder()
    first = logits(folder)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(packing, "FileLock", refuse)
    monkeypatch.setattr(packing.os, "utime", refuse)
    np.testing.assert_array_equal(logits(folder), first)
    assert len(packs) == 22


def test_the_cache_has_a_limit(
    hf_folder: Any, hf_tensors: Any, cache: Path, packs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was used longest ago goes first; what is more than the whole limit is not kept and drives nothing out."""
    folders = []
    for number in range(3):
        tensors = {name: values + np.float32(number) for name, values in hf_tensors("gemma3_text").items()}
        folders.append(hf_folder(tensors=tensors, name=f"model{number}"))
    logits(folders[0])
    [oldest] = kept(cache)
    logits(folders[1])
    monkeypatch.setattr(packing, "CACHE_BYTES", oldest.stat().st_size * 2)
    os.utime(oldest, (1, 1))
    logits(folders[0])  # used now
    [other] = [path for path in kept(cache) if path != oldest]
    os.utime(other, (2, 2))
    logits(folders[2])
    assert oldest.exists()
    assert not other.exists()
    assert len(kept(cache)) == 2
    monkeypatch.setattr(packing, "CACHE_BYTES", 100)
    count = len(packs)
    logits(folders[1])
    assert len(packs) == count + 22
    assert len(kept(cache)) == 2


# ----------------------------------------------------------------------------------------------------------- processes
def start(path: Path, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OPEN, str(path), how]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def test_two_processes_at_once_pack_once(hf_folder: Any, cache: Path) -> None:
    """Of processes that want the same weights at the same time one packs them; all compute the same."""
    folder = hf_folder()
    processes = [start(folder, "together") for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [process.communicate(timeout=60)[0].split() for process in processes]
    assert sorted(int(packed) for packed, _ in results) == [0, 0, 22]
    assert len({total for _, total in results}) == 1
    assert len(kept(cache)) == 1


def test_a_kill_in_the_middle_leaves_nothing_that_is_read(hf_folder: Any, cache: Path, packs: list[str]) -> None:
    """After a process was killed while it packed, the next one packs anew, and what the first left is gone."""
    folder = hf_folder()
    process = start(folder, "wait")
    assert process.stdout is not None
    assert process.stdout.readline() == "packing\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not kept(cache)
    assert len(kept(cache, "*.part")) == 1
    first = logits(folder)
    assert len(packs) == 22
    assert len(kept(cache)) == 1
    assert not kept(cache, "*.part")
    np.testing.assert_array_equal(logits(folder), first)
    assert len(packs) == 22


def test_what_another_process_is_writing_is_left_alone(hf_folder: Any, hf_tensors: Any, cache: Path) -> None:
    """Making room takes away what killed processes left, not what a running one is about to finish."""
    folder = hf_folder()
    tensors = {name: values + np.float32(1) for name, values in hf_tensors("gemma3_text").items()}
    other = hf_folder(tensors=tensors, name="other")
    process = start(folder, "wait")
    assert process.stdout is not None
    assert process.stdout.readline() == "packing\n"
    (cache / "left.part").write_bytes(b"by a process that is no more")
    logits(other)
    assert len(kept(cache, "*.part")) == 1
    output, _ = process.communicate("go\n", timeout=60)
    assert output.split()[0] == "22"
    assert len(kept(cache)) == 2
    assert not kept(cache, "*.part")


def test_a_progress_report_that_raises_leaves_nothing(hf_folder: Any, cache: Path) -> None:
    """An interruption while weights are packed takes the unfinished file with it."""
    folder = hf_folder()
    with open_model(folder, num_threads=1) as model:
        tensors = {"embedding": (model.tensor("model.embed_tokens.weight"), "f32", 64, 32, 1.0)}
    plan = packing.make_plan(tensors, "q8", packs=False)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packing.pack(_native, tensors, plan, (folder / "model.safetensors",), progress=interrupt)
    assert not kept(cache) + kept(cache, "*.part")
