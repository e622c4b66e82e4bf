"""Count and log the requests that no endpoint counts itself: pages, mounted applications, what middleware answers."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from starlette.types import ASGIApp

from .answer import Recorder
from .call import Call, Receive, Scope, Send, Server

__all__ = ["Observed"]


class Observed:
    """Wrap an ASGI application; ``label`` gives the endpoint label of a path, of which there are only so many."""

    def __init__(self, app: ASGIApp, server: Server, label: Callable[[Scope], str]) -> None:
        self._app = app
        self._server = server
        self._label = label

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        server = self._server
        call = Call.observed(scope, server)
        label = self._label(scope)
        if server.metrics is not None:
            server.metrics.begin(server.metrics.started(label))
        recorder = Recorder(send, [])
        try:
            await self._app(scope, receive, recorder)
        finally:
            seconds = perf_counter() - call.started
            if server.metrics is not None:
                server.metrics.end(label, recorder.status, seconds)
            call.log(recorder.status, recorder.media_type, recorder.length, seconds)
