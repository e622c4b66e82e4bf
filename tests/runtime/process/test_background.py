"""`bentoml.serve`: a server in the background of a program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.runtime.running import get, refuses

import bentoml
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, InvalidArgument, StateException
from bentoml.runtime.process.background import Server
from bentoml.store import current

SERVICE = """
import bentoml

args = bentoml.use_arguments()

@bentoml.service(name=args.name)
class Named:
    @bentoml.api
    def size(self) -> int:
        return args.size
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    current.use(Home(tmp_path / "home"))
    (tmp_path / "service.py").write_text(SERVICE)
    return tmp_path


@pytest.mark.slow
def test_a_server_in_the_background(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = {"name": "mine", "size": 3}
    with bentoml.serve("service:Named", port=0, working_dir=str(project), args=args) as server:
        get(server.url, "/readyz")
        with bentoml.SyncHTTPClient(server.url) as client:
            assert client.size() == 3
        server.start()  # it runs already
        server.stop()
        assert refuses(server.url)
        server.start()
        get(server.url, "/readyz")
    assert refuses(server.url)
    assert "Service mine ready" in capsys.readouterr().out


@pytest.mark.slow
def test_a_server_that_does_not_start(project: Path) -> None:
    with pytest.raises(BentoMLException, match=r"did not start:\n(?s:.*)`service` has no `Nope`"):
        bentoml.serve("service:Nope", port=0, working_dir=str(project), args={"name": "a"})


def test_a_server_that_is_not_started() -> None:
    server = Server([], {}, {})
    assert not server.running
    server.stop()
    with pytest.raises(StateException, match="before `start"):
        _ = server.url


def test_wrong_arguments() -> None:
    with pytest.raises(InvalidArgument, match="server_type"):
        bentoml.serve(".", server_type="grpc")
    with pytest.raises(InvalidArgument, match="env `conda`"):
        bentoml.serve(".", env="conda")

    local: Any = bentoml.service(type("Local", (), {}))
    with pytest.raises(InvalidArgument, match="`service:Local`"):
        bentoml.serve(local)
