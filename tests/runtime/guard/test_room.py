"""Long bodies of many requests at once: a worker keeps only so many bytes of them."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.served import Reply, Served, served

import bentoml
from bentoml.runtime.guard.room import NoRoom, Room

MB = 1 << 20
JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=b"}
GO_ON = threading.Event()
LIMITS = {"body": 2 * MB, "memory": 4 * MB + MB // 4}


@bentoml.service(http={"limits": LIMITS})
class Keeps:
    @bentoml.api
    def length(self, text: str) -> int:
        return len(text)

    @bentoml.api
    async def size(self, file: Path) -> int:
        return file.stat().st_size


@bentoml.service(traffic={"timeout": 0.5}, http={"limits": LIMITS})
class Holds:
    @bentoml.api
    def length(self, text: str) -> int:
        return len(text)

    @bentoml.api
    def held(self, text: str) -> int:
        GO_ON.wait(60)
        return len(text)


def text(size: int) -> bytes:
    return b'{"text":"%b"}' % (b"x" * size)


async def beginning(app: Served, size: int, gone: asyncio.Event) -> Reply:
    """Send a body all but its end, and go away when told to."""
    reply = Reply()
    pieces = [b"x" * 65536] * (size // 65536)

    async def receive() -> dict[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": True}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        reply.status = message.get("status", reply.status)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/length", "headers": [], "query_string": b"",
             "client": None, "scheme": "http", "root_path": "", "http_version": "1.1"}  # fmt: skip
    await app.app(scope, receive, send)
    return reply


def test_a_body_for_which_there_is_no_room_is_refused_and_the_next_one_is_not() -> None:
    async def main(app: Served) -> None:
        gone = asyncio.Event()
        others = [asyncio.ensure_future(beginning(app, 3 * MB // 2, gone)) for _ in range(2)]
        await asyncio.sleep(0.01)
        long = await app.request("/length", text(3 * MB // 2))
        assert (long.status, long.headers["retry-after"]) == (503, "1")
        assert "try again" in long.json()["error"]
        assert (await app.request("/length", text(10_000))).status == 200, "short ones are let through"
        assert (await app.request("/length", text(MB // 2))).status == 200
        gone.set()
        assert {reply.status for reply in await asyncio.gather(*others)} == {400}
        assert (await app.request("/length", text(3 * MB // 2))).status == 200

    with served(Keeps) as app:
        app.run(main(app))


def test_a_body_that_waits_for_a_thread_keeps_its_room_though_its_request_timed_out() -> None:
    async def main(app: Served) -> None:
        GO_ON.clear()
        replies = await asyncio.gather(*(app.request("/held", text(3 * MB // 2)) for _ in range(2)))
        assert [reply.status for reply in replies] == [504, 504]
        assert (await app.request("/length", text(3 * MB // 2))).status == 503
        GO_ON.set()
        until = time.monotonic() + 60
        while (await app.request("/length", text(3 * MB // 2))).status != 200:
            assert time.monotonic() < until
            await asyncio.sleep(0.01)

    with served(Holds) as app:
        app.run(main(app))


def test_what_lies_on_the_disk_takes_no_room() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        + b"x" * 9 * MB
        + b"\r\n--b--\r\n"
    )

    async def main(app: Served) -> None:
        for _ in range(3):
            replies = await asyncio.gather(
                *(app.request("/size", body, headers=FORM, pieces=140) for _ in range(2))
            )
            assert [reply.body for reply in replies] == [str(9 * MB).encode()] * 2

    with served(Keeps) as app:
        app.run(main(app))


def test_every_byte_is_given_back() -> None:
    room = Room(10)
    room.change(0, 8)
    with pytest.raises(NoRoom):
        room.change(0, 4)
    room.change(4, 0)
    room.change(8, 9)
    room.change(9, 0)
    room.change(0, 10)
