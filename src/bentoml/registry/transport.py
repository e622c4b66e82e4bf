"""HTTP for registries: the one place that knows the HTTP library; retries, and errors as ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ..exceptions import BentoMLException, ServiceUnavailable

if TYPE_CHECKING:
    import ssl

    import httpx2

__all__ = ["Answer", "Transport"]

_ATTEMPTS = 4
_FIRST_PAUSE = 0.3
_LONGEST_PAUSE = 30.0
_TRY_AGAIN = (408, 429, 500, 502, 503, 504)
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; its body is read once, by ``read`` or by ``chunks``."""

    status: int
    headers: Mapping[str, str]
    response: httpx2.Response

    @property
    def is_from_elsewhere(self) -> bool:
        """Whether redirects led to another host than the one that was asked."""
        history = self.response.history
        return bool(history) and history[0].url.netloc != self.response.url.netloc

    def read(self, limit: int) -> bytes:
        """Return the body.

        Raises:
            BentoMLException: it is longer than ``limit`` bytes.
        """
        body = bytearray()
        for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                raise BentoMLException(
                    f"`{self.response.url.host}` sent more than {limit} bytes for a document"
                )
        return bytes(body)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives, without its content encoding undone.

        Raises:
            ServiceUnavailable: the connection broke.
        """
        import httpx2

        try:
            yield from self.response.iter_raw()
        except httpx2.TransportError as e:
            raise ServiceUnavailable(
                f"the connection to `{self.response.url.host}` broke: {_reason(e)}"
            ) from e


class Transport:
    """Send requests and try again what may succeed later; ``pause`` waits for a number of seconds."""

    def __init__(self, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._pause = pause
        self._opened: httpx2.Client | None = None

    @contextmanager
    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Iterator[Answer]:
        """Open the answer to a request; redirects are followed, and another host never sees ``Authorization``.

        Raises:
            ServiceUnavailable: the server cannot be reached.
        """
        with ExitStack() as stack:
            yield self._answer(stack, method, url, headers, body)

    def wait(self, attempt: int, asked: str = "") -> bool:
        """Wait after the attempt with this number, counted from 1; return False when it was the last one.

        ``asked`` is the `Retry-After` of the server; one that is a date is not understood.
        """
        if attempt >= _ATTEMPTS:
            return False
        seconds = min(float(asked), _LONGEST_PAUSE) if asked.isdigit() else 0.0
        self._pause(seconds or _FIRST_PAUSE * 2 ** (attempt - 1))
        return True

    def close(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            self._opened.close()

    def _client(self) -> httpx2.Client:
        """Return the client, which is made for the first request: much of our work needs none."""
        import httpx2

        if self._opened is None:
            timeout = httpx2.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
            headers = {"Accept-Encoding": "identity", "User-Agent": "bentoml"}
            self._opened = httpx2.Client(
                verify=_tls(), timeout=timeout, follow_redirects=True, max_redirects=5, headers=headers
            )
        return self._opened

    def _answer(
        self, stack: ExitStack, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        import httpx2

        attempt = 0
        while True:
            attempt += 1
            try:
                request = self._client().stream(method, url, headers=dict(headers), content=body)
                response = request.__enter__()
            except httpx2.InvalidURL as e:
                raise BentoMLException(f"`{url}` is not an address: {e}") from e
            except httpx2.RequestError as e:
                broke = isinstance(e, httpx2.ReadError | httpx2.RemoteProtocolError | httpx2.ReadTimeout)
                if not (broke and self.wait(attempt)):
                    host = httpx2.URL(url).netloc.decode()
                    raise ServiceUnavailable(f"`{host}` cannot be reached: {_reason(e)}") from e
                continue
            asked = response.headers.get("retry-after", "")
            if response.status_code not in _TRY_AGAIN or not self.wait(attempt, asked):
                stack.push(request)
                return Answer(response.status_code, response.headers, response)
            request.__exit__(None, None, None)


@cache
def _tls() -> ssl.SSLContext:
    """Return what checks certificates: it takes a tenth of a second to read them, so they are read once."""
    import httpx2

    return httpx2.create_ssl_context()


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
