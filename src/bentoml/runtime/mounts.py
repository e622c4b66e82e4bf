"""Other ASGI applications that the user mounts beside the APIs, and their own start and end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Scope

__all__ = ["Mounts", "lifespan_of"]

logger = logging.getLogger(__name__)


class Mounts:
    """Find the mounted application that answers a path.

    A mount is passive: an application that has routes takes only the paths which one of them matches, so that several
    can share a path with one another and with the pages of the server.
    """

    def __init__(self, mounts: Sequence[tuple[ASGIApp, str, str]], prefix: str) -> None:
        self._mounts = [
            (Mount(prefix + path, app=app, name=name), prefix + path) for app, path, name in mounts
        ]

    def find(self, scope: Scope) -> tuple[Mount, Scope, str] | None:
        """Return the mount, the scope to call it with, and its path."""
        for mount, path in self._mounts:
            match, more = mount.matches(scope)
            if match is Match.NONE:
                continue
            inner = {**scope, **more}
            routes = getattr(mount.app, "routes", None)
            if routes is None or any(r.matches(inner)[0] is not Match.NONE for r in routes):
                return mount, inner, path
        return None


@asynccontextmanager
async def lifespan_of(app: ASGIApp) -> AsyncIterator[None]:
    """Start an application by the ASGI lifespan protocol, and stop it in the end; one that has none is left alone.

    Raises:
        RuntimeError: the application says that it could not start.
    """
    protocol = _Lifespan(app)
    await protocol.begin()
    try:
        yield
    finally:
        await protocol.end()


class _Lifespan:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        self._task = asyncio.create_task(self._run())
        answer = await self._ask("startup")
        if answer["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"a mounted application could not start: {answer.get('message', '')}")

    async def end(self) -> None:
        if self._task is not None and not self._task.done():
            await self._ask("shutdown")
            await self._task

    async def _ask(self, what: str) -> Message:
        await self._events.put({"type": f"lifespan.{what}"})
        return await self._answers.get()

    async def _run(self) -> None:
        scope: dict[str, Any] = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": {},
        }
        try:
            await self._app(scope, self._events.get, self._answers.put)
        except Exception as e:  # an application without lifespan raises; one that failed has said so before
            logger.info("the mounted application %r takes no part in start and stop: %r", self._app, e)
        await self._answers.put({"type": "lifespan.over"})
