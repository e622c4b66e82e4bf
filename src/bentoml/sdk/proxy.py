"""Calls between services of one process: sync and async methods, each callable from either side.

What runs event loops is imported by the first call: a service that is only described, as by a build, makes none.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ..exceptions import BentoMLException
from .method import APIMethod

if TYPE_CHECKING:
    import asyncio

    import anyio

__all__ = ["Calls", "Loops", "ServiceProxy", "TaskDesk"]

T = TypeVar("T")
R = TypeVar("R")

Method = APIMethod[..., Any]
Call = Callable[..., Any]

_END = object()
_OF_TASKS = ("submit", "get_status", "get", "cancel", "retry")


class Loops:
    """Know on which event loop the coroutines of a service run when sync code waits for them.

    That is the loop in which the service was made, so that what it holds open stays usable; without one, or where
    waiting would block that very loop, it is a loop in a thread of our own.
    """

    def __init__(self) -> None:
        self._home = _running_loop()
        self._own: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine to its end and return its result."""
        import asyncio

        home = self._home
        if home is None or not home.is_running() or home is _running_loop():
            home = self._own_loop()
        return asyncio.run_coroutine_threadsafe(coroutine, home).result()

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        import asyncio

        with self._lock:
            if self._own is None:
                self._own = asyncio.new_event_loop()
                threading.Thread(target=self._own.run_forever, name="bentoml-calls", daemon=True).start()
            return self._own


class TaskDesk(Protocol):
    """Where the tasks of one service are submitted and asked about; ``call`` is what runs one as any API."""

    def blocking(self, name: str, call: Call) -> Any:
        """Return a task for code that waits."""
        ...

    def awaited(self, name: str, call: Call) -> Any:
        """Return a task for coroutines."""
        ...


FindDesk = Callable[[str], TaskDesk | None]


class TaskCall:
    """A task of another service: called as any API, or submitted and asked about where there is a desk by then."""

    def __init__(self, service: str, call: Call, task: Callable[[], Any]) -> None:
        functools.update_wrapper(self, call)
        self._service = service
        self._call = call
        self._task = task

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it now."""
        return self._call(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name not in _OF_TASKS:
            raise AttributeError(f"a task has {', '.join(f'`{n}`' for n in _OF_TASKS)}, and no `{name}`")
        task = self._task()
        if task is None:
            raise BentoMLException(
                f"`{name}` of a task needs a server: here is nobody who runs the tasks of service `{self._service}`"
            )
        return getattr(task, name)


class Calls:
    """Give each API of a service as an attribute; a call is made when it is first asked for."""

    def __init__(self, service: str, apis: Mapping[str, Method], make: Callable[[Method], Call]) -> None:
        self._service = service
        self._apis = {method.attribute: method for method in apis.values()}
        self._make = make

    def __getattr__(self, name: str) -> Any:  # what is called; a task has more than that
        method = self._apis.get(name)
        if method is None:
            known = ", ".join(f"`{n}`" for n in sorted(self._apis))
            raise AttributeError(f"service `{self._service}` has no API `{name}`; it has {known or 'none'}")
        call = self._make(method)
        self.__dict__[name] = call  # from now on it is found without coming here
        return call


class ServiceProxy(Generic[T]):
    """Stand for a dependency: ``dep.method(...)`` calls it as it is written, a sync one blocks, an async one is awaited.

    ``dep.to_async.method(...)`` is always awaited (a stream: iterated by ``async for``), ``dep.to_sync.method(...)``
    always blocks. Attributes that are no API are those of ``instance``, the service's own object (an API of one of these
    three names is called through ``to_sync`` or ``to_async``). ``desk`` finds who takes tasks of a service, by its name.
    """

    def __init__(
        self,
        service: str,
        apis: Mapping[str, Method],
        instance: T,
        *,
        threads: int,
        loops: Loops,
        desk: FindDesk = lambda _: None,
    ) -> None:
        import anyio

        limiter = anyio.CapacityLimiter(threads)

        def awaited(method: Method) -> Call:
            return self._task(method, as_async(method, instance, limiter), is_async=True)

        def blocking(method: Method) -> Call:
            return self._task(method, as_sync(method, instance, loops), is_async=False)

        self.instance = instance
        self.to_async = Calls(service, apis, awaited)
        self.to_sync = Calls(service, apis, blocking)
        self._service = service
        self._desk = desk
        self._apis = {method.attribute: method for method in apis.values()}

    def __getattr__(self, name: str) -> Any:
        method = self._apis.get(name)
        if method is None:
            return getattr(self.instance, name)
        call = self._task(method, method.tolerant(self.instance), is_async=method.is_async)
        self.__dict__[name] = call
        return call

    def _task(self, method: Method, call: Call, *, is_async: bool) -> Call:
        if not method.is_task:
            return call

        def task() -> Any:
            desk = self._desk(self._service)
            if desk is None:
                return None
            return (desk.awaited if is_async else desk.blocking)(method.attribute, call)

        return TaskCall(self._service, call, task)


def as_async(method: Method, instance: object, limiter: anyio.CapacityLimiter) -> Call:
    """Return a method to be awaited; a sync one runs in a thread, at most so many at once as the limiter allows."""
    import asyncio

    import anyio
    import anyio.to_thread

    call = method.tolerant(instance)
    if method.is_async:
        return call
    in_thread = functools.partial(anyio.to_thread.run_sync, limiter=limiter)

    @functools.wraps(method.func)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        # A caller that is cancelled goes on at once; the thread keeps its place until it is done.
        return await asyncio.shield(in_thread(functools.partial(call, *args, **kwargs)))

    @functools.wraps(method.func)
    async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        steps = iter(await in_thread(functools.partial(call, *args, **kwargs)))
        try:
            while (step := await in_thread(next, steps, _END)) is not _END:
                yield step
        finally:
            if hasattr(steps, "close"):
                with anyio.CancelScope(shield=True):
                    await in_thread(steps.close)

    return stream if method.is_stream else awaited


def as_sync(method: Method, instance: object, loops: Loops) -> Call:
    """Return a method that blocks until it is done; an async one runs on its event loop."""
    call = method.tolerant(instance)
    if not method.is_async:
        return call

    @functools.wraps(method.func)
    def blocking(*args: Any, **kwargs: Any) -> Any:
        return loops.run(call(*args, **kwargs))

    @functools.wraps(method.func)
    def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
        steps = call(*args, **kwargs)
        if inspect.iscoroutine(steps):
            steps = loops.run(steps)
        try:
            while (step := loops.run(_next(steps))) is not _END:
                yield step
        finally:
            if hasattr(steps, "aclose"):
                loops.run(steps.aclose())

    return stream if method.is_stream else blocking


async def _next(steps: AsyncIterator[Any]) -> Any:
    return await anext(steps, _END)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
