"""The front of a GGUF file: a cursor over it, and the typed metadata.

Metadata stay in the map until they are asked for: a vocabulary of 262,144 strings is walked over (each length must
fit), not built. docs/formats/gguf.md describes the format and what is checked.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..reading.view import fault

MAX_ENTRIES = 4096  # of metadata; real files have some 40
MAX_STRINGS = 1 << 22  # in all arrays together; a vocabulary with its merges has below a million
MAX_NAME_BYTES = 256
MAX_TEXT_BYTES = 4 << 20  # of one string that is decoded

_STRING, _ARRAY = 8, 9
_BOOL = 7
# The code of a metadata value's type -> its struct format.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_SIZES = {code: struct.calcsize("<" + form) for code, form in _SCALARS.items()}
_FLOATS = (6, 12)

_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class GgufArray:
    """An array of the metadata where it lies: `count` items in `data`, strings with their lengths before them."""

    key: str
    code: int
    count: int
    data: memoryview
    path: Path

    def strings(self) -> Iterator[bytes]:
        """The items, one after the other. Raises `ModelLoadError` where they are no strings."""
        if self.code != _STRING:
            raise fault(self.path, f"the metadata's {self.key} is not an array of strings")
        view, at, length_at = self.data, 0, _U64.unpack_from
        for _ in range(self.count):
            begin = at + 8
            at = begin + length_at(view, at)[0]
            yield bytes(view[begin:at])

    def numbers(self) -> tuple[int | float, ...]:
        """The items. Raises `ModelLoadError` where they are no numbers."""
        if self.code == _STRING:
            raise fault(self.path, f"the metadata's {self.key} is not an array of numbers")
        return struct.unpack(f"<{self.count}{_SCALARS[self.code]}", self.data)


@dataclass(frozen=True, slots=True)
class _Entry:
    code: int
    begin: int
    end: int
    item_code: int = -1
    count: int = 0


class GgufMetadata:
    """The metadata of a file by key, each decoded when it is asked for; a wrong type is a `ModelLoadError`."""

    def __init__(self, entries: Mapping[str, _Entry], view: memoryview, path: Path) -> None:
        self._entries, self._view, self.path = entries, view, path

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def text(self, key: str) -> str | None:
        """A string, or None where the key is not there."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.code != _STRING:
            raise self._wrong(key, "a string")
        if entry.end - entry.begin > MAX_TEXT_BYTES:
            raise self._wrong(key, f"a string of at most {MAX_TEXT_BYTES} bytes")
        try:
            return str(self._view[entry.begin : entry.end], "utf-8")
        except UnicodeDecodeError:
            raise self._wrong(key, "UTF-8 text") from None

    def integer(self, key: str) -> int | None:
        """A whole number, or None where the key is not there."""
        value = self._scalar(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise self._wrong(key, "a whole number")
        return value

    def number(self, key: str) -> float | None:
        """A finite number, or None where the key is not there."""
        value = self._scalar(key)
        if value is None:
            return None
        if isinstance(value, bool) or not math.isfinite(value):
            raise self._wrong(key, "a finite number")
        return float(value)

    def flag(self, key: str) -> bool | None:
        """True or false, or None where the key is not there."""
        value = self._scalar(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def is_array(self, key: str) -> bool:
        """Whether the key holds an array."""
        return key in self._entries and self._entries[key].code == _ARRAY

    def array(self, key: str) -> GgufArray | None:
        """An array, or None where the key is not there."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.code != _ARRAY:
            raise self._wrong(key, "an array")
        return GgufArray(key, entry.item_code, entry.count, self._view[entry.begin : entry.end], self.path)

    def _scalar(self, key: str) -> int | float | bool | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.code not in _SCALARS:
            raise self._wrong(key, "a single number")
        value: int | float = struct.unpack_from("<" + _SCALARS[entry.code], self._view, entry.begin)[0]
        return bool(value) if entry.code == _BOOL else value

    def _wrong(self, key: str, wanted: str) -> Exception:
        return fault(self.path, f"the metadata's {key} is not {wanted}")


# ------------------------------------------------------------------------------------------------------------ reading
class Cursor:
    """Reads a header from front to back and never past the file's end."""

    def __init__(self, view: memoryview, path: Path) -> None:
        self.view, self.path, self.at = view, path, 0

    @property
    def left(self) -> int:
        return len(self.view) - self.at

    def u32(self) -> int:
        value: int = _U32.unpack_from(self.view, self._advance(4))[0]
        return value

    def u64(self) -> int:
        value: int = _U64.unpack_from(self.view, self._advance(8))[0]
        return value

    def skip(self, size: int) -> None:
        self._advance(size)

    def name(self, what: str) -> str:
        size = self.u64()
        if not 0 < size <= MAX_NAME_BYTES:
            raise fault(self.path, f"the GGUF header has {what} of {size} bytes; 1 to {MAX_NAME_BYTES} are possible")
        begin = self._advance(size)
        try:
            name = str(self.view[begin : self.at], "utf-8")
        except UnicodeDecodeError:
            raise fault(self.path, f"the GGUF header has {what} that is not UTF-8 text") from None
        if not name.isprintable():
            raise fault(self.path, f"the GGUF header has {what} that is not printable")
        return name

    def skip_strings(self, count: int, key: str) -> None:
        """Walk over an array of strings; nothing is built for them."""
        view, at, length_at, end = self.view, self.at, _U64.unpack_from, len(self.view)
        try:
            for _ in range(count):
                at += 8 + length_at(view, at)[0]
        except (struct.error, OverflowError, IndexError):
            at = end + 1
        if at > end:
            raise fault(self.path, f"a string of the metadata's {key} ends behind the file: it is cut short or broken")
        self.at = at

    def _advance(self, size: int) -> int:
        if size > self.left:
            raise fault(self.path, "the file ends within its GGUF header: it is cut short or broken")
        begin = self.at
        self.at += size
        return begin


def read_metadata(cursor: Cursor, count: int) -> GgufMetadata:
    """The metadata, `count` entries from where the cursor is. Raises `ModelLoadError`."""
    entries: dict[str, _Entry] = {}
    strings = 0
    for _ in range(count):
        key = cursor.name("a key")
        if key in entries:
            raise fault(cursor.path, f"the metadata have the key {key!r} twice")
        entry = _read_entry(cursor, key, MAX_STRINGS - strings)
        strings += entry.count if entry.item_code == _STRING else 0
        entries[key] = entry
    return GgufMetadata(entries, cursor.view, cursor.path)


def _read_entry(cursor: Cursor, key: str, strings_left: int) -> _Entry:
    code = cursor.u32()
    if code == _ARRAY:
        return _read_array(cursor, key, strings_left)
    if code == _STRING:
        size = cursor.u64()
    elif code in _SIZES:
        size = _SIZES[code]
    else:
        raise fault(cursor.path, f"the metadata's {key} has the unknown type {code}")
    begin = cursor.at
    cursor.skip(size)
    return _Entry(code, begin, cursor.at)


def _read_array(cursor: Cursor, key: str, strings_left: int) -> _Entry:
    item_code, count = cursor.u32(), cursor.u64()
    begin = cursor.at
    if item_code == _STRING:
        if count > strings_left or count * 8 > cursor.left:
            raise fault(cursor.path, f"the metadata's {key} claims {count} strings, more than possible here")
        cursor.skip_strings(count, key)
    elif item_code in _SIZES:
        cursor.skip(count * _SIZES[item_code])
    else:
        raise fault(cursor.path, f"the metadata's {key} is an array of the unsupported type {item_code}")
    return _Entry(_ARRAY, begin, cursor.at, item_code, count)
