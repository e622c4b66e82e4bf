"""Count and log the requests that no endpoint counts itself: pages, mounted applications, what middleware answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from starlette.types import ASGIApp

from .answer import Recorder
from .call import Call, Receive, Scope, Send, Server

__all__ = ["Observed"]


class Observed:
    """Wrap an ASGI application.

    ``label`` gives the endpoint label of a request, of which there are only so many; paths that begin with one of
    ``skipped`` are not logged.
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
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        call = Call.observed(scope, self._silent if scope["path"].startswith(self._skipped) else self._server)
        label = self._label(scope)
        metrics = self._server.metrics
        if metrics is not None:
            metrics.begin(metrics.started(label))
        try:
            await self._app(scope, receive, Recorder(send, call, []))
        finally:
            call.end(label)
