"""GGUF files: header, config, tensors and logits, against the `gguf` package and the same model from safetensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native.gguf_files import array, container, dequantize, entry, info, text, write_model
from servers.gguf_file import write_gguf

from llm_framework import LLMFramework
from llm_framework.errors import ModelLoadError
from llm_framework.native import open_model
from llm_framework.native.config import read_config
from llm_framework.native.formats import open_model_file
from llm_framework.native.formats.gguf import GGML_TYPES, read_gguf
from llm_framework.native.header import inspect_model
from llm_framework.registry import ModelRegistry
from llm_framework.types import ToolSpec

gguf = pytest.importorskip("gguf")

FAMILIES = ["gemma", "gemma2", "gemma3_text"]
BLOCK_TYPES = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
BIG = {"hidden_size": 256, "intermediate_size": 512, "head_dim": 64}  # rows that whole 256-value blocks fill
IDS = [2, *range(3, 60)]


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference kernels: activations are not rounded there."""
    monkeypatch.setenv("LLM_FRAMEWORK_ISA", "scalar")


def same_in_gguf(config: dict[str, Any]) -> dict[str, Any]:
    """What a GGUF file of a small model cannot say otherwise: llama.cpp's query scale, and its layer pattern."""
    pattern = {"gemma": 1, "gemma2": 2, "gemma3_text": 6}[config["model_type"]]
    return {**config, "query_pre_attn_scalar": config["head_dim"], "sliding_window_pattern": pattern}


@pytest.fixture
def pair(
    tmp_path: Path, hf_folder: Callable[..., Path], hf_config: Callable[..., Any], hf_tensors: Callable[..., Any]
) -> Callable[..., tuple[Path, Path]]:
    """Makes the same random model as a GGUF file and as a Hugging Face folder."""

    def make(model_type: str, kind: str = "F32", split: int = 0, **sizes: int) -> tuple[Path, Path]:
        config = same_in_gguf({**hf_config(model_type), "num_hidden_layers": 7, **sizes})
        tensors = hf_tensors(model_type, num_hidden_layers=7, **sizes)
        write_model(tmp_path / "model.gguf", config, tensors, kind, split)
        left = {n: dequantize(values, kind) if values.ndim == 2 else values for n, values in tensors.items()}
        return tmp_path / "model.gguf", hf_folder(model_type, config=config, tensors=left)

    return make


# ------------------------------------------------------------------------------------------------------------- header
def test_type_table_is_that_of_the_package() -> None:
    """Every type has the code, the name, the block and the size that the `gguf` package gives it."""
    for code, (name, values, size) in GGML_TYPES.items():
        known = gguf.GGMLQuantizationType(code)
        assert (known.name.lower(), gguf.GGML_QUANT_SIZES[known]) == (name.lower(), (values, size))


def test_header_is_what_the_package_reads(tmp_path: Path, bundled_path: Path) -> None:
    """Keys, values, tensor names, shapes and bytes are those that the `gguf` package's own reader finds."""
    path = tmp_path / "m.gguf"
    write_gguf(bundled_path, path)
    ours, theirs = read_gguf(path), gguf.GGUFReader(path)
    fields = {name: field for name, field in theirs.fields.items() if not name.startswith("GGUF.")}
    assert list(ours.metadata) == list(fields)
    assert ours.metadata.text("general.architecture") == fields["general.architecture"].contents()
    assert ours.metadata.integer("gemma3.block_count") == fields["gemma3.block_count"].contents()
    assert ours.metadata.number("gemma3.rope.freq_base") == fields["gemma3.rope.freq_base"].contents()
    assert ours.metadata.flag("tokenizer.ggml.add_bos_token") is True
    tokens, scores = (ours.metadata.array(f"tokenizer.ggml.{name}") for name in ("tokens", "scores"))
    assert tokens is not None
    assert scores is not None
    assert [token.decode() for token in tokens.strings()] == fields["tokenizer.ggml.tokens"].contents()
    assert list(scores.numbers()) == fields["tokenizer.ggml.scores"].contents()
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        view = ours.tensors[tensor.name]
        assert view.shape == tuple(int(size) for size in tensor.shape[::-1])
        assert bytes(view.data) == tensor.data.tobytes()


def test_version_2_and_other_alignments(tmp_path: Path) -> None:
    """A version 2 file reads alike, and data begin at a multiple of the alignment that the file gives."""
    entries = [entry("general.alignment", 4, (64).to_bytes(4, "little"))]
    infos = [info("a", (2, 1), 0, 0), info("b", (1,), 0, 64)]
    raw = container(entries, infos, version=2)
    raw += bytes(-len(raw) % 64) + np.float32([1, 2]).tobytes() + bytes(56) + np.float32([3]).tobytes()
    (tmp_path / "m.gguf").write_bytes(raw)
    tensors = read_gguf(tmp_path / "m.gguf").tensors
    assert [np.frombuffer(view.data, "<f4").tolist() for view in tensors.values()] == [[1, 2], [3]]
    assert [view.shape for view in tensors.values()] == [(1, 2), (1,)]


def test_metadata_of_every_type(tmp_path: Path) -> None:
    """Numbers, text and arrays of every type come back, and asking for another type is a load error."""
    values = [
        entry("u8", 0, b"\xff"), entry("i8", 1, b"\xff"), entry("u16", 2, b"\xff\xff"), entry("i16", 3, b"\xff\xff"),
        entry("u32", 4, b"\xff" * 4), entry("i32", 5, b"\xff" * 4), entry("f32", 6, np.float32(0.5).tobytes()),
        entry("bool", 7, b"\1"), entry("text", 8, text("häuser")), entry("u64", 10, b"\xff" * 8),
        entry("i64", 11, b"\xff" * 8), entry("f64", 12, np.float64(0.1).tobytes()), entry("nan", 6, b"\xff" * 4),
        array("texts", 8, 2, text("a") + text("")), array("numbers", 3, 2, b"\1\0\2\0"), array("none", 8, 0, b""),
    ]  # fmt: skip
    (tmp_path / "m.gguf").write_bytes(container(values))
    metadata = read_gguf(tmp_path / "m.gguf").metadata
    found = [metadata.integer(name) for name in ("u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64")]
    assert found == [255, -1, 65535, -1, 2**32 - 1, -1, 2**64 - 1, -1]
    assert [metadata.number("f32"), metadata.number("f64"), metadata.flag("bool")] == [0.5, 0.1, True]
    assert metadata.text("text") == "häuser"
    assert list(metadata.array("texts").strings()) == [b"a", b""]  # type: ignore[union-attr]
    assert list(metadata.array("numbers").numbers()) == [1, 2]  # type: ignore[union-attr]
    assert [metadata.text("x"), metadata.number("x"), metadata.array("x")] == [None] * 3
    wrong = [
        (metadata.text, "u8"), (metadata.integer, "f32"), (metadata.integer, "bool"), (metadata.number, "text"),
        (metadata.number, "nan"), (metadata.flag, "u8"), (metadata.array, "u8"), (metadata.number, "texts"),
    ]  # fmt: skip
    for read, key in wrong:
        with pytest.raises(ModelLoadError, match=key):
            read(key)
    with pytest.raises(ModelLoadError, match="array of numbers"):
        metadata.array("texts").numbers()  # type: ignore[union-attr]
    with pytest.raises(ModelLoadError, match="array of strings"):
        list(metadata.array("numbers").strings())  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------------------------- models
@pytest.mark.parametrize("model_type", FAMILIES)
def test_logits_are_those_of_the_folder(pair: Callable[..., tuple[Path, Path]], model_type: str) -> None:
    """Each family gives the logits that the same weights give from a Hugging Face folder, past the window too."""
    file, folder = pair(model_type)
    with open_model(file, num_threads=1) as ours, open_model(folder, num_threads=1) as theirs:
        assert ours.config.windows == theirs.config.windows
        assert ours.config.rope_bases == theirs.config.rope_bases
        assert np.abs(ours.logits(IDS) - theirs.logits(IDS)).max() < 1e-5
        assert ours.format == "gguf"


@pytest.mark.parametrize("kind", ["F16", "BF16", *BLOCK_TYPES])
def test_every_weight_type(pair: Callable[..., tuple[Path, Path]], kind: str) -> None:
    """Tensors of each type decode to the package's values, and the model computes with exactly those."""
    file, folder = pair("gemma3_text", kind, **BIG)
    with open_model(file, num_threads=1) as ours, open_model(folder, num_threads=1) as theirs:
        assert ours.config.weight_type == kind.lower()
        for gguf_name, hf_name in (("token_embd", "embed_tokens"), ("blk.3.ffn_down", "layers.3.mlp.down_proj")):
            expected = theirs.tensor(f"model.{hf_name}.weight")
            assert np.allclose(ours.tensor(f"{gguf_name}.weight"), expected, rtol=1e-6, atol=1e-7)
        expected = theirs.logits(IDS)
        assert np.abs(ours.logits(IDS) - expected).max() < 1e-3 * max(1.0, np.abs(expected).max())


def test_bundled_model_answers_alike(tmp_path: Path, bundled_path: Path) -> None:
    """The bundled model gives the same answer from a GGUF file: tokenizer, chat template and end tokens included."""
    write_gguf(bundled_path, tmp_path / "tiny.gguf")
    with open_model(tmp_path / "tiny.gguf", num_threads=1) as ours, open_model(bundled_path, num_threads=1) as theirs:
        prompt = "<start_of_turn>user\nWhat is the capital of France?<end_of_turn>\n<start_of_turn>model\n"
        ids = ours.require_tokenizer().encode(prompt, add_bos=True)
        assert ids == theirs.require_tokenizer().encode(prompt, add_bos=True)
        assert np.abs(ours.logits(ids) - theirs.logits(ids)).max() < 1e-3
        assert ours.generate(ids[:40]) == theirs.generate(ids[:40])
        assert ours.chat_template == theirs.chat_template
        assert ours.config.eos_ids == theirs.config.eos_ids


def test_split_files(pair: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    """A model in several files opens by its first, and is the same as in one; the others say which that is."""
    _, folder = pair("gemma3_text", split=30)
    parts = sorted(tmp_path.glob("*.gguf"))
    assert [part.name for part in parts] == [f"model-0000{number}-of-00004.gguf" for number in (1, 2, 3, 4)]
    with open_model(parts[0], num_threads=1) as ours, open_model(folder, num_threads=1) as theirs:
        assert np.abs(ours.logits(IDS) - theirs.logits(IDS)).max() < 1e-5
    header = inspect_model(parts[0])
    assert header.num_bytes == sum(part.stat().st_size for part in parts)
    with pytest.raises(ModelLoadError, match=r"open the first, model-00001-of-00004\.gguf"):
        open_model(parts[1])
    parts[2].rename(tmp_path / "away")
    with pytest.raises(ModelLoadError, match=r"model-00003-of-00004\.gguf"):
        open_model(parts[0])
    parts[1].rename(parts[2])
    with pytest.raises(ModelLoadError, match=r"00002-of-00004\.gguf: this weight file cannot be opened"):
        open_model(parts[0])
    parts[2].rename(parts[1])
    parts[3].rename(parts[2])
    (tmp_path / "away").rename(parts[3])
    with pytest.raises(ModelLoadError, match="part 3 of 4"):
        open_model(parts[0])
    parts[0].rename(tmp_path / "renamed.gguf")
    with pytest.raises(ModelLoadError, match="00001-of-00004"):
        open_model(tmp_path / "renamed.gguf")


def test_a_config_replaces_the_files_own(
    tmp_path: Path, hf_config: Callable[..., Any], hf_tensors: Callable[..., Any]
) -> None:
    """`config=` speaks for a file whose metadata are not those of its model."""
    config = same_in_gguf(hf_config("gemma3_text"))
    write_model(tmp_path / "m.gguf", config, hf_tensors("gemma3_text"), metadata={"general.name": "x"})
    asked = {**config, "query_pre_attn_scalar": 100, "max_position_embeddings": 77}
    with open_model(tmp_path / "m.gguf", config=asked, num_threads=1) as model:
        assert model.config.query_scale == 0.1
        assert model.config.max_seq_len == 77


def test_unsupported_types_are_named(
    tmp_path: Path, hf_config: Callable[..., Any], hf_tensors: Callable[..., Any]
) -> None:
    """A tensor of a type that is not computed with is an error that names the type and those that are."""
    path = tmp_path / "m.gguf"
    config = {**hf_config("gemma3_text"), **BIG}
    write_model(path, config, hf_tensors("gemma3_text", **BIG), "Q4_K")
    raw = path.read_bytes()
    begin = raw.index(b"blk.0.attn_q.weight") + len(b"blk.0.attn_q.weight") + 4 + 16
    path.write_bytes(raw[:begin] + (20).to_bytes(4, "little") + raw[begin + 4 :])  # as many bytes: IQ4_NL
    for use in (inspect_model, open_model):
        with pytest.raises(ModelLoadError, match=r"attn_q.weight has the type IQ4_NL.*q4_0.*q4_k.*are"):
            use(path)


# ------------------------------------------------------------------------------------------------------------- config
def small(path: Path, hf_config: Any, hf_tensors: Any, model_type: str, metadata: dict[str, Any], **sizes: int) -> Any:
    """The configuration read from a small file with these metadata besides."""
    sizes = {"hidden_size": 32, **sizes}
    config = {**hf_config(model_type), **sizes}
    tensors = hf_tensors(model_type, **{**sizes, "num_hidden_layers": 1})
    write_model(path, config, tensors, metadata=metadata)
    file = open_model_file(path)
    try:
        return read_config(file)
    finally:
        file.close()


def test_rope_and_windows_of_gemma3(tmp_path: Path, hf_config: Any, hf_tensors: Any) -> None:
    """Five sliding layers to a global one; scaling is the global ones'; the local base is 10,000."""
    metadata = {"gemma3.rope.scaling.type": "linear", "gemma3.rope.scaling.factor": 8.0}
    config = small(tmp_path / "m.gguf", hf_config, hf_tensors, "gemma3_text", metadata, num_hidden_layers=7)
    assert config.windows == (8, 8, 8, 8, 8, 0, 8)
    assert config.rope_bases == (1e4, 1e4, 1e4, 1e4, 1e4, 1e6, 1e4)
    assert config.rope_scales == (1, 1, 1, 1, 1, 8, 1)


def test_patterns_in_the_file(tmp_path: Path, hf_config: Any, hf_tensors: Any) -> None:
    """A pattern is a period or a list by layer, and a local base may be given."""
    metadata: dict[str, Any] = {"gemma3.attention.sliding_window_pattern": 2, "gemma3.rope.freq_base_swa": 500.0}
    config = small(tmp_path / "a.gguf", hf_config, hf_tensors, "gemma3_text", metadata)
    assert config.windows == (8, 0, 8)
    assert config.rope_bases == (500.0, 1e6, 500.0)
    metadata = {"gemma3.attention.sliding_window_pattern": [False, True, True]}
    assert small(tmp_path / "b.gguf", hf_config, hf_tensors, "gemma3_text", metadata).windows == (0, 8, 8)


def test_query_scale_of_27b(tmp_path: Path, hf_config: Any, hf_tensors: Any) -> None:
    """Gemma 2 and 3 of 27B (46 and 62 layers) scale queries by the width over the heads, all others by the head."""
    expected = {("gemma2", 46): 8, ("gemma2", 26): 16, ("gemma3_text", 62): 8, ("gemma3_text", 34): 16}
    for (model_type, layers), divisor in expected.items():
        path = tmp_path / f"{model_type}{layers}.gguf"
        config = small(path, hf_config, hf_tensors, model_type, {}, num_hidden_layers=layers)
        assert config.query_scale == divisor**-0.5


@pytest.mark.parametrize(
    ("metadata", "word"),
    [
        ({"gemma3.rope.scaling.type": "yarn"}, "yarn"),
        ({"gemma3.attention.sliding_window_pattern": [True]}, "1 items for 3 layers"),
        ({"gemma3.attention.scale": "much"}, "attention.scale is not"),
    ],
)
def test_configs_that_cannot_be_run(
    tmp_path: Path, hf_config: Any, hf_tensors: Any, metadata: dict[str, Any], word: str
) -> None:
    """Metadata that mean something else than we compute are refused by name."""
    with pytest.raises(ModelLoadError, match=word):
        small(tmp_path / "m.gguf", hf_config, hf_tensors, "gemma3_text", metadata)


def test_other_architectures_are_named(tmp_path: Path) -> None:
    """A file of another architecture says which, and which are supported."""
    path = tmp_path / "m.gguf"
    infos = [info("token_embd.weight", (1,), 0, 0)]
    path.write_bytes(container([entry("general.architecture", 8, text("llama"))], infos, bytes(4)))
    for use in (inspect_model, open_model):
        with pytest.raises(ModelLoadError, match="'llama'; supported in GGUF files are gemma, gemma2 and gemma3"):
            use(path)


# ----------------------------------------------------------------------------------------------------------- registry
def test_the_registry_finds_gguf_files(tmp_path: Path, bundled_path: Path) -> None:
    """A file in the models folder is found and described from its header alone."""
    models = tmp_path / "models"
    models.mkdir()
    write_gguf(bundled_path, models / "my-gemma-it-f32.gguf")
    found = ModelRegistry(models_dir=models, cache_path=tmp_path / "cache.json").discover_models()
    assert [info.name for info in found] == ["my-gemma-it"]
    assert (found[0].context_length, found[0].quantization, found[0].error) == (2048, "f32", None)
    assert found[0].parameters == sum(
        np.prod(entry["shape"], dtype=int) for name, entry in _header(bundled_path).items() if name != "__metadata__"
    )


def test_vision_towers_are_no_models(tmp_path: Path) -> None:
    """The mmproj file that lies beside a model is passed over, and says what it is when it is opened."""
    path = tmp_path / "mmproj-model-f16-4B.gguf"
    path.write_bytes(container([entry("general.architecture", 8, text("clip"))]))
    assert ModelRegistry(models_dir=tmp_path, cache_path=tmp_path / "cache.json").discover_models() == []
    with pytest.raises(ModelLoadError, match="clip"):
        open_model(path)


def test_chats_with_a_gguf_file(tmp_path: Path, bundled_path: Path) -> None:
    """A whole request, tool call included, goes through a GGUF file as through the bundled model's folder."""
    write_gguf(bundled_path, tmp_path / "tiny.gguf")
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    options: Any = {"tools": [ToolSpec("get_weather", "Weather of a city.", schema)], "tool_choice": "any"}
    with LLMFramework() as framework:
        ask = partial(framework.sync.generate, "What is the weather in Paris?", temperature=0, **options)
        ours, theirs = (ask(model_name=f"native:{path}") for path in (tmp_path / "tiny.gguf", bundled_path))
    assert [(call.name, call.arguments) for call in ours.tool_calls] == [("get_weather", {"city": "Paris"})]
    assert ours.text == theirs.text
    assert ours.usage == theirs.usage


def _header(folder: Path) -> dict[str, Any]:
    raw = (folder / "model.safetensors").read_bytes()
    header: dict[str, Any] = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return header
