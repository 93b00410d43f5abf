"""Models from a hub: what is needed of a repository, downloaded whole or not at all.

    pulled = pull("google/gemma-3-270m-it", to="models/gemma-3-270m-it")

Files come into a hidden folder beside the model first. There a download that broke off goes on where it stopped, in
this process or another, and each file is compared with the hub's checksum. When all are there they are put in place
together, so nobody finds half a model, and an update never mixes two revisions.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import BadResponseError, InvalidRequestError, ModelLoadError, UnsupportedFeatureError
from ..logs import get_logger
from .description import fault_of
from .hub_errors import Asked, folder_errors, patiently, require_hub
from .hub_files import RemoteFile, choose

logger = get_logger(__name__)

INCOMPLETE = ".incomplete"
CONFIG = "config.json"
MANIFEST, LOCK = ".pulled.json", ".pulled.lock"
LARGEST = 50 * 1000**3  # bytes: what hubs give out over plain HTTP
_REPO = re.compile(r"^[\w][\w.-]*(/[\w][\w.-]*)?$", re.ASCII)
_URL = re.compile(r"^(?:https?://[^/]+/|hf\.co/|huggingface\.co/|hf:(?://)?)", re.IGNORECASE)
_CHUNK = 4 << 20

Progress = Callable[[int, int], None]
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What a download consists of. `commit` is the revision's full id; `model` the file that the model is opened by, or
    None where it is opened by its folder."""

    repo: str
    commit: str
    files: tuple[RemoteFile, ...]
    model: str | None

    @property
    def num_bytes(self) -> int:
        """The size of all files, as far as the hub says it."""
        return sum(file.size or 0 for file in self.files)


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model that is here. `path` is what it is opened by; `downloaded_bytes` is what had to come over the network."""

    path: Path
    plan: PullPlan
    downloaded_bytes: int


def make_plan(
    repo: str, *, revision: str | None = None, file: str | None = None, endpoint: str | None = None
) -> PullPlan:
    """Ask the hub what a repository holds, and choose. Arguments and errors as `pull`."""
    repo = checked_repo(repo)
    hub = require_hub()
    api = hub.HfApi(endpoint=endpoint, library_name="llm-framework", library_version=__version__)
    info = patiently(
        lambda: api.model_info(repo, revision=revision, files_metadata=True), Asked(repo, revision, None, api.endpoint)
    )
    commit = info.sha
    if not isinstance(commit, str) or not re.fullmatch(r"[0-9a-f]{40}", commit):
        message = f"{api.endpoint} names no commit of {repo}; does HF_ENDPOINT point to a hub?"
        raise BadResponseError(message, retryable=False)
    choice = choose(repo, [_remote(sibling) for sibling in info.siblings or ()], file)
    return PullPlan(repo, commit, choice.files, choice.model)


def pull(
    repo: str,
    *,
    to: str | os.PathLike[str],
    revision: str | None = None,
    file: str | None = None,
    endpoint: str | None = None,
    force: bool = False,
    on_progress: Progress | None = None,
    on_note: Note | None = None,
) -> Pulled:
    """Download a model into the folder `to`; what is there already, and whole, is left alone.

    `revision` is a branch, tag or commit; `file` chooses as `hub_files.choose` says; `endpoint` is the hub's address
    (default: HF_ENDPOINT, else Hugging Face's own). The token is the one that `hf auth login` stored or HF_TOKEN holds.
    With `force`, files that somebody else put into `to` are replaced, and what cannot be run here comes all the same.
    `on_progress` is told (bytes that are there, bytes in all), `on_note` a sentence where it waits or begins again
    (default: logged). May be called again after any error, a kill included, and goes on from there.

    Raises `ModelNotFoundError` (no such repository, revision or file), `AuthenticationError` and
    `PermissionDeniedError` (private or gated, and what to do), `UnsupportedFeatureError` (a model of a kind that is not
    run here), `ConnectionFailedError`, `ProviderUnavailableError`, `RateLimitError`, `BadResponseError` (the bytes do
    not fit the checksum, twice), `ModelLoadError` (no room on the disk), `ConfigurationError` (offline, or a folder
    that cannot be written), `MissingDependencyError` (the extra "hub").
    """
    plan = make_plan(repo, revision=revision, file=file, endpoint=endpoint)
    target = Path(os.path.abspath(Path(to).expanduser()))
    with folder_errors(target):
        return _Download(plan, target, endpoint, force, on_progress, on_note or logger.warning).run()


def checked_repo(repo: str) -> str:
    """`owner/name` of a repository, from that or from its page's address. Raises `InvalidRequestError`."""
    name = _URL.sub("", repo.strip()).rstrip("/")
    if not _REPO.match(name) or ".." in name or "--" in name:
        raise InvalidRequestError(f"{repo!r} names no repository of a hub; write owner/name, as google/gemma-3-270m-it")
    return name


class _Download:
    """One call of `pull`."""

    def __init__(
        self, plan: PullPlan, target: Path, endpoint: str | None, force: bool, on_progress: Progress | None, note: Note
    ) -> None:
        self.plan, self.target, self.endpoint, self.force = plan, target, endpoint, force
        self.on_progress, self.note = on_progress, note
        self.incomplete = target / INCOMPLETE
        self.manifest: Mapping[str, Any] = {}
        self.done = self.downloaded = 0

    def run(self) -> Pulled:
        self.target.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self.incomplete.mkdir(exist_ok=True)
            self.manifest = _read_manifest(self.target)
            missing = [file for file in self.plan.files if not self._is_here(file)]
            self._check_may_replace(missing)
            self._check_room(missing)
            staged = [(file, self._fetch(file)) for file in missing if file.name == CONFIG]
            self._check_config(staged)
            staged += [(file, self._fetch(file)) for file in missing if file.name != CONFIG]
            self._put_in_place(staged)
            with contextlib.suppress(OSError):  # another file's first half may wait there
                self.incomplete.rmdir()
        path = self.target if self.plan.model is None else self.target / self.plan.model
        return Pulled(path, self.plan, self.downloaded)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder; where another process is downloading into it, wait for that one."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.target / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.note(f"another process is downloading into {self.target}; waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    # ------------------------------------------------------------------------------------------------------- before
    def _is_here(self, file: RemoteFile) -> bool:
        path = self.target / file.name
        if not path.is_file() or (file.size is not None and path.stat().st_size != file.size):
            return False
        is_whole = _has_checksum(path, file)
        if is_whole:
            self._count(self.done + path.stat().st_size)
        return is_whole

    def _check_may_replace(self, missing: list[RemoteFile]) -> None:
        ours = self.manifest.get("files", {})
        strange = [file.name for file in missing if (self.target / file.name).exists() and file.name not in ours]
        if strange and not self.force:
            raise InvalidRequestError(
                f"{self.target} holds files that were not pulled from {self.plan.repo} ({', '.join(strange[:3])}); "
                "choose another folder (--to) or replace them (--force)"
            )

    def _check_room(self, missing: list[RemoteFile]) -> None:
        needed = sum((file.size or 0) - _size_of(self._partial(file)) for file in missing)
        for file in missing:
            if file.size is not None and file.size > LARGEST:
                raise ModelLoadError(
                    f"{file.name} of {self.plan.repo} has {file.size / 1e9:.0f} GB, more than hubs give out over HTTP; "
                    f"download it with: hf download {self.plan.repo} {file.name} --local-dir {self.target}"
                )
        free = shutil.disk_usage(self.target).free
        if needed > free:
            message = (
                f"{self.plan.repo} needs {needed / 1e9:.1f} GB more, and {free / 1e9:.1f} are free in {self.target}"
            )
            raise ModelLoadError(f"{message}; make room or choose another folder (--to)", path=str(self.target))

    def _check_config(self, staged: list[tuple[RemoteFile, Path]]) -> None:
        """Before gigabytes come: whether the model is of a kind that is run here."""
        if self.force or not staged or any(file.name == "modules.json" for file in self.plan.files):
            return
        try:
            config = json.loads(staged[0][1].read_text(encoding="utf-8"))
        except ValueError:
            config = None
        fault = fault_of(config) if isinstance(config, dict) else "config.json is not JSON"
        if fault is not None:
            shutil.rmtree(self.incomplete, ignore_errors=True)
            raise UnsupportedFeatureError(
                f"{self.plan.repo} cannot be run here: {fault}; --force downloads it all the same", model=self.plan.repo
            )

    # ------------------------------------------------------------------------------------------------------ download
    def _partial(self, file: RemoteFile) -> Path:
        """Where a file is downloaded to: the same place for the same content, also of another revision."""
        content = file.sha256 or file.git_sha1 or self.plan.commit
        return self.incomplete / f"{file.name.replace('/', '--')}.{content[:20]}.part"

    def _fetch(self, file: RemoteFile) -> Path:
        """The file, whole and checked, in the hidden folder. What does not fit its checksum is fetched once more."""
        partial = self._partial(file)
        for attempt in (1, 2):
            start = self.done
            self._resume(file, partial)
            if _has_checksum(partial, file):
                return partial
            partial.unlink()
            self.done = start
            if attempt == 1:
                self.note(f"{file.name} of {self.plan.repo} does not fit its checksum; fetching it again")
        raise BadResponseError(
            f"{file.name} of {self.plan.repo} came twice with bytes that do not fit the hub's checksum: something on "
            "the way changes them (a proxy?), or the hub's copy is damaged",
            retryable=False,
        )

    def _resume(self, file: RemoteFile, partial: Path) -> None:
        before = self.done
        asked = Asked(self.plan.repo, self.plan.commit, file.name, self.endpoint)
        patiently(lambda: self._get(file, partial, before), asked, lambda: _size_of(partial))
        self._count(before + _size_of(partial))

    def _get(self, file: RemoteFile, partial: Path, before: int) -> None:
        from huggingface_hub.file_download import hf_hub_url, http_get
        from huggingface_hub.utils import build_hf_headers

        url = hf_hub_url(self.plan.repo, file.name, revision=self.plan.commit, endpoint=self.endpoint)
        headers = build_hf_headers(library_name="llm-framework", library_version=__version__)
        headers["Accept-Encoding"] = "identity"  # what is compressed on the way cannot be resumed
        if file.size is None or _size_of(partial) > file.size:  # nobody can tell what that is the beginning of
            partial.unlink(missing_ok=True)
        self._count(before + _size_of(partial))
        with open(partial, "ab") as sink:
            meter: Any = lambda **options: _Meter(self)  # noqa: E731 - what is called like a class
            http_get(
                url, sink, resume_size=sink.tell(), headers=headers, expected_size=file.size,
                displayed_filename=file.name, tqdm_class=meter,
            )  # fmt: skip

    def _count(self, done: int) -> None:
        """So many bytes are there now."""
        self.done = done
        if self.on_progress is not None:
            self.on_progress(min(done, self.plan.num_bytes), self.plan.num_bytes)

    # --------------------------------------------------------------------------------------------------------- after
    def _put_in_place(self, staged: list[tuple[RemoteFile, Path]]) -> None:
        """Move what came to where it belongs, config.json last: before it is there, a folder is no model."""
        before = self.manifest.get("files", {})
        names = {file.name: file.sha256 or file.git_sha1 or "" for file in self.plan.files}
        if self.plan.model is None:
            self._remove_old(before, names)
        self._write_manifest({**before, **names})
        for file, partial in sorted(staged, key=lambda item: item[0].name == CONFIG):
            path = self.target / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial, path)

    def _remove_old(self, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        """Weights of an older revision that the new one does not have would be read with it."""
        for name in set(before) - set(now):
            if name.endswith((".safetensors", ".safetensors.index.json")):
                (self.target / name).unlink(missing_ok=True)

    def _write_manifest(self, files: Mapping[str, str]) -> None:
        values = {"repo": self.plan.repo, "commit": self.plan.commit, "files": files}
        unfinished = self.incomplete / MANIFEST
        unfinished.write_text(json.dumps(values, indent=1), encoding="utf-8")
        os.replace(unfinished, self.target / MANIFEST)


class _Meter:
    """Stands for the progress bar of huggingface_hub."""

    def __init__(self, download: _Download) -> None:
        self._download = download

    def update(self, count: float = 1) -> None:
        """So many bytes came; less than none where those that had come must come again."""
        self._download.downloaded += max(0, int(count))
        self._download._count(self._download.done + int(count))

    def __enter__(self) -> _Meter:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def close(self) -> None:
        """Nothing to do."""


# -------------------------------------------------------------------------------------------------------------- files
def _remote(sibling: Any) -> RemoteFile:
    """A file as the hub lists it."""
    large = sibling.lfs
    if large is not None:
        return RemoteFile(sibling.rfilename, large.size or sibling.size, sha256=large.sha256)
    return RemoteFile(sibling.rfilename, sibling.size, git_sha1=sibling.blob_id)


def _has_checksum(path: Path, file: RemoteFile) -> bool:
    """Whether a file on disk holds what the hub says; of what the hub says no checksum, the size must do."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return False
    if file.sha256 is not None:
        return _digest(path, hashlib.sha256()) == file.sha256
    if file.git_sha1 is not None:
        return _digest(path, hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)) == file.git_sha1
    logger.info("the hub gives no checksum for %s", file.name)
    return True


def _digest(path: Path, digest: Any) -> str:
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return str(digest.hexdigest())


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read_manifest(target: Path) -> dict[str, Any]:
    """What earlier calls put into a folder."""
    try:
        values = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_ours = isinstance(values, dict) and isinstance(values.get("files"), dict)
    return values if is_ours else {}
