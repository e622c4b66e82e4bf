"""Clients that ask for much and read nothing: they keep neither a connection nor what waits for them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.certified import certified
from tests.runtime.wire import answer, listening, read_all, run
from uvicorn.server import ServerState

from bentoml.sdk.configuration.sections import Limits

SIZE = 20_000_000  # bytes, more than systems keep for a connection
LOW = Limits(body_timeout=0.2)
GET = "GET / HTTP/1.1\r\nHost: here\r\nConnection: {}\r\n\r\n"


async def _connected(port: int) -> socket.socket:
    """Return a connection whose system keeps as little for it as it can."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.setblocking(False)
    await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", port))
    return one


async def _given_up(state: ServerState) -> None:
    """Wait until there was a connection, and is none any more."""
    async with asyncio.timeout(60):
        while not state.connections:
            await asyncio.sleep(0.01)
        while state.connections:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize("times", [1, 3], ids=["once", "pipelined"])
@pytest.mark.parametrize("pieces", [1, 200], ids=["whole", "stream"])
def test_an_answer_that_nobody_reads_is_given_up(connection: str, times: int, pieces: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_all(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for left in reversed(range(pieces)):
            await send({"type": "http.response.body", "body": b"x" * (SIZE // pieces), "more_body": left > 0})

    async def main() -> None:
        loop, state = asyncio.get_running_loop(), ServerState()
        async with listening(app, limits=LOW, state=state) as port:
            one, received = await _connected(port), 0
            await loop.sock_sendall(one, GET.format(connection).encode() * times)
            await _given_up(state)
            with pytest.raises(ConnectionError):
                while piece := await asyncio.wait_for(loop.sock_recv(one, 65536), 30):
                    received += len(piece)
                raise ConnectionResetError  # closed in the middle
            assert received < SIZE
            one.close()

    run(main())


def test_a_slow_reader_gets_all_of_it() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"x" * 12_000_000)

    async def main() -> None:
        async with listening(app, limits=Limits(body_timeout=0.6)) as port:
            one, received = await _connected(port), 0
            await asyncio.get_running_loop().sock_sendall(one, GET.format("close").encode())
            for _ in range(6):  # a part at a time, for longer than the limit altogether
                await asyncio.sleep(0.12)
                left = 1_000_000
                while left > 0:
                    piece = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(one, left), 30)
                    left -= len(piece)
                    received += len(piece)
            while piece := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(one, 1 << 20), 30):
                received += len(piece)
            assert received > 12_000_000
            one.close()

    run(main())


async def _connected_by_tls(
    port: int, client: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(
        sock=await _connected(port), ssl=client, server_hostname="127.0.0.1", limit=1024
    )


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_over_tls_too_an_answer_that_nobody_reads_is_given_up(connection: str, tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_all(receive)
        await answer(send, b"x" * SIZE)

    async def main() -> None:
        server, client = certified(tmp_path)
        state = ServerState()
        async with listening(app, limits=LOW, ssl=server, state=state) as port:
            reader, writer = await _connected_by_tls(port, client)
            writer.write(GET.format(connection).encode())
            await _given_up(state)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(SIZE), 60)
            writer.transport.abort()

    run(main())


def test_over_tls_too_those_go_first_that_have_kept_most_waiting(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_all(receive)
        await answer(send, b"x" * SIZE)

    async def main() -> None:
        server, client = certified(tmp_path)
        async with listening(app, limits=Limits(memory=SIZE * 5 // 2), ssl=server) as port:
            clients = []
            for _ in range(4):
                clients.append(await _connected_by_tls(port, client))
                clients[-1][1].write(GET.format("close").encode())
                await asyncio.sleep(0.1)
            received = [await _size(reader) for reader, _ in clients]
            assert [size > SIZE for size in received] == [False, False, True, True]
            for _, writer in clients:
                writer.transport.abort()

    run(main())


async def _size(reader: asyncio.StreamReader) -> int:
    size = 0
    try:
        while piece := await asyncio.wait_for(reader.read(1 << 20), 60):
            size += len(piece)
    except ConnectionError:
        pass
    return size


def test_where_too_much_waits_those_go_that_have_kept_it_waiting_longest() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_all(receive)
        await answer(send, b"x" * SIZE)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with listening(app, limits=Limits(memory=SIZE * 5 // 2)) as port:
            clients = []
            for _ in range(4):
                clients.append(await _connected(port))
                await loop.sock_sendall(clients[-1], GET.format("close").encode())
                await asyncio.sleep(0.1)
            received = [len(await asyncio.wait_for(_rest(one), 60)) for one in clients]
            assert [size > SIZE for size in received] == [False, False, True, True]

    run(main())


async def _rest(one: socket.socket) -> bytes:
    """Read all that still comes."""
    loop, pieces = asyncio.get_running_loop(), []
    try:
        while piece := await loop.sock_recv(one, 1 << 20):
            pieces.append(piece)
    except ConnectionError:
        pass
    one.close()
    return b"".join(pieces)
