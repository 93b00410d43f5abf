"""Weights in the engine's packed forms: made once from a file's, kept on disk, mapped from there ever after.

The int8 kernels read blocks of 16 rows side by side (`cpp/weight_types.h`), which no file format holds. Packing a
gigabyte takes a second or two, so the result is kept in a cache folder, named by a digest of the file's content and of
what was made of it. A packed file is written beside its name and renamed when it is whole: a process that is killed
leaves nothing that another would read, and two that want the same wait for each other.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import shutil
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from ..errors import InvalidRequestError
from ..logs import get_logger
from .content import content_digest

Quantization = Literal["q8", "q4"]
EngineTensor = tuple[Any, str, int, int, float]
ProgressReport = Callable[[int, int], None]  # bytes of weights done, and of all

MAGIC = b"LLMFWPK\x01"
ALIGNMENT = 64
HEADER = struct.Struct("<8sQ")  # magic, bytes of the JSON object that follows
MAX_HEADER = 64 << 20
MIN_CACHED_BYTES = 32 << 20  # less than this is packed anew at each load: a few hundredths of a second
CACHE_BYTES = 32 << 30  # of all packed files together
FREE_SHARE = 0.5  # of the disk's free space, which a packed file may take at most
LOCK_SECONDS = 600.0

# What loses nothing: these are the same numbers in another order.
_EXACT = {"q8_0": "q8p", "q4_0": "q4p"}
# Of the per-layer table a token needs one row; the others are small, and decide over much.
_KEPT = ("per_layer_embedding", "router", "altup_prediction", "altup_correction")
_PLAIN = frozenset({"f32", "f16", "bf16", "sfp"})

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which tensors (by their names in the engine) are packed, and into which form."""

    forms: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.forms)


def check_quantization(quantization: str | None) -> None:
    """Raise `InvalidRequestError` for a `quantization` that is not known."""
    if quantization not in (None, "q8", "q4"):
        raise InvalidRequestError(f'quantization={quantization!r}: "q8" and "q4" are known', param="quantization")


def make_plan(tensors: Mapping[str, EngineTensor], quantization: str | None, packs: bool) -> Plan:
    """What to pack. `packs` says whether the kernels in use are faster on packed weights; without a `quantization` only
    what loses nothing is packed, and only then. Norms and single rows stay as they are.

    "q8" and "q4" take weights of 16 or 32 bits (and SFP) to 8 or 4 bits in groups of 32; the embedding, which is the
    output head too, keeps 8 bits. Weights that are quantised already stay as they are.
    Raises `InvalidRequestError` for another `quantization`.
    """
    check_quantization(quantization)
    forms: dict[str, str] = {}
    for name, (_, kind, rows, _, _) in tensors.items():
        if rows == 1 or name.endswith(_KEPT):
            continue
        if kind in _PLAIN and quantization is not None:
            forms[name] = "q8p" if quantization == "q8" or name in ("embedding", "lm_head") else "q4p"
        elif kind in _EXACT and packs:
            forms[name] = _EXACT[kind]
    return Plan(forms)


class PackedWeights:
    """Packed tensors, in a mapped file or in memory; `tensors` are what `_native.Model` takes. `close` lets go."""

    def __init__(self, tensors: dict[str, EngineTensor], mapped: mmap.mmap | None = None) -> None:
        self.tensors = tensors
        self._mapped = mapped

    def close(self) -> None:
        """Unmap, where nobody else reads it any more."""
        self.tensors = {}
        if self._mapped is not None:
            with contextlib.suppress(BufferError):  # the engine still holds it: it goes when that does
                self._mapped.close()


def pack(
    module: Any,
    tensors: Mapping[str, EngineTensor],
    plan: Plan,
    files: tuple[Path, ...],
    *,
    num_threads: int = 0,
    folder: Path | None = None,
    progress: ProgressReport | None = None,
) -> PackedWeights:
    """The packed tensors of a plan, from the cache in `folder` where they are there, else made and kept there (small
    ones are not kept).

    `module` is `_native`, `files` are what the tensors come from. Where nothing can be written (a full disk, a
    read-only home), they are made in memory, with a warning.
    """
    packer = _Packer(module, tensors, plan, num_threads, progress)
    if packer.layout.num_bytes < MIN_CACHED_BYTES:
        return packer.in_memory()
    folder = cache_folder() if folder is None else folder
    try:
        path = folder / f"{_key(files, tensors, plan)}.packed"
        found = _open_packed(path, packer.layout) or _make_packed(path, packer)
        if found is not None:
            with contextlib.suppress(OSError):  # a folder that others write may still be read
                os.utime(path)  # used now: the last to go
            return found
        _log.warning("%s cannot be read back; weights are packed in memory", path)
    except (OSError, Timeout) as error:  # Timeout: another process has been at it for ten minutes
        _log.warning("packed weights cannot be kept in %s (%s); they are packed in memory at each load", folder, error)
    return packer.in_memory()


def _make_packed(path: Path, packer: _Packer) -> PackedWeights | None:
    """Packs into a file at `path`, unless another process does so first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock"), timeout=LOCK_SECONDS):
        found = _open_packed(path, packer.layout)
        if found is None:
            make_room(path.parent, packer.layout.num_bytes, keep=path, limit=CACHE_BYTES)
            packer.write(path)
            found = _open_packed(path, packer.layout)
        return found


@contextlib.contextmanager
def pack_progress(path: Path) -> Iterator[ProgressReport | None]:
    """Shows how far packing is, on a terminal; nothing where the standard error is none, or nothing is packed."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("packing {task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(path.name, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def cache_folder() -> Path:
    """Where packed files are kept."""
    from platformdirs import user_cache_path

    return user_cache_path("llm-framework", appauthor=False) / "packed"


def make_room(folder: Path, wanted: int, keep: Path, limit: int) -> None:
    """Delete what a killed process left, then the packed files used longest ago, until `wanted` bytes more fit `limit`.

    Raises `OSError` where that would be too much for the limit alone, or the disk has too little room.
    """
    if wanted > limit:
        raise OSError(f"{wanted / 1e9:.1f} GB is more than is kept of all packed weights together")
    for unfinished in folder.glob("*.part"):
        with contextlib.suppress(OSError, Timeout), FileLock(unfinished.with_suffix(".lock"), timeout=0):
            unfinished.unlink(missing_ok=True)
    packed = [path for path in folder.glob("*.packed") if path != keep]
    sizes = {path: status for path in packed if (status := _status(path)) is not None}
    total = sum(status.st_size for status in sizes.values())
    for path in sorted(sizes, key=lambda p: sizes[p].st_mtime):
        if total + wanted <= limit:
            break
        with contextlib.suppress(OSError):
            path.unlink()  # a process that has it mapped keeps it
            total -= sizes[path].st_size
    if wanted > FREE_SHARE * shutil.disk_usage(folder).free:
        raise OSError(f"{wanted / 1e9:.1f} GB would take more than half of the disk's free space")


def _packed_bytes(form: str, rows: int, cols: int) -> int:
    """The size of a packed matrix: see `_native.pack_tensor`."""
    return -(-rows // 16) * -(-cols // 64) * {"q8p": 1088, "q4p": 576}[form]


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _key(files: tuple[Path, ...], tensors: Mapping[str, EngineTensor], plan: Plan) -> str:
    """Names the content and what is made of it."""
    made = [(name, form, *tensors[name][1:]) for name, form in sorted(plan.forms.items())]
    return content_digest(files, extra=json.dumps([MAGIC.hex(), made]).encode())


# -------------------------------------------------------------------------------------------------------- packed files
@dataclass(frozen=True, slots=True)
class _Layout:
    """Where each packed tensor lies: a JSON header, then the tensors, each at a multiple of `ALIGNMENT`."""

    header: bytes
    ranges: Mapping[str, tuple[int, int]]  # begin and size, by name
    num_bytes: int


class _Packer:
    """Packs the tensors of a plan, one after the other."""

    def __init__(
        self,
        module: Any,
        tensors: Mapping[str, EngineTensor],
        plan: Plan,
        num_threads: int,
        progress: ProgressReport | None,
    ) -> None:
        self._module = module
        self._num_threads = num_threads
        self._progress = progress
        self._work = {name: (tensors[name], form) for name, form in plan.forms.items()}
        self.layout = self._lay_out()

    def _lay_out(self) -> _Layout:
        entries = []
        places: dict[str, tuple[int, int]] = {}
        at = 0
        for name, (tensor, form) in self._work.items():
            size = _packed_bytes(form, tensor[2], tensor[3])
            places[name] = (at, size)
            entries.append({"name": name, "type": form, "rows": tensor[2], "cols": tensor[3], "scale": tensor[4]})
            entries[-1] |= {"begin": at, "size": size}
            at += size + -size % ALIGNMENT
        text = json.dumps(entries).encode()
        header = HEADER.pack(MAGIC, len(text)) + text
        header += b" " * (-len(header) % ALIGNMENT)
        ranges = {name: (len(header) + begin, size) for name, (begin, size) in places.items()}
        return _Layout(header, ranges, len(header) + at)

    def write(self, path: Path) -> None:
        """The packed file at `path`, which is there as a whole or not at all."""
        unfinished = path.with_suffix(".part")
        try:
            with open(unfinished, "wb+") as file:
                file.truncate(self.layout.num_bytes)
                if hasattr(os, "posix_fallocate"):  # a full disk shows now, not as SIGBUS
                    os.posix_fallocate(file.fileno(), 0, self.layout.num_bytes)
                with mmap.mmap(file.fileno(), self.layout.num_bytes) as mapped:
                    mapped[: len(self.layout.header)] = self.layout.header
                    with memoryview(mapped) as view:
                        self._fill(view)
                    mapped.flush()
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    def in_memory(self) -> PackedWeights:
        """The same without a file."""
        mapped = mmap.mmap(-1, self.layout.num_bytes)
        with memoryview(mapped) as view:
            self._fill(view)
        return PackedWeights(_tensors(memoryview(mapped), self.layout, self._shapes()), mapped)

    def _fill(self, view: memoryview) -> None:
        total = sum(size for _, size in self.layout.ranges.values())
        done = 0
        for name, (tensor, form) in self._work.items():
            begin, size = self.layout.ranges[name]
            with view[begin : begin + size] as out:
                self._module.pack_tensor(tensor, form, out, self._num_threads)
            done += size
            if self._progress is not None:
                self._progress(done, total)

    def _shapes(self) -> dict[str, tuple[str, int, int, float]]:
        return {name: (form, tensor[2], tensor[3], tensor[4]) for name, (tensor, form) in self._work.items()}


def _tensors(
    view: memoryview, layout: _Layout, shapes: Mapping[str, tuple[str, int, int, float]]
) -> dict[str, EngineTensor]:
    return {name: (view[begin : begin + size], *shapes[name]) for name, (begin, size) in layout.ranges.items()}


def _open_packed(path: Path, layout: _Layout) -> PackedWeights | None:
    """The packed file, or None where there is none that is whole and laid out as this version does."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size != layout.num_bytes:
                return None
            if file.read(len(layout.header)) != layout.header:
                return None
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    return PackedWeights(_tensors(memoryview(mapped), layout, dict(_entries(layout.header))), mapped)


def _entries(header: bytes) -> Iterator[tuple[str, tuple[str, int, int, float]]]:
    _, size = HEADER.unpack_from(header)
    for entry in json.loads(header[HEADER.size : HEADER.size + size]):
        yield entry["name"], (entry["type"], entry["rows"], entry["cols"], entry["scale"])
