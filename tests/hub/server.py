"""A server on this machine that speaks as much of the hub's protocol as pulling needs, and counts what it serves.

with FakeHub() as hub:
    hub.add("owner/name", {"config.json": b"{}", "model.safetensors": b"..."}, revision="main")
    ... HF_ENDPOINT=hub.endpoint ...
    hub.requests  # every request as "GET /path"
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_of_the_owner"
_PIECE = 2**16  # bytes


class FakeHub:
    """Files as {repository: {revision: {name: content}}}; weights are served through a redirect, as from a CDN."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.gated: set[str] = set()
        self.private: set[str] = set()
        self.status: dict[str, int] = {}  # path -> what to answer instead
        self.cut_after: int | None = None  # bytes of weights after which every connection is cut
        self.hold_after: int | None = None  # bytes of weights after which nothing comes until `go`
        self.held, self.go = threading.Event(), threading.Event()
        self.damaged = False
        self.requests: list[str] = []
        self.agents: set[str] = set()
        self.weight_bytes = 0  # served, of weights
        self.weight_starts: list[int] = []  # the byte that each request for weights began at
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def add(self, repository: str, files: dict[str, bytes], revision: str = "main") -> None:
        self.repositories.setdefault(repository, {})[revision] = files

    def __enter__(self) -> FakeHub:
        return self

    def __exit__(self, *exception: object) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()


def commit_of(files: dict[str, bytes]) -> str:
    return hashlib.sha1(repr(sorted((name, hash_of(name, data)) for name, data in files.items())).encode()).hexdigest()


def is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".bin"))


def hash_of(name: str, data: bytes) -> str:
    """SHA-256 for a large file, as git-lfs has it; git's own hash for a small one."""
    return (
        hashlib.sha256(data).hexdigest()
        if is_large(name)
        else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    )


def _sibling(name: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
    if is_large(name):
        return entry | {"lfs": {"sha256": hash_of(name, data), "size": len(data), "pointerSize": 134}}
    return entry | {"blobId": hash_of(name, data)}


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            hub.requests.append(f"GET {path}")
            hub.agents.add(self.headers.get("User-Agent", ""))
            if path in hub.status:
                self._refuse(hub.status[path])
            elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
                if self._may(match[1], contents=False) and (files := self._files(match[1], match[2])) is not None:
                    assert parse_qs(parts.query).get("blobs"), "sizes and hashes only come when asked for"
                    siblings = [_sibling(name, data) for name, data in files.items()]
                    self._send_json(_INFO | {"id": match[1], "sha": commit_of(files), "siblings": siblings})
            elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/refs", path):
                branches = [
                    {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit_of(files)}
                    for name, files in hub.repositories[match[1]].items()
                ]
                self._send_json({"branches": branches, "converts": [], "tags": []})
            elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                if self._may(match[1], contents=True) and (files := self._files(match[1], match[2])) is not None:
                    self._resolve(match[3], files)
            elif match := re.fullmatch(r"/cdn/([0-9a-f]{64})", path):
                self._send_data(_large(hub, match[1]), weights=True)
            else:
                self._refuse(404)

        def _may(self, repository: str, *, contents: bool) -> bool:
            owner = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if repository not in hub.repositories or (repository in hub.private and not owner):
                self._refuse(401 if not owner else 404, "RepoNotFound")
            elif contents and repository in hub.gated and not owner:
                self._refuse(403, "GatedRepo")
            else:
                return True
            return False

        def _files(self, repository: str, revision: str) -> dict[str, bytes] | None:
            for name, files in hub.repositories[repository].items():
                if revision in (name, commit_of(files)):
                    return files
            self._refuse(404, "RevisionNotFound")
            return None

        def _resolve(self, name: str, files: dict[str, bytes]) -> None:
            if name not in files:
                return self._refuse(404, "EntryNotFound")
            if not is_large(name):
                return self._send_data(files[name], weights=False)
            self.send_response(302)
            self.send_header("Location", f"/cdn/{hash_of(name, files[name])}")
            self.send_header("X-Xet-Hash", hash_of(name, files[name]))
            self.send_header("Content-Length", "0")
            return self.end_headers()

        def _send_data(self, data: bytes, *, weights: bool) -> None:
            """`data` from the byte on that is asked for; weights with the server's faults."""
            match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(match[1]) if match else 0
            self.send_response(206 if match else 200)
            self.send_header("Content-Length", str(len(data) - start))
            if match:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            if weights:
                hub.weight_starts.append(start)
            if weights and hub.damaged:
                data = bytes(len(data))
            for at in range(start, len(data), _PIECE):
                piece = data[at : at + _PIECE]
                if weights and hub.cut_after is not None and at - start >= hub.cut_after:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if weights and hub.hold_after is not None and at >= hub.hold_after:
                    hub.held.set()
                    hub.go.wait()
                try:
                    self.wfile.write(piece)
                except OSError:
                    return
                if weights:
                    hub.weight_bytes += len(piece)

        def _send_json(self, value: object) -> None:
            self._send_data(json.dumps(value).encode(), weights=False)

        def _refuse(self, status: int, code: str = "") -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


_INFO = {"private": False, "tags": [], "downloads": 0, "likes": 0, "gated": False, "disabled": False}


def _large(hub: FakeHub, hash: str) -> bytes:
    return next(
        data
        for revisions in hub.repositories.values()
        for files in revisions.values()
        for name, data in files.items()
        if is_large(name) and hash_of(name, data) == hash
    )
