"""Files that lie elsewhere: downloaded and uploaded by the client where the API does not fetch addresses itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import bentoml
from bentoml.exceptions import InvalidArgument, ServiceUnavailable


@bentoml.service
class Reader:
    @bentoml.api
    def read(self, file: Path) -> list[str]:
        return [file.read_text(), file.name[-9:]]

    @bentoml.api
    def size(self, file: Path, /) -> int:
        return file.stat().st_size


class Handler(BaseHTTPRequestHandler):
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/sound.wav")
            self.end_headers()
            return
        self.send_response(200 if "." in self.path else 404)
        self.end_headers()
        self.wfile.write(b"a sound")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_file_elsewhere(elsewhere: str) -> None:
    with bentoml.testing.client(Reader, token="mine") as client:
        assert client.read(file=f"{elsewhere}/sound.wav?key=1") == ["a sound", "sound.wav"]
        assert client.read(file=f"{elsewhere}/moved")[0] == "a sound"
        assert client.size(f"{elsewhere}/sound.wav") == 7
    assert {token for _, token in Handler.asked} == {None}, "the token is for the service alone"


def test_a_file_elsewhere_from_an_event_loop(elsewhere: str) -> None:
    async def main() -> list[str]:
        async with bentoml.testing.async_client(Reader) as client:
            answer: list[str] = await client.read(file=f"{elsewhere}/sound.wav")
            return answer

    assert asyncio.run(main()) == ["a sound", "sound.wav"]


def test_what_cannot_be_fetched(elsewhere: str) -> None:
    with bentoml.testing.client(Reader) as client:
        with pytest.raises(
            InvalidArgument, match="nothing` cannot be sent: its server answered with status 404"
        ):
            client.read(file=f"{elsewhere}/nothing")
        with pytest.raises(ServiceUnavailable, match=r"`http://127\.0\.0\.1:1/a` cannot be reached"):
            client.read(file="http://127.0.0.1:1/a?secret=x")
