"""Processes of a server that are killed: nothing of them stays in the temporary folder."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.runtime.running import alive, running, until
from tests.support import Project

pytestmark = pytest.mark.slow

SERVICE = """
    from pathlib import Path

    import bentoml

    @bentoml.service
    class Takes:
        @bentoml.api
        def size(self, file: Path) -> int:
            return file.stat().st_size
"""
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
BEGINNING = (
    b"POST /size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + HEAD + b"x" * 3_000_000
)


def upload(url: str) -> socket.socket:
    """Begin an upload that is written to the disk as it comes."""
    address = urlsplit(url)
    client = socket.create_connection((address.hostname, address.port or 0))
    client.sendall(BEGINNING)
    return client


def uploads(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 2_000_000]


def test_neither_a_killed_worker_nor_a_killed_server_leaves_anything(
    project: Project, tmp_path: Path
) -> None:
    project.write(service_py=SERVICE)
    folder = tmp_path / "temporary"
    folder.mkdir()
    argv = [sys.executable, "-m", "bentoml", "serve", "service:Takes", "--port", "0", "--workers", "2"]
    env = {**project.env, "TMPDIR": str(folder)}
    with ExitStack() as stack, running(argv, cwd=project.folder, env=env) as server:
        url, pids = server.url(), server.pids()
        clients = [stack.enter_context(upload(url)) for _ in range(24)]
        until(lambda: len(uploads(folder)) == 24, lambda: "the uploads do not come")
        os.kill(pids[0], signal.SIGKILL)
        server.said(r"worker 1 \(process \d+\) is ready")
        until(lambda: len(uploads(folder)) < 24, lambda: "what the killed worker wrote is still there")
        assert len(list(folder.iterdir())) == 1
        for client in clients:
            client.close()
        last = [*pids[1:], int(server.said(r"worker 1 \(process (\d+)\) is ready"))]
        server.process.kill()
        until(lambda: not any(map(alive, last)), lambda: "the workers do not end")
        assert list(folder.iterdir()) == []
