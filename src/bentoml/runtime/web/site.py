"""The page at `/` and its files: what is sent, how long it may be kept, and what a browser lets it do."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

from ...sdk.service import Service
from ..call import Receive, Scope, Send
from .page_assets import assets, index_html
from .pages import HTML, NOT_FOUND, refuse_method, send_page

__all__ = ["Site"]

Headers = tuple[tuple[bytes, bytes], ...]

_STATIC = "/static_content/"
# Only what this server itself sends may run or be loaded; the page shows answers from memory (`blob:`) and sends requests.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src blob:",
        "frame-src blob:",
        "object-src 'none'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "require-trusted-types-for 'script'",
    )
)
_SAFE: Headers = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_FOR_GOOD = (b"cache-control", b"public, max-age=31536000, immutable")
_ASK_AGAIN = (b"cache-control", b"no-cache")


class Site:
    """Answer the page of a service and what it is made of; nothing is read before somebody looks at it."""

    def __init__(self, service: Service[Any]) -> None:
        self._service = service
        self._prefix = service.path_prefix

    def has(self, path: str) -> bool:
        """Say whether a path is the page, or below that of its files."""
        return self.is_index(path) or self.is_file(path)

    def is_open(self, path: str) -> bool:
        """Say whether anybody may ask for a path: the page's files, and the way to the page, say nothing of a service."""
        return self.is_file(path) or (path == self._prefix and bool(self._prefix))

    def asks_who(self, scope: Scope) -> bool:
        """Say whether a person in a browser looks at the page: one who is refused is asked for a token by it."""
        is_page = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == f"{self._prefix}/"
        return is_page and b"text/html" in _header(scope, b"accept")

    def is_index(self, path: str) -> bool:
        """Say whether a path is the page; without the slash at its end it is sent on to the one with it."""
        return path in (self._prefix, f"{self._prefix}/")

    def is_file(self, path: str) -> bool:
        """Say whether a path is below that of the page's files, which say nothing about the service."""
        return path.startswith(f"{self._prefix}{_STATIC}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"]
        if scope["method"] not in ("GET", "HEAD"):
            await refuse_method(scope, send)
        elif self.is_file(path):
            await self._send_file(path.removeprefix(f"{self._prefix}{_STATIC}"), scope, send)
        elif path == self._prefix and self._prefix:  # the page's addresses are relative to its folder
            place = f"{path.rpartition('/')[2]}/".encode("latin-1", "replace")
            await send_page((307, HTML, b""), scope, send, (b"location", place))
        else:
            await self.send_index(scope, send)

    async def send_index(
        self, scope: Scope, send: Send, status: int = 200, *headers: tuple[bytes, bytes]
    ) -> None:
        """Send the page; with 401 to those who have not said yet who they are: it asks for their token."""
        if status == 200 and _header(scope, b"if-none-match") == self._etag:
            return await _send_unchanged(self._etag, _ASK_AGAIN, send)
        about = (*_SAFE, _ASK_AGAIN, (b"etag", self._etag), *headers)
        await send_page((status, HTML, self._index), scope, send, *about)

    @cached_property
    def _index(self) -> bytes:
        return index_html(self._service)

    @cached_property
    def _etag(self) -> bytes:
        return b'"%b"' % hashlib.sha256(self._index).hexdigest()[:32].encode()

    async def _send_file(self, path: str, scope: Scope, send: Send) -> None:
        version, _, name = path.partition("/")
        asset = assets().all.get(name) if version == assets().version else None
        if asset is None:
            return await send_page(NOT_FOUND, scope, send)
        compressed = b"gzip" in _header(scope, b"accept-encoding")
        etag = f'"{version}{"-gzip" if compressed else ""}"'.encode()
        if _header(scope, b"if-none-match") == etag:
            return await _send_unchanged(etag, _FOR_GOOD, send)
        about: Headers = ((b"etag", etag), _FOR_GOOD, (b"vary", b"accept-encoding"), _SAFE[1])
        if compressed:
            about = (*about, (b"content-encoding", b"gzip"))
        body = asset.compressed if compressed else asset.body
        await send_page((200, asset.media_type, body), scope, send, *about)


async def _send_unchanged(etag: bytes, keep: tuple[bytes, bytes], send: Send) -> None:
    await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", etag), keep]})
    await send({"type": "http.response.body", "body": b""})


def _header(scope: Scope, name: bytes) -> bytes:
    found: bytes = next((value for key, value in scope["headers"] if key == name), b"")
    return found
