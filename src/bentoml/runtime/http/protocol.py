"""HTTP/1.1 connections for uvicorn's server, made for small requests: each request answered in its turn.

ASGI is the seam: an application gets the scope, ``receive`` and ``send`` that uvicorn's own protocols would give it.
Besides, a connection holds the limits of the head of a request and of the time that a request may take to arrive, and
refuses what can be read in two ways, as a proxy in front of it may have read it in the other (RFC 9112, 11.2).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import uvicorn
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from ...sdk.configuration.sections import Limits
from ..errors import error_body
from .deadlines import Deadlines
from .exchange import App, Exchange, Message, status_line
from .reader import BODY, IDLE, NEVER, Reader
from .unread import Unread, Waiting

__all__ = ["Connection", "Connections"]

# Bytes that are parsed at once where a head may be: so much may be wrong before anybody looks.
_SLICE = 1 << 14
# Seconds in which a client that is still sending can read why it was refused, or says that it closes, too.
_LINGER = 2.0


class Connections:
    """Make connections, as the ``http`` of ``uvicorn.Config``; this is what they share."""

    def __init__(self, limits: Limits, keep_alive: float) -> None:
        self.limits = limits
        self.keep_alive = keep_alive  # seconds that a connection may be idle
        self.deadlines = Deadlines(min(limits.head_timeout, limits.body_timeout, keep_alive))
        self.waiting = Waiting(limits.memory)
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
        "_active", "_app", "_app_state", "_config", "_draining", "_limits", "_makers", "_queue", "_reader",
        "_refusal", "_state", "_unparsed", "_unread", "deadline", "full", "loop", "paused", "tasks", "transport",
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
        self._makers = makers
        self._limits = makers.limits
        self._config = config
        self._state = state
        self._app_state = app_state
        self._app: App = config.loaded_app
        self.loop = loop
        self.tasks = state.tasks
        self.deadline = NEVER
        self.full: asyncio.Event | None = None
        self._unread: Unread | None = None  # while an answer waits for a client that reads slowly
        self._active: Exchange | None = None  # which is being answered
        self._queue: deque[Exchange] = deque()  # which are to be answered after it
        self._unparsed = b""  # what came behind these
        self.paused = False
        self._draining = False
        self._refusal: bytes | None = None  # the last word; from then on nothing is read

    # What the transport and the server call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = transport  # type: ignore[assignment]  # of a stream: it writes
        self._state.connections.add(self)  # type: ignore[arg-type]  # what the server calls of a protocol is here
        common: Message = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "server": get_local_addr(self.transport),
            "client": get_remote_addr(self.transport),
            "scheme": "https" if is_ssl(self.transport) else "http",
            "root_path": self._config.root_path,
        }
        websockets = self._config.ws_protocol_class is not None
        self._reader = Reader(self, self._limits, common, self._app_state, websockets=websockets)
        self.deadline = self.loop.time() + self._limits.head_timeout
        self._makers.deadlines.add(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """End: the client has gone, or the connection was closed here."""
        for exchange in (self._active, self._reader.current, *self._queue):
            if exchange is not None and not exchange.complete:
                exchange.leave()
        self._queue.clear()
        self.resume_writing()
        self._forget()

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._refusal is not None:
            return
        reader = self._reader
        if self._unparsed or (len(data) > _SLICE and reader.at != BODY):
            self._unparsed += data
            self._parse_slices()
        else:
            reader.parse(data)

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
        self.deadline = NEVER
        reader = self._reader
        idle = reader.at == IDLE and self._active is None
        if self.transport.is_closing():
            self._close_at_last()
        elif idle or self._refusal is not None or (reader.current is not None and reader.current.complete):
            self._close()
        else:
            self.refuse(408, reader.missing())

    def _parse_slices(self) -> None:
        """Parse a long piece bit by bit, until a body takes the rest, or requests wait for their turn."""
        data, self._unparsed = memoryview(self._unparsed), b""
        at = 0
        while at < len(data) and self._refusal is None and not self.transport.is_closing():
            if self._queue:
                self._unparsed = bytes(data[at:])
                return
            end = len(data) if self._reader.at == BODY else at + _SLICE
            self._reader.parse(data[at:end])
            at = end

    # What the reader calls.

    def is_free(self) -> bool:
        """Say whether no request is being answered."""
        return self._active is None

    def take(self, exchange: Exchange) -> None:
        """Begin an exchange whose head is there, or let it wait for its turn."""
        if self._active is None:
            self._active = exchange
            exchange.begin(self._app, self.loop)
        else:
            self._queue.append(exchange)
            self.pause()

    def pause(self) -> None:
        """Read no more, until ``read_on``."""
        if not self.paused:
            self.paused = True
            self.deadline = NEVER
            self.transport.pause_reading()

    def go_on(self, answered: Exchange) -> None:
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
            if self._reader.at == IDLE:
                self.deadline = self.loop.time() + self._makers.keep_alive
            if self._refusal is not None:
                self._say_last(self._refusal)
            elif self.paused or self._unparsed:
                self.read_on()
                self._parse_slices()

    def become_websocket(self, handshake: bytes) -> None:
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
        makers = self._makers
        if self._state.default_headers is not makers.headers:
            makers.use_defaults(self._state.default_headers)
        return makers.defaults

    def read_on(self) -> None:
        """Read again, if reading was paused because nobody took what came."""
        if self.paused:
            self.paused = False
            self.transport.resume_reading()
            self._reader.expect_more()

    def answered(self, exchange: Exchange) -> None:
        """Go on to the next request, once all of this one has come."""
        self._state.total_requests += 1
        if not exchange.more:
            self.go_on(exchange)
        elif exchange.keep_alive:
            self.read_on()
            self.deadline = self.loop.time() + self._limits.body_timeout
        else:
            self._say_last(b"")

    def cut(self) -> None:
        """Close the connection in the middle of an answer, so that nobody takes it for whole."""
        self.transport.abort()

    # Refusing and closing.

    def refuse(self, status: int, message: str) -> None:
        """Answer what cannot go to the application, once all that came before has its answer; then close."""
        body = error_body(message)
        headers, _ = self.head_lines()
        about = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(
            body
        )
        self._refusal = status_line(status) + headers + about + body
        broken, self._reader.current = self._reader.current, None
        if broken is not None and broken in self._queue:
            self._queue.remove(broken)
        elif broken is not None and broken is self._active:
            self._active = None
            broken.leave()
            if broken.complete:  # it has its answer, and what followed was of no use
                self._refusal = b""
            elif broken.begun:
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
            patience, deadlines = self._limits.body_timeout, self._makers.deadlines
            waiting = 0 if self._active is None else self._active.waiting
            self._unread = Unread(
                self.transport, patience, deadlines, self._makers.waiting, self.loop, more=waiting
            )
        elif not is_slow and self._unread is not None:
            self._unread.end()
            self._unread = None

    def _forget(self) -> None:
        self._state.connections.discard(self)
        self._makers.deadlines.remove(self)
        self._watch_reader(False)
        self._reader.end()
        self._active = None
