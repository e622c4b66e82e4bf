"""The context of a request: what an API says about its response."""

from __future__ import annotations

import gc
from http import HTTPStatus
from http.cookies import CookieError
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

import bentoml
from bentoml.sdk.context import Context, ResponseContext, current_context, request_context, server_context


def request() -> Request:
    return Request({"type": "http", "method": "POST", "path": "/x", "headers": [(b"a", b"b")]})


def test_nothing_said_costs_nothing() -> None:
    response = ResponseContext()
    assert (response.status_code, response.raw_headers(), response.background_tasks) == (200, [], None)


@pytest.mark.parametrize("status", [200, 299, 404, 599, HTTPStatus.ACCEPTED])
def test_status(status: int) -> None:
    response = ResponseContext()
    response.status_code = status
    assert (response.status_code, type(response.status_code)) == (status, int)


@pytest.mark.parametrize("status", [0, -1, 99, 100, 101, 199, 600, 1000, "202", None, 2e2])
def test_what_is_no_status(status: Any) -> None:
    response = ResponseContext()
    with pytest.raises(ValueError, match=f"`{status!r}` is no status"):
        response.status_code = status
    assert response.status_code == 200


def test_headers_keep_several_values() -> None:
    response = ResponseContext()
    response.headers["X-One"] = "1"
    response.headers.append("X-Many", "a")
    response.headers.append("X-Many", "b")
    response.metadata.setdefault("X-One", "2")
    assert response.raw_headers() == [(b"x-one", b"1"), (b"x-many", b"a"), (b"x-many", b"b")]


def test_cookies_as_the_document_shows_them() -> None:
    response = ResponseContext()
    response.cookies = [
        bentoml.Cookie(
            key="key",
            value="value",
            max_age=None,
            expires=None,
            path="/summarize",
            domain=None,
            secure=True,
            httponly=True,
            samesite="None",
        )
    ]
    response.set_cookie("a", "b")
    assert response.raw_headers() == [
        (b"set-cookie", b"key=value; HttpOnly; Path=/summarize; SameSite=None; Secure"),
        (b"set-cookie", b"a=b; Path=/; SameSite=lax"),
    ]


@pytest.mark.parametrize(
    ("cookie", "header"),
    [
        pytest.param(bentoml.Cookie("a", "b c", None, None, None, None, False, False, None), 'a="b c"', id="quoted"),
        pytest.param(bentoml.Cookie("a", "b", 60, None, "/", None, False, False, None), "a=b; Max-Age=60; Path=/", id="age"),
        pytest.param(bentoml.Cookie("a", "b", 0, None, "/", "x.org", False, False, None), "a=b; Domain=x.org; Max-Age=0; Path=/", id="domain"),
    ],
)  # fmt: skip
def test_cookie(cookie: bentoml.Cookie, header: str) -> None:
    assert cookie.header() == header


def test_a_header_cannot_smuggle_in_another() -> None:
    response = ResponseContext()
    response.headers["X-One"] = "1\r\nSet-Cookie: admin=1"
    with pytest.raises(ValueError, match="control character"):
        response.raw_headers()


def test_a_cookie_cannot_smuggle_in_a_header() -> None:
    for cookie in (bentoml.Cookie("a", "b", path="/\r\nX: 1"), bentoml.Cookie("a\r\nX: 1", "b")):
        response = ResponseContext()
        response.cookies.append(cookie)
        with pytest.raises((ValueError, CookieError)):
            response.raw_headers()


def test_background_tasks() -> None:
    response = ResponseContext()
    response.background.add_task(print, "x")
    assert response.background_tasks is response.background


def test_request_and_state() -> None:
    made = []

    def make() -> Request:
        made.append(1)
        return request()

    context = Context(make, state={"n": 1})
    assert context.state == {"n": 1}
    assert made == []
    assert context.request.headers["a"] == "b"
    assert context.request.metadata is context.request.headers  # type: ignore[attr-defined]  # the name of 1.0
    assert made == [1]


def test_temp_dir(tmp_path: Path) -> None:
    assert Context(request, make_temp_dir=lambda: str(tmp_path)).temp_dir == str(tmp_path)
    context = Context(request)
    folder = Path(context.temp_dir)
    assert folder.name.startswith("bentoml-request-")
    assert context.temp_dir == str(folder)
    del context
    gc.collect()
    assert not folder.exists()


def test_current_context() -> None:
    fresh = current_context()
    assert fresh.request.method == "POST"
    token = request_context.set(fresh)
    try:
        assert current_context() is fresh
    finally:
        request_context.reset(token)


def test_server_context_outside_a_server() -> None:
    assert bentoml.server_context is server_context
    assert (server_context.bento_version, server_context.worker_index) == ("not available", None)
