"""Random-weight GGUF files of real shapes, which this package and llama.cpp both read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray
from shapes import Shape

_TYPES = {
    "bf16": gguf.GGMLQuantizationType.BF16,
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
    "q4_0": gguf.GGMLQuantizationType.Q4_0,
}
_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "model.embed_tokens": "token_embd", "model.norm": "output_norm",
}  # fmt: skip


def write_gguf(shape: Shape, path: Path, weights: str) -> Path:
    """A GGUF file with `weights` ("bf16", "q8_0" or "q4_0"; the embedding of a "q4_0" file is Q8_0, as in released
    files) and a vocabulary of made-up words."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    writer = gguf.GGUFWriter(unfinished, shape.family)
    _write_metadata(writer, shape)
    _write_vocabulary(writer, shape.vocab)
    rng = np.random.default_rng(0)
    for name, length in shape.norms():
        writer.add_tensor(_gguf_name(name), np.ones(length, np.float32))
    for name, rows, columns in shape.matrices():
        kind = "q8_0" if weights == "q4_0" and "embed" in name else weights
        writer.add_tensor(_gguf_name(name), _noise(rng, rows, columns, kind), raw_dtype=_TYPES[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.rename(path)
    return path


def weight_bytes(shape: Shape, weights: str) -> float:
    """What one decode step reads, in bytes: every matrix once, in the block sizes of the file."""
    size = {"bf16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
    embedding = shape.vocab * shape.dim
    rest = shape.parameters - embedding
    return rest * size[weights] + embedding * size["q8_0" if weights == "q4_0" else weights]


def _write_metadata(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.dim)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_sliding_window(shape.window)
    if shape.family == "gemma3":
        writer.add_rope_freq_base(1e6)
    else:
        writer.add_attn_logit_softcapping(50.0)
        writer.add_final_logit_softcapping(30.0)


def _write_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256))]
    types = [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.UNKNOWN] + [gguf.TokenType.BYTE] * 256
    tokens += [f"\u2581word{index}" for index in range(len(tokens), size)]
    types += [gguf.TokenType.NORMAL] * (size - len(types))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(index) for index in range(size)])
    writer.add_token_types([int(kind) for kind in types])
    writer.add_pad_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)


def _gguf_name(name: str) -> str:
    parts = name.removesuffix(".weight").removeprefix("model.layers.").split(".", 1)
    if parts[0].isdigit():
        return f"blk.{parts[0]}.{_NAMES[parts[1]]}.weight"
    return f"{_NAMES[name.removesuffix('.weight')]}.weight"


def _noise(rng: np.random.Generator, rows: int, columns: int, kind: str) -> NDArray[np.generic]:
    """Rows of encoded weights of standard deviation 0.02 or so; a stretch of noise repeated from ever new places."""
    block, size = gguf.GGML_QUANT_SIZES[_TYPES[kind]]
    row_bytes = columns // block * size
    drawn = next(_encoded(rng, kind))
    out = np.empty((rows, row_bytes), np.uint8)
    flat, num_blocks = out.reshape(-1), len(drawn)
    for start in range(0, len(flat), drawn.size):
        piece = np.roll(drawn, int(rng.integers(num_blocks)), axis=0).reshape(-1)[: len(flat) - start]
        flat[start : start + len(piece)] = piece
    return out


def _encoded(rng: np.random.Generator, kind: str) -> Iterator[NDArray[np.uint8]]:
    values = (rng.standard_normal((1 << 15, 32), dtype=np.float32) * np.float32(0.02)).astype(np.float32)
    yield gguf.quants.quantize(values, _TYPES[kind]).view(np.uint8)
