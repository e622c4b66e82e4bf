"""A service as an ASGI application for other servers."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

import bentoml


@bentoml.service
class Greeting:
    def __init__(self) -> None:
        self.word = "hello"

    @bentoml.api
    def greet(self, name: str) -> str:
        return f"{self.word} {name}"


SERVICE: Any = Greeting  # type checkers do not know what a class decorator makes


def test_a_service_answers_under_a_test_client() -> None:
    with TestClient(SERVICE.to_asgi()) as client:
        assert client.get("/readyz").status_code == 200
        answer = client.post("/greet", json={"name": "you"})
        assert (answer.status_code, answer.text) == (200, "hello you")
        assert client.post("/greet", json={}).json()["detail"][0]["loc"] == ["name"]


def test_without_its_lifespan_it_says_what_is_missing() -> None:
    answer = TestClient(SERVICE.to_asgi()).post("/greet", json={"name": "you"})
    assert (answer.status_code, "lifespan" in answer.text) == (503, True)
