"""Random-weight models of real shapes, written as the files that users have, for benchmarks.

The weights are noise of a sensible size: speed does not depend on their values, and nothing overflows.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Shape:
    """The numbers of a Gemma 2 or 3 text model."""

    layers: int
    dim: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    window: int
    context: int = 4096
    family: str = "gemma3"

    def matrices(self) -> Iterator[tuple[str, int, int]]:
        """(Hugging Face name, rows, columns) of every matrix."""
        yield "model.embed_tokens.weight", self.vocab, self.dim
        for layer in range(self.layers):
            prefix = f"model.layers.{layer}."
            yield prefix + "self_attn.q_proj.weight", self.heads * self.head_dim, self.dim
            yield prefix + "self_attn.k_proj.weight", self.kv_heads * self.head_dim, self.dim
            yield prefix + "self_attn.v_proj.weight", self.kv_heads * self.head_dim, self.dim
            yield prefix + "self_attn.o_proj.weight", self.dim, self.heads * self.head_dim
            yield prefix + "mlp.gate_proj.weight", self.ffn, self.dim
            yield prefix + "mlp.up_proj.weight", self.ffn, self.dim
            yield prefix + "mlp.down_proj.weight", self.dim, self.ffn

    def norms(self) -> Iterator[tuple[str, int]]:
        """(Hugging Face name, length) of every norm."""
        yield "model.norm.weight", self.dim
        for layer in range(self.layers):
            for name in ("input", "post_attention", "pre_feedforward", "post_feedforward"):
                yield f"model.layers.{layer}.{name}_layernorm.weight", self.dim
            for name in ("q_norm", "k_norm") if self.family == "gemma3" else ():
                yield f"model.layers.{layer}.self_attn.{name}.weight", self.head_dim

    @property
    def parameters(self) -> int:
        """How many weights a decode step reads (the embedding once, as the output head)."""
        return sum(rows * columns for _, rows, columns in self.matrices())

    def windows(self) -> list[int]:
        """Window of each layer, in tokens; 0 is global (every sixth)."""
        return [0 if (layer + 1) % 6 == 0 else self.window for layer in range(self.layers)]


GEMMA3_1B = Shape(layers=26, dim=1152, ffn=6912, heads=4, kv_heads=1, head_dim=256, vocab=262144, window=512)
GEMMA2_2B = Shape(
    layers=26, dim=2304, ffn=9216, heads=8, kv_heads=4, head_dim=256, vocab=256000, window=4096, family="gemma2"
)
GEMMA3_270M = Shape(layers=18, dim=640, ffn=2048, heads=4, kv_heads=1, head_dim=256, vocab=262144, window=512)
SMALL = Shape(layers=6, dim=256, ffn=512, heads=4, kv_heads=1, head_dim=64, vocab=2048, window=64, context=1024)


def write_huggingface(shape: Shape, folder: Path) -> Path:
    """A folder with config.json and one BF16 model.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(_huggingface_config(shape), indent=1))
    sizes = [(name, (rows, columns)) for name, rows, columns in shape.matrices()]
    sizes += [(name, (length,)) for name, length in shape.norms()]
    header, offset = {}, 0
    for name, dims in sizes:
        end = offset + 2 * int(np.prod(dims))
        header[name] = {"dtype": "BF16", "shape": list(dims), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(0)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, dims in sizes:
            noise = _bf16_noise(rng, int(np.prod(dims)), 0.02)
            (np.zeros_like(noise) if "norm" in name else noise).tofile(file)
    return folder


def write_sbs(shape: Shape, path: Path) -> Path:
    """One .sbs file (V2 container): BF16 norms, SFP matrices in the fused layout; see docs/formats/sbs.md."""
    rng = np.random.default_rng(0)
    toc: list[int] = []
    blobs: list[tuple[str, int, int]] = []
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(b"SBS\n" + struct.pack("<IQ", 0, 65536))

        def blob(name: str, data: NDArray[np.generic] | bytes) -> None:
            file.write(b"\0" * (-file.tell() % 256))
            start = file.tell()
            file.write(data if isinstance(data, bytes) else data.tobytes())
            blobs.append((name, start, file.tell() - start))

        for name, rows, columns, code in _sbs_tensors(shape):
            count = rows * columns
            if code == _BF16:
                blob(name, np.zeros(count, np.uint16) if rows == 1 else _bf16_noise(rng, count, 0.02))
            else:
                blob(name, _sfp_noise(rng, count))
            width = 2 if code == _BF16 else 1
            toc += _record(
                [*_string(name), code, width, count, rows, columns, *_float(1 / 32 if code == _SFP else 1.0), columns]
            )
        blob("config", _words(_record(_sbs_config(shape))))
        blob("tokenizer", b"unavailable")
        blob("toc", _words(toc))
        size = -(-(file.tell() + 32 * len(blobs) + 16) // 65536) * 65536
        file.write(b"\0" * (size - 16 - 32 * len(blobs) - file.tell()))
        file.write(b"".join(name.encode().ljust(16, b"\0") for name, _, _ in blobs))
        file.write(b"".join(struct.pack("<QQ", start, length) for _, start, length in blobs))
        file.write(b"SBS\n" + struct.pack("<IQ", len(blobs), size))
    return path


_BF16, _SFP = 2, 3


def _huggingface_config(shape: Shape) -> dict[str, object]:
    return {
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "torch_dtype": "bfloat16",
        "vocab_size": shape.vocab, "hidden_size": shape.dim, "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_dim, "query_pre_attn_scalar": shape.head_dim,
        "sliding_window": shape.window, "rms_norm_eps": 1e-6, "max_position_embeddings": shape.context,
        "layer_types": ["sliding_attention" if w else "full_attention" for w in shape.windows()],
        "rope_theta": 1e6, "rope_local_base_freq": 1e4, "hidden_activation": "gelu_pytorch_tanh",
        "tie_word_embeddings": True, "bos_token_id": 2, "eos_token_id": [1, 106], "pad_token_id": 0,
    }  # fmt: skip


def _sbs_tensors(shape: Shape) -> Iterator[tuple[str, int, int, int]]:
    yield "c_embedding", shape.vocab, shape.dim, _SFP
    yield "c_final_norm", 1, shape.dim, _BF16
    for layer in range(shape.layers):
        for name in ("pre_att_ns", "post_att_ns", "pre_ff_ns", "post_ff_ns"):
            yield f"{name}_{layer}", 1, shape.dim, _BF16
        for name in ("query_norm", "key_norm"):
            yield f"{name}_{layer}", 1, shape.head_dim, _BF16
        yield f"qkv_ein_{layer}", (shape.heads + 2 * shape.kv_heads) * shape.head_dim, shape.dim, _SFP
        yield f"att_w_{layer}", shape.dim, shape.heads * shape.head_dim, _SFP
        yield f"gating_ein_{layer}", 2 * shape.ffn, shape.dim, _SFP
        yield f"linear_w_{layer}", shape.dim, shape.ffn, _SFP


def _sbs_config(shape: Shape) -> list[int]:
    layer = [shape.dim, 0, shape.ffn, shape.heads, shape.kv_heads, shape.head_dim, 0, 0, 0, 1, 1, 0, 0, 0, 1]
    windows = [window or shape.context for window in shape.windows()]
    return [
        1, *_string("bench"), 15, 1, _SFP, shape.layers, shape.dim, shape.vocab, shape.context, 0,
        *_float(0.0), *_float(0.0), 0, 0, 0,
        shape.layers, *(word for _ in range(shape.layers) for word in _record(layer)),
        len(windows), *windows, 1, *_record([0, 0, 0, 14, 224, 0, 1]), 1, 1, 106, 0,
    ]  # fmt: skip


def _record(words: list[int]) -> list[int]:
    return [len(words), *words]


def _string(text: str) -> list[int]:
    data = text.encode()
    data += b"\0" * (-len(data) % 4)
    return [len(data) // 4, *struct.unpack(f"<{len(data) // 4}I", data)]


def _float(value: float) -> list[int]:
    return list(struct.unpack("<I", struct.pack("<f", value)))


def _words(words: list[int]) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


def _bf16_noise(rng: np.random.Generator, count: int, size: float) -> NDArray[np.uint16]:
    # One block of real noise, repeated at random offsets: drawing 10^9 normal numbers would take minutes.
    block = (rng.standard_normal(1 << 20, dtype=np.float32) * np.float32(size)).view(np.uint32) >> 16
    return _repeat(rng, block.astype(np.uint16), count)


def _sfp_noise(rng: np.random.Generator, count: int) -> NDArray[np.uint8]:
    return _repeat(
        rng, rng.integers(1, 120, 1 << 20, dtype=np.uint8) | rng.choice([0, 128], 1 << 20).astype(np.uint8), count
    )


def _repeat(rng: np.random.Generator, block: NDArray[np.generic], count: int) -> NDArray[np.generic]:
    out = np.empty(count, block.dtype)
    for start in range(0, count, len(block)):
        piece = np.roll(block, int(rng.integers(len(block))))[: count - start]
        out[start : start + len(piece)] = piece
    return out
