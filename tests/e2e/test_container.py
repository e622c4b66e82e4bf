"""A bento in a real engine: the image it makes, the service in it, and how little a change sends."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.containers import call, docker, running
from tests.support import Project

pytestmark = pytest.mark.engine

SERVICE = """
    import os
    import bentoml

    @bentoml.service
    class Greeter:
        words = bentoml.models.get("words:latest")

        @bentoml.api
        def greet(self, name: str) -> dict:
            with open(self.words.path_of("greeting.txt")) as file:
                return {"said": file.read() + name, "as": os.getuid(), "in": os.getcwd()}
"""
BUILD = """
    service: service:Greeter
    models: [words:latest]
    docker:
      python_version: "3.11"
      env: {GREETING: hello}
"""
SAVE = """
    import bentoml
    with bentoml.models.create("words") as model:
        with open(f"{model.path}/greeting.txt", "w") as file:
            file.write("hello, ")
"""
IMAGE = "bentoml-test-greeter:1"
BASE = ("--base-image", "debs:bookworm")


@pytest.fixture(scope="module")
def greeter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with a model, built and in the engine as `bentoml-test-greeter:1`."""
    folder = tmp_path_factory.mktemp("project")
    project = Project(folder, tmp_path_factory.mktemp("home"))
    project.write(service_py=SERVICE, bentofile_yaml=BUILD, save_py=SAVE)
    saved = subprocess.run(
        [sys.executable, "save.py"], cwd=folder, env=project.env, capture_output=True, text=True
    )
    assert saved.returncode == 0, saved.stderr
    done(project, "build")
    done(project, "containerize", "greeter:latest", *BASE, "-t", IMAGE)
    yield project
    docker("rmi", "--force", IMAGE)


def done(project: Project, *arguments: str) -> str:
    """Run a command that must succeed; return what it said on the side."""
    ended = project.bentoml(*arguments, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stderr


def test_the_service_answers_as_a_user_without_rights(greeter: Project) -> None:
    with running(IMAGE) as (container, address):
        answer = call(address, "greet", name="world")
        assert answer == {"said": "hello, world", "as": 1034, "in": "/home/bentoml/bento/src"}
        assert (
            docker("exec", container, "python", "-c", "import os; print(os.getuid(), os.getgid())")
            == "1034 1034\n"
        )
        docker("stop", "--time", "20", container)
        assert docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0\n"


def test_the_engine_knows_the_image_by_our_id(greeter: Project, tmp_path: Path) -> None:
    done(greeter, "containerize", "greeter:latest", *BASE, "--output", f"type=oci,dest={tmp_path}/image")
    blobs = tmp_path / "image/blobs/sha256"
    index = json.loads((tmp_path / "image/index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_text())
    assert docker("image", "inspect", "--format", "{{.Id}}", IMAGE).strip() == manifest["config"]["digest"]


def test_other_commands_run_in_the_environment_of_the_bento(greeter: Project) -> None:
    code = "import os, bentoml; print(os.environ['GREETING'], [str(m.tag) for m in bentoml.models.list()])"
    said = docker("run", "--rm", "--network", "none", IMAGE, "python", "-c", code)
    assert re.fullmatch(r"hello \['words:\w+'\]\n", said)
    assert docker("run", "--rm", "--network", "none", IMAGE, "bentoml", "--version").startswith(
        "bentoml, version "
    )


def test_a_restart_finds_what_was_compiled(greeter: Project) -> None:
    with running(IMAGE) as (container, _):
        code = "import os; print(sum(len(files) for *_, files in os.walk('/home/bentoml/.cache/python')))"
        assert int(docker("exec", container, "python", "-c", code)) > 300


@pytest.mark.parametrize(
    "settings", [("--user", "5000"), ("--read-only", "--tmpfs", "/tmp")], ids=["user", "read-only"]
)
def test_a_container_that_may_not_write(greeter: Project, settings: tuple[str, ...]) -> None:
    with running(IMAGE, settings=settings) as (_, address):
        assert call(address, "greet", name="world")["said"] == "hello, world"


def test_a_changed_line_sends_the_source_alone(greeter: Project) -> None:
    service = greeter.folder / "service.py"
    service.write_text(service.read_text().replace("file.read() + name", "file.read() + name.upper()"))
    done(greeter, "build")
    began = time.monotonic()
    said = done(greeter, "containerize", "greeter:latest", *BASE, "-t", IMAGE)
    assert time.monotonic() - began < 60, "seconds, on a busy machine"
    lines = [line.split() for line in said.splitlines()]
    assert {line[0] for line in lines if "new:" in line} == {"bento", "together"}, said
    assert "new: the bento changed" in said
    assert {line[0] for line in lines if line[-1] == "reused"} == {
        "base",
        "model",
        "user",
        "python:",
        "wheels",
    }
    with running(IMAGE) as (_, address):
        assert call(address, "greet", name="world")["said"] == "hello, WORLD"
