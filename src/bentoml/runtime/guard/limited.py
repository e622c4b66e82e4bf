"""What is no API, held to the limits of the service: its pages, mounted applications and their websockets."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message

from ..answer import JSON
from ..call import Call, Receive, Scope, Send, Server
from ..errors import FOREIGN, error_body

__all__ = ["Limited", "refuse"]

_TRY_AGAIN_LATER = 1013  # RFC 6455, 7.4.2, and the registry that it begins


class Limited:
    """Wrap an ASGI application.

    As for APIs, ``traffic.timeout`` holds until the first byte of an answer, or of a websocket, ``max_concurrency``
    until the end, browsers come from origins that may, and answers say which service and request they belong to.
    """

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        server, traffic = self._server, self._server.traffic
        call = Call(scope, server)
        call.task = asyncio.current_task()
        reply = _Reply(call, send)
        if server.origins is not None and not server.origins.allow(scope, call.headers):
            return await refuse(scope, reply, 403, FOREIGN)
        if traffic.count >= traffic.limit:
            return await refuse(scope, reply, 429, error_body("Too many requests"), (b"retry-after", b"1"))
        traffic.enter(call)
        try:
            await self._app(scope, receive, reply)
        except asyncio.CancelledError:
            if not call.expired or call.task is None:
                raise
            call.task.uncancel()
            message = f"Not able to process the request in {traffic.timeout} seconds"
            await refuse(scope, reply, 504, error_body(message))
        finally:
            call.task = None  # whose context knows the call: nothing is to be left for the garbage collector
            traffic.leave(call)


async def refuse(scope: Scope, send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    """Answer with an error; a websocket gets it as the answer to its handshake, where the server can send that."""
    about = [(b"content-type", JSON), (b"content-length", b"%d" % len(body)), *headers]
    if scope["type"] == "http":
        kind = "http.response"
        body = b"" if scope["method"] == "HEAD" else body
    elif "websocket.http.response" in scope.get("extensions", ()):
        kind = "websocket.http.response"
    else:
        return await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
    await send({"type": f"{kind}.start", "status": status, "headers": about})
    await send({"type": f"{kind}.body", "body": body})


class _Reply:
    """A ``send`` that notes when the answer begins, and puts the ids of the request on it."""

    __slots__ = ("_begun", "_call", "_send")

    def __init__(self, call: Call, send: Send) -> None:
        self._call = call
        self._send = send
        self._begun = False

    async def __call__(self, message: Message) -> None:
        """Pass one message on."""
        if not self._begun:
            self._begun = True
            self._call.server.traffic.begun(self._call)
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                named = {name.lower() for name, _ in given}
                ours = [self._call.server.header, *self._call.ids()]
                message = {**message, "headers": [*given, *(h for h in ours if h[0] not in named)]}
        await self._send(message)
