"""Makers of model files: small, whole and, where a test asks for it, broken on purpose."""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of reference files made with gemma.cpp."""
    return GOLDEN


# -------------------------------------------------------------------------------------------------------- safetensors
def to_bf16(values: np.ndarray) -> bytes:
    """The values as bfloat16, cut off (the tests' values need no rounding)."""
    return (np.ascontiguousarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()


class Safetensors:
    """Writes .safetensors files: right ones from arrays, and any header over any data."""

    @staticmethod
    def file(header: Any, data: bytes, length: int | None = None) -> bytes:
        """A file of this header (bytes, or an object to write as JSON); `length` lies about the header's."""
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(text) if length is None else length) + text + data

    @staticmethod
    def header(tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]]) -> dict[str, Any]:
        entries, at = {}, 0
        for name, (dtype, shape, raw) in tensors.items():
            entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(raw)]}
            at += len(raw)
        return entries

    @classmethod
    def pack(cls, tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]]) -> bytes:
        return cls.file(cls.header(tensors), b"".join(raw for _, _, raw in tensors.values()))


@pytest.fixture(scope="session")
def safetensors_writer() -> type[Safetensors]:
    """The class that writes .safetensors files."""
    return Safetensors


SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 64, "max_position_embeddings": 128,
}  # fmt: skip
ARCHITECTURES = {"gemma": "GemmaForCausalLM", "gemma2": "Gemma2ForCausalLM", "gemma3_text": "Gemma3ForCausalLM"}
EXTRAS: dict[str, dict[str, Any]] = {
    "gemma": {"hidden_act": "gelu"},
    "gemma2": {"sliding_window": 8, "query_pre_attn_scalar": 24},
    "gemma3_text": {"sliding_window": 8, "sliding_window_pattern": 3, "query_pre_attn_scalar": 24},
}


def small_config(model_type: str) -> dict[str, Any]:
    """The config.json of a small random model."""
    return {
        "architectures": [ARCHITECTURES[model_type]], "model_type": model_type, **SIZES, **EXTRAS[model_type],
        "rms_norm_eps": 1e-6, "bos_token_id": 2, "eos_token_id": 1,
    }  # fmt: skip


def small_tensors(model_type: str, prefix: str = "model.", **sizes: int) -> dict[str, np.ndarray]:
    """Random weights for it, under Hugging Face's names."""
    size = {**SIZES, **sizes}
    d, f, v = size["hidden_size"], size["intermediate_size"], size["vocab_size"]
    q, kv = (size[name] * size["head_dim"] for name in ("num_attention_heads", "num_key_value_heads"))
    layer = {
        "input_layernorm": (d,), "post_attention_layernorm": (d,), "self_attn.q_proj": (q, d),
        "self_attn.k_proj": (kv, d), "self_attn.v_proj": (kv, d), "self_attn.o_proj": (d, q),
        "mlp.gate_proj": (f, d), "mlp.up_proj": (f, d), "mlp.down_proj": (d, f),
    }  # fmt: skip
    if model_type != "gemma":
        layer |= {"pre_feedforward_layernorm": (d,), "post_feedforward_layernorm": (d,)}
    if model_type == "gemma3_text":
        layer |= {"self_attn.q_norm": (size["head_dim"],), "self_attn.k_norm": (size["head_dim"],)}
    shapes: dict[str, tuple[int, ...]] = {f"{prefix}embed_tokens.weight": (v, d), f"{prefix}norm.weight": (d,)}
    for index in range(size["num_hidden_layers"]):
        shapes |= {f"{prefix}layers.{index}.{name}.weight": shape for name, shape in layer.items()}
    random = np.random.default_rng(7)
    scale = {1: 0.3, 2: 1 / math.sqrt(d)}
    return {n: (random.standard_normal(s) * scale[len(s)]).astype(np.float32) for n, s in shapes.items()}


def encode(values: np.ndarray, dtype: str) -> tuple[str, tuple[int, ...], bytes]:
    raw = {"F32": values.tobytes, "F16": values.astype(np.float16).tobytes, "BF16": lambda: to_bf16(values)}[dtype]()
    return dtype, values.shape, raw


FolderMaker = Callable[..., Path]


@pytest.fixture
def hf_folder(tmp_path: Path, bundled_path: Path) -> FolderMaker:
    """Makes a Hugging Face folder of a small random model, in float32 unless told."""

    def make(
        model_type: str = "gemma3_text",
        *,
        dtype: str = "F32",
        config: Mapping[str, Any] | None = None,
        tensors: Mapping[str, np.ndarray] | None = None,
        name: str = "model",
        tokenizer: bool = False,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(small_config(model_type) if config is None else config))
        tensors = small_tensors(model_type) if tensors is None else tensors
        packed = Safetensors.pack({name: encode(values, dtype) for name, values in tensors.items()})
        (folder / "model.safetensors").write_bytes(packed)
        if tokenizer:
            shutil.copy(bundled_path / "tokenizer.model", folder)
        return folder

    return make


@pytest.fixture(scope="session")
def hf_config() -> Callable[[str], dict[str, Any]]:
    """Gives the config.json of the small random model of a model_type."""
    return small_config


@pytest.fixture(scope="session")
def hf_tensors() -> Callable[..., dict[str, np.ndarray]]:
    """Gives the weights of the small random model of a model_type."""
    return small_tensors


# ---------------------------------------------------------------------------------------------------------------- sbs
class Sbs:
    """Writes .sbs files: containers of both versions, and the records in them."""

    TYPES: ClassVar = {"f32": (1, 4), "bf16": (2, 2), "sfp": (3, 1), "nuq": (4, 1), "i8": (8, 1)}

    @staticmethod
    def container(blobs: Mapping[str, bytes], version: int = 2) -> bytearray:
        """The blobs in a file of container version 1 or 2."""
        start = 256 if version == 2 else -(-(16 + 32 * len(blobs)) // 256) * 256
        data, ranges = bytearray(), b""
        for blob in blobs.values():
            data += bytes(-len(data) % 256)
            ranges += struct.pack("<QQ", start + len(data), len(blob))
            data += blob
        directory = b"".join(key.encode().ljust(16, b"\0") for key in blobs) + ranges
        if version == 1:
            body = (bytes(16) + directory).ljust(start, b"\0") + data
            body = bytearray(body + bytes(-len(body) % 65536))
            body[:16] = struct.pack("<4sIQ", b"SBS\n", len(blobs), len(body))
            return body
        front = struct.pack("<4sIQ", b"SBS\n", 0, 65536).ljust(256, b"\0")
        size = -(-(len(front) + len(data) + len(directory) + 16) // 65536) * 65536
        tail = directory + struct.pack("<4sIQ", b"SBS\n", len(blobs), size)
        return bytearray(front + data + bytes(size - len(front) - len(data) - len(tail)) + tail)

    @staticmethod
    def words(*values: int | float | bytes | bool) -> bytes:
        """Values as u32 words: floats by their bits, bytes (whole words) as they are."""
        out = b""
        for value in values:
            if isinstance(value, bytes):
                out += value
            else:
                out += struct.pack("<f", value) if isinstance(value, float) else struct.pack("<I", value & 0xFFFFFFFF)
        return out

    @classmethod
    def record(cls, *values: int | float | bytes | bool) -> bytes:
        body = cls.words(*values)
        return cls.words(len(body) // 4) + body

    @classmethod
    def string(cls, text: str) -> bytes:
        raw = text.encode()
        raw += bytes(-len(raw) % 4)
        return cls.words(len(raw) // 4) + raw

    @classmethod
    def tensor(
        cls, name: str, kind: str, rows: int, cols: int, blob: bytes, scale: float = 1.0,
        lies: Mapping[str, int] = {},
    ) -> bytes:  # fmt: skip
        """A record of the toc; `lies` replace fields."""
        code, size = cls.TYPES[kind]
        fields = {"type": code, "element_bytes": size, "num": len(blob) // size, "rows": rows, "cols": cols, **lies}
        return cls.record(cls.string(name), *fields.values(), scale, cols)

    @classmethod
    def config(cls, **changes: Any) -> bytes:
        """The config record of the model that `small_blobs` makes."""
        values: dict[str, Any] = {
            "model": 15, "layers": 2, "model_dim": 32, "vocab": 64, "max_seq_len": 128, "ffn": 48, "heads": 4,
            "kv_heads": 2, "head_dim": 16, "post_norm": 1, "qk_norm": 1, "windows": (8, 128), "att_cap": 0.0,
            "final_cap": 0.0, "query_scale": 0, "absolute_pe": 0, "ffn_biases": 0, "type": 0, "activation": 0,
            "post_qk": 0, "eos": (1, 5),
        }  # fmt: skip
        v = {**values, **changes}
        layer = cls.record(
            v["model_dim"], 0, v["ffn"], v["heads"], v["kv_heads"], v["head_dim"], 0, v["ffn_biases"], 0, 0,
            v["post_norm"], v["type"], v["activation"], v["post_qk"], v["qk_norm"],
        )  # fmt: skip
        vit = cls.record(0, 0, 0, 14, 224, 0, 1)
        return cls.record(
            1, cls.string("small"), v["model"], 0, 3, v["layers"], v["model_dim"], v["vocab"], v["max_seq_len"], 0,
            v["att_cap"], v["final_cap"], v["absolute_pe"], 0, v["query_scale"], v["layers"], layer * v["layers"],
            len(v["windows"]), cls.words(*v["windows"]), 1, vit, 1, *v["eos"], 0,
        )  # fmt: skip

    @classmethod
    def small_tensors(cls, seed: int = 3) -> dict[str, tuple[str, int, int, bytes]]:
        """Random tensors of that model, name -> (type, rows, cols, bytes): SFP matrices, BF16 the rest."""
        d, f, h, k, s, v = 32, 48, 4, 2, 16, 64
        shapes = {"c_embedding": (v, d), "c_final_norm": (1, d)}
        for layer in range(2):
            shapes |= {
                f"qkv_ein_{layer}": ((h + 2 * k) * s, d), f"att_ein_{layer}": (h * d, s),
                f"gating_ein_{layer}": (2 * f, d), f"linear_w_{layer}": (d, f),
                f"query_norm_{layer}": (1, s), f"key_norm_{layer}": (1, s),
            }  # fmt: skip
            shapes |= {f"{n}_{layer}": (1, d) for n in ("pre_att_ns", "post_att_ns", "pre_ff_ns", "post_ff_ns")}
        random = np.random.default_rng(seed)
        tensors = {}
        for name, (rows, cols) in shapes.items():
            if rows == 1 or name == "c_embedding":
                raw = to_bf16(random.standard_normal((rows, cols)).astype(np.float32) * 0.2)
                tensors[name] = ("bf16", rows, cols, raw)
            else:  # codes of magnitudes below 0.25, either sign
                codes = random.integers(1, 104, rows * cols) | (random.integers(0, 2, rows * cols) << 7)
                tensors[name] = ("sfp", rows, cols, codes.astype(np.uint8).tobytes())
        return tensors

    @classmethod
    def blobs(
        cls, tensors: Mapping[str, tuple[str, int, int, bytes]] | None = None, tokenizer: bytes = b"unavailable",
        **config: Any,
    ) -> dict[str, bytes]:  # fmt: skip
        """All blobs of a file, in the order that writers use."""
        tensors = cls.small_tensors() if tensors is None else tensors
        toc = b"".join(cls.tensor(name, *fields) for name, fields in tensors.items())
        data = {name: fields[3] for name, fields in tensors.items()}
        return {**data, "config": cls.config(**config), "tokenizer": tokenizer, "toc": toc}


@pytest.fixture(scope="session")
def sbs_writer() -> type[Sbs]:
    """The class that writes .sbs files."""
    return Sbs
