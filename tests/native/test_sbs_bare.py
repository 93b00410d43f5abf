"""`.sbs` files from before 2025: tensors alone, with a config that is given, lies beside or is recognised."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_framework.errors import ModelLoadError
from llm_framework.native import open_model
from llm_framework.native.config import read_config
from llm_framework.native.formats import open_model_file
from llm_framework.native.formats.sbs_bare import _PUBLISHED
from llm_framework.native.header import inspect_model

LETTERS = {"f32": "F", "bf16": "B", "sfp": "$", "nuq": "2", "i8": "I"}
SCALED = ("att_ein", "qkv_ein", "gating_ein", "linear_w")
G2 = {
    "model_type": "gemma2", "num_hidden_layers": 4, "hidden_size": 256, "intermediate_size": 512, "vocab_size": 2048,
    "max_position_embeddings": 1024, "sliding_window": 256,
}  # fmt: skip


def without_metadata(source: Path, target: Path, writer: Any) -> dict[str, Any]:
    """Write the tensors of a golden file as the older generation has them; gives the config.json it needs."""
    file = open_model_file(source)
    blobs = {LETTERS[view.type] + name: bytes(view.data) for name, view in file.tensors.items()}
    config = read_config(file)
    names = [f"{base}_{layer}" for layer in range(config.num_layers) for base in SCALED]
    scales = [file.tensors[name].scale if name in file.tensors else 1.0 for name in names]
    blobs["Fscales"] = struct.pack(f"<{len(names)}f", *scales)
    target.write_bytes(writer.container(blobs, version=1))
    heads = {"num_attention_heads": config.num_heads, "num_key_value_heads": config.num_kv_heads}
    return {
        **G2, **heads, "head_dim": config.head_dim, "query_pre_attn_scalar": config.head_dim,
        "layer_types": ["sliding_attention" if window else "full_attention" for window in config.windows],
        "sliding_window": max(config.windows),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["g2_sfp_v1", "g2_nuq"])
def test_the_same_tensors_are_the_same_model(golden: Path, sbs_writer: Any, tmp_path: Path, name: str) -> None:
    """With a config, a file without metadata computes what the file with them does, tensors' scales included."""
    source = golden / "sbs" / f"{name}.sbs"
    config = without_metadata(source, tmp_path / "old.sbs", sbs_writer)
    ids = list(range(2, 400))
    with (
        open_model(source, num_threads=2) as new,
        open_model(tmp_path / "old.sbs", config=config, num_threads=2) as old,
    ):
        assert old.tensor_names() == [n for n in old.tensor_names() if n in new.tensor_names()]
        for tensor in ("c_embedding", "att_ein_3" if name == "g2_sfp_v1" else "att_w_3", "linear_w_1"):
            assert np.array_equal(old.tensor(tensor), new.tensor(tensor))
        assert np.abs(old.logits(ids) - new.logits(ids)).max() < 1e-4
        assert old.tokenizer is None


def test_files_beside_speak_for_it(golden: Path, bundled_path: Path, sbs_writer: Any, tmp_path: Path) -> None:
    """A config.json and a tokenizer beside the file are taken, and what is given goes before them."""
    config = without_metadata(golden / "sbs" / "g2_sfp_v1.sbs", tmp_path / "old.sbs", sbs_writer)
    (tmp_path / "config.json").write_text(json.dumps(config))
    shutil.copy(bundled_path / "tokenizer.model", tmp_path / "tokenizer.spm")
    assert inspect_model(tmp_path / "old.sbs").has_tokenizer
    with open_model(tmp_path / "old.sbs", num_threads=1) as model:
        assert model.require_tokenizer().decode(model.require_tokenizer().encode("Hello")) == "Hello"
        assert model.config.max_seq_len == 1024
    with open_model(tmp_path / "old.sbs", config={**config, "max_position_embeddings": 99}, num_threads=1) as model:
        assert model.config.max_seq_len == 99


def test_what_is_missing_is_said(golden: Path, sbs_writer: Any, tmp_path: Path) -> None:
    """A file that is no published model's asks for a config; one that does not fit, and broken scales, are refused."""
    path = tmp_path / "old.sbs"
    config = without_metadata(golden / "sbs" / "g2_sfp_v1.sbs", path, sbs_writer)
    with pytest.raises(ModelLoadError, match=r"generation before 2025.*4 layers.*config="):
        open_model(path)
    with pytest.raises(ModelLoadError, match="another model's"):
        open_model(path, config={**config, "intermediate_size": 256})
    with pytest.raises(ModelLoadError, match="20 scales are needed"):
        open_model(path, config={**config, "num_hidden_layers": 5, "layer_types": None})
    blobs = {"Bc_embedding": bytes(2048 * 512), "$linear_w_0": bytes(256 * 512), "Fscales": bytes(4)}
    path.write_bytes(sbs_writer.container(blobs, version=1))
    with pytest.raises(ModelLoadError, match="16 scales are needed"):
        open_model(path, config=config)
    path.write_bytes(sbs_writer.container({**blobs, "$c_embedding": bytes(64)}, version=1))
    with pytest.raises(ModelLoadError, match="in two types"):
        open_model(path, config=config)
    path.write_bytes(sbs_writer.container({"?c_embedding": bytes(512), "$linear_w_0": bytes(512)}, version=1))
    with pytest.raises(ModelLoadError, match="no blob config"):
        open_model(path, config=config)


# ------------------------------------------------------------------------------------------------- published models
def sparse(path: Path, blobs: Mapping[str, int]) -> None:
    """A V1 file of blobs of these sizes, of zeros that take no room on the disk."""
    start = -(-(16 + 32 * len(blobs)) // 256) * 256
    ranges, at = b"", start
    for size in blobs.values():
        ranges += struct.pack("<QQ", at, size)
        at += -(-size // 256) * 256
    directory = b"".join(key.encode().ljust(16, b"\0") for key in blobs) + ranges
    with open(path, "wb") as file:
        file.write(struct.pack("<4sIQ", b"SBS\n", len(blobs), at) + directory)
        file.truncate(at)


def published(known: Any, padding: int = 0) -> dict[str, int]:
    """The sizes of the blobs of a published model in SFP."""
    d, f, q, kv = known.model_dim, known.ffn_dim, known.heads * known.head_dim, known.kv_heads * known.head_dim
    blobs = {"Bc_embedding": 2 * d * (known.vocab + padding), "Bc_final_norm": 2 * d}
    for i in range(known.layers):
        blobs |= {f"$qkv_ein_{i}": (q + 2 * kv) * d, f"$att_ein_{i}": q * d, f"$gating_ein_{i}": 2 * f * d}
        blobs |= {f"$linear_w_{i}": f * d, f"Bpre_att_ns_{i}": 2 * d, f"Bpre_ff_ns_{i}": 2 * d}
        if known.model_type != "gemma":
            blobs |= {f"Bpost_att_ns_{i}": 2 * d, f"Bpost_ff_ns_{i}": 2 * d}
        if known.model_type == "gemma3_text":
            blobs |= {f"Bquery_norm_{i}": 2 * known.head_dim, f"Bkey_norm_{i}": 2 * known.head_dim}
    return blobs


@pytest.mark.parametrize("known", _PUBLISHED, ids=lambda known: f"{known.model_type}-{known.layers}-{known.model_dim}")
def test_published_models_are_recognised(tmp_path: Path, known: Any) -> None:
    """Each published model is known by its layers and sizes, also where two have as many layers."""
    path = tmp_path / "2b-it-sfp.sbs"
    sparse(path, published(known))
    file = open_model_file(path)
    config = read_config(file)
    header = inspect_model(path)
    assert (config.num_layers, config.model_dim, config.num_heads) == (known.layers, known.model_dim, known.heads)
    assert header.family == {"gemma": "gemma1", "gemma2": "gemma2", "gemma3_text": "gemma3"}[known.model_type]
    assert (header.weight_type, header.has_tokenizer, header.vocab_size) == ("sfp", False, known.vocab)
    assert config.qkv_layout == ("per_head" if known.model_dim == 3072 else "kv_interleaved")
    assert config.rope_scales[0] == 1
    assert max(config.rope_scales) == known.rope_factor
    file.close()


def test_sizes_of_the_published_gemma_2(tmp_path: Path) -> None:
    """The published gemma2-2b-it-sfp has this many bytes of BF16 and of SFP."""
    blobs = published(next(known for known in _PUBLISHED if known.model_dim == 2304))
    assert sum(size for key, size in blobs.items() if key[0] == "B") == 1_180_131_840
    assert sum(size for key, size in blobs.items() if key[0] == "$") == 2_024_275_968


def test_an_embedding_with_more_rows(tmp_path: Path) -> None:
    """Some files of Gemma 1 have 256,128 rows: they count, not the model's config."""
    sparse(tmp_path / "m.sbs", published(_PUBLISHED[0], padding=128))
    assert inspect_model(tmp_path / "m.sbs").vocab_size == 256_128


def per_head(tensors: Mapping[str, np.ndarray], layer: int, heads: int, kv_heads: int) -> np.ndarray:
    """q, k and v as Gemma 1's files have them: head by head with as many of each, else queries first."""
    p = f"model.layers.{layer}.self_attn."
    q = tensors[f"{p}q_proj.weight"].reshape(heads, 16, -1)
    k, v = (tensors[f"{p}{name}_proj.weight"].reshape(kv_heads, 16, -1) for name in "kv")
    if heads == kv_heads:
        rows = np.stack([q, k, v], 1)
    else:
        rows = np.concatenate([q, np.stack([k, v], 1).reshape(2 * kv_heads, 16, -1)])
    return np.ascontiguousarray(rows)


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 1)])
def test_gemma_1(
    hf_folder: Callable[..., Path], hf_config: Any, hf_tensors: Any, sbs_writer: Any, tmp_path: Path, heads: int,
    kv_heads: int,
) -> None:  # fmt: skip
    """Gemma 1 of either layout gives the logits that the same weights give from a Hugging Face folder."""
    config = {**hf_config("gemma"), "num_attention_heads": heads, "num_key_value_heads": kv_heads}
    tensors = hf_tensors("gemma", num_attention_heads=heads, num_key_value_heads=kv_heads)
    folder = hf_folder("gemma", config=config, tensors=tensors)
    blobs = {"Fc_embedding": tensors["model.embed_tokens.weight"], "Fc_final_norm": tensors["model.norm.weight"]}
    for i in range(3):
        p = f"model.layers.{i}."
        gate, up = (tensors[f"{p}mlp.{name}_proj.weight"] for name in ("gate", "up"))
        out = tensors[f"{p}self_attn.o_proj.weight"].reshape(32, heads, 16).transpose(1, 0, 2)
        blobs |= {
            f"Fqkv_ein_{i}": per_head(tensors, i, heads, kv_heads), f"Fatt_ein_{i}": np.ascontiguousarray(out),
            f"Fgating_ein_{i}": np.concatenate([gate, up]), f"Flinear_w_{i}": tensors[f"{p}mlp.down_proj.weight"],
            f"Fpre_att_ns_{i}": tensors[f"{p}input_layernorm.weight"],
            f"Fpre_ff_ns_{i}": tensors[f"{p}post_attention_layernorm.weight"],
        }  # fmt: skip
    raw = {name: values.astype("<f4").tobytes() for name, values in blobs.items()}
    (tmp_path / "m.sbs").write_bytes(sbs_writer.container(raw, version=1))
    ids = list(range(2, 50))
    with (
        open_model(folder, num_threads=1) as theirs,
        open_model(tmp_path / "m.sbs", config=config, num_threads=1) as ours,
    ):
        assert np.abs(ours.logits(ids) - theirs.logits(ids)).max() < 0.02  # the embedding's scale is rounded here
