"""Test a service in this process: a client on its real application, without a socket, a port or another process."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from anyio.from_thread import start_blocking_portal

from .client.address import Address
from .client.aio import AsyncHTTPClient
from .client.inprocess import AppTransport, PortalTransport
from .client.retries import Options
from .client.sync import SyncHTTPClient
from .client.transport import AsyncWire, SyncWire
from .config import environment
from .runtime.app import AppOptions, create_app
from .runtime.http.lifespan import running
from .sdk.configuration.settings import ServiceSettings
from .sdk.service import Service

__all__ = ["async_client", "client"]

_ADDRESS = Address.parse("http://localhost")


@contextmanager
def client(
    service: Callable[[], object],
    *,
    dependencies: Mapping[str, object] | None = None,
    settings: Mapping[str, Any] | None = None,
    token: str | None = None,
    timeout: float | None = 30,
    retries: int = 0,
) -> Iterator[SyncHTTPClient]:
    """Start a service and give a client on it: ``with bentoml.testing.client(Summarizer) as client: ...``.

    The requests go through the real application: hooks, validation, limits, streams and errors are those of a server.
    What the service raises while it starts is raised here. It runs on an event loop in a thread of its own.

    Args:
        service: a class with ``@bentoml.service``.
        dependencies: what stands for the service's own ``bentoml.depends(...)``, by the name of the attribute: any
            object with the methods that are called, such as a mock.
        settings: sections of the configuration over those of the decorator, as ``{"traffic": {"timeout": 1}}``.
        token: sent as ``Authorization: Bearer``.
        timeout: how long to wait for each answer, in seconds.
        retries: how often a call is tried again.
    """
    variant = _variant(service, dependencies, settings)
    app: Any = create_app(variant, options=AppOptions(access_log=False, env=environment()))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_deployed(variant, app)):
        wire = SyncWire(_ADDRESS, token=token, timeout=timeout, transport=PortalTransport(app, portal))
        with SyncHTTPClient.over(wire, Options(timeout, retries)) as opened:
            yield opened


@asynccontextmanager
async def async_client(
    service: Callable[[], object],
    *,
    dependencies: Mapping[str, object] | None = None,
    settings: Mapping[str, Any] | None = None,
    token: str | None = None,
    timeout: float | None = 30,
    retries: int = 0,
) -> AsyncIterator[AsyncHTTPClient]:
    """Start a service on the running event loop and give an async client on it; see ``client``."""
    variant = _variant(service, dependencies, settings)
    app: Any = create_app(variant, options=AppOptions(access_log=False, env=environment()))
    async with _deployed(variant, app):
        over = AsyncHTTPClient.over(
            lambda: AsyncWire(_ADDRESS, token=token, timeout=timeout, transport=AppTransport(app)),
            Options(timeout, retries),
        )
        async with over as opened:
            yield opened


@asynccontextmanager
async def _deployed(service: Service[Any], app: Any) -> AsyncIterator[None]:
    """Run the deployment hooks, as the first worker of a server does, and then the application."""
    for one in service.all_services().values():
        for _, hook in one.hooks("deployment"):
            result = hook()
            if inspect.isawaitable(result):
                await result
    async with running(app):
        yield


def _variant(
    service: Callable[[], object],
    dependencies: Mapping[str, object] | None,
    settings: Mapping[str, Any] | None,
) -> Service[Any]:
    """Return the service with what the test changes of it; the service itself stays as it is."""
    if not isinstance(service, Service):
        raise TypeError(f"`{service!r}` is not a service; decorate the class with @bentoml.service")
    variant = copy.copy(service)
    if dependencies:
        _replace_dependencies(variant, dependencies)
    if settings is not None:
        variant.config = _merged(service.config, settings)
        variant.settings = ServiceSettings.build(service.name, variant.config)
    return variant


def _replace_dependencies(service: Service[Any], given: Mapping[str, object]) -> None:
    if unknown := [name for name in given if name not in service.dependencies]:
        known = ", ".join(f"`{name}`" for name in service.dependencies) or "none"
        raise ValueError(f"service `{service.name}` has no dependency `{unknown[0]}`; it has {known}")
    fakes = {name: _Fake(fake, service.dependencies[name].on) for name, fake in given.items()}
    service.dependencies = {name: d for name, d in service.dependencies.items() if name not in given}
    inner = service.inner
    about = {"__module__": inner.__module__, "__qualname__": inner.__qualname__, "__doc__": inner.__doc__}
    service.inner = type(inner.__name__, (inner,), {**about, **fakes})


def _merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(config)
    for key, value in changes.items():
        mine = merged.get(key)
        merged[key] = (
            _merged(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


class _Fake:
    """Stand for a dependency: what a test gives, called as the service that it replaces is called.

    Where that service has an async API, the result may be awaited, even if the object's own method is not async.
    Keywords that its API does not declare are dropped, as the real one drops them.
    """

    def __init__(self, target: object, service: Service[Any] | None) -> None:
        self.target = target
        self.to_async = _Calls(self, _as_async)
        self.to_sync = _Calls(self, _as_sync)
        self.apis = {} if service is None else {m.attribute: m for m in service.apis.values()}

    def is_stream(self, name: str) -> bool:
        return name in self.apis and self.apis[name].is_stream

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        method = self.apis.get(name)
        if method is None or not method.is_async:
            return self.call(name)
        return _as_async(self.call(name), method.is_stream)

    def call(self, name: str) -> Any:
        """Return what is called for an API, as the test's object has it; any other attribute as it is."""
        target = getattr(self.target, name)
        if name not in self.apis:
            return target
        declared = inspect.signature(self.apis[name].func).parameters
        if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in declared.values()):
            return target
        return lambda *args, **kwargs: target(*args, **{n: v for n, v in kwargs.items() if n in declared})


class _Calls:
    def __init__(self, fake: _Fake, convert: Callable[[Any, bool], Any]) -> None:
        self._fake = fake
        self._convert = convert

    def __getattr__(self, name: str) -> Any:
        return self._convert(self._fake.call(name), self._fake.is_stream(name))


def _as_async(call: Callable[..., Any], is_stream: bool) -> Callable[..., Any]:
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        value = call(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        steps = call(*args, **kwargs)
        if hasattr(steps, "__aiter__"):
            async for step in steps:
                yield step
        else:
            for step in steps:
                yield step

    return stream if is_stream else awaited


def _as_sync(call: Callable[..., Any], is_stream: bool) -> Callable[..., Any]:
    async def collected(steps: AsyncIterator[Any]) -> list[Any]:
        return [step async for step in steps]

    def blocking(*args: Any, **kwargs: Any) -> Any:
        value = call(*args, **kwargs)
        if is_stream and hasattr(value, "__aiter__"):
            return iter(asyncio.run(collected(value)))
        return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value

    return blocking


async def _awaited(value: Any) -> Any:
    return await value
