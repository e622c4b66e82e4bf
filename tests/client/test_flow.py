"""What both clients do with the answers that a server may give, over connections that are written here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest

from bentoml import AsyncHTTPClient, SyncHTTPClient
from bentoml.client.address import Address
from bentoml.client.retries import Options
from bentoml.client.tasks import ResultStatus
from bentoml.client.transport import AsyncWire, SyncWire
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound, RequestTimeout, ServiceUnavailable

Handler = Callable[[httpx2.Request], httpx2.Response]
Kind = Literal["sync", "async"]
FILE = {"type": "file"}


def route(name: str, /, output: Any = None, is_task: bool = False, **properties: Any) -> dict[str, Any]:
    given = {"type": "object", "properties": properties}
    return {
        "name": name, "route": f"/{name}", "input": given, "output": output or {"type": "string"}, "is_task": is_task
    }  # fmt: skip


SCHEMA = {
    "routes": [
        route("greet", name={"type": "string", "default": ""}),
        route("send", file=FILE),
        route("stream", {"type": "string", "is_stream": True}),
        route("job", {"type": "integer"}, is_task=True, x={"type": "integer"}),
        route("paint", {"type": "file"}),
    ]
}


class Server:
    """Answers each request with the next of its answers, or raises it; the schema does not count."""

    def __init__(self, *answers: httpx2.Response | Exception | int) -> None:
        self.answers = [text("an error", one) if isinstance(one, int) else one for one in answers]
        self.asked: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/schema.json":
            return httpx2.Response(200, json=SCHEMA)
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


def ask(
    kind: Kind, server: Handler, work: Callable[[Any], Any], *, retries: int = 0, timeout: float | None = 30
) -> Any:
    """Run ``work`` with a client and return what it gives: a value, what is awaited, or the list of a stream."""
    address, options = Address.parse("http://server"), Options(timeout, retries)
    transport = httpx2.MockTransport(server)
    if kind == "sync":
        with SyncHTTPClient.over(SyncWire(address, transport=transport), options) as client:
            result = work(client)
            return list(result) if isinstance(result, Iterator) else result

    async def main() -> Any:
        async with AsyncHTTPClient.over(lambda: AsyncWire(address, transport=transport), options) as client:
            result = work(client)
            return [step async for step in result] if hasattr(result, "__aiter__") else await result

    return asyncio.run(main())


def text(body: str, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, text=body)


def test_a_call(kind: Kind) -> None:
    server = Server(text("hi"))
    assert ask(kind, server, lambda client: client.greet(name="x")) == "hi"
    (request,) = server.asked
    assert (request.method, request.url.path, request.content) == ("POST", "/greet", b'{"name":"x"}')
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("BentoML HTTP Client/")


def test_nothing_is_sent_twice_unless_asked(kind: Kind) -> None:
    for failure in (httpx2.ConnectError("refused"), httpx2.ReadError("reset"), text("busy", 503)):
        server = Server(failure)
        with pytest.raises(ServiceUnavailable):
            ask(kind, server, lambda client: client.greet())
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    "failure",
    [httpx2.ConnectError("refused"), httpx2.ReadError("reset"), 503, 429, 502],
    ids=["refused", "reset", "503", "429", "502"],
)
def test_a_call_is_sent_again_where_that_is_asked_for(kind: Kind, failure: int | Exception) -> None:
    server = Server(failure, text("hi"))
    assert ask(kind, server, lambda client: client.greet(name="x"), retries=1) == "hi"
    assert [request.content for request in server.asked] == [b'{"name":"x"}'] * 2
    server = Server(failure, text("hi"))
    assert ask(kind, server, lambda client: client.with_options(retries=1).greet()) == "hi"


@pytest.mark.parametrize("failure", [400, 500, httpx2.ReadTimeout("late")])
def test_what_will_not_be_better_is_not_sent_again(kind: Kind, failure: int | Exception) -> None:
    server = Server(failure)
    with pytest.raises(BentoMLException):
        ask(kind, server, lambda client: client.greet(), retries=5)
    assert len(server.asked) == 1


def test_after_the_last_try_the_error_is_raised(kind: Kind) -> None:
    server = Server(*(text("busy", 503) for _ in range(3)))
    with pytest.raises(ServiceUnavailable, match="busy"):
        ask(kind, server, lambda client: client.greet(), retries=2)
    assert not server.answers


def test_a_server_that_asks_for_more_patience_than_there_is(kind: Kind) -> None:
    server = Server(httpx2.Response(429, text="many", headers={"retry-after": "60"}))
    with pytest.raises(BentoMLException, match="many") as caught:
        ask(kind, server, lambda client: client.greet(), retries=5, timeout=5)
    assert caught.value.error_code == 429


def test_the_schema_is_asked_for_again(kind: Kind) -> None:
    failures: list[httpx2.Response | Exception] = [httpx2.Response(503), httpx2.ConnectError("refused")]

    def server(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/schema.json" and failures:
            failure = failures.pop()
            if isinstance(failure, Exception):
                raise failure
            return failure
        return httpx2.Response(200, json=SCHEMA) if request.url.path == "/schema.json" else text("hi")

    assert ask(kind, server, lambda client: client.greet()) == "hi"


def test_a_file_is_sent_again_whole(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"content " * 50_000)

    def body(request: httpx2.Request) -> bytes:
        return bytes(request.content)

    bodies: list[bytes] = []

    class Reading(Server):
        def __call__(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.path == "/send":
                bodies.append(body(request))
            return super().__call__(request)

    server = Reading(text("busy", 503), text("got it"))
    with (tmp_path / "a.txt").open("rb") as opened:
        assert ask(kind, server, lambda client: client.send(opened), retries=1) == "got it"
    assert bodies[0] == bodies[1]
    assert b'filename="a.txt"\r\nContent-Type: text/plain\r\n\r\ncontent content ' in bodies[0]
    assert str(len(bodies[0])) == server.asked[0].headers["content-length"]


def test_errors_keep_the_body(kind: Kind) -> None:
    body = {"error": "1 validation error for Input", "detail": [{"loc": ["name"], "msg": "too short"}]}
    with pytest.raises(InvalidArgument, match=r"^1 validation error for Input\n  name: too short$") as caught:
        ask(kind, Server(httpx2.Response(400, json=body)), lambda client: client.greet())
    assert caught.value.body is not None
    assert json.loads(caught.value.body) == body


def test_timeouts_are_told_apart(kind: Kind) -> None:
    with pytest.raises(RequestTimeout, match="did not answer within 5 seconds") as caught:
        ask(kind, Server(httpx2.ReadTimeout("late")), lambda client: client.with_options(timeout=5).greet())
    assert isinstance(caught.value, TimeoutError) and isinstance(caught.value, BentoMLException)
    with pytest.raises(RequestTimeout, match=r"no connection .* was free"):
        ask(kind, Server(httpx2.PoolTimeout("full")), lambda client: client.greet())


class CutOff(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b"one "
        raise httpx2.RemoteProtocolError("peer closed connection")

    async def __aiter__(self) -> Any:
        yield b"one "
        raise httpx2.RemoteProtocolError("peer closed connection")


@pytest.mark.parametrize("name", ["greet", "paint"])
def test_a_call_whose_answer_is_cut_off_is_sent_again_where_that_is_asked_for(kind: Kind, name: str) -> None:
    server = Server(httpx2.Response(200, stream=CutOff()), text("whole"))
    ask(kind, server, lambda client: getattr(client, name)(), retries=1)
    assert len(server.asked) == 2


def test_a_stream_that_has_begun_is_not_sent_again(kind: Kind) -> None:
    server = Server(httpx2.Response(200, stream=CutOff()), text("whole"))
    with pytest.raises(ServiceUnavailable, match="broke"):
        ask(kind, server, lambda client: client.stream(), retries=1)
    assert len(server.asked) == 1


@pytest.mark.parametrize("name", ["stream", "greet", "paint"])
def test_an_answer_that_is_cut_off(kind: Kind, name: str) -> None:
    with pytest.raises(ServiceUnavailable, match=r"the connection to `http://server` broke: peer closed"):
        ask(kind, Server(httpx2.Response(200, stream=CutOff())), lambda client: getattr(client, name)())


def test_a_stream_that_is_refused(kind: Kind) -> None:
    with pytest.raises(NotFound, match="no"):
        ask(kind, Server(text("no", 404)), lambda client: client.stream())


def test_a_stream_that_ends_with_an_error(kind: Kind) -> None:
    body = 'some text\n\nevent: error\ndata: {"error": "gone", "status": 404}\n\n'
    answer = httpx2.Response(200, text=body, headers={"content-type": "text/event-stream"})
    with pytest.raises(NotFound, match=r"^gone$"):
        ask(kind, Server(answer), lambda client: client.stream())


# Tasks.

IN_PROGRESS = {"task_id": "t1", "status": "in_progress"}
DONE = {"task_id": "t1", "status": "completed"}


def test_a_task(kind: Kind) -> None:
    server = Server(
        httpx2.Response(200, json=IN_PROGRESS),
        httpx2.Response(200, json=IN_PROGRESS),
        httpx2.Response(200, json=DONE),
        httpx2.Response(200, json=6),
        httpx2.Response(200, json={"task_id": "t 2/", "status": "in_progress"}),
        httpx2.Response(200, json={}),
        httpx2.Response(200, json={"task_id": "t 2/", "status": "canceled"}),
    )

    def sync(client: Any) -> Any:
        task = client.job.submit(x=3)
        status = task.get_status()
        result = task.wait(timeout=5)
        other = task.retry()
        other.cancel()
        return task.id, status, result, other.id, other.get_status()

    async def asynchronous(client: Any) -> Any:
        task = await client.job.submit(x=3)
        status = await task.get_status()
        result = await task.wait(timeout=5)
        other = await task.retry()
        await other.cancel()
        return task.id, status, result, other.id, await other.get_status()

    result = ask(kind, server, sync if kind == "sync" else asynchronous)
    assert result == ("t1", ResultStatus.IN_PROGRESS, 6, "t 2/", ResultStatus.CANCELED)
    assert [f"{r.method} {r.url.raw_path.decode()}" for r in server.asked] == [
        "POST /job/submit",
        "GET /job/status?task_id=t1",
        "GET /job/status?task_id=t1",
        "GET /job/get?task_id=t1",
        "POST /job/retry?task_id=t1",
        "PUT /job/cancel?task_id=t%202%2F",
        "GET /job/status?task_id=t%202%2F",
    ]


def test_questions_about_tasks_by_id(kind: Kind) -> None:
    assert ask(kind, Server(httpx2.Response(200, json=DONE)), lambda c: c.job.get_status("t1")) == "completed"
    assert ask(kind, Server(httpx2.Response(200, json=6)), lambda c: c.job.get("t1")) == 6
    with pytest.raises(NotFound, match="task_id not found"):
        ask(
            kind, Server(httpx2.Response(404, json={"error": "task_id not found"})), lambda c: c.job.get("t1")
        )
    busy = Server(text("busy", 503), httpx2.Response(200, json=DONE))
    assert ask(kind, busy, lambda c: c.job.get_status("t1")) is ResultStatus.COMPLETED, "asked again"


def test_a_task_that_fails_or_is_cancelled(kind: Kind) -> None:
    failed = Server(
        httpx2.Response(200, json={"task_id": "t1", "status": "in_progress"}),
        httpx2.Response(200, json={"task_id": "t1", "status": "failed"}),
        httpx2.Response(422, json={"error": "too much"}),
    )
    cancelled = Server(
        httpx2.Response(200, json={"task_id": "t1", "status": "in_progress"}),
        httpx2.Response(200, json={"task_id": "t1", "status": "canceled"}),
    )
    endless = Server(*(httpx2.Response(200, json=IN_PROGRESS) for _ in range(20)))

    def waited(client: Any) -> Any:
        if kind == "sync":
            return client.job.submit(x=1).wait(timeout=0.1)

        async def main() -> Any:
            return await (await client.job.submit(x=1)).wait(timeout=0.1)

        return main()

    for server, message in (
        (failed, "too much"),
        (cancelled, "task `t1` was cancelled"),
        (endless, r"task `t1` has not ended after 0\.1 seconds"),
    ):
        with pytest.raises(BentoMLException, match=message):
            ask(kind, server, waited)


def test_what_is_no_task(kind: Kind) -> None:
    with pytest.raises(TypeError, match=r"endpoint greet is not a task: call it, `client\.greet\(\.\.\.\)`"):
        ask(kind, Server(), lambda client: client.greet.submit())
    with pytest.raises(BentoMLException, match="names no task"):
        ask(kind, Server(httpx2.Response(200, json=[])), lambda client: client.job.submit(x=1))
    with pytest.raises(BentoMLException, match="holds no known status"):
        ask(
            kind,
            Server(httpx2.Response(200, json={"status": "x"})),
            lambda client: client.job.get_status("t"),
        )
