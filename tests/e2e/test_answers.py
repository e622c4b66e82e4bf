"""What a running server answers to requests that are wrong."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import Project

SERVICE = """
    import bentoml

    @bentoml.service
    class Sums:
        @bentoml.api
        def add(self, a: int, b: int) -> int:
            return a + b

        @bentoml.api
        def fail(self) -> str:
            raise ValueError("a secret detail")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Project]]:
    folder: Path = tmp_path_factory.mktemp("project")
    project = Project(folder, tmp_path_factory.mktemp("home"))
    project.write(service_py=SERVICE)
    with project.serve("service:Sums") as url:
        yield url, project


def ask(
    url: str, body: bytes | None, method: str = "POST", content_type: str = "application/json"
) -> tuple[int, str]:
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.read().decode()


def test_a_good_request(server: tuple[str, Project]) -> None:
    assert ask(server[0] + "/add", b'{"a": 1, "b": 2}') == (200, "3")


@pytest.mark.parametrize(
    ("body", "kind", "location"),
    [
        pytest.param(b"{not json", "json_invalid", [], id="not JSON"),
        pytest.param(b'{"a": "x", "b": 2}', "int_parsing", ["a"], id="wrong type"),
        pytest.param(b'{"a": 1}', "missing", ["b"], id="missing field"),
        pytest.param(b"[1, 2]", "model_type", [], id="not an object"),
    ],
)
def test_a_body_that_does_not_fit(
    server: tuple[str, Project], body: bytes, kind: str, location: list[str]
) -> None:
    status, text = ask(server[0] + "/add", body)
    assert status == 400
    answer = json.loads(text)
    assert answer["error"] == "1 validation error for Input"
    assert [(d["type"], d["loc"]) for d in answer["detail"]] == [(kind, location)]


def test_an_unknown_route(server: tuple[str, Project]) -> None:
    assert ask(server[0] + "/nope", b"{}") == (404, "Not Found")


def test_a_wrong_method(server: tuple[str, Project]) -> None:
    assert ask(server[0] + "/add", None, "GET")[0] == 405


def test_pickles_are_refused(server: tuple[str, Project]) -> None:
    assert ask(server[0] + "/add", b"\x80\x05.", content_type="application/vnd.bentoml+pickle")[0] == 415


def test_an_exception_in_the_api_tells_the_log_and_not_the_caller(server: tuple[str, Project]) -> None:
    status, text = ask(server[0] + "/fail", b"{}")
    assert status == 500
    assert json.loads(text) == {"error": "An unexpected error has occurred, please check the server log."}
    url, project = server
    assert ask(url + "/livez", None, "GET")[0] == 200
    assert "ValueError: a secret detail" in "".join(project.log)
