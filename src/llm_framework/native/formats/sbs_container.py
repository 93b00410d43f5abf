"""The container of a .sbs file: named blobs and a directory of them, which stands first (V1) or last (V2)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from ..reading.view import fault

MAGIC = b"SBS\n"
HEADER = struct.Struct("<4sIQ")  # magic, number of blobs, size of the file
ALIGNMENT = 256
MAX_BLOBS = 16384

# The bytes of a tensor of so many values, by type; "nuq" and "i8" have side tables.
NUM_BYTES: dict[str, Callable[[int], int]] = {
    "f32": lambda count: 4 * count,
    "bf16": lambda count: 2 * count,
    "sfp": lambda count: count,
    "nuq": lambda count: 16 * -(-count // 256) + -(-count // 2),
    "i8": lambda count: 4 * -(-count // 128) + count,
}
TYPE_CODES = {"f32": 1, "bf16": 2, "sfp": 3, "nuq": 4, "i8": 8}
ELEMENT_BYTES = {1: 4, 2: 2, 3: 1, 4: 1, 8: 1}


def read_blobs(view: memoryview, path: Path) -> dict[str, memoryview]:
    """The blobs of either container version by key, in the directory's order, each checked to lie in the file."""
    if len(view) < ALIGNMENT:
        raise fault(path, f"an .sbs file has at least {ALIGNMENT} bytes; this one has {len(view)}: it is cut short")
    num_blobs, directory, first = _find_directory(view, path)
    keys = view[directory : directory + 16 * num_blobs]
    ranges = struct.iter_unpack("<QQ", view[directory + 16 * num_blobs : directory + 32 * num_blobs])
    last = len(view) if directory == HEADER.size else directory  # V2's data end where its directory begins
    blobs: dict[str, memoryview] = {}
    reached = first
    for index, (offset, size) in enumerate(ranges):
        key = _key(bytes(keys[16 * index : 16 * index + 16]), path)
        if key in blobs:
            raise fault(path, f"the .sbs directory has the key {key!r} twice")
        if size == 0 or offset % ALIGNMENT or offset < reached:
            raise fault(path, f"the .sbs blob {key!r} is empty, misaligned or overlaps what is before it")
        if size > last or offset > last - size:
            raise fault(path, f"the .sbs blob {key!r} ends behind the file's data: the file is cut short or broken")
        blobs[key] = view[offset : offset + size]
        reached = offset + size
    return blobs


def _find_directory(view: memoryview, path: Path) -> tuple[int, int, int]:
    """(number of blobs, offset of the directory, offset of the first blob)."""
    num_blobs = _read_header(view, 0, path)
    if num_blobs:  # V1: header and directory first
        return num_blobs, HEADER.size, _round_up(HEADER.size + 32 * num_blobs)
    num_blobs = _read_header(view, len(view) - HEADER.size, path)  # V2: directory and header last
    directory = len(view) - HEADER.size - 32 * num_blobs
    if num_blobs == 0 or directory < ALIGNMENT:
        raise fault(path, f"the .sbs file has {num_blobs} blobs, whose directory does not fit in it")
    return num_blobs, directory, ALIGNMENT


def _read_header(view: memoryview, offset: int, path: Path) -> int:
    magic, num_blobs, file_bytes = HEADER.unpack_from(view, offset)
    if magic != MAGIC:
        raise fault(path, "the .sbs file does not end with its header: it is cut short or broken")
    if num_blobs > MAX_BLOBS or HEADER.size + 32 * num_blobs > len(view):
        raise fault(path, f"the .sbs header claims {num_blobs} blobs, more than fit")
    is_dummy = offset == 0 and num_blobs == 0
    if not is_dummy and file_bytes != len(view):
        raise fault(path, f"the .sbs header says {file_bytes} bytes, the file has {len(view)}: cut short or broken")
    return int(num_blobs)


def _round_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _key(raw: bytes, path: Path) -> str:
    key = raw.rstrip(b"\0")
    if not key or not all(0x21 <= byte <= 0x7E for byte in key):
        raise fault(path, f"the .sbs directory has the key {raw!r}, which is no name")
    return key.decode("ascii")
