"""What is found on disk and what its headers say, on real files of every format."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from native import gguf_files

from llm_framework import ModelInfo, ModelRegistry, ModelType
from llm_framework.native.convert import convert_model
from llm_framework.registry import BUNDLED_MODEL, description, discovery

SOURCE = Path(discovery.__file__).parents[2]
BUNDLED = SOURCE / "llm_framework" / "bundled" / BUNDLED_MODEL


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def look(models_dir: Path, tmp_path: Path) -> Callable[[], dict[str, ModelInfo]]:
    """One look through the models folder, as a new process would have it."""
    return lambda: {info.name: info for info in ModelRegistry(models_dir, tmp_path / "cache.json").discover_models()}


def put_hub_folder(
    folder: Path, config: dict[str, Any], *, dtype: str = "F32", shape: tuple[int, int] = (4, 4), tokenizer: bool = True
) -> Path:
    """A folder as Transformers writes one, with a single tensor."""
    folder.mkdir(parents=True)
    size = {"F32": 4, "BF16": 2, "I32": 4}[dtype] * shape[0] * shape[1]
    header = json.dumps({"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    (folder / "config.json").write_text(json.dumps(config))
    if tokenizer:
        (folder / "vocab.txt").write_text("[PAD]\n[UNK]\nhello\n")
    return folder


def bert(**more: Any) -> dict[str, Any]:
    return {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 384, "max_position_embeddings": 512,
            **more}  # fmt: skip


def put_gguf(path: Path, architecture: str, *entries: bytes) -> None:
    head = [gguf_files.entry("general.architecture", 8, gguf_files.text(architecture)), *entries]
    tensor = gguf_files.info("token_embd.weight", (32, 2), 8, 0)
    path.write_bytes(gguf_files.container(head, [tensor], bytes(2 * 34)))


def u32(key: str, value: int) -> bytes:
    return gguf_files.entry(key, 4, struct.pack("<I", value))


# ------------------------------------------------------------------------------------------------- what the headers say
def test_native_models_are_described(models_dir: Path, look: Callable[[], dict[str, ModelInfo]]) -> None:
    """Family, size, context, quantisation, memory and capabilities are the headers'."""
    shutil.copytree(BUNDLED, models_dir / "folder-it")
    convert_model(BUNDLED, models_dir / "file-it.sbs", weights="sfp")
    found = look()
    folder, file = found["folder-it"], found["file-it"]
    for info in (folder, file):
        assert info.metadata["family"] == "gemma3"
        assert (info.context_length, info.model_type, info.error) == (2048, ModelType.CHAT, None)
        assert {"chat", "streaming", "tools"} <= info.capabilities
    assert (folder.quantization, file.quantization) == ("bf16", "sfp")
    assert folder.metadata["size_bytes"] == (models_dir / "folder-it" / "model.safetensors").stat().st_size
    assert file.memory_requirement_gb < folder.memory_requirement_gb  # type: ignore[operator]


def test_text_encoders_are_embedding_models(models_dir: Path, look: Callable[[], dict[str, ModelInfo]]) -> None:
    """A text encoder without a head makes embeddings in Transformers: its context and dimensions are its config's."""
    put_hub_folder(models_dir / "minilm", bert())
    put_hub_folder(
        models_dir / "e5",
        bert(model_type="xlm-roberta", architectures=["XLMRobertaModel"], max_position_embeddings=514),
    )
    found = look()
    assert {(info.model_type, info.backend_type, info.error) for info in found.values()} == {
        (ModelType.EMBEDDING, "transformers", None)
    }
    assert (found["minilm"].context_length, found["e5"].context_length) == (512, 512)
    assert found["minilm"].metadata["dimensions"] == 384
    assert found["minilm"].metadata["has_tokenizer"]
    assert found["minilm"].capabilities == {"embedding"}


def test_sentence_transformers_are_one_model(models_dir: Path, look: Callable[[], dict[str, ModelInfo]]) -> None:
    """The folders of its modules are no models; the last one that changes a vector gives the dimensions."""
    folder = put_hub_folder(models_dir / "gte", bert(architectures=["Gemma3TextModel"], model_type="gemma3_text"))
    put_hub_folder(folder / "2_Dense", {"in_features": 384, "out_features": 128}, tokenizer=False)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 384}))
    modules = [{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense"}, {"path": "3_Normalize"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 256}))
    (info,) = look().values()
    assert (info.name, info.model_type, info.backend_type) == ("gte", ModelType.EMBEDDING, "transformers")
    assert (info.context_length, info.metadata["dimensions"]) == (256, 128)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"architectures": ["BertForSequenceClassification"]}, "does not generate text"),
        ({"model_type": "clip", "architectures": ["CLIPModel"], "vision_config": {}}, "does not generate text"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "encoder"),
    ],
)
def test_what_nothing_runs_says_so(
    config: dict[str, Any], fault: str, models_dir: Path, look: Callable[[], dict[str, ModelInfo]]
) -> None:
    """A model that is whole, but of a kind that nothing here runs, is listed with what it is and why not."""
    put_hub_folder(models_dir / "m", bert(**config))
    info = look()["m"]
    assert fault in (info.error or "")
    assert str(models_dir / "m") in (info.error or "")
    assert info.parameters == 16


def test_packed_weights_are_counted(models_dir: Path, look: Callable[[], dict[str, ModelInfo]]) -> None:
    """Of a quantisation that packs several weights into an integer, the name and the number of weights are right."""
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    packed = {**config, "quantization_config": {"quant_method": "gptq", "bits": 4}}
    put_hub_folder(models_dir / "plain", config, dtype="BF16", shape=(8, 8))
    put_hub_folder(models_dir / "packed", packed, dtype="I32", shape=(1, 8))
    found = look()
    assert (found["packed"].quantization, found["packed"].parameters) == ("gptq-4bit", 64)
    assert (found["plain"].quantization, found["plain"].parameters) == ("bf16", 64)


def test_gguf_files_of_other_engines_are_described(models_dir: Path, look: Callable[[], dict[str, ModelInfo]]) -> None:
    """A GGUF file of an architecture that is not ours tells what it is, and its fault names the architecture."""
    put_gguf(models_dir / "llama-it-q8_0.gguf", "llama", u32("llama.context_length", 4096))
    put_gguf(models_dir / "nomic.gguf", "nomic-bert", u32("nomic-bert.pooling_type", 1))
    found = look()
    llama = found["llama-it"]
    assert "'llama'" in (llama.error or "") or "llama" in (llama.error or "").partition(".gguf")[2]
    assert (llama.metadata["family"], llama.context_length, llama.quantization) == ("llama", 4096, "q8_0")
    assert llama.parameters == 64
    assert found["nomic"].model_type is ModelType.EMBEDDING


def test_the_native_engine_claims_no_embeddings(models_dir: Path, look: Callable[[], dict[str, ModelInfo]]) -> None:
    """An embedding model as a single file is listed with the reason why it cannot be used."""
    convert_model(BUNDLED, models_dir / "embeddinggemma-300m.sbs")
    info = look()["embeddinggemma-300m"]
    assert info.model_type is ModelType.EMBEDDING
    assert "folder" in (info.error or "")


def test_no_local_model_claims_to_read_pictures(models_dir: Path, look: Callable[[], dict[str, ModelInfo]]) -> None:
    """A model with a vision tower is listed as multimodal, without the capability that nothing here has."""
    folder = shutil.copytree(BUNDLED, models_dir / "gemma-it")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vision_config": {}}))
    info = look()["gemma-it"]
    assert info.model_type is ModelType.MULTIMODAL
    assert "images" not in info.capabilities
    assert "chat" in info.capabilities


def test_only_headers_are_read(models_dir: Path, look: Callable[[], dict[str, ModelInfo]]) -> None:
    """A file of 64 GB, of which only the header is on the disk, is described like any other."""
    folder = put_hub_folder(models_dir / "huge", {"model_type": "llama", "architectures": ["LlamaForCausalLM"]})
    values = 16 << 30
    header = json.dumps({"w": {"dtype": "F32", "shape": [4, values // 4], "data_offsets": [0, 4 * values]}}).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 4 * values)
    info = look()["huge"]
    assert info.error is None
    assert (info.parameters, info.metadata["size_bytes"]) == (values, 8 + len(header) + 4 * values)


# ------------------------------------------------------------------------------------------------------ what is a model
def test_parts_of_other_things_are_no_models(models_dir: Path, look: Callable[[], dict[str, ModelInfo]]) -> None:
    """The folders of a Diffusers pipeline, hidden folders and vision towers are left out."""
    put_hub_folder(models_dir / "pipeline" / "unet", {"model_type": "unet"})
    (models_dir / "pipeline" / "model_index.json").write_text("{}")
    put_hub_folder(models_dir / ".hidden" / "m", bert())
    (models_dir / "mmproj-x.gguf").write_bytes(b"GGUF")
    assert look() == {}


def test_weights_that_are_missing_or_pickled_are_faults(
    models_dir: Path, look: Callable[[], dict[str, ModelInfo]]
) -> None:
    """A folder whose weights are pickled, or named by an index and not there, is listed with that fault."""
    for name in ("pickled", "unfinished"):
        put_hub_folder(models_dir / name, {"model_type": "llama", "architectures": ["LlamaForCausalLM"]})
        (models_dir / name / "model.safetensors").unlink()
    (models_dir / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    index = {"weight_map": {"w": "model-00001-of-00001.safetensors"}}
    (models_dir / "unfinished" / "model.safetensors.index.json").write_text(json.dumps(index))
    found = look()
    assert "pickled" in (found["pickled"].error or "")
    assert "model-00001-of-00001.safetensors" in (found["unfinished"].error or "")


def test_a_split_file_without_its_first_part_is_a_fault(
    models_dir: Path, look: Callable[[], dict[str, ModelInfo]]
) -> None:
    """Later parts alone are one model, listed with the fault."""
    for part in (2, 3):
        put_gguf(
            models_dir / f"big-0000{part}-of-00003.gguf", "gemma", u32("split.count", 3), u32("split.no", part - 1)
        )
    (info,) = look().values()
    assert info.name == "big"
    assert "big-00001-of-00003.gguf" in (info.error or "")


def test_links_of_all_kinds(models_dir: Path, tmp_path: Path, look: Callable[[], dict[str, ModelInfo]]) -> None:
    """Links are followed, once each; those that lead to themselves, to each other or nowhere stop nothing."""
    outside = tmp_path / "outside"
    shutil.copytree(BUNDLED, outside / "linked-it")
    (models_dir / "a").mkdir()
    (models_dir / "there").symlink_to(outside)
    (models_dir / "again").symlink_to(outside)
    (models_dir / "a" / "up").symlink_to(models_dir)
    (models_dir / "itself").symlink_to(models_dir / "itself")
    (models_dir / "x").symlink_to(models_dir / "y")
    (models_dir / "y").symlink_to(models_dir / "x")
    (models_dir / "gone.gguf").symlink_to(models_dir / "nowhere.gguf")
    (models_dir / "round.sbs").symlink_to(models_dir / "round.sbs")
    found = look()
    assert set(found) == {"linked-it", "gone", "round"}
    assert found["linked-it"].error is None
    assert "No such file" in (found["gone"].error or "")
    assert found["round"].error


UNREADABLE = """
import json, os, sys
from llm_framework import ModelRegistry
ModelRegistry(sys.argv[3], sys.argv[4]).discover_models()  # all that is imported late is imported now
if os.getuid() == 0:  # who may read everything
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
registry = ModelRegistry(sys.argv[1], sys.argv[2])
found = {info.name: info.error for info in registry.discover_models()}
print(json.dumps([found, registry.unread_folders]))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs users")
def test_what_may_not_be_read_hides_nothing(models_dir: Path, tmp_path: Path) -> None:
    """A folder without the right to enter is passed over and reported, a file without the right to read is a fault."""
    shutil.copytree(BUNDLED, models_dir / "good-it")
    shutil.copytree(BUNDLED, models_dir / "closed" / "never-it")
    (models_dir / "secret.gguf").write_bytes(b"GGUF")
    (models_dir / "closed").chmod(0)
    (models_dir / "secret.gguf").chmod(0)
    shutil.copytree(BUNDLED, tmp_path / "other" / "m-it")
    if os.getuid() == 0:
        for folder in [tmp_path, *tmp_path.parents][:4]:  # pytest's folders are closed to others
            folder.chmod(folder.stat().st_mode | 0o055)
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    folders = [models_dir, tmp_path / "none" / "cache.json", tmp_path / "other", tmp_path / "other.json"]
    command = [sys.executable, "-c", UNREADABLE, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    (models_dir / "closed").chmod(0o755)
    assert done.returncode == 0, done.stderr
    found, unread = json.loads(done.stdout)
    assert found["good-it"] is None
    assert "Permission denied" in found["secret"]
    assert unread == {str(models_dir / "closed"): "Permission denied"}


def test_a_models_folder_that_is_none(tmp_path: Path) -> None:
    """A models folder that does not exist holds no models; one that is a file is reported."""
    (tmp_path / "file").write_text("")
    missing = ModelRegistry(tmp_path / "missing", tmp_path / "cache.json")
    assert (missing.discover_models(), missing.unread_folders) == ([], {})
    file = ModelRegistry(tmp_path / "file", tmp_path / "cache.json")
    assert file.discover_models() == []
    assert list(file.unread_folders.values()) == ["Not a directory"]


# ------------------------------------------------------------------------------------------------------------- in time
def test_faults_are_remembered_until_the_file_changes(
    models_dir: Path, look: Callable[[], dict[str, ModelInfo]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken file is not read again at each look, but as soon as it was mended, even with the old size and time."""
    folder = shutil.copytree(BUNDLED, models_dir / "m-it")
    weights = folder / "model.safetensors"
    whole, status = weights.read_bytes(), weights.stat()
    weights.write_bytes(bytes(len(whole)))
    assert look()["m-it"].error
    with monkeypatch.context() as patch:
        patch.setattr(description, "describe", lambda found: pytest.fail(f"{found.path} was read again"))
        assert look()["m-it"].error
    weights.write_bytes(whole)
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert look()["m-it"].error is None


def test_a_renamed_file_has_its_new_name_only(models_dir: Path, look: Callable[[], dict[str, ModelInfo]]) -> None:
    """After a rename or a move, the model is known by its new name and path alone."""
    old = shutil.copytree(BUNDLED, models_dir / "old-it")
    assert set(look()) == {"old-it"}
    new = old.rename(models_dir / "new-it")
    found = look()
    assert {name: info.path for name, info in found.items()} == {"new-it": new}


def test_refresh_reads_everything_again(models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With refresh, files are opened though they have not changed."""
    shutil.copytree(BUNDLED, models_dir / "m-it")
    registry = ModelRegistry(models_dir, tmp_path / "cache.json")
    registry.discover_models()
    read: list[Path] = []
    describe = description.describe
    monkeypatch.setattr(description, "describe", lambda found: read.append(found.path) or describe(found))
    registry.discover_models()
    assert read == []
    registry.discover_models(refresh=True)
    assert read == [models_dir / "m-it"]
