"""HTTP for registries: the one place that knows the HTTP library; retries, redirects, and errors as ours."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..exceptions import BentoMLException, ServiceUnavailable
from .pace import USUAL, Pace

if TYPE_CHECKING:
    import ssl

    import httpx2

__all__ = ["Answer", "Body", "Transport", "check_hop", "is_loopback"]

Body = (
    bytes | Callable[[], Iterable[bytes]] | None
)  # a function gives what is too large to be held, each time anew

_ATTEMPTS = 4
_FIRST_PAUSE = 0.3
_LONGEST_PAUSE = 30.0
_TRY_AGAIN = (408, 429, 500, 502, 503, 504)
_CONNECT_SECONDS = 10.0
_HASTY_SECONDS = 2.0
_READ_SECONDS = 60.0
_STORE_SECONDS = 600.0  # until a registry has stored what it was sent: it may move gigabytes
_MAX_HOPS = 5
_CONNECTIONS = 64
_IDLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; its body is read once, by ``read`` or by ``chunks``."""

    status: int
    headers: Mapping[str, str]
    response: httpx2.Response
    is_from_elsewhere: bool = False  # redirects led to another host than the one that was asked
    pace: Pace = USUAL

    @property
    def url(self) -> str:
        """The address that answered."""
        return str(self.response.url)

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
            ServiceUnavailable: the connection broke, or hardly anything comes.
        """
        import httpx2

        host = self.response.url.host
        try:
            yield from self.pace.held(self.response.iter_raw(), host)
        except httpx2.TransportError as e:
            raise ServiceUnavailable(f"the connection to `{host}` broke: {_reason(e)}") from e


class Transport:
    """Send requests and try again what may succeed later; ``pause`` waits for a number of seconds.

    Several threads may share one. One that is ``hasty`` tries once and waits for seconds only: for what can be done without.
    A body has to come at least at ``pace``.
    """

    def __init__(
        self,
        *,
        pause: Callable[[float], None] = time.sleep,
        hasty: bool = False,
        pace: Pace = USUAL,
    ) -> None:
        self._pause = pause
        self._pace = pace
        self._attempts = 1 if hasty else _ATTEMPTS
        self._connect, self._read = (
            (_HASTY_SECONDS, _HASTY_SECONDS) if hasty else (_CONNECT_SECONDS, _READ_SECONDS)
        )
        self._opened: dict[bool, httpx2.Client] = {}  # by whether it speaks in the clear
        self._lock = threading.Lock()

    @contextmanager
    def send(self, method: str, url: str, headers: Mapping[str, str], body: Body = None) -> Iterator[Answer]:
        """Open the answer to a request; redirects are followed, and another host never sees ``Authorization``.

        A body that is given as a function is sent once, and not where a redirect leads: whoever sends it knows better
        how to go on.

        Raises:
            ServiceUnavailable: the server cannot be reached.
            BentoMLException: it leads where nobody must be led (`check_hop`).
        """
        with ExitStack() as stack:
            yield self._answer(stack, method, url, headers, body)

    def wait(self, attempt: int, asked: str = "") -> bool:
        """Wait after the attempt with this number, counted from 1; return False when it was the last one.

        ``asked`` is the `Retry-After` of the server: a number of seconds, or a date.
        """
        if attempt >= self._attempts:
            return False
        seconds = min(_seconds_of(asked), _LONGEST_PAUSE)
        self._pause(seconds or _FIRST_PAUSE * 2 ** (attempt - 1))
        return True

    def close(self) -> None:
        """Close all connections."""
        for client in self._opened.values():
            client.close()

    def _client(self, url: str) -> httpx2.Client:
        """Return the client for an address, which is made for the first request: much of our work needs none.

        What goes in the clear has one of its own, so that nobody waits for certificates who needs none.
        """
        import ssl

        import httpx2

        is_plain = url.startswith("http://")
        with self._lock:
            if is_plain not in self._opened:
                headers = {"Accept-Encoding": "identity", "User-Agent": "bentoml"}
                limits = httpx2.Limits(
                    max_connections=_CONNECTIONS,
                    max_keepalive_connections=_CONNECTIONS,
                    keepalive_expiry=_IDLE_SECONDS,
                )
                verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_plain else _tls()  # one trusts nobody
                self._opened[is_plain] = httpx2.Client(verify=verify, limits=limits, headers=headers)
            return self._opened[is_plain]

    def _answer(
        self, stack: ExitStack, method: str, url: str, headers: Mapping[str, str], body: Body
    ) -> Answer:
        import httpx2

        attempt, repeatable = 0, not callable(body)
        while True:
            attempt += 1
            try:
                response, elsewhere = self._response(method, url, headers, body)
            except httpx2.InvalidURL as e:
                raise BentoMLException(f"`{url}` is not an address: {e}") from e
            except httpx2.RequestError as e:
                broke = isinstance(e, httpx2.ReadError | httpx2.RemoteProtocolError | httpx2.WriteError)
                if not (broke and repeatable and self.wait(attempt)):
                    host = httpx2.URL(url).netloc.decode()
                    said = f"the connection to `{host}` broke" if broke else f"`{host}` cannot be reached"
                    raise ServiceUnavailable(f"{said}: {_reason(e)}") from e
                continue
            asked = response.headers.get("retry-after", "")
            again = response.status_code in _TRY_AGAIN and repeatable
            if not again or not self.wait(attempt, asked):
                stack.callback(response.close)
                return Answer(response.status_code, response.headers, response, elsewhere, self._pace)
            response.close()

    def _response(
        self, method: str, url: str, headers: Mapping[str, str], body: Body
    ) -> tuple[httpx2.Response, bool]:
        """Return the response at the end of all redirects, and whether that is on another host."""
        import httpx2

        content = body() if callable(body) else body
        patience = self._read if body is None else _STORE_SECONDS
        timeout = httpx2.Timeout(self._read, connect=self._connect, read=patience, pool=None)
        request = self._client(url).build_request(
            method, url, headers=dict(headers), content=content, timeout=timeout
        )
        for _ in range(_MAX_HOPS + 1):
            response = self._client(str(request.url)).send(request, stream=True)
            if callable(body) or response.next_request is None:
                return response, str(response.url.netloc) != str(httpx2.URL(url).netloc)
            response.close()
            check_hop(url, str(response.next_request.url))
            request = response.next_request
        raise BentoMLException(f"`{urlsplit(url).netloc}` redirects without end")


def check_hop(origin: str, target: str) -> None:
    """Refuse to be led from a registry to where a person would not have gone: out of TLS, or into this machine.

    Raises:
        BentoMLException: ``target`` is such a place.
    """
    left, right = urlsplit(origin), urlsplit(target)
    in_the_clear = right.scheme != "https" and (left.scheme == "https" or right.scheme != "http")
    if in_the_clear or (_is_near(right.hostname or "") and not _is_near(left.hostname or "")):
        raise BentoMLException(
            f"registry `{left.netloc}` leads to `{right.scheme}://{right.netloc}`, which is "
            f"{'not https' if in_the_clear else 'this machine'}; that is not followed"
        )


def is_loopback(host: str) -> bool:
    """Say whether a host, with or without a port, is this machine."""
    return _is_near(urlsplit(f"//{host}").hostname or "", ("is_loopback",))


def _is_near(name: str, kinds: Iterable[str] = ("is_loopback", "is_link_local", "is_unspecified")) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(getattr(mapped, kind) for kind in kinds)


@cache
def _tls() -> ssl.SSLContext:
    """Return what checks certificates: it takes a tenth of a second to read them, so they are read once."""
    import httpx2

    return httpx2.create_ssl_context()


def _seconds_of(asked: str) -> float:
    """Return how long a `Retry-After` says to wait; 0 for one that says nothing, or a time that has passed."""
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
