"""The headers of an answer: ours, and what the API says instead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.served import Served, served

import bentoml


@bentoml.service
class Headed:
    @bentoml.api
    def page(self, ctx: bentoml.Context) -> str:
        return self._head(ctx, "<p>")

    @bentoml.api
    def steps(self, ctx: bentoml.Context) -> Iterator[str]:
        yield self._head(ctx, "<p>")

    @bentoml.api
    def file(self, ctx: bentoml.Context) -> Path:
        path = Path(ctx.temp_dir) / "page.txt"
        path.write_text(self._head(ctx, "<p>"))
        return path

    def _head(self, ctx: bentoml.Context, text: str) -> str:
        ctx.response.headers["Content-Type"] = "text/html"
        ctx.response.headers["Content-Length"] = "999"
        ctx.response.headers["Server"] = "mine"
        return text


@pytest.fixture(scope="module")
def app() -> Iterator[Served]:
    with served(Headed) as app:
        yield app


@pytest.mark.parametrize("path", ["/page", "/steps", "/file"])
def test_what_an_api_says_of_its_answer_replaces_what_we_say(app: Served, path: str) -> None:
    reply = app.ask(path, {})
    said = [(name, value) for name, value in reply.raw_headers if name in ("content-type", "server")]
    assert sorted(said) == [("content-type", "text/html"), ("server", "mine")]
    assert reply.headers.get("content-length", "3") == "3"
    assert reply.body == b"<p>"
