"""Makers of GGUF files: whole ones with the `gguf` package from small random models, and any bytes by hand."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ARCHITECTURES = {"gemma": "gemma", "gemma2": "gemma2", "gemma3_text": "gemma3"}
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
}  # fmt: skip


def gguf_name(name: str, has_post_norms: bool) -> str:
    """Hugging Face's name of a tensor as llama.cpp calls it."""
    parts = name.removeprefix("model.").removesuffix(".weight").split(".", 2)
    if parts[0] != "layers":
        return {"embed_tokens": "token_embd", "norm": "output_norm"}[parts[0]] + ".weight"
    post = "post_attention_norm" if has_post_norms else "ffn_norm"
    return f"blk.{parts[1]}.{NAMES.get(parts[2], post)}.weight"


def write_model(
    path: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    kind: str = "F32",
    split: int = 0,
    metadata: Mapping[str, Any] = {},
) -> None:
    """Write a Hugging Face model as llama.cpp's converter does, its matrices as `kind` (a name of gguf's types).

    With `split`, a new file begins after so many tensors. `metadata` are added last, by their full keys: integers
    (u32), floats, strings, or lists of bool.
    """
    import gguf

    architecture = ARCHITECTURES[config["model_type"]]
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=split)
    _add_sizes(writer, config, architecture)
    for key, value in metadata.items():
        _add_value(writer, key, value)
    has_post_norms = config["model_type"] != "gemma"
    for name, values in tensors.items():
        if values.ndim == 1:  # norms: llama.cpp multiplies by the weight itself
            writer.add_tensor(gguf_name(name, has_post_norms), values + np.float32(1))
        else:
            quantized, raw_type = quantize(values, kind)
            writer.add_tensor(gguf_name(name, has_post_norms), quantized, raw_dtype=raw_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize(values: np.ndarray, kind: str) -> tuple[np.ndarray, Any]:
    """The values in a format of gguf's, and its type."""
    import gguf

    raw_type = gguf.GGMLQuantizationType[kind]
    try:
        return gguf.quants.quantize(values, raw_type), raw_type
    except NotImplementedError:
        return random_blocks(values.shape, raw_type), raw_type


def random_blocks(shape: tuple[int, ...], raw_type: Any) -> np.ndarray:
    """Blocks of a format that the package only reads: random codes, under scales that make values of about 0.1."""
    import gguf

    values, size = gguf.GGML_QUANT_SIZES[raw_type]
    random = np.random.default_rng(11)
    blocks = random.integers(0, 256, (int(np.prod(shape)) // values, size), np.uint8)
    small = np.frombuffer(np.float16(0.00006 if raw_type.name == "Q6_K" else 0.0004).tobytes(), np.uint8)
    at = {"Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}[raw_type.name]  # where the half-precision scales stand
    for begin in at:
        blocks[:, begin : begin + 2] = small
    return blocks.reshape(*shape[:-1], -1)


def dequantize(values: np.ndarray, kind: str) -> np.ndarray:
    """The values that are left of a matrix in a format, by gguf's own code."""
    import gguf

    quantized, raw_type = quantize(values, kind)
    return gguf.quants.dequantize(quantized, raw_type).reshape(values.shape)


def _add_sizes(writer: Any, config: Mapping[str, Any], architecture: str) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    if architecture != "gemma":
        writer.add_sliding_window(config["sliding_window"])
    if architecture == "gemma2":
        writer.add_attn_logit_softcapping(50.0)
        writer.add_final_logit_softcapping(30.0)
    if architecture == "gemma3":
        writer.add_rope_freq_base(config.get("rope_theta", 1e6))
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(1)


def _add_value(writer: Any, key: str, value: Any) -> None:
    if isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, list):
        writer.add_array(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_uint32(key, value)


# ------------------------------------------------------------------------------------------------------------ by hand
def text(value: str | bytes) -> bytes:
    """A string as the format writes it."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def entry(key: str | bytes, code: int, value: bytes) -> bytes:
    """A metadata entry: key, type, and the value's bytes."""
    return text(key) + struct.pack("<I", code) + value


def array(key: str, code: int, count: int, items: bytes) -> bytes:
    """A metadata entry that is an array; `count` may lie."""
    return entry(key, 9, struct.pack("<IQ", code, count) + items)


def info(name: str | bytes, shape: Sequence[int], code: int, offset: int, rank: int | None = None) -> bytes:
    """A tensor's record, `shape` as the format has it: the row's length first."""
    head = text(name) + struct.pack("<I", len(shape) if rank is None else rank)
    return head + struct.pack(f"<{len(shape)}QIQ", *shape, code, offset)


def container(
    entries: Sequence[bytes] = (), infos: Sequence[bytes] = (), data: bytes = b"", *, version: int = 3,
    magic: bytes = b"GGUF", num_entries: int | None = None, num_tensors: int | None = None,
) -> bytes:  # fmt: skip
    """A file; the counts may lie."""
    head = magic + struct.pack(
        "<IQQ", version, len(infos) if num_tensors is None else num_tensors,
        len(entries) if num_entries is None else num_entries,
    ) + b"".join(entries) + b"".join(infos)  # fmt: skip
    return head + bytes(-len(head) % 32) + data
