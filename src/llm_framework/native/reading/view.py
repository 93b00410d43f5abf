"""`TensorView`: one tensor of a mapped file, and the map it lies in."""

from __future__ import annotations

import math
import mmap
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import ModelLoadError

# The weight types that the engine computes with. A type that a file may hold and that is not listed here can be seen
# (its name and shape) but neither decoded nor run: this table is where a codec is announced.
ENGINE_TYPES = frozenset(
    {"f32", "f16", "bf16", "sfp", "nuq", "i8", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"}
)

MAX_TENSORS = 65536
MAX_RANK = 8
MAX_VALUES = 1 << 40


@dataclass(frozen=True, slots=True)
class TensorView:
    """A tensor where it lies in its file: packed, row-major, read-only, not copied.

    `type` is the engine's name of its number format (one of `ENGINE_TYPES`) or, for what the engine cannot compute
    with, the file's own name of it; the true value is the decoded one times `scale`.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    data: memoryview
    scale: float = 1.0

    @property
    def num_values(self) -> int:
        """The number of values (the product of the shape)."""
        return math.prod(self.shape)

    @property
    def rows(self) -> int:
        """The rows as the engine counts them: a vector is one row."""
        return math.prod(self.shape[:-1])

    @property
    def cols(self) -> int:
        """The values in a row."""
        return self.shape[-1] if self.shape else 1

    def engine_tensor(self) -> tuple[memoryview, str, int, int, float]:
        """What `_native` takes: (buffer, type, rows, cols, scale)."""
        return self.data, self.type, self.rows, self.cols, self.scale


def narrowest_type(tensors: Iterable[TensorView]) -> str:
    """The number format with the fewest bytes a value among the matrices: what people call a file's weight type."""
    matrices = [view for view in tensors if view.rows > 1 and view.num_values]
    return min(matrices, key=lambda view: len(view.data) / view.num_values).type if matrices else "unknown"


def fault(path: Path, what: str) -> ModelLoadError:
    """The error for a file that cannot be used: names the file, says what is wrong in a sentence."""
    return ModelLoadError(f"{path}: {what}", path=str(path))


# What downloads leave in a file's place, by how it begins.
_WEB_PAGE = "is a web page: the download was answered by one, perhaps because it asks to log in"
_STAND_INS = {
    b"version https://git-lfs": "is a Git LFS pointer, which only names the file: fetch the file itself, by `git lfs "
    "pull` in its folder or `llm-framework models pull`",
    b"<!doctype html": _WEB_PAGE,
    b"<html": _WEB_PAGE,
}
STAND_IN_BYTES = max(map(len, _STAND_INS))


def check_is_itself(path: Path, start: bytes) -> None:
    """Raises `ModelLoadError` where the file, which begins with `start` (`STAND_IN_BYTES` suffice), holds what a
    download left in its place."""
    start = start[:STAND_IN_BYTES].lstrip().lower()
    what = next((what for begin, what in _STAND_INS.items() if start.startswith(begin)), None)
    if what is not None:
        raise fault(path, f"this file {what}")


def checked_size(path: Path, what: str = "file") -> int:
    """The size in bytes of a regular file. Raises `ModelLoadError` for anything else (a folder, a pipe, nothing)."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise fault(path, f"this {what} cannot be opened ({_reason(error)})") from None
    if stat.S_ISDIR(status.st_mode):
        raise fault(path, f"this is a folder where a {what} was expected")
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise fault(path, f"this is not a regular file, so it cannot be read as a {what}")
    return status.st_size


def map_file(path: Path) -> tuple[mmap.mmap | None, memoryview]:
    """Map a file read-only; the view covers all of it. An empty file has no map and an empty view."""
    if checked_size(path, "weight file") == 0:
        return None, memoryview(b"")
    try:
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise fault(path, f"this file cannot be read ({_reason(error)})") from None
    view = memoryview(mapped)
    try:
        check_is_itself(path, bytes(view[:STAND_IN_BYTES]))
    except ModelLoadError:
        view.release()
        mapped.close()
        raise
    return mapped, view


def read_bytes(path: Path, limit: int, what: str) -> bytes:
    """A small file's bytes; more than `limit` of them is an error before anything is read."""
    size = checked_size(path, what)
    if size > limit:
        raise fault(path, f"this {what} has {size} bytes; more than {limit} are not believable")
    try:
        with open(path, "rb") as file:
            data = file.read(size)  # Python allocates as much as it is asked to read
    except OSError as error:
        raise fault(path, f"this {what} cannot be read ({_reason(error)})") from None
    check_is_itself(path, data)
    return data


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
