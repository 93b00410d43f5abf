"""The peer: llama.cpp through llama-cpp-python, measured over its own C interface. Run by native.py, in a process of
its own; commands come as lines of JSON, results go back the same way (see native_worker.py)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import llama_cpp
import numpy as np
from native_worker import Runner, serve

MAX_SEQUENCES = 16
# llama.cpp logs each step of a load to the standard error.
_quiet = llama_cpp.llama_log_callback(lambda level, text, user: None)


class LlamaCpp(Runner):
    """One model and one context, with room for 16 sequences."""

    name = "llama.cpp"

    def __init__(self, path: str, threads: int, context: int) -> None:
        llama_cpp.llama_log_set(_quiet, ctypes.c_void_p(0))
        self._model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        if not self._model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = context, 512, 512
        params.n_threads = params.n_threads_batch = threads
        params.n_seq_max = MAX_SEQUENCES
        params.kv_unified = True
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        vocab = llama_cpp.llama_model_get_vocab(self._model)
        self._vocab = vocab
        self.vocab_size = llama_cpp.llama_vocab_n_tokens(vocab)
        self._batch = llama_cpp.llama_batch_init(512, 0, 1)

    def tokenize(self, text: str) -> list[int]:
        data = text.encode()
        ids = (llama_cpp.llama_token * 64)()
        count = llama_cpp.llama_tokenize(self._vocab, data, len(data), ids, 64, True, True)
        return list(ids[:count])

    def clear(self) -> None:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)

    def truncate(self, sequence: int, length: int) -> None:
        llama_cpp.llama_memory_seq_rm(llama_cpp.llama_get_memory(self._context), sequence, length, -1)

    def append(self, rows: Sequence[tuple[int, int, Sequence[int]]]) -> list[int]:
        tokens = [
            (sequence, start + i, id, i + 1 == len(ids)) for sequence, start, ids in rows for i, id in enumerate(ids)
        ]
        drawn: list[int] = []
        for begin in range(0, len(tokens), 512):
            drawn += self._decode(tokens[begin : begin + 512])
        return drawn

    def _decode(self, tokens: Sequence[tuple[int, int, int, bool]]) -> list[int]:
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i, (sequence, position, id, last) in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.logits[i] = id, position, last
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
        if llama_cpp.llama_decode(self._context, batch) != 0:
            raise SystemExit("llama.cpp: llama_decode failed")
        return [self._likeliest(i) for i, token in enumerate(tokens) if token[3]]

    def _likeliest(self, row: int) -> int:
        logits = llama_cpp.llama_get_logits_ith(self._context, row)
        return int(np.argmax(np.ctypeslib.as_array(logits, (self.vocab_size,))))

    def close(self) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)


def _open(path: str, threads: int, context: int) -> Runner:
    return LlamaCpp(path, threads, context)


if __name__ == "__main__":
    serve(_open)
