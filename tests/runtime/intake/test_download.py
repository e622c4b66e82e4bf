"""Files from addresses that a client names: where from, how much, and how they reach an API."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from tests.runtime.certified import certified
from tests.runtime.served import Served, served

import bentoml
from bentoml.exceptions import BadInput, BentoMLException
from bentoml.runtime.intake.download import fetch, is_public

chatted: list[int] = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("location", self.path[4:] if "//" in self.path else self.path)
            self.end_headers()
            return
        if self.path in ("/trailers", "/extension"):
            return self.chatter(self.path)
        body = b"x" * 2000 if self.path == "/long" else b"content of " + self.path.encode()
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("content-type", "text/plain; charset=utf-8")
        if self.path == "/short":
            self.send_header("content-length", str(len(body) + 5))
        if self.path == "/packed":
            self.send_header("content-encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def chatter(self, path: str) -> None:
        """Say a lot around a body, for as long as somebody listens."""
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        more = b"x: y\r\n" * 10_000 if path == "/trailers" else b"y" * 60_000
        with suppress(OSError):
            self.wfile.write(b"1\r\nx\r\n0\r\n" if path == "/trailers" else b"1;x=")
            for _ in range(1000):
                self.wfile.write(more)
                chatted.append(len(more))

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def anywhere(address: str) -> bool:
    return True


def got(url: str, folder: Path, may_fetch: Callable[[str], bool] = anywhere, *, seconds: float = 5) -> Any:
    return asyncio.run(fetch("f", url, folder, limit=1000, seconds=seconds, may_fetch=may_fetch))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255",
        "224.0.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1", "192.88.99.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
        "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::8.8.8.8", "64:ff9b::808:808",
        "64:ff9b:1::1", "2002:808:808::1", "2001:0:1::1", "localhost", "",
    ],
)  # fmt: skip
def test_addresses_that_nobody_may_reach(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "172.32.0.1", "100.128.0.1"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("path", ["/trailers", "/extension"])
def test_what_stands_around_a_body_is_limited(elsewhere: str, tmp_path: Path, path: str) -> None:
    chatted.clear()
    with pytest.raises(BadInput, match="cannot be fetched"):
        got(elsewhere + path, tmp_path)
    assert sum(chatted) < 30_000_000  # much of which is between the two, and was never read


def test_a_file(elsewhere: str, tmp_path: Path) -> None:
    part = got(f"{elsewhere}/to/{elsewhere}/a%20b/../c.txt?q=1", tmp_path)
    assert (part.filename, part.content_type) == ("c.txt", "text/plain")
    assert part.path.parent == tmp_path
    assert part.path.read_bytes() == b"content of /a%20b/../c.txt?q=1"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/missing", "status 404"),
        ("/short", "cannot be fetched"),
        ("/packed", "encoded"),
        ("/to/around", "more than 5"),
        ("/to/file:///etc/passwd", "no valid"),
        ("/to/http://user@127.0.0.1/", "no valid"),
    ],
)
def test_what_is_no_file(elsewhere: str, tmp_path: Path, path: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        got(elsewhere + path, tmp_path)


@pytest.mark.parametrize("whole", [True, False])
def test_a_server_that_never_closes_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """Over TLS, closing politely is waiting for the other side to close too."""
    context, _ = certified(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    over = Event()

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1 << 16)
            tls.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n" + (b"file" if whole else b""))
            over.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Thread(target=serve, args=(listening,))
        server.start()
        began = time.monotonic()
        try:
            part = got(f"https://127.0.0.1:{listening.getsockname()[1]}/a", tmp_path, seconds=2)
            assert whole and part.path.read_bytes() == b"file"
        except BadInput as e:
            assert not whole and "did not come within 2 seconds" in str(e)
        finally:
            seconds = time.monotonic() - began
            over.set()
            server.join()
    assert seconds < 30


def test_a_file_that_is_too_long(elsewhere: str, tmp_path: Path) -> None:
    with pytest.raises(BentoMLException, match="1000 bytes") as caught:
        got(f"{elsewhere}/long", tmp_path)
    assert caught.value.error_code == 413


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:1/",
        "http://[::1]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "https://127.1/",
    ],
)
def test_this_machine_is_not_to_be_had(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Connection blocked due to insecure input URL"):
        got(url, tmp_path, is_public)


@pytest.mark.parametrize(
    "url", ["ftp://a/", "file:///etc/passwd", "http://", "http://a b/", "http://a:x/", "http://é\n/"]
)
def test_what_is_no_address(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no valid"):
        got(url, tmp_path)


def test_a_redirect_is_looked_at_again(elsewhere: str, tmp_path: Path) -> None:
    seen: list[str] = []

    def only_once(address: str) -> bool:
        seen.append(address)
        return len(seen) == 1

    with pytest.raises(BadInput, match="insecure"):
        got(f"{elsewhere}/to/{elsewhere}/a", tmp_path, only_once)
    assert seen == ["127.0.0.1"] * 2


@bentoml.service
class Files:
    @bentoml.api(url_inputs=True)
    def sizes(self, f: Path, g: list[Path] = [], note: str = "") -> str:  # noqa: B006  # as users write it
        return f"{f.read_text()}|{[p.read_text() for p in g]}|{note}"

    @bentoml.api(url_inputs=True)
    def root(self, f: Path, /) -> str:
        return f.read_text()

    @bentoml.api
    def careful(self, f: Path) -> str:
        return f.read_text()


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served(Files, may_fetch=anywhere) as running:
        yield running


def test_files_of_an_api(app: Served, elsewhere: str) -> None:
    reply = app.ask("/sizes", {"f": f"{elsewhere}/a", "g": [f"{elsewhere}/b"], "note": "http://n"})
    assert reply.body == b"content of /a|['content of /b']|http://n"
    form = f'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n"{elsewhere}/c"\r\n--b--'.encode()
    sent = {"content-type": "multipart/form-data; boundary=b"}
    assert app.ask("/sizes", form, headers=sent).body == b"content of /c|[]|"
    assert (
        app.ask("/root", f"{elsewhere}/d".encode(), headers={"content-type": "text/plain"}).body
        == b"content of /d"
    )
    assert app.ask("/root", b"http", headers={"content-type": "text/plain"}).body == b"http"


def test_who_did_not_ask_for_it_has_nothing_fetched(app: Served, elsewhere: str) -> None:
    assert app.ask("/careful", {"f": f"{elsewhere}/a"}).status == 400
    for path in ("/etc/hostname", "file:///etc/hostname"):
        assert app.ask("/sizes", {"f": path}).status == 400
    schema = {r["name"]: r["input"] for r in app.ask("/schema.json", method="GET").json()["routes"]}
    assert schema["sizes"]["properties"]["f"]["url"]
    assert schema["sizes"]["properties"]["g"]["items"]["url"]
    assert schema["root"]["url"]
    assert "url" not in json.dumps(schema["careful"])


def test_the_policy_holds_where_nobody_gives_another(elsewhere: str) -> None:
    with served(Files) as app:
        reply = app.ask("/sizes", {"f": f"{elsewhere}/a"})
    assert (reply.status, reply.json()) == (400, {"error": "Connection blocked due to insecure input URL"})
