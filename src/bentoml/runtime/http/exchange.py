"""One request and its answer on a connection: ``receive`` and ``send`` of ASGI over the bytes of HTTP/1.1."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any, Protocol

from ...sdk.values.together import Steps
from ..errors import GENERIC, RAISED, error_body

__all__ = ["App", "Exchange", "Line", "Message", "status_line"]

logger = logging.getLogger(__name__)

Message = dict[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

# What a header of an answer is to us; lower-case names that need no further look.
_PLAIN, _LENGTH, _CODING, _CONNECTION = range(4)
_KINDS = {b"content-length": _LENGTH, b"transfer-encoding": _CODING, b"connection": _CONNECTION} | dict.fromkeys(
    (
        b"server", b"content-type", b"x-bentoml-request-id", b"x-bentoml-trace-id", b"content-disposition", b"etag",
        b"last-modified", b"accept-ranges", b"content-range", b"content-encoding", b"cache-control", b"location",
        b"set-cookie", b"vary", b"allow", b"retry-after", b"www-authenticate", b"access-control-allow-origin",
    ),
    _PLAIN,
)  # fmt: skip
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2

# How the client knows where the body of an answer ends (RFC 9112, 6.3).
_COUNTED, _CHUNKED, _EMPTY, _UNTIL_CLOSED = range(4)
_NO_CONTENT = 204
_BODILESS = (_NO_CONTENT, 304)

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TOGETHER = 1 << 16  # bytes of a body that are copied behind its head rather than written on their own
_AT_ONCE = 1 << 18  # bytes that TLS gets at once
# What is between two chunks, by the size of the second; to write it anew each time would take longer than all the rest.
_BREAKS = [b"\r\n%x\r\n" % size for size in range(1 << 10)]
_TAKEN: list[bytes] = []  # the pieces of a body after its last one


class Line(Protocol):
    """The connection, as its exchanges see it."""

    transport: asyncio.Transport
    tasks: set[asyncio.Task[None]]
    full: asyncio.Event | None  # while the client reads too slowly: what tells that it has caught up

    def head_lines(self) -> tuple[bytes, int]:
        """Return the headers that each answer has, as they are sent, and how many they are."""

    def read_on(self) -> None:
        """Read again, if reading was paused because nobody took what came."""

    def answered(self, exchange: Exchange) -> None:
        """Go on to the next request."""

    def cut(self) -> None:
        """Close the connection in the middle of an answer, so that nobody takes it for whole."""


class Exchange:
    """A request whose head has been read; its body arrives while the application runs.

    The head of an answer whose length is known waits for the body, so that both leave together.
    """

    __slots__ = (
        "_expects", "_framing", "_head", "_left", "_line", "_news", "_told",
        "complete", "gone", "keep_alive", "more", "pieces", "scope", "size", "started", "task", "waiting",
    )  # fmt: skip

    task: asyncio.Task[None]

    def __init__(self, line: Line, scope: Message, keep_alive: bool, expects: bool) -> None:
        self._line = line
        self.scope = scope
        self.keep_alive = keep_alive
        self._expects = expects  # the client waits for a `100 Continue`
        self._news: asyncio.Event | None = None
        self._told = False  # the application has had the whole body
        self.pieces: list[bytes] = []
        self.size = 0  # bytes of the pieces
        self.more = True  # of the body must come
        self.gone = False  # the client went away, or sent what cannot be understood
        self.started = False
        self.complete = False
        self.waiting = 0  # bytes of the answer that the connection has not got yet
        self._head = b""  # of the answer, while it waits for the body
        self._framing = _COUNTED
        self._left = 0  # bytes that the answer has promised

    def begin(self, app: App, loop: asyncio.AbstractEventLoop) -> None:
        """Start the application."""
        self.task = task = asyncio.Task(self._run(app), loop=loop)
        self._line.tasks.add(task)

    @property
    def begun(self) -> bool:
        """Whether a part of the answer is on its way."""
        return self.started and not self._head

    def leave(self) -> None:
        """Note that nobody waits for the answer any more."""
        self.gone = True
        self.wake()

    def wake(self) -> None:
        """Let ``receive`` look again."""
        if self._news is not None:
            self._news.set()

    async def _run(self, app: App) -> None:
        try:
            await app(self.scope, self.receive, self.send)
            if not self.complete and not self.gone:
                logger.error("the application ended without a whole answer to `%s`", self.scope["path"])
                self._fail()
        except RAISED:  # the boundary of the application
            logger.exception("Exception in ASGI application")
            self._fail()
        except BaseException:  # told to end
            self._fail()
            raise
        finally:
            self._line.tasks.discard(self.task)

    def _fail(self) -> None:
        """Answer 500, or break off an answer of which a part is on its way."""
        if self.complete or self.gone:
            return
        if self.begun:
            self._line.cut()
            return
        self.keep_alive = False
        self._framing = _COUNTED  # whatever the head was to say that could not be sent
        body = error_body(GENERIC)
        self._send_head(500, [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))])
        self._send_body(body, False)

    async def receive(self) -> Message:
        """Return what came of the body; once the application has all of it, wait for the end of the exchange."""
        if self._expects:
            self._go_on()
        while not self.pieces and (self.more or self._told) and not self.gone and not self.complete:
            if self._news is None:
                self._news = asyncio.Event()
            self._news.clear()
            await self._news.wait()
        if self.gone or self.complete:
            return {"type": "http.disconnect"}
        body = b"".join(self.pieces)
        if self.more:
            self.pieces = []
            self.size = 0
            self._line.read_on()
            return {"type": "http.request", "body": body, "more_body": True}
        self.pieces = _TAKEN
        self._told = True
        return {"type": "http.request", "body": body, "more_body": False}

    def _go_on(self) -> None:
        self._expects = False
        if self.more and not self.pieces and not self.gone:
            self._line.transport.write(_CONTINUE)

    async def send(self, message: Message) -> None:
        """Send a part of the answer; this waits while the client reads too slowly."""
        line = self._line
        if line.full is not None and not self.gone:
            await line.full.wait()
        if self.gone:
            return
        kind = message["type"]
        if kind == "http.response.body" and self.started and not self.complete:
            body, more = message.get("body", b""), message.get("more_body", False)
            is_chunk = self._framing == _CHUNKED and more
            if is_chunk and 0 < len(body) <= _TOGETHER:  # what most messages are
                line.transport.write(
                    _framed(body) if type(body) is Steps else b"%x\r\n%b\r\n" % (len(body), body)
                )
            elif is_chunk and type(body) is Steps:
                for part in body.parts:
                    await self.send({**message, "body": part})
            else:
                if len(body) > _AT_ONCE and not line.transport.can_write_eof():  # TLS
                    body = await self._send_beginning(body)
                self._send_body(body, more)
        elif kind == "http.response.start" and not self.started:
            self._send_head(message["status"], message.get("headers", ()))
        else:
            raise RuntimeError(f"the ASGI message `{kind}` has no place here")

    async def _send_beginning(self, body: bytes) -> bytes:
        """Send all but the end of a long body, and return that; each piece once there is room for it.

        TLS would encrypt all of it at once, and hide from everybody how much of it waits for the client.
        """
        line, rest = self._line, memoryview(body)
        while len(rest) > _AT_ONCE:
            piece, rest = bytes(rest[:_AT_ONCE]), rest[_AT_ONCE:]
            self.waiting = len(rest)
            self._send_body(piece, True)
            if line.full is not None:
                await line.full.wait()
            if self.gone:
                break
        self.waiting = 0
        return bytes(rest)

    def _send_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        defaults, lines = self._line.head_lines()
        parts = [_STATUS_LINES.get(status) or status_line(status), defaults]
        length: bytes | None = None
        closing = False
        for name, value in headers:
            kind = _KINDS.get(name)
            if kind is None:
                kind = _kind(name)
            if kind:
                if kind == _CODING:
                    continue  # ours to choose
                if kind == _LENGTH and status == _NO_CONTENT:
                    continue  # RFC 9110, 8.6
                if kind == _LENGTH:
                    if length is not None:  # RFC 9110, 8.6: nobody could tell which one holds
                        raise RuntimeError("the answer has more than one content-length")
                    length = value
                elif b"close" in value.lower():
                    closing = True
            parts += (name, b": ", value, b"\r\n")
            lines += 1
        self._choose_framing(status, length)
        if self._expects or closing:
            self._expects = False  # whether a body follows is now up to the client: ...
            self.keep_alive = False  # ... nobody could tell it from a request
        end, end_lines = _ENDS[
            self._framing == _CHUNKED, closing or self.keep_alive, self.scope["http_version"] == "1.0"
        ]
        parts.append(end)
        head = b"".join(parts)
        lines += end_lines
        if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
            raise RuntimeError("a header of the answer holds a line break or a zero byte")
        self.started = True
        if self._framing == _COUNTED:
            self._head = head
        else:
            self._line.transport.write(head)

    def _choose_framing(self, status: int, length: bytes | None) -> None:
        if status in _BODILESS or self.scope["method"] == "HEAD":
            self._framing = _EMPTY
        elif length is not None:
            self._left = int(length)
        elif self.scope["http_version"] != "1.0":
            self._framing = _CHUNKED
        else:
            self._framing = _UNTIL_CLOSED
            self.keep_alive = False

    def _send_body(self, body: bytes, more: bool) -> None:
        if self.gone:  # while the pieces before this one were sent
            return
        framing = self._framing
        if framing == _COUNTED:
            self._send_counted(body, more)
        elif framing == _CHUNKED:
            self._send_chunk(body, more)
        elif framing == _UNTIL_CLOSED:
            self._line.transport.write(body)
        if not more:
            self.complete = True
            self.wake()
            self._line.answered(self)

    def _send_counted(self, body: bytes, more: bool) -> None:
        self._left -= len(body)
        if self._left < 0 or (self._left and not more):
            raise RuntimeError("the body of the answer is not as long as its content-length says")
        head, self._head = self._head, b""
        transport = self._line.transport
        if len(body) <= _TOGETHER:
            transport.write(head + body)
        else:
            transport.writelines((head, body))

    def _send_chunk(self, body: bytes, more: bool) -> None:
        transport = self._line.transport
        end = b"\r\n" if more else b"\r\n0\r\n\r\n"
        if not body:
            if not more:
                transport.write(b"0\r\n\r\n")
        elif len(body) <= _TOGETHER:
            transport.write(b"%x\r\n%b%b" % (len(body), body, end))
        else:
            transport.writelines((b"%x\r\n" % len(body), body, end))


def _framed(steps: Steps) -> bytes:
    """Return a chunk for each of several steps: a client that reads chunk by chunk gets what the API has made."""
    parts = steps.parts if all(steps.parts) else [part for part in steps.parts if part]
    try:
        chunks = b"".join([_BREAKS[len(part)] + part for part in parts])
    except IndexError:  # a long one
        chunks = b"".join([b"\r\n%x\r\n%b" % (len(part), part) for part in parts])
    return chunks[2:] + b"\r\n"


def status_line(status: int) -> bytes:
    """Return the first line of an answer.

    Raises:
        RuntimeError: it is no status of a whole answer; those below 200 come before one.
    """
    if not 200 <= status <= 999:
        raise RuntimeError(f"`{status}` is no status of an answer")
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_STATUS_LINES = {int(status): status_line(status) for status in HTTPStatus if status >= 200}


def _end(chunked: bool, said: bool, old: bool) -> tuple[bytes, int]:
    """Return the end of a head and how many lines it and the first one are."""
    end = b"transfer-encoding: chunked\r\n" if chunked else b""
    if not said:
        end += b"connection: close\r\n"
    elif old:
        end += b"connection: keep-alive\r\n"
    end += b"\r\n"
    return end, end.count(b"\n") + 1


# By whether the body is chunked, the future of the connection goes without saying (or was said), and the client is an old one.
_ENDS = {(c, s, o): _end(c, s, o) for c in (False, True) for s in (False, True) for o in (False, True)}


def _kind(name: bytes) -> int:
    """Return what a header is to us whose name is not one of those known.

    Raises:
        RuntimeError: it is not a name.
    """
    if not _TOKEN.fullmatch(name):
        raise RuntimeError(f"`{name!r}` is not the name of a header")
    return _KINDS.get(name.lower(), _PLAIN)
