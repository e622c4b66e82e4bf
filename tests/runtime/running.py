"""A server in processes of its own, as the tests of the supervisor and of `bentoml serve` start it."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

DEADLINE = 60.0  # seconds, which only what fails takes
FAKE = (sys.executable, str(Path(__file__).with_name("fake_server.py")))


class Running:
    """A server's process and its log."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def url(self) -> str:
        """Wait for the ready line and return its address."""
        return self.said(r"Service \S+ ready: (\S+)")

    def said(self, pattern: str, count: int = 1) -> str:
        """Wait until the log says something for the count-th time; return the pattern's last group, or the match."""
        found: list[str] = []

        def enough() -> bool:
            matches = list(re.finditer(pattern, self.text()))
            found[:] = [m[m.re.groups] for m in matches]
            return len(found) >= count

        until(enough, lambda: f"`{pattern}` is not in the log:\n{self.text()}")
        return found[count - 1]

    def text(self) -> str:
        """Return the log so far."""
        return "".join(self.log)

    def pids(self) -> list[int]:
        """Return the workers' process ids, from the table of what runs where."""
        self.url()
        return [int(pid) for pid in self.said(r"http\S+  (\d+(?: \d+)*)\n").split()]

    def wait(self) -> int:
        """Wait for the end and return the exit code."""
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.wait()

    def reading(self) -> bool:
        """Tell whether some process still holds the log open."""
        return self._reader.is_alive()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.log.extend(self.process.stdout)


@contextmanager
def running(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    start_new_session: bool = False,
) -> Iterator[Running]:
    """Run a server until the block ends; whatever happens, it and its workers are gone then."""
    process = subprocess.Popen(
        argv, cwd=cwd, env={**os.environ, **(env or {})}, start_new_session=start_new_session,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    server = Running(process)
    try:
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            server.wait()
        except subprocess.TimeoutExpired:
            process.kill()  # its workers notice that and end
            server.wait()
            raise
        if process.stdout is not None and not server.reading():
            process.stdout.close()


def get(url: str, path: str = "/", timeout: float = DEADLINE) -> str:
    """Return the answer to a GET on a connection of its own; one that is not 200 is an ``OSError``."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        if response.status != 200:
            raise OSError(f"status {response.status}: {body}")
        return body
    finally:
        connection.close()


def refuses(url: str) -> bool:
    """Tell whether nobody listens there."""
    address = urlsplit(url)
    with socket.socket() as client:
        return client.connect_ex((address.hostname, address.port)) == errno.ECONNREFUSED


def until(condition: Callable[[], bool], problem: Callable[[], str], deadline: float = DEADLINE) -> None:
    """Wait until something holds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, problem()
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended but was not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
