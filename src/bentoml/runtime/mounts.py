"""Other ASGI applications that the user mounts beside the APIs, and their own start and end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from starlette.responses import RedirectResponse
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..sdk.mounting import serving
from ..sdk.service import Service

__all__ = ["Found", "Mounts", "lifespan_of", "started_mounts"]

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """What answers a path: an application, the scope to call it with, and the pattern that the path follows."""

    app: ASGIApp
    scope: Scope
    pattern: str
    is_full: bool  # it has this path for this method


class Mounts:
    """Find the mounted application that answers a path.

    A mount is passive: an application that has routes takes only what one of them matches, so that several can share a
    path with one another, with the APIs and with the pages of the server.
    """

    def __init__(self, mounts: Sequence[_Started], instance: Any) -> None:
        self._mounts = mounts
        self._instance = instance

    def find(self, scope: Scope) -> Found | None:
        """Return the first application with a route for this path and method, else the first with one for the path.

        A path that only lacks the slash at its end, or has one too many, is sent on to the one that is there.
        """
        return self._find(scope) or self._slashed(scope)

    def _slashed(self, scope: Scope) -> Found | None:
        path: str = scope["path"]
        other = path.rstrip("/") or "/" if path.endswith("/") else f"{path}/"
        found = self._find({**scope, "path": other}) if scope["type"] == "http" and other != path else None
        if found is None:
            return None
        query = scope.get("query_string", b"").decode("latin-1")
        # Never `//host`, which is another server.
        url = "/" + (scope.get("root_path", "") + other).lstrip("/") + (f"?{query}" if query else "")
        return found._replace(app=RedirectResponse(url), scope=scope, is_full=False)

    def _find(self, scope: Scope) -> Found | None:
        partial: Found | None = None
        for mount in self._mounts:
            outer, more = mount.place.matches(scope)
            if outer is Match.NONE:
                continue
            inner = {**scope, **more, "state": {**scope.get("state", {}), **mount.state}}
            match, pattern = _matched(mount.place.app, inner)
            if match is not Match.NONE:
                pattern = mount.path if pattern is None else (mount.path.rstrip("/") + pattern or "/")
                found = Found(mount.place.app, inner, pattern, match is Match.FULL)
                if found.is_full:
                    return found
                partial = partial or found
        return partial

    def has(self, path: str) -> bool:
        """Tell whether an application has this path, for whatever method."""
        scope = {
            "type": "http",
            "path": path,
            "root_path": "",
            "method": "GET",
            "headers": [],
            "query_string": b"",
        }
        return self._find(scope) is not None

    async def answer(self, found: Found, receive: Receive, send: Send) -> None:
        """Let an application answer."""
        serving.set(self._instance)
        await found.app(found.scope, receive, send)


class _Started(NamedTuple):
    place: Mount
    path: str
    state: dict[str, Any]  # what the application's lifespan leaves for its requests


def _matched(app: ASGIApp, scope: Scope) -> tuple[Match, str | None]:
    """Return how well the routes of an application match, and the pattern of the one that does."""
    routes = getattr(app, "routes", None)
    if routes is None:
        return Match.FULL, None
    partial: tuple[Match, str | None] = Match.NONE, None
    for route in routes:
        match = route.matches(scope)[0]
        if match is Match.FULL:
            return match, _pattern(route, scope)
        if match is Match.PARTIAL and partial[0] is Match.NONE:
            partial = match, _pattern(route, scope)
    return partial


def _pattern(route: Any, scope: Scope) -> str | None:
    contexts = getattr(
        route, "effective_route_contexts", None
    )  # a router that FastAPI includes when it is asked
    if contexts is not None:
        route = next((c for c in contexts() if c.matches(scope)[0] is not Match.NONE), route)
    pattern: str | None = getattr(route, "path", None)
    return pattern


@asynccontextmanager
async def started_mounts(
    service: Service[Any], instance: Any, rest: ASGIApp | None = None
) -> AsyncIterator[Mounts]:
    """Run the lifespans of the applications that a service mounts; one that is mounted twice starts once.

    ``rest`` runs already, and answers all that no other one does.
    """
    service.bind_mounts()
    states: dict[int, dict[str, Any]] = {}
    async with AsyncExitStack() as stack:
        started = []
        for app, path, name in service.mount_apps:
            if id(app) not in states:
                states[id(app)] = await stack.enter_async_context(lifespan_of(app))
            whole = service.path_prefix + path
            started.append(_Started(Mount(whole, app=app, name=name), whole, states[id(app)]))
        if rest is not None:
            root = service.path_prefix or "/"
            started.append(_Started(Mount(root, app=rest, name="command"), root, {}))
        yield Mounts(started, instance)


@asynccontextmanager
async def lifespan_of(app: ASGIApp) -> AsyncIterator[dict[str, Any]]:
    """Start an application by the ASGI lifespan protocol, and stop it in the end; one that has none is left alone.

    The block gets the state that the application leaves for its requests.

    Raises:
        RuntimeError: the application says that it could not start.
    """
    protocol = _Lifespan(app)
    await protocol.begin()
    try:
        yield protocol.state
    finally:
        await protocol.end()


class _Lifespan:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    async def begin(self) -> None:
        self._task = asyncio.create_task(self._run())
        answer = await self._ask("startup")
        if answer["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"a mounted application could not start: {answer.get('message', '')}")

    async def end(self) -> None:
        if self._task is not None and not self._task.done():
            answer = await self._ask("shutdown")
            if answer["type"] == "lifespan.shutdown.failed":
                logger.error("a mounted application could not stop: %s", answer.get("message", ""))
            await self._task

    async def _ask(self, what: str) -> Message:
        await self._events.put({"type": f"lifespan.{what}"})
        return await self._answers.get()

    async def _run(self) -> None:
        scope: dict[str, Any] = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._app(scope, self._events.get, self._answers.put)
        except Exception as e:  # an application without lifespan raises; one that failed has said so before
            logger.info("the mounted application %r takes no part in start and stop: %r", self._app, e)
        await self._answers.put({"type": "lifespan.over"})
