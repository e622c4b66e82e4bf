"""`bentoml.container`: images from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.builder.handmade import base, offline, save_bento

from bentoml import container
from bentoml.builder.oci.assemble import RunConfig, assemble
from bentoml.builder.oci.layout import write_layout
from bentoml.config import Home
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in offline(tmp_path / "wheels").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")  # nobody listens there
    write_layout(
        tmp_path / "base", assemble(base(), [], RunConfig("0", "/", ("python3",)), epoch=0), ["base:1"]
    )
    save_bento(Home(tmp_path / "home"), tmp_path / "wheels")
    return tmp_path


def test_build(store: Path) -> None:
    result = container.build(
        "greeter:latest",
        image_tag="a:1",
        base_image=f"oci:{store}/base",
        output=f"type=oci,dest={store}/image",
    )
    assert result.names == ("a:1",)
    assert (store / "image/blobs/sha256" / result.id.hex).is_file()


def test_what_goes_wrong_is_raised(store: Path) -> None:
    with pytest.raises(NotFound):
        container.build("missing:latest")
    with pytest.raises(BentoMLException, match="engine"):
        container.build("greeter:latest", base_image=f"oci:{store}/base")


def test_features_are_packages(store: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"`io-image`.*python\.packages"):
        container.build("greeter:latest", features=["io-image"])


def test_an_engine_that_does_not_answer_is_not_healthy(store: Path) -> None:
    assert container.health("docker") is False
    with pytest.raises(InvalidArgument, match="`buildx`"):
        container.health("buildx")


def test_the_dockerfile(store: Path) -> None:
    text = container.get_containerfile("greeter:latest", store / "Dockerfile")
    assert text == "FROM scratch\n" == (store / "Dockerfile").read_text()
