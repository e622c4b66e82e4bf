"""A local stand-in for the Hugging Face hub: models with commits and branches, spoken to as `huggingface_hub` does."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 64  # bytes from which on a file is kept by git-lfs, and served from elsewhere


@dataclass
class Hub:
    """What a hub holds, and what it was asked for. ``private`` models need a token, as gated ones do."""

    commits: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    branches: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    elsewhere: str = ""  # another host, as the content of large files comes from one

    def commit(self, model: str, files: Mapping[str, bytes], branch: str = "main") -> str:
        """Put files under a new commit and move a branch there; return the commit."""
        content = json.dumps([model, {name: data.hex() for name, data in sorted(files.items())}])
        commit = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        self.commits[model, commit] = dict(files)
        self.branches[model, branch] = commit
        return commit

    def answer(self, path: str, token: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the answer to a request."""
        if path.startswith("/api/models/"):
            return self._api(path.removeprefix("/api/models/"), token)
        if path.startswith("/lfs/"):
            return self._large(path.removeprefix("/lfs/"))
        model, _, rest = path.strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        commit = self.branches.get((model, revision), revision)
        if (model, commit) not in self.commits:
            return self._missing(model, token)
        data = self.commits[model, commit].get(name)
        if data is None:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b"{}"
        if self.tokens and token not in self.tokens:
            return 401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "accept its conditions"}, b"{}"
        return self._file(commit, data)

    def _api(self, path: str, token: str) -> tuple[int, dict[str, str], bytes]:
        for mark in ("/revision/", "/tree/"):
            model, found, revision = path.partition(mark)
            if found:
                break
        else:
            model, mark, revision = path, "/revision/", "main"
        revision = unquote(revision)
        commit = self.branches.get((model, revision), revision)
        files = self.commits.get((model, commit))
        if files is None:
            return self._missing(model, token)
        entries: Any = [_entry(name, data) for name, data in sorted(files.items())]
        if mark == "/revision/":
            siblings = [{"rfilename": entry["path"]} for entry in entries]
            entries = {"_id": "1", "id": model, "modelId": model, "sha": commit, "siblings": siblings}
            entries |= {"private": False, "gated": False, "disabled": False, "tags": [], "downloads": 0}
        return (
            200,
            {"Content-Type": "application/json", "X-Repo-Commit": commit},
            json.dumps(entries).encode(),
        )

    def _missing(self, model: str, token: str) -> tuple[int, dict[str, str], bytes]:
        known = any(name == model for name, _ in self.commits)
        code = "RevisionNotFound" if known else "RepoNotFound"
        return 404, {"X-Error-Code": code, "X-Error-Message": "no such thing"}, b"{}"

    def _file(self, commit: str, data: bytes) -> tuple[int, dict[str, str], bytes]:
        digest = hashlib.sha256(data).hexdigest()
        if len(data) < LARGE:
            return 200, {"ETag": f'"{_git_blob(data)}"', "X-Repo-Commit": commit}, data
        linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data)), "X-Repo-Commit": commit}
        return 302, {**linked, "Location": f"{self.elsewhere}/lfs/{digest}"}, b""

    def _large(self, digest: str) -> tuple[int, dict[str, str], bytes]:
        for files in self.commits.values():
            for data in files.values():
                if hashlib.sha256(data).hexdigest() == digest:
                    return 200, {"ETag": f'"{digest}"'}, data
        return 404, {}, b""


def _git_blob(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def _entry(name: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": _git_blob(data)}
    if len(data) >= LARGE:
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return entry


@contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """Serve a hub on a port of its own until the block ends; gives its address, the value of ``HF_ENDPOINT``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            hub.asked.append(f"{self.command} {path}")
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            status, headers, body = hub.answer(unquote(path) if "/tree/" not in path else path, token)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: what was asked is in ``asked``."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hub.elsewhere = f"http://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
