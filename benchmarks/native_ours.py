"""This package's engine, measured as native_worker.py says. Run by native.py, in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from native_worker import Runner, serve

from llm_framework.native import open_model
from llm_framework.native._native import Row, Sampler


class Native(Runner):
    """A model through `open_model`, its sequences through the engine's steps, as the scheduler takes them."""

    name = "llm-framework"

    def __init__(self, path: str, threads: int, context: int) -> None:
        self._model = open_model(path, num_threads=threads)
        self._context = min(context, self._model.config.max_seq_len)
        self.vocab_size = self._model.config.vocab_size
        self._sequences: dict[int, Any] = {}
        self._samplers: dict[int, Sampler] = {}

    def tokenize(self, text: str) -> list[int]:
        assert self._model.tokenizer is not None
        return list(self._model.tokenizer.encode(text))

    def clear(self) -> None:
        self._sequences.clear()

    def truncate(self, sequence: int, length: int) -> None:
        assert self._sequences[sequence].truncate(length)

    def append(self, rows: Sequence[tuple[int, int, Sequence[int]]]) -> list[int]:
        step = [Row(self._sequence(sequence), ids, self._sampler(sequence)) for sequence, _, ids in rows]
        return [drawn.token for drawn in self._model.engine.step(step) if drawn is not None]

    def _sequence(self, number: int) -> Any:
        if number not in self._sequences:
            self._sequences[number] = self._model.engine.new_sequence(self._context)
        return self._sequences[number]

    def _sampler(self, number: int) -> Sampler:
        return self._samplers.setdefault(number, Sampler(seed=1, temperature=0.0))

    def close(self) -> None:
        self._sequences.clear()
        self._model.close()


if __name__ == "__main__":
    serve(Native)
