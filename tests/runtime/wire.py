"""A connection of our own protocol, either over a transport that only remembers or over a real socket."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
import uvloop
from tests.runtime.instant import run_instantly
from uvicorn.server import ServerState

from bentoml.runtime.http.protocol import Connection, Connections
from bentoml.sdk.configuration.sections import Limits

Message = dict[str, Any]


class Wire(asyncio.Transport):
    """A transport whose other side is the test."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 4711), "sockname": ("127.0.0.1", 3000)})
        self.sent: list[bytes] = []
        self.paused = False
        self.closed = False
        self.aborted = False
        self.ended = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    @property
    def text(self) -> bytes:
        return b"".join(self.sent)


class Talk:
    """One connection over a ``Wire``."""

    def __init__(self, app: Any, limits: Limits, keep_alive: float) -> None:
        self.wire = Wire()
        self.state = ServerState()
        config = uvicorn.Config(app, interface="asgi3", lifespan="off", log_config=None,
                                server_header=False, proxy_headers=False)  # fmt: skip
        config.load()
        self.makers = Connections(limits, keep_alive)
        self.connection: Connection = self.makers(config, self.state, {})
        self.connection.connection_made(self.wire)

    async def say(self, *pieces: bytes, gently: bool = False) -> bytes:
        """Send pieces as far as they are read; return all that was answered so far. Gently: let the server work between."""
        for piece in pieces:
            for _ in range(1000):
                if not self.wire.paused:
                    break
                await asyncio.sleep(0)
            if self.wire.closed:
                break
            self.connection.data_received(piece)
            if gently:
                await asyncio.sleep(0)
        await self.settle()
        return self.wire.text

    async def settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(50):
            await asyncio.sleep(0)

    def hang_up(self) -> None:
        self.connection.connection_lost(None)


def talk(
    app: Any,
    work: Callable[[Talk], Coroutine[Any, Any, None]],
    *,
    limits: Limits | None = None,
    keep_alive: float = 5,
) -> None:
    """Run a conversation, in which nobody waits; nothing may be left behind when its connection is lost."""

    async def main() -> None:
        spoken = Talk(app, limits or Limits(), keep_alive)
        try:
            await work(spoken)
        finally:
            spoken.hang_up()
            await spoken.settle()
        assert not spoken.state.connections
        assert not spoken.state.tasks

    run_instantly(main())


@asynccontextmanager
async def listening(
    app: Any,
    *,
    limits: Limits | None = None,
    keep_alive: float = 5,
    ssl: Any = None,
    state: ServerState | None = None,
) -> AsyncIterator[int]:
    """Serve on a real socket; gives its port. ``state`` has its connections."""
    config = uvicorn.Config(app, interface="asgi3", lifespan="off", log_config=None,
                            server_header=False, proxy_headers=False)  # fmt: skip
    config.load()
    makers, state = Connections(limits or Limits(), keep_alive), state or ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: makers(config, state, {}), "127.0.0.1", 0, ssl=ssl
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.01)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run on the event loop that the server has: that of Python 3.12.0 to 3.13.0 never pauses after ``writelines``."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def post(path: str, body: bytes = b"", *headers: str, version: str = "1.1") -> bytes:
    """Return a request with a body of known length."""
    lines = [f"POST {path} HTTP/{version}", "Host: here", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(path: str, pieces: Iterable[bytes], *headers: str) -> bytes:
    """Return a request whose body comes in chunks."""
    lines = [f"POST {path} HTTP/1.1", "Host: here", "Transfer-Encoding: chunked", *headers]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def read_all(receive: Any) -> bytes:
    """Return the body of a request, as an application reads it."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        body += message["body"]
        more = message["more_body"]
    return body


async def answer(send: Any, body: bytes, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    """Answer with a body of known length."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Message, receive: Any, send: Any) -> None:
    """Say what was asked, and the digest of its body."""
    body = await read_all(receive)
    about = f"{scope['method']} {scope['path']} {scope['query_string'].decode()} {len(body)} "
    await answer(send, about.encode() + hashlib.sha256(body).hexdigest()[:8].encode())
