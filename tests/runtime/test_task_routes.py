"""Tasks as their callers see them: submitted, asked after, fetched, retried, canceled, over HTTP."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import bentoml
from bentoml.exceptions import InvalidArgument
from bentoml.runtime.app import AppOptions, create_app
from bentoml.runtime.tasks.place import Place, TaskOptions
from bentoml.runtime.tasks.queue import TaskStoreError

LARGE = b"0123456789abcdef" * 20_000  # 320 kB: kept in a file


class Bench:
    """What the tasks of a test do together: who ran, and when a gate opens."""

    def __init__(self) -> None:
        self.ran: list[Any] = []
        self.gate = threading.Event()


BENCH = Bench()


@pytest.fixture(autouse=True)
def bench() -> Iterator[Bench]:
    global BENCH
    BENCH = Bench()
    yield BENCH
    BENCH.gate.set()


@bentoml.service(traffic={"timeout": 0.5}, threads=3)
class Jobs:
    @bentoml.task
    def double(self, n: int) -> int:
        BENCH.ran.append(n)
        return n * 2

    @bentoml.task(route="/deep/gated")
    def gated(self, n: int = 0) -> str:
        BENCH.ran.append(n)
        assert BENCH.gate.wait(10)
        return f"done {n}"

    @bentoml.task
    async def waiting(self, seconds: float = 60) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            BENCH.ran.append("cancelled")
            raise
        return "slept"

    @bentoml.task
    def told(self, ctx: bentoml.Context) -> dict[str, Any]:
        ctx.response.status_code = 201
        ctx.response.headers["x-answer"] = "yes"
        return {
            "id": ctx.request.state.task_id,
            "headers": dict(ctx.request.headers),
            "query": str(ctx.request.url.query),
            "path": ctx.request.url.path,
        }

    @bentoml.task
    def twice(self, file: Path) -> Path:
        out = file.with_name("out.bin")
        out.write_bytes(file.read_bytes() * 2)
        return out

    @bentoml.task
    def echo(self, text: str) -> str:
        return text

    @bentoml.task
    def wrong(self, how: str = "") -> int:
        if how == "caller":
            raise InvalidArgument("not like this")
        if how == "type":
            return "not a number"  # type: ignore[return-value]
        raise ValueError("secret")

    @bentoml.api
    def ordinary(self) -> str:
        return "as ever"


Client = TestClient


@contextmanager
def client_of(service: Any, place: Place | None = None, **options: Any) -> Iterator[Client]:
    tasks = TaskOptions(place or Place("test", None, None), **options)
    app: Any = create_app(service, options=AppOptions(access_log=False, tasks=tasks))
    with TestClient(app) as client:
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with client_of(Jobs) as client:
        yield client


def submit(client: Client, path: str, **request: Any) -> str:
    answer = client.post(f"{path}/submit", **({"json": {}} | request))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["task_id"])


def status(client: Client, path: str, id: str) -> str:
    return str(client.get(f"{path}/status", params={"task_id": id}).json()["status"])


def until(client: Client, path: str, id: str, *wanted: str) -> str:
    end = time.monotonic() + 10
    while (now := status(client, path, id)) not in wanted:
        assert time.monotonic() < end, f"{path} is {now}"
        time.sleep(0.005)
    return now


def result(client: Client, path: str, id: str) -> Any:
    until(client, path, id, "completed", "failed")
    return client.get(f"{path}/get", params={"task_id": id})


def until_true(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_task_is_submitted_runs_and_is_fetched(client: Client) -> None:
    answer = client.post("/double/submit", json={"n": 21})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"task_id": answer.json()["task_id"], "status": "pending"}
    id = answer.json()["task_id"]
    assert re.fullmatch("[0-9a-f]{32}", id)
    assert until(client, "/double", id, "completed", "failed") == "completed"
    state = client.get(f"/double/status?task_id={id}").json()
    assert list(state) == ["task_id", "status", "created_at", "executed_at", "completed_at"]
    times = [datetime.fromisoformat(state[key]) for key in list(state)[2:]]
    assert times == sorted(times)
    assert all(t.utcoffset() == timedelta(0) for t in times)
    assert abs(times[0].timestamp() - time.time()) < 60
    got = client.get(f"/double/get?task_id={id}")
    assert (got.status_code, got.json()) == (200, 42)
    assert got.headers["content-type"] == client.post("/double", json={"n": 1}).headers["content-type"]
    again = client.get(f"/double/get?task_id={id}")
    assert again.content == got.content, "a result may be fetched as often as one likes"


def test_the_route_itself_runs_at_once(client: Client) -> None:
    assert client.post("/double", json={"n": 4}).json() == 8
    assert client.get("/double").status_code == 405
    assert client.post("/ordinary").text == "as ever"
    assert client.post("/ordinary/submit").status_code == 404


def test_while_it_runs_and_before(client: Client) -> None:
    first = submit(client, "/deep/gated", json={"n": 1})
    until(client, "/deep/gated", first, "in_progress")
    second = submit(client, "/deep/gated", json={"n": 2})
    time.sleep(0.05)
    state = client.get(f"/deep/gated/status?task_id={second}").json()
    assert (state["status"], state["executed_at"], state["completed_at"]) == ("pending", None, None)
    for id in (first, second):
        answer = client.get(f"/deep/gated/get?task_id={id}")
        assert (answer.status_code, answer.json()) == (400, {"error": f"task {id} is not completed yet"})
        retry = client.post(f"/deep/gated/retry?task_id={id}")
        assert (retry.status_code, retry.json()) == (400, {"error": f"task {id} is not completed yet"})
    BENCH.gate.set()
    assert result(client, "/deep/gated", second).text == "done 2"
    assert BENCH.ran == [1, 2], "in the order of submission"


@pytest.mark.parametrize(
    ("body", "code"),
    [({"json": {"n": "x"}}, 400), ({"json": {}}, 400), ({"content": b"{"}, 400)],
    ids=["type", "missing", "json"],
)
def test_a_wrong_body_is_refused_as_by_the_api_and_never_runs(client: Client, body: Any, code: int) -> None:
    answer = client.post("/double/submit", **body)
    direct = client.post("/double", **body)
    assert (answer.status_code, answer.json()) == (code, direct.json())
    assert BENCH.ran == []


def test_pickled_bodies_are_refused(client: Client) -> None:
    headers = {"content-type": "application/vnd.bentoml+pickle"}
    assert client.post("/double/submit", content=b"\x80", headers=headers).status_code == 415


@pytest.mark.parametrize("path", ["status", "get", "retry", "cancel"])
@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("", 400, "task_id is required"),
        ("?task_id=", 400, "task_id is required"),
        ("?task_id=" + "0" * 32, 404, "task_id not found"),
        ("?task_id=../../etc/passwd", 404, "task_id not found"),
        ("?task_id=' OR 1=1", 404, "task_id not found"),
        ("?task_id=%ff%00", 404, "task_id not found"),
    ],
)
def test_which_task(client: Client, path: str, query: str, code: int, message: str) -> None:
    method = {"retry": "POST", "cancel": "PUT"}.get(path, "GET")
    answer = client.request(method, f"/double/{path}{query}")
    assert (answer.status_code, answer.json()) == (code, {"error": message})


def test_a_task_is_no_business_of_other_apis(client: Client) -> None:
    id = submit(client, "/double", json={"n": 1})
    until(client, "/double", id, "completed")
    for method, path in (("GET", "status"), ("GET", "get"), ("POST", "retry"), ("PUT", "cancel")):
        assert client.request(method, f"/echo/{path}?task_id={id}").status_code == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("submit", "POST"),
        ("status", "GET, HEAD"),
        ("get", "GET, HEAD"),
        ("retry", "POST, PUT"),
        ("cancel", "PUT, POST"),
    ],
)
def test_methods(client: Client, path: str, allowed: str) -> None:
    answer = client.delete(f"/double/{path}")
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_head_has_no_body(client: Client) -> None:
    id = submit(client, "/double", json={"n": 1})
    until(client, "/double", id, "completed")
    for path in ("status", "get"):
        head, get = (client.request(m, f"/double/{path}?task_id={id}") for m in ("HEAD", "GET"))
        assert head.content == b""
        assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("caller", 400, "not like this"),
        ("type", 500, "An unexpected error has occurred, please check the server log."),
        ("", 500, "An unexpected error has occurred, please check the server log."),
    ],
)
def test_a_failed_task_gives_the_answer_that_the_api_gives(
    client: Client, how: str, code: int, message: str
) -> None:
    id = submit(client, "/wrong", json={"how": how})
    assert until(client, "/wrong", id, "completed", "failed") == "failed"
    answer = client.get(f"/wrong/get?task_id={id}")
    assert (answer.status_code, answer.json()) == (code, {"error": message})


def test_retry_is_a_new_task_with_the_same_input(client: Client) -> None:
    first = submit(client, "/double", json={"n": 5})
    until(client, "/double", first, "completed")
    for method in ("POST", "PUT"):
        answer = client.request(method, f"/double/retry?task_id={first}")
        assert answer.status_code == 200
        assert answer.json()["status"] == "pending"
        second = answer.json()["task_id"]
        assert second != first
        assert result(client, "/double", second).json() == 10
    assert BENCH.ran == [5, 5, 5]


def test_what_is_canceled_before_it_runs_never_does(client: Client) -> None:
    busy = submit(client, "/deep/gated", json={"n": 1})
    until(client, "/deep/gated", busy, "in_progress")
    id = submit(client, "/double", json={"n": 7})
    answer = client.put(f"/double/cancel?task_id={id}")
    assert (answer.status_code, answer.json()) == (200, {"task_id": id, "status": "canceled"})
    BENCH.gate.set()
    later = submit(client, "/double", json={"n": 8})
    assert result(client, "/double", later).json() == 16
    assert BENCH.ran == [1, 8]
    assert status(client, "/double", id) == "canceled"
    got = client.get(f"/double/get?task_id={id}")
    assert (got.status_code, got.json()) == (400, {"error": f"task {id} was canceled"})
    assert (
        result(client, "/double", client.post(f"/double/retry?task_id={id}").json()["task_id"]).json() == 14
    )


def test_a_running_async_task_is_cancelled(client: Client) -> None:
    id = submit(client, "/waiting")
    until(client, "/waiting", id, "in_progress")
    assert client.post(f"/waiting/cancel?task_id={id}").json()["status"] == "canceled"
    until_true(lambda: BENCH.ran == ["cancelled"])
    assert client.put(f"/waiting/cancel?task_id={id}").status_code == 200, "once more is fine"
    assert status(client, "/waiting", id) == "canceled"


def test_a_running_sync_task_runs_on_keeps_its_place_and_its_result_is_dropped(client: Client) -> None:
    id = submit(client, "/deep/gated", json={"n": 1})
    until_true(lambda: BENCH.ran == [1])
    assert client.put(f"/deep/gated/cancel?task_id={id}").status_code == 200
    next_one = submit(client, "/double", json={"n": 2})
    time.sleep(0.1)
    assert status(client, "/double", next_one) == "pending", (
        "one task at a time, also of those that nobody wants"
    )
    BENCH.gate.set()
    assert result(client, "/double", next_one).json() == 4
    assert status(client, "/deep/gated", id) == "canceled"
    assert client.get(f"/deep/gated/get?task_id={id}").status_code == 400


def test_what_has_ended_cannot_be_canceled(client: Client) -> None:
    id = submit(client, "/double", json={"n": 1})
    until(client, "/double", id, "completed")
    answer = client.put(f"/double/cancel?task_id={id}")
    assert (answer.status_code, answer.json()) == (400, {"error": f"task {id} has ended already"})
    assert result(client, "/double", id).json() == 2


def test_the_request_that_a_task_sees(client: Client) -> None:
    headers = {"x-mine": "1", "authorization": "Bearer secret", "cookie": "a=secret", "range": "bytes=0-1"}
    id = submit(client, "/told", headers=headers, params={"q": "v"})
    got = result(client, "/told", id)
    assert (got.status_code, got.headers["x-answer"]) == (201, "yes")
    seen = got.json()
    assert (seen["id"], seen["query"], seen["path"]) == (id, "q=v", "/told")
    assert seen["headers"]["x-mine"] == "1"
    assert seen["headers"]["content-type"] == "application/json"
    assert not {"authorization", "cookie", "range"} & set(seen["headers"])
    assert "secret" not in got.text


def test_long_bodies_and_files(tmp_path: Path) -> None:
    place = Place("test", tmp_path / "tasks.db", tmp_path)
    with client_of(Jobs, place) as client:
        id = submit(client, "/twice", json=None, files={"file": ("in.bin", LARGE)})
        got = result(client, "/twice", id)
        assert got.content == LARGE * 2
        assert got.headers["content-disposition"] == 'attachment; filename="out.bin"'
        text = LARGE.decode()
        again = submit(client, "/echo", json={"text": text})
        assert result(client, "/echo", again).text == text
        assert (
            result(client, "/echo", client.put(f"/echo/retry?task_id={again}").json()["task_id"]).text == text
        )
        assert len(list((tmp_path / "bodies").iterdir())) == 6
        assert (tmp_path / "tasks.db-wal").stat().st_size + (tmp_path / "tasks.db").stat().st_size < 2 * len(
            LARGE
        )
        assert client.post("/twice/submit", files={"other": ("in.bin", LARGE)}).status_code == 400
        assert len(list((tmp_path / "bodies").iterdir())) == 6, "what is refused leaves nothing"


def test_a_dropped_answer_leaves_no_file(tmp_path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    @bentoml.service
    class Slow:
        @bentoml.task
        def work(self, text: str) -> str:
            entered.set()
            leave.wait(10)
            return text * 2

        @bentoml.task
        async def stubborn(self, text: str) -> str:
            entered.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return text * 2
            return "slept"

    place = Place("test", tmp_path / "tasks.db", tmp_path)
    with client_of(Slow, place) as client:
        for path in ("/work", "/stubborn"):
            entered.clear()
            id = submit(client, path, json={"text": "x" * 100_000})
            assert entered.wait(10)
            assert client.put(f"{path}/cancel?task_id={id}").status_code == 200
            leave.set()
            assert status(client, path, id) == "canceled"
        last = submit(client, "/work", json={"text": "y"})
        assert result(client, "/work", last).text == "yy"
        assert len(list((tmp_path / "bodies").iterdir())) == 2, "those of the requests"


def test_a_result_whose_file_somebody_deleted(tmp_path: Path) -> None:
    place = Place("test", tmp_path / "tasks.db", tmp_path)
    with client_of(Jobs, place) as client:
        id = submit(client, "/twice", json=None, files={"file": ("in.bin", LARGE)})
        until(client, "/twice", id, "completed")
        for file in (tmp_path / "bodies").iterdir():
            file.unlink()
        answer = client.get(f"/twice/get?task_id={id}")
        assert (answer.status_code, "not available" in answer.text) == (503, True)
        assert str(tmp_path) not in answer.text
        again = client.post(f"/twice/retry?task_id={id}")
        assert again.status_code == 503


def test_the_time_limit_of_requests_is_not_that_of_tasks(client: Client) -> None:
    assert client.post("/waiting", json={"seconds": 30}).status_code == 504
    assert result(client, "/waiting", submit(client, "/waiting", json={"seconds": 0.7})).text == "slept"


def test_the_time_limit_of_tasks() -> None:
    @bentoml.service(tasks={"timeout": 0.1})
    class Limited:
        @bentoml.task
        async def slow(self) -> None:
            await asyncio.sleep(60)

    with client_of(Limited) as client:
        id = submit(client, "/slow")
        assert until(client, "/slow", id, "completed", "failed") == "failed"
        assert client.get(f"/slow/get?task_id={id}").status_code == 504


def test_as_many_at_once_as_the_service_says() -> None:
    most = 0
    now = 0

    @bentoml.service(traffic={"concurrency": 3})
    class Several:
        @bentoml.task
        async def work(self) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.02)
            now -= 1

    with client_of(Several) as client:
        ids = [submit(client, "/work") for _ in range(12)]
        for id in ids:
            until(client, "/work", id, "completed")
    assert most == 3


def test_too_many_that_wait() -> None:
    @bentoml.service(tasks={"max_pending": 2})
    class Small:
        @bentoml.task
        async def work(self) -> None:
            await asyncio.sleep(60)

    with client_of(Small, grace=0) as client:
        until(client, "/work", submit(client, "/work"), "in_progress")
        codes = [client.post("/work/submit", json={}).status_code for _ in range(4)]
        answer = client.post("/work/submit", json={})
    assert codes == [200, 200, 503, 503]
    assert answer.json() == {"error": "too many tasks wait already"}
    assert answer.headers["retry-after"]


def test_submissions_count_as_requests_and_tasks_do_not() -> None:
    entered, leave = threading.Event(), threading.Event()

    @bentoml.service(traffic={"max_concurrency": 1})
    class Narrow:
        @bentoml.task
        def work(self) -> str:
            entered.set()
            leave.wait(10)
            return "done"

    with client_of(Narrow) as client:
        id = submit(client, "/work")
        assert entered.wait(10)
        other = submit(client, "/work")
        assert client.put(f"/work/cancel?task_id={other}").status_code == 200
        entered.clear()
        leave.set()
        assert result(client, "/work", id).text == "done"
        leave.clear()
        with ThreadPoolExecutor(1) as pool:
            direct = pool.submit(client.post, "/work", json={})
            assert entered.wait(10)
            answer = client.post("/work/submit", json={})
            leave.set()
            assert direct.result().text == "done"
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_keys_are_asked_for_and_not_kept(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("open-sesame")

    @bentoml.service(auth={"type": "api_key", "file": str(keys), "header": "x-key"})
    class Guarded:
        @bentoml.task
        def seen(self, ctx: bentoml.Context) -> list[str]:
            return sorted(ctx.request.headers)

    place = Place("test", tmp_path / "tasks.db", tmp_path)
    with client_of(Guarded, place) as client:
        for method, path in (
            ("POST", "submit"),
            ("GET", "status"),
            ("GET", "get"),
            ("POST", "retry"),
            ("PUT", "cancel"),
        ):
            assert client.request(method, f"/seen/{path}").status_code == 401
        client.headers["x-key"] = "open-sesame"
        seen = result(client, "/seen", submit(client, "/seen")).json()
    assert "x-key" not in seen
    kept = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p != keys)
    assert b"sesame" not in kept


def test_a_prefix() -> None:
    @bentoml.service(path_prefix="/v1")
    class Prefixed:
        @bentoml.task(route="/")
        def root(self) -> str:
            return "r"

    with client_of(Prefixed) as client:
        assert result(client, "/v1", submit(client, "/v1")).text == "r"
        assert client.post("/submit", json={}).status_code == 404


def test_tasks_wait_for_the_next_server(tmp_path: Path) -> None:
    place = Place("test", tmp_path / "tasks.db", tmp_path)
    with client_of(Jobs, place, grace=0.1) as client:
        done = submit(client, "/double", json={"n": 1})
        until(client, "/double", done, "completed")
        running = submit(client, "/waiting", json={"seconds": 0.3})
        until(client, "/waiting", running, "in_progress")
        waiting = submit(client, "/double", json={"n": 2})
    with client_of(Jobs, place) as client:
        assert result(client, "/double", done).json() == 2
        assert result(client, "/waiting", running).text == "slept"
        assert result(client, "/double", waiting).json() == 4


def test_what_runs_when_the_server_ends_gets_its_time(tmp_path: Path) -> None:
    place = Place("test", tmp_path / "tasks.db", tmp_path)
    with client_of(Jobs, place, grace=5) as client:
        id = submit(client, "/waiting", json={"seconds": 0.2})
        until(client, "/waiting", id, "in_progress")
        other = submit(client, "/double", json={"n": 2})
        client.app.end()  # type: ignore[attr-defined]  # the application of a worker has it
    assert BENCH.ran == [], "nothing new was begun"
    with client_of(Jobs, place) as client:
        assert status(client, "/waiting", id) == "completed"
        assert result(client, "/double", other).json() == 4


def test_memory_is_for_one_worker() -> None:
    with (
        pytest.raises(TaskStoreError, match=r"--workers 1"),
        client_of(Jobs, workers=2),
    ):
        pass


def test_metrics(tmp_path: Path) -> None:
    with client_of(Jobs) as client:
        until(client, "/double", submit(client, "/double", json={"n": 1}), "completed")
        text = client.get("/metrics").text
    assert 'bentoml_service_task_total{endpoint="/double",status="completed"} 1\n' in text
    counted = re.findall(r'request_total\{endpoint="([^"]*)",http_response_code="200"[^}]*\} (\d+)', text)
    assert dict(counted)["/double/submit"] == "1"
    assert int(dict(counted)["/double/status"]) > 0
    assert dict(counted)["/double"] == "0", "a task is no request"


def test_a_service_without_tasks_has_no_queue() -> None:
    @bentoml.service
    class Plain:
        @bentoml.api
        def work(self) -> None: ...

    before = _queues()
    with client_of(Plain) as client:
        assert client.post("/work/submit").status_code == 404
        assert _queues() == before
        assert "_task" not in client.get("/metrics").text


def _queues() -> int:
    return sum(thread.name == "bentoml-tasks" for thread in threading.enumerate())
