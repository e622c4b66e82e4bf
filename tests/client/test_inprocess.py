"""Requests to an application of this process."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from bentoml.client.inprocess import AppTransport


async def app(scope: Any, receive: Any, send: Any) -> None:
    start = {"type": "http.response.start", "status": 200, "headers": [(b"x-path", scope["raw_path"])]}
    match scope["path"]:
        case "/fails":
            raise ZeroDivisionError
        case "/cut off":
            await send(start)
            raise ZeroDivisionError
        case "/silent":
            await receive()
            while (await receive())["type"] != "http.disconnect":
                pass
            scope["app_state"]["gone"] = True
        case "/endless":
            await send(start)
            while not scope["app_state"].get("stop"):
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0)
        case _:
            body = b""
            while (message := await receive())["more_body"]:
                body += message["body"]
            await send(start)
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body"})


def run(work: Any) -> Any:
    async def main() -> Any:
        state: dict[str, Any] = {}

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "app_state": state}, receive, send)

        async with httpx2.AsyncClient(transport=AppTransport(with_state), base_url="http://here") as client:
            return await work(client, state)

    return asyncio.run(main())


def test_an_answer() -> None:
    async def work(client: httpx2.AsyncClient, state: Any) -> None:
        answer = await client.post("/a%20b?c=d", content=b"body")
        assert (answer.status_code, answer.text, answer.headers["x-path"]) == (200, "body", "/a%20b")
        assert (await client.head("/x")).content == b""

    run(work)


def test_an_application_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    async def work(client: httpx2.AsyncClient, state: Any) -> None:
        answer = await client.get("/fails")
        assert (answer.status_code, answer.text) == (500, "Internal Server Error")
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get("/cut off")

    run(work)
    assert caplog.text.count("ZeroDivisionError") >= 2


def test_whoever_does_not_wait_hangs_up() -> None:
    async def work(client: httpx2.AsyncClient, state: Any) -> None:
        with pytest.raises(httpx2.ReadTimeout):
            await client.get("/silent", timeout=0.05)
        await asyncio.sleep(0)
        assert state["gone"]

    run(work)


def test_an_answer_that_nobody_reads_waits_and_is_let_go() -> None:
    async def work(client: httpx2.AsyncClient, state: Any) -> None:
        request = client.build_request("GET", "/endless")
        answer = await client.send(request, stream=True)
        pieces = answer.aiter_raw()
        assert await anext(pieces) == b"x"
        await asyncio.sleep(0.05)
        await answer.aclose()
        state["stop"] = True  # it is not held up for ever by a reader who is gone

    run(work)
