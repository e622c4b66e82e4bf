"""`bentoml.container`: images from Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.builder.handmade import base, offline, save_bento
from tests.registry.fake_registry import FakeRegistry, running

from bentoml import bentos, container
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
    assert isinstance(result, container.ImageResult)
    assert result.names == ("a:1",)
    assert (store / "image/blobs/sha256" / result.id.hex).is_file()


def test_what_goes_wrong_is_raised(store: Path) -> None:
    with pytest.raises(NotFound):
        container.build("missing:latest")
    with pytest.raises(BentoMLException, match="engine"):
        container.build("greeter:latest", base_image=f"oci:{store}/base")


def test_features_are_packages(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = container.build(
        "greeter:latest",
        features=["io-image"],
        base_image=f"oci:{store}/base",
        output=f"type=oci,dest={store}/image",
    )
    assert isinstance(made, container.ImageResult)
    assert "list `bentoml[io-image]` under `python.packages`" in caplog.text
    with pytest.raises(InvalidArgument, match="feature `io-imag` is not known; did you mean `io-image`"):
        container.build("greeter:latest", features=["io-imag"])


def test_an_engine_that_does_not_answer_is_not_healthy(store: Path) -> None:
    assert container.health("docker") is False
    with pytest.raises(InvalidArgument, match="`dockr` is not known"):
        container.health("dockr")


def test_a_backend_of_the_users_own(store: Path) -> None:
    asked: list[dict[str, object]] = []

    def arguments(**options: object) -> list[str]:
        asked.append(options)
        return ["--version"]

    container.register_backend(
        "mine", buildkit_support=True, health=lambda: True, construct_build_args=arguments,
        binary=sys.executable, build_cmd=[],
    )  # fmt: skip
    assert container.health("mine")
    assert container.get_backend("mine").command == (sys.executable,)
    made = container.build("greeter:latest", backend="mine", image_tag=("a:1", "b:2"), build_arg={"A": "b"})
    assert isinstance(made, container.EngineImage)
    (options,) = asked
    assert options["tag"] == ("a:1", "b:2")
    assert options["build_arg"] == {"A": "b"}
    assert Path(str(options["file"])).name == "Dockerfile"
    with pytest.raises(
        InvalidArgument, match="`base_image`: that is for images that are made without an engine"
    ):
        container.build("greeter:latest", backend="mine", base_image="python:3.11")


def test_one_that_is_not_healthy(store: Path) -> None:
    container.register_backend(
        "ill", buildkit_support=True, health=lambda: False, construct_build_args=lambda **options: []
    )
    with pytest.raises(BentoMLException, match="backend `ill` is not healthy"):
        container.build("greeter:latest", backend="ill")


def test_push(store: Path) -> None:
    with running(FakeRegistry()) as registry:
        made = container.build(
            "greeter:latest", image_tag=f"{registry.host}/a/b:1", base_image=f"oci:{store}/base", push=True
        )
        assert isinstance(made, container.ImageResult)
        assert f"a/b/{made.digest}" in registry.manifests
    with pytest.raises(InvalidArgument, match="`push` and `output` name two places"):
        container.build("greeter:latest", push=True, output="type=docker")


def test_bentos_containerize(store: Path) -> None:
    output = f"type=oci,dest={store}/image"
    assert bentos.containerize("greeter:latest", base_image=f"oci:{store}/base", output=output) is True
    with pytest.raises(NotFound):
        bentos.containerize("missing:latest")


def test_the_dockerfile(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = container.get_containerfile("greeter:latest", store / "Dockerfile")
    assert text == "FROM scratch\n" == (store / "Dockerfile").read_text()
    assert capsys.readouterr() == ("", "")
    assert container.get_containerfile("greeter:latest") == text
    assert capsys.readouterr() == ("", "FROM scratch\n"), "where no file is named, people read it"
