"""`bentoml containerize`: what it says, how it ends, what it leaves behind."""

from __future__ import annotations

import json
import logging
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.builder.engines.programs import Programs
from tests.builder.handmade import base, offline, save_bento, save_model
from tests.registry.fake_registry import FakeRegistry, running

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
        *("base", "model", "user", "python:", "python:", "wheels", "bento", "together"),
    ]
    assert all(line.endswith("new: first image") for line in said.splitlines())
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
        pytest.param(("greeter", "--backend", "dockr"), 2, "`dockr` is not known", id="backend"),
        pytest.param(("greeter", *ON_BASE, "--backend", "podman"), 2, "`--base-image`: that is for", id="engine's base"),
        pytest.param(("greeter", "--compile", "--opt", "no-cache"), 2, "say it by `docker.compile` in the build file", id="engine's bytecode"),
        pytest.param(("greeter", *ON_BASE, "--enable-features", "io,nonsense"), 2, "`nonsense`", id="feature"),
        pytest.param(("greeter", *ON_BASE, "--label", "=x"), 2, "`--label =x` is no label", id="label"),
        pytest.param(("greeter", *ON_BASE, "--push"), 2, "several places", id="two places"),
        pytest.param(("greeter", *ON_BASE, "--sbom", "."), 2, "`--sbom .` is no file", id="sbom"),
        pytest.param(("greeter", *ON_BASE, "--iidfile", "/"), 2, "is a directory", id="iidfile"),
        pytest.param(("greeter", *ON_BASE, "--metadata-file", "."), 2, "is a directory", id="metadata"),
        pytest.param(("greeter", *ON_BASE, "--opt", "=x"), 2, "`--opt =x` is no option", id="opt"),
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


@pytest.mark.parametrize(
    ("option", "last"),
    [
        ("output=type=oci,dest=image.tar", "docker wrote `image.tar`"),
        ("no-cache", "    docker run --rm -p 3000:3000 a:1"),
    ],
)
def test_what_an_engine_made_is_what_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, option: str, last: str
) -> None:
    (bench.root / "bin").mkdir()
    Programs(bench.root / "bin").add("docker")
    monkeypatch.setenv("PATH", str(bench.root / "bin"))
    code, printed, said = bench.containerize("greeter", "-t", "a:1", "--opt", option)
    assert code == 0, said
    assert printed.splitlines()[0].startswith("Successfully built Bento container")
    assert printed.splitlines()[-1] == last


@pytest.mark.parametrize("output", ["nonsense", "type=oci", "type=tarball,dest=x", "dest=image"])
def test_an_output_that_cannot_be_understood(bench: Bench, output: str) -> None:
    code, _, said = bench.containerize("greeter", *ON_BASE, "--output", output)
    assert code == 2
    assert output.partition("=")[0] in said


def test_stdout_is_for_one_thing(bench: Bench) -> None:
    code, printed, said = bench.containerize("greeter", *ON_BASE, "-o", "json", "-o", "type=oci,dest=-")
    assert (code, printed) == (2, "")
    assert "stdout cannot be the image and its description" in said


def test_json(bench: Bench) -> None:
    code, printed, _ = bench.containerize("greeter", *ON_BASE, "-o", "json", "-o", "type=oci,dest=image")
    assert code == 0
    made = json.loads(printed)
    assert made["tag"] == str(bench.bento.tag) and made["names"] == [made["tag"]]
    assert made["platforms"] == ["linux/amd64"]
    for digest in (made["id"], made["digest"], *(layer["digest"] for layer in made["layers"])):
        assert (bench.root / "image/blobs" / digest.replace(":", "/")).is_file()
    assert made["size"] == sum(layer["size"] for layer in made["layers"])
    assert {layer["why"] for layer in made["layers"]} == {"first image"}


def test_reasons(bench: Bench) -> None:
    output = ("--output", "type=oci,dest=image")
    bench.containerize("greeter", *ON_BASE, *output)
    save_bento(bench.home, bench.root / "wheels", models=(save_model(bench.home, text="other"),))
    _, _, said = bench.containerize("greeter", *ON_BASE, *output)
    states = {line.split("  ")[0].split(" ")[0]: line.rpartition("  ")[2] for line in said.splitlines()}
    assert states["model"] == "new: models changed"
    assert states["bento"] == "new: the bento changed"
    assert states["base"] == states["user"] == states["python:"] == "reused"


def test_files_beside(bench: Bench) -> None:
    code, printed, said = bench.containerize(
        "greeter", *ON_BASE, "-t", "a:1", "-o", "json", "-o", "type=oci,dest=image", "--label", "team=a=b", "--label", "alone",
        "--iidfile", "id", "--metadata-file", "metadata.json", "--sbom", "sbom.spdx.json",
    )  # fmt: skip
    assert code == 0, said
    made = json.loads(printed)
    assert (bench.root / "id").read_text() == made["id"]
    assert json.loads((bench.root / "metadata.json").read_text()) == {
        "containerimage.config.digest": made["id"],
        "containerimage.digest": made["digest"],
        "image.name": "a:1",
    }
    config = json.loads((bench.root / "image/blobs" / made["id"].replace(":", "/")).read_text())
    assert config["config"]["Labels"]["team"] == "a=b" and config["config"]["Labels"]["alone"] == ""
    sbom = json.loads((bench.root / "sbom.spdx.json").read_text())
    names = {package["name"] for package in sbom["packages"]}
    assert {"greeter", "numbers", "bentoml", "words", "oci:base"} <= names
    index = json.loads((bench.root / "image/index.json").read_text())
    assert [entry["digest"] for entry in index["manifests"]] == [made["digest"], *made["sbom"]]


def test_flags_of_engines_are_heeded_or_explained(bench: Bench) -> None:
    flags = ("--no-cache", "--pull", "--build-arg", "A=b", "--progress", "plain", "--run-as-root")
    code, _, said = bench.containerize("greeter", *ON_BASE, "--output", "type=oci,dest=image", *flags)
    assert code == 0, said
    lines = said.splitlines()
    for flag in ("--no-cache", "--pull", "--build-arg", "--progress", "--run-as-root"):
        assert sum(line.startswith(f"`{flag}` ") for line in lines) == 1
    assert "`--build-arg` is for an engine that builds the Dockerfile" in said


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with running(FakeRegistry()) as fake:
        yield fake


def test_push(bench: Bench, registry: FakeRegistry) -> None:
    name = f"{registry.host}/team/greeter:1"
    code, printed, said = bench.containerize("greeter", *ON_BASE, "--push", "-t", name)
    assert code == 0, said
    success, place, sbom = printed.splitlines()
    assert success.endswith(f'with tag(s) "{name}"')
    digest = place.removeprefix(f"pushed to {registry.host}/team/greeter as ")
    assert f"team/greeter/{digest}" in registry.manifests and "team/greeter/1" in registry.manifests
    stored = json.loads(registry.manifests[f"team/greeter/{sbom.removeprefix('SBOM ')}"][1])
    assert stored["subject"]["digest"] == digest
    before = registry.received
    code, _, said = bench.containerize("greeter", *ON_BASE, "-o", f"type=registry,dest={name}")
    assert (code, registry.received) == (0, before)
    assert all(line.endswith("reused") for line in said.splitlines())


def test_a_second_bento_with_the_same_model_sends_little(bench: Bench, registry: FakeRegistry) -> None:
    bench.containerize("greeter", *ON_BASE, "--push", "-t", f"{registry.host}/one:1", "--sbom", "false")
    before = registry.received
    save_bento(bench.home, bench.root / "wheels", models=(save_model(bench.home),), source="print(2)\n")
    code, _, said = bench.containerize(
        "greeter", *ON_BASE, "--push", "-t", f"{registry.host}/two:1", "--sbom", "false"
    )
    assert code == 0
    assert [line for line in said.splitlines() if "new" in line] == [
        line for line in said.splitlines() if line.startswith(("bento ", "together"))
    ]
    assert registry.received - before < 10_000


@pytest.mark.parametrize("name", ["greeter:1", ""])
def test_a_push_to_nowhere(bench: Bench, name: str) -> None:
    code, printed, said = bench.containerize("greeter", *ON_BASE, "--push", *(("-t", name) if name else ()))
    assert (code, printed) == (2, "")
    assert "which registry to push to" in said


def test_a_push_that_fails(bench: Bench) -> None:
    code, printed, said = bench.containerize(
        "greeter", *ON_BASE, "--push", "-t", "127.0.0.1:9/team/greeter:1"
    )
    assert (code, printed) == (1, "")
    assert "`127.0.0.1:9` cannot be reached" in said and "Traceback" not in said


def test_a_file_that_cannot_be_written(bench: Bench) -> None:
    code, _, said = bench.containerize(
        "greeter", *ON_BASE, "--output", "type=oci,dest=image", "--iidfile", "missing/id"
    )
    assert code == 1
    assert "cannot write to `missing/id`" in said
