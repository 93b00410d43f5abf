"""Hugging Face folders: the reader against the reference library, shards, caches, and every form of config."""

from __future__ import annotations

import json
import mmap
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_framework.errors import ModelLoadError
from llm_framework.native.architecture.hf import config_from_hf
from llm_framework.native.config import read_config
from llm_framework.native.formats import open_model_file
from llm_framework.native.formats.safetensors import read_file
from llm_framework.native.header import inspect_model
from llm_framework.native.weights import engine_views

DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "U8": np.uint8, "BOOL": np.bool_}


def test_agrees_with_the_reference_library(tmp_path: Path) -> None:
    """Names, shapes and bytes are those that the safetensors package wrote."""
    library = pytest.importorskip("safetensors.numpy")
    random = np.random.default_rng(1)
    shapes = [(), (3,), (4, 5), (2, 3, 4), (0, 7)]
    arrays = {
        f"{name}.{len(shape)}": np.asarray(random.integers(0, 2, shape)).astype(kind)
        for name, kind in DTYPES.items()
        for shape in shapes
    }
    library.save_file(arrays, tmp_path / "m.safetensors", metadata={"format": "np"})
    tensors, _ = read_file(tmp_path / "m.safetensors")
    assert {name: view.shape for name, view in tensors.items()} == {name: a.shape for name, a in arrays.items()}
    assert {name: bytes(view.data) for name, view in tensors.items()} == {n: a.tobytes() for n, a in arrays.items()}


def test_tensors_are_not_copied(hf_folder: Callable[..., Path]) -> None:
    """A tensor is a read-only window on the mapped file."""
    tensors, mapped = read_file(hf_folder() / "model.safetensors")
    view = tensors["model.norm.weight"].data
    assert view.readonly
    assert view.obj is mapped
    assert isinstance(mapped, mmap.mmap)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_header_of_a_folder(hf_folder: Callable[..., Path], dtype: str) -> None:
    """`inspect_model` says what the folder holds without an engine or a tokenizer."""
    header = inspect_model(hf_folder("gemma2", dtype=dtype))
    assert (header.format, header.family, header.architecture) == ("safetensors", "gemma2", "Gemma2ForCausalLM")
    assert (header.context_length, header.vocab_size, header.weight_type) == (128, 64, dtype.lower())
    assert (header.has_tokenizer, header.has_chat_template) == (False, False)
    assert header.num_parameters > 64 * 32


def shard(folder: Path, hf_tensors: dict[str, np.ndarray], parts: int, writer: Any) -> dict[str, str]:
    """Spread the weights over files with an index; gives the weight map."""
    names = list(hf_tensors)
    weight_map = {name: f"model-{1 + i % parts:05}-of-{parts:05}.safetensors" for i, name in enumerate(names)}
    for file in set(weight_map.values()):
        inside = {n: ("F32", hf_tensors[n].shape, hf_tensors[n].tobytes()) for n in names if weight_map[n] == file}
        (folder / file).write_bytes(writer.pack(inside))
    (folder / "model.safetensors").unlink()
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return weight_map


def test_shards_are_joined(
    hf_folder: Callable[..., Path], hf_tensors: Callable[..., Any], safetensors_writer: Any
) -> None:
    """Weights in several files under an index are one model."""
    folder = hf_folder()
    tensors = hf_tensors("gemma3_text")
    shard(folder, tensors, 3, safetensors_writer)
    file = open_model_file(folder)
    assert {name: bytes(view.data) for name, view in file.tensors.items()} == {
        name: values.tobytes() for name, values in tensors.items()
    }
    assert file.num_bytes == sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def test_a_cache_of_symlinks_opens(hf_folder: Callable[..., Path], tmp_path: Path) -> None:
    """A snapshot folder of links into a blob store, as Hugging Face's cache has them, opens as a folder."""
    blobs, snapshot = hf_folder(), tmp_path / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(file)
    assert inspect_model(snapshot).family == "gemma3"


def test_a_weight_file_opens_with_its_folder(hf_folder: Callable[..., Path]) -> None:
    """The path of the .safetensors file itself is as good as its folder's."""
    folder = hf_folder()
    assert inspect_model(folder / "model.safetensors").num_parameters == inspect_model(folder).num_parameters


def test_chat_template_places(hf_folder: Callable[..., Path]) -> None:
    """The template comes from chat_template.jinja first, then from the JSON files, also where several are named."""
    folder = hf_folder()
    named = [{"name": "rag", "template": "no"}, {"name": "default", "template": "third"}]
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert open_model_file(folder).chat_template == "third"
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "second"}))
    assert open_model_file(folder).chat_template == "second"
    (folder / "chat_template.jinja").write_text("first")
    assert open_model_file(folder).chat_template == "first"


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model."])
def test_multimodal_checkpoints_load_as_text(
    hf_folder: Callable[..., Path], hf_config: Any, hf_tensors: Callable[..., Any], prefix: str
) -> None:
    """A Gemma 3 with a vision tower gives its language model; what belongs to the tower is left alone."""
    text = hf_config("gemma3_text")
    config = {
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": text,
        "vision_config": {"hidden_size": 8}, "eos_token_id": [1, 5],
    }  # fmt: skip
    tensors = {**hf_tensors("gemma3_text", prefix), "vision_tower.patch.weight": np.ones((2, 3, 4, 4), np.float32)}
    file = open_model_file(hf_folder(config=config, tensors=tensors))
    model = read_config(file)
    assert (model.family, model.model_dim, model.eos_ids) == ("gemma3", 32, {1, 5})
    views = engine_views(file, model)
    assert views["embedding"].name == f"{prefix}embed_tokens.weight"
    assert not any("vision" in view.name for view in views.values())


# ------------------------------------------------------------------------------------------------------------- config
HERE = Path("config.json")
OFFICIAL_4B = {
    "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "eos_token_id": [1, 106],
    "text_config": {
        "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
    },
}  # fmt: skip


def test_omitted_fields_are_those_of_the_config_classes() -> None:
    """A config.json that gives little, as the official 4B one, is filled up as Transformers does."""
    transformers = pytest.importorskip("transformers")
    config = config_from_hf(OFFICIAL_4B, HERE)
    theirs = transformers.Gemma3Config(**OFFICIAL_4B).text_config
    assert config.vocab_size == theirs.vocab_size
    assert config.max_seq_len == theirs.max_position_embeddings
    heads = (theirs.num_attention_heads, theirs.num_key_value_heads, theirs.head_dim)
    assert (config.num_heads, config.num_kv_heads, config.head_dim) == heads
    assert config.query_scale == theirs.query_pre_attn_scalar**-0.5
    assert [window > 0 for window in config.windows] == [t == "sliding_attention" for t in theirs.layer_types]
    assert config.eos_ids == {1, 106}


@pytest.mark.parametrize(("model_type", "name"), [("gemma", "GemmaConfig"), ("gemma2", "Gemma2Config")])
def test_defaults_of_the_older_families(model_type: str, name: str) -> None:
    """An empty config of Gemma 1 or 2 means what Transformers' class means by it."""
    transformers = pytest.importorskip("transformers")
    theirs = getattr(transformers, name)()
    config = config_from_hf({"model_type": model_type}, HERE)
    ours = (config.model_dim, config.ffn_dim, config.num_layers, config.num_heads, config.num_kv_heads)
    assert ours == (
        theirs.hidden_size, theirs.intermediate_size, theirs.num_hidden_layers, theirs.num_attention_heads,
        theirs.num_key_value_heads,
    )  # fmt: skip
    assert (config.vocab_size, config.max_seq_len) == (theirs.vocab_size, theirs.max_position_embeddings)
    assert config.attention_softcap == (getattr(theirs, "attn_logit_softcapping", None) or 0)
    assert config.final_softcap == (getattr(theirs, "final_logit_softcapping", None) or 0)


def test_old_rope_fields(hf_config: Any) -> None:
    """rope_theta, rope_local_base_freq and rope_scaling: the scaling is the global layers' alone."""
    raw = {**hf_config("gemma3_text"), "rope_theta": 5e5, "rope_local_base_freq": 2e4}
    config = config_from_hf({**raw, "rope_scaling": {"rope_type": "linear", "factor": 8}}, HERE)
    assert config.windows == (8, 8, 0)
    assert config.rope_bases == (2e4, 2e4, 5e5)
    assert config.rope_scales == (1, 1, 8)


def test_new_rope_fields(hf_config: Any) -> None:
    """Transformers 5's rope_parameters say the same, by layer type or, for one kind of layer, flat."""
    both = {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 5e5},
        "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
    }
    config = config_from_hf({**hf_config("gemma3_text"), "rope_parameters": both}, HERE)
    assert (config.rope_bases, config.rope_scales) == ((2e4, 2e4, 5e5), (1, 1, 8))
    flat = {"rope_type": "default", "rope_theta": 3e4}
    assert config_from_hf({**hf_config("gemma2"), "rope_parameters": flat}, HERE).rope_bases == (3e4, 3e4, 3e4)


def test_rope_defaults(hf_config: Any) -> None:
    """Without a word of rope, global layers of Gemma 3 have the base 1,000,000 and all others 10,000."""
    assert config_from_hf(hf_config("gemma3_text"), HERE).rope_bases == (1e4, 1e4, 1e6)
    assert config_from_hf(hf_config("gemma2"), HERE).rope_bases == (1e4, 1e4, 1e4)


def test_layer_types(hf_config: Any) -> None:
    """layer_types wins over the pattern; without either, Gemma 2's even layers slide and Gemma 1's none."""
    types = ["full_attention", "sliding_attention", "full_attention"]
    assert config_from_hf({**hf_config("gemma3_text"), "layer_types": types}, HERE).windows == (0, 8, 0)
    assert config_from_hf(hf_config("gemma2"), HERE).windows == (8, 0, 8)
    assert config_from_hf(hf_config("gemma"), HERE).windows == (0, 0, 0)
    assert config_from_hf({**hf_config("gemma2"), "sliding_window": None}, HERE).windows == (0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "LlamaForCausalLM"),
        ({"model_type": "gemma5", "architectures": ["Gemma5ForConditionalGeneration"]}, "Gemma5"),
        ({"model_type": "paligemma", "architectures": None}, "paligemma"),
        ({"model_type": None, "architectures": None}, "none named"),
        ({"architectures": ["Gemma3ForSequenceClassification"]}, "SequenceClassification"),
        ({"attention_bias": True}, "attention_bias"),
        ({"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config"),
        ({"hidden_activation": "silu"}, "silu"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "yarn"),
        ({"layer_types": ["full_attention"]}, "layer_types"),
        ({"layer_types": [{}, [], 1]}, "layer_types"),
        ({"num_hidden_layers": 0}, "layers"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"hidden_size": "32"}, "hidden_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"num_key_value_heads": 3}, "heads"),
        ({"num_key_value_heads": 0}, "num_kv_heads"),
        ({"head_dim": 15}, "head_dim"),
        ({"rms_norm_eps": 0}, "norm epsilon"),
        ({"rope_theta": -1}, "rope bases"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 0}}, "rope bases"),
        ({"rope_scaling": 8}, "rope_scaling"),
        ({"final_logit_softcapping": -3}, "soft caps"),
        ({"query_pre_attn_scalar": 0}, "query_pre_attn_scalar"),
        ({"sliding_window_pattern": 0}, "sliding_window_pattern"),
        ({"text_config": [1]}, "text_config"),
    ],
)
def test_what_cannot_be_run_is_refused(
    hf_folder: Callable[..., Path], hf_config: Any, changes: dict[str, Any], word: str
) -> None:
    """A config that asks for what the engine does not compute is an error that names the folder and the field."""
    folder = hf_folder(config={**hf_config("gemma3_text"), **changes})
    with pytest.raises(ModelLoadError, match=word) as error:
        inspect_model(folder)
    assert str(folder) in str(error.value)
    assert error.value.path == str(folder)


def test_untied_head_is_read_only_where_the_config_says_so(
    hf_folder: Callable[..., Path], hf_config: Any, hf_tensors: Callable[..., Any]
) -> None:
    """A stored lm_head counts where the embeddings are not tied, and is left alone where they are."""
    tensors = {**hf_tensors("gemma2"), "lm_head.weight": np.ones((64, 32), np.float32)}
    for tied, name in ((True, "tied"), (False, "untied")):
        config = {**hf_config("gemma2"), "tie_word_embeddings": tied}
        file = open_model_file(hf_folder(config=config, tensors=tensors, name=name))
        assert ("lm_head" in engine_views(file, read_config(file))) is not tied


def test_a_model_moves_with_its_folder(hf_folder: Callable[..., Path], tmp_path: Path) -> None:
    """Nothing in a folder depends on where it lies."""
    moved = shutil.copytree(hf_folder(), tmp_path / "elsewhere" / "my model é")
    assert inspect_model(moved).path == moved
