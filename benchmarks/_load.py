"""Send one request again and again over keep-alive connections and check each answer: a process of its own.

Reads its orders as JSON from stdin (`port`, `request`: a file with the bytes of the request, `requests`,
`connections`) and prints JSON: how long it took, latencies, and how many answers of each status and length came.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import cast

import uvloop

SECONDS = 120.0  # longer than any sensible run


class Load:
    """What all connections share: what to send, how often, and what came."""

    def __init__(self, request: bytes, requests: int, connections: int) -> None:
        self.request = request
        self.unsent = requests
        self.open = connections
        self.answers: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.first_body: bytes | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self, status: int, body: bytes, seconds: float) -> None:
        """Note one answer."""
        if self.first_body is None:
            self.first_body = body
        self.answers[f"{status} {len(body)}"] += 1
        self.latencies.append(seconds)

    def closed(self) -> None:
        """Note that a connection has sent and received all that it should."""
        self.open -= 1
        if not self.open and not self.done.done():
            self.done.set_result(None)

    def failed(self, error: object) -> None:
        """End the run: its numbers would mean nothing."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(str(error)))


class Connection(asyncio.Protocol):
    """One connection: sends a request when the answer to the one before is complete."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.buffer = b""
        self.finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        if not self.load.unsent:
            self.finished = True
            self.transport.close()
            return
        self.load.unsent -= 1
        self.began = time.perf_counter()
        self.transport.write(self.load.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        payload = _payload(head.lower(), body)
        if payload is None:
            return
        self.load.answered(int(head[9:12]), payload, time.perf_counter() - self.began)
        self.buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.finished:
            self.load.closed()
        else:
            self.load.failed(f"the server closed a connection: {exc}")


def _payload(head: bytes, body: bytes) -> bytes | None:
    """Return the body of an answer, or nothing while more of it must come."""
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(head[at + 17 :].partition(b"\r\n")[0])
        return body if len(body) == length else None
    return _unchunked(body) if body.endswith(b"0\r\n\r\n") else None


def _unchunked(body: bytes) -> bytes | None:
    pieces: list[bytes] = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return b"".join(pieces)
        pieces.append(body[:length])
        body = body[length + 2 :]
    return None


async def _run(orders: dict[str, object]) -> dict[str, object]:
    request = Path(str(orders["request"])).read_bytes()
    connections = int(str(orders["connections"]))
    load = Load(request, int(str(orders["requests"])), connections)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: load.failed(context))
    began = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", int(str(orders["port"])))
    await asyncio.wait_for(load.done, SECONDS)
    seconds = time.perf_counter() - began
    ordered = sorted(load.latencies)
    return {
        "seconds": seconds,
        "p50_ms": ordered[len(ordered) // 2] * 1e3,
        "p99_ms": ordered[len(ordered) * 99 // 100] * 1e3,
        "answers": dict(load.answers),
        "first_body": (load.first_body or b"").decode("latin-1"),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_run(json.load(sys.stdin)))))
