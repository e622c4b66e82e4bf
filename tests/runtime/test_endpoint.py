"""One API: input, output, errors, context, timeout and limits."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse, Response
from tests.runtime.running import until
from tests.runtime.served import Served, served

import bentoml
from bentoml.exceptions import BentoMLException, NotFound, ServiceUnavailable
from bentoml.runtime.call import Call

GENERIC = {"error": "An unexpected error has occurred, please check the server log."}


class Point(BaseModel):
    x: int
    y: int = 0


@bentoml.service(threads=2, http={"limits": {"body": 2_000_000, "upload": 2_000_000}})
class Everything:
    @bentoml.api
    def add(self, a: int, b: Annotated[int, Field(ge=0)] = 1) -> int:
        return a + b

    @bentoml.api
    async def add_async(self, a: int, b: int = 1) -> int:
        return a + b

    @bentoml.api
    def double(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return array * 2

    @bentoml.api
    def nothing(self, ctx: bentoml.Context, status: int) -> str:
        ctx.response.status_code = status
        return "nothing"

    @bentoml.api
    def root(self, point: Point, /) -> Point:
        return point

    @bentoml.api
    def shout(self, text: str, /) -> str:
        return text.upper()

    @bentoml.api
    def size(self, file: Path, note: str = "") -> str:
        return f"{file.name[-5:]} {len(file.read_bytes())} {note}"

    @bentoml.api
    def raw_size(self, file: Path, /) -> int:
        return file.stat().st_size

    @bentoml.api
    def page(self, ctx: bentoml.Context) -> Path:
        path = Path(ctx.temp_dir) / "out.txt"
        path.write_text("a page")
        return path

    @bentoml.api
    async def about(self, text: str, context: bentoml.Context) -> str:
        context.response.status_code = 202
        context.response.headers.append("x-a", "1")
        context.response.headers.append("x-a", "2")
        context.response.set_cookie("k", "v", httponly=True)
        context.response.background.add_task(context.state.__setitem__, "after", text)
        return context.request.headers["x-sent"] + str(context.state.get("after"))

    @bentoml.api
    def placed(self, ctx: bentoml.Context, text: str, /) -> str:
        return text + ctx.request.headers["x-sent"]

    @bentoml.api
    def again(self, ctx: bentoml.Context) -> bytes:
        return asyncio.run(ctx.request.body())

    @bentoml.api
    def own(self) -> Response:
        return PlainTextResponse("mine", status_code=299, headers={"x-own": "1"})

    @bentoml.api
    def fail(self, kind: str) -> int:
        errors: dict[str, BaseException] = {
            "value": ValueError("a secret"),
            "not found": NotFound("no such `thing`"),
            "forbidden": BentoMLException("a secret", error_code=403),
            "unavailable": ServiceUnavailable("a secret"),
            "stop": StopIteration(3),
            "exit": SystemExit(1),
            "cancelled": asyncio.CancelledError(),
        }
        raise errors[kind]

    @bentoml.api
    async def fail_async(self, kind: str) -> int:
        if kind == "cancelled":
            raise asyncio.CancelledError
        raise ValueError("a secret")

    @bentoml.api
    def wrong(self) -> int:
        return "x"  # type: ignore[return-value]  # on purpose


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served(Everything) as running:
        yield running


@pytest.mark.parametrize("path", ["/add", "/add_async"])
def test_an_answer_and_its_headers(app: Served, path: str) -> None:
    reply = app.ask(path, {"a": 1, "b": 2})
    assert (reply.status, reply.body, reply.complete) == (200, b"3", True)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["content-length"] == "1"
    assert reply.headers["server"] == "BentoML Service/Everything"
    assert len(reply.headers["x-bentoml-request-id"]) == 16
    assert "x-bentoml-trace-id" not in reply.headers


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        pytest.param(None, b'{"a": 1, "b": 2}', b"3", id="no type"),
        pytest.param("application/json; charset=utf-8", b'{"a": 1}', b"2", id="default"),
        pytest.param("text/plain", b'{"a": "7", "b": 2, "c": 9}', b"9", id="unknown type, extra key"),
        pytest.param("application/x-www-form-urlencoded", b' {"a": 1, "b": 2}', b"3", id="curl -d"),
        pytest.param("application/x-www-form-urlencoded", b"a=1&b=2", b"3", id="a real form"),
    ],
)
def test_bodies_by_media_type(app: Served, content_type: str | None, body: bytes, expected: bytes) -> None:
    headers = {"content-type": content_type} if content_type else {"x": "y"}
    assert app.ask("/add", body, headers=headers).body == expected


def test_a_body_in_pieces(app: Served) -> None:
    assert app.ask("/add", {"a": 1, "b": 2}, pieces=4).body == b"3"


def test_arrays_models_and_text(app: Served) -> None:
    assert app.ask("/double", {"array": [[1.5, 2]]}).json() == [[3.0, 4.0]]
    assert app.ask("/root", {"x": 1}).json() == {"x": 1, "y": 0}
    shouted = app.ask("/shout", b"hello", headers={"content-type": "text/plain"})
    assert (shouted.body, shouted.headers["content-type"]) == (b"HELLO", "text/plain; charset=utf-8")


def test_a_file_in_a_form_and_as_the_body(app: Served) -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="../../a.txt"\r\n\r\n12345\r\n'
        b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--b--\r\n'
    )
    reply = app.ask("/size", form, headers={"content-type": "multipart/form-data; boundary=b"})
    assert reply.body == b"a.txt 5 hello"
    assert app.ask("/raw_size", b"123", headers={"content-type": "application/pdf"}).body == b"3"
    assert app.ask("/size", {"file": "/etc/hostname"}).json()["detail"][0]["type"] == "path_type"


def test_a_file_is_sent_as_a_download(app: Served) -> None:
    reply = app.ask("/page")
    assert reply.body == b"a page"
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.headers["content-disposition"] == 'attachment; filename="out.txt"'
    assert {"etag", "last-modified", "content-length", "x-bentoml-request-id", "server"} <= set(reply.headers)


def test_the_context(app: Served) -> None:
    reply = app.ask("/about", {"text": "later"}, headers={"X-Sent": "seen "})
    assert (reply.status, reply.body) == (202, b"seen None")
    assert [v for n, v in reply.raw_headers if n == "x-a"] == ["1", "2"]
    assert reply.headers["set-cookie"] == "k=v; HttpOnly; Path=/; SameSite=lax"
    assert app.ask("/about", {"text": "x"}, headers={"X-Sent": "seen "}).body == b"seen later"
    assert app.ask("/again", b'{"any": 1}').body == b'{"any": 1}'


@pytest.mark.parametrize(("status", "body"), [(204, b""), (304, b""), (205, b"nothing"), (410, b"nothing")])
def test_a_status_that_has_no_body(app: Served, status: int, body: bytes) -> None:
    reply = app.ask("/nothing", {"status": status})
    assert (reply.status, reply.body) == (status, body)


def test_a_status_that_is_none(app: Served, caplog: pytest.LogCaptureFixture) -> None:
    assert app.ask("/nothing", {"status": 101}).status == 500
    assert "`101` is no status of an answer" in caplog.text


def test_a_response_of_the_users_own(app: Served) -> None:
    reply = app.ask("/own")
    assert (reply.status, reply.body, reply.headers["x-own"]) == (299, b"mine", "1")


def test_trace_ids_of_the_caller_are_kept(app: Served, caplog: pytest.LogCaptureFixture) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    app.ask("/fail", {"kind": "value"}, headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert f"trace={trace}" in str(caplog.records[-1].trace)  # type: ignore[attr-defined]  # an extra of ours


@pytest.mark.parametrize(
    ("body", "kind", "location"),
    [
        pytest.param(b"{not json", "json_invalid", [], id="not JSON"),
        pytest.param(b'{"a": "x"}', "int_parsing", ["a"], id="wrong type"),
        pytest.param(b"{}", "missing", ["a"], id="missing"),
        pytest.param(b"[1]", "model_type", [], id="not an object"),
        pytest.param(b'{"a": 1, "b": -1}', "greater_than_equal", ["b"], id="bounds"),
    ],
)
def test_input_that_does_not_fit(app: Served, body: bytes, kind: str, location: list[str]) -> None:
    reply = app.ask("/add", body)
    assert (reply.status, reply.headers["content-type"]) == (400, "application/json")
    answer = reply.json()
    assert answer["error"] == "1 validation error for Input"
    assert [(d["type"], d["loc"]) for d in answer["detail"]] == [(kind, location)]
    assert set(answer["detail"][0]) == {"type", "loc", "msg", "url"}


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("value", 500, GENERIC),
        ("not found", 404, {"error": "no such `thing`"}),
        ("forbidden", 403, {"error": "Authorization error"}),
        ("unavailable", 503, GENERIC),
        ("stop", 500, GENERIC),
        ("exit", 500, GENERIC),
        ("cancelled", 500, GENERIC),
    ],
)
def test_errors_of_the_api(
    app: Served, kind: str, status: int, body: object, caplog: pytest.LogCaptureFixture
) -> None:
    reply = app.ask("/fail", {"kind": kind})
    assert (reply.status, reply.json()) == (status, body)
    assert bool(caplog.records) == (status >= 500)
    assert "x-bentoml-request-id" in reply.headers


@pytest.mark.parametrize("kind", ["value", "cancelled"])
def test_errors_of_an_async_api(app: Served, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    reply = app.ask("/fail_async", {"kind": kind})
    assert (reply.status, reply.json()) == (500, GENERIC)
    assert caplog.records[-1].exc_info is not None


def test_output_that_does_not_fit_is_the_services_fault(app: Served) -> None:
    assert (app.ask("/wrong").status, app.ask("/wrong").json()) == (500, GENERIC)


@pytest.mark.parametrize(
    "media_type", ["application/vnd.bentoml+pickle", "application/x-pickle", "Application/Pickle; a=b"]
)
@pytest.mark.parametrize("path", ["/add", "/shout", "/raw_size", "/size"])
def test_pickles_are_refused(app: Served, path: str, media_type: str) -> None:
    reply = app.ask(path, b"\x80\x05.", headers={"content-type": media_type})
    said = f"{media_type.partition(';')[0].lower()} is not allowed in main server"
    assert (reply.status, reply.json()) == (415, {"error": said})


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("told", [True, False])
def test_a_body_that_is_too_long(app: Served, told: bool, pieces: int) -> None:
    headers = {"content-length": "2000001"} if told else {"content-length": "0"}
    reply = app.ask("/shout", b"x" * 2_000_001, pieces=pieces, headers=headers)
    assert reply.status == 413
    assert "2000000" in reply.json()["error"]


def test_another_method(app: Served) -> None:
    reply = app.ask("/add", method="GET")
    assert (reply.status, reply.body, reply.headers["allow"]) == (405, b"Method Not Allowed", "POST")


def gate() -> tuple[Any, threading.Event, list[str]]:
    """Return a service whose APIs wait, what ends the wait, and the folders and names that they saw."""
    release = threading.Event()
    seen: list[str] = []

    @bentoml.service(traffic={"timeout": 0.25, "max_concurrency": 2})
    class Slow:
        @bentoml.api
        def hold(self, name: str, ctx: bentoml.Context) -> str:
            (Path(ctx.temp_dir) / "mine").touch()
            seen.append(name)
            release.wait(60)
            assert (Path(ctx.temp_dir) / "mine").exists()
            seen.append(f"{name} ends")
            return name

        @bentoml.api
        async def sleep(self, ctx: bentoml.Context) -> None:
            ctx.response.background.add_task(seen.append, "background")
            try:
                await asyncio.sleep(60)
            finally:
                seen.append("cancelled")

        @bentoml.api
        async def quick(self) -> int:
            return 1

    return Slow, release, seen


def test_a_timeout_cancels_an_async_api() -> None:
    service, _, seen = gate()
    with served(service) as app:
        started = time.perf_counter()
        reply = app.ask("/sleep")
        assert (reply.status, reply.json()) == (
            504,
            {"error": "Not able to process the request in 0.25 seconds"},
        )
        assert 0.24 < time.perf_counter() - started < 30
        assert seen == ["cancelled"]
        assert app.ask("/quick").status == 200


def test_a_sync_api_that_timed_out_keeps_its_thread_and_its_folder() -> None:
    service, release, seen = gate()
    with served(service) as app:
        assert app.ask("/hold", {"name": "first"}).status == 504
        assert app.ask("/hold", {"name": "second"}).status == 504
        assert seen == ["first"]  # the only thread is still busy, and nobody waits for the second any more
        release.set()
        until(lambda: "first ends" in seen, lambda: "it goes on waiting")
        assert app.ask("/hold", {"name": "third"}).body == b"third"
        assert seen == ["first", "first ends", "third", "third ends"]


def test_more_at_once_than_allowed() -> None:
    service, _, _ = gate()
    with served(service) as app:

        async def crowd() -> list[int]:
            replies = await asyncio.gather(*(app.request("/sleep") for _ in range(3)))
            assert replies[2].headers["retry-after"] == "1"
            assert replies[2].json() == {"error": "Too many requests"}
            return [r.status for r in replies]

        assert app.run(crowd()) == [504, 504, 429]
        assert app.ask("/quick").status == 200
    with served(service, workers=2) as app:
        assert app.run(asyncio.wait_for(_statuses(app, 2), 60)) == [504, 429]


async def _statuses(app: Served, number: int) -> list[int]:
    return [r.status for r in await asyncio.gather(*(app.request("/sleep") for _ in range(number)))]


def test_the_log_has_the_traceback_and_the_answer_has_not(
    app: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="bentoml"):
        app.ask("/fail", {"kind": "value"})
    assert "ValueError: a secret" in caplog.text
    assert "in fail" in caplog.text
    assert "threads.py" not in caplog.text  # it begins where the user's code does


DONE: list[str] = []


@bentoml.service
class Background:
    @bentoml.api
    def labour(self, fail: bool, ctx: bentoml.Context) -> str:
        folder = Path(ctx.temp_dir)
        ctx.response.background.add_task(lambda: DONE.append(str(folder.exists())))
        if fail:
            raise NotFound("no")
        return str(folder)


def test_background_tasks_run_after_a_good_answer_and_before_the_folder_goes() -> None:
    with served(Background) as app:
        folders = {app.ask("/labour", {"fail": False}).body for _ in range(3)}
        assert len(folders) == 1  # given back each time
        assert DONE == ["True"] * 3
        assert app.ask("/labour", {"fail": True}).status == 404
        assert len(DONE) == 3


def test_a_client_that_breaks_off_is_counted_all_the_same(app: Served) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"a": 1}', "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        raise OSError("the client is gone")

    scope = {"type": "http", "method": "POST", "path": "/add", "scheme": "http", "headers": []}
    with pytest.raises(OSError, match="gone"):
        app.run(app.app(scope, receive, send))
    text = app.ask("/metrics", method="GET").body.decode()
    assert 'bentoml_service_request_in_progress{endpoint="/add",' in text
    (line,) = [
        x for x in text.splitlines() if x.startswith('bentoml_service_request_in_progress{endpoint="/add",')
    ]
    assert line.endswith(" 0.0")


def test_a_body_that_says_that_it_is_too_long_is_not_waited_for(app: Served) -> None:
    for kind in ("application/json", "multipart/form-data; boundary=b"):
        reply = app.ask("/add", b"", headers={"content-type": kind, "content-length": "99999999999"})
        assert (reply.status, reply.json()) == (413, {"error": "the body is longer than 2000000 bytes"})


def test_a_length_that_is_written_with_more_digits_than_numbers_have(app: Served) -> None:
    headers = {"content-type": "application/json", "content-length": "0" * 5000 + "8"}
    assert app.ask("/add", b'{"a": 1}', headers=headers).status == 413


@pytest.mark.parametrize("path", ["/add", "/add_async"])
def test_a_request_leaves_nothing_for_the_garbage_collector(app: Served, path: str) -> None:
    app.ask(path, {"a": 1})
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            app.ask(path, {"a": 1})
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [thing for thing in gc.garbage if isinstance(thing, Call)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left


def test_a_context_that_is_only_given_by_position(app: Served) -> None:
    assert app.ask("/placed", b"a", headers={"content-type": "text/plain", "x-sent": "b"}).body == b"ab"
