"""A hub for tests, on 127.0.0.1: Hugging Face's protocol as huggingface_hub speaks it, and what may go wrong in it.

Repositories are dicts in memory, a commit for each state. Large files are handed out by a second server on another
port, as from a content network, over addresses with a signature, where no token may arrive.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = 100  # bytes from which a file is stored as Git LFS does
SIGNATURE = "sig-0123456789abcdef"
PIECE = 1 << 14
HELD = 1 << 20  # bytes; smaller files are not held


@dataclass
class Repo:
    """A repository: `files` of each commit, and the branches and tags that name commits. `gated` is False, "auto" or
    "manual"; `readers` are the tokens that may read what is gated or private."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    gated: str | bool = False
    private: bool = False
    readers: set[str] = field(default_factory=set)

    def commit(self, files: Mapping[str, bytes], *refs: str) -> str:
        """Add a state and have the refs (default: main) name it. Returns its id."""
        text = json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in files.items()}, sort_keys=True)
        commit = hashlib.sha1(f"{text}{len(self.commits)}".encode()).hexdigest()
        self.commits[commit] = dict(files)
        self.refs.update(dict.fromkeys(refs or ("main",), commit))
        return commit


@dataclass
class Faults:
    """What goes wrong, each so many times; then all is well."""

    cut_after: int | None = None  # bytes of a large file, after which the connection breaks
    cuts: int = 0
    corrupt: int = 0  # large files that come with a wrong byte
    unavailable: int = 0  # answers of 503
    ignore_ranges: bool = False
    no_checksums: bool = False
    hold: threading.Event | None = None  # large files stop half-way until it is set
    extra: dict[str, Any] = field(default_factory=dict)  # goes into the answer about a repository


@dataclass(frozen=True)
class Seen:
    """A request that came: "hub" or "cdn"."""

    where: str
    method: str
    path: str
    headers: Mapping[str, str]


class HubServer:
    """The hub; `endpoint` is its address."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.faults = Faults()
        self.tokens = {"hf_goodtoken000000"}
        self.seen: list[Seen] = []
        self.half_way = threading.Event()  # set when a held file has sent its first half
        self.lock = threading.Lock()
        self.hub = self._serve(_Hub)
        self.cdn = self._serve(_Cdn)
        self.endpoint = f"http://127.0.0.1:{self.hub.server_port}"
        self.cdn_endpoint = f"http://localhost:{self.cdn.server_port}"

    def _serve(self, handler: type[_Handler]) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type(handler.__name__, (handler,), {"owner": self}))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server

    def close(self) -> None:
        """Stop both servers."""
        if self.faults.hold is not None:
            self.faults.hold.set()
        for server in (self.hub, self.cdn):
            server.shutdown()
            server.server_close()

    def downloads(self) -> list[Seen]:
        """The requests for the bytes of large files."""
        return [seen for seen in self.seen if seen.where == "cdn" and seen.method == "GET"]

    def take(self, fault: str) -> bool:
        """Whether this fault has its turn."""
        with self.lock:
            left = getattr(self.faults, fault)
            setattr(self.faults, fault, max(0, left - 1))
            return bool(left)


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """A hub that runs while the block does."""
    server = HubServer()
    try:
        yield server
    finally:
        server.close()


class _Handler(BaseHTTPRequestHandler):
    owner: HubServer
    where = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.owner.seen.append(Seen(self.where, self.command, self.path, headers))
        try:
            self.handle_request(unquote(urlsplit(self.path).path), headers)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def handle_request(self, path: str, headers: Mapping[str, str]) -> None:
        """Answer."""
        raise NotImplementedError

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        """An answer in one piece."""
        self._head(status, len(body), headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def send_file(self, data: bytes, headers: Mapping[str, str], **more: str) -> None:
        """A file, or the range of it that was asked for."""
        match = re.match(r"bytes=(\d+)-$", headers.get("range", ""))
        start, status = (int(match[1]), 206) if match and not self.owner.faults.ignore_ranges else (0, 200)
        if start >= len(data) and status == 206:
            self.send(416, Content_Range=f"bytes */{len(data)}")
            return
        if status == 206:
            more["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._head(status, len(data) - start, {"ETag": f'"{_etag(data)}"', "Accept_Ranges": "bytes", **more})
        if self.command != "HEAD":
            self.send_body(data, start)

    def send_body(self, data: bytes, start: int) -> None:
        """The bytes."""
        self.wfile.write(data[start:])

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


class _Hub(_Handler):
    where = "hub"

    def handle_request(self, path: str, headers: Mapping[str, str]) -> None:
        if self.owner.take("unavailable"):
            self.send(503)
            return
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token and token not in self.owner.tokens:
            self.send(401, X_Error_Message="Invalid credentials in Authorization header")
            return
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._about(match[1], match[2] or "main", token)
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(match[1], match[2], match[3], token, headers)
        else:
            self.send(404)

    def _find(self, name: str, revision: str, token: str) -> tuple[Repo, str] | None:
        """The repository and the commit; None where the answer was sent already."""
        repo = self.owner.repos.get(name)
        if repo is None or (repo.private and token not in repo.readers):
            self.send(404 if token else 401, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
            return None
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            self.send(404, X_Error_Code="RevisionNotFound", X_Error_Message=f"Invalid rev id: {revision}")
            return None
        return repo, commit

    def _about(self, name: str, revision: str, token: str) -> None:
        found = self._find(name, revision, token)
        if found is None:
            return
        repo, commit = found
        with_blobs = "blobs" in parse_qs(urlsplit(self.path).query) and not self.owner.faults.no_checksums
        siblings = [_sibling(file, data) if with_blobs else {"rfilename": file}
                    for file, data in repo.commits[commit].items()]  # fmt: skip
        values = {"_id": "1", "id": name, "modelId": name, "sha": commit, "private": repo.private, "gated": repo.gated,
                  "siblings": siblings, "tags": [], "downloads": 0, "likes": 0, **self.owner.faults.extra}  # fmt: skip
        self.send(200, json.dumps(values).encode(), Content_Type="application/json")

    def _file(self, name: str, revision: str, file: str, token: str, headers: Mapping[str, str]) -> None:
        found = self._find(name, revision, token)
        if found is None:
            return
        repo, commit = found
        if repo.gated and token not in repo.readers:
            message = f"Access to model {name} is restricted." if token else f"Access to {name} is gated: log in."
            self.send(403 if token else 401, X_Error_Code="GatedRepo", X_Error_Message=message)
            return
        data = repo.commits[commit].get(file)
        if data is None:
            self.send(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found", X_Repo_Commit=commit)
        elif len(data) < LARGE:
            self.send_file(data, headers, X_Repo_Commit=commit)
        else:
            digest = hashlib.sha256(data).hexdigest()
            place = f"{self.owner.cdn_endpoint}/{name}/{commit}/{file}?X-Amz-Signature={SIGNATURE}"
            self.send(302, Location=place, X_Repo_Commit=commit, X_Linked_Size=str(len(data)),
                      X_Linked_ETag=f'"{digest}"', ETag=f'"{digest}"')  # fmt: skip


class _Cdn(_Handler):
    where = "cdn"

    def handle_request(self, path: str, headers: Mapping[str, str]) -> None:
        owner, name, commit, file = path.lstrip("/").split("/", 3)
        if "authorization" in headers or SIGNATURE not in self.path:
            self.send(400)  # as S3 does where two ways of signing meet
            return
        self.send_file(self.owner.repos[f"{owner}/{name}"].commits[commit][file], headers)

    def send_body(self, data: bytes, start: int) -> None:
        faults, body = self.owner.faults, bytearray(data)
        if self.owner.take("corrupt"):
            body[-1] ^= 0xFF
        if faults.hold is not None and len(data) > HELD:
            half = max(start, len(data) // 2)
            self.wfile.write(body[start:half])
            self.wfile.flush()
            self.owner.half_way.set()
            faults.hold.wait()
            start = half
        if faults.cut_after is not None and self.owner.take("cuts"):
            self.wfile.write(body[start : start + faults.cut_after])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
            return
        for begin in range(start, len(body), PIECE):
            self.wfile.write(body[begin : begin + PIECE])


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if len(data) >= LARGE else _blob_id(data)


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _sibling(name: str, data: bytes) -> dict[str, Any]:
    """A file as the hub lists it."""
    if len(data) < LARGE:
        return {"rfilename": name, "size": len(data), "blobId": _blob_id(data)}
    pointer = b"version https://git-lfs.github.com/spec/v1\n"
    lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return {"rfilename": name, "size": len(data), "blobId": _blob_id(pointer), "lfs": lfs}
