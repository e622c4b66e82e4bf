"""The client against servers that are late, wrong, elsewhere or gone; the servers are written here by hand."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.client.serving import serving

import bentoml
from bentoml.exceptions import BentoMLException, ServiceUnavailable

pytestmark = pytest.mark.slow  # servers are started and waited for


SCHEMA = {
    "name": "S",
    "routes": [
        {"name": "greet", "route": "/greet", "input": {"type": "object"}, "output": {"type": "string"}}
    ],
}
Send = Callable[[dict[str, Any]], Awaitable[None]]
Page = tuple[int, dict[str, str], bytes]  # status, headers, body


class Server:
    """Answers by path with (status, headers, body), and keeps what it was asked with what token."""

    def __init__(self, **pages: Page) -> None:
        schema = json.dumps(SCHEMA).encode()
        self.pages = {"readyz": (200, {}, b"\n"), "schema.json": (200, {}, schema), **pages}
        self.asked: list[tuple[str, str | None]] = []
        self.bodies: list[bytes] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        self.asked.append((scope["path"], headers.get("authorization")))
        self.bodies.append(await _body(receive))
        status, answer, body = self.pages[scope["path"].strip("/")]
        raw = [(k.encode(), v.encode()) for k, v in {"content-length": str(len(body)), **answer}.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})


async def _body(receive: Any) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    return body


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of a port that is taken, so that nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_a_server_that_is_not_there(deaf: str) -> None:
    began = time.monotonic()
    with pytest.raises(
        ServiceUnavailable, match=r"not ready after 0\.2 seconds: .* cannot be reached"
    ) as caught:
        bentoml.SyncHTTPClient(f"http://{deaf}", server_ready_timeout=0.2)
    assert 0.2 <= time.monotonic() - began < 20
    assert isinstance(caught.value, BentoMLException)


def test_without_waiting_the_refusal_is_ours(deaf: str) -> None:
    with pytest.raises(ServiceUnavailable, match=r"cannot be reached.*; is the server running") as caught:
        bentoml.SyncHTTPClient(f"http://{deaf}", server_ready_timeout=0)
    assert caught.value.__cause__ is not None


def test_a_server_that_starts_late() -> None:
    with serving(Server(), delay=0.2) as url, bentoml.SyncHTTPClient(url, server_ready_timeout=60) as client:
        assert client.is_ready()


def test_a_server_that_is_never_ready() -> None:
    server = Server(readyz=(503, {}, b"loading the model"))
    with (
        serving(server) as url,
        pytest.raises(ServiceUnavailable, match=r"not ready after 0\.2 seconds: .* 503 loading the model"),
    ):
        bentoml.SyncHTTPClient(url, server_ready_timeout=0.2)
    assert len(server.asked) < 10, "it waits between two questions"


def test_a_server_that_goes_away() -> None:
    with serving(Server(greet=(200, {}, b"hi"))) as url:
        client = bentoml.SyncHTTPClient(url)
        assert client.greet() == "hi"
    with client:
        assert not client.is_ready(timeout=0.2)
        with pytest.raises(ServiceUnavailable):
            client.greet()


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ((503, {}, b"overloaded"), r"Failed to fetch schema from `http://127.*/schema\.json`: overloaded"),
        ((404, {}, b"Not Found"), r"Failed to fetch schema from `http://127.*/schema\.json`: Not Found"),
        ((200, {}, b"<html>"), "Failed to fetch schema from .* is not JSON"),
        ((200, {}, b"[]"), "is not that of a service"),
    ],
    ids=["overloaded", "missing", "no JSON", "no schema"],
)
def test_a_server_of_another_kind(page: Page, message: str) -> None:
    with serving(Server(**{"schema.json": page})) as url, pytest.raises(BentoMLException, match=message):
        bentoml.SyncHTTPClient(url)


def test_a_redirect_to_another_server_does_not_take_the_token_along() -> None:
    other = Server(greet=(200, {}, b"hello from elsewhere"))
    with serving(other) as elsewhere:
        here = Server(greet=(307, {"location": f"{elsewhere}/greet"}, b""))
        with serving(here) as url, bentoml.SyncHTTPClient(url, token="secret") as client:
            assert client.greet() == "hello from elsewhere"
    assert ("/greet", "Bearer secret") in here.asked
    assert other.asked == [("/greet", None)]


def test_a_redirect_sends_the_file_again(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"file": {"type": "file"}}}
    route = {"name": "greet", "route": "/greet", "input": schema, "output": {"type": "string"}}
    page: Page = (200, {}, json.dumps({"routes": [route]}).encode())
    there = Server(there=(200, {}, b"got it"))
    (tmp_path / "a.txt").write_bytes(b"content")
    with serving(there) as elsewhere:
        here = Server(**{"schema.json": page, "greet": (308, {"location": f"{elsewhere}/there"}, b"")})
        with serving(here) as url, bentoml.SyncHTTPClient(url) as client:
            assert client.greet(file=tmp_path / "a.txt") == "got it"
    assert b"content" in there.bodies[-1]


def test_a_request_of_ones_own_to_another_server_does_not_take_the_token_along() -> None:
    other = Server(greet=(200, {}, b"hi"))
    with (
        serving(other) as elsewhere,
        serving(Server()) as url,
        bentoml.SyncHTTPClient(url, token="secret") as client,
    ):
        assert client.request("GET", f"{elsewhere}/greet").text == "hi"
    assert other.asked == [("/greet", None)]


def test_a_password_in_the_address_is_not_shown(deaf: str) -> None:
    with pytest.raises(ServiceUnavailable) as caught:
        bentoml.SyncHTTPClient(f"http://me:hidden@{deaf}", server_ready_timeout=0.05)
    assert "hidden" not in str(caught.value)


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with (
        serving(Server(greet=(200, {}, b"hi")), unix=path),
        bentoml.SyncHTTPClient(f"file://{path}") as client,
    ):
        assert client.greet() == "hi"


def test_a_folder_of_files_is_gone_when_the_constructor_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with serving(Server(**{"schema.json": (200, {}, b"[]")})) as url, pytest.raises(BentoMLException):
        bentoml.SyncHTTPClient(url)
    assert not list(tmp_path.iterdir())
