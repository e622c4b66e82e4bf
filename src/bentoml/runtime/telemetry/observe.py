"""Count and log what no endpoint counts itself: pages, mounted applications, websockets, what middleware answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp

from ..answer import JSON
from ..call import ROUTE, Call, Receive, Scope, Send, Server
from ..errors import GENERIC, error_body, users_traceback
from .metrics import Socket

__all__ = ["Observed"]

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]

_SWITCHED = 101  # the status of a connection that became a websocket, ...
_REFUSED = 403  # ... and of one that the application closed before


class Observed:
    """Wrap an ASGI application.

    ``label`` gives the endpoint label of a request, of which there are only so many; paths that begin with one of
    ``skipped`` are not logged. An error that the application lets out is logged and answered with 500.
    """

    def __init__(
        self, app: ASGIApp, server: Server, *, label: Callable[[Scope], str], skipped: tuple[str, ...]
    ) -> None:
        self._app = app
        self._server = server
        self._silent = replace(server, access_log=None)
        self._label = label
        self._skipped = skipped

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        server = self._silent if scope["path"].startswith(self._skipped) else self._server
        call = Call.observed(scope, server)
        label = scope[ROUTE] = self._label(scope)
        if scope["type"] == "websocket":
            return await self._talk(call, label, receive, send)
        if server.metrics is not None:
            server.metrics.begin(server.metrics.started(label))
        answer = _Watched(call, send)
        try:
            await self._app(scope, receive, answer)
        except Exception as e:  # the boundary of the user's application
            _log(call, e)
            await answer.fail(e)
        finally:
            call.end(label)

    async def _talk(self, call: Call, label: str, receive: Receive, send: Send) -> None:
        metrics = call.server.metrics
        talk = _Talk(receive, send, metrics.socket(label) if metrics else Socket())
        try:
            await self._app(call.scope, talk.receive, talk.send)
        except Exception as e:  # the boundary of the user's application
            _log(call, e)
            await talk.close(1011)
        finally:
            talk.over()
            _log_talk(call, _SWITCHED if talk.accepted else _REFUSED)


class _Watched:
    """A ``send`` that notes in a call what its response turned out to be, and how far it came."""

    def __init__(self, call: Call, send: Send) -> None:
        self._call = call
        self._send = send
        self._begun = False
        self._whole = False

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._begun = True
            self._note(message)
        elif kind == "http.response.body":
            self._whole = not message.get("more_body", False)
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Answer that something failed; an answer that is under way is cut off, so that nobody takes it for whole."""
        if not self._begun:
            body = error_body(GENERIC)
            headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(body)), *self._call.ids()]
            await self({"type": "http.response.start", "status": 500, "headers": headers})
            await self({"type": "http.response.body", "body": body})
        elif not self._whole:
            raise error

    def _note(self, message: Message) -> None:
        call = self._call
        call.status = message["status"]
        for name, value in message.get("headers", ()):
            if name.lower() == b"content-type":
                call.media_type = value
            elif name.lower() == b"content-length":
                call.length = value


class _Talk:
    """Count the messages of one websocket, and their bytes."""

    def __init__(self, receive: Receive, send: Send, socket: Socket) -> None:
        self._receive = receive
        self._send = send
        self._socket = socket
        self._open = True
        self.accepted = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.receive":
            self._socket.received(_size(message))
        elif message["type"] == "websocket.disconnect":
            self._open = False
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self.accepted = True
            self._socket.opened()
        elif kind == "websocket.send":
            self._socket.sent(_size(message))
        elif kind in ("websocket.close", "websocket.http.response.start"):
            self._open = False
        await self._send(message)

    async def close(self, code: int) -> None:
        """Tell the client that it is over, if it does not know."""
        if self._open:
            await self.send({"type": "websocket.close", "code": code})

    def over(self) -> None:
        """Count the connection as closed."""
        if self.accepted:
            self._socket.closed()


def _size(message: Message) -> int:
    data, text = message.get("bytes"), message.get("text")
    return len(data) if data is not None else len((text or "").encode())


def _log(call: Call, error: Exception) -> None:
    call.failed(error)
    exc_info = (type(error), error, users_traceback(error))
    logger.error("Exception on %s", call.scope["path"], exc_info=exc_info, extra={"trace": call.trace()})


def _log_talk(call: Call, status: int) -> None:
    log, scope = call.server.access_log, call.scope
    if log is not None:
        asked = (scope["client"], scope["scheme"], "GET", scope["path"], b"", b"")
        milliseconds = (perf_counter() - call.started) * 1000
        log.append((*asked, status, b"", b"", milliseconds, call.trace_id, call.span_id, call.sampled))
