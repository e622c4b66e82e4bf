"""An engine at its socket on this machine: HTTP/1.1, one connection for each request, read as strictly as it is written.

The standard library's client would do, but takes longer to load than all that is asked of an engine. See RFC 9112.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from itertools import chain
from typing import NamedTuple
from urllib.parse import quote, urlencode

from ...exceptions import BentoMLException
from .wire import SECONDS, Reply, unreachable

__all__ = ["SocketWire"]

_PIECE = 1 << 16
_MAX_LINE = 1 << 16
_MAX_LINES = 200
_NO_BODY = (204, 304)


class _Broken(Exception):
    """What came is no reply, or not all of it."""


class SocketWire(NamedTuple):
    """Speak to the engine that listens at the socket ``path``; ``root`` goes before each path of a request."""

    path: str
    root: str = ""
    seconds: float = SECONDS

    @contextmanager
    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Iterable[bytes] | None = None,
    ) -> Iterator[Reply]:
        """Open the reply to a request; see `Wire`."""
        target = quote(self.root + path, safe="/:@") + (f"?{urlencode(query)}" if query else "")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self.seconds)
            try:
                connection.connect(self.path)
            except OSError as e:
                raise unreachable(f"unix://{self.path}", e.strerror or e) from e
            with connection.makefile("rb") as file:
                try:
                    _send(connection, f"{method} {target}", body)
                    status, headers = _head(file)
                except (OSError, _Broken) as e:
                    raise self._broke(e) from e
                yield Reply(status, headers, self._chunks(file, status, headers))

    def _chunks(self, file: BufferedReader, status: int, headers: Mapping[str, str]) -> Iterator[bytes]:
        try:
            yield from _body(file, status, headers)
        except (OSError, _Broken) as e:
            raise self._broke(e) from e

    def _broke(self, reason: Exception) -> BentoMLException:
        return BentoMLException(
            f"the connection to the container engine at `unix://{self.path}` broke: {reason}"
        )


def _send(connection: socket.socket, request: str, body: Iterable[bytes] | None) -> None:
    """Send a request, its body in chunks."""
    lines = [f"{request} HTTP/1.1", "Host: docker", "User-Agent: bentoml", "Connection: close"]
    if body is not None:
        lines += ["Content-Type: application/x-tar", "Transfer-Encoding: chunked"]
    elif request.startswith("POST "):
        lines += ["Content-Length: 0"]
    connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii"))
    if body is not None:
        chunks = (b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in body if chunk)
        for piece in chain(chunks, (b"0\r\n\r\n",)):
            if not _sent(connection, piece):
                return


def _sent(connection: socket.socket, piece: bytes) -> bool:
    """Send a piece of a body; one that the engine does not read any more has an answer, which says why."""
    try:
        connection.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _head(file: BufferedReader) -> tuple[int, dict[str, str]]:
    """Read the status and the headers of a reply."""
    version, _, rest = _line(file).partition(" ")
    number = rest[:3]
    if not version.startswith("HTTP/1.") or not (number.isascii() and number.isdigit()):
        raise _Broken("what answers there speaks no HTTP")
    headers: dict[str, str] = {}
    for _ in range(_MAX_LINES):
        name, colon, value = _line(file).partition(":")
        if not colon:
            return int(number), headers
        headers[name.lower()] = value.strip()
    raise _Broken("it has too many headers")


def _body(file: BufferedReader, status: int, headers: Mapping[str, str]) -> Iterator[bytes]:
    """Yield the body of a reply: in chunks, of a length that is told, or until the connection ends."""
    if status in _NO_BODY:
        return
    if coding := headers.get("transfer-encoding", "").lower():
        if coding != "chunked":
            raise _Broken(f"its coding `{coding[:40]}` is not known")
        while size := _number(_line(file).partition(";")[0], 16):
            yield from _exactly(file, size)
            _line(file)
    elif "content-length" in headers:
        yield from _exactly(file, _number(headers["content-length"], 10))
    else:
        yield from iter(lambda: file.read1(_PIECE), b"")


def _exactly(file: BufferedReader, size: int) -> Iterator[bytes]:
    while size:
        data = file.read1(min(size, _PIECE))
        if not data:
            raise _Broken("it ended too early")
        size -= len(data)
        yield data


def _number(text: str, base: int) -> int:
    if not (text.isascii() and text.isalnum()):  # `int` takes more than HTTP does: signs, spaces, underscores
        raise _Broken(f"`{text[:40]}` is no length")
    try:
        return int(text, base)
    except ValueError as e:
        raise _Broken(f"`{text[:40]}` is no length") from e


def _line(file: BufferedReader) -> str:
    line = file.readline(_MAX_LINE)
    if not line.endswith(b"\n"):
        raise _Broken("it ended too early" if len(line) < _MAX_LINE else "a line of it is too long")
    return line.decode("latin-1").rstrip("\r\n")
