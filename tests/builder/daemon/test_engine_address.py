"""Where the engine is: the variable, the context of the docker command, or the usual socket."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from tests.builder.backends.fake_engine import FakeEngine, running

from bentoml.builder.daemon.address import address_of
from bentoml.builder.daemon.api import reached
from bentoml.exceptions import BentoMLException

USUAL = "unix:///var/run/docker.sock"


def context(folder: Path, name: str, endpoint: object) -> None:
    """Write a context as `docker context create` does."""
    place = folder / "contexts/meta" / sha256(name.encode()).hexdigest()
    place.mkdir(parents=True)
    (place / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))


def config(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(text)


def test_the_variable_counts_most(tmp_path: Path) -> None:
    config(tmp_path, "no JSON: it is not even read")
    env = {"DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "away", "DOCKER_CONFIG": str(tmp_path)}
    assert address_of(env).host == "tcp://h:1" and address_of(env).socket is None


@pytest.mark.parametrize("text", ["{}", '{"currentContext": "default"}', '{"currentContext": null}', "[]"])
def test_without_a_context_it_is_the_usual_socket(tmp_path: Path, text: str) -> None:
    config(tmp_path / ".docker", text)
    for env in ({}, {"HOME": str(tmp_path / "none")}, {"HOME": str(tmp_path)}, {"DOCKER_HOST": ""}):
        assert address_of(env).host == USUAL
        assert address_of(env).socket == "/var/run/docker.sock"


def test_the_context_of_the_docker_command_is_taken(tmp_path: Path) -> None:
    config(tmp_path, '{"currentContext": "mine"}')
    context(tmp_path, "mine", {"Host": "unix:///home/me/docker.sock"})
    context(tmp_path, "other", {"Host": "ssh://me@other"})
    env = {"DOCKER_CONFIG": str(tmp_path)}
    assert address_of(env).socket == "/home/me/docker.sock"
    assert address_of({**env, "DOCKER_CONTEXT": "other"}).host == "ssh://me@other"
    assert address_of({**env, "DOCKER_CONTEXT": "default"}).host == USUAL


@pytest.mark.parametrize(("skips", "verify"), [(False, "1"), (True, "")])
def test_a_context_brings_its_certificates(tmp_path: Path, skips: bool, verify: str) -> None:
    context(tmp_path, "far", {"Host": "tcp://far:2376", "SkipTLSVerify": skips})
    tls = tmp_path / "contexts/tls" / sha256(b"far").hexdigest() / "docker"
    tls.mkdir(parents=True)
    (tls / "cert.pem").touch()
    found = address_of({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "far"})
    assert found.variables == {"DOCKER_CERT_PATH": str(tls), "DOCKER_TLS_VERIFY": verify}


@pytest.mark.parametrize("endpoint", [None, {}, {"Host": ""}, {"Host": 7}, []], ids=str)
def test_a_context_without_an_engine_is_told(tmp_path: Path, endpoint: object) -> None:
    context(tmp_path, "odd", endpoint)
    env = {"DOCKER_CONFIG": str(tmp_path)}
    for name in ("odd", "gone", "../../x"):
        with pytest.raises(BentoMLException, match=f"context `{name}` is not there.*docker context ls"):
            address_of({**env, "DOCKER_CONTEXT": name})


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    config(tmp_path, "{")
    with pytest.raises(BentoMLException, match=r"config\.json` cannot be read: .*set `DOCKER_HOST`"):
        address_of({"DOCKER_CONFIG": str(tmp_path)})


def test_the_engine_of_a_context_is_reached(tmp_path: Path) -> None:
    context(tmp_path, "here", {"Host": f"unix://{tmp_path}/s"})
    env = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "here"}
    with running(FakeEngine(), tmp_path / "s"), reached(env) as engine:
        assert engine.images() == []
