"""The shortest way to end: from nothing, by a look at the schema; and from the middle of an answer, by a search.

Both work on bytes, whatever the tokens are. Neither promises the very shortest in every case; what they give is valid.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import count
from typing import Any

_MAX_DEPTH = 24
_MAX_CLOSING = 4096  # bytes
_MAX_STATES = 1500
_MAX_ALIKE = 2
_END = 256  # the byte vocabulary's end token

# What is tried first where a value ends or begins.
_OUTSIDE = b'}]"0123456789tfn-.[{:, \neE<'
_CLOSERS = frozenset(b")]}>'\"`/;\n.")
_USUAL = b")]}>'\"`/;\n.,:= <([{_-+*|&%$#@!?\\0129aAbexzEZ\t"
_MANY = 40
_INSIDE = b'"a0-AbcdefghijklmnopqrstuvwxyzBCDEFGHIJKLMNOPQRSTUVWXYZ123456789'


# ------------------------------------------------------------------------------------------------------ from a schema
def shortest_instance(schema: Any) -> str | None:
    """JSON of about the fewest characters that `schema` allows, or None where a look at it does not tell. It has to be
    checked: not every keyword is understood."""
    found = _Instances(schema).of(schema, 0)
    return found[1] if found else None


class _Instances:
    def __init__(self, root: Any) -> None:
        self._root = root

    def of(self, schema: Any, depth: int) -> tuple[int, str] | None:
        """Length and text, so that `min` finds the shortest."""
        if depth > _MAX_DEPTH or schema is False:
            return None
        found = [(len(text), text) for text in self._texts(schema, depth + 1) if text is not None]
        return min(found, default=None)

    def _texts(self, schema: Any, depth: int) -> Iterator[str | None]:
        if not isinstance(schema, Mapping):
            yield "0"
        elif isinstance(schema.get("$ref"), str):
            yield self._text(self._resolve(schema["$ref"]), depth)
        elif "const" in schema:
            yield _dumps(schema["const"])
        elif isinstance(schema.get("enum"), Sequence):
            yield from map(_dumps, schema["enum"])
        else:
            alternatives = schema.get("anyOf") or schema.get("oneOf")
            if isinstance(alternatives, Sequence):
                yield from (self._text(one, depth) for one in alternatives)
            yield from self._typed(schema, depth)

    def _text(self, schema: Any, depth: int) -> str | None:
        found = self.of(schema, depth)
        return found[1] if found else None

    def _typed(self, schema: Mapping[str, Any], depth: int) -> Iterator[str | None]:
        kinds = schema.get("type")
        if kinds is None:
            kinds = ["object"] if "properties" in schema else ["array"] if "items" in schema else ["integer"]
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            if kind == "object":
                yield self._object(schema, depth)
            elif kind == "array":
                yield self._array(schema, depth)
            elif kind == "string":
                yield '"' + "a" * int(schema.get("minLength") or 0) + '"'
            elif kind in ("number", "integer"):
                yield from _numbers(schema)
            elif kind == "boolean":
                yield "true"
            elif kind == "null":
                yield "null"

    def _object(self, schema: Mapping[str, Any], depth: int) -> str | None:
        declared = schema.get("properties") or {}
        required = list(schema.get("required") or ())
        names = [name for name in declared if name in required] + [name for name in required if name not in declared]
        members: list[str] = []
        for name in names:
            text = self._text(declared.get(name, True), depth)
            if text is None:
                return None
            members.append(f"{_dumps(name)}: {text}")
        return "{" + ", ".join(members) + "}"

    def _array(self, schema: Mapping[str, Any], depth: int) -> str | None:
        num_items = int(schema.get("minItems") or 0)
        first = list(schema.get("prefixItems") or ())[:num_items]
        items = [self._text(one, depth) for one in first]
        if num_items > len(items):
            items += [self._text(schema.get("items", True), depth)] * (num_items - len(items))
        return None if None in items else "[" + ", ".join(str(item) for item in items) + "]"

    def _resolve(self, ref: str) -> Any:
        found = self._root
        for step in ref.lstrip("#").split("/")[1:]:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found if ref.startswith("#") and found is not None else False


def _numbers(schema: Mapping[str, Any]) -> Iterator[str]:
    bounds = [schema.get(key) for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")]
    numbers = [bound for bound in bounds if isinstance(bound, (int, float)) and not isinstance(bound, bool)]
    low = max((n for n in (bounds[0], bounds[2]) if n in numbers), default=None)
    high = min((n for n in (bounds[1], bounds[3]) if n in numbers), default=None)
    for number in (0, *numbers, *(int(n) + d for n in numbers for d in (-1, 1))):
        if (low is None or number >= low) and (high is None or number <= high):
            yield _dumps(number)


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


# ------------------------------------------------------------------------------------------------- from a matcher state
def closing(matcher: Any, scan: JsonScan | None, endings: Iterable[bytes] = ()) -> bytes | None:
    """Bytes that end the text on which `matcher` (llguidance's, over single bytes) stands; None where none are found.

    `scan` has read the same text; None: it is no JSON. `endings` ended the text shortly before: mostly few bytes lead
    back to one of them.
    """
    if scan is not None:
        found = _direct(matcher, scan.copy())
        return _search(matcher, endings) if found is None else found
    found = _search(matcher, endings)
    return _direct(matcher, JsonScan()) if found is None else found


def _direct(matcher: Any, scan: JsonScan) -> bytes | None:
    """Always the byte that closes most: right for JSON but for odd patterns."""
    state, path = matcher.deep_copy(), bytearray()
    while not state.is_accepting():
        forced = state.compute_ff_bytes()
        if not forced:
            choice = _choose(state, allowed_bytes(state), scan.in_string, path)
            forced = bytes([choice]) if choice is not None else b""
        if not forced or len(path) > _MAX_CLOSING or not state.consume_tokens(list(forced)):
            return None
        path += forced
        scan.feed(forced)
    return bytes(path)


def allowed_bytes(matcher: Any) -> list[int]:
    """The bytes that may come next."""
    return [byte for byte, bias in enumerate(matcher.compute_logit_bias()[:_END]) if bias]


def _choose(state: Any, allowed: list[int], in_string: bool, path: bytearray) -> int | None:
    if not allowed:
        return None
    if in_string and 0x22 not in allowed and len(allowed) <= 12:
        return min(allowed, key=lambda byte: _forced_length(state, byte))
    order = _INSIDE if in_string else _OUTSIDE
    if not in_string and path.endswith(b"000"):
        order = b"}],9" + order  # not to write 0.0000 for ever where the number has to be above 0
    return next((byte for byte in order if byte in allowed), allowed[0])


def _forced_length(state: Any, byte: int) -> int:
    branch = state.deep_copy()
    branch.consume_token(byte)
    return len(branch.compute_ff_bytes())


def _search(matcher: Any, endings: Iterable[bytes]) -> bytes | None:
    """Shortest first: among the usual bytes, and where that finds nothing, among all."""
    found = _Search(matcher, _usual, endings).run()
    return _Search(matcher, sorted, endings).run() if found is None else found


def is_whole(matcher: Any, text: bytes) -> bool:
    """Whether the text on which `matcher` stands may end after `text`."""
    state = matcher.deep_copy()
    return bool(state.consume_tokens(list(text))) and bool(state.is_accepting())


def _usual(allowed: list[int]) -> list[int]:
    """Of many bytes a few: what may close something first, as of states that look the same the earliest are kept."""
    if len(allowed) <= _MANY:
        return sorted(allowed, key=lambda byte: byte not in _CLOSERS)
    choice = set(allowed)
    return [byte for byte in _USUAL if byte in choice] or allowed


class _Search:
    """A search for the shortest end. Where a text stands in its grammar cannot be seen, so states of the same length
    count as alike where they, and those they came from, allow the same bytes; a few of each kind are kept."""

    def __init__(self, matcher: Any, choose: Callable[[list[int]], list[int]], endings: Iterable[bytes]) -> None:
        self._choose = choose
        self._endings = [ending[at:] for ending in endings for at in range(min(3, len(ending)))]
        self._order = count()
        self._queue: list[tuple[int, int, bytes, Any, Hashable]] = []
        self._seen: Counter[Hashable] = Counter()
        self._num_states = 0
        self._push(matcher.deep_copy(), b"", (None, None))

    def run(self) -> bytes | None:
        """The end; None where there is none, or none near enough."""
        while self._queue and self._num_states < _MAX_STATES:
            _, _, path, state, kinds = heapq.heappop(self._queue)
            if state.is_accepting():
                return path
            found = next((ending for ending in self._endings if is_whole(state, ending)), None)
            if found is not None:
                return path + found
            for byte in self._choose(allowed_bytes(state)):
                branch = state.deep_copy()
                branch.consume_token(byte)
                forced = b"" if branch.is_accepting() else branch.compute_ff_bytes()
                branch.consume_tokens(list(forced))
                self._push(branch, path + bytes([byte]) + forced, kinds)
        return None

    def _push(self, state: Any, path: bytes, kinds: Any) -> None:
        kinds = (*kinds[-2:], (state.is_accepting(), hash(state.compute_logit_bias())))
        key = (len(path), kinds)
        self._seen[key] += 1
        if self._seen[key] <= _MAX_ALIKE and len(path) <= _MAX_CLOSING and not state.is_error():
            self._num_states += 1
            heapq.heappush(self._queue, (len(path), next(self._order), path, state, kinds))


class JsonScan:
    """Where a JSON text, given in pieces, stands: inside of a string or not, how far in a number."""

    MAX_DIGITS = 19  # before the point; enough for every 64-bit integer
    MAX_FRACTION = 17
    MAX_EXPONENT = 2  # with three the number may be infinite to whoever reads it
    _REPEATED, _LONGEST_PIECE = 256, 32  # bytes

    def __init__(self, in_string: bool = False) -> None:
        self.in_string = in_string
        self.digits_left = self.MAX_DIGITS
        """How many digits may follow until the number is longer than anybody wants."""
        self._escaped = False
        self._tail = b""  # of the string

    def copy(self) -> JsonScan:
        """Another one that stands at the same place."""
        return copy(self)

    def feed(self, text: bytes) -> None:
        """Take the next bytes."""
        for byte in text:
            if self._escaped:
                self._escaped = False
            elif byte == 0x5C and self.in_string:
                self._escaped = True
            elif byte == 0x22:
                self.in_string = not self.in_string
                self._tail = b""
            elif not self.in_string:
                self._feed_number(byte)
        if self.in_string:
            self._tail = (self._tail + text[text.rfind(b'"') + 1 :])[-self._REPEATED :]

    def repeats(self) -> bool:
        """Whether the string that is open says the same over and over."""
        tail = self._tail
        if len(tail) < self._REPEATED:
            return False
        return any(tail[size:] == tail[:-size] for size in range(1, self._LONGEST_PIECE + 1))

    def _feed_number(self, byte: int) -> None:
        if 0x30 <= byte <= 0x39:
            self.digits_left -= 1
        elif byte == 0x2E:
            self.digits_left = self.MAX_FRACTION
        elif byte in b"eE":
            self.digits_left = self.MAX_EXPONENT
        elif byte not in b"+-":
            self.digits_left = self.MAX_DIGITS
