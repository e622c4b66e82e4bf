"""Tasks as their callers see them: submitted, asked after, fetched, retried, canceled, over HTTP."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # it has no types
from tests.runtime.task_jobs import BENCH, Client, Jobs, client_of, result, status, submit, until, until_true


@pytest.fixture(autouse=True)
def bench() -> Iterator[None]:
    BENCH.clear()
    yield
    BENCH.gate.set()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with client_of(Jobs) as client:
        yield client


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
        ("?" + "task_id=x&" * 500, 404, "task_id not found"),
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
    assert BENCH.waits.wait(60)
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


def test_answers_are_as_they_are_described(client: Client) -> None:
    document = client.get("/docs.json").json()

    def described(path: str, method: str, answer: Any) -> None:
        content = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]
        schema = {**content["schema"], "components": document["components"]}
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(answer.json())
        (name,) = content["schema"].values()
        known = document["components"]["schemas"][name.rpartition("/")[2]]
        assert set(answer.json()) == set(known["properties"]) == set(known["required"])

    new = client.post("/double/submit", json={"n": 1})
    described("/double/submit", "post", new)
    query = f"?task_id={new.json()['task_id']}"
    described("/double/status", "get", client.get(f"/double/status{query}"))
    until(client, "/double", new.json()["task_id"], "completed")
    described("/double/status", "get", client.get(f"/double/status{query}"))
    described("/double/retry", "post", client.post(f"/double/retry{query}"))
    BENCH.gate.clear()
    gated = submit(client, "/deep/gated")
    described("/deep/gated/cancel", "put", client.put(f"/deep/gated/cancel?task_id={gated}"))
