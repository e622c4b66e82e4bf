"""SyncHTTPClient: call the APIs of a service as if they were methods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self, cast

from .address import Address
from .base import BaseClient
from .plan import Endpoint, RequestPlan
from .retries import Options
from .session import END, Session, Stream
from .tasks import ResultStatus, Task, status_of, task_id_of
from .transport import MAX_CONNECTIONS, SyncWire, translated
from .wire import run

if TYPE_CHECKING:
    import httpx2

__all__ = ["SyncHTTPClient", "SyncMethod"]


class SyncMethod:
    """One API of a service: call it, or, where it is a task, submit it."""

    def __init__(self, client: SyncHTTPClient, name: str, endpoint: Endpoint) -> None:
        self._session = client._session
        self._options = client._options
        self._endpoint = endpoint
        self.__name__ = self.__qualname__ = name
        self.__doc__ = endpoint.doc

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the API and return what it returns; for a stream, an iterator over its steps."""
        plan = self._endpoint.request(args, kwargs)
        if self._endpoint.is_stream:
            return _steps(self._session.stream(self._endpoint, plan, self._options))
        return run(self._session.call(self._endpoint, plan, self._options))

    def submit(self, *args: Any, **kwargs: Any) -> Task:
        """Have the API called in the background; takes what the API takes."""
        return self._task(self._endpoint.submission(args, kwargs))

    def get_status(self, task_id: str) -> ResultStatus:
        """Ask how far a task is."""
        return status_of(self._ask(self._endpoint.task("status", task_id)))

    def get(self, task_id: str) -> Any:
        """Return the result of a task, or raise the error that it ended with."""
        return run(self._session.call(self._endpoint, self._endpoint.task("get", task_id), self._options))

    def cancel(self, task_id: str) -> None:
        """Ask the service not to go on with a task."""
        self._ask(self._endpoint.task("cancel", task_id))

    def retry(self, task_id: str) -> Task:
        """Submit again what a task was given, which gives a new task."""
        return self._task(self._endpoint.task("retry", task_id))

    def _task(self, plan: RequestPlan) -> Task:
        return Task(task_id_of(self._ask(plan)), self)

    def _ask(self, plan: RequestPlan) -> Any:
        return run(self._session.ask(plan, self._options))


class SyncHTTPClient(BaseClient[SyncMethod]):
    """Call a service: each of its APIs is a method that takes what the API takes and returns what it returns.

    Files may be given as paths, bytes, open binary files, PIL images or URLs; a file comes back as a path in a folder that
    ``close()`` removes, an image as a PIL image that is also the path of its file, a stream as a generator. An API
    whose name the client has itself is called ``api_<name>``. Threads may share a client.

    Args:
        url: ``http(s)://host:port``, ``tcp://host:port``, or ``file:///path`` of a Unix socket.
        token: sent to this server, and to no other, as ``Authorization: Bearer``. The environment is not read.
        timeout: how long to wait for each answer, in seconds; ``None`` waits for ever.
        server_ready_timeout: how long to wait until the server is ready, by default ``timeout``; 0 does not wait.
        retries: how often a call is sent again whose connection failed, or that the server was too busy for. It may then
            run twice: a call may do something, so that nothing is sent again unless it is asked for.
        max_connections: how many calls may be under way at once; the others wait.

    Raises:
        ServiceUnavailable: the server is not ready in time, or does not answer (``RequestTimeout`` where it is late).
        BentoMLException: the root of whatever a call raises, but for wrong arguments (``TypeError``).
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
        options = Options(timeout, retries)
        wire = SyncWire(Address.parse(url), token=token, timeout=timeout, max_connections=max_connections)
        self._connect(wire, options, timeout if server_ready_timeout is None else server_ready_timeout)

    @classmethod
    def over(cls, wire: SyncWire, options: Options) -> Self:
        """Return a client over connections of another kind; nothing is waited for."""
        client = cls.__new__(cls)
        client.url = str(wire.address)
        client._connect(wire, options, 0)
        return client

    def _connect(self, wire: SyncWire, options: Options, ready_timeout: float | None) -> None:
        session = Session(wire)
        self._options = options
        try:
            run(session.connect(ready_timeout, options))
        except BaseException:
            run(session.close())
            raise
        self._session = session
        self._name_methods()

    @property
    def client(self) -> httpx2.Client:
        """The HTTP client beneath."""
        return self._wire.client

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call the API of this name.

        Raises:
            NotFound: the service has no such API.
            TypeError: the arguments are not those of the API.
        """
        return self._method(name, self._find(name))(*args, **kwargs)

    def request(self, method: str, url: str, **options: Any) -> httpx2.Response:
        """Send a request of your own, with the token; ``options`` are those of the HTTP client's ``request``."""
        address = self._wire.address
        with translated(address, self.timeout):
            return self.client.request(
                method,
                address.url(url) if url.startswith("/") else url,
                **{"timeout": self.timeout} | options,
            )

    def is_ready(self, timeout: float | None = None) -> bool:
        """Say whether the server takes requests now; one that cannot be reached does not."""
        limit = self.timeout if timeout is None else timeout
        return run(self._session.why_not_ready(limit)) is None

    def wait_until_server_ready(self, timeout: float | None = None) -> None:
        """Return as soon as the server is ready.

        Raises:
            ServiceUnavailable: it is not within ``timeout`` seconds (by default those of the client).
        """
        run(self._session.wait_until_ready(self.timeout if timeout is None else timeout))

    def close(self) -> None:
        """Close the connections and remove the files that the service has answered with."""
        run(self._session.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def _wire(self) -> SyncWire:
        return cast(SyncWire, self._session.wire)

    def _method(self, name: str, endpoint: Endpoint) -> SyncMethod:
        return SyncMethod(self, name, endpoint)


def _steps(stream: Stream) -> Iterator[Any]:
    try:
        while (step := run(stream.next())) is not END:
            yield step
    finally:
        run(stream.close())
