"""A real registry: Debian's `docker-registry` on a free port of loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def real_registry(folder: Path, *, htpasswd: str = "") -> Iterator[str]:
    """Run a registry that keeps its data in a folder; give its host and port. What it logs is in ``registry.log``.

    With ``htpasswd`` (lines of ``name:hash``, of bcrypt) it wants a login.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": host},
    }
    if htpasswd:
        (folder / "htpasswd").write_text(htpasswd)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "registry.yml").write_text(json.dumps(config))
    argv = ["docker-registry", "serve", str(folder / "registry.yml")]
    with (
        (folder / "registry.log").open("wb") as log,
        subprocess.Popen(argv, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for(host)
            yield host
        finally:
            process.terminate()


def _wait_for(host: str) -> None:
    name, _, port = host.partition(":")
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((name, int(port)), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
