"""How tasks are run: within which limits, how many at once, and what becomes of them when the server ends."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.runtime.task_jobs import BENCH, Client, Jobs, client_of, result, status, submit, until

import bentoml
from bentoml.runtime.tasks.place import Place
from bentoml.runtime.tasks.queue import TaskStoreError

LARGE = b"0123456789abcdef" * 20_000  # 320 kB: kept in a file


@pytest.fixture(autouse=True)
def bench() -> Iterator[None]:
    BENCH.clear()
    yield
    BENCH.gate.set()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with client_of(Jobs) as client:
        yield client


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
        def labour(self, text: str) -> str:
            entered.set()
            leave.wait(60)
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
        for path in ("/labour", "/stubborn"):
            entered.clear()
            id = submit(client, path, json={"text": "x" * 100_000})
            assert entered.wait(60)
            assert client.put(f"{path}/cancel?task_id={id}").status_code == 200
            leave.set()
            assert status(client, path, id) == "canceled"
        last = submit(client, "/labour", json={"text": "y"})
        assert result(client, "/labour", last).text == "yy"
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


def test_the_time_limit_of_requests_is_not_that_of_tasks() -> None:
    @bentoml.service(traffic={"timeout": 0.5})
    class Hasty:
        @bentoml.task
        async def waiting(self, seconds: float) -> str:
            await asyncio.sleep(seconds)
            return "slept"

    with client_of(Hasty) as client:
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
        async def labour(self) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            while most < 3:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)  # for a fourth one to come
            now -= 1

    with client_of(Several) as client:
        ids = [submit(client, "/labour") for _ in range(12)]
        for id in ids:
            until(client, "/labour", id, "completed")
    assert most == 3


def test_too_many_that_wait() -> None:
    @bentoml.service(tasks={"max_pending": 2})
    class Small:
        @bentoml.task
        async def labour(self) -> None:
            await asyncio.sleep(60)

    with client_of(Small, grace=0) as client:
        until(client, "/labour", submit(client, "/labour"), "in_progress")
        codes = [client.post("/labour/submit", json={}).status_code for _ in range(4)]
        answer = client.post("/labour/submit", json={})
    assert codes == [200, 200, 503, 503]
    assert answer.json() == {"error": "too many tasks wait already"}
    assert answer.headers["retry-after"]


def test_submissions_count_as_requests_and_tasks_do_not() -> None:
    entered, leave = threading.Event(), threading.Event()

    @bentoml.service(traffic={"max_concurrency": 1})
    class Narrow:
        @bentoml.task
        def labour(self) -> str:
            entered.set()
            leave.wait(60)
            return "done"

    with client_of(Narrow) as client:
        id = submit(client, "/labour")
        assert entered.wait(60)
        other = submit(client, "/labour")
        assert client.put(f"/labour/cancel?task_id={other}").status_code == 200
        entered.clear()
        leave.set()
        assert result(client, "/labour", id).text == "done"
        leave.clear()
        with ThreadPoolExecutor(1) as pool:
            direct = pool.submit(client.post, "/labour", json={})
            assert entered.wait(60)
            answer = client.post("/labour/submit", json={})
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
    with client_of(Jobs, place, grace=60) as client:
        id = submit(client, "/deep/gated", json={"n": 1})
        until(client, "/deep/gated", id, "in_progress")
        other = submit(client, "/double", json={"n": 2})
        client.app.end()  # type: ignore[attr-defined]  # the application of a worker has it
        BENCH.gate.set()
    assert BENCH.ran == [1], "nothing new was begun"
    with client_of(Jobs, place) as client:
        assert status(client, "/deep/gated", id) == "completed"
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
        def labour(self) -> None: ...

    before = _queues()
    with client_of(Plain) as client:
        assert client.post("/labour/submit").status_code == 404
        assert _queues() <= before
        assert "_task" not in client.get("/metrics").text


def _queues() -> int:
    return sum(thread.name == "bentoml-tasks" for thread in threading.enumerate())
