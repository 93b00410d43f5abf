"""`convert_model`: any model that is read, as one .sbs file that reads as the same model."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.gguf_file import write_gguf

from llm_framework.errors import InvalidRequestError, ModelLoadError, UnsupportedFeatureError
from llm_framework.native import _native, open_model
from llm_framework.native.convert import convert_model
from llm_framework.native.formats import open_model_file
from llm_framework.native.formats.encode import sfp_scale, to_bf16, to_sfp
from llm_framework.native.formats.sbs_container import read_blobs
from llm_framework.native.header import inspect_model

IDS = [2, *range(5, 40)]


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference kernels: activations are not rounded there, whatever the weights' type."""
    monkeypatch.setenv("LLM_FRAMEWORK_ISA", "scalar")


def convertible(folder: Callable[..., Path], config: Any, tensors: Any, model_type: str, **changes: Any) -> Path:
    """A small Hugging Face folder that an .sbs file can hold."""
    sizes = {"hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2, **changes.pop("sizes", {})}
    return folder(
        model_type,
        config={**config(model_type), **sizes, "query_pre_attn_scalar": 16, **changes},
        tensors=tensors(model_type, **sizes),
    )


# ----------------------------------------------------------------------------------------------------- the same model
@pytest.mark.parametrize("name", ["g2_sfp_v1", "g2_nuq", "g3_bf16", "g3_i8"])
def test_golden_files_come_back(golden: Path, tmp_path: Path, name: str) -> None:
    """A converted .sbs file holds the same tensors to the bit, config and tokenizer included, whatever their types."""
    source, target = golden / "sbs" / f"{name}.sbs", tmp_path / "m.sbs"
    assert convert_model(source, target) == target
    expected = json.loads((golden / "tensors.json").read_text())[name]
    with open_model(target, num_threads=1) as model, open_model(source, num_threads=1) as original:
        assert set(model.tensor_names()) == set(expected)
        for tensor, (shape, digest) in expected.items():
            values = model.tensor(tensor)
            assert list(values.shape) == shape
            assert hashlib.sha256(values.astype("<f4").tobytes()).hexdigest() == digest, tensor
        assert model.config == original.config
        assert np.array_equal(model.logits(IDS), original.logits(IDS))
        assert model.require_tokenizer().encode("Hello") == original.require_tokenizer().encode("Hello")


@pytest.mark.parametrize(("name", "display_name"), [("g2_nuq", "g2tiny"), ("g3_bf16", "g3tiny"), ("g3_i8", "g3tiny")])
def test_files_are_those_of_gemma_cpp(golden: Path, tmp_path: Path, name: str, display_name: str) -> None:
    """What is written of a file that gemma.cpp wrote is that file, byte for byte."""
    target = convert_model(golden / "sbs" / f"{name}.sbs", tmp_path / f"{display_name}.sbs")
    assert target.read_bytes() == (golden / "sbs" / f"{name}.sbs").read_bytes()


@pytest.mark.parametrize(("kv_heads", "model_type"), [(2, "gemma"), (4, "gemma"), (2, "gemma2"), (2, "gemma3_text")])
def test_folders_of_every_family(
    hf_folder: Any, hf_config: Any, hf_tensors: Any, tmp_path: Path, model_type: str, kv_heads: int
) -> None:
    """A Hugging Face folder of each family computes the same as an .sbs file."""
    sizes = {"num_key_value_heads": kv_heads}
    source = convertible(hf_folder, hf_config, hf_tensors, model_type, sizes=sizes)
    convert_model(source, tmp_path / "m.sbs")
    with open_model(source, num_threads=1) as a, open_model(tmp_path / "m.sbs", num_threads=1) as b:
        assert np.abs(a.logits(IDS) - b.logits(IDS)).max() < 1e-5
        assert b.config.family == a.config.family
        assert b.tokenizer is None


def test_gguf_files(bundled_path: Path, tmp_path: Path) -> None:
    """A GGUF file becomes the same model, its norms and tokenizer as .sbs has them."""
    pytest.importorskip("gguf")
    write_gguf(bundled_path, tmp_path / "m.gguf")
    convert_model(tmp_path / "m.gguf", tmp_path / "m.sbs")
    with open_model(tmp_path / "m.gguf", num_threads=1) as a, open_model(tmp_path / "m.sbs", num_threads=1) as b:
        assert np.array_equal(a.logits(IDS), b.logits(IDS))
        assert a.require_tokenizer().encode("Zoë <b>") == b.require_tokenizer().encode("Zoë <b>")


@pytest.mark.parametrize(("weights", "limit"), [("f32", 1e-3), ("bf16", 0.2), ("sfp", 3.0)])
@pytest.mark.parametrize("name", ["g2_sfp_v1", "g2_nuq", "g3_i8"])
def test_weights_are_recoded(golden: Path, tmp_path: Path, name: str, weights: str, limit: float) -> None:
    """Matrices get the type that was asked for, and lose what that type cannot hold."""
    source, target = golden / "sbs" / f"{name}.sbs", tmp_path / "m.sbs"
    convert_model(source, target, weights=weights)
    assert inspect_model(target).weight_type == weights
    with open_model(source, num_threads=1) as a, open_model(target, num_threads=1) as b:
        assert np.abs(a.logits(IDS) - b.logits(IDS)).max() < limit
        assert (
            np.abs(a.tensor("linear_w_1") - b.tensor("linear_w_1")).max() < 0.07 * np.abs(a.tensor("linear_w_1")).max()
        )
    kinds = {view.name: view.type for view in open_model_file(target).tensors.values()}
    assert kinds["c_embedding"] == ("f32" if weights == "f32" else "bf16")
    assert kinds["c_final_norm"] in ("f32", "bf16")


def test_quantised_weights_become_bf16(hf_config: Any, hf_tensors: Any, hf_folder: Any, tmp_path: Path) -> None:
    """What .sbs has no type for is BF16 unless asked otherwise: half precision and GGUF's blocks."""
    pytest.importorskip("gguf")
    from native.gguf_files import write_model

    sizes = {"hidden_size": 256, "intermediate_size": 64}
    config = {**hf_config("gemma3_text"), **sizes, "sliding_window_pattern": 6}
    write_model(tmp_path / "m.gguf", config, hf_tensors("gemma3_text", **sizes), "Q4_0")
    convert_model(tmp_path / "m.gguf", tmp_path / "m.sbs")
    assert inspect_model(tmp_path / "m.sbs").weight_type == "bf16"
    with open_model(tmp_path / "m.gguf", num_threads=1) as a, open_model(tmp_path / "m.sbs", num_threads=1) as b:
        expected = a.tensor("blk.1.ffn_down.weight")
        assert np.allclose(b.tensor("linear_w_1"), expected, rtol=2**-8)
        kv = b.tensor("qkv2_w_1").reshape(2, 2, 16, 256)
        assert np.allclose(kv[:, 1].reshape(32, 256), a.tensor("blk.1.attn_v.weight"), rtol=2**-8)


def test_the_tokenizer_of_a_folder(bundled_path: Path, tmp_path: Path) -> None:
    """A folder's SentencePiece model goes into the file, also where a tokenizer.json lies beside it."""
    convert_model(bundled_path, tmp_path / "a.sbs")
    blobs = read_blobs(memoryview((tmp_path / "a.sbs").read_bytes()), tmp_path)
    assert bytes(blobs["tokenizer"]) == (bundled_path / "tokenizer.model").read_bytes()
    copy = tmp_path / "copy"
    shutil.copytree(bundled_path, copy)
    (copy / "tokenizer.model").unlink()
    convert_model(copy, tmp_path / "b.sbs")
    assert not inspect_model(tmp_path / "b.sbs").has_tokenizer
    convert_model(copy, tmp_path / "b.sbs", tokenizer=bundled_path)
    assert inspect_model(tmp_path / "b.sbs").has_tokenizer
    with pytest.raises(ModelLoadError, match=r"tokenizer\.model"):
        convert_model(copy, tmp_path / "b.sbs", tokenizer=copy / "tokenizer.json")


def test_progress_reaches_the_whole(bundled_path: Path, tmp_path: Path) -> None:
    """Progress is told in bytes, never backwards, and ends at all of them."""
    told: list[tuple[int, int]] = []
    convert_model(bundled_path, tmp_path / "m.sbs", on_progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 9e6


# ------------------------------------------------------------------------------------------------------------ refused
@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"query_pre_attn_scalar": 24}, "query_scale"),
        ({"rope_theta": 5e5}, "rope_bases"),
        ({"rope_local_base_freq": 5e3}, "rope_bases"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 4.0}}, "rope_scales"),
        ({"rms_norm_eps": 1e-5}, "norm_eps"),
        ({"sliding_window": 128}, "windows"),
    ],
)
def test_what_the_format_cannot_say(
    hf_folder: Any, hf_config: Any, hf_tensors: Any, tmp_path: Path, changes: dict[str, Any], word: str
) -> None:
    """A model that a reader of the file would compute otherwise is refused, and nothing is written."""
    source = convertible(hf_folder, hf_config, hf_tensors, "gemma3_text", **changes)
    with pytest.raises(UnsupportedFeatureError, match=word):
        convert_model(source, tmp_path / "m.sbs")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_scaled_rope_of_gemma_3(hf_folder: Any, hf_config: Any, hf_tensors: Any, tmp_path: Path) -> None:
    """Rope scaling by 8, which the larger Gemma 3 have, comes back from the file."""
    scaling = {"rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    convert_model(convertible(hf_folder, hf_config, hf_tensors, "gemma3_text", **scaling), tmp_path / "m.sbs")
    with open_model(tmp_path / "m.sbs", num_threads=1) as model:
        assert model.config.rope_scales == (1, 1, 8)


def test_a_head_of_its_own(hf_folder: Any, hf_config: Any, hf_tensors: Any, tmp_path: Path) -> None:
    """A model whose output head is not its embedding has no place in the format."""
    tensors = hf_tensors("gemma3_text")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"] * 2
    config = {**hf_config("gemma3_text"), "tie_word_embeddings": False, "query_pre_attn_scalar": 16}
    with pytest.raises(UnsupportedFeatureError, match="output head"):
        convert_model(hf_folder("gemma3_text", config=config, tensors=tensors), tmp_path / "m.sbs")


def test_wrong_requests(bundled_path: Path, tmp_path: Path) -> None:
    """Unknown weight types, targets that are no .sbs file and folders that are not there are said at once."""
    with pytest.raises(InvalidRequestError, match="keep, f32, bf16, sfp"):
        convert_model(bundled_path, tmp_path / "m.sbs", weights="q4")
    with pytest.raises(InvalidRequestError, match=r"\.sbs"):
        convert_model(bundled_path, tmp_path / "m.safetensors")
    with pytest.raises(ModelLoadError, match="cannot be written"):
        convert_model(bundled_path, tmp_path / "nowhere" / "m.sbs")


def test_an_interrupted_conversion_leaves_nothing(bundled_path: Path, tmp_path: Path) -> None:
    """The target stays as it was until the new file is whole."""
    (tmp_path / "m.sbs").write_bytes(b"old")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_model(bundled_path, tmp_path / "m.sbs", on_progress=stop)
    assert os.listdir(tmp_path) == ["m.sbs"]
    assert (tmp_path / "m.sbs").read_bytes() == b"old"
    convert_model(bundled_path, tmp_path / "m.sbs")
    assert os.listdir(tmp_path) == ["m.sbs"]


# ----------------------------------------------------------------------------------------------------------- encoders
def decoded(codes: np.ndarray) -> np.ndarray:
    return _native.decode_tensor((codes.tobytes(), "sfp", 1, codes.size, 1.0))[0]


def test_every_sfp_code_is_its_own_encoding() -> None:
    """What a byte means is encoded to that byte."""
    codes = np.array([code for code in range(256) if code != 0x80], np.uint8)
    assert np.array_equal(to_sfp(decoded(codes)), codes)


def test_sfp_takes_the_nearest_value() -> None:
    """Every bfloat16 from the smallest code on gets the nearest value there is; below that it becomes 0."""
    values = (np.arange(0x3400, 0x3FF1, dtype=np.uint32) << 16).view(np.float32)
    table = decoded(np.arange(1, 128, dtype=np.uint8))
    nearest = np.abs(table[None] - values[:, None]).min(1)
    assert np.array_equal(np.abs(decoded(to_sfp(values)) - values), nearest)
    assert np.array_equal(to_sfp(-values), to_sfp(values) | 0x80)
    assert not to_sfp(np.float32([2**-24, -(2**-30), 0, -0.0])).any()


def test_sfp_scales_what_is_large() -> None:
    """A tensor that goes beyond 1.875 is divided by a scale that makes its largest value that."""
    values = np.float32([4.0, -2.0, 0.5])
    assert sfp_scale(1.875) == 1
    scale = sfp_scale(4.0)
    assert np.allclose(decoded(to_sfp(values, scale)) * scale, values, rtol=0.07)
    assert to_sfp(values, scale)[0] == 127


@settings(max_examples=200, deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**127), max_value=2.0**127))
def test_bf16_is_the_nearest(value: float) -> None:
    """Rounding to bfloat16 takes the nearer neighbour, and the even one of two that are as near."""
    torch = pytest.importorskip("torch")
    expected = torch.tensor([value], dtype=torch.float32).to(torch.bfloat16).view(torch.uint16).item()
    assert to_bf16(np.float32([value]))[0] == expected
