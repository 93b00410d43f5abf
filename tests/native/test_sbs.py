"""`.sbs` files: both containers, the golden files made with gemma.cpp, and the config record."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_framework.errors import ModelLoadError
from llm_framework.native import NativeModel, open_model
from llm_framework.native.config import read_config
from llm_framework.native.formats import open_model_file
from llm_framework.native.formats.sbs_record import read_sbs_config
from llm_framework.native.header import inspect_model
from llm_framework.native.sbs_config import config_from_sbs

NAMES = ["g2_sfp_v1", "g2_nuq", "g3_bf16", "g3_i8"]
PROMPTS = [1, 2, 4]


# ------------------------------------------------------------------------------------------------------- golden files
@pytest.mark.parametrize("name", NAMES)
def test_decoded_tensors_are_bit_identical(golden: Path, name: str) -> None:
    """Every tensor of a golden file decodes to exactly the values that gemma.cpp decodes."""
    expected = json.loads((golden / "tensors.json").read_text())[name]
    with open_model(golden / "sbs" / f"{name}.sbs", num_threads=1) as model:
        assert set(model.tensor_names()) == set(expected)
        for tensor, (shape, digest) in expected.items():
            values = model.tensor(tensor)
            assert list(values.shape) == shape
            assert hashlib.sha256(values.astype("<f4").tobytes()).hexdigest() == digest, tensor


def teacher_forced(golden: Path, name: str, prompt: int) -> tuple[list[int], int, np.ndarray]:
    """The prompt and gemma.cpp's continuation, where the continuation's logits begin, and those logits."""
    reference = golden / "reference" / name / f"prompt{prompt}"
    text = json.loads(reference.with_suffix(".json").read_text())
    ids = text["prompt"] + text["greedy"][:-1]
    return ids, len(text["prompt"]) - 1, np.load(f"{reference}.gen_logits.npy")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_logits_are_near_those_of_gemma_cpp(golden: Path, name: str, prompt: int) -> None:
    """Teacher-forced logits lie within gemma.cpp's own error, and the likeliest token agrees where it is clear."""
    ids, start, expected = teacher_forced(golden, name, prompt)
    with open_model(golden / "sbs" / f"{name}.sbs", num_threads=2) as model:
        logits = model.logits(ids)[start:]
    error = np.abs(logits - expected)
    assert error.max() <= 0.4
    assert error.mean() <= 0.06
    top = np.sort(expected, axis=1)
    clear = top[:, -1] - top[:, -2] > 0.4
    assert (logits.argmax(1) == expected.argmax(1))[clear].all()


@pytest.mark.parametrize("isa", ["best", "scalar"])
@pytest.mark.parametrize("name", NAMES)
def test_logits_against_a_float32_forward(golden: Path, name: str, isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error against Transformers in float32 on the same weights is that of BF16 activations at most, and next to
    none on the scalar path; this is closer than gemma.cpp is."""
    if isa == "scalar":
        monkeypatch.setenv("LLM_FRAMEWORK_ISA", "scalar")
    ids, start, theirs = teacher_forced(golden, name, PROMPTS[-1])
    with open_model(golden / "sbs" / f"{name}.sbs", num_threads=2) as model:
        exact = float32_logits(model, ids)
        error = np.abs(model.logits(ids) - exact).mean()
    assert error <= (1e-3 if isa == "scalar" else 0.02)
    assert error < np.abs(theirs - exact[start:]).mean()


def float32_logits(model: NativeModel, ids: list[int]) -> np.ndarray:
    """The same weights in Hugging Face's layout, run by Transformers."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    config = model.config
    common = {
        "vocab_size": config.vocab_size, "hidden_size": config.model_dim, "intermediate_size": config.ffn_dim,
        "num_hidden_layers": config.num_layers, "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads, "head_dim": config.head_dim,
        "max_position_embeddings": config.max_seq_len, "query_pre_attn_scalar": config.head_dim,
        "sliding_window": max(config.windows), "attn_implementation": "eager",
        "attn_logit_softcapping": config.attention_softcap or None,
        "final_logit_softcapping": config.final_softcap or None,
        "layer_types": ["sliding_attention" if window else "full_attention" for window in config.windows],
    }  # fmt: skip
    family = {"gemma2": "Gemma2", "gemma3": "Gemma3Text"}[config.family]
    kind = {"gemma2": "Gemma2ForCausalLM", "gemma3": "Gemma3ForCausalLM"}[config.family]
    network = getattr(transformers, kind)(getattr(transformers, f"{family}Config")(**common)).eval()
    state = {name: torch.from_numpy(values) for name, values in as_hugging_face(model).items()}
    network.load_state_dict({**state, "lm_head.weight": state["model.embed_tokens.weight"]})
    with torch.no_grad():
        logits: np.ndarray = network(torch.tensor([ids])).logits[0].numpy()
    return logits


def as_hugging_face(model: NativeModel) -> dict[str, np.ndarray]:
    """An .sbs file's tensors, fused or split, under Hugging Face's names."""
    config, tensor = model.config, model.tensor
    q, d, f = config.num_heads * config.head_dim, config.head_dim, config.ffn_dim
    fused = "qkv_ein_0" in model.tensor_names()
    state = {"model.embed_tokens.weight": tensor("c_embedding"), "model.norm.weight": tensor("c_final_norm")[0]}
    for i in range(config.num_layers):
        p = f"model.layers.{i}."
        qkv = tensor(f"qkv_ein_{i}") if fused else np.concatenate([tensor(f"qkv1_w_{i}"), tensor(f"qkv2_w_{i}")])
        kv = qkv[q:].reshape(config.num_kv_heads, 2, d, -1)
        state[p + "self_attn.q_proj.weight"] = qkv[:q]
        state[p + "self_attn.k_proj.weight"] = kv[:, 0].reshape(-1, config.model_dim)
        state[p + "self_attn.v_proj.weight"] = kv[:, 1].reshape(-1, config.model_dim)
        if fused:
            heads = tensor(f"att_ein_{i}").reshape(config.num_heads, config.model_dim, d)
            state[p + "self_attn.o_proj.weight"] = heads.transpose(1, 0, 2).reshape(config.model_dim, q)
            gating = tensor(f"gating_ein_{i}")
        else:
            state[p + "self_attn.o_proj.weight"] = tensor(f"att_w_{i}")
            gating = np.concatenate([tensor(f"gating1_w_{i}"), tensor(f"gating2_w_{i}")])
        state |= {p + "mlp.gate_proj.weight": gating[:f], p + "mlp.up_proj.weight": gating[f:]}
        state[p + "mlp.down_proj.weight"] = tensor(f"linear_w_{i}")
        names = {
            "pre_att_ns": "input_layernorm", "post_att_ns": "post_attention_layernorm",
            "pre_ff_ns": "pre_feedforward_layernorm", "post_ff_ns": "post_feedforward_layernorm",
            "query_norm": "self_attn.q_norm", "key_norm": "self_attn.k_norm",
        }  # fmt: skip
        for ours, theirs in names.items():
            if f"{ours}_{i}" in model.tensor_names():
                state[f"{p}{theirs}.weight"] = tensor(f"{ours}_{i}")[0]
    return {name: np.ascontiguousarray(values) for name, values in state.items()}


# ---------------------------------------------------------------------------------------------- containers and layouts
def test_both_containers_hold_the_same(sbs_writer: Any, tmp_path: Path) -> None:
    """A V1 and a V2 file of the same blobs give the same header, tensors and logits."""
    logits = []
    for version in (1, 2):
        path = tmp_path / f"v{version}.sbs"
        path.write_bytes(sbs_writer.container(sbs_writer.blobs(), version))
        with open_model(path, num_threads=1) as model:
            assert model.tokenizer is None
            logits.append(model.logits([2, 5, 9, 33]))
    assert np.array_equal(*logits)


def split(sbs_writer: Any, tensors: dict[str, tuple[str, int, int, bytes]]) -> dict[str, tuple[str, int, int, bytes]]:
    """The same model in the split layout: qkv1_w and qkv2_w, att_w, gating1_w and gating2_w."""
    d, f, h, s = 32, 48, 4, 16
    out = dict(tensors)
    for i in range(2):
        kind, rows, cols, raw = out.pop(f"qkv_ein_{i}")
        out[f"qkv1_w_{i}"] = (kind, h * s, cols, raw[: h * s * cols])
        out[f"qkv2_w_{i}"] = (kind, rows - h * s, cols, raw[h * s * cols :])
        kind, _, _, raw = out.pop(f"att_ein_{i}")
        heads = np.frombuffer(raw, np.uint8).reshape(h, d, s).transpose(1, 0, 2)
        out[f"att_w_{i}"] = (kind, d, h * s, heads.tobytes())
        kind, _, cols, raw = out.pop(f"gating_ein_{i}")
        out[f"gating1_w_{i}"] = (kind, f, cols, raw[: f * cols])
        out[f"gating2_w_{i}"] = (kind, f, cols, raw[f * cols :])
    return out


def test_split_and_fused_tensors_are_the_same_model(sbs_writer: Any, tmp_path: Path) -> None:
    """The split layout computes what the fused one does."""
    fused = sbs_writer.small_tensors()
    logits = []
    for tensors in (fused, split(sbs_writer, fused)):
        path = tmp_path / f"{len(tensors)}.sbs"
        path.write_bytes(sbs_writer.container(sbs_writer.blobs(tensors)))
        with open_model(path, num_threads=1) as model:
            logits.append(model.logits(list(range(2, 40))))
    assert np.abs(logits[0] - logits[1]).max() < 1e-3


def test_scale_multiplies_a_tensor(sbs_writer: Any, tmp_path: Path) -> None:
    """A tensor's true values are the decoded ones times the scale in the table."""
    blobs = sbs_writer.blobs()
    small = sbs_writer.small_tensors()
    scaled = {name: sbs_writer.tensor(name, *fields, scale=2.5) for name, fields in small.items()}
    values = []
    for name, toc in (("plain", blobs["toc"]), ("scaled", b"".join(scaled.values()))):
        path = tmp_path / f"{name}.sbs"
        path.write_bytes(sbs_writer.container({**blobs, "toc": toc}))
        with open_model(path, num_threads=1) as model:
            values.append(model.tensor("linear_w_1"))
    assert np.array_equal(values[0] * np.float32(2.5), values[1])


def test_f32_tensors(sbs_writer: Any, tmp_path: Path) -> None:
    """F32 tensors are read as they are."""
    tensors = sbs_writer.small_tensors()
    norm = np.linspace(-1, 1, 32, dtype=np.float32)
    tensors["c_final_norm"] = ("f32", 1, 32, norm.tobytes())
    path = tmp_path / "m.sbs"
    path.write_bytes(sbs_writer.container(sbs_writer.blobs(tensors)))
    with open_model(path, num_threads=1) as model:
        assert np.array_equal(model.tensor("c_final_norm"), norm[None])


def test_header_and_tokenizer_of_a_golden_file(golden: Path) -> None:
    """`inspect_model` reads the header alone, and the tokenizer in the file works."""
    path = golden / "sbs" / "g2_sfp_v1.sbs"
    header = inspect_model(path)
    assert (header.format, header.family, header.weight_type, header.context_length) == ("sbs", "gemma2", "sfp", 1024)
    assert header.has_tokenizer
    with open_model(path, num_threads=1) as model:
        tokenizer = model.require_tokenizer()
        assert tokenizer.decode(tokenizer.encode("Hello, wörld")) == "Hello, wörld"
        assert model.config.eos_ids >= {1, 5}


# ------------------------------------------------------------------------------------------------------------- config
HERE = Path("m.sbs")


def config_of(writer: Any, **changes: Any) -> Any:
    return config_from_sbs(read_sbs_config(writer.config(**changes), HERE), HERE)


@pytest.mark.parametrize(("code", "base", "scale"), [(14, 1e6, 8), (15, 1e6, 1), (18, 1e6, 1), (7, 1e4, 1)])
def test_rope_is_as_hugging_face_defines_it(sbs_writer: Any, code: int, base: float, scale: float) -> None:
    """The file has no rope base: global layers get their family's, scaled by 8 from 4B on; sliding layers 10,000."""
    config = config_of(sbs_writer, model=code)
    assert config.windows == (8, 0)
    assert config.rope_bases == (1e4, base)
    assert config.rope_scales == (1, scale)


def test_query_and_embedding_scales(sbs_writer: Any) -> None:
    """The query scale follows its code (with the integer division); the embedding's is rounded to bfloat16."""
    assert config_of(sbs_writer).query_scale == 0.25
    config = config_of(sbs_writer, query_scale=1, model_dim=39)
    assert config.query_scale == 9**-0.5
    assert config.embedding_scale == 6.25  # sqrt(39) is 6.245
    assert config_of(sbs_writer, model_dim=2304).embedding_scale == 48


def test_a_record_that_ends_early_keeps_defaults_and_extra_words_are_skipped(sbs_writer: Any) -> None:
    """Older and newer writers' config records are read alike."""
    words = sbs_writer.config(eos=(1, 99))
    count = struct.unpack_from("<I", words)[0]
    short = struct.pack("<I", count - 3) + words[4:-12]
    assert read_sbs_config(short, HERE).eos_ids == (1, 107)
    longer = struct.pack("<I", count + 2) + words[4:] + b"\xff" * 8
    assert read_sbs_config(longer, HERE) == read_sbs_config(words, HERE)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"model": 10}, "PaliGemma2-3B-224"),
        ({"model": 5}, "unknown model 5"),
        ({"absolute_pe": 1}, "absolute position"),
        ({"ffn_biases": 1}, "biases"),
        ({"type": 1}, "layer type"),
        ({"activation": 1}, "activation"),
        ({"post_qk": 1}, "half of the head"),
        ({"query_scale": 2}, "query scale"),
        ({"windows": (8,)}, "1 windows"),
        ({"layers": 0, "windows": ()}, "layers"),
        ({"layers": 3, "windows": (8, 8, 128)}, "missing"),
        ({"heads": 0}, "num_heads"),
        ({"vocab": 0}, "vocab_size"),
        ({"vocab": 65}, "c_embedding"),
        ({"att_cap": float("nan")}, "nan"),
        ({"final_cap": -1.0}, "soft caps"),
        ({"qk_norm": 7}, "true or false"),
    ],
)
def test_what_cannot_be_run_is_refused(sbs_writer: Any, tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    """A config that asks for what the engine does not compute is an error that names the file and the fault."""
    path = tmp_path / "m.sbs"
    path.write_bytes(sbs_writer.container(sbs_writer.blobs(**changes)))
    with pytest.raises(ModelLoadError, match=word) as error:
        inspect_model(path)
    assert str(path) in str(error.value)


def test_heads_of_a_grouped_type_are_joined(sbs_writer: Any, tmp_path: Path) -> None:
    """The attention's output matrix in the layout by heads runs as the same values in BF16 do."""
    random = np.random.default_rng(3)
    tensors = sbs_writer.small_tensors()
    _, rows, cols, _ = tensors["att_ein_0"]
    groups = -(-rows * cols // 128)
    integers = random.integers(-127, 127, rows * cols).astype(np.int8).tobytes()
    scale = np.array([0.0078125, 0.0], "<f4").view("<u2")[1::2].tobytes()  # bf16: inverse scale, zero point
    data = b"".join(scale + integers[128 * i : 128 * (i + 1)] for i in range(groups))
    bf16 = (np.frombuffer(integers, np.int8).astype("<f4") / 128).view("<u2")[1::2].tobytes()
    logits = []
    for name, tensor in {"i8": ("i8", rows, cols, data), "bf16": ("bf16", rows, cols, bf16)}.items():
        path = tmp_path / f"{name}.sbs"
        path.write_bytes(sbs_writer.container(sbs_writer.blobs({**tensors, "att_ein_0": tensor})))
        with open_model(path, num_threads=1) as model:
            logits.append(model.logits([2, 3, 4]))
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-4)


def test_a_given_config_replaces_the_files_own(sbs_writer: Any, hf_config: Any, tmp_path: Path) -> None:
    """`config` in Hugging Face's form describes an .sbs file; the layout of its tensors stays the file's."""
    path = tmp_path / "m.sbs"
    path.write_bytes(sbs_writer.container(sbs_writer.blobs()))
    raw = {**hf_config("gemma3_text"), "num_hidden_layers": 2, "sliding_window_pattern": 2}
    given = read_config(open_model_file(path, {**raw, "query_pre_attn_scalar": 16, "sliding_window": 8}))
    own = read_config(open_model_file(path))
    for name in ("windows", "rope_bases", "query_scale", "embedding_scale", "qkv_layout", "head_dim", "qk_norm"):
        assert getattr(given, name) == getattr(own, name), name
