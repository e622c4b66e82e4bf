"""The table of routes of one service: which path is answered by what."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from ..sdk.openapi import openapi
from ..sdk.service import Service
from .answer import JSON, TEXT
from .call import Receive, Scope, Send, Server
from .endpoint import Endpoint
from .errors import error_body
from .guard.auth import Guard, Verify
from .guard.limited import Limited
from .health import Health
from .mounts import Mounts
from .telemetry.metrics import OTHER
from .telemetry.metrics_page import MEDIA_TYPE, render, rewritten
from .telemetry.observe import Observed
from .web.pages import NOT_FOUND, Content, Page, send_page
from .web.site import Site

if TYPE_CHECKING:
    from .tasks.running import Tasks

__all__ = ["Router", "make_router"]

logger = logging.getLogger(__name__)

Layer = tuple[Any, dict[str, Any]]  # a middleware and its options

# What the server itself has; mounted applications may have more.
_METHODS = ("GET", "HEAD", "POST", "PUT", "OPTIONS")


class Router:
    """Answer each request by its path; what the table does not have goes to ``other``."""

    def __init__(self, routes: dict[str, ASGIApp], other: ASGIApp) -> None:
        self.routes = routes
        self.other = other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        routes = self.routes if scope["type"] == "http" else {}
        await routes.get(scope["path"], self.other)(scope, receive, send)


def make_router(
    service: Service[Any],
    instance: Any,
    server: Server,
    mounts: Mounts,
    *,
    version: str,
    metrics_folder: Path | None,
    verify: Verify | None = None,
    tasks: Tasks | None = None,
) -> Router:
    """Return the routes of one instance of a service; ``metrics_folder`` is that of all workers, where there are any.

    Each API counts and logs its own requests. Where the user added middleware, all is counted and logged around it.
    """
    prefix = service.path_prefix
    site = Site(service)
    layers = [*_layers(service), *_guard(service, server, mounts, site, verify)]
    apis = _apis(service, instance, server, counted_outside=bool(layers))
    limited = partial(Limited, server=server)
    held = _pages(service, version) | ({} if tasks is None else tasks.routes)
    pages = {p: limited(page) for p, page in held.items()} | _probes(service, instance)
    observed = partial(
        Observed,
        server=server,
        label=_labels({*apis, *pages, f"{prefix}/"}, mounts),
        skipped=tuple(service.settings.logging.access.skip_paths),
    )
    rest = _Rest(mounts, site, known=frozenset({*apis, *pages}))
    other: ASGIApp = _Other(apis.pop(f"{prefix}/", None), limited(rest), site)
    uncounted = _metrics_page(instance, server, prefix, metrics_folder, tasks)
    if not layers:
        table = {p: observed(page) for p, page in pages.items()} | uncounted
        return Router(_beside(table, _shared(apis, mounts, observed(other))), observed(other))
    app = _wrapped(Router(_beside(pages | uncounted, _shared(apis, mounts, other)), other), layers)
    seen = observed(app)
    return Router({path: _Beside(seen, app) if path in apis else app for path in uncounted}, seen)


def _wrapped(app: ASGIApp, layers: Sequence[Layer]) -> ASGIApp:
    """Put an application into its middleware."""
    for cls, options in reversed(layers):
        app = cls(app, **options)
    return app


def _beside(pages: dict[str, ASGIApp], apis: dict[str, ASGIApp]) -> dict[str, ASGIApp]:
    """Let pages of the server answer where an API has the same path: a method may be called ``metrics``."""
    return pages | {path: _Beside(api, pages[path]) if path in pages else api for path, api in apis.items()}


class _Beside:
    """Answer a path that is an API's for POST, and a page's for any other method."""

    def __init__(self, api: ASGIApp, page: ASGIApp) -> None:
        self._api = api
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._api if scope["method"] == "POST" else self._page)(scope, receive, send)


def _shared(apis: dict[str, ASGIApp], mounts: Mounts, other: ASGIApp) -> dict[str, ASGIApp]:
    """Let mounted applications answer the methods that an API does not, on paths that both have."""
    return {path: _Shared(api, mounts, other) if mounts.has(path) else api for path, api in apis.items()}


class _Shared:
    """Answer a path that is an API's for POST, and a mounted application's for another method that it has."""

    def __init__(self, api: ASGIApp, mounts: Mounts, other: ASGIApp) -> None:
        self._api = api
        self._mounts = mounts
        self._other = other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = None if scope["method"] == "POST" else self._mounts.find(scope)
        is_mounted = found is not None and found.is_full
        await (self._other if is_mounted else self._api)(scope, receive, send)


def _apis(
    service: Service[Any], instance: Any, server: Server, *, counted_outside: bool
) -> dict[str, ASGIApp]:
    context = _wants_context(service)
    skipped = tuple(service.settings.logging.access.skip_paths)
    unlogged = replace(server, access_log=None)
    uncounted = replace(unlogged, metrics=None)
    routes: dict[str, ASGIApp] = {}
    for method in service.apis.values():
        path = service.path_prefix + method.route
        if counted_outside or path == f"{service.path_prefix}/":  # where the page is too: see `_Other`
            mine = uncounted
        else:
            mine = unlogged if path.startswith(skipped) else server
        routes[path] = Endpoint(method, method.func.__get__(instance), mine, label=path, context=context)
    return routes


def _wants_context(service: Service[Any]) -> bool:
    """Tell whether some API asks for the context, or files may come from another server and belong to the request."""
    services = service.all_services().values()
    return any(m.ctx_param for s in services for m in s.apis.values()) or any(
        not dependency.is_local for s in services for dependency in s.dependencies.values()
    )


class _Other:
    """Answer what is not in the table: the API at ``/``, and the rest."""

    def __init__(self, api: ASGIApp | None, rest: ASGIApp, site: Site) -> None:
        self._api = api
        self._rest = rest
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_root = scope["type"] == "http" and self._site.is_index(scope["path"])
        if is_root and self._api is not None and scope["method"] == "POST":
            await self._api(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


class _Rest:
    """Answer by mounted applications and the page at ``/``; a known path with a slash too many is sent on; else 404."""

    def __init__(self, mounts: Mounts, site: Site, known: Set[str]) -> None:
        self._mounts = mounts
        self._site = site
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if (found := self._mounts.find(scope)) is not None:
            await self._mounts.answer(found, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
        elif self._site.has(path):
            await self._site(scope, receive, send)
        elif path.rstrip("/") in self._known:
            await send_page((307, TEXT, b""), scope, send, (b"location", _without_slash(scope)))
        else:
            await send_page(NOT_FOUND, scope, send)


def _without_slash(scope: Scope) -> bytes:
    query: bytes = scope.get("query_string", b"")
    path = quote(scope.get("root_path", "") + scope["path"].rstrip("/")).encode()
    return path + b"?" + query if query else path


class _Open:
    """Tell what anybody may see: the probes, and the files of the page, which are the same for each service."""

    def __init__(self, service: Service[Any], mounts: Mounts, site: Site) -> None:
        self._probes = set(_probe_paths(service))
        self._mounts = mounts
        self._site = site

    def __call__(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return False
        path = scope["path"]
        return path in self._probes or (self._site.is_open(path) and self._mounts.find(scope) is None)


def _guard(
    service: Service[Any], server: Server, mounts: Mounts, site: Site, verify: Verify | None
) -> Iterator[Layer]:
    """Give the layer that asks who calls, where the service wants to know."""
    if verify is None:
        return
    yield (
        Guard,
        {
            "verify": verify,
            "header": service.settings.auth.header.lower(),
            "is_open": _Open(service, mounts, site),
            "server": server,
            "site": None if mounts.has(f"{service.path_prefix}/") else site,
        },
    )


def _layers(service: Service[Any]) -> list[Layer]:
    """Return the middleware, the outermost first: the user's own in the order of ``add_asgi_middleware``, then CORS."""
    cors = service.settings.http.cors
    layers: list[Layer] = []
    if cors.enabled:
        given = {
            "allow_origins": cors.access_control_allow_origins,
            "allow_credentials": cors.access_control_allow_credentials,
            "allow_methods": cors.access_control_allow_methods or _METHODS,
            "allow_headers": cors.access_control_allow_headers
            or ("authorization", service.settings.auth.header),
            "allow_origin_regex": cors.access_control_allow_origin_regex,
            "max_age": cors.access_control_max_age,
            "expose_headers": cors.access_control_expose_headers,
        }
        layers.append((CORSMiddleware, {k: v for k, v in given.items() if v is not None}))
    return [*service.middlewares, *layers]


def _pages(service: Service[Any], version: str) -> dict[str, Page]:
    schema = Page(_constant(JSON, json.dumps(service.schema()).encode()))
    # Probes and clients that know nothing of the prefix find these at the root too.
    docs = {f"{service.path_prefix}/docs.json": Page(_Docs(service, version))}
    return docs | {f"{base}/schema.json": schema for base in {"", service.path_prefix}}


def _probes(service: Service[Any], instance: Any) -> dict[str, Page]:
    health = Health(service, instance)
    pages = {"alive": Page(health.alive), "ready": Page(health.ready)}
    return {path: pages[what] for path, what in _probe_paths(service).items()}


def _probe_paths(service: Service[Any]) -> dict[str, str]:
    also = service.settings.endpoints
    livez = None if service.runs_program else also.livez  # it is the program's own
    paths: dict[str | None, str] = {livez: "alive", also.readyz: "ready"}
    for base in {"", service.path_prefix}:
        paths |= {f"{base}/readyz": "ready", f"{base}/livez": "alive", f"{base}/healthz": "alive"}
    return {path: what for path, what in paths.items() if path is not None}


def _metrics_page(
    instance: Any, server: Server, prefix: str, folder: Path | None, tasks: Tasks | None
) -> dict[str, ASGIApp]:
    if server.metrics is None:
        return {}
    where, shared = server.metrics.folder, folder is not None

    async def content() -> Content:
        text = await asyncio.to_thread(render, where, shared=shared)
        text += "" if tasks is None else await tasks.numbers()
        return 200, MEDIA_TYPE, (await rewritten(instance, text)).encode()

    page = Page(content)
    return {f"{base}/metrics": page for base in {"", prefix}}


class _Docs:
    """The OpenAPI description, made when it is first asked for."""

    def __init__(self, service: Service[Any], version: str) -> None:
        self._service = service
        self._version = version
        self._content: Content | None = None

    async def __call__(self) -> Content:
        if self._content is None:
            try:
                document = json.dumps(openapi(self._service, version=self._version)).encode()
                self._content = 200, JSON, document
            except Exception:  # a type of the user's that has no schema must not take the server down
                logger.exception("the OpenAPI description cannot be made")
                self._content = 500, JSON, error_body("Failed to generate OpenAPI spec")
        return self._content


def _constant(media_type: bytes, body: bytes) -> Callable[[], Any]:
    async def content() -> Content:
        return 200, media_type, body

    return content


def _labels(known: Set[str], mounts: Mounts) -> Callable[[Scope], str]:
    def label(scope: Scope) -> str:
        path: str = scope["path"]
        if path in known:
            return path
        found = mounts.find(scope)
        return OTHER if found is None else found.pattern

    return label
