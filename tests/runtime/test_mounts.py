"""Applications beside the APIs: who answers what, with whose instance, started and stopped, counted and logged."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

import bentoml
from bentoml.exceptions import InvalidArgument
from bentoml.sdk.openapi import openapi


class Answer(BaseModel):
    """What a route says it answers."""

    text: str


def double(n: int) -> int:
    return 2 * n


def routed() -> Any:
    """Return a service with all kinds of routes on its class."""
    app = FastAPI()
    router = APIRouter(prefix="/more", tags=["more"])

    @bentoml.asgi_app(app, path="/v1")
    @bentoml.service(name="Routed")
    class Routed:
        def __init__(self) -> None:
            self.word = "hello"

        @bentoml.api
        def say(self, to: str = "you") -> str:
            return f"{self.word} {to}"

        @app.get("/sync/{name}")
        def sync(self, name: str, loud: bool = False) -> dict[str, str]:
            """Greet."""
            return {"text": f"{self.word} {name}{'!' if loud else ''}"}

        @app.post("/async", response_model=Answer, status_code=201)
        async def unhurried(self, answer: Answer) -> Any:
            return {"text": f"{self.word} {answer.text}", "secret": 1}

        @app.get("/depends")
        def depends(self, doubled: Annotated[int, Depends(double)], request: Request) -> list[Any]:
            return [self.word, doubled, request.url.path]

        @app.get("/plain")
        def plain() -> str:  # type: ignore[misc]  # FastAPI calls it as it is, without an instance
            return "plain"

        @router.get("/here")
        def here(self) -> str:
            return self.word

        @app.websocket("/ws/{room}")
        async def talk(self, websocket: WebSocket, room: str) -> None:
            await websocket.accept(subprotocol="chat")
            async for text in websocket.iter_text():
                await websocket.send_text(f"{room}: {self.word} {text}")

    app.include_router(router)
    return Routed


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(routed().to_asgi()) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "answer"),
    [
        pytest.param("GET", "/v1/sync/you?loud=true", None, 200, {"text": "hello you!"}, id="sync"),
        pytest.param(
            "POST", "/v1/async", {"text": "x"}, 201, {"text": "hello x"}, id="async, response model"
        ),
        pytest.param("GET", "/v1/depends?n=4", None, 200, ["hello", 8, "/v1/depends"], id="dependency"),
        pytest.param("GET", "/v1/plain", None, 200, "plain", id="without self"),
        pytest.param("GET", "/v1/more/here", None, 200, "hello", id="included router"),
    ],
)
def test_routes_of_the_class(
    client: TestClient, method: str, path: str, body: Any, status: int, answer: Any
) -> None:
    reply = client.request(method, path, json=body)
    assert (reply.status_code, reply.json()) == (status, answer)


def test_what_a_route_needs_is_still_asked_for(client: TestClient) -> None:
    reply = client.get("/v1/depends")
    assert (reply.status_code, reply.json()["detail"][0]["loc"]) == (422, ["query", "n"])


def test_websockets(client: TestClient) -> None:
    with client.websocket_connect("/v1/ws/red", subprotocols=["other", "chat"]) as socket:
        chosen: str | None = socket.accepted_subprotocol
        assert chosen == "chat"
        for n in range(100):
            socket.send_text(str(n))
            assert socket.receive_text() == f"red: hello {n}"
    with pytest.raises(WebSocketDisconnect):
        client.websocket_connect("/v1/nothing").__enter__()
    page = client.get("/metrics").text
    labels = '{endpoint="/v1/ws/{room}",runner_name="Routed",service_name="Routed",service_version="not available"}'
    for name, value in (
        ("connections", 0),
        ("data_received_count", 100),
        ("data_received_sum", 190),
        ("data_sent_count", 100),
        ("data_sent_sum", 190 + 100 * len("red: hello ")),
    ):
        assert f"bentoml_service_websocket_{name}{labels} {float(value)}\n" in page


def test_a_websocket_that_is_open_is_counted(client: TestClient) -> None:
    with client.websocket_connect("/v1/ws/a"), client.websocket_connect("/v1/ws/b"):
        assert 'websocket_connections{endpoint="/v1/ws/{room}"' in client.get("/metrics").text
        line = next(x for x in client.get("/metrics").text.splitlines() if "websocket_connections{" in x)
        assert line.endswith(" 2.0")


def test_two_servers_of_one_class_have_their_own_instance() -> None:
    service = routed()
    with TestClient(service.to_asgi()) as one:
        first = bentoml.get_current_service()
        with TestClient(service.to_asgi()) as two:
            first.word = "one"
            assert one.get("/v1/more/here").json() == "one"
            assert two.get("/v1/more/here").json() == "hello"


def test_schema_and_openapi_tell_of_the_routes_without_self() -> None:
    service = routed()
    paths = service.schema()["paths"]
    assert paths["/say"] == {"mounted": False}
    assert paths["/v1/sync/{name}"] == paths["/v1/more/here"] == paths["/v1/ws/{room}"] == {"mounted": True}
    operation = openapi(service, version=None)["paths"]["/v1/sync/{name}"]["get"]
    assert [p["name"] for p in operation["parameters"]] == ["name", "loud"]
    assert operation["description"] == "Greet."


def test_patterns_are_labels_and_unknown_paths_are_not(client: TestClient) -> None:
    for n in range(50):
        assert client.get(f"/v1/sync/{n}").status_code == 200
        assert client.get(f"/v1/no/{n}").status_code == 404
        assert client.request(f"WHAT{n}", f"/{n}").status_code == 404
    page = client.get("/metrics").text
    assert 'request_total{endpoint="/v1/sync/{name}",http_response_code="200"' in page
    assert len({line.partition(" ")[0] for line in page.splitlines() if "request_total{" in line}) == 4


# Where applications are, and what they share.


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer where it is, as an application without routes and without a lifespan does."""
    assert scope["type"] == "http"
    text = f"{scope['root_path']}|{scope['path']}"
    await PlainTextResponse(text)(scope, receive, send)


def starlette(word: str, *paths: str) -> Starlette:
    return Starlette(routes=[Route(path, lambda request: PlainTextResponse(word)) for path in paths])


def empty() -> Any:
    @bentoml.service(name="Mounting")
    class Mounting:
        @bentoml.api(route="/api/same")
        def same(self) -> str:
            return "the API"

    return Mounting


def test_apis_come_first_and_mounts_are_passive() -> None:
    service = empty()
    service.mount_asgi_app(starlette("first", "/", "/api/same", "/one"))
    service.mount_asgi_app(starlette("second", "/one", "/two"), path="/")
    service.mount_asgi_app(bare, path="/bare/")
    with TestClient(service.to_asgi()) as client:
        for method, path, text in (
            ("POST", "/api/same", "the API"),
            ("GET", "/api/same", "first"),  # the API takes POST only
            ("GET", "/", "first"),
            ("GET", "/one", "first"),
            ("GET", "/two", "second"),
            ("GET", "/bare/x", "/bare|/bare/x"),
            ("GET", "/three", "Not Found"),
        ):
            assert client.request(method, path).text == text, path
        assert client.put("/api/same").status_code == 405
        assert client.get("/schema.json").json()["paths"]["/api/same"] == {"mounted": False}
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/bare", "/bare/"),
        ("/bare?a=%20b", "/bare/?a=%20b"),
        ("/app/one/", "/app/one"),
        ("/app/two", "/app/two/"),
        ("/app/t%C3%A4st", "/app/t%C3%A4st/"),
    ],
)
def test_a_slash_too_few_or_too_many_is_sent_on(path: str, location: str) -> None:
    service = empty()
    service.mount_asgi_app(bare, path="/bare")
    service.mount_asgi_app(starlette("app", "/one", "/two/", "/täst/"), path="/app")
    with TestClient(service.to_asgi(), follow_redirects=False) as client:
        reply = client.get(path)
        assert (reply.status_code, reply.headers["location"]) == (307, location)
        assert client.get(location).status_code == 200
        assert client.get("/app/three").status_code == 404


def test_nobody_is_sent_to_another_server() -> None:
    service = empty()
    service.mount_asgi_app(starlette("app", "/{anything:path}/"))
    with TestClient(service.to_asgi(), follow_redirects=False) as client:
        reply = client.request("GET", "http://testserver//evil.example")
        assert reply.headers["location"] == "/evil.example/"


def test_another_method_of_a_path_is_another_applications() -> None:
    service = empty()
    service.mount_asgi_app(starlette("reads", "/x"))
    service.mount_asgi_app(
        Starlette(routes=[Route("/x", lambda request: PlainTextResponse("writes"), methods=["PUT"])])
    )
    with TestClient(service.to_asgi()) as client:
        assert (client.get("/x").text, client.put("/x").text) == ("reads", "writes")
        assert client.delete("/x").status_code == 405


@pytest.mark.parametrize("above", [True, False])
def test_the_decorator_goes_above_and_below(above: bool) -> None:
    class Plain:
        pass

    mount = bentoml.asgi_app(starlette("here", "/here"), path="/at", name="mine")
    service: Any = mount(bentoml.service(Plain)) if above else bentoml.service(mount(Plain))
    assert isinstance(service, bentoml.Service)
    assert [(path, name) for _, path, name in service.mount_apps] == [("/at", "mine")]
    with TestClient(service.to_asgi()) as client:
        assert client.get("/at/here").text == "here"


def test_what_a_base_class_mounts_is_inherited() -> None:
    @bentoml.asgi_app(starlette("base", "/base"))
    class Base:
        pass

    @bentoml.asgi_app(starlette("own", "/own"))
    class Derived(Base):
        pass

    with TestClient(bentoml.service(Derived).to_asgi()) as client:
        assert (client.get("/base").text, client.get("/own").text) == ("base", "own")
    assert len(bentoml.service(Base).mount_apps) == 1


def test_the_older_name_says_what_to_use() -> None:
    with pytest.warns(DeprecationWarning, match=r"bentoml\.asgi_app"):
        decorate = bentoml.mount_asgi_app(starlette("here", "/here"))
    assert len(decorate(empty()).mount_apps) == 1


def test_a_path_without_a_slash_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="`v1`"):
        bentoml.asgi_app(bare, path="v1")


def test_lifespans_run_once_and_their_state_is_shared() -> None:
    life: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        life.append("up")
        yield {"model": "loaded"}
        life.append("down")

    def show(request: Request) -> JSONResponse:
        return JSONResponse(request.state.model)

    app = Starlette(routes=[Route("/state", show)], lifespan=lifespan)
    service = empty()
    service.mount_asgi_app(app, path="/a")
    service.mount_asgi_app(app, path="/b")
    with TestClient(service.to_asgi()) as client:
        assert client.get("/a/state").json() == client.get("/b/state").json() == "loaded"
        assert life == ["up"]
    assert life == ["up", "down"]


def test_an_application_that_cannot_start_stops_the_service() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if app.routes == []:
            raise ValueError("no database")
        yield

    service = empty()
    service.mount_asgi_app(Starlette(lifespan=lifespan))
    with pytest.raises(RuntimeError, match="no database"):
        TestClient(service.to_asgi()).__enter__()


def test_static_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("static")
    service = empty()
    service.mount_asgi_app(Starlette(routes=[Mount("/files", StaticFiles(directory=tmp_path))]), path="/in")
    service.mount_asgi_app(StaticFiles(directory=tmp_path), path="/plain")
    with TestClient(service.to_asgi()) as client:
        assert client.get("/in/files/a.txt").text == client.get("/plain/a.txt").text == "static"
        assert client.get("/plain/../../etc/passwd").status_code == 404
        assert 'endpoint="/in/files"' in client.get("/metrics").text


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer as Flask does: with what is below the place where it is mounted."""
    if environ["PATH_INFO"] == "/fail":
        raise ValueError("no")
    body = environ["wsgi.input"].read()
    start_response("201 Created", [("Content-Type", "text/plain"), ("X-Where", environ["SCRIPT_NAME"])])
    return [environ["REQUEST_METHOD"].encode(), b" ", environ["PATH_INFO"].encode(), b" ", body]


def test_wsgi(caplog: pytest.LogCaptureFixture) -> None:
    service = empty()
    service.mount_wsgi_app(wsgi, path="/flask")
    with TestClient(service.to_asgi()) as client:
        reply = client.post("/flask/deep/er?q=1", content=b"body")
        assert (reply.status_code, reply.text) == (201, "POST /deep/er body")
        assert reply.headers["x-where"] == "/flask"
        assert client.get("/flask/fail").status_code == 500
        assert 'endpoint="/flask",http_response_code="201"' in client.get("/metrics").text
    assert "ValueError: no" in caplog.text


def test_wsgi_takes_no_header_for_another() -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [" ".join(sorted(v for k, v in environ.items() if k.startswith("HTTP_X_"))).encode()]

    service = empty()
    service.mount_wsgi_app(app, path="/flask")
    with TestClient(service.to_asgi()) as client:
        headers = {"X-User": "a", "X_User": "root", "X-Other_One": "c", "X-Two-Words": "d"}
        assert client.get("/flask/", headers=headers).text == "a d"


# Errors.


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    if scope["path"].endswith("late"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ValueError("a bug")


def test_an_error_of_a_mounted_application_is_logged_and_500(caplog: pytest.LogCaptureFixture) -> None:
    service = empty()
    service.mount_asgi_app(failing, path="/bad")
    with TestClient(service.to_asgi()) as client:
        reply = client.get("/bad/x")
        assert (reply.status_code, set(reply.json())) == (500, {"error"})
        assert "x-bentoml-request-id" in reply.headers
        assert 'endpoint="/bad",http_response_code="500"' in client.get("/metrics").text
        with client.websocket_connect("/bad/ws") as socket, pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert closed.value.code == 1011
        with pytest.raises(ValueError, match="a bug"):  # the server cuts off what has begun
            client.get("/bad/late")
    assert [r.levelno for r in caplog.records if "Exception on /bad" in r.message] == [logging.ERROR] * 3


def test_an_error_of_starlette_is_logged_once_and_answered_by_it(caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: Request) -> None:
        raise ValueError("a bug")

    service = empty()
    service.mount_asgi_app(Starlette(routes=[Route("/fail", fail)]))
    with TestClient(service.to_asgi()) as client:
        reply = client.get("/fail")
        assert (reply.status_code, reply.text) == (500, "Internal Server Error")
    assert caplog.text.count("ValueError: a bug") == 1


# Middleware.


class Noting:
    """Note the order in which middleware is passed, and answer one path itself."""

    def __init__(self, app: Any, *, tag: str, seen: list[str]) -> None:
        self._app, self._tag, self._seen = app, tag, seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self._seen.append(f"{self._tag} {scope['path']}")
        if scope["path"] == f"/stop/{self._tag}":
            return await PlainTextResponse("stopped", 418)(scope, receive, send)
        await self._app(scope, receive, send)


def test_middleware_sees_everything_the_first_one_first() -> None:
    seen: list[str] = []
    service = empty()
    service.mount_asgi_app(bare, path="/bare")
    service.add_asgi_middleware(Noting, tag="1", seen=seen)
    service.add_asgi_middleware(Noting, tag="2", seen=seen)
    with TestClient(service.to_asgi()) as client:
        for path, status in (
            ("/api/same", 405),
            ("/bare/x", 200),
            ("/readyz", 200),
            ("/metrics", 200),
            ("/nothing", 404),
            ("/stop/2", 418),
        ):
            seen.clear()
            assert client.get(path).status_code == status
            assert seen == [f"1 {path}", f"2 {path}"]
        seen.clear()
        assert client.get("/stop/1").status_code == 418
        assert seen == ["1 /stop/1"]
        page = client.get("/metrics").text
        assert 'request_total{endpoint="other",http_response_code="418"' in page
        assert 'endpoint="/metrics"' not in page


def test_middleware_is_outside_of_cors() -> None:
    class Crossing:
        @bentoml.api
        def x(self) -> str:
            return "x"

    cors = {"enabled": True, "access_control_allow_origins": ["http://a.example"]}
    service = bentoml.service(http={"cors": cors})(Crossing)
    seen: list[str] = []
    service.add_asgi_middleware(Noting, tag="1", seen=seen)
    with TestClient(service.to_asgi()) as client:
        asking = {"origin": "http://a.example", "access-control-request-method": "GET"}
        assert client.options("/x", headers=asking).text == "OK"
        assert seen == ["1 /x"]
