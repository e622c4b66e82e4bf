"""Fetch a file from an address that a client names, without lending it this server's place in the network.

Every address that a name has must be public, the connection goes to one that was looked at, and the same holds after
each redirect; so nobody reaches this machine, its neighbours or a cloud's metadata (CWE-918). Nothing global is changed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import httptools

from ... import __version__
from ...exceptions import BadInput
from ...sdk.values.files import Part, safe_name
from ..errors import too_large

__all__ = ["MayFetch", "fetch", "is_public"]

MayFetch = Callable[[str], bool]

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_PIECE = 1 << 16
_MOST_HEADERS = 1 << 16  # bytes
_LONGEST = 4096  # characters of an address

# What leads to IPv4 addresses by way of IPv6, and relays: nothing that a public server is known by.
_DETOURS = [
    ipaddress.ip_network(n)
    for n in ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "192.88.99.0/24")
]  # fmt: skip


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the public internet, spelled in no roundabout way."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:  # also one with a zone, which only means something on this machine
        return False
    if any(ip in network for network in _DETOURS if network.version == ip.version):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or getattr(ip, "is_site_local", False))


async def fetch(
    name: str, url: str, folder: Path, *, limit: int, seconds: float, may_fetch: MayFetch
) -> Part:
    """Return the file at an address as the part ``name`` of a form; it lies in ``folder``.

    Raises:
        BadInput: it is no http(s) address, leads where nobody may go, or does not answer with a file in time.
        BentoMLException: 413, the file is longer than ``limit`` bytes.
    """
    try:
        async with asyncio.timeout(seconds):
            for _ in range(_MOST_REDIRECTS + 1):
                target = _target(url)
                async with _connected(target, may_fetch) as (reader, writer):
                    writer.write(_request(target))
                    answer = await _Answer.read(reader)
                    if answer.status not in _REDIRECTS:
                        return await _saved(name, target, answer, reader, folder, limit)
                url = urljoin(url, answer.headers.get("location", ""))
    except TimeoutError as e:
        raise BadInput(f"the file of `{name}` did not come within {seconds:g} seconds") from e
    except (OSError, httptools.HttpParserError) as e:  # also ssl.SSLError
        raise BadInput(f"the file of `{name}` cannot be fetched from its address") from e
    raise BadInput(f"the address of `{name}` leads to more than {_MOST_REDIRECTS} others")


class _Target(NamedTuple):
    is_secure: bool
    host: str
    port: int
    netloc: str
    path: str


def _target(url: str) -> _Target:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        ascii_host = host if ":" in host else host.encode("idna").decode()
    except (ValueError, UnicodeError) as e:
        raise BadInput("an input is no valid http or https address") from e
    is_clean = len(url) <= _LONGEST and url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not host or not is_clean or parts.username is not None:
        raise BadInput("an input is no valid http or https address")
    is_secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(is_secure, ascii_host, port or (443 if is_secure else 80), parts.netloc, path)


@asynccontextmanager
async def _connected(
    target: _Target, may_fetch: MayFetch
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=1)  # SOCK_STREAM
    addresses = [str(info[4][0]) for info in found]
    if not addresses or not all(map(may_fetch, addresses)):
        raise BadInput("Connection blocked due to insecure input URL")
    secure: dict[str, Any] = {}
    if target.is_secure:
        secure = {"ssl": ssl.create_default_context(), "server_hostname": target.host}
    reader, writer = await asyncio.open_connection(addresses[0], target.port, limit=_PIECE, **secure)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()  # over TLS, closing politely would wait for the other side
        with suppress(OSError):
            await writer.wait_closed()


def _request(target: _Target) -> bytes:
    return (
        f"GET {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nUser-Agent: bentoml/{__version__}\r\n"
        "Accept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


class _Answer:
    """The head of an answer, and what has come of its body."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.complete = False
        self.status = 0
        self._parser = httptools.HttpResponseParser(self)
        self._has_head = False

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> _Answer:
        """Read until the head is there."""
        answer, size = cls(), 0
        while not answer._has_head:
            piece = await reader.read(_PIECE)
            size += len(piece)
            if not piece or size > _MOST_HEADERS + _PIECE:
                raise ConnectionError("no answer")
            answer._parser.feed_data(piece)
        answer.status = answer._parser.get_status_code()
        return answer

    async def body(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """Read the body; one whose length nobody said ends with the connection."""
        around = 0  # bytes since the last piece of it
        while True:
            pieces, self.pieces = self.pieces, []
            for piece in pieces:
                yield piece
            if self.complete:
                return
            data = await reader.read(_PIECE)
            if not data:
                if "content-length" in self.headers or "transfer-encoding" in self.headers:
                    raise ConnectionError("cut off")
                return
            self._parser.feed_data(data)
            around = 0 if self.pieces else around + len(data)
            if around > _MOST_HEADERS:
                raise ConnectionError("trailers without an end")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # trailers are of no use
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._has_head = True

    def on_body(self, data: bytes) -> None:
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        self.complete = True


async def _saved(
    name: str, target: _Target, answer: _Answer, reader: asyncio.StreamReader, folder: Path, limit: int
) -> Part:
    if not 200 <= answer.status < 300:
        raise BadInput(f"the address of `{name}` answers with status {answer.status}")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise BadInput(f"the address of `{name}` answers with an encoded body")
    filename = safe_name(unquote(PurePosixPath(urlsplit(target.path).path).name))
    descriptor, path = tempfile.mkstemp(suffix=filename, dir=folder)
    size = 0
    with open(descriptor, "wb") as file:
        async for piece in answer.body(reader):
            size += len(piece)
            if size > limit:
                raise too_large(f"the file of `{name}` is longer than {limit} bytes")
            file.write(piece)
    content_type = answer.headers.get("content-type", "").partition(";")[0].strip()
    return Part(name, filename or name, content_type or None, None, Path(path))
