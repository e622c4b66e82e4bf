"""Dependency: one service used by another, as if it were a local object wherever it runs."""

from __future__ import annotations

import pkgutil
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast, overload

from ..exceptions import BentoMLConfigException, BentoMLException
from .proxy import Loops, ServiceProxy, TaskDesk

if TYPE_CHECKING:
    from .service import Service

__all__ = ["Dependency", "LocalServices", "Resolver", "depends"]

T = TypeVar("T")

RESOLVER = "__bentoml_resolver__"

_URL = re.compile(r"(https?|tcp|file)://.")

# The clients lie above the SDK, which must not import them; what calls by them is loaded when an address is used.
_REMOTE = "bentoml.runtime.dependencies:remote"


class Resolver(Protocol):
    """Find what stands for a dependency: an instance of this process, another process, an address."""

    def resolve(self, dependency: Dependency[Any]) -> Any:
        """Return an object with the methods of the service, and ``to_async`` and ``to_sync``."""
        ...


class Remote(Protocol):
    """Stand for a service at an address."""

    async def is_ready(self, timeout: float) -> bool:
        """Tell whether it takes requests, within so many seconds."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Dependency(Generic[T]):
    """Name a service that another one needs; on an instance it gives what stands for that service."""

    def __init__(
        self,
        on: Service[T] | None = None,
        *,
        url: str | None = None,
        deployment: str | None = None,
        cluster: str | None = None,
    ) -> None:
        self.on = on
        self.url = url
        self.deployment = deployment
        self.cluster = cluster

    @property
    def is_local(self) -> bool:
        """Whether the service is made here, rather than found at an address."""
        return self.url is None and self.deployment is None

    @overload
    def __get__(self, instance: None, owner: type) -> Dependency[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> ServiceProxy[T]: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            return self
        resolver = getattr(instance, RESOLVER, None)
        if resolver is None:  # the class was instantiated without its service
            resolver = LocalServices()
            setattr(instance, RESOLVER, resolver)
        return resolver.resolve(self)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"Dependency must be accessed as a class attribute: use `self.<name>.{name}` of an instance"
        )


class LocalServices:
    """Resolve dependencies to instances of this process; services that share a dependency share its instance.

    ``instances`` are those that were made so far, by the name of their service, in the order in which they were made;
    ``remotes`` stand for the services at an address, by this address and the class that it is taken for; ``desks`` take
    tasks, by the name of their service, once the server runs them.
    """

    def __init__(self) -> None:
        self._loops = Loops()
        self._lock = threading.RLock()  # a service that is being made may itself make the ones it needs
        self._proxies: dict[str, ServiceProxy[Any]] = {}
        self.instances: dict[str, Any] = {}
        self.remotes: dict[tuple[str, str | None], Remote] = {}
        self.desks: dict[str, TaskDesk] = {}

    def start(self, service: Service[T]) -> T:
        """Return a new instance of a service that is about to take requests; all that it depends on is made before it.

        Raises:
            BentoMLConfigException: services depend on one another in a circle.
        """
        self._make_dependencies(service, ())
        return service.create(self)

    def _make_dependencies(self, service: Service[Any], above: tuple[str, ...]) -> None:
        trail = (*above, service.name)
        if service.name in above:
            raise BentoMLConfigException(f"services depend on one another in a circle: {' -> '.join(trail)}")
        for dependency in service.dependencies.values():
            if dependency.is_local and dependency.on is not None:
                self._make_dependencies(dependency.on, trail)
            if dependency.deployment is None:
                self.resolve(dependency)

    def resolve(self, dependency: Dependency[Any]) -> Any:
        """Return the proxy of a dependency; its service is instantiated on first use, and one at an address called there.

        Raises:
            BentoMLException: the dependency is a deployment.
        """
        if dependency.deployment is not None:
            raise BentoMLException(
                f"dependency on deployment `{dependency.deployment}`: there is no cloud that knows where it is; give its "
                'address by `bentoml.depends(Service, url="https://...")`'
            )
        if dependency.url is not None:
            return self._remote(dependency)
        return self.proxy(cast("Service[Any]", dependency.on))

    async def close(self) -> None:
        """Close the connections to services at an address."""
        for remote in self.remotes.values():
            await remote.close()

    def _remote(self, dependency: Dependency[Any]) -> Remote:
        key = (cast(str, dependency.url), None if dependency.on is None else dependency.on.name)
        with self._lock:
            if key not in self.remotes:
                self.remotes[key] = pkgutil.resolve_name(_REMOTE)(dependency)
            return self.remotes[key]

    def proxy(self, service: Service[T]) -> ServiceProxy[T]:
        """Return the proxy of a service; it is instantiated on first use."""
        found = self._proxies.get(service.name)
        if found is not None:
            return found
        with self._lock:
            if service.name not in self._proxies:
                instance = self.instances[service.name] = service.create(self)
                self._proxies[service.name] = service.proxy(instance, self._loops, self.desks)
            return self._proxies[service.name]


@overload
def depends(
    on: Callable[[], T],
    *,
    url: str | None = None,
    deployment: str | None = None,
    cluster: str | None = None,
) -> Dependency[T]: ...
@overload
def depends(
    on: None = None, *, url: str | None = None, deployment: str | None = None, cluster: str | None = None
) -> Dependency[Any]: ...
def depends(
    on: Callable[[], Any] | None = None,
    *,
    url: str | None = None,
    deployment: str | None = None,
    cluster: str | None = None,
) -> Dependency[Any]:
    """Use another service: a class attribute ``other = bentoml.depends(Other)`` gives ``self.other.method(...)``.

    Raises:
        ValueError: neither a service nor a URL nor a deployment is given, or the URL is none.
        TypeError: ``on`` is not a service; a class becomes one by ``@bentoml.service``.
    """
    if on is None and url is None and deployment is None:
        raise ValueError("depends() needs a service, a url or a deployment")
    if url is not None and not (isinstance(url, str) and _URL.match(url)):
        raise ValueError(f"depends() takes a url such as `http://host:3000`, not `{url}`")
    if on is not None and not hasattr(on, "all_services"):
        raise TypeError(f"depends() expects a class decorated with @bentoml.service, not `{on!r}`")
    return Dependency(cast("Service[Any] | None", on), url=url, deployment=deployment, cluster=cluster)
