"""Models from a hub: real downloads, in processes of their own, from a server that speaks the hub's protocol."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers.hub_server import SIGNATURE, HubServer, Repo, hub_server

from llm_framework import BadResponseError, InvalidRequestError, ModelNotFoundError
from llm_framework.native.convert import convert_model
from llm_framework.registry import BUNDLED_MODEL, description
from llm_framework.registry.hub import checked_repo
from llm_framework.registry.hub_files import RemoteFile, choose

SOURCE = Path(description.__file__).parents[2]
BUNDLED = SOURCE / "llm_framework" / "bundled" / BUNDLED_MODEL
GOOD, OTHER, BAD = "hf_goodtoken000000", "hf_othertoken00000", "hf_badtoken0000000"
NEEDED = {
    "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer.model",
    "tokenizer_config.json", "chat_template.jinja",
}  # fmt: skip
TIMEOUT = 120

Pull = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def weights() -> dict[str, bytes]:
    """The files of a small model that answers, and what else repositories hold."""
    files = {path.name: path.read_bytes() for path in BUNDLED.iterdir()}
    return {**files, "pytorch_model.bin": b"x" * 500, "onnx/model.onnx": b"x" * 500, "modeling.py": b"raise SystemExit"}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server() as server:
        server.tokens |= {OTHER}
        yield server


@pytest.fixture
def repo(hub: HubServer, weights: dict[str, bytes]) -> Repo:
    """acme/tiny-it, whose main branch is the model."""
    hub.repos["acme/tiny-it"] = Repo()
    hub.repos["acme/tiny-it"].commit(weights, "main")
    return hub.repos["acme/tiny-it"]


@pytest.fixture
def big(hub: HubServer) -> bytes:
    """The one file of acme/big. (huggingface_hub writes ten megabytes at a time.)"""
    data = random.Random(7).randbytes(40 << 20)
    hub.repos["acme/big"] = Repo()
    hub.repos["acme/big"].commit({"big-it.sbs": data})
    return data


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def environment(hub: HubServer, models: Path, tmp_path: Path) -> dict[str, str]:
    """That of a person who has never logged in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "LLM_FRAMEWORK_"))}
    return {
        **kept, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(SOURCE),
        "LLM_FRAMEWORK_MODELS_DIR": str(models), "XDG_CACHE_HOME": str(tmp_path / "cache"), "NO_PROXY": "*",
    }  # fmt: skip


@pytest.fixture
def pull(environment: dict[str, str]) -> Pull:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "llm_framework.cli", "models", "pull", *arguments]
        return subprocess.run(
            command, env={**environment, **variables}, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )

    return run


def refused(done: subprocess.CompletedProcess[str], *words: str) -> str:
    """The sentence on standard error, which has these words and no secret."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    for secret in (GOOD, OTHER, BAD, SIGNATURE):
        assert secret not in done.stderr
    return done.stderr


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "llm_framework.cli", "models", "pull", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def visible(folder: Path) -> set[str]:
    """The files that are no hidden ones, by their paths in the folder."""
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith(".")}


# ----------------------------------------------------------------------------------------------------------- downloads
def test_a_model_is_found_and_answers_at_once(
    pull: Pull, repo: Repo, hub: HubServer, models: Path, environment: dict[str, str]
) -> None:
    """What is needed of a repository comes into the models folder, and the model is known by its name."""
    done = pull("acme/tiny-it")
    assert (done.returncode, done.stderr) == (0, "")
    folder = models / "acme" / "tiny-it"
    assert done.stdout.startswith(f"tiny-it  {folder}  9.5 MB")
    assert visible(folder) == NEEDED
    assert all((folder / name).read_bytes() == (BUNDLED / name).read_bytes() for name in NEEDED)
    assert not (folder / ".incomplete").exists()
    command = [sys.executable, "-m", "llm_framework.cli", "generate", "Hello", "-m", "tiny-it", "-t", "0", "-n", "4"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert answer.stdout.strip(), answer.stderr
    before = len(hub.downloads())
    assert pull("acme/tiny-it").returncode == 0  # once more: nothing comes again
    assert len(hub.downloads()) == before


def test_the_plan_is_shown_without_a_download(pull: Pull, repo: Repo, hub: HubServer, models: Path) -> None:
    """--dry-run lists the files and their sizes, and nothing is written."""
    plan = json.loads(pull("acme/tiny-it", "--dry-run", "--json").stdout)
    assert {file["name"] for file in plan["files"]} == NEEDED
    assert plan["commit"] == repo.refs["main"]
    assert "9.7 MB  in all" in pull(f"{hub.endpoint}/acme/tiny-it", "--dry-run").stdout
    assert hub.downloads() == []
    assert not models.exists()


def test_revisions(pull: Pull, repo: Repo, weights: dict[str, bytes], models: Path) -> None:
    """A branch, a tag or a commit is what comes; going to another one leaves nothing of the old weights behind."""
    shards = {name.replace("model.safetensors", "model-00001-of-00001.safetensors"): data
              for name, data in weights.items()}  # fmt: skip
    index = {
        "weight_map": dict.fromkeys(_tensor_names(weights["model.safetensors"]), "model-00001-of-00001.safetensors")
    }
    old = repo.commit({**shards, "model.safetensors.index.json": json.dumps(index).encode()}, "v1")
    folder = models / "acme" / "tiny-it"
    for revision in ("v1", old):
        done = pull("acme/tiny-it", "--revision", revision)
        assert (done.returncode, done.stderr) == (0, "")
        assert "model-00001-of-00001.safetensors" in visible(folder)
    assert pull("acme/tiny-it").returncode == 0
    assert visible(folder) == NEEDED


def _tensor_names(data: bytes) -> list[str]:
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return [name for name in header if name != "__metadata__"]


def test_another_folder(pull: Pull, repo: Repo, tmp_path: Path, environment: dict[str, str]) -> None:
    """With --to the files come there, and the model is registered, so that its name works all the same."""
    elsewhere = tmp_path / "elsewhere"
    done = pull("acme/tiny-it", "--to", str(elsewhere), "--json")
    found = json.loads(done.stdout)
    assert (found["name"], found["path"]) == ("elsewhere", str(elsewhere))
    command = [sys.executable, "-m", "llm_framework.cli", "models", "info", "elsewhere", "--json"]
    info = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=True)
    assert json.loads(info.stdout)["path"] == str(elsewhere)
    assert json.loads(pull("acme/tiny-it", "--to", str(elsewhere), "--json").stdout)["name"] == "elsewhere"


def test_one_file_of_several(
    pull: Pull, hub: HubServer, models: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Of a repository of single files, the one that is named comes; without a name, the error lists them."""
    repo = hub.repos["acme/tiny-sbs"] = Repo()
    files = {f"tiny-it-{kind}.sbs": convert_model(BUNDLED, tmp_path / f"{kind}.sbs", weights=kind).read_bytes()
             for kind in ("sfp", "bf16")}  # fmt: skip
    repo.commit({**files, "README.md": b"hello", "mmproj-tiny.gguf": b"GGUF"})
    refused(pull("acme/tiny-sbs"), "--file", "tiny-it-sfp.sbs", "tiny-it-bf16.sbs")
    refused(pull("acme/tiny-sbs", "--file", "Q4_K_M"), "Q4_K_M", "tiny-it-sfp.sbs")
    done = pull("acme/tiny-sbs", "--file", "SFP")
    assert (done.returncode, done.stderr) == (0, "")
    folder = models / "acme" / "tiny-sbs"
    assert visible(folder) == {"tiny-it-sfp.sbs"}
    assert done.stdout.startswith("tiny-it  ")
    assert pull("acme/tiny-sbs", "--file", "*bf16*").returncode == 0
    assert visible(folder) == set(files)


def test_other_peoples_files_are_not_replaced(pull: Pull, repo: Repo, tmp_path: Path) -> None:
    """A folder with files of the same name is left alone, unless --force is given."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "config.json").write_text("mine")
    refused(pull("acme/tiny-it", "--to", str(mine)), "config.json", "--force")
    assert (mine / "config.json").read_text() == "mine"
    assert pull("acme/tiny-it", "--to", str(mine), "--force").returncode == 0
    assert (mine / "config.json").read_bytes() == (BUNDLED / "config.json").read_bytes()


def test_a_model_that_cannot_be_used_says_so(pull: Pull, hub: HubServer, weights: dict[str, bytes]) -> None:
    """What cannot be run here is refused before its weights come; with --force it comes, and its fault is said."""
    config = {**json.loads(weights["config.json"]), "model_type": "t5", "architectures": ["T5ForConditionalGeneration"],
              "is_encoder_decoder": True}  # fmt: skip
    hub.repos["acme/t5"] = Repo()
    hub.repos["acme/t5"].commit({**weights, "config.json": json.dumps(config).encode()})
    refused(pull("acme/t5"), "encoder", "--force")
    assert not any(seen.path.partition("?")[0].endswith(".safetensors") for seen in hub.downloads())
    done = pull("acme/t5", "--force")
    assert done.returncode == 0
    assert "cannot be used" in done.stderr
    assert "encoder" in done.stderr


# ------------------------------------------------------------------------------------------- what breaks, and goes on
def test_a_killed_download_goes_on(
    pull: Pull, big: bytes, hub: HubServer, models: Path, environment: dict[str, str]
) -> None:
    """After a kill in the middle, nothing half is to be seen, and the next call asks for what is missing only."""
    hub.faults.hold = threading.Event()
    process = start(environment, "acme/big")
    assert hub.half_way.wait(TIMEOUT)
    folder = models / "acme" / "big"
    until(lambda: sum(path.stat().st_size for path in folder.glob(".incomplete/*.part")) >= 10 << 20)
    process.kill()
    process.communicate()
    assert visible(folder) == set()
    hub.faults.hold.set()
    hub.faults.hold = None
    assert pull("acme/big").returncode == 0
    (first, second) = hub.downloads()
    assert "range" not in first.headers
    assert second.headers["range"] >= f"bytes={10 << 20}-"
    assert (folder / "big-it.sbs").read_bytes() == big


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + TIMEOUT
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ctrl_c_keeps_what_has_come(repo: Repo, hub: HubServer, environment: dict[str, str], pull: Pull) -> None:
    """Ctrl-C ends with 130 and one sentence; the same command goes on."""
    hub.faults.hold = threading.Event()
    process = start(environment, "acme/tiny-it")
    assert hub.half_way.wait(TIMEOUT)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert said == "Interrupted. What has come is kept: the same command goes on from there.\n"
    hub.faults.hold.set()
    hub.faults.hold = None
    assert pull("acme/tiny-it").returncode == 0


@pytest.mark.parametrize("ignore_ranges", [False, True], ids=["ranges", "no ranges"])
def test_a_connection_that_breaks_is_taken_up_again(
    ignore_ranges: bool, pull: Pull, big: bytes, hub: HubServer, models: Path
) -> None:
    """A download whose connection breaks in the middle ends whole, also where the server knows no ranges."""
    hub.faults.cut_after, hub.faults.cuts, hub.faults.ignore_ranges = 12 << 20, 2, ignore_ranges
    done = pull("acme/big")
    assert done.returncode == 0, done.stderr
    assert SIGNATURE not in done.stderr
    assert [seen.headers.get("range") for seen in hub.downloads()][1] == f"bytes={10 << 20}-"
    assert (models / "acme" / "big" / "big-it.sbs").read_bytes() == big


def test_two_files_of_the_same_content(pull: Pull, repo: Repo, weights: dict[str, bytes], models: Path) -> None:
    """Files that hold the same bytes are two files."""
    same = {"added_tokens.json": b"{}", "special_tokens_map.json": b"{}"}
    repo.commit({**weights, **same})
    done = pull("acme/tiny-it")
    assert (done.returncode, done.stderr) == (0, "")
    assert visible(models / "acme" / "tiny-it") == NEEDED | set(same)


def test_a_file_that_hubs_do_not_give_out(pull: Pull, hub: HubServer) -> None:
    """A single file above what comes over HTTP is refused at once, with the command that can."""
    hub.repos["acme/huge"] = Repo()
    hub.repos["acme/huge"].commit({"huge.gguf": b"x"})
    lfs = {"sha256": "0" * 64, "size": 60 * 10**9, "pointerSize": 134}
    hub.faults.extra = {"siblings": [{"rfilename": "huge.gguf", "size": 134, "blobId": "0" * 40, "lfs": lfs}]}
    refused(pull("acme/huge"), "60 GB", "hf download acme/huge huge.gguf")


def test_bytes_that_changed_on_the_way_are_fetched_again(pull: Pull, repo: Repo, hub: HubServer, models: Path) -> None:
    """A body that does not fit its checksum is fetched once more; the good one is kept."""
    hub.faults.corrupt = 1
    done = pull("acme/tiny-it")
    assert done.returncode == 0, done.stderr
    for name in NEEDED:
        assert (models / "acme" / "tiny-it" / name).read_bytes() == (BUNDLED / name).read_bytes()


def test_a_damaged_copy_is_refused(pull: Pull, repo: Repo, hub: HubServer, models: Path) -> None:
    """Where the checksum never fits, the error says so, and no model is left."""
    hub.faults.corrupt = 100
    refused(pull("acme/tiny-it"), "checksum", "acme/tiny-it")
    assert visible(models / "acme" / "tiny-it") == set()


def test_damage_on_the_disk_is_mended(pull: Pull, repo: Repo, models: Path) -> None:
    """A file that was pulled and has changed since is fetched again by the same command."""
    assert pull("acme/tiny-it").returncode == 0
    path = models / "acme" / "tiny-it" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert pull("acme/tiny-it").returncode == 0
    assert path.read_bytes() == (BUNDLED / "model.safetensors").read_bytes()


def test_two_at_once_share_the_work(repo: Repo, hub: HubServer, models: Path, environment: dict[str, str]) -> None:
    """A second process waits for the first one and then finds everything there: each file comes once."""
    hub.faults.hold = threading.Event()
    first = start(environment, "acme/tiny-it")
    assert hub.half_way.wait(TIMEOUT)
    second = start(environment, "acme/tiny-it")
    assert second.stderr is not None
    assert "another process is downloading" in second.stderr.readline()
    hub.faults.hold.set()
    assert [process.wait(TIMEOUT) for process in (first, second)] == [0, 0]
    for process in (first, second):
        process.communicate()
    paths = [seen.path for seen in hub.downloads()]
    assert len(paths) == len(set(paths))


def test_a_hub_that_is_busy_for_a_moment(pull: Pull, repo: Repo, hub: HubServer) -> None:
    """Answers of 503 are waited out."""
    hub.faults.unavailable = 2
    assert pull("acme/tiny-it").returncode == 0


def test_a_mirror_without_checksums(pull: Pull, repo: Repo, hub: HubServer) -> None:
    """A hub that says neither sizes nor checksums is believed."""
    hub.faults.no_checksums = True
    done = pull("acme/tiny-it")
    assert (done.returncode, done.stderr) == (0, "")


# ------------------------------------------------------------------------------------------------ what may not be read
def test_gated_models_are_explained(pull: Pull, repo: Repo, hub: HubServer) -> None:
    """Without a token: where to accept the terms, how to log in. With one of an account without access: what it needs.
    With the right one the model comes, and the token goes to the hub alone."""
    repo.gated = "manual"
    repo.readers = {GOOD}
    page = f"{hub.endpoint}/acme/tiny-it"
    refused(pull("acme/tiny-it"), "gated", page, "hf auth login", "HF_TOKEN")
    refused(pull("acme/tiny-it", HF_TOKEN=OTHER), "gated", page, "no access", "approve")
    assert pull("acme/tiny-it", HF_TOKEN=GOOD).returncode == 0
    assert any(seen.headers.get("authorization") == f"Bearer {GOOD}" for seen in hub.seen)
    assert all("authorization" not in seen.headers for seen in hub.downloads())


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["acme/nothing"], {}, ["no repository acme/nothing", "private", "hf auth login"]),
        (["nothing"], {}, ["no repository nothing"]),
        (["acme/nothing"], {"HF_TOKEN": GOOD}, ["no repository acme/nothing", "your token"]),
        (["acme/tiny-it"], {"HF_TOKEN": BAD}, ["refuses your token", "hf auth login"]),
        (["acme/tiny-it", "--revision", "v9"], {}, ["no revision 'v9'", "acme/tiny-it"]),
        (["acme/tiny-it", "--file", "Q4_K_M"], {}, ["Q4_K_M", "acme/tiny-it"]),
        (["not a name"], {}, ["'not a name'", "owner/name"]),
        (["acme/tiny-it"], {"HF_HUB_OFFLINE": "1"}, ["HF_HUB_OFFLINE", "unset"]),
        (["acme/tiny-it"], {"HF_ENDPOINT": "http://127.0.0.1:9"}, ["http://127.0.0.1:9", "HF_ENDPOINT", "failed"]),
        (["acme/tiny-it", "--to", "/proc/here"], {}, ["/proc/here", "--to"]),
        (["acme/bin"], {}, ["pickled", "safetensors"]),
        (["acme/lora"], {}, ["adapter"]),
    ],
)  # fmt: skip
def test_refusals_are_one_sentence(
    arguments: list[str], variables: dict[str, str], words: list[str], pull: Pull, repo: Repo, hub: HubServer
) -> None:
    """What cannot be had says why and what to do, with exit code 1."""
    hub.repos["acme/bin"], hub.repos["acme/lora"] = Repo(), Repo()
    hub.repos["acme/bin"].commit({"config.json": b"{}", "pytorch_model.bin": b"x"})
    hub.repos["acme/lora"].commit({"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"})
    refused(pull(*arguments, **variables), *words)


def test_a_full_disk_is_told_beforehand(pull: Pull, repo: Repo, hub: HubServer, models: Path) -> None:
    """A model larger than the room that is left is refused before anything comes."""
    lfs = {"sha256": "0" * 64, "size": 40 * 10**9, "pointerSize": 134}
    shards = [{"rfilename": f"model-{number:05}-of-05000.safetensors", "size": lfs["size"], "blobId": "0", "lfs": lfs}
              for number in range(1, 5001)]  # fmt: skip
    hub.faults.extra = {"siblings": [*shards, {"rfilename": "config.json", "size": 2, "blobId": "0" * 40}]}
    refused(pull("acme/tiny-it"), "free in", "--to")
    assert hub.downloads() == []


def test_names_that_lead_out_of_the_folder_are_refused(pull: Pull, repo: Repo, hub: HubServer, models: Path) -> None:
    """A server cannot have files written elsewhere."""
    for name in ("../evil.gguf", "/etc/evil.gguf", "a/../../evil.gguf"):
        hub.faults.extra = {"siblings": [{"rfilename": name}]}
        refused(pull("acme/tiny-it"), "evil.gguf", "leads out")


def test_something_else_than_a_hub(pull: Pull, repo: Repo, hub: HubServer) -> None:
    """A server that answers otherwise is named, with the setting that points to it."""
    hub.faults.extra = {"sha": None}
    refused(pull("acme/tiny-it"), "HF_ENDPOINT", hub.endpoint)


def test_without_the_extra(environment: dict[str, str], tmp_path: Path) -> None:
    """Where huggingface_hub is not installed, the error names the extra."""
    (tmp_path / "hidden" / "huggingface_hub").mkdir(parents=True)
    (tmp_path / "hidden" / "huggingface_hub" / "__init__.py").write_text("raise ImportError('not here')")
    paths = os.pathsep.join([str(tmp_path / "hidden"), str(SOURCE)])
    command = [sys.executable, "-m", "llm_framework.cli", "models", "pull", "acme/tiny-it"]
    done = subprocess.run(
        command, env={**environment, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    refused(done, "llm-framework[hub]")


# ------------------------------------------------------------------------------------------------------------ choosing
def chosen(*names: str, wanted: str | None = None) -> list[str]:
    return [file.name for file in choose("acme/m", [RemoteFile(name) for name in names], wanted).files]


def test_safetensors_are_chosen_whole() -> None:
    """The weights that the index means, the tokenizer of whatever kind, the modules of an embedding model."""
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = "model.safetensors.index.json"
    others = ["consolidated.safetensors", "original/model.safetensors", "model.fp16.safetensors", "training_args.bin"]
    assert chosen("config.json", index, *shards, *others, "merges.txt") == ["config.json", "merges.txt", *shards, index]
    assert chosen("config.json", "model.safetensors", index, *shards) == ["config.json", "model.safetensors"]
    modules = ["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors", "config.json",
               "model.safetensors", "modules.json"]  # fmt: skip
    assert chosen(*modules, "onnx/config.json") == modules
    assert chosen("config.json", "model.safetensors", "m-q4_0.gguf", wanted="safetensors") == chosen(
        "config.json", "model.safetensors", "m-q4_0.gguf"
    )


def test_single_files_are_chosen_by_name_pattern_or_word() -> None:
    """A name, a pattern or a word leads to one model, all parts of a split one; what fits several is an error."""
    files = ["m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "BF16/m-BF16-00001-of-00002.gguf", "BF16/m-BF16-00002-of-00002.gguf"]
    assert chosen(*files, wanted="m-Q4_K_S.gguf") == ["m-Q4_K_S.gguf"]
    assert chosen(*files, wanted="q4_k_m") == ["m-Q4_K_M.gguf"]
    assert chosen(*files, wanted="bf16") == files[2:]
    assert chosen(*files, wanted="*bf16*") == files[2:]
    assert chosen("m.gguf", "README.md") == ["m.gguf"]
    for wanted in ("*Q4*", "Q4", None):
        with pytest.raises(InvalidRequestError, match="Q4_K_S"):
            chosen(*files, wanted=wanted)
    with pytest.raises(ModelNotFoundError, match="Q4_K_M"):
        chosen(*files, wanted="Q8")
    with pytest.raises(BadResponseError):
        chosen("..\\m.gguf")


def test_repositories_are_named_as_people_copy_them() -> None:
    """The address of a page is as good as the name; what is neither is refused."""
    for text in ("google/gemma", "https://huggingface.co/google/gemma/", "hf.co/google/gemma", "hf:google/gemma"):
        assert checked_repo(text) == "google/gemma"
    for text in ("", "../x", "a/b/c", "a b", "a/..", "/etc/passwd"):
        with pytest.raises(InvalidRequestError):
            checked_repo(text)


def test_the_library_downloads_too(
    hub: HubServer, repo: Repo, environment: dict[str, str], models: Path, tmp_path: Path
) -> None:
    """ModelRegistry.pull_model downloads, tells how far it is, and returns the model."""
    code = (
        "import sys; from llm_framework import ModelRegistry; told = []; registry = ModelRegistry(sys.argv[1]); "
        "info = registry.pull_model('acme/tiny-it', on_progress=lambda *now: told.append(now)); "
        "assert registry.get_model('tiny-it') == info; assert told == sorted(told); print(*told[-1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(models)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    total = sum((BUNDLED / name).stat().st_size for name in NEEDED)
    assert done.stdout.split() == [str(total), str(total)]


def test_the_checksum_of_small_files_is_gits() -> None:
    """The bundled model's config has the blob id that Git gives it (or nothing small would ever be compared)."""
    from llm_framework.registry.hub import _has_checksum

    path = BUNDLED / "config.json"
    if shutil.which("git"):
        done = subprocess.run(["git", "hash-object", str(path)], capture_output=True, text=True, check=True)
        assert _has_checksum(path, RemoteFile("config.json", git_sha1=done.stdout.strip()))
    assert not _has_checksum(path, RemoteFile("config.json", sha256=hashlib.sha256(b"").hexdigest()))
