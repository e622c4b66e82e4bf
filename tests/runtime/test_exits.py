"""User code that raises what would end the process: it is an error of one request, and the others are answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.runtime.served import Served, served
from tests.runtime.test_health import health
from tests.runtime.wire import Talk, talk

import bentoml
from bentoml.runtime.tasks.place import TaskOptions

GENERIC = {"error": "An unexpected error has occurred, please check the server log."}
KINDS = {"exit": SystemExit(4), "interrupt": KeyboardInterrupt()}


def leave(kind: str) -> None:
    raise KINDS[kind]


@bentoml.service
class Leaving:
    @bentoml.api
    def sync(self, kind: str) -> None:
        leave(kind)

    @bentoml.api
    async def awaited(self, kind: str) -> None:
        await asyncio.sleep(0)
        leave(kind)

    @bentoml.api
    async def early(self, kind: str) -> AsyncGenerator[str, None]:
        leave(kind)
        yield ""

    @bentoml.api
    async def late(self, kind: str) -> AsyncGenerator[str, None]:
        yield "a"
        leave(kind)

    @bentoml.api
    async def after(self, ctx: bentoml.Context, kind: str) -> str:
        async def last() -> None:
            ctx.state["last"] = kind

        async def first() -> None:
            leave(kind)

        ctx.response.background.add_task(first)
        ctx.response.background.add_task(last)
        return str(ctx.state.get("last", ""))

    @bentoml.task
    async def task(self, kind: str) -> str:
        leave(kind)
        return ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("api", ["sync", "awaited", "early"])
def test_an_api_that_leaves_is_an_error_of_its_request(
    api: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with served(Leaving) as app:
        reply = app.ask(f"/{api}", {"kind": kind})
        assert (reply.status, reply.json()) == (500, GENERIC)
        assert type(KINDS[kind]).__name__ in caplog.text
        assert app.ask("/sync", {}).status == 400


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_that_leaves_ends_with_its_error(kind: str) -> None:
    with served(Leaving) as app:
        reply = app.ask("/late", {"kind": kind})
        assert reply.status == 200
        assert b"event: error\n" in reply.body


@pytest.mark.parametrize("kind", KINDS)
def test_a_background_task_that_leaves_does_not_keep_the_others_from_running(kind: str) -> None:
    with served(Leaving) as app:
        assert app.ask("/after", {"kind": kind}).status == 200
        assert app.ask("/after", {"kind": kind}).body == kind.encode()


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_that_leaves_has_failed(kind: str) -> None:
    with served(Leaving, tasks=TaskOptions()) as app:
        assert failed(app, kind).json() == GENERIC


def failed(app: Served, kind: str) -> Any:
    id = app.ask("/task/submit", {"kind": kind}).json()["task_id"]

    async def result() -> Any:
        for _ in range(3000):
            reply = await app.request("/task/get", method="GET", query=f"task_id={id}")
            if reply.status != 400:
                return reply
            await asyncio.sleep(0.02)
        raise AssertionError("the task did not end")

    return app.run(result())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_async", [True, False])
def test_a_check_that_leaves_is_a_no(is_async: bool, kind: str) -> None:
    async def asynchronous(self: Any) -> None:
        leave(kind)

    def blocking(self: Any) -> None:
        leave(kind)

    check = health(asynchronous if is_async else blocking)
    assert asyncio.run(check.ready())[0] == 503


@pytest.mark.parametrize("kind", KINDS)
def test_a_mounted_application_that_leaves_is_answered_for(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        leave(kind)

    async def work(one: Talk) -> None:
        answer = await one.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 500 ")

    with caplog.at_level(logging.ERROR):
        talk(application, work)
    assert type(KINDS[kind]).__name__ in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_shutdown_hook_that_leaves_does_not_keep_the_others_from_running(kind: str) -> None:
    ran = []

    @bentoml.service
    class Hooked:
        @bentoml.on_shutdown
        def first(self) -> None:
            ran.append("first")
            leave(kind)

        @bentoml.on_shutdown
        def second(self) -> None:
            ran.append("second")

        @bentoml.api
        def nothing(self) -> None: ...

    with served(Hooked):
        pass
    assert sorted(ran) == ["first", "second"]
