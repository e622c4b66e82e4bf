"""The head of a request: what is not let through, because two readers could understand it in two ways (RFC 9112, 11.2)."""

from __future__ import annotations

import re
from urllib.parse import unquote

from ...sdk.configuration.sections import Limits

__all__ = [
    "Headers",
    "Refused",
    "check",
    "is_handshake",
    "path_of",
    "size",
    "target",
    "too_long",
    "written",
]

Headers = list[tuple[bytes, bytes]]

_BODY_AHEAD = (b"content-length", b"transfer-encoding")

_ABSOLUTE = re.compile(rb"https?://([^/?#@\s]+)([/?].*)?", re.IGNORECASE)


class Refused(Exception):
    """A request that does not come to the application; the message is the answer's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def too_long(url: bytes, limits: Limits) -> Refused:
    """Return the refusal of a head that is over a limit: 414 where its target alone is, else 431."""
    if len(url) > limits.header_size:
        return Refused(414, f"the target of the request is longer than {limits.header_size} bytes")
    most = f"at most {limits.headers} headers, of {limits.header_size} bytes together"
    return Refused(431, f"a request has {most}")


def check(method: bytes, version: str, headers: Headers) -> None:
    """Check what says where a request goes and how long it is.

    Raises:
        Refused: 400, 501 for a coding and 505 for a version that is not known.
    """
    if version not in ("1.0", "1.1"):
        raise Refused(505, "this server speaks HTTP/1.1")
    if method == b"CONNECT":  # what follows would be another protocol, for another host
        raise Refused(400, "this server is no proxy")
    names = [name for name, _ in headers]
    if names.count(b"host") > 1 or (version == "1.1" and b"host" not in names):
        raise Refused(400, "a request has one `Host` header")
    if b"transfer-encoding" not in names:
        return
    if version == "1.0" or names.count(b"transfer-encoding") > 1 or b"content-length" in names:
        raise Refused(400, "the length of the body is not clear")
    if dict(headers)[b"transfer-encoding"].lower() != b"chunked":
        raise Refused(501, "no transfer encoding but `chunked` is known here")


def target(url: bytes, method: bytes, headers: Headers) -> bytes:
    """Return the path and query of a target that does not begin with a slash (RFC 9112, 3.2).

    One that is a whole address also says the host, which then takes the place of the header.

    Raises:
        Refused: 400, it is neither an address nor the ``*`` of OPTIONS.
    """
    if (whole := _ABSOLUTE.fullmatch(url)) is not None:
        headers[:] = [(b"host", whole[1]), *(header for header in headers if header[0] != b"host")]
        rest = whole[2] or b"/"
        return rest if rest.startswith(b"/") else b"/" + rest
    if url == b"*" and method == b"OPTIONS":
        return url
    raise Refused(400, "the target of the request is not a path")


def path_of(raw_path: bytes) -> str:
    """Return a path with its escapes resolved.

    Raises:
        Refused: 400, it holds what only escapes may say, or a fragment, which is not for servers.
    """
    if not raw_path.isascii() or b"#" in raw_path:
        raise Refused(400, "the target of the request is not a path")
    path = raw_path.decode()
    return unquote(path) if "%" in path else path


def is_handshake(method: bytes, headers: Headers) -> bool:
    """Say whether a request begins a websocket; one with a body does not: whoever reads it next would wait for that."""
    fields = dict(headers)
    return (
        method == b"GET"
        and fields.get(b"upgrade", b"").lower() == b"websocket"
        and not any(name in fields for name in _BODY_AHEAD)
    )


def size(headers: Headers) -> int:
    """Return how many bytes headers take."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def written(method: bytes, url: bytes, version: str, headers: Headers) -> bytes:
    """Return the head of a request as a client would send it."""
    lines = [
        b"%b %b HTTP/%b" % (method, url, version.encode()),
        *(b"%b: %b" % header for header in headers),
        b"\r\n",
    ]
    return b"\r\n".join(lines)
