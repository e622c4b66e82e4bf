"""What the end-to-end tests share: the command as a user runs it, a project folder, a running server."""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from textwrap import dedent

READY = re.compile(r"http://(?:127\.0\.0\.1|localhost):(\d+)")


class Project:
    """A project folder with its own store, and the `bentoml` command run in it."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "BENTOML_HOME": str(home)}
        self.home = home

    def write(self, **files: str) -> Project:
        """Write files; ``service_py`` becomes ``service.py``."""
        for name, text in files.items():
            stem, _, suffix = name.rpartition("_")
            (self.folder / f"{stem}.{suffix}").write_text(dedent(text))
        return self

    def bentoml(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "bentoml", *arguments],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip

    def stored(self) -> list[str]:
        """Return each file that the store holds, but for caches and locks."""
        if not self.home.exists():
            return []
        kept = (p.relative_to(self.home) for p in self.home.rglob("*") if p.is_file() and p.suffix != ".lock")
        return sorted(str(p) for p in kept if p.parts[0] != "cache")

    @contextmanager
    def serve(self, *arguments: str, timeout: float = 120) -> Iterator[str]:
        """Serve on a free port until the block ends; gives the address."""
        server = subprocess.Popen(
            [sys.executable, "-m", "bentoml", "serve", *arguments, "--port", "0"],
            cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        lines: Queue[str] = Queue()
        self.log: list[str] = []
        assert server.stdout is not None
        reader = threading.Thread(target=_read, args=(server.stdout, lines.put, self.log))
        reader.start()
        try:
            yield _address(lines, self.log, timeout)
        finally:
            server.terminate()
            server.wait(timeout=120)
            reader.join(timeout=60)
            server.stdout.close()


def free_port() -> int:
    """Return a port that nobody uses now, of those that systems give to nobody who asks for just any."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _read(stream: Iterator[str], put: Callable[[str], None], log: list[str]) -> None:
    for line in stream:
        log.append(line)
        put(line)
    put("")


def _address(lines: Queue[str], log: list[str], timeout: float) -> str:
    """Return the address in the line that says that the service is ready."""
    while True:
        try:
            line = lines.get(timeout=timeout)
        except Empty:
            line = ""
        assert line, "the server did not become ready:\n" + "".join(log)
        if "ready" in line.lower() and (found := READY.search(line)):
            return f"http://127.0.0.1:{found[1]}"
