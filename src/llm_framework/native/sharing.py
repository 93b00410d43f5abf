"""What requests have in common: a prompt goes on from the longest beginning of it that was read before, or that another
request is reading just now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..logs import get_logger
from .generation import Generation
from .prefix_cache import MIN_SHARED, PrefixCache, common_length

_log = get_logger(__name__)


class PrefixSharing:
    """Gives requests their first sequence, and keeps those that others can go on from. For the scheduler's thread."""

    def __init__(self, max_bytes: int) -> None:
        self.cache = PrefixCache(max_bytes)

    def is_ready(self, generation: Generation, active: Sequence[Generation]) -> bool:
        """Whether a request can take part in a step. False while another one reads the beginning of its prompt, which
        it will go on from. Where something was read already, the request has its sequence afterwards."""
        if generation.sequence is not None or not self.cache.max_bytes:
            return True
        if generation.leader is not None and _reads(generation.leader) and generation.leader.length < generation.shared:
            return False
        generation.leader = None
        if generation.looked_up:
            return True
        if not generation.reuses:
            generation.looked_up = True
            return True
        try:
            return self._begin(generation, active)
        except Exception as error:  # no memory, say: the prompt is read as if nothing were kept
            self._give_up(error)
            generation.looked_up = True
            return True

    def _begin(self, generation: Generation, active: Sequence[Generation]) -> bool:
        found = self.cache.find(generation.text)
        leader, shared = _leader(generation, active)
        if leader is not None and shared >= found.length + MIN_SHARED:
            if leader.length < shared:
                generation.leader, generation.shared = leader, shared
                return False
            generation.begin(leader.sequence.fork(shared, generation.capacity), shared)
        elif found.entry is not None:
            self.cache.touch(found.entry)
            generation.begin(found.entry.sequence.fork(found.length, generation.capacity), found.length)
        generation.branch = found.branch
        generation.looked_up = True
        return True

    def after_step(self, generations: Iterable[Generation]) -> None:
        """Keep what others can go on from: prompts that were read, and the points where prompts part ways."""
        for generation in generations:
            if not self.cache.max_bytes or generation.sequence is None:
                continue
            if 0 < generation.branch <= generation.length:
                self._keep_fork(generation, generation.branch)
                generation.branch = 0
            if generation.length == generation.num_prompt:
                self._keep_fork(generation, generation.length)

    def retire(self, generation: Generation) -> None:
        """Take the sequence of a request that has ended, and keep it where it is as it should be."""
        sequence, generation.sequence = generation.sequence, None
        generation.leader, generation.looked_up = None, False
        if sequence is None or not self.cache.max_bytes or sequence.length != generation.length:
            return
        tokens = generation.tokens[: generation.length]
        try:
            # An answer that ended among guesses that came true has read further than it goes.
            if len(tokens) == sequence.length or sequence.truncate(len(tokens)):
                self.cache.keep(tokens, sequence)
        except Exception as error:
            self._give_up(error)

    def _keep_fork(self, generation: Generation, length: int) -> None:
        try:
            fork = generation.sequence.fork(length, length)
            if fork is not None:
                self.cache.keep(generation.tokens[:length], fork)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Keeping is a help, and its failure no request's: let go of what is kept, and go on."""
        _log.warning("texts that were read could not be kept: %s: %s", type(error).__name__, error)
        self.cache.clear()


def _reads(generation: Generation) -> bool:
    """Whether a request is reading its prompt, or will in the next step."""
    waits = generation.decoding or generation.cancelled or generation.turn is not None
    return generation.looked_up and not waits


def _leader(generation: Generation, active: Sequence[Generation]) -> tuple[Generation | None, int]:
    """Of the requests that hold some of their prompt, or will, the one that has most in common with `generation`."""
    leader, longest = None, 0
    most = generation.num_prompt - 1
    for other in active:
        if other is generation or not other.looked_up or other.cancelled:
            continue
        shared = min(common_length(other.text, generation.text), most)
        if shared <= longest:
            continue
        if _reads(other) if other.length < shared else other.sequence.shortest <= shared:
            leader, longest = other, shared
    return leader, longest
