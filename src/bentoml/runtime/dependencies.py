"""Dependencies at an address: another server's APIs, called through the clients as if the service were here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ..client.aio import AsyncHTTPClient
from ..client.sync import SyncHTTPClient
from ..sdk.context import request_context
from ..sdk.dependency import Dependency
from ..sdk.service import Service
from .agreed import CallPlan, Method, typed
from .tasks.calls import AwaitedTasks, BlockingTasks
from .telemetry.propagation import trace_headers

__all__ = ["RemoteService", "remote"]

C = TypeVar("C", AsyncHTTPClient, SyncHTTPClient)

_TIMEOUT = 60.0
_SLACK = 1.01  # the other server's own answer, 504, should come first


def remote(dependency: Dependency[Any]) -> RemoteService:
    """Return what stands for a dependency that has an address; nothing is sent yet."""
    assert dependency.url is not None
    return RemoteService(dependency.url, dependency.on)


class RemoteService:
    """Stand for a service at an address: ``dep.to_async.method(...)``, ``dep.to_sync.method(...)``, and, where its class
    is known, ``dep.method(...)``, which blocks or is awaited as the method is written.

    With the class, results have the types that its methods declare, and keywords that they do not declare are dropped,
    as in one process. Without it results are what JSON has.
    """

    def __init__(self, url: str, on: Service[Any] | None) -> None:
        self.url = url
        self.name = on.name if on is not None else url
        self._apis = {m.attribute: m for m in on.apis.values()} if on is not None else None
        timeout = (on.settings.traffic.timeout if on is not None else _TIMEOUT) * _SLACK
        self._connections = _Connections(url, timeout)
        self.to_async = _Calls(self, self._awaited)
        self.to_sync = _Calls(self, self._blocking)

    def method(self, name: str) -> Method | None:
        """Return the API of this name, or None where the class is not known; ``AttributeError`` if it has none."""
        if self._apis is None:
            return None
        if name not in self._apis:
            known = ", ".join(f"`{n}`" for n in sorted(self._apis))
            raise AttributeError(f"service `{self.name}` has no API `{name}`; it has {known or 'none'}")
        return self._apis[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        method = self.method(name)
        if method is None:
            raise AttributeError(
                f"how to call `{name}` of `{self.url}` is not known: write `to_async.{name}` or `to_sync.{name}`, or name "
                "its class by `bentoml.depends(Service, url=...)`"
            )
        return getattr(self.to_async if method.is_async else self.to_sync, name)

    async def is_ready(self, timeout: float) -> bool:
        """Tell whether the other server takes requests."""
        client = AsyncHTTPClient(self.url, timeout=timeout)
        try:
            return await client.is_ready(timeout)
        finally:
            await client.close()

    async def close(self) -> None:
        """Close the connections of this event loop and those of threads."""
        await self._connections.close()

    def _awaited(self, name: str) -> Callable[..., Any]:
        method = self.method(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            pending = _Pending(self._connections, name, method, args, kwargs)
            if method is not None:
                return pending.steps() if method.is_stream else pending.value()
            return pending

        may_be_task = method is None or method.is_task
        return AwaitedTasks(self._connections, name, method, call) if may_be_task else call

    def _blocking(self, name: str) -> Callable[..., Any]:
        method = self.method(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            client = _for_this_request(self._connections.of_threads())
            plan = CallPlan.of(client.endpoints, name, method, kwargs)
            answer = client.call(plan.name, *args, **plan.kwargs)
            return _typed_steps(method, answer) if plan.is_stream else typed(method, answer)

        may_be_task = method is None or method.is_task
        return BlockingTasks(self._connections, name, method, call) if may_be_task else call


class _Calls:
    """Give each API as an attribute."""

    def __init__(self, service: RemoteService, make: Callable[[str], Callable[..., Any]]) -> None:
        self._service = service
        self._make = make

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        call = self.__dict__[name] = self._make(name)
        return call


class _Pending:
    """A call whose kind the other server knows: await it, or iterate over it where it is a stream."""

    def __init__(
        self,
        connections: _Connections,
        name: str,
        method: Method | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._connections = connections
        self._name = name
        self._method = method
        self._args = args
        self._kwargs = kwargs

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.value().__await__()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.steps()

    async def value(self) -> Any:
        """Return the answer."""
        return typed(self._method, await self._answer())

    async def steps(self) -> AsyncIterator[Any]:
        """Yield the steps of the answer."""
        async with aclosing(await self._answer()) as steps:
            async for step in steps:
                yield typed(self._method, step)

    async def _answer(self) -> Any:
        client = _for_this_request(await self._connections.of_loop())
        plan = CallPlan.of(client.endpoints, self._name, self._method, self._kwargs)
        return await client.call(plan.name, *self._args, **plan.kwargs)


class _Connections:
    """The clients of one address: one for each event loop, and one that threads share. They are made on first use."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._lock = threading.Lock()
        self._sync: SyncHTTPClient | None = None
        self._async: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncHTTPClient] = WeakKeyDictionary()

    def of_threads(self) -> SyncHTTPClient:
        """Return the client that blocks."""
        with self._lock:
            if self._sync is None:
                made = SyncHTTPClient(self._url, timeout=self._timeout, server_ready_timeout=0)
                self._sync = made.with_headers(trace_headers)
            return self._sync

    async def of_loop(self) -> AsyncHTTPClient:
        """Return the client of the running event loop; several calls may begin before it is there."""
        loop = asyncio.get_running_loop()
        client = self._async.get(loop)
        if client is None:
            made = await AsyncHTTPClient(
                self._url, timeout=self._timeout, server_ready_timeout=0
            ).__aenter__()
            made = made.with_headers(trace_headers)
            client = self._async.setdefault(loop, made)
            if client is not made:
                await made.close()
        return client

    async def close(self) -> None:
        """Close those of threads and of the running event loop."""
        with self._lock:
            blocking, self._sync = self._sync, None
        if blocking is not None:
            blocking.close()
        client = self._async.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()


def _for_this_request(client: C) -> C:
    """Return a client whose files are those of the request that is being answered, and go with it."""
    request = request_context.get(None)
    return client if request is None else client.keeping_files_in(Path(request.temp_dir))


def _typed_steps(method: Method | None, steps: Generator[Any]) -> Iterator[Any]:
    with closing(steps):
        for step in steps:
            yield typed(method, step)
