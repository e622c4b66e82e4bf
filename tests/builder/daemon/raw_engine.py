"""An engine that says exactly what a test tells it to, byte for byte, one connection after the other."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bentoml.builder.daemon.api import EngineApi
from bentoml.builder.daemon.unix_socket import SocketWire


def answer(status: int, body: bytes) -> bytes:
    """Return a whole reply."""
    return b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


class RawEngine:
    """Keeps what it was asked, whole requests, and answers each with the next reply."""

    def __init__(self, replies: tuple[bytes, ...]) -> None:
        self.replies = replies
        self.asked: list[bytes] = []

    def serve(self, listener: socket.socket) -> None:
        for reply in self.replies:
            connection, _ = listener.accept()
            # Who asked may have heard enough and be gone before the last byte of a reply that is wrong.
            with connection, suppress(ConnectionError):
                request = bytearray()
                while received := connection.recv(1 << 16):
                    request += received
                    if request.endswith(b"0\r\n\r\n" if b"chunked" in request else b"\r\n\r\n"):
                        break
                self.asked.append(bytes(request))
                connection.sendall(reply)


@contextmanager
def raw(folder: Path, *replies: bytes) -> Iterator[tuple[SocketWire, RawEngine]]:
    """Give a wire to an engine that gives these replies, and the engine."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        listener.listen()
        engine = RawEngine(replies)
        thread = threading.Thread(target=engine.serve, args=(listener,), daemon=True)
        thread.start()
        yield SocketWire(str(folder / "s"), seconds=60), engine
        thread.join(60)


@contextmanager
def talking(folder: Path, *replies: bytes) -> Iterator[EngineApi]:
    """Give the calls of such an engine."""
    with raw(folder, *replies) as (wire, _):
        yield EngineApi(wire, f"unix://{wire.path}")
