"""Send a mix of requests over keep-alive connections, or probes over a new connection each: a process of its own.

Reads its orders as JSON from stdin (`port`, `requests`: files with the bytes of requests, in the order in which they are
sent again and again, `count`, `connections`, `fresh`: whether each goes over a connection of its own) and prints JSON: how many
answers of each status came.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from itertools import cycle
from pathlib import Path

import uvloop
from _load import SECONDS, Connection, Load

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: no TIME_WAIT, which would use up the ports


class Mix(Load):
    """Requests that come one after the other from a list."""

    def __init__(self, requests: list[bytes], count: int, connections: int) -> None:
        super().__init__(b"", count, connections)
        self._next = cycle(requests)

    @property
    def request(self) -> bytes:
        """The next request."""
        return next(self._next)

    @request.setter
    def request(self, value: bytes) -> None:
        """Take nothing: a mix has no single request."""

    def answered(self, status: int, body: bytes, seconds: float) -> None:
        """Count an answer by its status alone."""
        self.answers[str(status)] += 1


async def _probe(port: int, request: bytes, load: Mix) -> None:
    """Send each request over a connection of its own, until enough are sent."""
    loop = asyncio.get_running_loop()
    while load.unsent:
        load.unsent -= 1
        with socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            await loop.sock_connect(client, ("127.0.0.1", port))
            await loop.sock_sendall(client, request)
            answer = await loop.sock_recv(client, 1 << 16)
            load.answers[answer[9:12].decode()] += 1


async def _run(orders: dict[str, object]) -> dict[str, int]:
    files = orders["requests"]
    assert isinstance(files, list)
    known = {file: Path(file).read_bytes() for file in set(files)}
    port, connections = int(str(orders["port"])), int(str(orders["connections"]))
    load = Mix([known[file] for file in files], int(str(orders["count"])), connections)
    loop = asyncio.get_running_loop()
    if orders["fresh"]:
        await asyncio.gather(*(_probe(port, load.request, load) for _ in range(connections)))
        return dict(load.answers)
    loop.set_exception_handler(lambda _, context: load.failed(context))
    for _ in range(connections):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", port)
    await asyncio.wait_for(load.done, SECONDS)
    return dict(load.answers)


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_run(json.load(sys.stdin)))))
