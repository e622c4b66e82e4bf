"""The calls of the Docker API: what they bring, and what is said when an engine does not do as it is asked."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.builder.backends.fake_engine import FakeEngine, running
from tests.builder.daemon.raw_engine import answer, talking

from bentoml.builder.daemon.api import EngineApi, Refused, reached
from bentoml.exceptions import BentoMLException


@pytest.fixture(params=["at its socket", "over TCP"])
def fake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeEngine]:
    with running(FakeEngine(), tmp_path / "s" if request.param == "at its socket" else None) as engine:
        yield engine


@pytest.fixture
def engine(fake: FakeEngine) -> Iterator[EngineApi]:
    with reached({"DOCKER_HOST": fake.host, "HOME": os.environ["HOME"]}) as engine:
        yield engine


def test_what_an_engine_has_and_has_not(fake: FakeEngine, engine: EngineApi) -> None:
    fake.images["sha256:a"] = ["sha256:layer"]
    assert engine.image("sha256:a")["RootFS"] == {"Layers": ["sha256:layer"]}
    assert engine.image("sha256:b") == {}
    assert [found["Id"] for found in engine.images()] == ["sha256:a"]
    assert engine.info()["DriverStatus"] == [["driver-type", "xfs"]]


def test_names_are_given_and_taken(fake: FakeEngine, engine: EngineApi) -> None:
    engine.tag("sha256:a", "reg.example:5000/team/app", "1")
    assert fake.tags == {"reg.example:5000/team/app:1": "sha256:a"}
    engine.remove("reg.example:5000/team/app:1")
    assert fake.removed == ["reg.example:5000/team/app:1"]


def test_an_engine_that_stops_reading_says_why(fake: FakeEngine, engine: EngineApi) -> None:
    fake.refuses = "no space left on device"
    with pytest.raises(BentoMLException, match="no space left on device"):
        engine.load(iter([bytes(1 << 20)] * 40))


def test_what_goes_wrong_with_an_archive_is_not_blamed_on_the_engine(engine: EngineApi) -> None:
    def archive() -> Iterator[bytes]:
        yield bytes(100)
        raise BentoMLException("a layer is damaged")

    with pytest.raises(BentoMLException, match=r"^a layer is damaged$"):
        engine.load(archive())


def test_a_name_is_data_in_an_address(fake: FakeEngine, engine: EngineApi) -> None:
    assert engine.image("x?y#z %2f") == {}
    assert fake.asked[-1] == "/images/x?y#z %2f/json"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        pytest.param(404, b'{"message": "no such image"}', "refused: no such image", id="a message"),
        pytest.param(500, b"<html>proxy</html>", "refused: <html>proxy</html>", id="other text"),
        pytest.param(503, b"", "refused: status 503", id="nothing"),
        pytest.param(301, b'"elsewhere"', 'refused: "elsewhere"', id="led elsewhere"),
        pytest.param(200, b"{", "something else than a document", id="no JSON"),
    ],
)
def test_errors_are_told(tmp_path: Path, status: int, body: bytes, said: str) -> None:
    with talking(tmp_path, answer(status, body)) as engine, pytest.raises(Refused, match=said):
        engine.info()


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"], ids=["cut", "lines", "CRLF"])
def test_a_complaint_while_it_works_is_an_error(tmp_path: Path, end: bytes) -> None:
    lines = [{"status": "Loading"}, {"errorDetail": {}, "error": "no room"}, {"stream": "more"}]
    body = b"talk\r\n" + b"\r\n".join(json.dumps(line).encode() for line in lines) + end
    with talking(tmp_path, answer(200, body)) as engine, pytest.raises(Refused, match=r"refused: no room$"):
        engine.load([b"x"])


def test_an_engine_that_tells_no_version_is_asked_without(tmp_path: Path) -> None:
    with talking(tmp_path, answer(200, b"OK"), answer(200, b"[]")) as engine:
        assert engine.version() == "" and engine.images() == []


@pytest.mark.parametrize(
    ("host", "said"),
    [
        (
            "unix:///nowhere/docker.sock",
            "`unix:///nowhere/docker.sock` cannot be reached: there is no such socket",
        ),
        ("tcp://127.0.0.1:9", "`tcp://127.0.0.1:9` cannot be reached"),
    ],
)
def test_an_engine_that_is_not_there(host: str, said: str) -> None:
    with pytest.raises(BentoMLException, match=f"{said}.*set `DOCKER_HOST`"), reached({"DOCKER_HOST": host}):
        pass


def test_a_socket_at_which_nobody_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    with (
        pytest.raises(BentoMLException, match="cannot be reached: Connection refused; start it"),
        reached({"DOCKER_HOST": f"unix://{tmp_path}/s"}),
    ):
        pass
