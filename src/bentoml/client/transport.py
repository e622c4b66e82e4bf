"""The wire: the one module that knows the HTTP library; its errors become ours here."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import httpx2

from .. import __version__
from ..exceptions import BentoMLException, InvalidArgument, ServiceUnavailable
from .address import Address
from .plan import RequestPlan
from .uploads import Upload

__all__ = ["Answer", "SyncTransport"]


class Answer:
    """What a server sent; the body is read as it is asked for."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers

    @property
    def ok(self) -> bool:
        """Whether the server did what was asked."""
        return self._response.is_success

    def read(self) -> bytes:
        """Return the whole body."""
        return self._response.read()

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes from the network."""
        return self._response.iter_bytes()


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


class SyncTransport:
    """Send requests to one server over kept connections."""

    def __init__(self, address: Address, *, token: str | None, timeout: float | None) -> None:
        self.address = address
        self.client = httpx2.Client(
            headers={"User-Agent": f"BentoML HTTP Client/{__version__}"},
            auth=_Token(token, httpx2.URL(address.origin)) if token else None,
            timeout=timeout, follow_redirects=True, base_url=address.url("/"),
            transport=httpx2.HTTPTransport(uds=address.socket) if address.socket else None,
        )  # fmt: skip

    @contextmanager
    def send(self, plan: RequestPlan) -> Iterator[Answer]:
        """Send a request; the connection is in use until the block ends.

        Raises:
            ServiceUnavailable: the server cannot be reached, does not answer in time, or breaks off.
        """
        with ExitStack() as opened:
            request = self.client.build_request(
                "POST", self.address.url(plan.route), **_content(plan, opened)
            )
            with self._translated():
                response = self.client.send(request, stream=True)
                opened.callback(response.close)
                yield Answer(response)

    def get(self, route: str, *, timeout: float | None) -> tuple[int, bytes]:
        """Return status and body of a page of the server."""
        with self._translated():
            response = self.client.get(self.address.url(route), timeout=timeout)
        return response.status_code, response.content

    def request(self, method: str, url: str, **options: Any) -> httpx2.Response:
        """Send a request of the caller's own and return the HTTP library's response."""
        target = self.address.url(url) if url.startswith("/") else url
        with self._translated():
            return self.client.request(method, target, **options)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as e:
            raise _error(e, self.address) from e


def _content(plan: RequestPlan, opened: ExitStack) -> dict[str, Any]:
    """Return a plan's body as the HTTP library wants it; files that it opens are closed with ``opened``."""
    if isinstance(plan.body, tuple):
        return {"files": [(field.name, _part(field.value, opened)) for field in plan.body]}
    body = _stream(plan.body, opened) if isinstance(plan.body, Upload) else plan.body
    return {"content": body, "headers": {"Content-Type": plan.media_type} if plan.media_type else {}}


def _part(value: Upload | bytes, opened: ExitStack) -> tuple[str | None, bytes | BinaryIO, str | None]:
    if isinstance(value, bytes):
        return None, value, None
    return value.filename, _stream(value, opened), value.media_type


def _stream(upload: Upload, opened: ExitStack) -> bytes | BinaryIO:
    content = upload.content
    if isinstance(content, Path):
        return opened.enter_context(content.open("rb"))
    if isinstance(content, bytes):
        return content
    if not content.seekable():  # its length is not known beforehand, as that of a pipe
        return content.read()
    content.seek(0)
    return content


def _error(error: Exception, address: Address) -> BentoMLException:
    if isinstance(error, httpx2.TimeoutException):
        seconds = error.request.extensions["timeout"]["read"]
        return ServiceUnavailable(f"`{address}` did not answer within {seconds:g} seconds")
    if isinstance(error, httpx2.ConnectError):
        return ServiceUnavailable(f"`{address}` cannot be reached: {error}; is the server running?")
    if isinstance(error, httpx2.TransportError) and not isinstance(error, httpx2.UnsupportedProtocol):
        return ServiceUnavailable(f"the connection to `{address}` broke: {error or type(error).__name__}")
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return InvalidArgument(f"the request to `{address}` cannot be sent: {error}")
    return BentoMLException(f"the request to `{address}` failed: {error}")
