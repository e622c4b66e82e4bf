"""The tasks of one service in one worker: its queue, its routes, and what runs them, from start to end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp

from ...sdk.configuration.settings import ServiceSettings
from ...sdk.method import APIMethod
from ...sdk.service import Service
from ..call import Server
from ..endpoint import Endpoint
from ..guard.room import Room
from ..guard.traffic import Traffic
from ..threads import WorkerThreads
from .clerk import Clerk
from .place import TaskOptions
from .places import held
from .queue import TaskStoreError
from .routes import ACCEPTED, TaskRoutes
from .runner import Runner
from .sqlite import Limits, SqliteQueue

__all__ = ["Tasks", "running_tasks"]

_NEVER = 10 * 365 * 86400.0  # seconds: a timer cannot wait forever
_REHEARSALS = 2  # bodies of submissions that are read in threads at once


class Tasks:
    """What the server asks of the tasks of its service."""

    def __init__(self, routes: dict[str, ASGIApp], clerk: Clerk, runner: Runner) -> None:
        self.routes = routes
        self._clerk = clerk
        self._runner = runner

    async def numbers(self) -> str:
        """Return the metrics of the queue; none while it cannot be read, for those of the server matter then."""
        try:
            return await self._clerk.read(lambda q: q.numbers())
        except TaskStoreError:
            return ""

    def end(self) -> None:
        """Take up no more tasks: the process is about to end."""
        self._runner.end()


@asynccontextmanager
async def running_tasks(
    service: Service[Any], instance: Any, server: Server, options: TaskOptions
) -> AsyncIterator[Tasks]:
    """Run the tasks of a service during the block; those that do not end in time afterwards go back to the queue.

    Raises:
        TaskStoreError: the queue cannot be used.
    """
    methods = {service.path_prefix + m.route: m for m in service.apis.values() if m.is_task}
    settings = service.settings
    queue = _opened_queue(settings, options)
    loop = server.loop
    limited = Traffic(timeout=settings.tasks.timeout or _NEVER, limit=None, loop=loop)
    unlimited = Traffic(timeout=_NEVER, limit=None, loop=loop)
    rehearsal_threads = WorkerThreads(_REHEARSALS, loop, name="bentoml-submit")
    # Submissions are counted, logged, limited and checked where all that is not an API is.
    quiet = replace(server, metrics=None, access_log=None, origins=None)
    # A task that was accepted is not refused any more.
    accepted = replace(quiet, traffic=limited, room=Room(math.inf))
    apps = {p: _app(m, instance, accepted, p) for p, m in methods.items()}
    reading = replace(quiet, traffic=unlimited, threads=rehearsal_threads)
    new_spool = queue.bodies.spool
    clerk = Clerk(queue, lambda: runner.wake(), loop)
    runner = Runner(clerk, apps, settings.traffic.concurrency or 1, new_spool, loop)
    routes: dict[str, ASGIApp] = {}
    for path, method in methods.items():
        rehearsal = _rehearsal(method, reading, path)
        secret = settings.auth.header.lower().encode()
        routes |= TaskRoutes(path, rehearsal, clerk, runner, new_spool, secret=secret).table()
    runner.wake()
    try:
        yield Tasks(routes, clerk, runner)
    finally:
        await runner.close(options.grace)
        await asyncio.to_thread(clerk.close)
        limited.close()
        unlimited.close()
        rehearsal_threads.close()


def _opened_queue(settings: ServiceSettings, options: TaskOptions) -> SqliteQueue:
    if options.place.database is None and options.workers > 1:
        raise TaskStoreError(
            f"`BENTOML_RESULT_STORE=:memory:` keeps tasks in one process, and there are to be {options.workers} workers; "
            "name a file, or serve with `--workers 1`"
        )
    tasks = settings.tasks
    limits = Limits(tasks.ttl, tasks.attempts, tasks.max_pending)
    return SqliteQueue(options.place, limits, namespace=settings.metrics.namespace)


def _app(method: APIMethod[..., Any], instance: Any, server: Server, path: str) -> Endpoint:
    """Return what runs a task: its API, but for the time limit of requests."""
    function: Callable[..., Any] = method.func.__get__(instance)
    return Endpoint(method, function if method.is_async else held(function), server, label=path, context=True)


def _rehearsal(method: APIMethod[..., Any], server: Server, path: str) -> Endpoint:
    """Return what reads a body as the API does, and answers what the API would to one that it does not take."""

    def accept(*_: Any, **__: Any) -> Response:
        return Response(status_code=ACCEPTED)

    async def accept_async(*_: Any, **__: Any) -> Response:
        return Response(status_code=ACCEPTED)

    return Endpoint(method, accept_async if method.is_async else accept, server, label=path, context=False)
