"""What is answered to a GET: whole pages made once or on demand, and the plain errors of routing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..answer import TEXT
from ..call import Receive, Scope, Send

__all__ = ["HTML", "NOT_FOUND", "Page", "refuse_method", "send_page"]

HTML = b"text/html; charset=utf-8"

Content = tuple[int, bytes, bytes]  # status, media type, body
NOT_FOUND: Content = (404, TEXT, b"Not Found")


class Page:
    """Answer GET and HEAD with what ``content()`` gives."""

    def __init__(self, content: Callable[[], Awaitable[Content]]) -> None:
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] in ("GET", "HEAD"):
            await send_page(await self._content(), scope, send)
        else:
            await refuse_method(scope, send)


async def send_page(content: Content, scope: Scope, send: Send, *headers: tuple[bytes, bytes]) -> None:
    """Send a page, or only its headers where the request is a HEAD."""
    status, media_type, body = content
    about = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": about})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def refuse_method(scope: Scope, send: Send) -> None:
    """Answer a method that no page has."""
    await send_page((405, TEXT, b"Method Not Allowed"), scope, send, (b"allow", b"GET, HEAD"))
