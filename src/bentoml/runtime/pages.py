"""What is answered to a GET: whole pages made once or on demand, and the plain errors of routing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from typing import Any

from ..sdk.service import Service
from .answer import TEXT
from .call import Receive, Scope, Send

__all__ = ["HTML", "NOT_FOUND", "Page", "index_html", "send_page"]

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
            await send_page((405, TEXT, b"Method Not Allowed"), scope, send, (b"allow", b"GET, HEAD"))


async def send_page(content: Content, scope: Scope, send: Send, *headers: tuple[bytes, bytes]) -> None:
    """Send a page, or only its headers where the request is a HEAD."""
    status, media_type, body = content
    about = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": about})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def index_html(service: Service[Any], prefix: str) -> bytes:
    """Return the page that a person sees first: what the service is, its APIs, and where their descriptions are."""
    name, description = service.name, service.description or service.inner.__doc__ or ""
    rows = "".join(
        f"<li><code>POST {escape(prefix + api.route)}</code> {escape((api.doc or '').partition(chr(10))[0])}</li>\n"
        for api in service.apis.values()
    )
    links = "".join(
        f'<li><a href="{escape(prefix + path)}">{path}</a> {about}</li>\n'
        for path, about in (
            ("/docs.json", "OpenAPI"),
            ("/schema.json", "the types of each API, for clients"),
            ("/readyz", "whether the service takes requests"),
            ("/metrics", "Prometheus metrics"),
        )
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(name)}</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 45rem; margin: 2rem auto; padding: 0 1rem }}</style>
<h1>{escape(name)}</h1>
<p>{escape(description)}</p>
<ul>
{rows}</ul>
<ul>
{links}</ul>
</html>
""".encode()
