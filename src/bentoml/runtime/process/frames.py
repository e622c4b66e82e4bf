"""Frames: what the supervisor and its workers say to each other, as lines of JSON over a socket pair."""

from __future__ import annotations

import json
import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = [
    "Channel",
    "Deployed",
    "Description",
    "Failed",
    "Frame",
    "Listen",
    "Load",
    "Loaded",
    "Ping",
    "Pong",
    "Ready",
    "Serve",
]

_READ = 1 << 16
_MAX_DESCRIPTORS = 1


@dataclass(frozen=True)
class Load:
    """To a worker: import this service. The first worker gets what the user wrote, the others what it stands for."""

    index: int
    identifier: str
    working_dir: str | None
    target: dict[str, Any] | None
    log_level: int
    timeout: float | None
    args: dict[str, str] = field(default_factory=dict)
    arg_file: str | None = None
    shared_folder: str | None = None  # of all processes of this server


@dataclass(frozen=True)
class Description:
    """From a worker: the service that it has loaded, and what its configuration asks of the server."""

    target: dict[str, Any]
    service: str
    workers: int | str | None
    host: str
    port: int
    backlog: int
    timeout: float
    ssl: dict[str, str | int | None] = field(default_factory=dict)
    dependencies: list[str] = field(default_factory=list)
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    json_log: bool = False
    runs_program: bool = False


@dataclass(frozen=True)
class Serve:
    """To a worker, with its listening socket: answer requests, after running the deployment hooks if ``deploy``.

    Workers that start ``together`` say that they are loaded and listen when they are told to: if the first one listened
    while the others load, it would get all connections that come until then, and keep them.
    """

    deploy: bool
    workers: int
    development: bool
    backlog: int
    timeout_keep_alive: int
    timeout_graceful_shutdown: int
    metrics_folder: str
    ssl: dict[str, str | int | None]
    together: bool = False
    timeout_program: int = 0


@dataclass(frozen=True)
class Loaded:
    """From a worker that does not start alone: its service runs, and it could answer."""


@dataclass(frozen=True)
class Listen:
    """To a worker: all are loaded; take connections."""


@dataclass(frozen=True)
class Deployed:
    """From a worker: the deployment hooks have run."""


@dataclass(frozen=True)
class Ready:
    """From a worker: it answers requests."""


@dataclass(frozen=True)
class Failed:
    """From a worker, its last word: why it cannot start; ``exit_code`` is what the server should end with."""

    exit_code: int
    message: str


@dataclass(frozen=True)
class Ping:
    """To a worker: does your event loop turn?"""


@dataclass(frozen=True)
class Pong:
    """From a worker: it does."""


Frame = Load | Description | Serve | Loaded | Listen | Deployed | Ready | Failed | Ping | Pong

_FRAMES: dict[str, type[Frame]] = {
    cls.__name__: cls
    for cls in (Load, Description, Serve, Loaded, Listen, Deployed, Ready, Failed, Ping, Pong)
}


class Channel:
    """One end of the socket pair; file descriptors travel beside a frame."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._rest = b""
        self._frames: deque[Frame] = deque()
        self.descriptors: list[int] = []

    def fileno(self) -> int:
        """Return the file descriptor, for selectors."""
        return self._socket.fileno()

    def send(self, frame: Frame, descriptors: Sequence[int] = ()) -> None:
        """Send a frame; one to a process that is gone is dropped: its end is noticed elsewhere."""
        line = json.dumps({"frame": type(frame).__name__, **asdict(frame)}).encode() + b"\n"
        with suppress(BrokenPipeError, ConnectionResetError):
            sent = socket.send_fds(self._socket, [line], descriptors)
            self._socket.sendall(line[sent:])

    def read(self) -> bool:
        """Read once; False when the other side has closed.

        Raises:
            BlockingIOError: the socket is one that does not wait, and nothing is there.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, _READ, _MAX_DESCRIPTORS)
        except ConnectionResetError:
            return False
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self.descriptors += descriptors
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._frames.extend(map(_parse, lines))
        return bool(data)

    def frames(self) -> Iterator[Frame]:
        """Take the frames that have been read."""
        while self._frames:
            yield self._frames.popleft()

    def receive(self) -> Frame | None:
        """Wait for the next frame; None when the other side has closed."""
        while not self._frames:
            if not self.read():
                return None
        return self._frames.popleft()

    def close(self) -> None:
        """Close this end: the other side sees it."""
        self._socket.close()


def _parse(line: bytes) -> Frame:
    data = json.loads(line)
    return _FRAMES[data.pop("frame")](**data)
