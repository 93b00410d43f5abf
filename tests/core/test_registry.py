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


ACTING = """
import shutil, sys
from pathlib import Path
from llm_framework import ModelInfo, ModelRegistry
models, cache, bundled, number = sys.argv[1:]
sys.stdin.readline()
registry = ModelRegistry(models, cache)
for turn in range(4):
    shutil.copytree(bundled, Path(models, f"disk-{number}-{turn}"))
    found = {info.name for info in registry.discover_models()}
    assert f"disk-{number}-{turn}" in found, found
    registry.register_model(ModelInfo(f"hand-{number}-{turn}", backend_type="acme"))
registry.unregister_model(f"hand-{number}-0")
"""


def test_processes_do_not_lose_each_others_entries(models_dir: Path, cache_path: Path, tmp_path: Path) -> None:
    """Processes that add files, look, register and unregister at the same time all find what they did kept."""
    small = tmp_path / "small"
    small.mkdir()
    (small / "config.json").write_text("{}")
    (small / "model.safetensors").write_bytes(b"broken")
    environment = {**os.environ, "PYTHONPATH": str(Path(discovery.__file__).parents[2])}
    command = [sys.executable, "-c", ACTING, str(models_dir), str(cache_path), str(small)]
    processes = [
        subprocess.Popen([*command, str(number)], env=environment, stdin=subprocess.PIPE) for number in range(4)
    ]
    try:
        for process in processes:  # all have started before the first one acts
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.close()
        assert [process.wait(60) for process in processes] == [0] * len(processes)
    finally:
        for process in processes:
            process.kill()
    saved = json.loads(cache_path.read_text())
    disk = {str(models_dir / f"disk-{number}-{turn}") for number in range(4) for turn in range(4)}
    assert set(saved["files"]) == disk
    assert set(saved["registered"]) == {f"hand-{number}-{turn}" for number in range(4) for turn in range(1, 4)}


REGISTERING = """
import sys
from llm_framework import ModelInfo, ModelRegistry
registry = ModelRegistry(*sys.argv[1:3])
for number in range(10**6):
    registry.register_model(ModelInfo(f"hand-{number % 500}", backend_type="acme"))
    print(number, flush=True)
"""


def test_a_process_that_is_killed_leaves_a_whole_cache(models_dir: Path, cache_path: Path) -> None:
    """Killed at any moment, a process that registers leaves a cache that reads, with all that was registered."""
    environment = {**os.environ, "PYTHONPATH": str(Path(discovery.__file__).parents[2])}
    command = [sys.executable, "-c", REGISTERING, str(models_dir), str(cache_path)]
    for last in (3, 17, 40):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        while int(process.stdout.readline()) < last:
            pass
        process.kill()
        process.communicate()
        assert {f"hand-{number}" for number in range(last + 1)} <= set(json.loads(cache_path.read_text())["registered"])
    ModelRegistry(models_dir, cache_path).register_model(
        ModelInfo("after", backend_type="acme")
    )  # nobody's lock is left


def test_a_running_registry_learns_what_others_wrote(
    models_dir: Path, cache_path: Path, registry: ModelRegistry
) -> None:
    """What another process registered or found is known here without a new look; what it unregistered is not."""
    assert [info.name for info in registry.list_models()] == [BUNDLED_MODEL]
    other = ModelRegistry(models_dir, cache_path)
    other.register_model(ModelInfo("mine", backend_type="acme"))
    assert registry.get_model("mine").backend_type == "acme"
    put_folder(models_dir, "found-it")
    other.discover_models()
    assert registry.get_model("found-it").path == models_dir / "found-it"
    other.unregister_model("mine")
    assert "mine" not in [info.name for info in registry.list_models()]


def test_one_damaged_entry_costs_itself_alone(
    models_dir: Path, cache_path: Path, registry: ModelRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """An entry of the cache that makes no sense is left out with one warning, and the others are kept."""
    registry.register_model(ModelInfo("mine", backend_type="acme"))
    saved = json.loads(cache_path.read_text())
    saved["registered"]["odd"] = {"name": 5}
    cache_path.write_text(json.dumps(saved))
    names = [info.name for info in ModelRegistry(models_dir, cache_path).list_models()]
    assert names == ["mine", BUNDLED_MODEL]
    assert "damaged" in caplog.text
    ModelRegistry(models_dir, cache_path).discover_models()
    assert set(json.loads(cache_path.read_text())["registered"]) == {"mine"}


def test_a_damaged_cache_is_kept_beside_the_new_one(
    models_dir: Path, cache_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What somebody registered can be looked up in the damaged file; one warning says where it is."""
    cache_path.write_text('{"registered": {"mine"')
    ModelRegistry(models_dir, cache_path).register_model(ModelInfo("new", backend_type="acme"))
    assert cache_path.with_name(cache_path.name + ".damaged").read_text().startswith('{"registered"')
    assert [record.levelname for record in caplog.records if "damaged" in record.message] == ["WARNING"]
    assert ModelRegistry(models_dir, cache_path).get_model("new").backend_type == "acme"


def test_another_version_keeps_what_was_registered(
    models_dir: Path, cache_path: Path, registry: ModelRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """A new version of the package reads the files anew, and silently keeps what was registered."""
    put_folder(models_dir, "m")
    registry.discover_models()
    registry.register_model(ModelInfo("mine", backend_type="acme"))
    saved = json.loads(cache_path.read_text())
    saved["reader"] = "0.0.1/0"
    saved["files"][str(models_dir / "m")][1]["context_length"] = 1
    cache_path.write_text(json.dumps(saved))
    other = ModelRegistry(models_dir, cache_path)
    assert [info.context_length for info in other.discover_models()] == [2048]
    assert other.get_model("mine").backend_type == "acme"
    assert caplog.text == ""


@pytest.mark.parametrize("text", [None, "{", '{"version": 1, "reader": "0.0.1/0", "files": {}, "registered": {}}'])
def test_a_running_registry_forgets_nothing_with_its_cache(
    text: str | None, models_dir: Path, cache_path: Path, registry: ModelRegistry
) -> None:
    """A cache that is deleted, damaged or written by another version takes no model from a running program, and the
    next look makes it whole again."""
    put_folder(models_dir, "m-it")
    registry.discover_models()
    cache_path.unlink() if text is None else cache_path.write_text(text)
    assert registry.get_model("m-it").path == models_dir / "m-it"
    registry.discover_models()
    assert list(json.loads(cache_path.read_text())["files"]) == [str(models_dir / "m-it")]


def test_registered_files_that_are_gone_are_faults(models_dir: Path, registry: ModelRegistry, tmp_path: Path) -> None:
    """A registered model whose files were deleted is listed with that fault, and whole again when they are back."""
    folder = put_folder(tmp_path, "elsewhere")
    registry.register_model(ModelInfo("mine", path=folder))
    faults = lambda: {info.name: info.error for info in registry.list_models()}  # noqa: E731
    assert faults()["mine"] is None
    folder.rename(tmp_path / "away")
    assert str(folder) in (faults()["mine"] or "")
    (tmp_path / "away").rename(folder)
    assert faults()["mine"] is None


def test_other_models_folders_share_the_cache(tmp_path: Path, cache_path: Path) -> None:
    """A look through one folder keeps what is known of another, unless that is gone from the disk."""
    for name in ("a", "b", "gone"):
        put_folder(tmp_path / name, f"{name}-it")
        ModelRegistry(tmp_path / name, cache_path).discover_models()
    shutil.rmtree(tmp_path / "gone")
    put_folder(tmp_path / "a", "new-it")
    ModelRegistry(tmp_path / "a", cache_path).discover_models()
    known = {Path(path).name for path in json.loads(cache_path.read_text())["files"]}
    assert known == {"a-it", "new-it", "b-it"}


def test_a_relative_models_folder_is_one_place(
    tmp_path: Path, cache_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found below a relative folder stays found when the program goes elsewhere."""
    put_folder(tmp_path / "models", "m-it")
    monkeypatch.chdir(tmp_path)
    registry = ModelRegistry("models", cache_path)
    monkeypatch.chdir("/")
    assert [info.path for info in registry.discover_models()] == [tmp_path / "models" / "m-it"]


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
