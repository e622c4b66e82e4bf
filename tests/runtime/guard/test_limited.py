"""Pages, mounted applications and websockets: timeout, limit, origins, and whose answers they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from tests.runtime.served import Reply, Served, served

import bentoml

PATIENCE = 0.25  # seconds: far more than what does not wait takes


async def slow(request: Request) -> Response:
    await asyncio.sleep(float(request.query_params.get("seconds", "60")))
    return PlainTextResponse("late")


async def stream(request: Request) -> Response:
    async def steps() -> Any:
        for step in ("a", "b"):
            yield step
            await asyncio.sleep(PATIENCE * 1.5)

    return StreamingResponse(steps())


async def mute(socket: WebSocket) -> None:
    await asyncio.sleep(60)


async def talking(socket: WebSocket) -> None:
    await socket.accept()
    await asyncio.sleep(PATIENCE * 1.5)
    await socket.send_text("hello")
    await socket.close()


async def cut(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("a secret")


@bentoml.service(traffic={"timeout": PATIENCE, "max_concurrency": 1})
class Mounted:
    @bentoml.api
    async def wait(self, turns: int = 5) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return 1


ROUTES = [
    Route("/slow", slow), Route("/stream", stream), WebSocketRoute("/mute", mute), WebSocketRoute("/talking", talking),
]  # fmt: skip


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    service: Any = Mounted
    service.mount_asgi_app(Starlette(routes=ROUTES), path="/m")
    service.mount_asgi_app(cut, path="/cut")
    with served(service, loopback_port=3000) as running:
        yield running


def websocket(app: Served, path: str, **scope: Any) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    whole: dict[str, Any] = {
        "type": "websocket",
        "path": path,
        "headers": [],
        "query_string": b"",
        "client": None,
        "scheme": "ws",
    }
    app.run(app.app(whole | scope, receive, send))
    return sent


def test_the_timeout_holds_for_mounted_applications(app: Served) -> None:
    reply = app.ask("/m/slow", method="GET")
    assert (reply.status, reply.json()) == (504, {"error": "Not able to process the request in 0.25 seconds"})
    assert app.ask("/m/stream", method="GET").body == b"ab"


def test_the_timeout_holds_for_the_first_message_of_a_websocket(app: Served) -> None:
    assert websocket(app, "/m/mute") == [{"type": "websocket.close", "code": 1013}]
    sent = websocket(app, "/m/mute", extensions={"websocket.http.response": {}})
    assert (sent[0]["type"], sent[0]["status"]) == ("websocket.http.response.start", 504)
    assert [m["type"] for m in websocket(app, "/m/talking")] == [
        "websocket.accept",
        "websocket.send",
        "websocket.close",
    ]


@pytest.mark.parametrize("path", ["/wait", "/schema.json", "/docs.json", "/", "/m/slow", "/nothing", "/cut"])
def test_what_is_over_the_limit(app: Served, path: str) -> None:
    async def both() -> tuple[Any, Any, Any]:
        first = asyncio.create_task(app.request("/wait", {"turns": 1000}))
        await asyncio.sleep(0)  # it has begun
        assert not first.done()
        second = await app.request(path, method="POST" if path == "/wait" else "GET")
        probe = await app.request("/readyz", method="GET")
        metrics = await app.request("/metrics", method="GET")
        assert (probe.status, metrics.status) == (200, 200)
        return await first, second, await app.request(path, method="HEAD")

    first, second, after = app.run(both())
    assert (first.status, second.status, after.status != 429) == (200, 429, True)
    assert (second.json(), second.headers["retry-after"]) == ({"error": "Too many requests"}, "1")
    assert len(second.headers["x-bentoml-request-id"]) == 16
    assert after.body == b""


def test_the_limit_covers_all_of_a_stream(app: Served) -> None:
    async def both() -> tuple[Any, Any]:
        begun = asyncio.Event()

        def has_begun(reply: Reply) -> bool:
            begun.set()
            return False

        first = asyncio.create_task(app.request("/m/stream", method="GET", on_chunk=has_begun))
        await begun.wait()
        return await app.request("/wait"), await first

    second, first = app.run(both())
    assert (second.status, first.body) == (429, b"ab")
    assert app.ask("/wait").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/wait", 405),
        ("POST", "/schema.json", 405),
        ("GET", "/schema.json", 200),
        ("GET", "/", 200),
        ("GET", "/m/slow", 504),
        ("POST", "/m/slow", 405),
    ],
)
def test_every_answer_says_whose_it_is(app: Served, method: str, path: str, status: int) -> None:
    reply = app.ask(path, method=method)
    assert reply.status == status
    assert reply.headers["server"] == "BentoML Service/Mounted"
    assert len(reply.headers["x-bentoml-request-id"]) == 16
    assert (reply.headers.get("allow") is not None) == (status == 405)


def test_an_error_says_nothing_of_the_server(app: Served, caplog: pytest.LogCaptureFixture) -> None:
    reply = app.ask("/cut/x", method="GET")
    assert (reply.status, b"secret" in reply.body, "x-bentoml-request-id" in reply.headers) == (
        500,
        False,
        True,
    )
    assert "a secret" in caplog.text


@pytest.mark.parametrize(
    ("path", "to"), [("/wait/", "/wait"), ("/schema.json/", "/schema.json"), ("/livez//", "/livez")]
)
def test_a_slash_too_many(app: Served, path: str, to: str) -> None:
    reply = app.ask(path)
    assert (reply.status, reply.headers["location"], reply.body) == (307, to, b"")


def test_foreign_pages(app: Served) -> None:
    foreign = {"origin": "http://evil.example", "host": "127.0.0.1:3000"}
    rebound = {"origin": "http://evil.example:3000", "host": "evil.example:3000"}
    for headers in (foreign, rebound):
        for path in ("/wait", "/m/slow"):
            reply = app.ask(path, headers=headers)
            assert (reply.status, "origin" in reply.json()["error"]) == (403, True)
    assert app.ask("/schema.json", method="GET", headers=rebound).status == 403
    assert app.ask("/wait", headers={"host": "evil.example:3000"}).status == 403
    assert app.ask("/wait", headers={"host": "api.example"}).status == 200
    assert app.ask("/schema.json", method="GET", headers=foreign).status == 200
    assert (
        app.ask("/wait", headers={"origin": "http://localhost:3000", "host": "localhost:3000"}).status == 200
    )
    page = [(b"origin", b"http://evil.example")]
    assert websocket(app, "/m/talking", headers=page)[0]["type"] == "websocket.close"
