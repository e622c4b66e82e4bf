"""Service: a class whose methods are an API, with the settings it is run by."""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, overload

from ..config import environment
from ..exceptions import BentoMLConfigException
from ..store.models import Model
from .configuration.sections import ServiceConfig
from .configuration.settings import ServiceSettings, read_declaration
from .dependency import RESOLVER, Dependency, LocalServices, Resolver
from .hooks import HookKind, hooks_of
from .image import Image
from .method import APIMethod
from .mounting import bind_routes, declared_mounts, mounted_app, mounted_paths, wsgi_as_asgi
from .openapi import openapi
from .proxy import Loops, ServiceProxy, TaskDesk
from .references import BentoModel, HuggingFaceModel

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from ..store.bentos import Bento

__all__ = ["Service", "get_current_service", "service", "set_current_service"]

T = TypeVar("T")

# The runtime lies above the SDK, which must not import it; what is asked for by name is loaded when it is called.
_ASGI = "bentoml.runtime.app:standalone_app"
_SERVE = "bentoml.runtime.process.background:serve"


class Service(Generic[T]):
    """What ``@bentoml.service`` makes of a class; calling it gives an instance, as calling the class would."""

    def __init__(
        self,
        inner: type[T],
        *,
        name: str | None = None,
        image: Image | None = None,
        description: str | None = None,
        path_prefix: str = "",
        envs: Sequence[Mapping[str, str]] = (),
        labels: Mapping[str, str] | None = None,
        cmd: Sequence[str] | None = None,
        config: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        namespace: Mapping[str, Any] | None = None,
    ) -> None:
        declared, variables = read_declaration(
            name or inner.__name__,
            envs,
            description=description,
            path_prefix=path_prefix,
            labels=labels,
            cmd=cmd,
        )
        if image is not None and not isinstance(image, Image):
            raise BentoMLConfigException(
                f"`image` of service `{declared.name}` is a `bentoml.images.Image`, not {image!r}"
            )
        self.inner = inner
        self.name = declared.name
        self.image = image
        self.description = declared.description
        self.path_prefix = _prefix(declared.path_prefix)
        self.envs = [dataclasses.asdict(env) for env in variables]
        self.labels = dict(declared.labels or {})
        self.cmd = None if declared.cmd is None else list(declared.cmd)
        self.config = dict(config or {})
        self.settings = ServiceSettings.build(self.name, self.config, env)
        self.doc = inspect.getdoc(inner) if inner.__doc__ else None
        self.mount_apps: list[tuple[ASGIApp, str, str]] = [*declared_mounts(inner)]
        self.middlewares: list[tuple[type, dict[str, Any]]] = []
        self.working_dir = ""
        self.import_string = ""
        self.bento: Bento | None = None
        members = {name: inspect.getattr_static(inner, name) for name in dir(inner)}
        self._models = [m for m in members.values() if isinstance(m, Model | BentoModel)]
        self.hub_models = [m for m in members.values() if isinstance(m, HuggingFaceModel)]
        self.dependencies: dict[str, Dependency[Any]] = {
            name: m for name, m in members.items() if isinstance(m, Dependency)
        }
        self.apis = self._apis(members, namespace or {})
        if any(method.is_task for method in self.apis.values()):
            self._expect_tasks()
        self.all_services()  # a conflict of names is an error now

    def __call__(self) -> T:
        """Return a new instance; its dependencies are instances in this process, made on first use."""
        return self.create(LocalServices())

    def create(self, resolver: Resolver) -> T:
        """Return a new instance whose dependencies are what ``resolver`` gives."""
        instance = self.inner.__new__(self.inner)
        desks = resolver.desks if isinstance(resolver, LocalServices) else {}
        own = self.proxy(instance, Loops(), desks)
        given = {RESOLVER: resolver, "to_async": own.to_async, "to_sync": own.to_sync, "bento_service": self}
        for name, value in given.items():
            if not hasattr(self.inner, name):
                object.__setattr__(instance, name, value)  # whatever the class does about its own attributes
        instance.__init__()  # type: ignore[misc]  # the dependencies must be there while it runs
        return instance

    def proxy(self, instance: T, loops: Loops, desks: Mapping[str, TaskDesk]) -> ServiceProxy[T]:
        """Return what stands for an instance of this service in another one of the same process."""
        threads = self.settings.threads
        return ServiceProxy(self.name, self.apis, instance, threads=threads, loops=loops, desk=desks.get)

    def all_services(self) -> dict[str, Service[Any]]:
        """Return this service and all that it depends on, by name.

        Raises:
            BentoMLConfigException: two different services have one name.
        """
        found: dict[str, Service[Any]] = {}
        waiting: list[Service[Any]] = [self]
        while waiting:
            one = waiting.pop(0)
            known = found.setdefault(one.name, one)
            if known is not one:
                raise BentoMLConfigException(
                    f"Dependency conflict: two different services are named `{one.name}`; give one another name by "
                    '`@bentoml.service(name="...")`'
                )
            needed = [d.on for d in one.dependencies.values() if d.on is not None]
            waiting.extend(s for s in needed if found.get(s.name) is not s and s not in waiting)
        return found

    def find_dependent_by_name(self, name: str) -> Service[Any]:
        """Return the service of this name among this one and its dependencies; ``ValueError`` if there is none."""
        services = self.all_services()
        if name not in services:
            raise ValueError(f"service `{name}` is not among {', '.join(f'`{n}`' for n in services)}")
        return services[name]

    def find_dependent_by_path(self, path: str) -> Service[Any]:
        """Return the service at the end of attributes like ``dep.inner``; ``ValueError`` if one of them is no dependency."""
        found: Service[Any] = self
        for name in path.split("."):
            dependency = found.dependencies.get(name)
            if dependency is None or dependency.on is None:
                known = ", ".join(f"`{n}`" for n in found.dependencies) or "none"
                raise ValueError(f"service `{found.name}` has no dependency `{name}`; it has {known}")
            found = dependency.on
        return found

    @property
    def models(self) -> list[Model]:
        """The models of the store that are attributes of the class; ``hub_models`` are those on Hugging Face.

        Raises:
            NotFound: a ``BentoModel`` is not in the store.
        """
        return [m.stored if isinstance(m, BentoModel) else m for m in self._models]

    @property
    def runs_program(self) -> bool:
        """Whether the service is another program, which answers what the class does not."""
        return self.cmd is not None or hasattr(self.inner, "__command__")

    @property
    def openapi_spec(self) -> dict[str, Any]:
        """What `/docs.json` says of this service."""
        version = None if self.bento is None else self.bento.tag.version
        return openapi(self, version=version)

    @property
    def url(self) -> str | None:
        """Where the service is, as far as its settings say."""
        http = self.settings.http
        scheme = "https" if self.settings.ssl.enabled else "http"
        return f"{scheme}://{http.host}:{http.port}{self.path_prefix}"

    async def get_hosts(self) -> list[str]:
        """Return the addresses of this service: there is one, and it is in the settings."""
        return [f"{self.settings.http.host}:{self.settings.http.port}"]

    def inject_config(self, env: Mapping[str, str] | None = None) -> None:
        """Read the overrides in the environment again, as when the class was decorated.

        Raises:
            BentoMLConfigException: the configuration is not valid.
        """
        self.settings = ServiceSettings.build(self.name, self.config, environment() if env is None else env)

    def serve_http(self, *, blocking: bool = True, **options: Any) -> Any:
        """Serve this service as ``bentoml.serve`` does: ``host``, ``port``, ``working_dir``, ... are its options."""
        return pkgutil.resolve_name(_SERVE)(self, blocking=blocking, **options)

    def hooks(self, kind: HookKind) -> list[tuple[str, Callable[..., Any]]]:
        """Return the hooks of a kind; those of ``deployment`` take no argument, the others take the instance."""
        return hooks_of(self.inner, kind)

    def schema(self) -> dict[str, Any]:
        """Return what `/schema.json` says of this service."""
        self.bind_mounts()
        schema: dict[str, Any] = {
            "name": self.name,
            "type": "service",
            "routes": [self._route(name, method) for name, method in self.apis.items()],
            "paths": {self.path_prefix + path: {"mounted": True} for path in self._mounted_paths()}
            | {self.path_prefix + method.route: {"mounted": False} for method in self.apis.values()},
        }
        return schema | ({"description": self.doc} if self.doc else {})

    def to_asgi(self) -> ASGIApp:
        """Return the application that serves this service, for another ASGI server or Starlette's ``TestClient``.

        The instance is made when the server runs the ASGI lifespan: write ``with TestClient(service.to_asgi()) as client``.
        """
        app: ASGIApp = pkgutil.resolve_name(_ASGI)(self)
        return app

    def mount_asgi_app(self, app: ASGIApp, path: str = "/", name: str | None = None) -> None:
        """Serve another ASGI application beside the APIs, under a path.

        Raises:
            InvalidArgument: the path does not begin with ``/``.
        """
        self.mount_apps.append(mounted_app(app, path, name))

    def mount_wsgi_app(self, app: Callable[..., Any], path: str = "/", name: str | None = None) -> None:
        """Serve a WSGI application (Flask, Django) beside the APIs, under a path.

        Raises:
            InvalidArgument: the path does not begin with ``/``.
            MissingDependencyException: the extra `wsgi` is not installed.
        """
        self.mount_asgi_app(wsgi_as_asgi(app), path, name or type(app).__name__)

    def bind_mounts(self) -> None:
        """Give the routes of mounted applications that are functions of the class their ``self``."""
        for app, _, _ in self.mount_apps:
            bind_routes(self.inner, app)

    def add_asgi_middleware(self, middleware: type, **options: Any) -> None:
        """Wrap the application of this service in a middleware."""
        if not callable(middleware):
            raise TypeError(f"a middleware is a class that takes an application, not `{middleware!r}`")
        self.middlewares.append((middleware, options))

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type[T]]:
        """Let ``class Better(Good)`` inherit from the class of a service, which is what ``Good`` looks like."""
        return (self.inner,)

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"Service(name={self.name!r})"

    def _apis(
        self, members: Mapping[str, Any], namespace: Mapping[str, Any]
    ) -> dict[str, APIMethod[..., Any]]:
        apis: dict[str, APIMethod[..., Any]] = {}
        routes: dict[str, str] = {}
        for method in (m for m in members.values() if isinstance(m, APIMethod)):
            if method.name in apis or method.route in routes:
                other = routes.get(method.route, method.name)
                raise BentoMLConfigException(
                    f"APIs `{other}` and `{method.name}` of service `{self.name}` have the same name or the same "
                    f"route `{method.route}`; change one of them"
                )
            method.resolve(namespace)
            apis[method.name] = method
            routes[method.route] = method.name
        return apis

    def _expect_tasks(self) -> None:
        """Say that requests may wait outside of the workers, each of which runs one task at a time unless it says more."""
        traffic = self.settings.traffic
        traffic = dataclasses.replace(traffic, external_queue=True, concurrency=traffic.concurrency or 1)
        self.settings = dataclasses.replace(self.settings, traffic=traffic)
        given = self.config.get("traffic") or {}
        self.config["traffic"] = {"concurrency": 1, **given, "external_queue": True}

    def _route(self, name: str, method: APIMethod[..., Any]) -> dict[str, Any]:
        return {
            "name": name,
            "route": self.path_prefix + method.route,
            "batchable": method.batchable,
            "input": method.input.schema(),
            "output": method.output.schema(),
            "is_task": method.is_task,
        }

    def _mounted_paths(self) -> list[str]:
        return [path for app, base, _ in self.mount_apps for path in mounted_paths(app, base)]


class _CurrentService:
    instance: Any = None


def set_current_service(instance: Any) -> None:
    """Say which instance this process serves; None when it serves no more."""
    _CurrentService.instance = instance


def get_current_service() -> Any:
    """Return the instance that this process serves, or None outside a worker."""
    return _CurrentService.instance


@overload
def service(inner: type[T], /) -> Service[T]: ...
@overload
def service(
    *,
    name: str | None = None,
    image: Image | None = None,
    description: str | None = None,
    path_prefix: str = "",
    envs: Sequence[Mapping[str, str]] = (),
    labels: Mapping[str, str] | None = None,
    cmd: Sequence[str] | None = None,
    service_class: type[Service[Any]] = ...,
    **config: Unpack[ServiceConfig],
) -> Callable[[type[T]], Service[T]]: ...
def service(inner: Any = None, /, *, service_class: type[Service[Any]] = Service, **options: Any) -> Any:
    """Make a class a service: ``@bentoml.service`` or ``@bentoml.service(name=..., traffic={"timeout": 10}, ...)``.

    Raises:
        TypeError: it is a service already, or not a class, or ``service_class`` is none of services.
        BentoMLConfigException: the configuration is not valid; the message names every mistake.
    """
    named = {key: options.pop(key) for key in _NAMED if key in options}

    def decorate(cls: Any) -> Service[Any]:
        if isinstance(cls, Service):
            raise TypeError("service() decorator can only be applied once")
        if not isinstance(cls, type):
            raise TypeError(f"@bentoml.service goes on a class, not on `{cls!r}`")
        if not (isinstance(service_class, type) and issubclass(service_class, Service)):
            raise TypeError(f"service_class is a class below `bentoml.Service`, not `{service_class!r}`")
        return service_class(cls, config=options, env=environment(), namespace=_local_names(), **named)

    def _local_names() -> Mapping[str, Any]:
        """Return the names around the decorated class, for annotations that are strings."""
        frame = sys._getframe(2 + (inner is not None))
        return {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)

    return decorate if inner is None else decorate(inner)


_NAMED = ("name", "image", "description", "path_prefix", "envs", "labels", "cmd")


def _prefix(path: str) -> str:
    stripped = path.strip("/")
    return f"/{stripped}" if stripped else ""
