"""The ASGI application of one service: it starts the service with the lifespan, and answers by a table of routes."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp

from ..config import Home, environment
from ..sdk.configuration.sections import Duration
from ..sdk.dependency import RESOLVER, LocalServices
from ..sdk.monitoring.monitor import close_monitors, use_monitoring
from ..sdk.service import Service
from .answer import TEXT
from .call import Receive, Scope, Send, Server
from .guard.auth import make_verify
from .guard.origins import Origins
from .guard.room import Room
from .guard.traffic import Traffic
from .instance import started
from .intake.download import MayFetch, is_public
from .intake.folders import Folders
from .mounts import started_mounts
from .process.shared_folder import own_part
from .proxied.command import started_command
from .routes import Router, make_router
from .tasks.place import TaskOptions, place_of
from .telemetry.access_log import AccessLog, Fields
from .telemetry.metrics import DEFAULT_BUCKETS, Family, Metrics
from .telemetry.tracing import Traced, open_spans
from .threads import WorkerThreads
from .web.pages import send_page

if TYPE_CHECKING:
    from .tasks.running import Tasks
    from .telemetry.spans import Spans

__all__ = ["AppOptions", "create_app", "standalone_app"]

_DISK_THREADS = 4


@dataclass(frozen=True)
class AppOptions:
    """Say what this process is: a worker of a bento's server, or an application on its own.

    ``metrics_folder`` is shared by all workers of one server; ``workers`` is how many there are. ``loopback_port`` is
    given where only this machine can reach the server: web pages that are open in its browsers can, too.
    ``timeout_program`` is what the program of a service gets between SIGTERM and SIGKILL.
    """

    bento_name: str = ""
    bento_version: str = "not available"
    worker_index: int | None = None
    metrics_folder: Path | None = None
    development: bool = False
    access_log: bool = True
    workers: int = 1
    timeout_program: float = 30.0
    loopback_port: int | None = None
    may_fetch: MayFetch = is_public
    env: Mapping[str, str] = field(default_factory=dict)
    log_folder: Path | None = None
    tasks: TaskOptions = field(default_factory=TaskOptions)


def create_app(service: Service[Any], *, options: AppOptions) -> Application:
    """Return the application that serves a service; the instance is made when the server runs the lifespan."""
    return Application(service, options)


def standalone_app(service: Service[Any]) -> ASGIApp:
    """Return the application of a service for a server that is not ours, and that writes its own access log."""
    env = environment()
    place = place_of(service, home=Home.from_environment(env), env=env, working_dir=Path.cwd())
    tasks = TaskOptions(place, grace=service.settings.traffic.timeout)
    options = AppOptions(access_log=False, env=env, tasks=tasks)
    if service.bento is not None:
        tag = service.bento.tag
        options = replace(options, bento_name=tag.name, bento_version=str(tag.version))
    return create_app(service, options=options)


class Application:
    """Serve one service; until its lifespan has started, and after, it answers that it does not run."""

    def __init__(self, service: Service[Any], options: AppOptions) -> None:
        self._service = service
        self._options = options
        self._stopped = Router({}, _not_running)
        self._tasks: list[Tasks] = []
        self._use(self._stopped)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ASGI 3 has it."""
        await self.dispatch(scope, receive, send)

    def dispatch(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what answers, for a server that need not be shown a coroutine function: it costs a frame less."""
        if scope["type"] == "http":
            return self._routes.get(scope["path"], self._other)(scope, receive, send)
        if scope["type"] == "lifespan":
            return self._live(receive, send)
        return self._other(scope, receive, send)

    def end(self) -> None:
        """Take up no more background tasks: the server has been told to end, and requests that it has are still answered."""
        for tasks in self._tasks:
            tasks.end()

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start the service, wait for the end, stop it; what goes wrong is raised, and the server shows it."""
        await receive()
        async with AsyncExitStack() as stack:
            router, self._tasks = await _start(self._service, self._options, stack)
            self._use(router)
            if self._options.worker_index is not None:
                _spare_the_collector()
            stack.callback(self._use, self._stopped)
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _use(self, router: Router) -> None:
        self._routes = router.routes
        self._other = router.other


async def _start(
    service: Service[Any], options: AppOptions, stack: AsyncExitStack
) -> tuple[Router, list[Tasks]]:
    """Make what the requests share, the instance and the routes; ``stack`` ends them in the opposite order."""
    auth = service.settings.auth
    verify = None if auth.type is None else make_verify(auth, options.env)
    spans = _started_spans(service, options, stack)
    use_monitoring(service.settings.monitoring, options.log_folder or Path.cwd())
    stack.push_async_callback(asyncio.to_thread, close_monitors)
    server = _server(service, options, stack)
    instance = await stack.enter_async_context(started(service))
    index = options.worker_index or 1
    rest = await stack.enter_async_context(
        started_command(
            service,
            instance,
            env=options.env,
            worker_index=index,
            grace=options.timeout_program,
            folder=options.metrics_folder,
        )
    )
    mounts = await stack.enter_async_context(started_mounts(service, instance, rest))
    tasks = await _started_tasks(service, instance, server, options, stack)
    others = await _started_tasks_of_others(service, instance, server, options, stack)
    router = make_router(
        service,
        instance,
        server,
        mounts,
        version=options.bento_version,
        metrics_folder=options.metrics_folder,
        verify=verify,
        tasks=tasks,
    )
    running = others if tasks is None else [tasks, *others]
    return (router if spans is None else _traced(router, spans)), running


def _started_spans(service: Service[Any], options: AppOptions, stack: AsyncExitStack) -> Spans | None:
    index = options.worker_index
    spans = open_spans(service, version=options.bento_version, worker_index=index, env=options.env)
    if spans is not None:
        stack.push_async_callback(asyncio.to_thread, spans.close)  # it waits for the collector
    return spans


def _traced(router: Router, spans: Spans) -> Router:
    routes: dict[str, ASGIApp] = {path: Traced(app, spans, path) for path, app in router.routes.items()}
    return Router(routes, Traced(router.other, spans))


async def _started_tasks(
    service: Service[Any], instance: Any, server: Server, options: AppOptions, stack: AsyncExitStack
) -> Tasks | None:
    if not _has_tasks(service):
        return None
    from .tasks.running import running_tasks

    return await stack.enter_async_context(running_tasks(service, instance, server, options.tasks))


async def _started_tasks_of_others(
    service: Service[Any], instance: Any, server: Server, options: AppOptions, stack: AsyncExitStack
) -> list[Tasks]:
    """Run the tasks of the services of this process that this one depends on, in a queue of their own, and take them."""
    local: LocalServices = getattr(instance, RESOLVER)
    known = service.all_services()
    found = [(known[name], made) for name, made in local.instances.items() if _has_tasks(known[name])]
    if not found:
        return []
    from .tasks.desk import open_desk
    from .tasks.running import running_tasks

    started = []
    for one, its_instance in found:
        threads = WorkerThreads(one.settings.threads, server.loop)
        stack.callback(threads.close)
        its_server = replace(
            server, service=one.name, threads=threads, limits=one.settings.http.limits, origins=None, state={}
        )
        its_options = options.tasks.of_dependency(one.name)
        tasks = await stack.enter_async_context(running_tasks(one, its_instance, its_server, its_options))
        local.desks[one.name] = await stack.enter_async_context(open_desk(one, its_server, tasks.routes))
        started.append(tasks)
    return started


def _has_tasks(service: Service[Any]) -> bool:
    return any(method.is_task for method in service.apis.values())


def _spare_the_collector() -> None:
    """Take all that was made at the start out of the garbage collector's sight: it stays as long as the process.

    Otherwise each full collection looks at the user's libraries and model again, which costs a tenth of small requests.
    """
    gc.collect()
    gc.freeze()


def _server(service: Service[Any], options: AppOptions, stack: AsyncExitStack) -> Server:
    settings = service.settings
    loop = asyncio.get_running_loop()
    limit = settings.traffic.max_concurrency
    traffic = Traffic(
        timeout=settings.traffic.timeout,
        limit=None if limit is None else math.ceil(limit / options.workers),
        loop=loop,
    )
    threads = WorkerThreads(settings.threads, loop)
    disk = WorkerThreads(_DISK_THREADS, loop, name="bentoml-disk")
    folders = Folders() if options.metrics_folder is None else Folders(options.metrics_folder, own_part())
    metrics = _metrics(service, options) if settings.metrics.enabled else None
    access_log = _access_log(service, options, loop) if options.access_log else None
    for part in (access_log, metrics, folders, threads, disk, traffic):
        if part is not None:
            stack.callback(part.close)
    return Server(
        service.name,
        loop,
        traffic,
        threads,
        folders,
        metrics,
        access_log,
        settings.http.limits,
        disk,
        may_fetch=options.may_fetch,
        origins=None if options.loopback_port is None else Origins(options.loopback_port, settings.http.cors),
        trace_id_format=f"%{settings.logging.access.format.trace_id}".encode(),
        span_id_format=f"%{settings.logging.access.format.span_id}".encode(),
        trace_header=settings.http.response.trace_id,
        room=Room(max(settings.http.limits.memory, settings.http.limits.body)),
    )


async def _not_running(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return await send({"type": "websocket.close", "code": 1012})
    await send_page(
        (503, TEXT, b"the service is not running: its server must run the ASGI lifespan"), scope, send
    )


def _metrics(service: Service[Any], options: AppOptions) -> Metrics:
    settings = service.settings.metrics
    family = Family(
        namespace=settings.namespace,
        runner_name=service.name,
        service_name=options.bento_name or service.name,
        service_version=options.bento_version,
        buckets=_buckets(settings.duration),
    )
    return Metrics(
        family, options.metrics_folder, [service.path_prefix + m.route for m in service.apis.values()]
    )


def _buckets(duration: Duration) -> tuple[float, ...]:
    """Return the bounds of the duration's buckets: those given, or exponential ones up to ``max``, or the default."""
    if duration.buckets:
        return tuple(sorted(float(b) for b in duration.buckets if b != math.inf))
    if duration.min and duration.max and duration.factor:
        steps = math.ceil(math.log(duration.max / duration.min, duration.factor))
        return (*(duration.min * duration.factor**i for i in range(steps)), duration.max)
    return DEFAULT_BUCKETS


def _access_log(service: Service[Any], options: AppOptions, loop: asyncio.AbstractEventLoop) -> AccessLog:
    access = service.settings.logging.access
    fields = Fields(
        request_content_length=access.request_content_length,
        request_content_type=access.request_content_type,
        response_content_length=access.response_content_length,
        response_content_type=access.response_content_type,
        trace_id=access.format.trace_id,
        span_id=access.format.span_id,
        as_json=service.settings.logging.json if access.json is None else access.json,
    )
    component = f"entry_service:{service.name}:{options.worker_index or 1}"
    return AccessLog(service.name, component=component, fields=fields, loop=loop)
