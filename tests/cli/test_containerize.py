"""`bentoml containerize`: what it says, how it ends, what it leaves behind."""

from __future__ import annotations

import json
import logging
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.builder.handmade import base, offline, save_bento, save_model

from bentoml.builder.oci.assemble import RunConfig, assemble
from bentoml.builder.oci.layout import write_layout
from bentoml.cli.main import run
from bentoml.config import Home


class Bench:
    """A store with a bento, and the command run in it."""

    def __init__(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.root, self._capsys = root, capsys
        self.home = Home(root / "home")
        for name, value in offline(root / "wheels").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("BENTOML_HOME", str(self.home.root))
        monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")  # nobody listens there
        monkeypatch.chdir(root)
        self.bento = save_bento(self.home, root / "wheels", models=(save_model(self.home),))
        write_layout(
            root / "base", assemble(base(), [], RunConfig("0", "/", ("python3",)), epoch=0), ["base:1"]
        )

    def containerize(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command; return how it ended, what it printed and what it said."""
        with pytest.raises(SystemExit) as stop:
            run(["containerize", *arguments])
        printed = self._capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, printed.out, printed.err


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Bench]:
    """Give a bench, and put back what a command does to logging in its own process."""
    root, ours = logging.getLogger(), logging.getLogger("bentoml")
    handlers, level = list(root.handlers), ours.level
    yield Bench(tmp_path, monkeypatch, capsys)
    root.handlers[:] = handlers
    ours.setLevel(level)


ON_BASE = ("--base-image", "oci:base")


def test_into_a_folder(bench: Bench) -> None:
    code, printed, said = bench.containerize(
        "greeter:latest", *ON_BASE, "-t", "a:1", "--image-tag", "b:2", "--output", "type=oci,dest=image"
    )
    assert code == 0, said
    first, second = printed.splitlines()
    assert first == f'Successfully built Bento container for "{bench.bento.tag}" with tag(s) "a:1,b:2"'
    assert "image" in second
    index = json.loads((bench.root / "image/index.json").read_text())
    assert {
        m["annotations"]["org.opencontainers.image.ref.name"].rpartition(":")[2] for m in index["manifests"]
    } == {"1", "2"}


def test_what_is_new_is_shown_without_standing_in_the_way_of_programs(bench: Bench) -> None:
    arguments = ("greeter", *ON_BASE, "--output", "type=oci,dest=image")
    _, printed, said = bench.containerize(*arguments)
    rows = [line.split("  ") for line in said.splitlines()]
    assert [row[0].split(" ")[0] for row in rows] == [
        *("base", "model", "user", "python:", "python:", "bento", "together"),
    ]
    assert all(line.endswith("new") for line in said.splitlines())
    assert "together" not in printed
    _, _, said = bench.containerize(*arguments)
    assert all(line.endswith("reused") for line in said.splitlines())


def test_quiet(bench: Bench) -> None:
    code, printed, said = bench.containerize(
        "greeter", *ON_BASE, "--output", "type=oci,dest=image", "--quiet"
    )
    assert (code, said) == (0, "")
    assert printed.startswith("Successfully built")


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_into_a_file(bench: Bench, kind: str) -> None:
    code, _, said = bench.containerize("greeter", *ON_BASE, "--output", f"type={kind},dest=image.tar")
    assert code == 0, said
    with tarfile.open(bench.root / "image.tar") as archive:
        assert "index.json" in archive.getnames()


def test_without_an_engine_another_way_is_offered(bench: Bench) -> None:
    code, printed, said = bench.containerize("greeter", *ON_BASE)
    assert (code, printed) == (1, "")
    assert said.startswith("Error: [bentoml-cli] `containerize` failed: ")
    assert "--output type=oci,dest=" in said


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(("missing:latest", *ON_BASE), 1, "missing", id="bento"),
        pytest.param(("Bad Name", *ON_BASE), 2, "Invalid Tag", id="tag"),
        pytest.param(("greeter", "--base-image", "oci:nowhere"), 1, "nowhere", id="base"),
        pytest.param(("greeter", *ON_BASE, "-t", "Bad Name"), 2, "Bad Name", id="name"),
        pytest.param(("greeter", *ON_BASE, "--platform", "linux/s390x"), 1, "linux/s390x", id="platform"),
        pytest.param(("greeter", *ON_BASE, "--platform", "nonsense"), 2, "nonsense", id="no platform"),
        pytest.param(("greeter", *ON_BASE, "--backend", "podman"), 2, "`podman`", id="backend"),
        pytest.param((), 2, "BENTO:TAG", id="nothing"),
        pytest.param(("greeter", "--nonsense"), 2, "--nonsense", id="option"),
    ],
)  # fmt: skip
def test_bad_input(bench: Bench, arguments: tuple[str, ...], code: int, message: str) -> None:
    output = ("--output", "type=oci,dest=image") if arguments else ()
    ended, printed, said = bench.containerize(*arguments, *output)
    assert (ended, printed) == (code, "")
    assert message in said
    assert "Traceback" not in said
    assert not (bench.root / "image").exists()


@pytest.mark.parametrize("output", ["nonsense", "type=oci", "type=tarball,dest=x", "dest=image"])
def test_an_output_that_cannot_be_understood(bench: Bench, output: str) -> None:
    code, _, said = bench.containerize("greeter", *ON_BASE, "--output", output)
    assert code == 2
    assert output.partition("=")[0] in said


def test_what_cannot_be_done_yet_is_named(bench: Bench) -> None:
    save_bento(bench.home, bench.root / "wheels", image={"system_packages": ["libgomp1"]})
    code, _, said = bench.containerize("greeter", *ON_BASE, "--output", "type=oci,dest=image")
    assert code == 1
    assert "`system_packages`" in said
