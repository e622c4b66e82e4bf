"""SyncHTTPClient: call the APIs of a service as if they were methods."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from ..exceptions import BentoMLException, NotFound, ServiceUnavailable
from .address import Address
from .downloads import file_value, save
from .failures import failure
from .plan import Endpoint, RequestPlan, endpoints_of, method_names
from .transport import SyncTransport

if TYPE_CHECKING:
    import httpx2

__all__ = ["SyncHTTPClient"]

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_PROBE_SECONDS = 5.0


class SyncHTTPClient:
    """Call a service: each of its APIs is a method that takes what the API takes and returns what it returns.

    Files may be given as paths, bytes, open binary files or PIL images; a file comes back as a path in a folder that
    ``close()`` removes, an image as a PIL image, a stream as a generator. An API whose name the client has itself
    is called ``api_<name>``.

    Args:
        url: ``http(s)://host:port``, ``tcp://host:port``, or ``file:///path`` of a Unix socket.
        token: sent to this server, and to no other, as ``Authorization: Bearer``. The environment is not read.
        timeout: how long to wait for each answer, in seconds; ``None`` waits for ever.
        server_ready_timeout: how long to wait until the server is ready, by default ``timeout``; 0 does not wait.

    Raises:
        ServiceUnavailable: the server is not ready in time, or does not answer.
        BentoMLException: the root of whatever a call raises, but for wrong arguments (``TypeError``).
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float | None = 30,
        server_ready_timeout: float | None = None,
    ) -> None:
        self.url = url
        self.timeout = timeout
        self._transport = SyncTransport(Address.parse(url), token=token, timeout=timeout)
        with ExitStack() as opened:
            opened.callback(self._transport.close)
            if server_ready_timeout != 0:
                self.wait_until_server_ready(server_ready_timeout)
            self.endpoints: Mapping[str, Endpoint] = endpoints_of(self._schema())
            self._methods = method_names(self.endpoints, {*dir(type(self)), *self.__dict__})
            self._folder = Path(opened.enter_context(TemporaryDirectory(prefix="bentoml-client-")))
            self._opened = opened.pop_all()

    @property
    def client(self) -> httpx2.Client:
        """The HTTP client beneath."""
        return self._transport.client

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call the API of this name.

        Raises:
            NotFound: the service has no such API.
            TypeError: the arguments are not those of the API.
        """
        if name not in self.endpoints:
            raise NotFound(
                f"Endpoint {name} not found; the service has {', '.join(self.endpoints) or 'none'}"
            )
        return self._call(self.endpoints[name], args, kwargs)

    def request(self, method: str, url: str, **options: Any) -> httpx2.Response:
        """Send a request of your own, with the token; ``options`` are those of the HTTP client's ``request``."""
        return self._transport.request(method, url, **options)

    def is_ready(self, timeout: float | None = None) -> bool:
        """Say whether the server takes requests now; one that cannot be reached does not."""
        return self._not_ready(self.timeout if timeout is None else timeout) is None

    def wait_until_server_ready(self, timeout: float | None = None) -> None:
        """Return as soon as the server is ready.

        Raises:
            ServiceUnavailable: it is not within ``timeout`` seconds (by default those of the client).
        """
        limit = self.timeout if timeout is None else timeout
        deadline = None if limit is None else time.monotonic() + limit
        pause = _FIRST_PAUSE
        while reason := self._not_ready(_remaining(deadline, _PROBE_SECONDS)):
            if deadline is not None and time.monotonic() >= deadline:
                raise ServiceUnavailable(f"Server is not ready after {limit:g} seconds: {reason}")
            time.sleep(_remaining(deadline, pause))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def close(self) -> None:
        """Close the connections and remove the files that the service has answered with."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        methods: Mapping[str, Endpoint] = self.__dict__.get("_methods", {})
        if name not in methods:
            apis = f"; the service has {', '.join(methods)}" if methods else ""
            raise AttributeError(f"'{type(self).__name__}' has no attribute or API '{name}'{apis}")
        endpoint = methods[name]

        def method(*args: Any, **kwargs: Any) -> Any:
            return self._call(endpoint, args, kwargs)

        method.__name__ = method.__qualname__ = name
        method.__doc__ = endpoint.doc
        return method

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__dict__.get("_methods", {})})

    def _call(self, endpoint: Endpoint, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        plan = endpoint.request(args, kwargs)
        if endpoint.is_stream:
            return self._stream(endpoint, plan)
        with self._transport.send(plan) as answer:
            if answer.ok and endpoint.gives_file(answer.headers):
                path = save(answer.pieces(), self._folder, answer.headers)
                return file_value(path, endpoint.output)
            return endpoint.response(answer.status, answer.headers, answer.read())

    def _stream(self, endpoint: Endpoint, plan: RequestPlan) -> Iterator[Any]:
        with self._transport.send(plan) as answer:
            if not answer.ok:
                raise failure(answer.status, answer.read(), plan.route)
            chunks = endpoint.chunks()
            for piece in answer.pieces():
                yield from chunks.feed(piece)
            yield from chunks.end()

    def _schema(self) -> Mapping[str, Any]:
        page = f"`{self._transport.address}/schema.json`"
        status, body = self._transport.get("/schema.json", timeout=self.timeout)
        if status != 200:
            error = failure(status, body, "/schema.json")
            raise BentoMLException(
                f"Failed to fetch schema from {page}: {error}", error_code=error.error_code
            )
        try:
            schema: Mapping[str, Any] = json.loads(body)
        except ValueError as e:
            raise BentoMLException(f"Failed to fetch schema from {page}: it is not JSON") from e
        return schema

    def _not_ready(self, timeout: float | None) -> str | None:
        """Return why the server does not take requests, or nothing when it does."""
        try:
            status, body = self._transport.get("/readyz", timeout=timeout)
        except ServiceUnavailable as e:
            return str(e)
        if status == 200:
            return None
        return f"`{self._transport.address}/readyz` answered {status} {body.decode(errors='replace').strip()}"


def _remaining(deadline: float | None, longest: float) -> float:
    """Return the seconds left until the deadline: no more than ``longest``, and never quite none."""
    return longest if deadline is None else min(longest, max(0.001, deadline - time.monotonic()))
