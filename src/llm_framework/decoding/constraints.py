"""Constrained decoding: which tokens may come next, so that an answer has the form that was asked for.

A `ConstraintCompiler` belongs to a model's vocabulary; it compiles grammars and keeps the last ones. A `Constraint`
belongs to one answer. Before each token it gives a mask; each token that was drawn is committed to it.

An answer always ends within its budget: a constraint knows a way to end from where the text stands, and a token after
which no way is short enough is replaced by the first one of that way. All else stays the model's choice.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InvalidRequestError, StructuredOutputError, UnsupportedFeatureError
from ..logs import get_logger
from ..types import InferenceRequest, ToolSpec
from . import lark
from .grammars import Marker, answer_grammar, call_rest_grammar, calls_grammar, literal
from .matchers import byte_tokenizer, llguidance_tokenizer, matcher
from .shortest import JsonScan, closing, is_whole, shortest_instance
from .tool_calls import CALL_START

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .runaway import RunawayGuard

MAX_CACHED = 128
LARGE_VOCABULARY = 32_768  # tokens; below that preparing takes less than it would cost those who need no constraints
_NEXT_PART = re.compile(rb"[,}\]]")
_MAX_SPLITS = 1024
_LONGEST_TOKEN = 64  # bytes; of the tokens that a way to end is made of


_log = get_logger(__name__)


class Vocabulary(Protocol):
    """What is needed of a tokenizer (`native.tokenizer.Tokenizer` has it)."""

    @property
    def specials(self) -> Mapping[str, int]:
        """The special tokens' names and ids."""

    def encode(self, text: str, *, add_bos: bool = False, parse_special: bool = True) -> list[int]:
        """The ids of a text."""

    def token_bytes(self, id: int) -> bytes:
        """What a token stands for."""

    def is_special(self, id: int) -> bool:
        """Whether the token is a special one."""


class Constraint(Protocol):
    """What a decoding loop needs: for every token first `mask`, then `commit`, never two calls at the same time."""

    def mask(self) -> NDArray[np.uint32] | None:
        """The tokens that may come next, a bit each, lowest first; None: all. Raises `StructuredOutputError` where the
        grammar proves too much for its limits."""

    def commit(self, token: int, num_left: int) -> int | None:
        """Take the token that was drawn, with room for `num_left` more. Returns the token that counts: the same one,
        but where the answer could not be ended in time. None: the answer ends before this token."""

    def is_done(self) -> bool:
        """The answer is whole, and nothing may follow."""

    def may_end(self) -> bool:
        """The answer is whole as it is."""


@dataclass(frozen=True)
class _Compiled:
    """A grammar over the model's tokens, and the same one over bytes, in which ways to end are looked for."""

    tokens: Any
    text: Any
    shortest: bytes | None  # from the start
    is_json: bool


class ConstraintCompiler:
    """Makes constraints for one vocabulary of `vocab_size` ids. `eos_ids` end an answer. Callable from any thread;
    compiling takes milliseconds, so not from an event loop's."""

    def __init__(self, vocabulary: Vocabulary, vocab_size: int, eos_ids: Iterable[int]) -> None:
        self.vocab_size = vocab_size
        self._vocabulary = vocabulary
        self._eos_ids = sorted(eos_ids)
        self._lock = threading.Lock()
        self._building = threading.Lock()
        self._cache: OrderedDict[str, _Compiled] = OrderedDict()
        self._tokenizer: Any = None
        self._guard: RunawayGuard | None = None
        self._preparing: threading.Thread | None = None
        self._by_bytes: dict[bytes, int] = {}
        self._splits: dict[bytes, tuple[int, ...]] = {}

    def prepare(self) -> None:
        """Begin, in a thread, what the first constraint of a large vocabulary would take seconds for."""
        if self.vocab_size >= LARGE_VOCABULARY and self._preparing is None:
            self._preparing = threading.Thread(target=self._prepare, name="llm-framework constraints")
            self._preparing.start()

    def close(self) -> None:
        """Wait until that has ended. Safe to call twice."""
        if self._preparing is not None and self._preparing is not threading.current_thread():
            self._preparing.join()

    def _prepare(self) -> None:
        try:
            self._llguidance_tokenizer()
        except Exception as error:  # the first request that needs it fails with the same, and can be told
            _log.debug("constraints could not be prepared: %s", error)

    def for_request(self, request: InferenceRequest, tools: Sequence[ToolSpec], max_tokens: int) -> Constraint | None:
        """The constraint of a request that offers `tools`, None where it asks for nothing.

        Raises `UnsupportedFeatureError` for a schema that cannot be enforced, with the reason, and
        `InvalidRequestError` where `max_tokens` is too little for any answer of the form.
        """
        if tools and request.tool_choice not in (None, "auto"):
            return self._fixed(calls_grammar, tools, _shortest_call(tools), max_tokens, "tool_choice")
        if request.response_format is not None:
            form = request.response_format
            if form.lark is not None:
                lark.check(form.lark)
            shortest = None if form.schema is None else shortest_instance(form.schema)
            build = _answer_builder(request)
            return self._fixed(build, tools, shortest, max_tokens, "response_format", form.schema is not None)
        if not tools:
            return None
        return CallConstraint(self, self.compile(call_rest_grammar, tools, None, "tools"), max_tokens)

    def compile(
        self,
        build: Callable[[Sequence[ToolSpec], Marker], str],
        tools: Sequence[ToolSpec],
        shortest: str | None,
        feature: str,
        is_json: bool = True,
    ) -> _Compiled:
        """The grammar that `build` writes, compiled, from the cache where it was used lately."""
        try:
            source = build(tools, self._marker)
        except UnsupportedFeatureError as error:
            raise UnsupportedFeatureError(f"{feature} cannot be enforced: {error}", feature=feature) from None
        with self._lock:
            found = self._cache.get(source)
            if found is not None:
                self._cache.move_to_end(source)
                return found
        compiled = self._compile(source, build(tools, literal), shortest, feature, is_json)
        with self._lock:
            self._cache[source] = compiled
            while len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return compiled

    @property
    def guard(self) -> RunawayGuard:
        """What keeps numbers and strings from running away; there once a grammar was compiled."""
        assert self._guard is not None
        return self._guard

    def special(self, name: str) -> int | None:
        """The id of a special token, or None."""
        return self._vocabulary.specials.get(name)

    def token_bytes(self, token: int) -> bytes:
        """What a token stands for."""
        return self._vocabulary.token_bytes(token)

    def split(self, text: bytes) -> tuple[int, ...]:
        """Tokens that stand for `text`, always the longest one that fits."""
        found = self._splits.get(text)
        if found is None:
            if len(self._splits) >= _MAX_SPLITS:
                self._splits.clear()
            found = self._splits[text] = tuple(self._split(text))
        return found

    def _split(self, text: bytes) -> list[int]:
        by_bytes, tokens, at = self._by_bytes, [], 0
        while at < len(text):
            ends = range(min(len(text), at + _LONGEST_TOKEN), at, -1)
            end = next((end for end in ends if text[at:end] in by_bytes), None)
            if end is None:
                raise UnsupportedFeatureError(f"the model has no token for the byte {text[at]}", feature="constraints")
            tokens.append(by_bytes[text[at:end]])
            at = end
        return tokens

    def _fixed(
        self, build: Any, tools: Sequence[ToolSpec], shortest: str | None, max_tokens: int, feature: str,
        is_json: bool = True,
    ) -> FixedConstraint:  # fmt: skip
        compiled = self.compile(build, tools, shortest, feature, is_json)
        constraint = FixedConstraint(self, compiled)
        if constraint.num_needed is None and not is_json:
            message = f"{feature} cannot be enforced: no text of it was found that comes to an end"
            raise UnsupportedFeatureError(message, feature=feature)
        if constraint.num_needed is not None and constraint.num_needed > max_tokens:
            message = (
                f"max_tokens leaves room for {max_tokens} tokens, and the shortest answer that {feature} allows needs "
                f"{constraint.num_needed}"
            )
            raise InvalidRequestError(message)
        return constraint

    def _compile(self, source: str, text_source: str, shortest: str | None, feature: str, is_json: bool) -> _Compiled:
        tokens = _matcher(self._llguidance_tokenizer(), source, feature)
        text = _matcher(byte_tokenizer(), text_source, feature)
        ways = [closing(text, JsonScan() if is_json else None)]
        if shortest is not None and is_whole(text, shortest.encode()):
            ways.append(shortest.encode())
        known = [way for way in ways if way is not None]
        return _Compiled(tokens, text, min(known, key=lambda way: len(self.split(way)), default=None), is_json)

    def _llguidance_tokenizer(self) -> Any:
        with self._building:
            if self._tokenizer is None:
                words = [self._vocabulary.token_bytes(id) for id in range(self.vocab_size)]
                specials = [id for id in range(self.vocab_size) if self._vocabulary.is_special(id)]
                markers = {self._vocabulary.token_bytes(id): id for id in specials if id not in self._eos_ids}
                plain = {
                    word: id for id, word in zip(range(len(words) - 1, -1, -1), reversed(words), strict=True) if word
                }
                self._by_bytes = {**plain, **markers}
                self._guard = _runaway_guard(words)
                self._tokenizer = llguidance_tokenizer(words, specials, self._eos_ids, self._encode)
            return self._tokenizer

    def _encode(self, text: bytes) -> list[int]:
        return self._vocabulary.encode(text.decode("utf-8", "replace"), parse_special=False)

    def _marker(self, name: str) -> str:
        special = self.special(name)
        return literal(name) if special is None else f"<[{special}]>"


class FixedConstraint:
    """The whole answer follows one grammar. `num_needed` is how many tokens its shortest way to end has from where the
    answer stands, None where no way is known."""

    def __init__(self, compiler: ConstraintCompiler, compiled: _Compiled) -> None:
        self._compiler = compiler
        self._matcher = compiled.tokens.deep_copy()
        self._text = compiled.text.deep_copy()
        self._scan = JsonScan() if compiled.is_json else None
        self._ending = self._found = compiled.shortest

    @property
    def num_needed(self) -> int | None:
        """See the class."""
        return None if self._ending is None else len(self._compiler.split(self._ending))

    def mask(self) -> NDArray[np.uint32] | None:
        """The tokens that the grammar allows."""
        import numpy as np

        mask = np.zeros((self._compiler.vocab_size + 31) // 32, dtype=np.uint32)
        self._matcher.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
        if self._matcher.is_error() or not mask.any():
            reason = self._matcher.get_error() or "no token may follow"
            raise StructuredOutputError(f"the grammar cannot be followed: {reason.splitlines()[0]}")
        if self._scan is None:
            return mask
        next_token = self._compiler.split(self._ending)[0] if self._ending else None
        return self._compiler.guard.narrowed(mask, self._scan, next_token)

    def commit(self, token: int, num_left: int) -> int | None:
        """See `Constraint`."""
        ending = self._ending_after(self._compiler.token_bytes(token))
        if not self._fits(ending, num_left) and self._fits(self._ending, num_left + 1):
            if not self._ending:  # it is whole, and what the token begins would not become so
                return None
            token = self._compiler.split(self._ending)[0]
            ending = self._ending[len(self._compiler.token_bytes(token)) :]
        self._ending = ending
        word = self._compiler.token_bytes(token)
        if not self._matcher.consume_token(token) or not self._text.consume_tokens(list(word)):
            raise StructuredOutputError("a token was drawn that the grammar does not allow")
        if self._scan is not None:
            self._scan.feed(word)
        return token

    def is_done(self) -> bool:
        """See `Constraint`."""
        return bool(self._matcher.is_stopped())

    def may_end(self) -> bool:
        """See `Constraint`."""
        return bool(self._matcher.is_accepting())

    def _fits(self, ending: bytes | None, num_left: int) -> bool:
        if ending is None:
            return False
        return len(ending) <= num_left or len(self._compiler.split(ending)) <= num_left

    def _ending_after(self, word: bytes) -> bytes | None:
        """A way to end after `word`: what is left of the last one, or the last one still, or the end of it where
        `word` stands for its beginning (another number), or a new one."""
        ending = self._ending
        if ending and ending.startswith(word):
            return ending[len(word) :]
        text = self._text.deep_copy()
        if not text.consume_tokens(list(word)):
            return None
        if ending is not None:
            next_part = _NEXT_PART.search(ending, 1)
            for at in (0, next_part.start()) if next_part else (0,):
                if is_whole(text, ending[at:]):
                    return ending[at:]
        scan = None
        if self._scan is not None:
            scan = self._scan.copy()
            scan.feed(word)
        found = closing(text, scan, [known for known in (ending, self._found) if known])
        self._found = found or self._found
        return found


class CallConstraint:
    """Text is free; what follows the marker of a call is held to the grammar of the tools, until the call ends. Where
    the marker is one token, it is forbidden once no call fits into what is left."""

    def __init__(self, compiler: ConstraintCompiler, compiled: _Compiled, max_tokens: int) -> None:
        self._num_left = max_tokens
        self._num_needed = FixedConstraint(compiler, compiled).num_needed or 0
        self._compiler = compiler
        self._compiled = compiled
        self._call: FixedConstraint | None = None
        self._tail = b""

    def mask(self) -> NDArray[np.uint32] | None:
        """See `Constraint`; outside of calls almost everything."""
        if self._call is not None:
            return self._call.mask()
        marker = self._compiler.special(CALL_START)
        if marker is None or self._num_left > self._num_needed:
            return None
        import numpy as np

        mask = np.full((self._compiler.vocab_size + 31) // 32, 0xFFFFFFFF, dtype=np.uint32)
        mask[marker // 32] &= np.uint32(0xFFFFFFFF ^ (1 << (marker % 32)))
        return mask

    def commit(self, token: int, num_left: int) -> int | None:
        """See `Constraint`."""
        self._num_left = num_left
        if self._call is not None:
            taken = self._call.commit(token, num_left)
            if self._call.may_end():
                self._call = None
            return taken
        start = CALL_START.encode()
        text = self._tail + self._compiler.token_bytes(token)
        _, found, rest = text.rpartition(start)
        self._tail = b"" if found else text[1 - len(start) :]
        if found:
            self._begin(rest)
        return token

    def is_done(self) -> bool:
        """Never: the model ends its turn itself."""
        return False

    def may_end(self) -> bool:
        """See `Constraint`."""
        return self._call is None

    def _begin(self, rest: bytes) -> None:
        """A call that begins with `rest`, where a token reached beyond the marker. A beginning that fits no tool leaves
        the call free: it is the parser's to say what is wrong with it."""
        call = FixedConstraint(self._compiler, self._compiled)
        try:
            for token in self._compiler.split(rest):
                call.commit(token, self._compiler.vocab_size)
        except StructuredOutputError:
            return
        self._call = call


def _runaway_guard(words: list[bytes]) -> RunawayGuard:
    from .runaway import RunawayGuard  # it imports numpy, which loading a model does without

    return RunawayGuard(words)


def _answer_builder(request: InferenceRequest) -> Callable[[Sequence[ToolSpec], Marker], str]:
    form = request.response_format
    assert form is not None
    return lambda tools, marker: answer_grammar(form, tools, marker)


def _shortest_call(tools: Sequence[ToolSpec]) -> str | None:
    """The shortest call of the tools whose arguments a look at the schema tells."""
    import json

    from .tool_calls import CALL_END

    calls = []
    for tool in tools:
        arguments = shortest_instance({"type": "object", **tool.parameters})
        if arguments is not None:
            name = json.dumps(tool.name, ensure_ascii=False)
            calls.append(f'{CALL_START}{{"name": {name}, "arguments": {arguments}}}{CALL_END}')
    return min(calls, key=len, default=None)


def _matcher(tokenizer: Any, source: str, feature: str) -> Any:
    made = matcher(tokenizer, source)
    if made.is_error():
        raise UnsupportedFeatureError(f"{feature} cannot be enforced: {_reason(made.get_error())}", feature=feature)
    return made


_SCHEMA_FAULT = re.compile(r"failed to compile JSON schema: (.*?)(?: \d+ \| |$)")


def _reason(error: str) -> str:
    """llguidance's words; of a schema's fault without the grammar that we wrote around the schema."""
    text = " ".join(error.split())
    match = _SCHEMA_FAULT.search(text)
    return match.group(1) if match else text[:300]
