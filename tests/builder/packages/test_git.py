"""Git over HTTP, as its own server speaks it, on loopback."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.builder.source_packages import git, package, repository

from bentoml.builder.packages.git import checked_out, commit_of
from bentoml.builder.packages.sources import GitSource, parse_source
from bentoml.exceptions import BentoMLException

ENV = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "GIT_CONFIG_NOSYSTEM": "1", "NO_PROXY": "127.0.0.1"}


class Backend(BaseHTTPRequestHandler):
    """Answer by `git http-backend`, a CGI program; below `/private/` only to those who know the password."""

    root: Path

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path.startswith("/private/") and "Authorization" not in self.headers:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        done = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=True)
        head, _, data = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    handler = type("Handler", (Backend,), {"root": tmp_path})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def source(line: str) -> GitSource:
    found = parse_source(line)
    assert isinstance(found, GitSource)
    return found


def test_a_repository_over_http(tmp_path: Path, server: str) -> None:
    package(tmp_path / "origin")
    first = repository(tmp_path / "origin")
    git(tmp_path / "origin", "tag", "v1")
    package(tmp_path / "origin", value=2)
    second = repository(tmp_path / "origin")
    assert commit_of(source(f"git+{server}/origin@v1"), ENV) == first
    assert commit_of(source(f"git+{server}/origin"), ENV) == second
    folder = checked_out(source(f"git+{server}/origin@v1"), first, tmp_path / "there", ENV)
    assert (folder / "demo.py").read_text() == "VALUE = 1\n"


def test_who_is_asked_for_a_password_is_told_so_and_waits_for_nobody(tmp_path: Path, server: str) -> None:
    package(tmp_path / "private" / "origin")
    repository(tmp_path / "private" / "origin")
    with pytest.raises(
        BentoMLException,
        match=r"(?s)git cannot read `http://127.0.0.1:.*/private/origin`:.*terminal prompts disabled",
    ):
        commit_of(source(f"git+{server}/private/origin@main"), ENV)


def test_a_submodule_is_part_of_the_package(tmp_path: Path) -> None:
    package(tmp_path / "inner", "inner")
    repository(tmp_path / "inner")
    package(tmp_path / "outer", "outer")
    repository(tmp_path / "outer")
    git(
        tmp_path / "outer",
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        f"file://{tmp_path}/inner",
        "inner",
    )
    commit = repository(tmp_path / "outer")
    folder = checked_out(source(f"git+file://{tmp_path}/outer@main"), commit, tmp_path / "there", ENV)
    assert (folder / "inner" / "inner.py").is_file()
