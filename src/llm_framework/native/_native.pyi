"""The C++ engine. It computes; files are read, requests queued and texts decoded in Python.

Every call that works for long releases the GIL. Arguments are checked at this border: a wrong shape, type or size
raises `ValueError`; nothing aborts the process.
"""

from collections.abc import Mapping
from collections.abc import Sequence as Seq
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

# Weight types, as the `type` of a tensor: "f32", "f16", "bf16"; gemma.cpp's "sfp" (8-bit switching float), "nuq" (4-bit
# indices of 16 values a group of 256) and "i8" (affine, groups of 128), whose groups run on over row ends; GGUF's
# blocks "q8_0", "q4_0", "q4_1", "q5_0", "q5_1" (of 32 values), "q4_k", "q5_k", "q6_k" (of 256), whole ones in a row;
# the engine's own "q8p" and "q4p", made by `pack_tensor`: blocks of 16 rows and 64 columns, for the int8 kernels.
# A tensor is (buffer, type, rows, cols, scale): packed row-major [rows, cols], the true value is decoded * scale.
Tensor = tuple[Any, str, int, int, float]

class RowsFailed(RuntimeError):
    """Rows of a step whose token could not be sampled: logits that are not finite, or none of which may be drawn.

    `rows` has for each row of the step what `step` returns for it or, where it failed, a sentence that says why. Every
    sequence holds its row's tokens (but no drafts that were not drawn).
    """

    rows: list[Sampled | str | None]

def cpu_isas() -> list[str]:
    """The kernel tables this processor can run, slowest first: "scalar"; then "avx2" and "avx512", or "neon"."""

def default_isa() -> str:
    """The kernel table that a `Model` uses unless told otherwise: the one that LLM_FRAMEWORK_ISA names, or the fastest.

    Raises `ValueError` where the variable names one that this processor does not run.
    """

def default_packs() -> bool:
    """Whether that table multiplies faster with packed weights than with a file's "q8_0" and "q4_0"."""

def read_bandwidth(num_bytes: int, num_threads: int = 0) -> float:
    """How fast `num_threads` threads (0: one a core) read a buffer of that size from memory, in bytes a second."""

def dot_peak(type: str, num_threads: int = 0) -> float:
    """How many multiply-adds a second `num_threads` threads (0: one a core) do in registers alone, of `type` "int8" or
    "bf16"; 0 where the kernel table in use has no such instructions."""

def pack_tensor(tensor: Tensor, type: str, out: Any = None, num_threads: int = 0) -> Any:
    """The tensor in the packed form `type`, "q8p" (8 bits) or "q4p" (4 bits), with one scale a row and group of 32.

    Returns `out`, or a new array of bytes where it is None; ceil(rows / 16) * ceil(cols / 64) * 1088 ("q8p") or 576
    ("q4p") bytes, fastest to read where they begin at a multiple of 64. The result stands for the same rows, columns
    and scale: `(packed, type, rows, cols, scale)` is a tensor. From "q8_0" to "q8p" and from "q4_0" to "q4p" nothing is
    lost; other types are rounded. Raises `ValueError` for a type that cannot be packed or an `out` of another size.
    """

def decode_tensor(tensor: Tensor) -> NDArray[np.float32]:
    """The tensor's values times its scale, as float32 [rows, cols]."""

@final
class Model:
    """Weights and a thread pool. Keeps the tensors' buffers exported (so their map cannot be closed) while it lives.

    `config` holds: num_layers, model_dim, vocab_size, max_seq_len (ints); ffn_dim, num_heads, num_kv_heads, head_dim
    (ints, or lists with one a layer);
    windows (per layer, in tokens; 0 is global), rope_bases and rope_scales (per layer, floats; position / scale);
    query_scale, embedding_scale, attention_softcap, final_softcap (floats; cap 0 is none), norm_eps;
    qk_norm, post_norms (bools); qkv_layout ("separate": all q heads, all k, all v; "kv_interleaved": all q heads, then
    k and v of each kv head in turn; "per_head": q, k, v of each head in turn). It may hold:
    rope_dims (per layer: how many values of a head are rotated, half of them at the front of each half of the head; all
    where left out); shared_kv (per layer: the earlier layer whose keys and values it reads, -1 for its own);
    values_are_keys (per layer, bools: "k" gives the values too, before its norm); value_norm (a bool: values are
    normed, without a weight); per_layer_dim (P, the size of per-layer embeddings; 0: none) and per_layer_vocab_size (T;
    tokens beyond have the row of token 0); gate_cutoff (per layer, floats: gates less than so many standard deviations
    above their mean are cut; -inf: none); num_experts (E; 0: none), top_k_experts, expert_dim (Fe); num_streams (N, of
    AltUp; 0: none), active_stream, laurel_rank (R).

    `tensors`: "embedding" [V, D]; optional "lm_head" [V, D] (else the embedding is tied); "final_norm" [1, D]; and per
    layer "layers.{i}." + "pre_attention_norm", "post_attention_norm", "pre_ffn_norm", "post_ffn_norm" [1, D] (post_*
    only with post_norms), "query_norm", "key_norm" [1, d] (with qk_norm; norm weights w apply as 1 + w);
    "qkv" [(H + 2K) d, D], or "q" [H d, D] and "kv" [2 K d, D], or "q", "k" [K d, D] and "v" [K d, D];
    "attention_out" [D, H d], or "attention_out_heads" [H D, d] (row h * D + m is output m's part of head h);
    "gate_up" [2F, D] (gate rows first), or "gate" [F, D] and "up" [F, D]; "down" [D, F]; optional "output_scale"
    [1, 1], by which the stream behind the layer is multiplied. Layers that share keys and values have "q" and no "k",
    "v", "key_norm". With per-layer embeddings: "per_layer_embedding" [T, layers * P], "per_layer_projection"
    [layers * P, D], "per_layer_norm" [1, P]; in each layer "per_layer_gate" [P, D], "per_layer_out" [D, P],
    "post_per_layer_norm" [1, D]. With experts, in each layer: "router_norm", "pre_experts_norm", "post_dense_norm",
    "post_experts_norm" [1, D], "router" [E, D], "expert_scales" [1, E], "experts_gate_up" [E * 2Fe, D],
    "experts_down" [E * D, Fe]. With streams: "stream_in.{s}", "stream_out.{s}" [D, D] for s from 1; in each layer
    "altup_router_norm", "laurel_norm" [1, D], "altup_router" [N, D], "altup_prediction" [N * N, N],
    "altup_correction" [N, N], optional "altup_output_scale" [1, D], "laurel_left" [R, D], "laurel_right" [D, R].
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        num_threads: int = 0,
        isa: str | None = None,
    ) -> None: ...
    @property
    def isa(self) -> str: ...
    @property
    def num_threads(self) -> int: ...
    def new_sequence(self, capacity: int) -> Sequence:
        """An empty KV cache for up to `capacity` tokens (memory is taken as it fills)."""

    def step(self, rows: Seq[Row], repeatable: bool = False) -> list[Sampled | None]:
        """One pass over the weights: append each row's tokens to its sequence; where the row has a sampler, sample the
        token that follows. A sequence may stand in one row only. One caller at a time. `repeatable`: a row's result is
        the same to the bit whatever stands beside it and however its text is divided over steps; prompts take longer.

        Raises `RowsFailed` where a row's token cannot be sampled; the others' are in it.
        """

    def logits(self, sequence: Sequence, tokens: Seq[int]) -> NDArray[np.float32]:
        """Append `tokens` and return the logits after each of them, float32 [len(tokens), V]."""

    def close(self) -> None:
        """Stop the threads and release the buffers. Later calls raise `ValueError`. Safe to call twice."""

@final
class Sequence:
    """The KV cache of one text."""

    @property
    def length(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    def truncate(self, length: int) -> bool:
        """Forget the tokens from `length` on. False (and nothing changed) where a sliding window's ring has already
        overwritten positions that the shorter text needs."""

    def clear(self) -> None: ...
    @property
    def shortest(self) -> int:
        """The shortest length above 0 that `truncate` and `fork` can go back to; 1 until a ring has wrapped."""

    def fork(self, length: int, capacity: int) -> Sequence | None:
        """A new sequence that begins with the first `length` tokens of this one. The memory is shared until one of the
        two writes to it. None where a sliding window's ring has overwritten what that needs."""

    def hold(self) -> int:
        """Keep the sequence as it is: it cannot change until `release`. Returns the bytes by which what all held
        sequences occupy together grew; memory that is shared counts once."""

    def release(self) -> int:
        """The reverse of `hold`, and the bytes by which what all held sequences occupy shrank."""

@final
class Sampler:
    """Draws tokens. The same seed and settings draw the same tokens from the same logits, alone or in a batch."""

    def __init__(
        self,
        seed: int,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        num_logprobs: int = -1,
        repetition_penalty: float = 1.0,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        logit_bias: Mapping[int, float] | None = None,
        min_tokens: int = 0,
        end_tokens: Seq[int] = (),
    ) -> None:
        """`temperature` 0 is greedy; `top_k` 0, `top_p` 1 and `min_p` 0 are off; `num_logprobs` -1 computes none, 0
        the chosen token's alone, n the n likeliest too. Penalties count the tokens given to `observe` and drawn.
        Until `min_tokens` were drawn none of `end_tokens` is, unless a mask leaves nothing else."""

    def observe(self, tokens: Seq[int]) -> None:
        """Count these tokens (the prompt's) for the repetition penalty."""

@final
class Row:
    """A part of a step: `tokens` to append to `sequence`; with `sampler`, what follows is sampled, from the tokens
    whose bit is set in `mask` (uint32 words, ceil(V / 32) of them, lowest bit first) where one is given.

    `drafts` (at most 31, not with a mask) are guesses at what will be drawn. As long as what is drawn is what was
    guessed, one more token is drawn behind the guess; it is the token that would be drawn without. The sequence then
    holds the guesses that came true."""

    def __init__(
        self,
        sequence: Sequence,
        tokens: Seq[int],
        sampler: Sampler | None = None,
        mask: NDArray[np.uint32] | None = None,
        drafts: Seq[int] | None = None,
    ) -> None: ...

@final
class Sampled:
    """A token that was drawn; `logprob` and `top` (id, log-probability; likeliest first) are the model's own."""

    @property
    def token(self) -> int: ...
    @property
    def logprob(self) -> float: ...
    @property
    def top(self) -> list[tuple[int, float]]: ...
    @property
    def following(self) -> list[Sampled]:
        """The tokens that were drawn behind drafts that came true, in order."""
