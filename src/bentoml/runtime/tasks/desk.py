"""The tasks of a service that runs in this process, for the other services there: the routes of tasks, without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from anyio.from_thread import BlockingPortal
from starlette.types import ASGIApp

from ...client.address import Address
from ...client.aio import AsyncHTTPClient
from ...client.inprocess import AppTransport, PortalTransport
from ...client.retries import Options
from ...client.sync import SyncHTTPClient
from ...client.transport import AsyncWire, SyncWire
from ...exceptions import BentoMLException
from ...sdk.service import Service
from ..answer import JSON
from ..call import Receive, Scope, Send, Server
from ..guard.limited import Limited
from ..web.pages import send_page
from .calls import AwaitedTasks, BlockingTasks

__all__ = ["Desk", "open_desk"]

_ADDRESS = Address.parse("http://localhost")
_OPTIONS = Options(timeout=None, retries=0)


@asynccontextmanager
async def open_desk(
    service: Service[Any], server: Server, routes: Mapping[str, ASGIApp]
) -> AsyncIterator[Desk]:
    """Take tasks of a service from other code of this process while the block runs; ``routes`` are those of its tasks."""
    schema = json.dumps(service.schema()).encode()
    limited = {path: Limited(route, server=server) for path, route in routes.items()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        route = limited.get(scope["path"])
        if route is not None:
            await route(scope, receive, send)
        else:  # the one thing that clients ask for beside
            await send_page((200, JSON, schema), scope, send)

    over = AsyncHTTPClient.over(
        lambda: AsyncWire(_ADDRESS, timeout=None, transport=AppTransport(app)), _OPTIONS
    )
    async with over as awaited, BlockingPortal() as portal:

        def connect() -> SyncHTTPClient:
            wire = SyncWire(_ADDRESS, timeout=None, transport=PortalTransport(app, portal))
            return SyncHTTPClient.over(wire, _OPTIONS)

        blocking = await asyncio.to_thread(connect)
        try:
            yield Desk(service, blocking, awaited)
        finally:
            await asyncio.to_thread(blocking.close)


class Desk:
    """Take tasks of one service, in the thread of its event loop and in others."""

    def __init__(self, service: Service[Any], blocking: SyncHTTPClient, awaited: AsyncHTTPClient) -> None:
        self._service = service
        self._methods = {m.attribute: m for m in service.apis.values()}
        self._blocking = blocking
        self._awaited = awaited
        self._loop = asyncio.get_running_loop()

    def blocking(self, name: str, call: Callable[..., Any]) -> BlockingTasks:
        """Return a task for code that waits."""
        return BlockingTasks(self, name, self._methods[name], call)

    def awaited(self, name: str, call: Callable[..., Any]) -> AwaitedTasks:
        """Return a task for coroutines."""
        return AwaitedTasks(self, name, self._methods[name], call)

    def of_threads(self) -> SyncHTTPClient:
        """Return the client that blocks.

        Raises:
            BentoMLException: it would block the event loop that is to answer it.
        """
        if _running_loop() is self._loop:
            raise BentoMLException(
                f"the tasks of `{self._service.name}` cannot be waited for on the event loop that runs them: "
                "write `await self.<dependency>.to_async.<task>.submit(...)` in a coroutine"
            )
        return self._blocking

    async def of_loop(self) -> AsyncHTTPClient:
        """Return the client of the service's event loop.

        Raises:
            BentoMLException: another one is running.
        """
        if _running_loop() is not self._loop:
            raise BentoMLException(
                f"the tasks of `{self._service.name}` can be awaited on the event loop of the service only: "
                "write `self.<dependency>.to_sync.<task>.submit(...)` in another thread"
            )
        return self._awaited


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
