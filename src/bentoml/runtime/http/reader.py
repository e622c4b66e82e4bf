"""The bytes of one connection as requests: parsed, held to the limits of a head, each begun as an exchange."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import httptools

from ...sdk.configuration.sections import Limits
from .exchange import Exchange, Line, Message
from .heads import Headers, Refused, check, is_handshake, path_of, size, target, too_long, written

__all__ = ["BODY", "HEAD", "IDLE", "NEVER", "Reader"]

IDLE, HEAD, BODY = range(3)  # what is being read: nothing, the head of a request, its body
NEVER = float("inf")
_HIGH_WATER = 1 << 18  # bytes of a body that may wait for the application; beyond them reading pauses
_SLASH = ord("/")
# What the application is told of each request, besides what is the same for all of its connection.
_OF_REQUEST = ("http_version", "method", "path", "raw_path", "query_string", "headers", "state")


class Owner(Line, Protocol):
    """The connection, as its reader sees it."""

    loop: asyncio.AbstractEventLoop
    deadline: float  # until when what is being read must have come
    paused: bool  # nothing is read, until somebody takes what came

    def is_free(self) -> bool:
        """Say whether no request is being answered."""

    def take(self, exchange: Exchange) -> None:
        """Begin an exchange whose head is there, or let it wait for its turn."""

    def go_on(self, answered: Exchange) -> None:
        """Go on behind an exchange that is over."""

    def pause(self) -> None:
        """Read no more, until ``read_on``."""

    def refuse(self, status: int, message: str) -> None:
        """Answer what cannot go to the application, and close."""

    def become_websocket(self, handshake: bytes) -> None:
        """Hand the connection over."""


class Reader:
    """Parse what comes on one connection; ``current`` is the exchange whose body is being read.

    ``common`` is the part of a scope that is the same for all requests of the connection, ``state`` that of the lifespan.
    """

    __slots__ = (
        "_anew", "_common", "_fed", "_handshake", "_headers", "_limits", "_line", "_parser", "_since", "_state",
        "_timed", "_url", "_websockets", "at", "current",
    )  # fmt: skip

    def __init__(
        self, line: Owner, limits: Limits, common: Message, state: dict[str, Any], *, websockets: bool
    ) -> None:
        self._line = line
        self._limits = limits
        self._common: Message = common | dict.fromkeys(_OF_REQUEST)  # whose copies have the room they need
        self._state = state
        self._websockets = websockets
        self._parser: Any = httptools.HttpRequestParser(self)
        self.at = IDLE
        self.current: Exchange | None = None
        self._timed = False  # the head that is being read has a deadline
        self._since = 0  # bytes that came since the last piece of a body, or since the last request
        self._fed = 0  # the same, whatever was complete within the last piece of data
        self._url = b""
        self._headers: Headers = []
        self._handshake: bytes | None = None  # the request that turns the connection into a websocket
        self._anew = b""  # the one that is to be read again, as its upgrade is of no use

    def end(self) -> None:
        """Read no more; let go of what knows this object, so that nothing is left for the garbage collector."""
        self._parser = self.current = None
        self._line = None  # type: ignore[assignment]  # nobody asks for it any more

    def parse(self, data: bytes | memoryview) -> None:
        """Take a piece of what came."""
        while data:
            self._since += len(data)
            self._fed = self._since
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as e:
                if self._handshake is not None:
                    return self._line.become_websocket(self._handshake)
                anew, self._anew = self._anew, b""
                data = anew + data[e.args[0] :]
                # Another parser, as this one takes nothing after a request that says `close`.
                self._parser = httptools.HttpRequestParser(self)
            except httptools.HttpParserError as e:
                return self._misunderstood(e.__context__)
        if self.at != IDLE:
            self._check_length()

    def _misunderstood(self, why: BaseException | None) -> None:
        if isinstance(why, Refused):
            self._line.refuse(why.status, str(why))
        else:
            self._line.refuse(400, "this is not a valid HTTP request")

    def _check_length(self) -> None:
        """Refuse what is too long already, though its end has not come."""
        limits, target_size = self._limits, len(self._url)
        if (
            target_size > limits.header_size
            or len(self._headers) > limits.headers
            or self._since > limits.header_size + target_size
        ):
            self._misunderstood(too_long(self._url, limits))
        else:
            self.expect_more()

    def expect_more(self) -> None:
        """Note until when the rest of a request must come whose beginning is there; nobody is late while we do not read."""
        line = self._line
        if line.paused:
            return
        if self.at == BODY:
            if self.current is not None and not self.current.complete:
                line.deadline = line.loop.time() + self._limits.body_timeout
        elif self.at == HEAD and not self._timed:
            self._timed = True
            line.deadline = line.loop.time() + self._limits.head_timeout

    def missing(self) -> str:
        """Say what has not come in time."""
        if self.at == HEAD:
            return f"the head of the request did not come within {self._limits.head_timeout:g} seconds"
        return f"nothing of the body came for {self._limits.body_timeout:g} seconds"

    # What the parser calls.

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target: a request has begun."""
        self._url += url
        self.at = HEAD

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header (or a trailer, which nobody asked for)."""
        self._headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        """Begin the exchange."""
        url, self._url = self._url, b""
        headers, self._headers = self._headers, []
        self.at = BODY
        self._timed = False
        line, limits, parser = self._line, self._limits, self._parser
        line.deadline = NEVER
        most = limits.header_size
        if len(url) > most or len(headers) > limits.headers or (self._fed > most and size(headers) > most):
            raise too_long(url, limits)
        method, version = parser.get_method(), parser.get_http_version()
        fields = dict(headers)
        if (
            len(fields) != len(headers)
            or version != "1.1"
            or b"transfer-encoding" in fields
            or b"host" not in fields
            or method == b"CONNECT"
        ):
            check(method, version, headers)
        if url[0] != _SLASH:
            url = target(url, method, headers)
        raw_path, _, query = url.partition(b"?")
        path = path_of(raw_path)
        if b"upgrade" in fields and parser.should_upgrade():
            return self._upgrade(method, url, version, headers)
        scope = self._common.copy()
        if root := scope["root_path"]:
            path, raw_path = root + path, root.encode() + raw_path
        scope["http_version"], scope["method"], scope["headers"] = version, method.decode(), headers
        scope["path"], scope["raw_path"], scope["query_string"] = path, raw_path, query
        scope["state"] = self._state.copy()
        expects = b"expect" in fields and fields[b"expect"].lower() == b"100-continue"
        self.current = exchange = Exchange(line, scope, parser.should_keep_alive(), expects)
        line.take(exchange)

    def _upgrade(self, method: bytes, url: bytes, version: str, headers: Headers) -> None:
        """Begin a websocket; any other protocol is not known here, and its request is read anew as an ordinary one."""
        if self._websockets and self._line.is_free() and is_handshake(method, headers):
            self._handshake = written(method, url, version, headers)
        else:
            plain = [header for header in headers if header[0] != b"upgrade"]
            self._anew = written(method, url, version, plain)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of a body for the application."""
        self._since = 0
        exchange = self.current
        if exchange is None or exchange.complete:
            return
        exchange.pieces.append(body)
        exchange.size += len(body)
        if exchange.size > _HIGH_WATER:
            self._line.pause()
        exchange.wake()

    def on_message_complete(self) -> None:
        """Note that all of a request is there."""
        self.at = IDLE
        self._since = 0
        if self._headers:
            self._headers = []
        exchange, self.current = self.current, None
        if exchange is None:
            return
        exchange.more = False
        if exchange.complete:  # it was answered before
            self._line.go_on(exchange)
        else:
            exchange.wake()
