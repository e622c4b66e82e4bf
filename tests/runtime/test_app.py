"""The application of a service: its life, its routes, its pages, and what stands around it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests.runtime.served import Served, served

import bentoml
from bentoml.runtime.app import AppOptions, create_app


@bentoml.service
class Plain:
    """Adds <numbers>."""

    @bentoml.api
    def add(self, a: int, b: int) -> int:
        """Add two numbers.

        And more.
        """
        return a + b


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served(Plain, bento_version="v1") as running:
        yield running


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_health(app: Served, path: str) -> None:
    reply = app.ask(path, method="GET")
    assert (reply.status, reply.body) == (200, b"\n")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert "server" not in reply.headers
    head = app.ask(path, method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "1")
    post = app.ask(path)
    assert (post.status, post.headers["allow"]) == (405, "GET, HEAD")


def test_pages(app: Served) -> None:
    schema = app.ask("/schema.json", method="GET")
    assert schema.json()["routes"][0]["name"] == "add"
    assert app.ask("/schema.json").status == 405
    docs = app.ask("/docs.json", method="GET")
    assert "/add" in docs.json()["paths"]
    index = app.ask("/", method="GET")
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    text = index.body.decode()
    assert "Adds &lt;numbers&gt;." in text
    assert "Add two numbers." in text
    assert "//" not in text.replace("<!doctype", "")  # nothing of a third party
    assert app.ask("/metrics", method="GET").headers["content-type"].startswith("text/plain; version=1.0.0")


def test_an_unknown_path(app: Served) -> None:
    reply = app.ask("/nope", method="GET")
    assert (reply.status, reply.body) == (404, b"Not Found")
    assert "/nope" not in app.ask("/metrics", method="GET").body.decode()


def test_what_is_counted(app: Served) -> None:
    app.ask("/add", {"a": 1, "b": 2})
    app.ask("/add", {"a": 1})
    app.ask("/add", method="GET")
    app.ask("/nope")
    text = app.ask("/metrics", method="GET").body.decode()
    names = 'runner_name="Plain",service_name="Plain",service_version="v1"'
    total = "bentoml_service_request_total"
    for status, number in ((200, 1), (400, 1), (405, 1)):
        assert f'{total}{{endpoint="/add",http_response_code="{status}",{names}}} {number}.0\n' in text
    assert f'{total}{{endpoint="other",http_response_code="404"' in text
    assert 'endpoint="/metrics"' not in text


def hooked(log: list[str], fail: str = "") -> Any:
    @bentoml.service
    class Base:
        def __init__(self) -> None:
            log.append("dependency made")

        @bentoml.on_startup
        def up(self) -> None:
            log.append("dependency up")

        @bentoml.on_shutdown
        def down(self) -> None:
            log.append("dependency down")

    @bentoml.service
    class Hooked:
        base = bentoml.depends(Base)

        def __init__(self) -> None:
            log.append("made")
            if fail == "init":
                raise ValueError("in __init__")

        @bentoml.on_startup
        async def up(self) -> None:
            await asyncio.sleep(0)
            log.append("up")
            if fail == "startup":
                raise ValueError("in a hook")

        @bentoml.on_shutdown
        def down(self) -> None:
            log.append("down")
            raise ValueError("in a shutdown hook")

        @bentoml.on_shutdown
        async def last(self) -> None:
            log.append("last")

        def __is_alive__(self) -> bool:
            return fail != "alive"

        async def __is_ready__(self) -> bool:
            if fail == "ready error":
                raise ValueError("not ready")
            return fail != "ready"

        def __metrics__(self, original: str) -> str:
            return original + "# mine\n"

    return Hooked


def test_the_life_of_a_service(caplog: pytest.LogCaptureFixture) -> None:
    log: list[str] = []
    with caplog.at_level(logging.INFO, logger="bentoml"), served(hooked(log)) as app:
        assert log == ["dependency made", "made", "dependency up", "up"]
        assert app.ask("/readyz", method="GET").status == 200
        assert app.ask("/metrics", method="GET").body.endswith(b"# mine\n")
    assert log[4:] == ["down", "last", "dependency down"]
    messages = [r.getMessage() for r in caplog.records]
    assert messages[0] == "Service Hooked initialized"
    assert messages[1:3] == ["Running startup hook: up", "Completed startup hook: up"]
    assert "cleanup hook failed: down" in messages
    assert messages[-1] == "Service instance cleanup finalized"


@pytest.mark.parametrize(("fail", "message"), [("init", "in __init__"), ("startup", "in a hook")])
def test_an_error_at_the_start_is_raised_by_the_lifespan(fail: str, message: str) -> None:
    with pytest.raises(ValueError, match=message), served(hooked([], fail)):
        raise AssertionError("it must not start")


@pytest.mark.parametrize(
    ("fail", "path", "body"),
    [
        ("alive", "/livez", b"Service is dead because .__is_alive__() returns False."),
        ("ready", "/readyz", b"Service is not ready because .__is_ready__() returns False."),
        ("ready error", "/readyz", b"Service is not ready because .__is_ready__() failed."),
    ],
)
def test_a_service_that_is_not_well(fail: str, path: str, body: bytes) -> None:
    with served(hooked([], fail)) as app:
        reply = app.ask(path, method="GET")
        assert (reply.status, reply.body) == (503, body)


def test_more_paths_for_probes() -> None:
    @bentoml.service(endpoints={"livez": "/alive", "readyz": "/k8s/ready"})
    class Elsewhere:
        def __is_ready__(self) -> bool:
            return False

    with served(Elsewhere) as app:
        assert app.ask("/alive", method="GET").body == b"\n"
        assert app.ask("/k8s/ready", method="GET").status == app.ask("/readyz", method="GET").status == 503


def test_a_service_is_not_ready_before_what_it_depends_on() -> None:
    @bentoml.service
    class Base:
        def __is_ready__(self) -> bool:
            return False

    @bentoml.service
    class Above:
        base = bentoml.depends(Base)

    with served(Above) as app:
        reply = app.ask("/readyz", method="GET")
        assert (reply.status, reply.body) == (503, b"Runners are not ready.")
        assert app.ask("/livez", method="GET").status == 200


def test_an_application_without_its_lifespan_says_so() -> None:
    service: Any = Plain
    app: Any = create_app(service, options=AppOptions())
    with asyncio.Runner() as runner:
        reply = runner.run(Served(app, runner).request("/add", {"a": 1, "b": 2}))
    assert (reply.status, b"lifespan" in reply.body) == (503, True)


class Tagging:
    """A middleware of the user's."""

    def __init__(self, app: Any, tag: str) -> None:
        self.app = app
        self.tag = tag

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/denied":
            await Response(status_code=401)(scope, receive, send)
            return

        async def tagged(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-tag", self.tag.encode())]
            await send(message)

        await self.app(scope, receive, tagged)


def around(**config: Any) -> Any:
    """Return a service with mounted applications, an API at ``/`` and a prefix."""
    life: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        life.append("up")
        yield
        life.append("down")

    async def hello(request: Request) -> Response:
        return PlainTextResponse(f"hello {request.url.path}")

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await PlainTextResponse("bare")(scope, receive, send)

    @bentoml.service(path_prefix="/pre", **config)
    class Around:
        @bentoml.api(route="/")
        def root(self, a: int) -> int:
            return a

        @bentoml.api
        def hello(self) -> str:
            return "the API"

    service: Any = Around
    service.mount_asgi_app(
        Starlette(routes=[Route("/hello", hello), Route("/more", hello)], lifespan=lifespan)
    )
    service.mount_asgi_app(bare, path="/bare")
    return service, life


def test_mounts_and_prefix() -> None:
    service, life = around()
    with served(service) as app:
        assert life == ["up"]
        assert app.ask("/pre/", {"a": 3}).body == b"3"
        assert b"POST /pre/hello" in app.ask("/pre/", method="GET").body
        assert app.ask("/pre/hello").body == b"the API"
        assert app.ask("/pre/more", method="GET").body == b"hello /pre/more"
        assert app.ask("/pre/bare/x", method="GET").body == b"bare"
        for path in (
            "/pre/schema.json",
            "/schema.json",
            "/pre/readyz",
            "/readyz",
            "/pre/metrics",
            "/pre/docs.json",
        ):
            assert app.ask(path, method="GET").status == 200
        for path in ("/hello", "/pre/nothing"):
            assert app.ask(path).status == 404
        text = app.ask("/pre/metrics", method="GET").body.decode()
        assert 'request_total{endpoint="/pre/bare",http_response_code="200"' in text
        (root,) = [
            x
            for x in text.splitlines()
            if x.startswith('bentoml_service_request_total{endpoint="/pre/",http_response_code="200"')
        ]
        assert root.endswith(" 2.0")  # the API and the page
        assert 'request_total{endpoint="/pre/more",http_response_code="200"' in text  # what is mounted there
        assert 'request_total{endpoint="/pre/hello",http_response_code="200"' in text
    assert life == ["up", "down"]


@pytest.mark.parametrize("layered", [False, True])
def test_an_api_named_like_a_page(layered: bool) -> None:
    @bentoml.service
    class Named:
        @bentoml.api
        def metrics(self) -> str:
            return "mine"

        @bentoml.api
        def readyz(self) -> str:
            return "mine"

        @bentoml.api(route="/schema.json")
        def schema(self) -> str:
            return "mine"

    service: Any = Named
    if layered:
        service.add_asgi_middleware(Tagging, tag="t")
    with served(service) as app:
        for path, page in ("/metrics", b"# HELP"), ("/readyz", b"\n"), ("/schema.json", b'{"name": "Named"'):
            assert app.ask(path).body == b"mine"
            reply = app.ask(path, method="GET")
            assert (reply.status, reply.body[: len(page)]) == (200, page)
            assert app.ask(path, method="PUT").status == 405
        text = app.ask("/metrics", method="GET").body.decode()
    counted = [x for x in text.splitlines() if "_request_total{" in x and 'code="200"' in x]
    by_path = {x.partition('endpoint="')[2].partition('"')[0]: x.rpartition(" ")[2] for x in counted}
    assert (by_path["/metrics"], by_path["/readyz"]) == ("1.0", "2.0")


def test_middleware_is_inside_of_what_is_counted() -> None:
    service, _ = around()
    service.add_asgi_middleware(Tagging, tag="t")
    with served(service) as app:
        reply = app.ask("/pre/hello")
        assert (reply.body, reply.headers["x-tag"]) == (b"the API", "t")
        assert app.ask("/denied").status == 401
        text = app.ask("/metrics", method="GET").body.decode()
        assert 'request_total{endpoint="/pre/hello",http_response_code="200",' in text
        denied = next(line for line in text.splitlines() if 'code="401"' in line and "_total" in line)
        assert denied.endswith(" 1.0")
        assert 'endpoint="/metrics"' not in text


def test_other_origins() -> None:
    cors = {
        "enabled": True,
        "access_control_allow_origins": ["http://a"],
        "access_control_allow_methods": ["POST"],
    }
    service, _ = around(http={"cors": cors, "response": {"trace_id": True}})
    with served(service) as app:
        asked = {"origin": "http://a", "access-control-request-method": "POST"}
        assert app.ask("/pre/hello", method="OPTIONS", headers=asked).status == 200
        assert app.ask("/pre/hello", method="OPTIONS", headers={**asked, "origin": "http://b"}).status == 400
        reply = app.ask("/pre/hello", headers={"origin": "http://a"})
        assert reply.headers["access-control-allow-origin"] == "http://a"
        assert len(reply.headers["x-bentoml-trace-id"]) == 32


def test_other_origins_may_call_apis_without_more_words() -> None:
    service, _ = around(http={"cors": {"enabled": True, "access_control_allow_origins": "*"}})
    with served(service) as app:
        asked = {"origin": "http://a", "access-control-request-headers": "authorization,content-type"}
        for method in ("GET", "POST", "PUT"):
            asked["access-control-request-method"] = method
            assert app.ask("/pre/hello", method="OPTIONS", headers=asked).status == 200
        asked["access-control-request-method"] = "DELETE"
        assert app.ask("/pre/hello", method="OPTIONS", headers=asked).body == b"Disallowed CORS method"


def test_each_request_is_logged_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service, _ = around()
    logging.getLogger("bentoml").setLevel(logging.INFO)
    for layered in (False, True):
        if layered:
            service.add_asgi_middleware(Tagging, tag="t")
        with served(service, access_log=True, metrics_folder=tmp_path, worker_index=2) as app:
            span = app.ask("/pre/hello").headers["x-bentoml-request-id"]
            for path in ("/pre/nothing", "/readyz", "/metrics", "/pre/more"):
                app.ask(path, method="GET")
            app.run(asyncio.sleep(0.05))
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 3
        assert "[entry_service:Around:2] 127.0.0.1:4711 (scheme=http,method=POST,path=/pre/hello" in lines[0]
        assert f"span={span}" in lines[0]
        assert "(status=404," in lines[1]


def test_a_websocket_that_nobody_takes_is_closed(app: Served) -> None:
    sent: list[Any] = []

    async def main() -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        await app.app({"type": "websocket", "path": "/x", "headers": []}, None, send)

    app.run(main())
    assert sent == [{"type": "websocket.close", "code": 1000}]


@pytest.mark.parametrize(
    ("duration", "bounds"),
    [
        ({"buckets": [0.5, 1, 2]}, ["0.5", "1.0", "2.0", "+Inf"]),
        ({"min": 0.1, "max": 1.0, "factor": 3}, ["0.1", "0.30000000000000004", "0.9", "1.0", "+Inf"]),
    ],
)
def test_buckets_of_the_users_own(duration: dict[str, Any], bounds: list[str]) -> None:
    service, _ = around(metrics={"namespace": "mine", "duration": duration})
    with served(service) as app:
        text = app.ask("/metrics", method="GET").body.decode()
    lines = [
        line
        for line in text.splitlines()
        if line.startswith('mine_request_duration_seconds_bucket{endpoint="/pre/",')
    ]
    assert [line.split('le="')[1].split('"')[0] for line in lines if 'code="200"' in line] == bounds


def test_metrics_that_are_not_wanted() -> None:
    service, _ = around(metrics={"enabled": False})
    with served(service) as app:
        assert app.ask("/metrics", method="GET").status == 404
        assert app.ask("/pre/hello").status == 200


def rewriting(rewrite: Any) -> Any:
    class Rewriting:
        @bentoml.api
        def x(self) -> str:
            return "x"

        __metrics__ = rewrite

    return bentoml.service(Rewriting)


async def _later(self: object, original: str) -> str:
    return original + "mine 1\n"


@pytest.mark.parametrize(
    "rewrite",
    [pytest.param(lambda self, original: original + "mine 1\n", id="sync"), pytest.param(_later, id="async")],
)
def test_the_service_may_rewrite_its_metrics(rewrite: Any) -> None:
    with served(rewriting(rewrite)) as app:
        text = app.ask("/metrics", method="GET").body.decode()
    assert text.startswith("# HELP bentoml_service_request_total") and text.endswith("mine 1\n")


def test_metrics_are_shown_where_rewriting_them_fails(caplog: pytest.LogCaptureFixture) -> None:
    with served(rewriting(lambda self, original: 1 / 0)) as app:
        reply = app.ask("/metrics", method="GET")
    assert (reply.status, reply.body[:6]) == (200, b"# HELP")
    assert "ZeroDivisionError" in caplog.text


def test_the_page_at_the_root_is_an_endpoint() -> None:
    with served(rewriting(None)) as app:
        app.ask("/", method="GET")
        text = app.ask("/metrics", method="GET").body.decode()
    assert 'request_total{endpoint="/",http_response_code="200"' in text
