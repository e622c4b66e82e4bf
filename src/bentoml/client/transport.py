"""Transport: the one module that knows the HTTP library; its errors become ours here."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import httpx2

from .. import __version__
from ..exceptions import BentoMLException, InvalidArgument, RequestTimeout
from .address import Address
from .body import Body
from .failures import BrokenConnection, Unreachable
from .wire import Answer

__all__ = ["MAX_CONNECTIONS", "AsyncWire", "SyncWire"]

T = TypeVar("T")

MAX_CONNECTIONS = 100
_KEPT_SECONDS = 4  # a second less than servers keep a connection that is not in use


class SyncWire:
    """Send requests to one server over kept connections, from any thread; a forked process gets its own."""

    def __init__(
        self,
        address: Address,
        *,
        token: str | None = None,
        timeout: float | None = 30,
        max_connections: int = MAX_CONNECTIONS,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.address = address
        self._options = _options(address, token, timeout, max_connections)
        self._transport = transport
        self._open()

    def _open(self) -> None:
        transport = self._transport
        if transport is None and self.address.socket:
            limits = self._options["limits"]
            transport = httpx2.HTTPTransport(uds=self.address.socket, verify=_LateTLS(), limits=limits)
        self._client = httpx2.Client(**self._options, transport=transport)
        weakref.finalize(self, self._client.close)  # for clients that nobody closes
        self._elsewhere: httpx2.Client | None = None
        self._process = os.getpid()

    @property
    def client(self) -> httpx2.Client:
        """The HTTP client."""
        if (
            self._process != os.getpid()
        ):  # connections cannot be shared with the process that this one was forked from
            self._open()
        return self._client

    async def send(
        self, method: str, url: str, body: Body | None, headers: Mapping[str, str], timeout: float | None
    ) -> Answer:
        """Send a request; blocks until the head of the answer is here."""
        content = None if body is None else _Pieces(body) if body.in_files else body.in_memory()
        with translated(self.address, timeout):
            request = self.client.build_request(
                method,
                self.address.url(url),
                content=content,
                headers=_headers(headers, body),
                timeout=timeout,
            )
            return _SyncAnswer(self.client.send(request, stream=True), self.address, timeout)

    async def fetch(self, url: str, timeout: float | None) -> Answer:
        """Ask for something that lies elsewhere; blocks."""
        if self._elsewhere is None:
            self._elsewhere = httpx2.Client(follow_redirects=True, headers=_AGENT, verify=_LateTLS())
            weakref.finalize(self, self._elsewhere.close)
        place = Address(url.partition("?")[0])  # what comes after may be a secret
        with translated(place, timeout):
            request = self._elsewhere.build_request("GET", url, timeout=timeout)
            return _SyncAnswer(self._elsewhere.send(request, stream=True), place, timeout)

    async def sleep(self, seconds: float) -> None:
        """Block."""
        time.sleep(seconds)

    async def work(self, function: Callable[..., T], *args: Any) -> T:
        """Call the function."""
        return function(*args)

    async def close(self) -> None:
        """Close the connections."""
        self.shut()

    def shut(self) -> None:
        """Close the connections."""
        if self._process == os.getpid():
            self._client.close()
            if self._elsewhere is not None:
                self._elsewhere.close()


class AsyncWire:
    """Send requests to one server over kept connections, on one event loop."""

    def __init__(
        self,
        address: Address,
        *,
        token: str | None = None,
        timeout: float | None = 30,
        max_connections: int = MAX_CONNECTIONS,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.address = address
        options = _options(address, token, timeout, max_connections)
        if transport is None and address.socket:
            transport = httpx2.AsyncHTTPTransport(
                uds=address.socket, verify=_LateTLS(), limits=options["limits"]
            )
        self.client = httpx2.AsyncClient(**options, transport=transport)
        self._elsewhere: httpx2.AsyncClient | None = None

    async def send(
        self, method: str, url: str, body: Body | None, headers: Mapping[str, str], timeout: float | None
    ) -> Answer:
        """Send a request; returns when the head of the answer is here."""
        content = None if body is None else _AsyncPieces(body) if body.in_files else body.in_memory()
        with translated(self.address, timeout):
            request = self.client.build_request(
                method,
                self.address.url(url),
                content=content,
                headers=_headers(headers, body),
                timeout=timeout,
            )
            return _AsyncAnswer(await self.client.send(request, stream=True), self.address, timeout)

    async def fetch(self, url: str, timeout: float | None) -> Answer:
        """Ask for something that lies elsewhere."""
        if self._elsewhere is None:
            self._elsewhere = httpx2.AsyncClient(follow_redirects=True, headers=_AGENT, verify=_LateTLS())
        place = Address(url.partition("?")[0])  # what comes after may be a secret
        with translated(place, timeout):
            request = self._elsewhere.build_request("GET", url, timeout=timeout)
            return _AsyncAnswer(await self._elsewhere.send(request, stream=True), place, timeout)

    async def sleep(self, seconds: float) -> None:
        """Let others work."""
        await asyncio.sleep(seconds)

    async def work(self, function: Callable[..., T], *args: Any) -> T:
        """Call the function in a thread."""
        return await anyio.to_thread.run_sync(function, *args)

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()
        if self._elsewhere is not None:
            await self._elsewhere.aclose()


class _SyncAnswer:
    def __init__(self, response: httpx2.Response, address: Address, timeout: float | None) -> None:
        self._response = response
        self._address = address
        self._timeout = timeout
        self._pieces: Iterator[bytes] | None = None
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        with translated(self._address, self._timeout):
            return self._response.read()

    async def piece(self) -> bytes | None:
        if self._pieces is None:
            self._pieces = self._response.iter_bytes()
        with translated(self._address, self._timeout):
            return next(self._pieces, None)

    async def close(self) -> None:
        self._response.close()


class _AsyncAnswer:
    def __init__(self, response: httpx2.Response, address: Address, timeout: float | None) -> None:
        self._response = response
        self._address = address
        self._timeout = timeout
        self._pieces: AsyncIterator[bytes] | None = None
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        with translated(self._address, self._timeout):
            return await self._response.aread()

    async def piece(self) -> bytes | None:
        if self._pieces is None:
            self._pieces = self._response.aiter_bytes()
        with translated(self._address, self._timeout):
            return await anext(self._pieces, None)

    async def close(self) -> None:
        if isinstance(self._pieces, AsyncGenerator):
            await self._pieces.aclose()
        await self._response.aclose()


class _Pieces:
    """A body that is read from its beginning each time that it is sent."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return self._body.pieces()


class _AsyncPieces:
    """The same for an event loop, which goes on while a file is read."""

    def __init__(self, body: Body) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = self._body.pieces()
        while (piece := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
            yield piece


class _Token(httpx2.Auth):
    """Send a token to one server, and to no other that a request or a redirect names."""

    def __init__(self, token: str, server: httpx2.URL) -> None:
        self._header = f"Bearer {token}"
        self._server = server

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Add the header to a request to the server; the HTTP library takes it off where a redirect leads away."""
        if request.url.origin == self._server.origin:
            request.headers["Authorization"] = self._header
        yield request


class _LateTLS(ssl.SSLContext):
    """The certificates that this machine trusts, read when the first connection needs them: to most servers none does."""

    def __new__(cls) -> _LateTLS:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Begin TLS on a socket."""
        return httpx2.create_ssl_context().wrap_socket(*args, **kwargs)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Begin TLS for an event loop."""
        return httpx2.create_ssl_context().wrap_bio(*args, **kwargs)


_AGENT = {"User-Agent": f"BentoML HTTP Client/{__version__}"}


def _options(
    address: Address, token: str | None, timeout: float | None, max_connections: int
) -> dict[str, Any]:
    return {
        "headers": _AGENT,
        "auth": _Token(token, httpx2.URL(address.origin)) if token else None,
        "timeout": timeout,
        "follow_redirects": True,
        "base_url": address.url("/"),
        "limits": httpx2.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=_KEPT_SECONDS,
        ),
        "verify": True if address.origin.startswith("https:") else _LateTLS(),
    }


def _headers(headers: Mapping[str, str], body: Body | None) -> dict[str, str]:
    described = dict(headers)
    if body is not None:
        described["Content-Length"] = str(body.length)
        if body.media_type is not None:
            described["Content-Type"] = body.media_type
    return described


@contextmanager
def translated(address: Address, timeout: object) -> Iterator[None]:
    """Raise the errors of the HTTP library as ours."""
    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as e:
        raise _error(e, address, timeout) from e


def _error(error: Exception, address: Address, timeout: object) -> BentoMLException:
    if isinstance(error, httpx2.PoolTimeout):
        return RequestTimeout(
            f"no connection to `{address}` was free {_within(timeout)}; give the client more "
            "`max_connections`, or close streams that are not read to their end"
        )
    if isinstance(error, httpx2.TimeoutException):
        return RequestTimeout(f"`{address}` did not answer {_within(timeout)}")
    if isinstance(error, httpx2.ConnectError):
        return Unreachable(f"`{address}` cannot be reached: {error}; is the server running?")
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL | httpx2.LocalProtocolError):
        return InvalidArgument(f"the request to `{address}` cannot be sent: {error}")
    if isinstance(error, httpx2.TransportError):
        return BrokenConnection(f"the connection to `{address}` broke: {error or type(error).__name__}")
    return BentoMLException(f"the request to `{address}` failed: {error}")


def _within(timeout: object) -> str:
    return f"within {timeout:g} seconds" if isinstance(timeout, int | float) else "in time"
