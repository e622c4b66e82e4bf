"""Answer requests on one socket until the process is told to end: uvicorn, with our own HTTP, signals, lifespan and pulse."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn
import uvloop

from ...exceptions import BentoMLConfigException
from ...sdk.configuration.sections import Limits
from ..process.frames import Channel, Listen, Loaded, Ping, Pong, Ready, Serve
from ..process.free_memory import FreeMemory
from .lifespan import ASGIApp, running
from .protocol import Connections

__all__ = ["CertificateError", "answer"]

_TRUSTED_PROXIES = "FORWARDED_ALLOW_IPS"  # uvicorn's own name for it


class CertificateError(BentoMLConfigException):
    """The certificate or its key cannot be used."""


def answer(
    app: ASGIApp,
    listening: socket.socket,
    order: Serve,
    channel: Channel,
    env: Mapping[str, str],
    limits: Limits,
    *,
    websockets: bool = True,
    on_end: Callable[[], None] = lambda: None,
) -> None:
    """Serve an application until SIGTERM, then let the requests in flight end; its lifespan's errors are raised.

    ``on_end()`` is called when the signal comes. Without ``websockets``, whose library takes its time to load, a
    handshake is a request like any other.

    Raises:
        CertificateError: TLS is asked for with files that cannot be used.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        config = _config(app, order, env, limits, websockets)
        runner.run(_answer(config, app, listening, order, channel, on_end))


async def _answer(
    config: uvicorn.Config,
    app: ASGIApp,
    listening: socket.socket,
    order: Serve,
    channel: Channel,
    on_end: Callable[[], None],
) -> None:
    try:
        config.load()
    except OSError as e:  # also ssl.SSLError
        given = {k: v for k, v in order.ssl.items() if v is not None and k != "keyfile_password"}
        names = ", ".join(f"`ssl.{name}` `{value}`" for name, value in given.items())
        reason = e.strerror or " ".join(map(str, e.args))
        raise CertificateError(f"TLS cannot be used with {names}: {reason}") from e
    server = _Server(config, channel, on_end)
    loop = asyncio.get_running_loop()
    async with running(app):
        loop.add_signal_handler(signal.SIGTERM, server.end)
        loop.add_reader(channel.fileno(), _hear, channel, loop, server)
        if order.together:
            channel.send(Loaded())
            await server.may_listen.wait()
        if not server.should_exit:
            try:
                await server.serve(sockets=[listening])
            finally:
                server.stop_listening(listening)
        loop.remove_reader(channel.fileno())


class _Server(uvicorn.Server):
    """A uvicorn server that says when it is ready and leaves the signals to its worker."""

    def __init__(self, config: uvicorn.Config, channel: Channel, on_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._channel = channel
        self._on_end = on_end
        self._free_memory = FreeMemory()
        self.may_listen = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._channel.send(Ready())

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def pulse(self) -> None:
        """Do what is to be done now and then."""
        state = self.server_state
        self._free_memory.pulse(state.total_requests, busy=bool(state.tasks))

    def stop_listening(self, listening: socket.socket) -> None:
        """Take no more connections, also where a task of the user's code has ended the event loop: others may answer them."""
        for one in self.servers:
            one.close()
        listening.close()

    def end(self) -> None:
        """Stop to accept, answer what has been accepted, return from ``serve``."""
        self.should_exit = True
        self.may_listen.set()
        self._on_end()


def _config(
    app: ASGIApp, order: Serve, env: Mapping[str, str], limits: Limits, websockets: bool
) -> uvicorn.Config:
    proxies = env.get(_TRUSTED_PROXIES)
    ssl = {f"ssl_{name}": value for name, value in order.ssl.items() if value is not None}
    return uvicorn.Config(
        app,
        interface="asgi3",
        loop="uvloop",
        http=Connections(limits, order.timeout_keep_alive),  # type: ignore[arg-type]  # called as the class of a protocol would be
        ws="auto" if websockets else "none",
        lifespan="off",  # ours: see lifespan.py
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=proxies is not None,
        forwarded_allow_ips=proxies,
        backlog=order.backlog,
        timeout_keep_alive=order.timeout_keep_alive,
        timeout_graceful_shutdown=order.timeout_graceful_shutdown,
        **ssl,  # type: ignore[arg-type]  # checked with the service's settings
    )


def _hear(channel: Channel, loop: asyncio.AbstractEventLoop, server: _Server) -> None:
    if not channel.read():
        loop.remove_reader(channel.fileno())
    for frame in channel.frames():
        if isinstance(frame, Ping):
            channel.send(Pong())
            server.pulse()
        elif isinstance(frame, Listen):
            server.may_listen.set()
