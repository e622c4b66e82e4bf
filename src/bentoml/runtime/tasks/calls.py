"""The tasks of another service, as that service's own code would name them: submitted, asked about, fetched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ...client.aio import AsyncHTTPClient, AsyncMethod
from ...client.base import method_of
from ...client.sync import SyncHTTPClient, SyncMethod
from ...client.tasks import AsyncTask, ResultStatus, Task
from ..agreed import CallPlan, Method, typed

__all__ = ["AwaitedTasks", "BlockingTasks", "Clients"]


class Clients(Protocol):
    """The clients of one service, wherever it runs."""

    def of_threads(self) -> SyncHTTPClient:
        """Return the client that blocks."""

    async def of_loop(self) -> AsyncHTTPClient:
        """Return the client of the running event loop."""


class BlockingTasks(SyncMethod):
    """One task of a service, for code that waits; ``call`` runs it as any API."""

    def __init__(self, clients: Clients, name: str, method: Method | None, call: Callable[..., Any]) -> None:
        self._clients = clients
        self._method = method
        self._call = call
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the API and return what it returns."""
        return self._call(*args, **kwargs)

    def submit(self, *args: Any, **kwargs: Any) -> Task:
        """Have the API called in the background; takes what the API takes."""
        client = self._clients.of_threads()
        plan = CallPlan.of(client.endpoints, self.__name__, self._method, kwargs)
        return Task(method_of(client, plan.name).submit(*args, **plan.kwargs).id, self)

    def get_status(self, task_id: str) -> ResultStatus:
        """Ask how far a task is."""
        return self._far().get_status(task_id)

    def get(self, task_id: str) -> Any:
        """Return the result of a task, or raise the error that it ended with."""
        return typed(self._method, self._far().get(task_id))

    def cancel(self, task_id: str) -> None:
        """Ask the service not to go on with a task."""
        self._far().cancel(task_id)

    def retry(self, task_id: str) -> Task:
        """Submit again what a task was given, which gives a new task."""
        return Task(self._far().retry(task_id).id, self)

    def _far(self) -> SyncMethod:
        name = self.__name__ if self._method is None else self._method.name
        return method_of(self._clients.of_threads(), name)


class AwaitedTasks(AsyncMethod):
    """One task of a service, for coroutines; ``call`` runs it as any API."""

    def __init__(self, clients: Clients, name: str, method: Method | None, call: Callable[..., Any]) -> None:
        self._clients = clients
        self._method = method
        self._call = call
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what to await for the answer of the API."""
        return self._call(*args, **kwargs)

    async def submit(self, *args: Any, **kwargs: Any) -> AsyncTask:
        """Have the API called in the background; takes what the API takes."""
        client = await self._clients.of_loop()
        plan = CallPlan.of(client.endpoints, self.__name__, self._method, kwargs)
        return AsyncTask((await method_of(client, plan.name).submit(*args, **plan.kwargs)).id, self)

    async def get_status(self, task_id: str) -> ResultStatus:
        """Ask how far a task is."""
        return await (await self._far()).get_status(task_id)

    async def get(self, task_id: str) -> Any:
        """Return the result of a task, or raise the error that it ended with."""
        return typed(self._method, await (await self._far()).get(task_id))

    async def cancel(self, task_id: str) -> None:
        """Ask the service not to go on with a task."""
        await (await self._far()).cancel(task_id)

    async def retry(self, task_id: str) -> AsyncTask:
        """Submit again what a task was given, which gives a new task."""
        return AsyncTask((await (await self._far()).retry(task_id)).id, self)

    async def _far(self) -> AsyncMethod:
        name = self.__name__ if self._method is None else self._method.name
        return method_of(await self._clients.of_loop(), name)
