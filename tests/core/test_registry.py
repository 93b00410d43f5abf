from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from llm_framework import ModelInfo, ModelNotFoundError, ModelRegistry, ModelType
from llm_framework.registry import BUNDLED_MODEL, description, discovery
from llm_framework.registry.naming import assign_names, short_name

BUNDLED = Path(discovery.__file__).parents[1] / "bundled" / BUNDLED_MODEL


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def cache_path(tmp_path: Path) -> Path:
    return tmp_path / "registry.json"


@pytest.fixture
def registry(models_dir: Path, cache_path: Path) -> ModelRegistry:
    return ModelRegistry(models_dir, cache_path)


def put_folder(models_dir: Path, name: str) -> Path:
    return Path(shutil.copytree(BUNDLED, models_dir / name))


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("gemma-2b-it-sfp", "gemma-2b-it"), ("gemma-2b-it", "gemma-2b-it"), ("gemma-3-1b-it-q4_k_m", "gemma-3-1b-it"),
        ("m-q8_0", "m"), ("m-bf16-hf", "m"), ("m.Q4_0".lower(), "m"), ("gemma-7b-iq4_xs", "gemma-7b"), ("sfp", "sfp"),
        ("qwen2", "qwen2"), ("m-it-sfp-single", "m-it"),
    ],
)  # fmt: skip
def test_suffixes_are_dropped(long: str, short: str) -> None:
    """The name is the stem less format and quantisation words."""
    assert short_name(long) == short


def named(*paths: str) -> dict[str, str]:
    infos = []
    for path in paths:
        stem, kind = Path(path).stem.lower(), Path(path).suffix[1:] or "safetensors"
        infos.append(ModelInfo(stem, path=Path(path), metadata={"format": kind}))
    return {info.name: str(info.path) for info in assign_names(infos, reserved=("tiny-chat",))[0]}


def test_two_that_would_clash_keep_the_suffix() -> None:
    """Names are shortened only where they stay unique."""
    assert set(named("/m/g-sfp.sbs", "/m/g-nuq.sbs", "/m/h-sfp.sbs")) == {"g-sfp", "g-nuq", "h"}
    assert set(named("/m/g.sbs", "/m/g-sfp.sbs")) == {"g", "g-sfp"}


def test_equal_long_names_are_told_apart() -> None:
    """The same stem twice is told apart by format, or, where that is the same too, by folder."""
    assert set(named("/m/g.sbs", "/m/g.gguf")) == {"g-sbs", "g-gguf"}
    assert set(named("/m/a/g.sbs", "/m/b/g.sbs")) == {"a/g", "b/g"}
    assert set(named("/m/tiny-chat.sbs")) == {"tiny-chat-sbs"}


def test_discovery_finds_every_kind(models_dir: Path, registry: ModelRegistry) -> None:
    """Folders, .sbs and .gguf files (a split one once) are found at any depth and named by their rule."""
    put_folder(models_dir, "deep/Tiny-IT-bf16")
    (models_dir / "gemma-2b-it-sfp.sbs").write_bytes(b"broken")
    for part in (1, 2):
        (models_dir / f"big-q4_k_m-0000{part}-of-00002.gguf").write_bytes(b"broken")
    found = {info.name: info for info in registry.discover_models()}
    assert set(found) == {"tiny-it", "gemma-2b-it", "big"}
    tiny = found["tiny-it"]
    assert tiny.path == models_dir / "deep" / "Tiny-IT-bf16"
    assert (tiny.model_type, tiny.backend_type, tiny.is_local, tiny.error) == (ModelType.CHAT, "native", True, None)
    assert tiny.parameters
    assert tiny.context_length


def test_a_broken_file_hides_no_other(models_dir: Path, registry: ModelRegistry) -> None:
    """What cannot be read is listed with its error, beside the others."""
    put_folder(models_dir, "good")
    put_folder(models_dir, "bad")
    (models_dir / "bad" / "model.safetensors").write_bytes(b"\xff" * 20)
    found = {info.name: info for info in registry.discover_models()}
    assert found["good"].error is None
    assert found["bad"].error
    assert registry.best_chat_model().name == "good"


def test_the_best_chat_model_is_the_largest_that_fits(registry: ModelRegistry, models_dir: Path) -> None:
    """The largest chat model within the limit is chosen, never one without a tokenizer."""
    put_folder(models_dir, "small")
    large = put_folder(models_dir, "large")
    registry.discover_models()
    info = registry._discovered["large"]
    registry._discovered["large"] = replace(info, parameters=10**9, memory_requirement_gb=4.0)
    assert registry.best_chat_model().path == large
    assert registry.best_chat_model(memory_limit_gb=2.0).name == "small"
    registry._discovered["large"] = replace(info, parameters=10**9, metadata={"has_tokenizer": False})
    assert registry.best_chat_model().name == "small"


def test_longer_forms_work_too(models_dir: Path, registry: ModelRegistry) -> None:
    """A model is found by its name, its longer name and its file name, in any case."""
    (models_dir / "Gemma-2B-it-sfp.sbs").write_bytes(b"broken")
    registry.discover_models()
    for name in ("gemma-2b-it", "gemma-2b-it-sfp", "Gemma-2B-it-sfp", "gemma-2b-it-sfp.sbs"):
        assert registry.get_model(name).name == "gemma-2b-it"


def test_hugging_faces_download_cache_is_named_by_its_repository(models_dir: Path, registry: ModelRegistry) -> None:
    """A snapshot folder is called as its repository, not as its commit."""
    put_folder(models_dir, "models--google--gemma-3-270m-it/snapshots/0123abc")
    assert [info.name for info in registry.discover_models()] == ["gemma-3-270m-it"]


def test_links_in_a_circle_end(models_dir: Path, registry: ModelRegistry) -> None:
    """A link to a parent folder does not keep discovery busy for ever."""
    put_folder(models_dir, "m")
    (models_dir / "loop").symlink_to(models_dir)
    assert [info.name for info in registry.discover_models()] == ["m"]


def test_the_bundled_model_is_always_there(registry: ModelRegistry) -> None:
    """Without any model on disk, the bundled one is listed, found, and the best chat model."""
    assert [info.name for info in registry.list_models()] == [BUNDLED_MODEL]
    assert registry.get_model("tiny-chat").path == BUNDLED
    assert registry.best_chat_model().name == BUNDLED_MODEL


def test_what_was_found_is_known_to_the_next_process(
    models_dir: Path, cache_path: Path, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new registry knows the models without a look, and a new look opens no file that has not changed."""
    put_folder(models_dir, "m")
    registry.discover_models()
    monkeypatch.setattr(description, "describe", lambda found: pytest.fail(f"{found.path} was read again"))
    other = ModelRegistry(models_dir, cache_path)
    assert other._find_local("m") is not None
    assert [info.name for info in other.discover_models()] == ["m"]


def test_a_changed_file_is_read_again(models_dir: Path, cache_path: Path, registry: ModelRegistry) -> None:
    """A file that was replaced is described anew, one that is gone is forgotten."""
    folder = put_folder(models_dir, "m")
    assert registry.discover_models()[0].error is None
    (folder / "model.safetensors").write_bytes(b"\xff" * 20)
    assert ModelRegistry(models_dir, cache_path).discover_models()[0].error
    shutil.rmtree(folder)
    other = ModelRegistry(models_dir, cache_path)
    assert other.discover_models() == []
    with pytest.raises(ModelNotFoundError):
        other.get_model("m")


def test_registered_models_are_kept(models_dir: Path, cache_path: Path, registry: ModelRegistry) -> None:
    """A registered model is known to the next process, with every field, until it is unregistered."""
    info = ModelInfo("mine", "embedding", "acme", "/x", 10, 1.5, 100, "q4", {"a"}, True, {"k": [1]})
    registry.register_model(info)
    assert ModelRegistry(models_dir, cache_path).get_model("mine") == info
    registry.unregister_model("mine")
    with pytest.raises(ModelNotFoundError):
        ModelRegistry(models_dir, cache_path).get_model("mine")
    with pytest.raises(ModelNotFoundError):
        registry.unregister_model("mine")


def test_metadata_that_is_not_json_stays_in_this_process(
    models_dir: Path, cache_path: Path, registry: ModelRegistry
) -> None:
    """A model with an object in its metadata can be registered, but is not written down."""
    registry.register_model(ModelInfo("odd", backend_type="acme", metadata={"object": object()}))
    assert registry.get_model("odd").backend_type == "acme"
    assert "odd" not in [info.name for info in ModelRegistry(models_dir, cache_path).list_models()]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"version": 1}', '{"version": 99, "files": {}, "registered": {}}',
     '{"version": 1, "files": {"/x": 3}, "registered": {}}', '{"version": 1, "files": {}, "registered": {"m": {}}}'],
)  # fmt: skip
def test_a_damaged_cache_is_built_anew(
    text: str, models_dir: Path, cache_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A cache file that makes no sense is replaced, with a warning."""
    cache_path.write_text(text)
    put_folder(models_dir, "m")
    assert [info.name for info in ModelRegistry(models_dir, cache_path).discover_models()] == ["m"]
    assert "damaged" in caplog.text
    assert json.loads(cache_path.read_text())["files"]


def test_without_a_place_for_the_cache_all_still_works(models_dir: Path, tmp_path: Path) -> None:
    """A cache path that cannot be written is done without."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    registry = ModelRegistry(models_dir, blocked / "cache.json")
    put_folder(models_dir, "m")
    registry.register_model(ModelInfo("mine", backend_type="acme"))
    assert [info.name for info in registry.discover_models()] == ["m"]
    assert registry.get_model("mine").name == "mine"


def test_processes_do_not_lose_each_others_entries(models_dir: Path, cache_path: Path) -> None:
    """Registrations from several processes at the same time are all kept."""
    code = (
        "import sys; from llm_framework import ModelInfo, ModelRegistry; "
        "ModelRegistry(*sys.argv[1:3]).register_model(ModelInfo(sys.argv[3], backend_type='acme'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(discovery.__file__).parents[2])}
    names = [f"m{number}" for number in range(5)]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(models_dir), str(cache_path), name], env=environment)
        for name in names
    ]
    assert [process.wait() for process in processes] == [0] * len(names)
    known = {info.name for info in ModelRegistry(models_dir, cache_path).list_models()}
    assert set(names) <= known


@pytest.mark.parametrize(
    ("name", "backend_type", "model_id"),
    [
        ("openai:gpt-x", "openai", "gpt-x"), ("anthropic:c", "anthropic", "c"), ("gpt-4o", "openai", "gpt-4o"),
        ("o1-mini", "openai", "o1-mini"), ("o3", "openai", "o3"), ("claude-x", "anthropic", "claude-x"),
        ("gemini-2.5-flash", "google", "gemini-2.5-flash"), ("openai:ft:gpt:a:b", "openai", "ft:gpt:a:b"),
    ],
)  # fmt: skip
def test_cloud_names_resolve_to_their_provider(
    name: str, backend_type: str, model_id: str, registry: ModelRegistry
) -> None:
    """`provider:model` and well-known bare names are models of that provider, under the name as given."""
    info = registry.get_model(name)
    assert (info.name, info.backend_type, info.metadata["model_id"]) == (name, backend_type, model_id)
    assert not info.is_local


def test_an_endpoint_of_the_configuration_is_a_prefix(registry: ModelRegistry) -> None:
    """A declared endpoint has its dialect's backend and its own credentials."""
    registry.declare_provider("backup", "openai")
    info = registry.get_model("backup:gpt-x")
    assert (info.backend_type, info.metadata["provider"]) == ("openai", "backup")


def test_native_names_a_path_or_a_model(models_dir: Path, registry: ModelRegistry) -> None:
    """`native:` takes a path or a known model's name."""
    folder = put_folder(models_dir, "m")
    assert registry.get_model(f"native:{folder}").path == folder
    registry.discover_models()
    other = replace(registry.get_model("m"), name="transformers:m", backend_type="transformers")
    assert registry.get_model("transformers:m") == other
    with pytest.raises(ModelNotFoundError, match="does not exist"):
        registry.get_model("native:/nowhere")


def test_an_unknown_name_is_answered_with_the_nearest(registry: ModelRegistry) -> None:
    """The error names what was meant, or what there is."""
    registry.register_model(ModelInfo("gemma-2b-it", backend_type="acme"))
    with pytest.raises(ModelNotFoundError, match="gemma-2b-it") as caught:
        registry.get_model("gema-2b")
    assert "gemma-2b-it" in caught.value.nearest
    with pytest.raises(ModelNotFoundError, match="'nobody' is no provider"):
        registry.get_model("nobody:x@@@@@@@@@@")
    with pytest.raises(ModelNotFoundError):
        registry.get_model("")


def test_lists_are_filtered(registry: ModelRegistry) -> None:
    """Each filter narrows the list."""
    registry.register_model(ModelInfo("cloud", backend_type="openai"))
    registry.register_model(ModelInfo("vectors", model_type=ModelType.EMBEDDING, backend_type="fake"))
    assert [info.name for info in registry.list_models(local_only=True)] == ["tiny-chat", "vectors"]
    assert [info.name for info in registry.list_models(model_type="embedding")] == ["vectors"]
    assert [info.name for info in registry.list_models(backend_type="openai")] == ["cloud"]


def test_model_types_follow_from_what_is_known(models_dir: Path, registry: ModelRegistry) -> None:
    """Base models are completion models, embedding and vision models are told by name or config."""
    for name in ("embeddinggemma-300m", "gemma-3-1b-pt", "gemma-3-4b-it"):
        put_folder(models_dir, name)
    config = json.loads((models_dir / "gemma-3-4b-it" / "config.json").read_text())
    (models_dir / "gemma-3-4b-it" / "config.json").write_text(json.dumps({**config, "vision_config": {}}))
    types = {info.name: info.model_type for info in registry.discover_models()}
    assert types["embeddinggemma-300m"] is ModelType.EMBEDDING
    assert types["gemma-3-1b-pt"] is ModelType.COMPLETION
    assert types["gemma-3-4b-it"] is ModelType.MULTIMODAL
