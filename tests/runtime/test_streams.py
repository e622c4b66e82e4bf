"""APIs that are generators: order, errors, back-pressure, fairness, and clients that go away."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, cast

import pytest
from tests.runtime.served import Reply, Served, served

import bentoml
from bentoml.io import SSE
from bentoml.runtime.call import Call
from bentoml.runtime.streams import Chunks, send_chunks
from bentoml.validators import ContentType

ENDED: list[str] = []
MADE: list[int] = []
GO_ON = threading.Event()


@bentoml.service(traffic={"timeout": 0.5})
class Streams:
    @bentoml.api
    async def count_async(self, n: int = 3, fail_at: int = -1) -> AsyncGenerator[str, None]:
        try:
            for i in range(n):
                if i == fail_at:
                    raise ValueError("a secret")
                yield f"{i} "
        finally:
            ENDED.append("async")

    @bentoml.api
    def count(self, n: int = 3, fail_at: int = -1) -> Generator[str, None, None]:
        try:
            for i in range(n):
                if i == fail_at:
                    raise ValueError("a secret")
                yield f"{i} "
        finally:
            ENDED.append("sync")

    @bentoml.api
    def values(self) -> Iterator[dict[str, int]]:
        return iter([{"a": 1}, {"a": 2}])

    @bentoml.api
    async def forever_async(self) -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "x"
                await asyncio.sleep(0.001)
        finally:
            ENDED.append("forever async")

    @bentoml.api
    def forever(self) -> Generator[str, None, None]:
        try:
            while True:
                MADE.append(1)
                yield "x" * 1000
        finally:
            ENDED.append("forever")

    @bentoml.api
    async def with_context(self, ctx: bentoml.Context) -> AsyncGenerator[str, None]:
        ctx.response.status_code = 201
        ctx.response.headers["x-s"] = "1"
        (Path(ctx.temp_dir) / "a").touch()
        yield "a"
        yield str((Path(ctx.temp_dir) / "a").exists())

    @bentoml.api
    def late(self) -> Generator[str, None, None]:
        try:
            GO_ON.wait(60)
            yield "too late"
        finally:
            ENDED.append("late")

    @bentoml.api
    async def long(self) -> AsyncGenerator[str, None]:
        yield "a"
        await asyncio.sleep(0.6)
        yield "b"

    @bentoml.api
    def quick(self) -> int:
        return 1

    @bentoml.api
    async def never(self) -> AsyncGenerator[str, None]:
        try:
            await asyncio.sleep(60)
            yield "never"
        finally:
            await asyncio.sleep(0.001)
            ENDED.append("never")

    @bentoml.api
    async def stubborn(self) -> AsyncGenerator[str, None]:
        try:
            while True:
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    MADE.append(1)
                yield "still here"
        finally:
            ENDED.append("stubborn")

    @bentoml.api
    async def busy(self) -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "x"
        finally:
            ENDED.append("busy")

    @bentoml.api
    async def events(self, fail: str = "") -> AsyncGenerator[SSE, None]:
        yield SSE("a\nb", event="note", id="1", retry=3)
        if fail:
            raise bentoml.exceptions.InvalidArgument(fail)
        yield SSE("c")

    @bentoml.api
    async def lines(self) -> Annotated[AsyncGenerator[str, None], ContentType("text/plain")]:
        yield "half of"
        raise bentoml.exceptions.InvalidArgument("a bad line")

    @bentoml.api
    def after(self, ctx: bentoml.Context) -> Generator[str, None, None]:
        ctx.response.background.add_task(ENDED.append, "after")
        ctx.response.background.add_task(lambda: 1 / 0)
        ctx.response.background.add_task(ENDED.append, "and after")
        yield "a"

    @bentoml.api
    def unsayable(self, ctx: bentoml.Context) -> Generator[str, None, None]:
        ctx.response.headers["x-s"] = "a\r\nb"
        try:
            while True:
                yield "x" * 1000
        finally:
            ENDED.append(threading.current_thread().name)


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served(Streams) as running:
        yield running


@pytest.fixture(autouse=True)
def _clean() -> None:
    ENDED.clear()
    MADE.clear()


@pytest.mark.parametrize("path", ["/count", "/count_async"])
def test_chunks_in_order(app: Served, path: str) -> None:
    reply = app.ask(path, {"n": 50})
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/event-stream"
    assert "content-length" not in reply.headers
    assert "x-bentoml-request-id" in reply.headers
    assert reply.body.decode().split() == [str(i) for i in range(50)]
    assert reply.complete
    assert app.ask(path, {"n": 0}).complete


def test_values_that_are_not_text(app: Served) -> None:
    assert app.ask("/values").body.splitlines() == [b'{"a":1}', b'{"a":2}']


@pytest.mark.parametrize("path", ["/count", "/count_async"])
def test_an_error_in_the_first_step_is_an_ordinary_error(app: Served, path: str) -> None:
    reply = app.ask(path, {"fail_at": 0})
    assert (reply.status, reply.complete, len(ENDED)) == (500, True, 1)
    assert b"secret" not in reply.body


@pytest.mark.parametrize("path", ["/count", "/count_async"])
def test_a_later_error_is_the_last_event(app: Served, path: str, caplog: pytest.LogCaptureFixture) -> None:
    reply = app.ask(path, {"n": 9, "fail_at": 2})
    assert (reply.status, reply.complete, len(ENDED)) == (200, True, 1)
    sent, _, event = reply.body.partition(b"\n\nevent: error\ndata: ")
    assert sent == b"0 1 "
    assert event.endswith(b"}\n\n")
    error = "An unexpected error has occurred, please check the server log."
    assert json.loads(event) == {"error": error, "status": 500}
    assert "ValueError: a secret" in caplog.text


def test_events(app: Served) -> None:
    assert app.ask("/events").body == b"event: note\nid: 1\nretry: 3\ndata: a\ndata: b\n\ndata: c\n\n"
    failed = app.ask("/events", {"fail": "no more"})
    assert failed.body.endswith(b'b\n\nevent: error\ndata: {"error": "no more", "status": 400}\n\n')


def test_a_stream_that_is_no_stream_of_events_is_cut_off(app: Served) -> None:
    reply = app.ask("/lines")
    assert (reply.status, reply.body, reply.complete) == (200, b"half of", False)


def test_background_tasks_run_after_the_stream_each_for_itself(
    app: Served, caplog: pytest.LogCaptureFixture
) -> None:
    assert app.ask("/after").complete
    assert ENDED == ["after", "and after"]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("path", "name"),
    [("/never", "never"), ("/stubborn", "stubborn"), ("/busy", "busy"), ("/forever", "forever")],
)
def test_a_client_that_goes_away_ends_the_generator_at_once(app: Served, path: str, name: str) -> None:
    async def asked() -> Reply:
        if name == "never":
            return await asyncio.wait_for(app.request(path, gone_after=0.05), 60)
        return await asyncio.wait_for(app.request(path, on_chunk=lambda _: True), 60)

    assert app.run(asked()).status != 504, "it is not the timeout that ends it"
    assert [name] == ENDED
    assert len(MADE) <= 2 or name == "forever"


def test_a_sync_stream_runs_ahead_and_leaves_in_few_messages(app: Served) -> None:
    assert len(app.ask("/count", {"n": 500}).chunks) < 500  # how few, the machine's load decides


def test_an_async_stream_that_never_waits_leaves_in_few_messages(app: Served) -> None:
    reply = app.ask("/count_async", {"n": 500})
    assert b"".join(reply.chunks) == b"".join(b"%d " % i for i in range(500))
    assert len(reply.chunks) <= 1 + 8 + 1  # the first step, 64 at once, the end


@pytest.mark.parametrize(("path", "name"), [("/forever", "forever"), ("/forever_async", "forever async")])
def test_the_generator_is_closed_when_the_client_goes_away(app: Served, path: str, name: str) -> None:
    reply = app.run(asyncio.wait_for(app.request(path, on_chunk=lambda r: len(r.chunks) >= 3), 60))
    assert not reply.complete
    assert [name] == ENDED
    assert app.ask("/quick").status == 200


def test_a_sync_stream_waits_for_a_slow_client_without_holding_its_thread(app: Served) -> None:
    async def both() -> tuple[int, int]:
        entered, go_on = asyncio.Event(), asyncio.Event()

        slow = asyncio.create_task(_slowly(app, "/forever", entered, go_on))
        await entered.wait()
        quick = await asyncio.wait_for(app.request("/quick"), 60)
        made = 0
        async with asyncio.timeout(60):
            while len(MADE) > made:  # until it stands still
                made = len(MADE)
                await asyncio.sleep(0.05)
        go_on.set()
        await slow
        return quick.status, made

    status, made = app.run(both())
    assert status == 200
    assert made < 400
    assert ENDED == ["forever"]


async def _slowly(app: Served, path: str, entered: asyncio.Event, go_on: asyncio.Event) -> None:
    """Ask for a stream whose first chunk is taken only when told, and then go away."""
    gone = asyncio.Event()
    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, object]:
        if body:
            return body.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body":
            entered.set()
            await go_on.wait()
            gone.set()
            await asyncio.sleep(0.01)

    scope = {"type": "http", "method": "POST", "path": path, "scheme": "http", "headers": []}
    await app.app(scope, receive, send)


def test_streams_share_one_thread(app: Served) -> None:
    async def both() -> int:
        stop = threading.Event()
        endless = asyncio.create_task(app.request("/forever", on_chunk=lambda _: stop.is_set()))
        quick = [await asyncio.wait_for(app.request("/quick"), 60) for _ in range(3)]
        stop.set()
        await asyncio.wait_for(endless, 60)
        return len(quick)

    assert app.run(both()) == 3
    assert ENDED == ["forever"]


def test_status_and_headers_that_a_stream_sets(app: Served) -> None:
    reply = app.ask("/with_context")
    assert (reply.status, reply.headers["x-s"], reply.body) == (201, "1", b"aTrue")


def test_a_stream_whose_headers_cannot_be_sent_is_closed_in_its_thread(app: Served) -> None:
    """Left to the garbage collector, the end of the user's generator would run on the event loop."""
    assert app.ask("/unsayable").status == 500
    assert [name.rpartition("-")[0] for name in ENDED] == ["bentoml-api"]


def test_a_client_that_leaves_before_the_head_of_a_stream_could_be_sent() -> None:
    class Steps:
        last = b""
        closed = False

        async def close(self) -> None:
            self.closed = True

    async def main() -> None:
        steps, full = Steps(), asyncio.Event()

        async def send(_: object) -> None:
            await full.wait()  # the client does not read

        call = cast(Call, SimpleNamespace(gone=False, task=asyncio.current_task()))
        asyncio.get_running_loop().call_later(0.01, disconnect, call)
        async with asyncio.timeout(60):
            await send_chunks({}, b"first", cast(Chunks, steps), call, send)
        assert steps.closed

    def disconnect(call: Call) -> None:
        call.gone = True
        assert call.task is not None
        call.task.cancel()

    asyncio.run(main())


@pytest.mark.slow
def test_the_timeout_ends_with_the_first_chunk(app: Served) -> None:
    assert app.ask("/long").body == b"ab"
    assert app.ask("/late").status == 504
    assert (
        app.ask("/quick").status == 504
    )  # the only thread is busy with the generator that nobody waits for ...
    GO_ON.set()
    assert app.ask("/quick").status == 200  # ... until it comes to its next step
    assert ENDED == ["late"]
