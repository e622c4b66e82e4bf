"""Other applications beside the APIs: how a service declares them, and how their routes get its instance as ``self``."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..exceptions import InvalidArgument, MissingDependencyException

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = [
    "MountedApp",
    "asgi_app",
    "bind_routes",
    "declared_mounts",
    "mount_asgi_app",
    "mounted_app",
    "mounted_paths",
    "serving",
    "wsgi_as_asgi",
]

C = TypeVar("C")

_MOUNTS = "__bentoml_mounts__"
_BOUND = "__bentoml_bound__"

serving: ContextVar[Any] = ContextVar("bentoml.serving")  # the instance whose mounted application is called


class MountedApp(NamedTuple):
    """An application, the path it is under (beside the service's own prefix), and its name."""

    app: ASGIApp
    path: str
    name: str


def mounted_app(app: ASGIApp, path: str, name: str | None) -> MountedApp:
    """Return an application to mount.

    Raises:
        InvalidArgument: the path does not begin with ``/``.
        TypeError: what is mounted cannot be called.
    """
    if not callable(app):
        raise TypeError(f"an application is mounted, which can be called, not `{app!r}`")
    if not isinstance(path, str) or not path.startswith("/"):
        raise InvalidArgument(f"the path of a mounted application begins with `/`, unlike `{path}`")
    return MountedApp(app, "/" + path.strip("/"), name or type(app).__name__)


def asgi_app(app: ASGIApp, path: str = "/", name: str | None = None) -> Callable[[C], C]:
    """Mount an ASGI application on a service: a decorator above or below ``@bentoml.service``.

    Routes of a FastAPI application that are defined with the functions of the class get the instance as ``self``.

    Raises:
        InvalidArgument: the path does not begin with ``/``.
    """
    mount = mounted_app(app, path, name)

    def decorate(target: C) -> C:
        add = getattr(target, "mount_asgi_app", None)
        if add is not None and not isinstance(target, type):
            add(*mount)
        elif not isinstance(target, type):
            raise TypeError(f"@bentoml.asgi_app goes on a class or a service, not on `{target!r}`")
        else:
            setattr(target, _MOUNTS, [*vars(target).get(_MOUNTS, ()), mount])
        return target

    return decorate


def mount_asgi_app(app: ASGIApp, path: str = "/", name: str | None = None) -> Callable[[C], C]:
    """Do what ``bentoml.asgi_app`` does, under the name that it had before 1.4; it goes away in 2.0."""
    warnings.warn("use `bentoml.asgi_app` for `bentoml.mount_asgi_app`", DeprecationWarning, stacklevel=2)
    return asgi_app(app, path, name)


def declared_mounts(cls: type) -> list[MountedApp]:
    """Return what decorators below ``@bentoml.service`` mounted, those of base classes first."""
    return [mount for base in reversed(cls.__mro__) for mount in vars(base).get(_MOUNTS, ())]


def wsgi_as_asgi(app: Callable[..., Any]) -> ASGIApp:
    """Return an ASGI application that calls a WSGI one (Flask, Django) in threads.

    Raises:
        MissingDependencyException: the extra `wsgi` is not installed.
    """
    if not callable(app):
        raise TypeError(f"a WSGI application is mounted, which can be called, not `{app!r}`")
    try:
        from a2wsgi import WSGIMiddleware
    except ImportError as e:
        raise MissingDependencyException(
            "WSGI applications need `a2wsgi`; install it with `pip install 'bentoml[wsgi]'`"
        ) from e
    wrapped: ASGIApp = WSGIMiddleware(app)  # type: ignore[assignment]  # its own types of the same protocol

    async def unambiguous(scope: Scope, receive: Receive, send: Send) -> None:
        """Drop headers with an underscore: WSGI cannot tell ``X_User`` from an ``X-User`` that a proxy vouches for."""
        if scope["type"] == "http":
            scope = {**scope, "headers": [header for header in scope["headers"] if b"_" not in header[0]]}
        await wrapped(scope, receive, send)

    return unambiguous


def mounted_paths(app: ASGIApp, base: str) -> list[str]:
    """Return the paths, or patterns of paths, that an application answers under ``base``; one without routes has all."""
    paths = [base.rstrip("/") + path for path in _patterns(app)] if hasattr(app, "routes") else [base]
    return [path or "/" for path in dict.fromkeys(paths)]


def _patterns(app: Any) -> Iterator[str]:
    for route in app.routes:
        contexts = getattr(
            route, "effective_route_contexts", None
        )  # a router that FastAPI includes when it is asked
        for one in [route] if contexts is None else contexts():
            path = getattr(one, "path", None)
            if path is not None:
                yield path


def bind_routes(cls: type, app: ASGIApp) -> None:
    """Give the routes of a FastAPI application that are functions of a class their ``self``: the instance being served.

    Such a route was made before there was an instance, so that FastAPI took ``self`` for a parameter of the query. It is
    told that ``self`` is a dependency, and the route is made again from what it says about itself. Routes that were bound
    before are left alone: routers may be included later, so this is called again when the service starts.
    """
    functions = set(_functions(cls))
    for router, route in _routes(app, set()):
        endpoint = getattr(route, "endpoint", None)
        if not hasattr(route, "dependant") or hasattr(route, _BOUND) or not inspect.isfunction(endpoint):
            continue
        if endpoint in functions and _bind(endpoint):
            _remake(route, router)
            setattr(route, _BOUND, True)


def _functions(cls: type) -> Iterator[Callable[..., Any]]:
    """Yield the functions of a class, and those that other decorators wrapped."""
    for base in cls.__mro__:
        for member in vars(base).values():
            while inspect.isfunction(member):
                yield member
                member = getattr(member, "__wrapped__", None)


def _routes(app: Any, seen: set[int]) -> Iterator[tuple[Any, Any]]:
    """Yield each route with the router that has it, those of included routers and mounted applications too."""
    router = getattr(app, "router", app)
    if id(router) in seen:
        return
    seen.add(id(router))
    for route in list(getattr(router, "routes", None) or ()):
        yield router, route
        for inner in (getattr(route, "original_router", None), getattr(route, "app", None)):
            yield from _routes(inner, seen)


def _bind(function: Callable[..., Any]) -> bool:
    """Make ``self`` a dependency in what a function says of itself; return whether it has a ``self``."""
    from fastapi import Depends

    signature = inspect.signature(function)
    itself = signature.parameters.get("self")
    if itself is None:
        return False
    if itself.default is inspect.Parameter.empty:  # else it was bound for another route
        itself = itself.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=Depends(_instance))
        others = [p for p in signature.parameters.values() if p.name != "self"]
        named = [p for p in others if p.kind is not inspect.Parameter.VAR_KEYWORD]
        function.__signature__ = signature.replace(  # type: ignore[attr-defined]  # as `inspect` has it: PEP 362
            parameters=[*named, itself, *others[len(named) :]]
        )
    return True


def _remake(route: Any, router: Any) -> None:
    made = type(route).__init__
    given = {
        name: getattr(route, name, getattr(router, name, None))
        for name in inspect.signature(made).parameters
        if hasattr(route, name) or hasattr(router, name)
    }
    made(route, **given)


async def _instance() -> Any:
    return serving.get()
