"""AsyncHTTPClient: call the APIs of a service as if they were async methods."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Self, cast

from .address import Address
from .base import BaseClient
from .plan import Endpoint, RequestPlan
from .retries import Options
from .session import END, Session, Stream
from .tasks import AsyncTask, ResultStatus, status_of, task_id_of
from .transport import MAX_CONNECTIONS, AsyncWire, translated

if TYPE_CHECKING:
    import httpx2

__all__ = ["AsyncHTTPClient", "AsyncMethod"]


class AsyncMethod:
    """One API of a service: await it, iterate over it where it is a stream, or submit it where it is a task."""

    def __init__(self, client: AsyncHTTPClient, name: str, endpoint: Endpoint) -> None:
        self._session = client._session
        self._options = client._options
        self._endpoint = endpoint
        self.__name__ = self.__qualname__ = name
        self.__doc__ = endpoint.doc

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what to await for the answer; for a stream, an async iterator over its steps."""
        plan = self._endpoint.request(args, kwargs)
        if self._endpoint.is_stream:
            return _steps(self._session.stream(self._endpoint, plan, self._options))
        return self._session.call(self._endpoint, plan, self._options)

    async def submit(self, *args: Any, **kwargs: Any) -> AsyncTask:
        """Have the API called in the background; takes what the API takes."""
        return await self._task(self._endpoint.submission(args, kwargs))

    async def get_status(self, task_id: str) -> ResultStatus:
        """Ask how far a task is."""
        return status_of(await self._ask(self._endpoint.task("status", task_id)))

    async def get(self, task_id: str) -> Any:
        """Return the result of a task, or raise the error that it ended with."""
        return await self._session.call(self._endpoint, self._endpoint.task("get", task_id), self._options)

    async def cancel(self, task_id: str) -> None:
        """Ask the service not to go on with a task."""
        await self._ask(self._endpoint.task("cancel", task_id))

    async def retry(self, task_id: str) -> AsyncTask:
        """Submit again what a task was given, which gives a new task."""
        return await self._task(self._endpoint.task("retry", task_id))

    async def _task(self, plan: RequestPlan) -> AsyncTask:
        return AsyncTask(task_id_of(await self._ask(plan)), self)

    async def _ask(self, plan: RequestPlan) -> Any:
        return await self._session.ask(plan, self._options)


class AsyncHTTPClient(BaseClient[AsyncMethod]):
    """Call a service from an event loop: ``async with bentoml.AsyncHTTPClient(url) as client: await client.method(...)``.

    It connects, and learns what the service offers, when the block is entered (or ``__aenter__`` is awaited). Its
    arguments, what may be given and what comes back are those of ``SyncHTTPClient``; a stream is an async
    generator. Cancelling a call closes its connection at once.

    Raises:
        RuntimeError: an API is called before the client is connected.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float | None = 30,
        server_ready_timeout: float | None = None,
        retries: int = 0,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.url = url
        address = Address.parse(url)
        self._options = Options(timeout, retries)
        self._ready_timeout = timeout if server_ready_timeout is None else server_ready_timeout
        self._make_wire: Callable[[], AsyncWire] = lambda: AsyncWire(
            address, token=token, timeout=timeout, max_connections=max_connections
        )
        self._session = Session(self._make_wire())

    @classmethod
    def over(cls, make_wire: Callable[[], AsyncWire], options: Options) -> Self:
        """Return a client over connections of another kind; nothing is waited for."""
        client = cls.__new__(cls)
        client._options = options
        client._ready_timeout = 0
        client._make_wire = make_wire
        client._session = Session(make_wire())
        client.url = str(client._wire.address)
        return client

    @property
    def client(self) -> httpx2.AsyncClient:
        """The HTTP client beneath."""
        return self._wire.client

    async def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call the API of this name; a stream gives its async iterator.

        Raises:
            NotFound: the service has no such API.
            TypeError: the arguments are not those of the API.
        """
        endpoint = self._find(name)
        answer = self._method(name, endpoint)(*args, **kwargs)
        return answer if endpoint.is_stream else await answer

    async def request(self, method: str, url: str, **options: Any) -> httpx2.Response:
        """Send a request of your own, with the token; ``options`` are those of the HTTP client's ``request``."""
        address = self._wire.address
        with translated(address, self.timeout):
            return await self.client.request(
                method,
                address.url(url) if url.startswith("/") else url,
                **{"timeout": self.timeout} | options,
            )

    async def is_ready(self, timeout: float | None = None) -> bool:
        """Say whether the server takes requests now; one that cannot be reached does not."""
        limit = self.timeout if timeout is None else timeout
        return await self._session.why_not_ready(limit) is None

    async def wait_until_server_ready(self, timeout: float | None = None) -> None:
        """Return as soon as the server is ready; ``ServiceUnavailable`` if it is not in time."""
        await self._session.wait_until_ready(self.timeout if timeout is None else timeout)

    async def close(self) -> None:
        """Close the connections and remove the files that the service has answered with."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        if self._wire.client.is_closed:  # entered a second time
            self._session = Session(self._make_wire())
        wire = self._wire  # not this client: its methods and streams may outlive it
        weakref.finalize(wire, _forgotten, wire.client, asyncio.get_running_loop()).atexit = False
        try:
            await self._session.connect(self._ready_timeout, self._options)
        except BaseException:
            await self.close()
            raise
        self._name_methods()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    @property
    def _wire(self) -> AsyncWire:
        return cast(AsyncWire, self._session.wire)

    def _method(self, name: str, endpoint: Endpoint) -> AsyncMethod:
        return AsyncMethod(self, name, endpoint)


async def _steps(stream: Stream) -> AsyncIterator[Any]:
    try:
        while (step := await stream.next()) is not END:
            yield step
    finally:
        await stream.close()


def _forgotten(client: httpx2.AsyncClient, loop: asyncio.AbstractEventLoop) -> None:
    """Close connections that nobody has closed, as long as their event loop goes on."""
    if loop.is_running():
        asyncio.run_coroutine_threadsafe(client.aclose(), loop)
