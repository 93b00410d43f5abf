"""Which call a piece of a streamed tool call belongs to, for every protocol. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...types import ToolCallDelta


class ToolCallPieces:
    """Numbers the calls of one answer, and tells each call's id and name once.

    Protocols number the calls, and give id and name with the first piece of each. Some servers give no numbers, or 0
    for each; some repeat the id or the name in every piece, or make a new id for each.
    """

    __slots__ = ("_by_id", "_by_number", "_last_index", "_told")

    def __init__(self) -> None:
        self._by_id: dict[Any, int] = {}
        self._by_number: dict[Any, int] = {}
        self._told: set[tuple[int, str]] = set()
        self._last_index = -1

    def __len__(self) -> int:
        return self._last_index + 1

    def whole(
        self, id: str | None, name: str | None, arguments: Any, data: Mapping[str, Any] | None = None
    ) -> ToolCallDelta:
        """A call that came in one piece: the next one, whatever its id."""
        self._last_index += 1
        return ToolCallDelta(self._last_index, id or None, name or None, _text(arguments), data or {})

    def piece(
        self,
        number: Any,
        id: str | None,
        name: str | None,
        arguments: Any,
        data: Mapping[str, Any] | None = None,
    ) -> ToolCallDelta:
        """A piece as the server numbered it (None: not at all). `arguments` are text, or the object itself."""
        id, name = id or None, name or None
        index = self._index(number, id, name)
        self._last_index = max(self._last_index, index)
        return ToolCallDelta(
            index, self._once(index, "id", id), self._once(index, "name", name), _text(arguments), data or {}
        )

    def _once(self, index: int, what: str, value: str | None) -> str | None:
        if value is None or (index, what) in self._told:
            return None
        self._told.add((index, what))
        return value

    def _index(self, given: Any, id: Any, name: Any) -> int:
        if id in self._by_id:
            return self._by_id[id]
        known = self._by_number.get(given)
        begins = known is None or (id is not None and name is not None)
        if given is None and known is not None and id is None:
            begins = name is not None
        if known is not None and not begins:
            return known
        free = isinstance(given, int) and given > self._last_index
        index = int(given) if free else self._last_index + 1
        self._by_number[given] = index
        if id is not None:
            self._by_id[id] = index
        return index


def _text(arguments: Any) -> str:
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(arguments, ensure_ascii=False)
