"""In process: requests to an ASGI application of this process, without a socket; answers come as they are made."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import httpx2
from anyio.from_thread import BlockingPortal

from ..sdk.values.together import Steps

__all__ = ["AppTransport", "PortalTransport"]

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_AHEAD = 16  # messages that the application may be ahead of who reads the answer
_PATIENCE = 10.0  # seconds for requests that nobody waits for any more, when the transport closes


class AppTransport(httpx2.AsyncBaseTransport):
    """Send requests to an application on the event loop that it runs on."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the answer as soon as it begins."""
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        exchange = _Exchange(request.stream, request.method)
        task = asyncio.create_task(_run(self._app, _scope(request), exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        timeout = request.extensions.get("timeout", {}).get("read")
        try:
            start = await exchange.next(timeout)
        except BaseException:
            exchange.hang_up()
            raise
        return httpx2.Response(
            start["status"], headers=start.get("headers", []), stream=_AppStream(exchange, timeout)
        )

    async def aclose(self) -> None:
        """Wait for what is still under way, such as the background tasks of an answer."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_PATIENCE)
            for task in late:
                task.cancel()


class PortalTransport(httpx2.BaseTransport):
    """Send requests to an application whose event loop runs in another thread."""

    def __init__(self, app: App, portal: BlockingPortal) -> None:
        self._inner = AppTransport(app)
        self._portal = portal

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the answer as soon as it begins."""
        sent = httpx2.Request(
            request.method,
            request.url,
            headers=request.headers,
            content=request.read(),
            extensions=request.extensions,
        )
        answer = self._portal.call(self._inner.handle_async_request, sent)
        assert isinstance(answer.stream, _AppStream)
        return httpx2.Response(
            answer.status_code, headers=answer.headers, stream=_PortalStream(answer.stream, self._portal)
        )

    def close(self) -> None:
        """Wait for what is still under way."""
        self._portal.call(self._inner.aclose)


class _Exchange:
    """One request and its answer: what the application receives and sends, and who reads that."""

    def __init__(self, body: httpx2.AsyncByteStream, method: str) -> None:
        self._body = body.__aiter__()
        self._takes_body = method != "HEAD"
        self._received = False
        self._gone = asyncio.Event()
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(_AHEAD)

    async def receive(self) -> Message:
        """Give the application the next piece of the request, and then the news that the client is gone."""
        if not self._received:
            piece = await anext(self._body, None)
            self._received = piece is None
            return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message of the application; nobody reads it once the client is gone."""
        if message["type"] == "http.response.body" and not self._takes_body:
            message = {**message, "body": b""}
        if not self._gone.is_set():
            await self._put(message)

    async def end(self) -> None:
        """Say that the application will send nothing any more."""
        await self._put(None)

    async def next(self, timeout: float | None) -> Message:
        """Return the next message of the application."""
        try:
            message = await asyncio.wait_for(self._messages.get(), timeout)
        except TimeoutError as e:
            raise httpx2.ReadTimeout("the application did not answer in time") from e
        if message is None:
            raise httpx2.RemoteProtocolError("the application ended before its answer did")
        return message

    def hang_up(self) -> None:
        """Tell the application that the client is gone, and let it go on where it waits for a reader."""
        self._gone.set()
        while not self._messages.empty():
            self._messages.get_nowait()

    async def _put(self, message: Message | None) -> None:
        put = asyncio.create_task(self._messages.put(message))
        gone = asyncio.create_task(self._gone.wait())
        await asyncio.wait({put, gone}, return_when=asyncio.FIRST_COMPLETED)
        put.cancel()
        gone.cancel()


class _AppStream(httpx2.AsyncByteStream):
    """The body of an answer; closing it before its end hangs up."""

    def __init__(self, exchange: _Exchange, timeout: float | None) -> None:
        self._exchange = exchange
        self._timeout = timeout
        self._is_whole = False
        self._pieces: deque[bytes] = deque()

    async def piece(self) -> bytes | None:
        """Return the next piece; None is the end."""
        while not self._pieces:
            if self._is_whole:
                return None
            message = await self._exchange.next(self._timeout)
            self._is_whole = not message.get("more_body", False)
            body: bytes = message.get("body", b"")
            self._pieces.extend(body.parts if isinstance(body, Steps) else (body,))
        return self._pieces.popleft()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self.piece()) is not None:
            yield piece

    async def aclose(self) -> None:
        """Hang up."""
        self._exchange.hang_up()


class _PortalStream(httpx2.SyncByteStream):
    """The same for another thread."""

    def __init__(self, stream: _AppStream, portal: BlockingPortal) -> None:
        self._stream = stream
        self._portal = portal

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._portal.call(self._stream.piece)) is not None:
            yield piece

    def close(self) -> None:
        """Hang up."""
        self._portal.call(self._stream.aclose)


async def _run(app: App, scope: Message, exchange: _Exchange) -> None:
    begun = False

    async def send(message: Message) -> None:
        nonlocal begun
        begun = True
        await exchange.send(message)

    try:
        await app(scope, exchange.receive, send)
    except Exception:  # the boundary of the application: a server logs it, and answers what it can
        logger.exception("Exception in ASGI application")
        if not begun:
            await exchange.send({"type": "http.response.start", "status": 500, "headers": _TEXT})
            await exchange.send({"type": "http.response.body", "body": b"Internal Server Error"})
    finally:
        await exchange.end()


_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]


def _scope(request: httpx2.Request) -> Message:
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 50000),
        "server": (url.host, url.port or 80),
        "state": {},
    }
