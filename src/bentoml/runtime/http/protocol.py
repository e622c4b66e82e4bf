"""HTTP/1.1 connections for uvicorn's server, made for small requests: the bytes of a request in, an exchange begun.

ASGI is the seam: an application gets the scope, ``receive`` and ``send`` that uvicorn's own protocols would give it.
Besides, a connection holds the limits of the head of a request and of the time that a request may take to arrive, and
refuses what can be read in two ways, as a proxy in front of it may have read it in the other (RFC 9112, 11.2).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from ...sdk.configuration.sections import Limits
from ..errors import error_body
from .deadlines import Deadlines
from .exchange import App, Exchange, Message, status_line
from .heads import Headers, Refused, check, path_of, size, target, written
from .unread import Unread

__all__ = ["Connection", "Connections"]

_HIGH_WATER = 1 << 18  # bytes of a body that may wait for the application; beyond them reading pauses
_SLICE = (
    1 << 14
)  # bytes that are parsed at once where a head may be: so much may be wrong before anybody looks
_LINGER = 2.0  # seconds in which a client that is still sending can read why it was refused, or says that it closes, too
_NEVER = float("inf")
_SLASH = ord("/")
_BODY_AHEAD = (b"content-length", b"transfer-encoding")
_IDLE, _HEAD, _BODY = range(3)  # what is being read: nothing, the head of a request, its body


class Connections:
    """Make connections, as the ``http`` of ``uvicorn.Config``; this is what they share."""

    def __init__(self, limits: Limits, keep_alive: float) -> None:
        self.limits = limits
        self.keep_alive = keep_alive  # seconds that a connection may be idle
        self.deadlines = Deadlines(min(limits.head_timeout, limits.body_timeout, keep_alive))
        self.headers: list[tuple[bytes, bytes]] | None = None
        self.defaults = (b"", 0)

    def __call__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Connection:
        """Return the protocol of one connection."""
        return Connection(self, config, server_state, app_state, _loop or asyncio.get_running_loop())

    def use_defaults(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Write down what all answers have; the server makes a new list of it each second, for the date."""
        self.headers = headers
        self.defaults = b"".join(b"%b: %b\r\n" % header for header in headers), len(headers)


class Connection(asyncio.Protocol):
    """One connection: its requests are answered one after the other, however they arrive."""

    __slots__ = (
        "_active", "_anew", "_app", "_app_state", "_config", "_current", "_draining", "_fed", "_handshake", "_headers", "_limits",
        "_parser", "_paused", "_queue", "_reading", "_refusal", "_since", "_state", "_template", "_timed", "_unparsed",
        "_unread", "_url", "deadline", "full", "loop", "makers", "tasks", "transport",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(
        self,
        makers: Connections,
        config: uvicorn.Config,
        state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.makers = makers
        self.loop = loop
        self.tasks = state.tasks
        self.full: asyncio.Event | None = None
        self._unread: Unread | None = None  # while an answer waits for a client that reads slowly
        self.deadline = _NEVER
        self._limits = makers.limits
        self._config = config
        self._app: App = config.loaded_app
        self._state = state
        self._app_state = app_state
        self._parser: Any = httptools.HttpRequestParser(self)
        self._reading = _IDLE
        self._timed = False  # the head that is being read has a deadline
        self._since = 0  # bytes that came since the last piece of a body, or since the last request
        self._fed = 0  # the same, whatever was complete within the last piece of data
        self._url = b""
        self._headers: Headers = []
        self._current: Exchange | None = None  # whose body is being read
        self._active: Exchange | None = None  # which is being answered
        self._queue: deque[Exchange] = deque()  # which are to be answered after it
        self._unparsed = b""  # what came behind these
        self._handshake: bytes | None = None  # the request that turns this into a websocket
        self._anew = b""  # the one that is to be read again, as its upgrade is of no use
        self._paused = False
        self._draining = False
        self._refusal: bytes | None = None  # the last word; from then on nothing is read

    # What the transport and the server call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = transport  # type: ignore[assignment]  # of a stream: it writes
        self._state.connections.add(self)  # type: ignore[arg-type]  # what the server calls of a protocol is here
        self._template: Message = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": get_local_addr(self.transport),
            "client": get_remote_addr(self.transport),
            "scheme": "https" if is_ssl(self.transport) else "http",
            "root_path": self._config.root_path,
        }
        self.deadline = self.loop.time() + self._limits.head_timeout
        self.makers.deadlines.add(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: the client has gone, or the connection was closed here."""
        self._forget()
        for exchange in (self._active, self._current, *self._queue):
            if exchange is not None and not exchange.complete:
                exchange.leave()
        self._queue.clear()
        self.resume_writing()
        self._parser = None  # which knows this object

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._refusal is not None:
            return
        if self._unparsed or (len(data) > _SLICE and self._reading != _BODY):
            self._unparsed += data
            self._parse_slices()
        else:
            self._parse(data)

    def eof_received(self) -> None:
        """Close: a client that sends no more has gone, as far as anybody can tell."""

    def pause_writing(self) -> None:
        """Let ``send`` wait: the client reads more slowly than the application writes."""
        self.full = self.full or asyncio.Event()
        self._watch_reader(True)

    def resume_writing(self) -> None:
        """Let ``send`` go on."""
        if self.full is not None:
            self.full.set()
            self.full = None
        if not self.transport.is_closing():
            self._watch_reader(False)

    def shutdown(self) -> None:
        """Close, after the answer that is on its way: the server ends."""
        self._queue.clear()
        self._draining = True
        if self._active is None or self._active.complete:
            self._close()
        else:
            self._active.keep_alive = False

    def expire(self) -> None:
        """Give up waiting for what should have come by now."""
        self.deadline = _NEVER
        idle = self._reading == _IDLE and self._active is None
        if self.transport.is_closing():
            self._close_at_last()
        elif idle or self._refusal is not None or (self._current is not None and self._current.complete):
            self._close()
        elif self._reading == _HEAD:
            self._refuse(
                408, f"the head of the request did not come within {self._limits.head_timeout:g} seconds"
            )
        else:
            self._refuse(408, f"nothing of the body came for {self._limits.body_timeout:g} seconds")

    def _close(self) -> None:
        """Close, once all that was said has left."""
        self.transport.close()
        self._watch_reader(self.transport.get_write_buffer_size() > 0)
        self.deadline = self.loop.time() + _LINGER

    def _close_at_last(self) -> None:
        """Wait no longer for a client of TLS to say that it closes, too; what it reads slowly is left to ``Unread``."""
        if self._unread is None or self.transport.get_write_buffer_size() == 0:
            self.transport.abort()
        else:
            self.deadline = self.loop.time() + _LINGER

    def _watch_reader(self, is_slow: bool) -> None:
        if is_slow and self._unread is None:
            patience, deadlines = self._limits.body_timeout, self.makers.deadlines
            self._unread = Unread(self.transport, patience, deadlines, self.loop)
        elif not is_slow and self._unread is not None:
            self._unread.end()
            self._unread = None

    def _forget(self) -> None:
        self._state.connections.discard(self)
        self.makers.deadlines.remove(self)
        self._watch_reader(False)

    # Reading.

    def _parse(self, data: bytes | memoryview) -> None:
        while data:
            self._since += len(data)
            self._fed = self._since
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as e:
                if self._handshake is None:
                    data = self._anew + data[e.args[0] :]
                else:
                    return self._become_websocket(self._handshake)
            except httptools.HttpParserError as e:
                return self._misunderstood(e.__context__)
        if self._reading != _IDLE:
            self._expect_more()

    def _misunderstood(self, why: BaseException | None) -> None:
        if isinstance(why, Refused):
            self._refuse(why.status, str(why))
        else:
            self._refuse(400, "this is not a valid HTTP request")

    def _parse_slices(self) -> None:
        """Parse a long piece bit by bit, until a body takes the rest, or requests wait for their turn."""
        data, self._unparsed = memoryview(self._unparsed), b""
        at = 0
        while at < len(data) and self._refusal is None and not self.transport.is_closing():
            if self._queue:
                self._unparsed = bytes(data[at:])
                return
            end = len(data) if self._reading == _BODY else at + _SLICE
            self._parse(data[at:end])
            at = end

    def _expect_more(self) -> None:
        """Note until when the rest of a request must come, whose beginning is there."""
        limits = self._limits
        if len(self._url) > limits.header_size:
            return self._refuse(414, self._too_long())
        if len(self._headers) > limits.headers or self._since > limits.header_size + len(self._url):
            return self._refuse(431, self._too_much())
        if self._reading == _BODY:
            if not self._paused and self._current is not None and not self._current.complete:
                self.deadline = self.loop.time() + limits.body_timeout
        elif not self._timed:
            self._timed = True
            self.deadline = self.loop.time() + limits.head_timeout

    def _too_long(self) -> str:
        return f"the target of the request is longer than {self._limits.header_size} bytes"

    def _too_much(self) -> str:
        return f"a request has at most {self._limits.headers} headers, of {self._limits.header_size} bytes together"

    # What the parser calls.

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target: a request has begun."""
        self._url += url
        self._reading = _HEAD

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header (or a trailer, which nobody asked for)."""
        self._headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        """Begin the exchange, or let it wait for its turn."""
        url, self._url = self._url, b""
        headers, self._headers = self._headers, []
        self._reading = _BODY
        self._timed = False
        self.deadline = _NEVER
        limits = self._limits
        if len(url) > limits.header_size:
            raise Refused(414, self._too_long())
        if len(headers) > limits.headers or (
            self._fed > limits.header_size and size(headers) > limits.header_size
        ):
            raise Refused(431, self._too_much())
        parser = self._parser
        version = parser.get_http_version()
        fields = dict(headers)
        if (
            len(fields) != len(headers)
            or version != "1.1"
            or b"transfer-encoding" in fields
            or b"host" not in fields
        ):
            check(headers, version)
        if url[0] != _SLASH:
            url = target(url, parser.get_method(), headers)
        raw_path, _, query = url.partition(b"?")
        path = path_of(raw_path)
        scope = self._template.copy()
        if scope["root_path"]:
            path, raw_path = scope["root_path"] + path, scope["root_path"].encode() + raw_path
        scope["http_version"] = version
        scope["method"] = parser.get_method().decode()
        scope["path"] = path
        scope["raw_path"] = raw_path
        scope["query_string"] = query
        scope["headers"] = headers
        scope["state"] = self._app_state.copy()
        if b"upgrade" in fields and parser.should_upgrade():
            return self._upgrade(url, version, headers, fields[b"upgrade"])
        expects = b"expect" in fields and fields[b"expect"].lower() == b"100-continue"
        exchange = self._current = Exchange(self, scope, parser.should_keep_alive(), expects)
        if self._active is None:
            self._active = exchange
            exchange.begin(self._app, self.loop)
        else:
            self._queue.append(exchange)
            self._pause()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of a body for the application."""
        self._since = 0
        exchange = self._current
        if exchange is None or exchange.complete:
            return
        exchange.pieces.append(body)
        exchange.size += len(body)
        if exchange.size > _HIGH_WATER:
            self._pause()
        exchange.wake()

    def on_message_complete(self) -> None:
        """Note that all of a request is there."""
        self._reading = _IDLE
        self._since = 0
        if self._headers:
            self._headers = []
        exchange, self._current = self._current, None
        if exchange is None:
            return
        exchange.more = False
        if exchange.complete:  # it was answered before
            self._next(exchange)
        else:
            exchange.wake()

    def _upgrade(self, url: bytes, version: str, headers: Headers, to: bytes) -> None:
        """Begin a websocket; any other protocol is not known here, and its request is read anew as an ordinary one."""
        known = (
            to.lower() == b"websocket"
            and self._parser.get_method() == b"GET"
            and all(
                name not in _BODY_AHEAD for name, _ in headers
            )  # whoever reads it next would wait for the body
            and self._config.ws_protocol_class is not None
            and self._active is None
        )
        if not known:
            headers = [header for header in headers if header[0] != b"upgrade"]
        request = written(self._parser.get_method(), url, version, headers)
        self._handshake, self._anew = (request, b"") if known else (None, request)

    def _become_websocket(self, handshake: bytes) -> None:
        """Hand the connection over to uvicorn's protocol for websockets."""
        self._forget()
        self._refusal = b""  # what else came is not ours to read
        protocol: Any = self._config.ws_protocol_class(  # type: ignore[misc, call-arg]  # checked before; uvicorn's own contract
            config=self._config, server_state=self._state, app_state=self._app_state
        )
        protocol.connection_made(self.transport)
        protocol.data_received(handshake)
        self.transport.set_protocol(protocol)

    # What exchanges call.

    def head_lines(self) -> tuple[bytes, int]:
        """Return the headers that each answer has, as they are sent, and how many they are."""
        makers = self.makers
        if self._state.default_headers is not makers.headers:
            makers.use_defaults(self._state.default_headers)
        return makers.defaults

    def read_on(self) -> None:
        """Read again, if reading was paused because nobody took what came."""
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
            if self._reading == _BODY:
                self.deadline = self.loop.time() + self._limits.body_timeout

    def answered(self, exchange: Exchange) -> None:
        """Go on to the next request, once all of this one has come."""
        self._state.total_requests += 1
        if not exchange.more:
            self._next(exchange)
        elif exchange.keep_alive:
            self.read_on()
            self.deadline = self.loop.time() + self._limits.body_timeout
        else:
            self._say_last(b"")

    def cut(self) -> None:
        """Close the connection in the middle of an answer, so that nobody takes it for whole."""
        self.transport.abort()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self.deadline = _NEVER
            self.transport.pause_reading()

    def _next(self, answered: Exchange) -> None:
        """Go on behind an exchange that is over."""
        if not answered.keep_alive or self._draining:
            self._close()
        elif self._queue:
            self._active = exchange = self._queue.popleft()
            exchange.begin(self._app, self.loop)
            if exchange.more:  # nothing was read behind its beginning
                self.read_on()
                self._parse_slices()
        else:
            self._active = None
            if self._reading == _IDLE:
                self.deadline = self.loop.time() + self.makers.keep_alive
            if self._refusal is not None:
                self._say_last(self._refusal)
            elif self._paused or self._unparsed:
                self.read_on()
                self._parse_slices()

    # Refusing.

    def _refuse(self, status: int, message: str) -> None:
        """Answer what cannot go to the application, once all that came before has its answer; then close."""
        body = error_body(message)
        headers, _ = self.head_lines()
        about = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(
            body
        )
        self._refusal = status_line(status) + headers + about + body
        broken, self._current = self._current, None
        if broken is not None and broken in self._queue:
            self._queue.remove(broken)
        elif broken is not None and broken is self._active:
            self._active = None
            broken.leave()
            if broken.begun:
                return self.cut()
        if self._active is None:
            self._say_last(self._refusal)

    def _say_last(self, words: bytes) -> None:
        """Say one thing more and close; the client may still be sending, and would not read it if we closed at once."""
        self._refusal = words
        self.transport.write(words)
        if not self.transport.can_write_eof():  # TLS
            self._close()
            return
        self.transport.write_eof()
        self.read_on()
        self.deadline = self.loop.time() + _LINGER
